// What every file of Gaussians must satisfy, on the way in and on the way out; the twin of recon/splats/formats/limits.py.
import { type Gaussians, ATTRIBUTES } from "../gaussians";

/** A file that cannot be read or written; the message is a sentence for the user. */
export class FormatError extends Error {
  override name = "FormatError";
}

/** Most Gaussians that the page opens (8.4 million): 0.5 GB of floats without view-dependent colour. */
export const MAX_SPLATS = 1 << 23;

/** exp(88.7) overflows float32; no standard deviation of 10^34 is meant. */
export const MAX_LOG_SCALE = 80;

/** Throw unless a file may hold this many Gaussians. */
export function checkCount(source: string, count: number): void {
  if (count < 1) throw new FormatError(`${source} holds no Gaussians`);
  if (count > MAX_SPLATS)
    throw new FormatError(`${source} states ${count} Gaussians; files of at most ${MAX_SPLATS} are read`);
}

/**
 * Throw when an attribute is NaN, infinite, or a scale that overflows.
 *
 * Zero quaternions, which some programs write for invisible Gaussians, become the identity in place.
 */
export function checkGaussians(source: string, gaussians: Gaussians): void {
  for (const name of ATTRIBUTES) {
    const values = gaussians[name];
    const bad = firstNotFinite(values);
    if (bad >= 0) {
      const row = Math.floor(bad / (values.length / gaussians.count));
      throw new FormatError(`${source} is damaged: ${WORDS[name]} of Gaussian ${row} is NaN or infinite`);
    }
  }
  for (const value of gaussians.logScales)
    if (value > MAX_LOG_SCALE)
      throw new FormatError(`${source} is damaged: it holds a Gaussian larger than any number can say`);
  const q = gaussians.quaternions;
  for (let i = 0; i < q.length; i += 4)
    if (q[i] === 0 && q[i + 1] === 0 && q[i + 2] === 0 && q[i + 3] === 0) q.set([1, 0, 0, 0], i);
}

/** Throw unless Gaussians can be written and read again. */
export function checkToWrite(gaussians: Gaussians): void {
  if (gaussians.count < 1) throw new FormatError("nothing was written: there are no Gaussians");
  for (const name of ATTRIBUTES)
    if (firstNotFinite(gaussians[name]) >= 0)
      throw new FormatError(`nothing was written: the ${WORDS[name]} hold NaN or infinity`);
}

/** Opacity as a byte, 0 to 255 for 0 to 1. */
export function byteOpacity(logit: number): number {
  return roundHalfEven(255 / (1 + Math.exp(-Math.min(80, Math.max(-80, logit)))));
}

/** Inverse sigmoid of opacities stored as bytes; 0 and 255 count as 0.25 and 254.75, to stay finite. */
export const BYTE_OPACITY_LOGITS = Float32Array.from({ length: 256 }, (_, byte) => {
  const level = Math.min(254.75, Math.max(0.25, byte));
  return Math.log(level / (255 - level));
});

/** Round to the nearest whole number, halves to the even one, as numpy does. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  return rest > 0.5 || floor % 2 !== 0 ? floor + 1 : floor;
}

export function clampByte(value: number): number {
  return Math.min(255, Math.max(0, value));
}

const WORDS: Record<(typeof ATTRIBUTES)[number], string> = {
  means: "means",
  logScales: "log scales",
  quaternions: "quaternions",
  opacityLogits: "opacity logits",
  sh: "sh",
};

function firstNotFinite(values: Float32Array): number {
  // x - x is 0 for every finite x and NaN for all else.
  for (let i = 0; i < values.length; i++) if (values[i] - values[i] !== 0) return i;
  return -1;
}
