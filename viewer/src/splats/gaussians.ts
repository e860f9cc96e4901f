// The container of a Gaussian scene, in the parameters that files hold; the twin of recon/splats/gaussians.py.

/** The constant spherical harmonic: colour = 0.5 + SH_C0 * sh[0]. */
export const SH_C0 = 0.28209479177387814;

/** Attributes by name, in the order in which recon declares them. */
export const ATTRIBUTES = ["means", "logScales", "quaternions", "opacityLogits", "sh"] as const;

/** N anisotropic Gaussians with K spherical-harmonic coefficients of colour; arrays are row after row. */
export interface Gaussians {
  readonly count: number;
  /** K: 1, 4, 9 or 16. */
  readonly coefficients: number;
  /** [N, 3] centres, world units. */
  readonly means: Float32Array<ArrayBuffer>;
  /** [N, 3] logarithm of the standard deviations along the local axes. */
  readonly logScales: Float32Array<ArrayBuffer>;
  /** [N, 4] rotations (w, x, y, z), need not be normalised. */
  readonly quaternions: Float32Array<ArrayBuffer>;
  /** [N] inverse sigmoid of the opacity. */
  readonly opacityLogits: Float32Array<ArrayBuffer>;
  /** [N, K, 3] colour = max(0, 0.5 + SH(direction from the camera's centre)). */
  readonly sh: Float32Array<ArrayBuffer>;
}

export function allocateGaussians(count: number, coefficients: number): Gaussians {
  return {
    count,
    coefficients,
    means: new Float32Array(3 * count),
    logScales: new Float32Array(3 * count),
    quaternions: new Float32Array(4 * count),
    opacityLogits: new Float32Array(count),
    sh: new Float32Array(3 * coefficients * count),
  };
}

export function copyGaussians(gaussians: Gaussians): Gaussians {
  const copy = allocateGaussians(gaussians.count, gaussians.coefficients);
  for (const name of ATTRIBUTES) copy[name].set(gaussians[name]);
  return copy;
}

export function shDegree(gaussians: Gaussians): number {
  return Math.sqrt(gaussians.coefficients) - 1;
}

/** Numbers per Gaussian of each attribute. */
export function widths(coefficients: number): Record<(typeof ATTRIBUTES)[number], number> {
  return { means: 3, logScales: 3, quaternions: 4, opacityLogits: 1, sh: 3 * coefficients };
}

/** Return the Gaussians of these rows, in this order. */
export function selectGaussians(gaussians: Gaussians, rows: ArrayLike<number>): Gaussians {
  const out = allocateGaussians(rows.length, gaussians.coefficients);
  const width = widths(gaussians.coefficients);
  for (const name of ATTRIBUTES) {
    const w = width[name];
    const from = gaussians[name];
    const to = out[name];
    for (let i = 0; i < rows.length; i++) for (let k = 0; k < w; k++) to[i * w + k] = from[rows[i] * w + k];
  }
  return out;
}

/** The buffers to hand over when Gaussians are posted to or from a worker. */
export function transferables(gaussians: Gaussians): ArrayBuffer[] {
  return ATTRIBUTES.map((name) => gaussians[name].buffer);
}
