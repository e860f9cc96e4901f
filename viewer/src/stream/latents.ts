// From the latents of splats to changes of their numbers: most of the work on a frame.
import { UNITS } from "./layout";
import type { Decoder } from "./decoders";

/** Where an attribute lies: rows of `stride` numbers, from `column` on, which are multiples of `step`. */
export interface Target {
  readonly values: Float32Array;
  readonly stride: number;
  readonly column: number;
  readonly step: number;
}

/** Add to rows what their latents decode to; false where a number leaves its range. Rows are then partly changed. */
export function addLatents(
  into: Target,
  rows: Int32Array,
  codes: Int8Array | Int32Array,
  decoder: Decoder,
): boolean {
  return codes instanceof Int8Array
    ? addBytes(into, rows, codes, decoder)
    : addNumbers(into, rows, codes, decoder);
}

/** Rows that are taken through all tiles together, so that they stay in the processor's nearest cache. */
const BLOCK = 256;

/** From so many outputs on it pays to fetch rows before they are needed: neighbours no longer share cache lines. */
const WIDE = 8;

/** A tile is a square of a decoder: so many outputs by as many latents. */
const SIDE = 4;

/**
 * Latents of one byte. The decoder is cut into tiles whose entries stay in registers while the rows of a block go by;
 * sums are exact in 32 bits, since 128 * 64 * 32767 + 2^29 is below 2^31.
 */
function addBytes(into: Target, rows: Int32Array, codes: Int8Array, decoder: Decoder): boolean {
  const { latents, shift } = decoder;
  const outputs = decoder.entries.length / latents;
  const across = Math.ceil(latents / SIDE);
  const tiles = cutIntoTiles(decoder, outputs, across);
  const half = shift > 0 ? 1 << (shift - 1) : 0;
  const sums = new Int32Array(SIDE * BLOCK).fill(half);
  const places = new Int32Array(BLOCK);
  let fits = true;
  let seen = 0;
  for (let begin = 0; begin < rows.length; begin += BLOCK) {
    const count = Math.min(BLOCK, rows.length - begin);
    if (outputs > WIDE) seen += touch(into, rows, begin, count, outputs);
    const block = blockOf(codes, begin * latents, count * latents);
    for (let m = 0; m < outputs; m += SIDE) {
      for (let i = 0; i < count; i++) places[i] = rows[begin + i] * into.stride + into.column + m;
      if (across > 1) sums.fill(half);
      let tile = (m / SIDE) * across;
      for (let l = 0; l < latents - SIDE; l += SIDE)
        sumUp(sums, block.subarray(l), count, latents, tiles[tile++]);
      const last = block.subarray((across - 1) * SIDE);
      const width = Math.min(SIDE, outputs - m);
      fits = addTile(into, places, width, sums, last, count, latents, tiles[tile], shift) && fits;
    }
  }
  return fits && Number.isFinite(seen); // which it is; but what nobody asks for is not read
}

/** Entries by tile, for each output those of its latents; zeros where there is no such output or latent. */
function cutIntoTiles({ latents, entries }: Decoder, outputs: number, across: number): Int32Array[] {
  const down = Math.ceil(outputs / SIDE);
  const tiles = Array.from({ length: down * across }, () => new Int32Array(SIDE * SIDE));
  for (let m = 0; m < outputs; m++)
    for (let l = 0; l < latents; l++) {
      const tile = tiles[Math.floor(m / SIDE) * across + Math.floor(l / SIDE)];
      tile[(m % SIDE) * SIDE + (l % SIDE)] = entries[m * latents + l];
    }
  return tiles;
}

/** Read something of each cache line of some rows, so that the processor fetches many at a time; returns the sum. */
function touch(
  { values, stride, column }: Target,
  rows: Int32Array,
  begin: number,
  count: number,
  outputs: number,
): number {
  let sum = 0;
  for (let i = begin; i < begin + count; i++) {
    const at = rows[i] * stride + column;
    for (let m = 0; m < outputs; m += 16) sum += values[at + m];
    sum += values[at + outputs - 1];
  }
  return sum;
}

/** The codes of a block, with some more behind them, because tiles read as many latents as they are wide. */
function blockOf(codes: Int8Array, start: number, length: number): Int8Array {
  if (start + length + SIDE <= codes.length) return codes.subarray(start, start + length + SIDE);
  const padded = new Int8Array(length + SIDE);
  padded.set(codes.subarray(start, start + length));
  return padded;
}

/** Add to the sums of four outputs what a tile has for them. Written out, so that entries stay in registers. */
function sumUp(sums: Int32Array, codes: Int8Array, count: number, latents: number, tile: Int32Array): void {
  const [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = tile;
  for (let i = 0, from = 0; i < SIDE * count; i += SIDE, from += latents) {
    const p = codes[from];
    const q = codes[from + 1];
    const r = codes[from + 2];
    const s = codes[from + 3];
    sums[i] += Math.imul(a0, p) + Math.imul(a1, q) + Math.imul(a2, r) + Math.imul(a3, s);
    sums[i + 1] += Math.imul(b0, p) + Math.imul(b1, q) + Math.imul(b2, r) + Math.imul(b3, s);
    sums[i + 2] += Math.imul(c0, p) + Math.imul(c1, q) + Math.imul(c2, r) + Math.imul(c3, s);
    sums[i + 3] += Math.imul(d0, p) + Math.imul(d1, q) + Math.imul(d2, r) + Math.imul(d3, s);
  }
}

/** Likewise with the last tile of its outputs, and add the sums to the numbers; false where one leaves its range. */
function addTile(
  { values, step }: Target,
  places: Int32Array,
  width: number,
  sums: Int32Array,
  codes: Int8Array,
  count: number,
  latents: number,
  tile: Int32Array,
  shift: number,
): boolean {
  const [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = tile;
  const limit = UNITS * step;
  let fits = true;
  for (let i = 0, from = 0; i < count; i++, from += latents) {
    const p = codes[from];
    const q = codes[from + 1];
    const r = codes[from + 2];
    const s = codes[from + 3];
    const at = places[i];
    const a = sums[SIDE * i] + Math.imul(a0, p) + Math.imul(a1, q) + Math.imul(a2, r) + Math.imul(a3, s);
    const first = values[at] + (a >> shift) * step;
    values[at] = first;
    if (Math.abs(first) >= limit) fits = false;
    if (width === 1) continue;
    const b = sums[SIDE * i + 1] + Math.imul(b0, p) + Math.imul(b1, q) + Math.imul(b2, r) + Math.imul(b3, s);
    const second = values[at + 1] + (b >> shift) * step;
    values[at + 1] = second;
    if (Math.abs(second) >= limit) fits = false;
    if (width === 2) continue;
    const c = sums[SIDE * i + 2] + Math.imul(c0, p) + Math.imul(c1, q) + Math.imul(c2, r) + Math.imul(c3, s);
    const third = values[at + 2] + (c >> shift) * step;
    values[at + 2] = third;
    if (Math.abs(third) >= limit) fits = false;
    if (width === 3) continue;
    const d = sums[SIDE * i + 3] + Math.imul(d0, p) + Math.imul(d1, q) + Math.imul(d2, r) + Math.imul(d3, s);
    const fourth = values[at + 3] + (d >> shift) * step;
    values[at + 3] = fourth;
    if (Math.abs(fourth) >= limit) fits = false;
  }
  return fits;
}

/** Latents of any size, with sums that are exact as doubles. */
function addNumbers(
  { values, stride, column, step }: Target,
  rows: Int32Array,
  codes: Int32Array,
  { latents, shift, entries }: Decoder,
): boolean {
  const outputs = entries.length / latents;
  const limit = UNITS * step;
  const half = shift > 0 ? 2 ** (shift - 1) : 0;
  const unit = 2 ** -shift;
  let fits = true;
  for (let i = 0; i < rows.length; i++) {
    const at = rows[i] * stride + column;
    for (let m = 0; m < outputs; m++) {
      let sum = half;
      for (let l = 0; l < latents; l++) sum += entries[m * latents + l] * codes[i * latents + l];
      const value = values[at + m] + Math.floor(sum * unit) * step;
      if (value >= limit || value <= -limit) fits = false;
      values[at + m] = value;
    }
  }
  return fits;
}
