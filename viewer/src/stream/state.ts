// The Gaussians that a stream's frames move on, all numbers on grids; the twin of recon/streaming/state.py and apply.py.
//
// Every number is n * 2^grid with |n| < 2^23, so additions are exact in double and in single precision alike, and
// nothing depends on the order or the machine.
import { FormatError } from "../splats/formats";
import {
  type Gaussians,
  ATTRIBUTES as ARRAYS,
  allocateGaussians,
  copyGaussians,
  shDegree,
  widths,
} from "../splats/gaussians";
import { type RowRange, viewRows } from "../splats/residual";
import { type Decoder, readDecoders } from "./decoders";
import { addLatents } from "./latents";
import {
  ANCHOR_COLUMN,
  ATTRIBUTES,
  type Attribute,
  CHECKSUM_COLUMNS,
  GRID_RANGE,
  MAX_CODE,
  RecordKind,
  SectionId,
  UNITS,
  attributeWidth,
  attributes,
} from "./layout";
import type { StreamRecord } from "./record";

/** Room grows by this factor, so that births seldom move everything. */
const GROWTH = 1.25;

/** Changed rows are told in blocks of this many, a row of the renderer's textures. */
const BLOCK = 1024;

/** The state after a frame, in arrays with room for more. */
export class StreamState {
  private used: number;
  private broken = false;

  private constructor(
    private store: Gaussians,
    readonly degree: number,
    /** Step of each attribute. */
    private readonly steps: readonly number[],
    private decoders: Map<number, Decoder>,
    private anchors: Int32Array | null,
    private anchorCount: number,
    private lastFrame: number,
  ) {
    this.used = store.count;
  }

  /** Decode a keyframe. Throws a FormatError when it is damaged or, if asked to verify, has another checksum. */
  static fromKeyframe(record: StreamRecord, verify = true): StreamState {
    const { source, frame, rows, degree } = record;
    if (record.kind !== RecordKind.keyframe)
      throw new FormatError(`${source}: frame ${frame} is not a keyframe`);
    const grids = new Int8Array(record.bytes(SectionId.grids));
    if (
      grids.length !== ATTRIBUTES.length ||
      grids.some((grid) => grid < GRID_RANGE[0] || grid > GRID_RANGE[1])
    )
      throw new FormatError(`${source}: the grids of frame ${frame} are out of range`);
    const steps = Array.from(grids, (grid) => 2 ** grid);
    // Before anything is allocated: the bytes that the state needs must be there.
    for (const { index } of attributes(degree))
      record.expectMatrix(SectionId.values + index, rows, attributeWidth(index, degree));
    const coefficients = (degree + 1) ** 2;
    const store = allocateGaussians(rows, coefficients);
    const strides = widths(coefficients);
    for (const { index, array, column } of attributes(degree)) {
      const width = attributeWidth(index, degree);
      const units = record.matrix(SectionId.values + index, rows, width, UNITS - 1);
      const values = store[array];
      for (let i = 0, row = column; i < units.length; row += strides[array])
        for (let k = 0; k < width; k++) values[row + k] = units[i++] * steps[index];
    }
    const decoders = readDecoders(record, new Map());
    let anchors: Int32Array | null = null;
    if (record.has(SectionId.anchors)) {
      anchors = record.matrix(SectionId.anchors, rows, 1, rows - 1);
      if (anchors.some((anchor) => anchor < 0))
        throw new FormatError(`${source}: an anchor of frame ${frame} is negative`);
    }
    const anchorCount = anchors === null ? 0 : highest(anchors, rows) + 1;
    const state = new StreamState(store, degree, steps, decoders, anchors, anchorCount, frame);
    if (verify) state.verify(record);
    return state;
  }

  get frame(): number {
    return this.lastFrame;
  }

  get count(): number {
    return this.used;
  }

  /** Bytes that a copy takes. */
  get bytes(): number {
    const { coefficients } = this.store;
    const numbers = ARRAYS.reduce(
      (sum, name) => sum + widths(coefficients)[name],
      this.anchors === null ? 0 : 1,
    );
    return 4 * numbers * this.used;
  }

  /** The same state, apart from this one. */
  copy(): StreamState {
    return new StreamState(
      copyGaussians(this.gaussians),
      this.degree,
      this.steps,
      this.decoders,
      this.anchors && this.anchors.slice(0, this.used),
      this.anchorCount,
      this.lastFrame,
    );
  }

  /** The Gaussians as they are now; views of the state's memory, which the next frame overwrites. */
  get gaussians(): Gaussians {
    return viewRows(this.store, 0, this.used);
  }

  /**
   * Move on by a residual record; returns the ranges of rows whose numbers may have changed.
   *
   * Throws a FormatError where it does not fit. When that shows only half-way, the state refuses everything that
   * follows: start again from a keyframe.
   */
  apply(record: StreamRecord, verify = true): RowRange[] {
    const { source, frame } = record;
    if (record.kind !== RecordKind.residual)
      throw new FormatError(`${source}: frame ${frame} is a keyframe, not a residual`);
    if (
      this.broken ||
      frame !== this.lastFrame + 1 ||
      record.rowsBefore !== this.used ||
      record.degree !== this.degree
    )
      throw new FormatError(
        `${source}: frame ${frame} does not follow frame ${this.lastFrame} of ${this.used} Gaussians; ` +
          "start again from a keyframe",
      );
    const decoders = record.has(SectionId.decoders) ? readDecoders(record, this.decoders) : this.decoders;
    const change = this.read(record, decoders);
    this.broken = true;
    this.decoders = decoders;
    const touched = new Uint8Array(Math.ceil(Math.max(this.used, record.rows) / BLOCK));
    let fits = true;
    if (change.moved !== null) fits = this.moveAnchors(change.moved, change.motion!, touched) && fits;
    if (change.gated !== null) fits = this.moveMeans(change.gated, change.positions!, touched) && fits;
    for (const latents of change.latents) fits = this.addLatents(latents) && fits;
    for (let i = 0; i < change.active.length; i++) touched[change.active[i] >> 10] = 1;
    if (change.births !== null)
      for (const units of change.births.values)
        for (let i = 0; i < units.length; i++) if (units[i] >= UNITS || units[i] <= -UNITS) fits = false;
    if (!fits) throw new FormatError(`${source}: frame ${frame} moves a number out of its range`);
    if (change.removed.length > 0 || change.births !== null) this.replaceRows(change, record.rows, touched);
    if (change.removed.length > 0 && this.anchors !== null) {
      this.anchorCount = highest(this.anchors, this.used) + 1;
      if (this.anchorCount > this.used)
        throw new FormatError(`${source}: frame ${frame} leaves fewer Gaussians than anchors`);
    }
    this.lastFrame = frame;
    if (verify) this.verify(record);
    this.broken = false;
    return ranges(touched, this.used);
  }

  /** Two sums over all numbers, decoders and anchors, as records carry them. */
  checksum(): [number, number] {
    const sum = checksumOf(this.gaussians);
    if (this.anchors !== null) addToChecksum(sum, this.anchors.subarray(0, this.used), 1, ANCHOR_COLUMN);
    for (const [index, { latents, shift, entries }] of this.decoders) {
      const words = Int32Array.of(latents, shift, ...entries);
      addToChecksum(sum, words, words.length, 2 ** 30 + 4096 * index);
    }
    return [sum[0] >>> 0, sum[1] >>> 0];
  }

  private verify(record: StreamRecord): void {
    const [low, high] = this.checksum();
    if (low === record.checksum[0] && high === record.checksum[1]) return;
    throw new FormatError(
      `${record.source}: frame ${record.frame} does not lead to the state whose checksum it carries`,
    );
  }

  /** Unpack and check what a record changes, without changing anything. */
  private read(record: StreamRecord, decoders: Map<number, Decoder>): Change {
    const { source, frame } = record;
    const count = this.used;
    let moved: Int32Array | null = null;
    let motion: Int32Array | null = null;
    if (record.has(SectionId.anchorMask)) {
      moved = record.mask(SectionId.anchorMask, this.anchorCount);
      motion = record.matrix(SectionId.anchorMotion, moved.length, 3, 2 * UNITS);
    }
    let gated: Int32Array | null = null;
    let positions: Int32Array | null = null;
    if (record.has(SectionId.gateMask)) {
      gated = record.mask(SectionId.gateMask, count);
      positions = record.matrix(SectionId.positions, gated.length, 3, 2 * UNITS);
    }
    const latents: AttributeLatents[] = [];
    let active: Int32Array = new Int32Array(0);
    if (record.has(SectionId.activeMask)) {
      active = record.mask(SectionId.activeMask, count);
      for (const attribute of attributes(this.degree).slice(1)) {
        const id = SectionId.latents + attribute.index;
        if (!record.has(id)) continue;
        const decoder = decoders.get(attribute.index);
        if (decoder === undefined) throw new FormatError(`${record.nameOf(id)} has no decoder`);
        let rows = active;
        if (record.has(SectionId.attributeMask + attribute.index))
          rows = pick(active, record.mask(SectionId.attributeMask + attribute.index, active.length));
        const codes = record.codes(id, rows.length, decoder.latents, MAX_CODE);
        latents.push({ attribute, decoder, rows, codes });
      }
    }
    const removed = this.readRemoved(record);
    const born = record.rows - (count - removed.length);
    if (born < 0)
      throw new FormatError(`${source} is damaged: frame ${frame} removes more Gaussians than it says`);
    const births = born > 0 ? this.readBirths(record, born) : null;
    return { moved, motion, gated, positions, active, latents, removed, births };
  }

  private readRemoved(record: StreamRecord): Int32Array {
    if (!record.has(SectionId.removed)) return new Int32Array(0);
    const { size, layout } = record.section(SectionId.removed);
    const rows = Math.floor(size / Math.max(1, layout.width));
    if (rows > this.used)
      throw new FormatError(
        `${record.source} is damaged: frame ${record.frame} removes ${rows} of ${this.used} Gaussians`,
      );
    const removed = record.matrix(SectionId.removed, rows, 1, this.used - 1);
    for (let i = 0; i < rows; i++)
      if (removed[i] <= (i > 0 ? removed[i - 1] : -1))
        throw new FormatError(
          `${record.source} is damaged: the rows that frame ${record.frame} removes do not ascend`,
        );
    return removed;
  }

  private readBirths(record: StreamRecord, born: number): BirthValues {
    const values = attributes(this.degree).map(({ index }) =>
      record.matrix(SectionId.values + index, born, attributeWidth(index, this.degree), 2 * UNITS),
    );
    const damaged = (what: string) =>
      new FormatError(`${record.source} is damaged: frame ${record.frame} names ${what} that is not there`);
    if (record.has(SectionId.birthParents)) {
      const parents = record.matrix(SectionId.birthParents, born, 1, this.used);
      if (parents.some((parent) => parent < 0)) throw damaged("a parent");
      this.addParents(parents, values);
    }
    let anchors: Int32Array | null = null;
    if (this.anchors !== null) {
      anchors = record.matrix(SectionId.birthAnchors, born, 1, this.anchorCount - 1);
      if (anchors.some((anchor) => anchor < 0)) throw damaged("an anchor");
    }
    return { values, anchors, born };
  }

  /** Add to new rows, in steps, what their parents (counted from 1, 0 for none) have now. */
  private addParents(parents: Int32Array, births: Int32Array[]): void {
    const strides = widths(this.store.coefficients);
    attributes(this.degree).forEach(({ index, array, column }, which) => {
      const width = attributeWidth(index, this.degree);
      const values = this.store[array];
      for (let i = 0; i < parents.length; i++) {
        if (parents[i] === 0) continue;
        const from = (parents[i] - 1) * strides[array] + column;
        for (let k = 0; k < width; k++) births[which][i * width + k] += values[from + k] / this.steps[index];
      }
    });
  }

  private moveAnchors(moved: Int32Array, motion: Int32Array, touched: Uint8Array): boolean {
    if (this.anchors === null || moved.length === 0) return true;
    const place = new Int32Array(this.anchorCount).fill(-1);
    for (let i = 0; i < moved.length; i++) place[moved[i]] = i;
    let fits = true;
    for (let row = 0; row < this.used; row++) {
      const i = place[this.anchors[row]];
      if (i >= 0) fits = this.moveMean(row, motion, 3 * i, touched) && fits;
    }
    return fits;
  }

  private moveMeans(rows: Int32Array, units: Int32Array, touched: Uint8Array): boolean {
    let fits = true;
    for (let i = 0; i < rows.length; i++) fits = this.moveMean(rows[i], units, 3 * i, touched) && fits;
    return fits;
  }

  private moveMean(row: number, units: Int32Array, from: number, touched: Uint8Array): boolean {
    const { means } = this.store;
    const step = this.steps[0];
    const limit = UNITS * step;
    let fits = true;
    for (let k = 0; k < 3; k++) {
      const value = means[3 * row + k] + units[from + k] * step;
      if (value >= limit || value <= -limit) fits = false;
      means[3 * row + k] = value;
    }
    touched[row >> 10] = 1;
    return fits;
  }

  private addLatents({ attribute, decoder, rows, codes }: AttributeLatents): boolean {
    const { index, array, column } = attribute;
    const stride = widths(this.store.coefficients)[array];
    const into = { values: this.store[array], stride, column, step: this.steps[index] };
    return addLatents(into, rows, codes, decoder);
  }

  /** Births take the removed rows, then the end; where more were removed, the last rows fill what is left. */
  private replaceRows({ removed, births }: Change, left: number, touched: Uint8Array): void {
    const before = this.used;
    const born = births === null ? 0 : births.born;
    this.reserve(left);
    for (let i = 0; i < born; i++) {
      const row = i < removed.length ? removed[i] : before + i - removed.length;
      this.writeBirth(births!, i, row);
      touched[row >> 10] = 1;
    }
    // Of the removed rows that no birth took, those below the new end are holes, and the others do not move.
    let hole = born;
    let dead = removed.length;
    while (dead > born && removed[dead - 1] >= left) dead--;
    for (let row = left, gone = dead; row < before && hole < dead; row++) {
      if (gone < removed.length && removed[gone] === row) {
        gone++;
        continue;
      }
      this.moveRow(row, removed[hole]);
      touched[removed[hole++] >> 10] = 1;
    }
    this.used = left;
  }

  private writeBirth({ values, anchors }: BirthValues, from: number, row: number): void {
    const strides = widths(this.store.coefficients);
    attributes(this.degree).forEach(({ index, array, column }, which) => {
      const width = attributeWidth(index, this.degree);
      const to = row * strides[array] + column;
      for (let k = 0; k < width; k++)
        this.store[array][to + k] = values[which][from * width + k] * this.steps[index];
    });
    if (this.anchors !== null && anchors !== null) this.anchors[row] = anchors[from];
  }

  private moveRow(from: number, to: number): void {
    const width = widths(this.store.coefficients);
    for (const name of ARRAYS)
      this.store[name].copyWithin(to * width[name], from * width[name], (from + 1) * width[name]);
    if (this.anchors !== null) this.anchors[to] = this.anchors[from];
  }

  private reserve(count: number): void {
    if (count <= this.store.count) return;
    const room = Math.ceil(count * GROWTH);
    const grown = allocateGaussians(room, this.store.coefficients);
    const kept = this.gaussians;
    for (const name of ARRAYS) grown[name].set(kept[name]);
    this.store = grown;
    if (this.anchors === null) return;
    const anchors = new Int32Array(room);
    anchors.set(this.anchors.subarray(0, this.used));
    this.anchors = anchors;
  }
}

function highest(anchors: Int32Array, rows: number): number {
  let most = -1;
  for (let row = 0; row < rows; row++) most = Math.max(most, anchors[row]);
  return most;
}

interface AttributeLatents {
  readonly attribute: Attribute;
  readonly decoder: Decoder;
  readonly rows: Int32Array;
  readonly codes: Int32Array | Int8Array;
}

interface BirthValues {
  /** In steps, by attribute. */
  readonly values: Int32Array[];
  readonly anchors: Int32Array | null;
  readonly born: number;
}

interface Change {
  readonly moved: Int32Array | null;
  readonly motion: Int32Array | null;
  readonly gated: Int32Array | null;
  readonly positions: Int32Array | null;
  /** All rows that have latents. */
  readonly active: Int32Array;
  readonly latents: readonly AttributeLatents[];
  readonly removed: Int32Array;
  readonly births: BirthValues | null;
}

/** Replace places by the numbers there. */
function pick(numbers: Int32Array, places: Int32Array): Int32Array {
  for (let i = 0; i < places.length; i++) places[i] = numbers[places[i]];
  return places;
}

/** The checksum of a state that has neither anchors nor decoders; not unsigned. */
export function checksumOf(gaussians: Gaussians): [number, number] {
  const sum: [number, number] = [gaussians.count, shDegree(gaussians)];
  const width = widths(gaussians.coefficients);
  for (const name of ARRAYS) {
    const { buffer, byteOffset, length } = gaussians[name];
    addToChecksum(sum, new Int32Array(buffer, byteOffset, length), width[name], CHECKSUM_COLUMNS[name]);
  }
  return sum;
}

const PLACE = 0x9e3779b1 | 0;
const FIRST = 0x85ebca6b | 0;
const SECOND = 0xc2b2ae35 | 0;

function addToChecksum(sum: [number, number], words: Int32Array, width: number, column: number): void {
  let [low, high] = sum;
  const rows = words.length / width;
  for (let row = 0, i = 0; row < rows; row++) {
    let key = Math.imul(PLACE, (64 * row + column) | 0);
    for (const end = i + width; i < end; i++) {
      let hash = Math.imul(words[i] ^ key, FIRST);
      hash ^= hash >>> 15;
      low = (low + hash) | 0;
      high = (high + Math.imul(hash ^ (hash >>> 13), SECOND)) | 0;
      key = (key + PLACE) | 0;
    }
  }
  sum[0] = low;
  sum[1] = high;
}

/** Consecutive marked blocks as ranges of rows. */
function ranges(touched: Uint8Array, count: number): RowRange[] {
  const found: RowRange[] = [];
  for (let block = 0; block < touched.length; block++) {
    if (touched[block] === 0) continue;
    let end = block;
    while (end < touched.length && touched[end] !== 0) end++;
    const first = block * BLOCK;
    const rows = Math.min(count, end * BLOCK) - first;
    if (rows > 0) found.push({ first, rows });
    block = end;
  }
  return found;
}
