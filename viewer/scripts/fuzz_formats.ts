// Damaged files for the readers: how many were refused, how long the slowest took, and how much was allocated.
import { type SplatFormat, FormatError, decodeSplats, encodeSplats } from "../src/splats/formats";
import { allocateGaussians } from "../src/splats/gaussians";
import { inflateZstd } from "../src/splats/formats/zstd";

export interface FuzzResult {
  readonly inputs: number;
  readonly refused: number;
  readonly slowestMilliseconds: number;
  /** Most bytes allocated for an input, all together, as a multiple of its length. */
  readonly mostAllocated: number;
  /** The largest single array, likewise. */
  readonly largestArray: number;
}

/** Small inputs may take this much however short they are: headers, tables and blocks of constant size. */
const FREE = 1 << 16;

/** Feed mutated files to a reader; anything but a FormatError, or Gaussians, is thrown on. */
export async function fuzz(
  format: SplatFormat | "zstd",
  seeds: readonly Uint8Array[],
  inputs: number,
  next: () => number,
): Promise<FuzzResult> {
  const meter = meterAllocations();
  let refused = 0;
  let slowestMilliseconds = 0;
  let mostAllocated = 0;
  let largestArray = 0;
  try {
    for (let i = 0; i < inputs; i++) {
      const content = mutate(seeds[i % seeds.length], next);
      meter.bytes = meter.largest = 0;
      const start = performance.now();
      try {
        if (format === "zstd") refused += inflateZstd(content, 4096) === null ? 1 : 0;
        else await decodeSplats(content, format, "fuzzed");
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        refused++;
      }
      slowestMilliseconds = Math.max(slowestMilliseconds, performance.now() - start);
      const length = Math.max(1, content.length);
      mostAllocated = Math.max(mostAllocated, (meter.bytes - FREE) / length);
      largestArray = Math.max(largestArray, (meter.largest - FREE) / length);
    }
  } finally {
    meter.restore();
  }
  return { inputs, refused, slowestMilliseconds, mostAllocated, largestArray };
}

/** Good files to start from: all degrees of harmonics, and for .ply text and binary. */
export async function seedFiles(format: SplatFormat, next: () => number): Promise<Uint8Array[]> {
  const files: Uint8Array[] = [];
  for (const [count, coefficients] of [
    [1, 1],
    [7, 4],
    [60, 9],
    [130, 16],
    [900, 16],
  ]) {
    const gaussians = allocateGaussians(count, coefficients);
    for (const values of [
      gaussians.means,
      gaussians.logScales,
      gaussians.quaternions,
      gaussians.opacityLogits,
      gaussians.sh,
    ])
      values.forEach((_, i) => (values[i] = 2 * next() - 1));
    files.push(await encodeSplats(gaussians, format));
  }
  if (format === "ply") files.push(textPly());
  return files;
}

function textPly(): Uint8Array {
  const names = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split(
    " ",
  );
  const header = [
    "ply",
    "format ascii 1.0",
    "element vertex 3",
    ...names.map((name) => `property float ${name}`),
  ];
  const rows = [0, 1, 2].map((row) => names.map((_, i) => (row + i / 7).toFixed(3)).join(" "));
  return new TextEncoder().encode([...header, "end_header", ...rows, ""].join("\n"));
}

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Change bytes, numbers, lengths and order. */
function mutate(seed: Uint8Array, next: () => number): Uint8Array<ArrayBuffer> {
  let content = seed.slice();
  const below = (limit: number) => Math.floor(next() * limit);
  for (let changes = 1 + below(5); changes > 0 && content.length > 4; changes--) {
    // Headers decide most, so half of the changes are made near the start.
    const at = below(next() < 0.5 ? Math.min(64, content.length) : content.length);
    const kind = below(7);
    if (kind === 0) content[at] ^= 1 << below(8);
    else if (kind === 1) content[at] = below(256);
    else if (kind === 2 && at + 4 <= content.length)
      new DataView(content.buffer).setUint32(at, INTERESTING[below(INTERESTING.length)], true);
    else if (kind === 3) content = content.slice(0, at);
    else if (kind === 4) {
      const piece = content.slice(at, at + 1 + below(40));
      content = new Uint8Array(Buffer.concat([content.subarray(0, at), piece, content.subarray(at)]));
    } else if (kind === 5) content.fill(below(256), at, at + below(24));
    else {
      // A digit of a text header.
      const place = content.subarray(0, 4096).findIndex((byte, i) => i >= at && byte >= 48 && byte <= 57);
      if (place >= 0) content[place] = 48 + below(10);
    }
  }
  return content;
}

/** Count the bytes of all typed arrays that are made by length from now on. */
function meterAllocations(): { bytes: number; largest: number; restore: () => void } {
  const names = ["Float32Array", "Float64Array", "Uint8Array", "Uint16Array", "Uint32Array"] as const;
  const originals = names.map((name) => globalThis[name]);
  const meter = {
    bytes: 0,
    largest: 0,
    restore: () => names.forEach((name, i) => Object.assign(globalThis, { [name]: originals[i] })),
  };
  names.forEach((name, i) => {
    const original = originals[i];
    const metered = new Proxy(original, {
      construct(target, parameters: unknown[]): object {
        if (typeof parameters[0] === "number") {
          const bytes = parameters[0] * original.BYTES_PER_ELEMENT;
          meter.bytes += bytes;
          meter.largest = Math.max(meter.largest, bytes);
        }
        return Reflect.construct(target, parameters) as object;
      },
    });
    Object.assign(globalThis, { [name]: metered });
  });
  return meter;
}
