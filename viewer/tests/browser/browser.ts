// A headless Chromium, a mock server, and the cases that Python makes: what every browser test needs.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Browser, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import type { TestHook } from "../../src/test_hook";
import { type MockOptions, type MockServer, startMockServer } from "../mock_server";

declare global {
  interface Window {
    __recon: TestHook;
  }
}

const ROOT = resolve(import.meta.dirname, "../../..");
const PAGE = resolve(ROOT, "recon/server/page");
const ARTEFACTS = resolve(import.meta.dirname, "../artefacts");

/** Software WebGL, and nothing that talks to the network. */
const FLAGS = [
  ...["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  "--disable-dev-shm-usage",
];

/** The browser to test with: $CHROMIUM, or the system's. */
export const CHROMIUM =
  process.env["CHROMIUM"] ??
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

/** Have Python make the cases into a temporary folder; $RECON_PYTHON or python3 must import recon. */
export function makeCases(): { folder: string; remove: () => void } {
  const given = process.env["RECON_VIEWER_CASES"];
  if (given !== undefined) return { folder: given, remove: () => undefined };
  const folder = mkdtempSync(join(tmpdir(), "recon-viewer-"));
  execFileSync(
    process.env["RECON_PYTHON"] ?? "python3",
    [resolve(ROOT, "viewer/tests/make_cases.py"), folder],
    {
      env: { ...process.env, OMP_NUM_THREADS: "1" },
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export async function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
}

export interface Opened {
  readonly page: Page;
  readonly server: MockServer;
  /** What the page wrote to the console as an error, or threw. */
  readonly errors: string[];
  /** Save what the window shows, as an artefact to look at. */
  screenshot(name: string): Promise<string>;
  close(): Promise<void>;
}

/** Serve a case, open the page on it, and wait for the first picture. */
export async function open(
  browser: Browser,
  content: string,
  options: {
    width?: number;
    height?: number;
    path?: string;
    mock?: Partial<MockOptions>;
    context?: BrowserContextOptions;
  } = {},
): Promise<Opened> {
  const server = await startMockServer({ page: PAGE, content, ...options.mock });
  const viewport = { width: options.width ?? 320, height: options.height ?? 240 };
  const context = await browser.newContext({ viewport, reducedMotion: "reduce", ...options.context });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await page.goto(server.url + (options.path ?? ""));
  try {
    await until(page, () => {
      const hook = window.__recon;
      return (
        hook !== undefined && ((hook.state.session && hook.framesDrawn > 0) || hook.state.message !== null)
      );
    });
    if (!(await page.evaluate(() => window.__recon.state.session)))
      throw new Error("the page has no session");
  } catch (error) {
    const state = await page.evaluate(() => JSON.stringify(window.__recon?.state ?? document.body.innerText));
    await context.close();
    await server.close();
    throw new Error(`${(error as Error).message}; errors: ${errors.join(" | ")}; state: ${state}`);
  }
  await page.evaluate(() => window.__recon.settle());
  return {
    page,
    server,
    errors,
    screenshot: async (name) => {
      mkdirSync(ARTEFACTS, { recursive: true });
      const path = join(ARTEFACTS, `${name}.png`);
      await page.screenshot({ path });
      return path;
    },
    close: async () => {
      await context.close();
      await server.close();
    },
  };
}

/** Wait until something holds in the page; Playwright's own waitForFunction needs eval, which the page's policy forbids. */
export async function until(page: Page, holds: () => boolean, seconds = 60): Promise<void> {
  for (const end = Date.now() + 1000 * seconds; ;) {
    if (await page.evaluate(holds)) return;
    if (Date.now() > end) throw new Error(`the page did not get there within ${seconds} s: ${String(holds)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A float32 picture that make_cases.py wrote. */
export function readPicture(folder: string, name: string): Float32Array {
  const bytes = readFileSync(join(folder, "pictures", `${name}.bin`));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
