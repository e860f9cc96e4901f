// Streams that Python wrote: every state has the checksum that Python computed; and what must be refused.
import { crc32 as zlibCrc, deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { fuzzStreams } from "../../scripts/fuzz_stream";
import { FormatError } from "../../src/splats/formats";
import { crc32 } from "../../src/stream/crc32";
import { inflate } from "../../src/stream/inflate";
import { checkManifest, keyframeBefore, segmentOf } from "../../src/stream/manifest";
import { decodeRans } from "../../src/stream/rans";
import { parseFile } from "../../src/stream/record";
import { StreamState } from "../../src/stream/state";
import { random } from "../splats/scenes";
import vectors from "./vectors.json";

const bytes = (file: string) => new Uint8Array(Buffer.from(file, "base64"));

test.each(vectors)("$codec: every frame has the checksum that Python computed", ({ files, checksums }) => {
  const state = StreamState.fromKeyframe(parseFile(bytes(files[0]), "key")[0]);
  const found = [[0, state.count, ...state.checksum()]];
  const all = files.slice(1).map((file) => parseFile(bytes(file), "file"));
  for (const record of all.flat()) {
    if (record.kind === 1) {
      // A keyframe in the middle is what the frames before it lead to.
      const other = StreamState.fromKeyframe(record);
      expect([other.frame, other.count, ...other.checksum()]).toEqual(checksums[record.frame]);
      continue;
    }
    const before = state.gaussians.means.slice();
    const touched = state.apply(record);
    found.push([state.frame, state.count, ...state.checksum()]);
    const { means } = state.gaussians;
    for (let row = 0; row < Math.min(before.length, means.length) / 3; row++)
      if (!touched.some(({ first, rows }) => first <= row && row < first + rows))
        expect(means.subarray(3 * row, 3 * row + 3)).toEqual(before.subarray(3 * row, 3 * row + 3));
  }
  expect(found).toEqual(checksums);
});

test("a frame that does not follow is refused, and one that does is then still taken", () => {
  const [key, segment] = vectors[3].files.map(bytes);
  const state = StreamState.fromKeyframe(parseFile(key, "key")[0]);
  const records = parseFile(segment, "segment");
  expect(() => state.apply(records[1])).toThrow(FormatError);
  expect(state.apply(records[0]).length).toBeGreaterThan(0);
  expect(() => state.apply(records[0])).toThrow(/start again from a keyframe/);
});

test("every changed byte of a file is noticed", () => {
  const content = bytes(vectors[2].files[1]);
  for (let at = 0; at < content.length; at += 37) {
    const damaged = content.slice();
    damaged[at] ^= 4;
    expect(() => parseFile(damaged, "file")).toThrow(FormatError);
    expect(() => parseFile(content.subarray(0, at), "file")).toThrow(FormatError);
  }
});

test("damaged records are read or refused", () => {
  const { read, refused, slowestMilliseconds } = fuzzStreams(1500, random(5));
  expect(refused).toBeGreaterThan(500);
  expect(read).toBeGreaterThan(50);
  expect(slowestMilliseconds).toBeLessThan(5000);
});

test("deflate streams of zlib are inflated, damaged ones refused", () => {
  const next = random(3);
  for (let round = 0; round < 60; round++) {
    const size = Math.floor(next() ** 3 * 60_000);
    const spread = 1 + Math.floor(next() * 255);
    const content = Uint8Array.from({ length: size }, (_, i) =>
      next() < 0.5 ? i % spread : Math.floor(next() ** 2 * spread),
    );
    const strategy = round % 5; // fixed codes, runs, Huffman only and so on
    const stream = new Uint8Array(deflateRawSync(content, { level: round % 10, strategy }));
    expect(Buffer.compare(inflate(stream, size)!, content)).toBe(0);
    expect(inflate(stream, size + 1)).toBeNull();
    if (size > 0) expect(inflate(stream, size - 1)).toBeNull();
    for (let k = 0; k < 20 && stream.length > 0; k++) {
      const damaged = stream.slice(0, next() < 0.3 ? Math.floor(next() * stream.length) : stream.length);
      if (damaged.length) damaged[Math.floor(next() * damaged.length)] = Math.floor(next() * 256);
      expect(inflate(damaged, size)?.length ?? size).toBe(size);
    }
  }
  expect(inflate(new Uint8Array(9), 1 << 30)).toBeNull();
});

test("CRC-32 is that of zlib", () => {
  for (let size = 0; size < 40; size++) {
    const content = Uint8Array.from({ length: size }, (_, i) => (31 * i + size) & 255);
    if (typeof zlibCrc === "function") expect(crc32(content)).toBe(zlibCrc(content));
  }
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
});

test("rANS refuses what is no table", () => {
  for (const stored of [[], [0, 1], [1, 0], [1, 2], [2, 2, 0, 2], [1, 1, 255], [1, 1, 0, 128, 31]])
    expect(decodeRans(Uint8Array.from(stored), 4, false)).toBeNull();
});

test("manifests are checked", () => {
  const good = vectors[0].manifest;
  const manifest = checkManifest(good, "manifest.json");
  expect(manifest.frames).toBe(9);
  expect(keyframeBefore(manifest, 6)?.frame).toBe(4);
  expect(segmentOf(manifest, 6)?.start).toBe(5);
  expect(segmentOf(manifest, 0)).toBeUndefined();
  const bad: [object, RegExp][] = [
    [{ version: 2 }, /version 2/],
    [{ frames: 99 }, /leads to frame 9/],
    [{ segments: [{ ...good.segments[0], name: "../../etc/passwd" }] }, /"name" cannot be/],
    [{ keyframes: [] }, /leads to frame 0/],
    [{ segments: [good.segments[0], good.segments[0]] }, /overlap/],
    [{ fps: "fast" }, /"fps" cannot be "fast"/],
    [{ bounds: undefined }, /"bounds" cannot be nothing/],
  ];
  for (const [change, sentence] of bad)
    expect(() => checkManifest({ ...good, ...change }, "manifest.json")).toThrow(sentence);
});
