// Streams made by the reference encoder (python-zstandard), decoded here; and damaged ones, which must be refused.
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { inflateZstd } from "../../src/splats/formats/zstd";
import { random } from "./scenes";
import vectors from "./zstd_vectors.json";

const streams = vectors.map(({ stream, ...rest }) => ({
  ...rest,
  stream: new Uint8Array(Buffer.from(stream, "base64")),
}));

test.each(streams)("$name", ({ stream, size, sha256 }) => {
  const data = inflateZstd(stream, size);
  expect(data).not.toBeNull();
  expect(createHash("sha256").update(data!).digest("hex")).toBe(sha256);
  expect(inflateZstd(stream, size + 1)).toBeNull();
  if (size > 0) expect(inflateZstd(stream, size - 1)).toBeNull();
});

test("frames follow each other, and skippable ones are skipped", () => {
  const one = streams.find(({ name }) => name === "one, level 1")!.stream;
  const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9);
  expect([...inflateZstd(Uint8Array.of(...one, ...skippable, ...one), 2)!]).toEqual([120, 120]);
});

test("damage is refused quickly and never beyond the size asked for", () => {
  const next = random(11);
  const start = performance.now();
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const { stream, size } = streams[Math.floor(next() * streams.length)];
    const bad = stream.slice(0, next() < 0.3 ? Math.floor(next() * stream.length) : stream.length);
    for (let k = 0; k < 4 && bad.length; k++) bad[Math.floor(next() * bad.length)] = Math.floor(next() * 256);
    const data = inflateZstd(bad, size);
    if (data === null) refused++;
    else expect(data.length).toBe(size);
  }
  expect(refused).toBeGreaterThan(1000);
  expect(performance.now() - start).toBeLessThan(30_000);
});
