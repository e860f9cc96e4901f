// Gaussians that change from frame to frame: a state with room to grow, and the residuals that move it on.
import { type Gaussians, ATTRIBUTES, allocateGaussians, widths } from "./gaussians";

/** Consecutive rows that change: what is given is added, in float32, to what is there. */
export interface RowResidual {
  readonly first: number;
  readonly rows: number;
  readonly means?: Float32Array;
  readonly logScales?: Float32Array;
  readonly quaternions?: Float32Array;
  readonly opacityLogits?: Float32Array;
  readonly sh?: Float32Array;
}

/** What one frame changes: first rows are moved, then rows vanish (later ones close up), then new ones are appended. */
export interface Residual {
  readonly changed: readonly RowResidual[];
  /** Ascending row numbers. */
  readonly removed?: Uint32Array;
  readonly births?: Gaussians;
}

/** Rows [first, first + rows). */
export interface RowRange {
  readonly first: number;
  readonly rows: number;
}

/** Room grows by this factor, so that births seldom move everything. */
const GROWTH = 1.25;

/** The current Gaussians, in arrays that have room for more. */
export class SplatState {
  private store: Gaussians;
  private used: number;

  constructor(keyframe: Gaussians) {
    this.store = keyframe;
    this.used = keyframe.count;
  }

  get count(): number {
    return this.used;
  }

  /** The Gaussians as they are now; views of the state's memory, which the next change overwrites. */
  get gaussians(): Gaussians {
    return viewRows(this.store, 0, this.used);
  }

  /** Apply a residual; returns the ranges of rows whose numbers changed. Throws a RangeError where it does not fit. */
  apply(residual: Residual): RowRange[] {
    this.check(residual);
    const width = widths(this.store.coefficients);
    const touched: RowRange[] = [];
    for (const change of residual.changed) {
      for (const name of ATTRIBUTES) {
        const added = change[name];
        if (added === undefined) continue;
        const at = change.first * width[name];
        const values = this.store[name];
        for (let i = 0; i < added.length; i++) values[at + i] += added[i];
      }
      if (change.rows > 0) touched.push({ first: change.first, rows: change.rows });
    }
    const before = this.used;
    const removed = residual.removed ?? new Uint32Array(0);
    if (removed.length) this.remove(removed);
    if (residual.births !== undefined) this.append(residual.births);
    const moved = removed.length ? removed[0] : before;
    if (moved < this.used) touched.push({ first: moved, rows: this.used - moved });
    return touched
      .map(({ first, rows }) => ({ first, rows: Math.min(rows, this.used - first) }))
      .filter(({ rows }) => rows > 0);
  }

  /** Replace rows, growing the state where they lie beyond its end. */
  replace(first: number, rows: Gaussians): RowRange {
    if (rows.coefficients !== this.store.coefficients || first > this.used)
      throw new RangeError(`rows from ${first} do not fit ${this.used} Gaussians`);
    this.reserve(first + rows.count);
    this.used = Math.max(this.used, first + rows.count);
    const width = widths(this.store.coefficients);
    for (const name of ATTRIBUTES) this.store[name].set(rows[name], first * width[name]);
    return { first, rows: rows.count };
  }

  /** Replace rows and set how many there are; all rows beyond the present end must be among them. */
  update(count: number, parts: readonly { readonly first: number; readonly rows: Gaussians }[]): void {
    let end = this.used;
    for (const { first, rows } of parts) {
      if (rows.coefficients !== this.store.coefficients || first > end || first + rows.count > count)
        throw new RangeError(`rows from ${first} do not fit ${count} Gaussians`);
      end = Math.max(end, first + rows.count);
    }
    if (end < count) throw new RangeError(`rows ${end} to ${count} are missing`);
    this.reserve(count);
    this.used = count;
    const width = widths(this.store.coefficients);
    for (const { first, rows } of parts)
      for (const name of ATTRIBUTES) this.store[name].set(rows[name], first * width[name]);
  }

  private check({ changed, removed, births }: Residual): void {
    const width = widths(this.store.coefficients);
    for (const change of changed) {
      if (!(change.first >= 0 && change.rows >= 0 && change.first + change.rows <= this.used))
        throw new RangeError(
          `rows ${change.first} to ${change.first + change.rows} do not lie within ${this.used} Gaussians`,
        );
      for (const name of ATTRIBUTES)
        if (change[name] !== undefined && change[name].length !== change.rows * width[name])
          throw new RangeError(
            `${name} of ${change.rows} rows should have ${change.rows * width[name]} numbers`,
          );
    }
    let last = -1;
    for (const row of removed ?? []) {
      if (row <= last || row >= this.used)
        throw new RangeError(`removed rows must ascend and lie within ${this.used} Gaussians`);
      last = row;
    }
    if (births !== undefined && births.coefficients !== this.store.coefficients)
      throw new RangeError(
        `births have ${births.coefficients} harmonics, the others ${this.store.coefficients}`,
      );
  }

  private remove(removed: Uint32Array): void {
    const width = widths(this.store.coefficients);
    for (const name of ATTRIBUTES) {
      const w = width[name];
      const values = this.store[name];
      let to = removed[0];
      for (let i = 0; i < removed.length; i++) {
        const from = removed[i] + 1;
        const end = i + 1 < removed.length ? removed[i + 1] : this.used;
        values.copyWithin(to * w, from * w, end * w);
        to += end - from;
      }
    }
    this.used -= removed.length;
  }

  private append(births: Gaussians): void {
    this.replace(this.used, births);
  }

  private reserve(count: number): void {
    if (count <= this.store.count) return;
    const grown = allocateGaussians(Math.ceil(count * GROWTH), this.store.coefficients);
    const kept = this.gaussians;
    for (const name of ATTRIBUTES) grown[name].set(kept[name]);
    this.store = grown;
  }
}

/** The Gaussians of consecutive rows, without copying. */
export function viewRows(gaussians: Gaussians, first: number, rows: number): Gaussians {
  const width = widths(gaussians.coefficients);
  const part = (name: (typeof ATTRIBUTES)[number]) =>
    gaussians[name].subarray(first * width[name], (first + rows) * width[name]);
  return {
    count: rows,
    coefficients: gaussians.coefficients,
    means: part("means"),
    logScales: part("logScales"),
    quaternions: part("quaternions"),
    opacityLogits: part("opacityLogits"),
    sh: part("sh"),
  };
}
