// The order in which Gaussians are blended: farthest first, by camera z of their centres.
//
// One pass of a counting sort with 16-bit keys. Keys are the bits of the float z, scaled to the range that is in view:
// float bits grow with the logarithm of z, so near Gaussians are told apart as finely, relatively, as far ones.

const BUCKETS = 1 << 16;

/** Centres nearer than this are not drawn, unless a session says otherwise; the rasterizer's `near`. */
export const NEAR = 0.01;

export interface DepthOrder {
  /** Gaussians in front of the camera, farthest first; a view of the sorter's memory until the next call. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** Camera z below which 2 % and 98 % of them lie. */
  readonly depthRange: readonly [number, number];
}

/** Sorts Gaussians again and again without allocating. */
export class DepthSorter {
  /** Camera z up to which nothing is drawn. */
  near = NEAR;
  private means: Float32Array = new Float32Array(0);
  private rows: Uint32Array | null = null;
  private depths: Float32Array<ArrayBuffer> = new Float32Array(0);
  private bits: Int32Array<ArrayBuffer> = new Int32Array(0);
  private keys: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  private order: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  private readonly counts = new Uint32Array(BUCKETS);

  /**
   * Set the centres.
   *
   * @param means [N, 3]; kept, not copied.
   * @param rows which Gaussians to draw; null for all.
   */
  setMeans(means: Float32Array, rows: Uint32Array | null = null): void {
    this.means = means;
    this.rows = rows;
    const count = rows?.length ?? means.length / 3;
    if (this.order.length >= count) return;
    const capacity = Math.ceil(count * 1.25);
    this.depths = new Float32Array(capacity);
    this.bits = new Int32Array(this.depths.buffer);
    this.keys = new Uint16Array(capacity);
    this.order = new Uint32Array(capacity);
  }

  /**
   * Sort by camera z.
   *
   * @param axis third row of world_to_camera: z = axis[0] x + axis[1] y + axis[2] z + axis[3].
   */
  sort(axis: ArrayLike<number>): DepthOrder {
    const { means, rows, depths, bits, keys, order, counts, near } = this;
    const count = rows?.length ?? means.length / 3;
    const [ax, ay, az, aw] = [axis[0], axis[1], axis[2], axis[3]];
    let low = 0x7f7fffff;
    let high = 0;
    for (let i = 0; i < count; i++) {
      const at = 3 * (rows === null ? i : rows[i]);
      depths[i] = ax * means[at] + ay * means[at + 1] + az * means[at + 2] + aw;
      const bit = bits[i];
      if (!(depths[i] > near)) continue;
      if (bit < low) low = bit;
      if (bit > high) high = bit;
    }
    if (high < low) return { order: order.subarray(0, 0), depthRange: [near, near + 1] };
    counts.fill(0);
    const scale = (BUCKETS - 1) / Math.max(1, high - low);
    let visible = 0;
    for (let i = 0; i < count; i++) {
      if (!(depths[i] > near)) continue;
      const key = ((bits[i] - low) * scale) | 0;
      keys[i] = key;
      counts[key]++;
      visible++;
    }
    const depthRange = [
      floatOfBits(low + quantile(counts, 0.02 * visible) / scale),
      floatOfBits(low + (quantile(counts, 0.98 * visible) + 1) / scale),
    ] as const;
    let start = 0;
    for (let key = BUCKETS - 1; key >= 0; key--) {
      const inBucket = counts[key];
      counts[key] = start;
      start += inBucket;
    }
    // Back to front is the reverse of the rasterizer's order, in which equal depths keep the order of their indices.
    for (let i = count - 1; i >= 0; i--)
      if (depths[i] > near) order[counts[keys[i]]++] = rows === null ? i : rows[i];
    return { order: order.subarray(0, visible), depthRange };
  }
}

/**
 * Return the rows of the Gaussians that matter most, at most `budget`, in their order; null when all fit.
 *
 * What matters is the opacity times the two largest standard deviations: the ink a Gaussian can put on the picture.
 */
export function mostVisible(
  logScales: Float32Array,
  opacityLogits: Float32Array,
  budget: number,
): Uint32Array<ArrayBuffer> | null {
  const count = opacityLogits.length;
  if (count <= budget) return null;
  const weights = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const [a, b, c] = [logScales[3 * i], logScales[3 * i + 1], logScales[3 * i + 2]];
    weights[i] = a + b + c - Math.min(a, b, c) - Math.log1p(Math.exp(-opacityLogits[i]));
  }
  const threshold = Float32Array.from(weights).sort()[count - budget];
  const rows = new Uint32Array(budget);
  let used = 0;
  for (let i = 0; i < count && used < budget; i++) if (weights[i] >= threshold) rows[used++] = i;
  return rows.subarray(0, used);
}

const scratch = new Float32Array(1);
const scratchBits = new Int32Array(scratch.buffer);

function floatOfBits(bits: number): number {
  scratchBits[0] = Math.min(0x7f7fffff, bits);
  return scratch[0];
}

function quantile(counts: Uint32Array, rank: number): number {
  let seen = 0;
  for (let key = 0; key < BUCKETS; key++) {
    seen += counts[key];
    if (seen > rank) return key;
  }
  return BUCKETS - 1;
}
