// A few thousand damaged files; `npm run fuzz` takes 100 000.
import { expect, test } from "vitest";
import { fuzz, seedFiles } from "../../scripts/fuzz_formats";
import { inflateZstd } from "../../src/splats/formats/zstd";
import { random } from "./scenes";
import vectors from "./zstd_vectors.json";

test.each(["ply", "spz", "splat"] as const)("damaged .%s files are read or refused", async (format) => {
  const next = random(format.length);
  const seeds = await seedFiles(format, next);
  const result = await fuzz(format, seeds, 1000, next);
  expect(result.refused).toBeGreaterThan(100);
  // A .spz file is itself smaller than its bytes once unpacked, which count as well.
  expect(result.mostAllocated).toBeLessThanOrEqual(format === "spz" ? 12 : 4);
  expect(result.slowestMilliseconds).toBeLessThan(5000); // a second, on a machine that does nothing else
});

test("damaged zstd streams are read or refused", async () => {
  const seeds = vectors.map(({ stream }) => new Uint8Array(Buffer.from(stream, "base64")));
  const result = await fuzz("zstd", seeds, 2000, random(8));
  expect(result.refused).toBeGreaterThan(1500);
  expect(inflateZstd(seeds[0], 5)).toBeNull();
});
