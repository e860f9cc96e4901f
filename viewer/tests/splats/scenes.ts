// Random Gaussians for tests, the same in every run.
import { type Gaussians, allocateGaussians } from "../../src/splats/gaussians";

/** Numbers in [0, 1): mulberry32, 2017, public domain. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomGaussians(count: number, coefficients: number, seed = 1): Gaussians {
  const next = random(seed);
  const normal = () => next() + next() + next() + next() - 2;
  const out = allocateGaussians(count, coefficients);
  out.means.forEach((_, i) => (out.means[i] = 3 * normal()));
  out.logScales.forEach((_, i) => (out.logScales[i] = -3 + normal()));
  out.quaternions.forEach((_, i) => (out.quaternions[i] = normal() + 0.01));
  out.opacityLogits.forEach((_, i) => (out.opacityLogits[i] = 3 * normal()));
  out.sh.forEach((_, i) => (out.sh[i] = 0.5 * normal()));
  return out;
}

/** True when two arrays hold the same float32 words. */
export function sameWords(a: Float32Array, b: Float32Array): boolean {
  const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return bytes(a).equals(bytes(b));
}
