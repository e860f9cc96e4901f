// The binary messages of a running training: some rows of Gaussians, little endian.
import { type Gaussians, allocateGaussians } from "../splats/gaussians";
import { FormatError, MAX_SPLATS, checkGaussians } from "../splats/formats/limits";

const MAGIC = 0x564c4352; // "RCLV", little endian
const HEADER = 32;

export interface LiveFrame {
  readonly frame: number;
  /** Gaussians there are altogether. */
  readonly total: number;
  readonly first: number;
  readonly rows: Gaussians;
  /** What was there before is gone. */
  readonly replaces: boolean;
}

/** Decode one message; throws a FormatError when its numbers do not fit its length. */
export function decodeLiveFrame(message: ArrayBuffer): LiveFrame {
  const source = "the live picture";
  if (message.byteLength < HEADER) throw new FormatError(`${source} is cut off within its header`);
  const view = new DataView(message);
  const [magic, version, frame, total, first, rows, coefficients, flags] = Array.from({ length: 8 }, (_, i) =>
    view.getUint32(4 * i, true),
  );
  if (magic !== MAGIC || version !== 1)
    throw new FormatError(`${source} is of another version than this page; install one version of both`);
  if (total < 1 || total > MAX_SPLATS || rows < 1 || first + rows > total)
    throw new FormatError(`${source} states rows ${first} to ${first + rows} of ${total} Gaussians`);
  if (![1, 4, 9, 16].includes(coefficients))
    throw new FormatError(`${source} has ${coefficients} harmonics; 1, 4, 9 or 16 are possible`);
  const floats = 11 * rows;
  const halves = 3 * coefficients * rows;
  const expected = HEADER + 4 * floats + 2 * halves;
  if (message.byteLength !== expected)
    throw new FormatError(`${source} has ${message.byteLength} bytes where its header needs ${expected}`);
  const out = allocateGaussians(rows, coefficients);
  const numbers = new Float32Array(message, HEADER, floats);
  out.means.set(numbers.subarray(0, 3 * rows));
  out.logScales.set(numbers.subarray(3 * rows, 6 * rows));
  out.quaternions.set(numbers.subarray(6 * rows, 10 * rows));
  out.opacityLogits.set(numbers.subarray(10 * rows));
  const half = new Uint16Array(message, HEADER + 4 * floats, halves);
  for (let i = 0; i < halves; i++) out.sh[i] = HALVES[half[i]];
  checkGaussians(source, out);
  return { frame, total, first, rows: out, replaces: (flags & 1) !== 0 };
}

/** The 65 536 half-precision numbers. */
const HALVES = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14);
});
