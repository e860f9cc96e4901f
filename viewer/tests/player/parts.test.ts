// The player's parts, each on its own.
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { PlaybackClock } from "../../src/player/clock";
import { FrameDecoder, RefusedFrame } from "../../src/player/frame_decoder";
import { MeanMeter, RateMeter } from "../../src/player/meter";
import { SavedStates } from "../../src/player/saved_states";
import { sha256 } from "../../src/player/sha256";
import { Timeline } from "../../src/player/timeline";
import { checkManifest } from "../../src/stream/manifest";
import type { StreamState } from "../../src/stream/state";
import { random } from "../splats/scenes";
import { CUT, FRAMES, files, manifest } from "./harness";

test("SHA-256 is that of everyone else, at every length around a block's end", () => {
  const next = random(1);
  for (const size of [...Array.from({ length: 200 }, (_, i) => i), 1000, 65_537, 1_000_000]) {
    const content = Uint8Array.from({ length: size }, () => next() * 256);
    expect(sha256(content)).toBe(createHash("sha256").update(content).digest("hex"));
  }
});

test("the clock keeps time, waits for frames and says for how long", () => {
  const clock = new PlaybackClock(20);
  const far = { last: 100, end: false, decoded: 0 };
  clock.tick(1000, far);
  expect(clock.position).toBe(0);
  clock.tick(1100, far);
  expect(clock.position).toBeCloseTo(2);
  clock.speed = 0.5;
  clock.tick(1200, far);
  expect(clock.position).toBeCloseTo(3);
  expect(clock.until(5)).toBeCloseTo(200);
  clock.speed = 1;
  // No further ahead of the decoder than half a second.
  clock.tick(9200, far);
  expect(clock.position).toBeCloseTo(10);
  clock.set(98);
  const near = { last: 100, end: false, decoded: 99 };
  clock.tick(10_000, near);
  clock.tick(10_200, near);
  expect([clock.position, clock.stalled, clock.stalls]).toEqual([101, true, 1]);
  clock.tick(11_200, near);
  expect(clock.waited).toBeCloseTo(1050);
  clock.tick(11_300, { ...near, last: 105 }); // not enough yet
  expect(clock.stalled).toBe(true);
  clock.tick(11_400, { ...near, last: 111 });
  expect([clock.stalled, clock.position]).toEqual([false, 101]);
  clock.tick(11_500, { last: 111, end: false, decoded: 101 });
  expect(clock.position).toBeCloseTo(103);
  // At the end there is nothing to wait for.
  clock.tick(11_600, { last: 103, end: true, decoded: 103 });
  clock.tick(11_700, { last: 103, end: true, decoded: 103 });
  expect([clock.position, clock.stalls]).toEqual([104 < clock.position ? clock.position : 104, 1]);
});

test("ways lead through keyframes, around what is refused, and not across a cut", () => {
  const timeline = new Timeline();
  timeline.update(checkManifest(manifest(), "manifest"));
  expect(timeline.frames).toBe(FRAMES);
  expect(timeline.marks).toEqual([0, 10, 20, 30, CUT, 40, 50]);
  expect(timeline.route(27, null)).toMatchObject({ start: { frame: 20 }, base: 20 });
  expect(timeline.route(27, 22)).toMatchObject({ start: null, base: 22 });
  expect(timeline.route(27, 16)).toMatchObject({ start: null, base: 16 }); // small
  expect(timeline.route(27, 3)).toMatchObject({ start: { frame: 20 } });
  expect(timeline.route(27, 3, true)).toMatchObject({ start: null });
  expect(timeline.route(27, 28)).toMatchObject({ start: { frame: 20 } });
  expect(timeline.route(36, 34)).toMatchObject({ start: { frame: CUT } });
  expect(timeline.after(34)).toMatchObject({ start: { frame: CUT }, frame: CUT });
  expect(timeline.after(9)).toMatchObject({ start: null, frame: 10 });
  expect(timeline.after(FRAMES - 1)).toBeNull();
  expect(timeline.marksWithin(10, 35)).toEqual([20, 30, 35]);
  const way = timeline.route(27, null)!;
  expect(timeline.filesOf(way).map(({ first }) => first)).toEqual([20, 21, 26]);
  timeline.refuseFrame(23);
  expect(timeline.gap(20, 27)).toBe(23);
  expect(timeline.route(27, 21)).toBeNull();
  expect(timeline.nearest(27, null)).toBe(30);
  expect(timeline.after(22)).toMatchObject({ start: { frame: 30 }, frame: 30 });
  timeline.refuseFile(manifest().keyframes.find(({ frame }) => frame === 50)!.name);
  expect(timeline.route(52, null)).toMatchObject({ start: { frame: 40 } });
  timeline.refuseFrame(57);
  expect(timeline.nearest(58, null)).toBe(56);
});

test("records of the socket join what the files have", () => {
  const timeline = new Timeline();
  const whole = manifest();
  const part = { ...whole, frames: 11, live: true };
  part.keyframes = whole.keyframes.filter(({ frame }) => frame < 11);
  part.segments = whole.segments.filter(({ start }) => start < 11);
  timeline.update(checkManifest(part, "manifest"));
  expect(timeline.after(10)).toBeNull();
  timeline.addLive(12, false);
  expect(timeline.frames).toBe(13);
  expect(timeline.route(12, 10)).toBeNull();
  expect(timeline.after(10)).toBeNull(); // 11 is only late
  timeline.addLive(11, false);
  expect(timeline.route(12, 10)).toMatchObject({ start: null });
  timeline.addLive(20, true);
  expect(timeline.keyBefore(25)).toEqual({ frame: 20, file: null });
  expect(timeline.after(12)).toBeNull(); // 13 to 19 may still come
  timeline.dropLive(11);
  expect(timeline.gap(10, 12)).toBe(11);
});

/** A decoder with all files of the stream. */
function filled(decoder: FrameDecoder): FrameDecoder {
  const { keyframes, segments } = checkManifest(manifest(), "manifest");
  const all = files();
  for (const { name, bytes, sha256: hash, frame, preview } of keyframes)
    decoder.add(
      { kind: preview ? "preview" : "key", name, first: frame, last: frame, bytes, sha256: hash },
      all.get(name)!,
    );
  for (const { name, bytes, sha256: hash, start, frames } of segments)
    decoder.add(
      { kind: "segment", name, first: start, last: start + frames - 1, bytes, sha256: hash },
      all.get(name)!,
    );
  return decoder;
}

test("the decoder gives only rows that changed, and gives way to newer wishes", () => {
  const decoder = filled(new FrameDecoder());
  const { segments } = checkManifest(manifest(), "manifest");
  let time = 0;
  const slow = () => (time += 25);
  const first = decoder.advance({ frame: 9, start: 0, verify: "all" }, slow);
  expect([first.update, first.frame < 9]).toEqual([null, true]);
  let step = first;
  while (step.update === null) step = decoder.advance({ frame: 9, start: null, verify: [] }, slow);
  expect(step.update).toMatchObject({ frame: 9, whole: true });
  const next = decoder.advance({ frame: 10, start: null, verify: [10] }).update!;
  expect(next.whole).toBe(false);
  expect(next.parts.length).toBeLessThan(2);
  expect(() => decoder.advance({ frame: 3, start: null, verify: [] })).toThrow(RefusedFrame);
  decoder.remove(segments[2].name);
  expect(() => decoder.advance({ frame: 12, start: 10, verify: [] })).toThrow(/frame 11 is not loaded/);
});

test("going back begins with a state that was saved, and leads to the same frames", () => {
  const saved = new SavedStates(4);
  const decoder = filled(new FrameDecoder(saved));
  const forth = filled(new FrameDecoder(new SavedStates(1000)));
  const to = (one: FrameDecoder, frame: number, start: number | null) =>
    one.advance({ frame, start, verify: "all" }, () => 0);
  expect(to(decoder, 9, 0).decoded).toBe(10);
  for (const [frame, again] of [
    [8, 0],
    [7, 3],
    [3, 4], // no state was saved between: the keyframe
    [9, 1],
  ]) {
    const { update, decoded } = to(decoder, frame, 0);
    expect(decoded).toBe(again);
    expect(update).toMatchObject({ frame, whole: true });
    expect(update!.checksum).toEqual(to(forth, frame, 0).update!.checksum);
  }
  // Once a frame was refused, nothing that led to it is trusted.
  expect(() => to(decoder, 99, null)).toThrow(RefusedFrame);
  expect(to(decoder, 9, 0).decoded).toBe(10);
});

test("saved states keep to their room; the farthest go first", () => {
  const fakeState = (frame: number): StreamState =>
    ({ frame, bytes: 100, copy: () => fakeState(frame) }) as unknown as StreamState;
  const kept = (frames: number[], room: number) => {
    const saved = new SavedStates(1, room);
    for (const frame of frames) saved.offer(fakeState(frame));
    return Array.from({ length: 8 }, (_, frame) => frame).filter(
      (frame) => saved.within(frame, frame) !== null,
    );
  };
  expect(kept([0, 1, 2, 3, 4], 300)).toEqual([2, 3, 4]);
  expect(kept([7, 6, 5, 4], 200)).toEqual([4, 5]);
  expect(kept([1, 2], 99)).toEqual([]);
});

test("meters forget", () => {
  const rate = new RateMeter(1000);
  rate.add(0, 500);
  rate.add(600, 500);
  expect(rate.rate(700)).toBe(1000);
  expect(rate.rate(1400)).toBe(500);
  const mean = new MeanMeter(2);
  expect(mean.mean).toBe(0);
  for (const value of [100, 1, 3]) mean.add(value);
  expect(mean.mean).toBe(2);
});
