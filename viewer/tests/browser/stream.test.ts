// A stream plays in headless Chromium, from a host of files that is slow and loses connections, and from a live socket.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { CONTENT_SECURITY_POLICY } from "../mock_server";
import { CHROMIUM, launch, until } from "./browser";

const ROOT = resolve(import.meta.dirname, "../../..");
const PAGE = join(ROOT, "recon/server/page");
const SIZE = { width: 160, height: 120 };

interface Expected {
  readonly pictures: readonly (readonly [number, number])[];
  readonly preview: readonly [number, number];
  readonly records: readonly string[];
  readonly cameras: readonly object[];
  readonly pictured: number;
}

type Fault = "drop" | "damage" | null;

interface Host {
  readonly url: string;
  bytesPerSecond: number;
  fault: (name: string, attempt: number) => Fault;
  /** What api/session and api/stream/manifest.json answer; null: not ours. */
  session: object | null;
  manifest: object | null;
  readonly requests: string[];
  readonly sockets: Set<WebSocket>;
  close(): Promise<void>;
}

/** A host of files for page and stream, as slow and as faulty as a test wants; and the live socket. */
async function startHost(clip: string): Promise<Host> {
  const attempts = new Map<string, number>();
  const server = createServer((request, response) => void answer(request, response));
  const sockets = new WebSocketServer({ server, path: "/api/stream/live" });
  let line: Promise<void> = Promise.resolve();
  const host = {
    ...{ url: "", bytesPerSecond: Infinity, session: null as object | null, manifest: null as object | null },
    fault: (() => null) as Host["fault"],
    requests: [] as string[],
    sockets: sockets.clients,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", "http://host").pathname;
    response.setHeader("Content-Security-Policy", CONTENT_SECURITY_POLICY);
    const stream = /^\/(?:clip|api\/stream)\/([a-z0-9.-]+)$/.exec(path);
    if (path === "/api/session" && host.session !== null)
      return void response.setHeader("Content-Type", "application/json").end(JSON.stringify(host.session));
    if (path === "/api/stream/manifest.json" && host.manifest !== null)
      return void response.setHeader("Content-Type", "application/json").end(JSON.stringify(host.manifest));
    const file = stream ? join(clip, stream[1]) : join(PAGE, path === "/" ? "index.html" : path);
    if (!existsSync(file)) return void response.writeHead(404).end();
    const content = readFileSync(file);
    const types: Record<string, string> = {
      ".html": "text/html",
      ".js": "text/javascript",
      ".css": "text/css",
    };
    response.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
    response.setHeader("Content-Length", content.length);
    if (!stream) return void response.end(content);
    const name = stream[1];
    host.requests.push(name);
    const attempt = attempts.get(name) ?? 0;
    attempts.set(name, attempt + 1);
    const fault = host.fault(name, attempt);
    response.setHeader(
      "Cache-Control",
      name.endsWith(".json") ? "no-cache" : "public, max-age=31536000, immutable",
    );
    if (fault === "damage") content[content.length >> 1] ^= 1;
    const piece = 2048;
    const end = fault === "drop" ? content.length >> 1 : content.length;
    for (let at = 0; at < end; at += piece) {
      const part = content.subarray(at, Math.min(end, at + piece));
      // One line for all transfers, however many there are.
      if (Number.isFinite(host.bytesPerSecond))
        await (line = line.then(
          () => new Promise((done) => setTimeout(done, (1000 * part.length) / host.bytesPerSecond)),
        ));
      response.write(part);
    }
    if (fault === "drop") response.destroy();
    else response.end();
  }

  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  host.url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`;
  return host as Host;
}

describe.skipIf(CHROMIUM === undefined)("a stream in the page", () => {
  const folder = mkdtempSync(join(tmpdir(), "recon-clip-"));
  let expected: Expected;
  let browser: Browser;
  beforeAll(async () => {
    execFileSync(
      process.env["RECON_PYTHON"] ?? "python3",
      [join(import.meta.dirname, "make_clip.py"), folder],
      {
        env: { ...process.env, OMP_NUM_THREADS: "1" },
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The page on a host; motion does not start by itself, since the context asks for little of it. */
  async function open(
    query: string,
    size = SIZE,
  ): Promise<{ page: Page; host: Host; errors: string[]; close(): Promise<void> }> {
    const host = await startHost(join(folder, "clip"));
    const context = await browser.newContext({ viewport: size, reducedMotion: "reduce" });
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    const prepare = async () => {
      await page.goto(host.url + query);
      await until(page, () => window.__recon?.player !== undefined);
      await page.evaluate(() => {
        window.__recon.recordFrames();
        window.__recon.change({ pixelRatio: 1, cameras: false });
      });
    };
    const opened = {
      page,
      host,
      errors,
      prepare,
      close: async () => (await context.close(), await host.close()),
    };
    return opened as typeof opened & { prepare(): Promise<void> };
  }

  const start = async (opened: object) => (opened as { prepare(): Promise<void> }).prepare();
  const paused = (page: Page) => until(page, () => window.__recon.player?.state === "paused");

  /** All frames that were shown, which must be those that Python made. */
  async function shownFrames(page: Page): Promise<number[]> {
    const recorded = await page.evaluate(() => window.__recon.recordedFrames);
    const isPreview = (low: number) => low === expected.preview[0];
    const wrong = recorded.filter(([frame, low, high]) => {
      const [a, b] = frame === 0 && isPreview(low) ? expected.preview : expected.pictures[frame];
      return a !== low || b !== high;
    });
    expect(wrong).toEqual([]);
    return recorded.filter(([, low]) => !isPreview(low)).map(([frame]) => frame);
  }

  test("every frame has Python's numbers, and its picture is the rasterizer's", async () => {
    const opened = await open("?embed=1&stream=clip/manifest.json");
    const { page, errors } = opened;
    await start(opened);
    await paused(page);
    expect(await page.title()).toContain("a clip");
    expect(await page.evaluate(() => window.__recon.state.cameras)).toBe(2);
    const last = expected.pictures.length - 1;
    await page.keyboard.press(".");
    await until(page, () => window.__recon.player!.shown === 1);
    await page.evaluate(async (end) => {
      const player = window.__recon.player!;
      for (let frame = 2; frame <= end; frame++) {
        player.step(1);
        while (player.shown !== frame) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }, last);
    await page.keyboard.press(",");
    await until(page, () => window.__recon.player!.shown === window.__recon.player!.frames - 2);
    const frames = await shownFrames(page);
    expect(frames.slice(-last - 1)).toEqual([...Array.from({ length: last }, (_, i) => i + 1), last - 1]);
    await page.evaluate((frame) => window.__recon.player!.seek(frame), expected.pictured);
    await paused(page);
    const { data } = await page.evaluate(async () => {
      window.__recon.goTo("c0");
      await window.__recon.settle();
      return window.__recon.readPixels();
    });
    const bytes = readFileSync(join(folder, "picture.bin"));
    const picture = new Float32Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
    );
    let sum = 0;
    let lit = 0;
    for (let i = 0; i < picture.length; i++) {
      const value = Math.round(255 * Math.min(1, Math.max(0, picture[i])));
      sum += Math.abs(value - data[4 * Math.floor(i / 3) + (i % 3)]);
      if (value > 8) lit++;
    }
    console.log(
      `mean absolute error of frame ${expected.pictured}: ${(sum / picture.length).toFixed(3)} / 255`,
    );
    expect(sum / picture.length).toBeLessThan(2);
    expect(lit).toBeGreaterThan(picture.length / 4);
    expect(errors).toEqual([]);
    await opened.close();
  });

  test("a slow network that loses connections: playing stalls, goes on, and shows no wrong frame", async () => {
    const opened = await open("?embed=1&stream=clip/manifest.json");
    const { page, host, errors } = opened;
    host.bytesPerSecond = 60_000;
    host.fault = (name, attempt) => {
      if (name.startsWith("segment") && attempt === 0) return "drop";
      return name.startsWith("segment-000016") && attempt === 1 ? "damage" : null;
    };
    await start(opened);
    await until(page, () => window.__recon.player?.preview === true || window.__recon.player?.shown === 0);
    await paused(page);
    await page.keyboard.press("Space");
    await until(page, () => window.__recon.player!.state === "stalled", 30);
    await until(page, () => window.__recon.player!.state === "ended", 60);
    const frames = await shownFrames(page);
    expect(frames.at(-1)).toBe(expected.pictures.length - 1);
    for (let i = 1; i < frames.length; i++) expect(frames[i]).toBeGreaterThan(frames[i - 1]);
    const statistics = await page.evaluate(() => window.__recon.player!.statistics);
    console.log(JSON.stringify(statistics));
    expect(statistics.stalls).toBeGreaterThan(0);
    expect(statistics.stalledSeconds).toBeGreaterThan(0.2);
    expect(statistics.refused).toBe(0);
    expect(host.requests.filter((name) => name.startsWith("segment-000016")).length).toBeGreaterThan(2);
    expect(errors.filter((text) => !/Failed to load resource|net::ERR/.test(text))).toEqual([]);
    await opened.close();
  });

  test("timeline, keys and numbers", async () => {
    const opened = await open("?stream=clip/manifest.json", { width: 1000, height: 400 });
    const { page, errors } = opened;
    await start(opened);
    await page.evaluate(() => window.__recon.change({ pixelRatio: 0.25 }));
    await paused(page);
    const slider = page.getByRole("slider", { name: "Frame" });
    expect(await slider.getAttribute("max")).toBe(String(expected.pictures.length - 1));
    await slider.focus();
    await slider.press("ArrowRight");
    await until(page, () => window.__recon.player!.shown === 1);
    await slider.press("PageUp"); // a second
    await until(page, () => window.__recon.player!.shown === 11);
    await slider.press("End");
    await until(page, () => window.__recon.player!.shown === window.__recon.player!.frames - 1);
    await page.getByRole("combobox", { name: "Speed" }).selectOption("4");
    await page.getByRole("button", { name: "Loop" }).click();
    await page.getByRole("button", { name: "Play" }).click();
    await until(page, () => window.__recon.recordedFrames.filter(([frame]) => frame < 6).length > 2);
    await page.getByRole("button", { name: "Pause" }).click();
    await until(page, () => window.__recon.player!.state === "paused");
    await page.waitForTimeout(400);
    const words = await page.locator("aside").innerText();
    expect(words).toMatch(/Paused/);
    expect(words).toMatch(/[0-9.]+ Mbit\/s/);
    expect(words).toMatch(/decoding\s+[0-9.]+ ms/);
    await shownFrames(page);
    mkdirSync(resolve(import.meta.dirname, "../artefacts"), { recursive: true });
    await page.screenshot({ path: resolve(import.meta.dirname, "../artefacts/stream.png") });
    expect(errors).toEqual([]);
    await opened.close();
  });

  test("a growing stream over the socket of our server", async () => {
    const opened = await open("");
    const { page, host, errors } = opened;
    const whole = JSON.parse(readFileSync(join(folder, "clip/manifest.json"), "utf8")) as {
      keyframes: { frame: number }[];
      segments: { start: number; frames: number }[];
    };
    const upTo = (frames: number) => ({
      ...whole,
      ...{ frames, live: frames < expected.pictures.length },
      keyframes: whole.keyframes.filter(({ frame }) => frame < frames),
      segments: whole.segments.filter((segment) => segment.start + segment.frames <= frames),
    });
    host.session = {
      ...{
        protocol: 1,
        version: "0.1.0",
        title: "a clip",
        kind: "stream",
        splat: null,
        cameras: expected.cameras,
      },
      ...{
        layers: { points: null, mesh: null },
        confidence: null,
        background: null,
        up: [0, -1, 0],
        near: 0.01,
        poses: null,
      },
      ...{ pictures: false, live: false, run_folder: null },
      stream: { manifest: "api/stream/manifest.json", socket: "api/stream/live" },
    };
    host.manifest = upTo(16);
    await start(opened);
    await until(page, () => window.__recon.player?.shown === 15);
    await page.evaluate(() => window.__recon.player!.follow());
    while (host.sockets.size === 0) await page.waitForTimeout(20);
    const [socket] = host.sockets;
    socket.send(JSON.stringify({ type: "stream", frames: 18, live: true }));
    // Two frames were made before the socket was there; they come with the manifest.
    for (let frame = 18; frame < 24; frame++) socket.send(Buffer.from(expected.records[frame], "base64"));
    host.manifest = upTo(21);
    await until(page, () => window.__recon.player!.shown === 23);
    for (let frame = 24; frame < expected.pictures.length; frame++) {
      socket.send(Buffer.from(expected.records[frame], "base64"));
      await page.waitForTimeout(30);
    }
    host.manifest = upTo(expected.pictures.length);
    socket.send(JSON.stringify({ type: "end", frames: expected.pictures.length }));
    await until(page, () => window.__recon.player!.state === "ended");
    expect((await shownFrames(page)).at(-1)).toBe(expected.pictures.length - 1);
    expect(errors).toEqual([]);
    await opened.close();
  });

  test("streams of other origins are refused with a sentence", async () => {
    const opened = await open("?stream=https://example.org/manifest.json");
    await opened.page.goto(`${opened.host.url}?stream=https://example.org/manifest.json`);
    await until(opened.page, () => window.__recon?.state.message !== null && window.__recon !== undefined);
    expect(await opened.page.evaluate(() => window.__recon.state.message)).toContain(
      "the page's own address",
    );
    await opened.close();
  });
});
