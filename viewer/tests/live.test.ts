import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { decodeLiveFrame } from "../src/live/frames";
import { Training, parseProgress } from "../src/live/training";
import type { Server } from "../src/session";
import { FormatError } from "../src/splats/formats";

/** A message of `rows` rows whose floats count up and whose halves are all 1.5. */
function message(rows: number, changes: Partial<Record<number, number>> = {}): ArrayBuffer {
  const coefficients = 4;
  const buffer = new ArrayBuffer(32 + 44 * rows + 6 * coefficients * rows);
  const header = [0x564c4352, 1, 9, 10, 2, rows, coefficients, 1];
  const view = new DataView(buffer);
  header.forEach((value, i) => view.setUint32(4 * i, changes[i] ?? value, true));
  for (let i = 0; i < 11 * rows; i++) view.setFloat32(32 + 4 * i, i, true);
  for (let at = 32 + 44 * rows; at < buffer.byteLength; at += 2) view.setUint16(at, 0x3e00, true);
  return buffer;
}

describe("live frames", () => {
  test("hold rows of Gaussians, planar", () => {
    const { frame, total, first, rows, replaces } = decodeLiveFrame(message(3));
    expect({ frame, total, first, replaces }).toEqual({ frame: 9, total: 10, first: 2, replaces: true });
    expect([...rows.means]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...rows.logScales.subarray(0, 2)]).toEqual([9, 10]);
    expect([...rows.quaternions.subarray(0, 2)]).toEqual([18, 19]);
    expect([...rows.opacityLogits]).toEqual([30, 31, 32]);
    expect(rows.sh.every((value) => value === 1.5)).toBe(true);
  });

  test.each([
    ["another magic", { 0: 1 }],
    ["another version", { 1: 2 }],
    ["more Gaussians than are read", { 3: 1 << 30 }],
    ["rows beyond the total", { 4: 9 }],
    ["a count that does not fit the length", { 5: 4 }],
    ["a degree that does not exist", { 6: 5 }],
  ])("with %s are refused", (_, changes) => {
    expect(() => decodeLiveFrame(message(3, changes))).toThrow(FormatError);
  });

  test("that are too short, or hold NaN, are refused", () => {
    expect(() => decodeLiveFrame(new ArrayBuffer(8))).toThrow(FormatError);
    const bad = message(1);
    new DataView(bad).setFloat32(32, NaN, true);
    expect(() => decodeLiveFrame(bad)).toThrow(/NaN/);
  });
});

test("progress is read with care", () => {
  expect(parseProgress({ state: "paused", iteration: 5, loss: 0.5, eta: null })).toMatchObject({
    ...{ state: "paused", iteration: 5, loss: 0.5, eta: null, psnr: null, message: null },
  });
  expect(parseProgress({ state: "dancing", iteration: "x", message: 4 })).toMatchObject({
    ...{ state: "waiting", iteration: 0, message: null },
  });
});

describe("the socket to a training", () => {
  class FakeSocket {
    readyState = 1;
    readonly sent: unknown[] = [];
    onopen = () => undefined;
    onclose: (event: { code: number }) => void = () => undefined;
    onmessage: (event: { data: unknown }) => void = () => undefined;
    send(message: string): void {
      this.sent.push(JSON.parse(message));
    }
  }
  const sockets: FakeSocket[] = [];
  const sentences: string[] = [];
  let training: Training;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", { OPEN: 1 });
    sockets.length = sentences.length = 0;
    const openLive = () => {
      sockets.push(new FakeSocket());
      return sockets.at(-1);
    };
    training = new Training({ openLive } as unknown as Server);
    training.onError = (sentence) => sentences.push(sentence);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  test("acknowledges a frame once, when its last part is shown", async () => {
    const shown: number[] = [];
    training.onFrame = async ({ first }) => void shown.push(first);
    sockets[0].onmessage({ data: message(3) });
    sockets[0].onmessage({ data: message(5, { 4: 5, 7: 0 }) });
    await vi.runAllTimersAsync();
    expect(shown).toEqual([2, 5]);
    expect(sockets[0].sent).toEqual([{ type: "ack", frame: 9 }]);
  });

  test.each([
    ["a lost connection", 1006, 2000],
    ["a server with too many pages", 1013, 15_000],
  ])("is opened again after %s", (_, code, wait) => {
    sockets[0].onclose({ code });
    vi.advanceTimersByTime(wait - 1);
    expect(sockets.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(sockets.length).toBe(2);
    expect(sentences).toEqual([]);
  });

  test.each([1003, 1007, 1008, 1009])("is not opened again after a refusal, %i", (code) => {
    sockets[0].onclose({ code });
    vi.advanceTimersByTime(60_000);
    expect(sockets.length).toBe(1);
    expect(sentences.length).toBe(1);
  });
});
