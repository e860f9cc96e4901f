// A player without a page and without a network: both are made up, and every frame that is shown is checked.
import { createHash } from "node:crypto";
import { expect, vi } from "vitest";
import type { Decoder } from "../../src/player/decoder";
import { type AdvanceRequest, FrameDecoder, type Update } from "../../src/player/frame_decoder";
import type { FeedSocket } from "../../src/player/live_feed";
import type { StreamSource } from "../../src/player/loader";
import { Player, type PlayerOptions, type Screen } from "../../src/player/player";
import type { StreamFile } from "../../src/player/timeline";
import { SplatState } from "../../src/splats/residual";
import { crc32 } from "../../src/stream/crc32";
import { checksumOf } from "../../src/stream/state";
import stream from "./stream.json";

export type ManifestJson = typeof stream.manifest;

export const FRAMES = stream.manifest.frames;
export const FPS = stream.manifest.fps;
export const CUT = 35;

/** Bytes of the stream's files by name, and of its records by frame. */
export function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64, "base64"));
}
export const record = (frame: number) => bytes((stream.records as Record<string, string>)[String(frame)]);
export const manifest = (): ManifestJson => structuredClone(stream.manifest);
export const files = (): Map<string, Uint8Array<ArrayBuffer>> =>
  new Map(Object.entries(stream.files).map(([name, content]) => [name, bytes(content)]));

/** The record of a full keyframe: its file without the header. */
export function keyRecord(frame: number): Uint8Array<ArrayBuffer> {
  const { name } = stream.manifest.keyframes.find(
    (key) => key.frame === frame && key.name.startsWith("key"),
  )!;
  return files().get(name)!.slice(16);
}

/** The manifest as it was when there were only so many frames. */
export function manifestUpTo(frames: number, live = true): ManifestJson {
  const whole = manifest();
  return {
    ...whole,
    frames,
    live,
    keyframes: whole.keyframes.filter(({ frame }) => frame < frames),
    segments: whole.segments.filter(({ start, frames: count }) => start + count <= frames),
  };
}

/** Put other bytes in place of a file, so that name, size and hash are right again. */
export function replaceFile(
  json: ManifestJson,
  all: Map<string, Uint8Array>,
  name: string,
  content: Uint8Array,
): string {
  const sha256 = createHash("sha256").update(content).digest("hex");
  const renamed = name.replace(/[0-9a-f]{16}/, sha256.slice(0, 16));
  all.delete(name);
  all.set(renamed, content);
  for (const file of [...json.keyframes, ...json.segments])
    if (file.name === name) Object.assign(file, { name: renamed, sha256, bytes: content.length });
  return renamed;
}

/** Change bytes of the first record of a file (offset within the record) and give it its CRC again. */
export function forge(content: Uint8Array, change: (record: DataView) => void): Uint8Array<ArrayBuffer> {
  const forged = content.slice() as Uint8Array<ArrayBuffer>;
  const view = new DataView(forged.buffer, 16);
  change(view);
  const length = view.getUint32(4, true);
  view.setUint32(8, crc32(forged.subarray(16 + 12, 16 + length)), true);
  return forged;
}

export type Fault = "drop" | "damage" | "hang" | "cut" | "missing" | null;

/** A host of files with latency, limited rate and faults, in the time of the fake clock. */
export class FakeNetwork implements StreamSource {
  latency = 20;
  bytesPerSecond = 1e7;
  json: unknown = manifest();
  all = files();
  /** What happens to a request; attempts count from 0 for each name. */
  fault: (name: string, attempt: number) => Fault = () => null;
  readonly requests: { name: string; fresh: boolean }[] = [];
  private readonly attempts = new Map<string, number>();

  async manifest(signal: AbortSignal): Promise<unknown> {
    const fault = this.next("manifest.json", false);
    await this.wait(this.latency, signal);
    if (fault !== null) throw new Error("the stream's server does not answer");
    return structuredClone(this.json);
  }

  async file(name: string, signal: AbortSignal, fresh: boolean, progress: (bytes: number) => void) {
    const fault = this.next(name, fresh);
    await this.wait(this.latency, signal);
    const content = this.all.get(name)?.slice() as Uint8Array<ArrayBuffer> | undefined;
    if (content === undefined || fault === "missing") throw new Error(`the server answered 404 to ${name}`);
    const pieces = 4;
    for (let piece = 0; piece < pieces; piece++) {
      if (piece === 2 && fault === "drop") throw new Error("the connection was lost");
      if (piece === 2 && fault === "hang") await this.wait(1e9, signal);
      const size = Math.ceil(content.length / pieces);
      await this.wait((1000 * size) / this.bytesPerSecond, signal);
      progress(Math.min(size, content.length - piece * size));
    }
    if (fault === "damage") content[content.length >> 1] ^= 8;
    return fault === "cut" ? content.slice(0, content.length >> 1) : content;
  }

  private next(name: string, fresh: boolean): Fault {
    this.requests.push({ name, fresh });
    const attempt = this.attempts.get(name) ?? 0;
    this.attempts.set(name, attempt + 1);
    return this.fault(name, attempt);
  }

  /** Wait; like a fetch, it ends with an error when it is given up. */
  private wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(new DOMException("aborted", "AbortError"));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", stop);
        resolve();
      }, milliseconds);
      signal.addEventListener("abort", stop);
    });
  }
}

/** The worker's code without a worker, as far away as one. */
export class NearDecoder implements Decoder {
  readonly inner = new FrameDecoder();
  delay = 1;
  private line: Promise<unknown> = Promise.resolve();

  add(file: StreamFile, content: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.later(() => this.inner.add(file, content));
  }
  addRecord(content: Uint8Array<ArrayBuffer>) {
    return this.later(() => this.inner.addRecord(content));
  }
  remove(name: string): void {
    void this.later(() => this.inner.remove(name));
  }
  removeLive(frame: number): void {
    void this.later(() => this.inner.removeLive(frame));
  }
  preview(name: string): Promise<Update> {
    return this.later(() => structuredClone(this.inner.preview(name)));
  }
  advance(request: AdvanceRequest) {
    return this.later(() => structuredClone(this.inner.advance(request)));
  }
  close(): void {}

  private later<T>(work: () => T): Promise<T> {
    const done = this.line.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, this.delay));
      return work();
    });
    this.line = done.catch(() => undefined);
    return done;
  }
}

/** Takes updates as the splats do, and says whether what they lead to is the frame that it should be. */
export class CheckedScreen implements Screen {
  delay = 3;
  readonly frames: number[] = [];
  readonly wrong: string[] = [];
  previews = 0;
  private state: SplatState | null = null;

  async show(updates: readonly Update[]): Promise<void> {
    for (const { whole, count, parts } of updates)
      if (whole) this.state = new SplatState(parts[0].rows);
      else this.state!.update(count, parts);
    await new Promise((resolve) => setTimeout(resolve, this.delay));
    const last = updates.at(-1)!;
    const found = checksumOf(this.state!.gaussians).map((x) => x >>> 0);
    const is = (expected: readonly number[]) => expected.every((x, i) => x === found[i]);
    if (last.frame === 0 && is(stream.preview)) this.previews++;
    else {
      this.frames.push(last.frame);
      if (!is(stream.pictures[last.frame])) this.wrong.push(`frame ${last.frame}`);
      const [, ...state] = stream.checksums[last.frame];
      if (last.checksum !== null && !state.every((x, i) => x === last.checksum![i] >>> 0))
        this.wrong.push(`state of frame ${last.frame}`);
    }
  }
}

/** The page's end of a socket whose server is the test. */
export class FakeSocket implements FeedSocket {
  static all: FakeSocket[] = [];
  onmessage: FeedSocket["onmessage"] = null;
  onclose: FeedSocket["onclose"] = null;
  closed = false;

  constructor() {
    FakeSocket.all.push(this);
  }
  say(message: object): void {
    this.onmessage?.call(this as never, { data: JSON.stringify(message) } as MessageEvent);
  }
  send(content: Uint8Array): void {
    this.onmessage?.call(this as never, { data: content.slice().buffer } as MessageEvent);
  }
  drop(code = 1006): void {
    this.closed = true;
    this.onclose?.call(this as never, { code } as CloseEvent);
  }
  close(): void {
    this.closed = true;
  }
}

export interface Setup {
  readonly player: Player;
  readonly network: FakeNetwork;
  readonly decoder: NearDecoder;
  readonly screen: CheckedScreen;
  readonly messages: string[];
  /** Let time pass. */
  run(milliseconds: number): Promise<void>;
  /** Let time pass until something holds. */
  until(holds: () => boolean, milliseconds?: number): Promise<number>;
}

export function setUp(options: Partial<PlayerOptions> = {}): Setup {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  FakeSocket.all = [];
  const [network, decoder, screen] = [new FakeNetwork(), new NearDecoder(), new CheckedScreen()];
  const player = new Player({
    source: network,
    decoder,
    screen,
    openSocket: null,
    autoplay: true,
    verifyAll: true,
    ...options,
  });
  const messages: string[] = [];
  player.onMessage = (sentence) => messages.push(sentence);
  const run = async (milliseconds: number) => {
    await vi.advanceTimersByTimeAsync(milliseconds);
    expect(screen.wrong).toEqual([]);
  };
  const until = async (holds: () => boolean, milliseconds = 60_000) => {
    const start = performance.now();
    while (!holds()) {
      if (performance.now() - start > milliseconds)
        throw new Error(
          `not within ${milliseconds} ms: ${String(holds)}; ${player.state} at ${player.shown}, ` +
            `target ${player.place}, shown ${screen.frames.join(" ")}; ${messages.join(" | ")}`,
        );
      await run(5);
    }
    return performance.now() - start;
  };
  return { player, network, decoder, screen, messages, run, until };
}

export const upTo = (last: number, first = 0) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
