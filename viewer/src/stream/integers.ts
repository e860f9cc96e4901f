// Matrices of whole numbers and bitmaps as bytes; the twin of recon/streaming/integers.py.
import { FormatError } from "../splats/formats";
import { MAX_SHIFT } from "./layout";

/** How the bytes of a matrix are to be read. */
export interface Layout {
  /** Bytes per number, 1 to 4. */
  readonly width: number;
  /** 1 when each row holds the difference from the row before. */
  readonly predictor: number;
  readonly columns: number;
  /** Numbers are multiples of 2^shift. */
  readonly shift: number;
}

/** Throw unless `size` bytes can be a matrix of this shape. */
export function checkLayout(layout: Layout, size: number, rows: number, columns: number, name: string): void {
  if (layout.width < 1 || layout.width > 4 || layout.predictor > 1 || layout.shift > MAX_SHIFT)
    throw new FormatError(`${name} states a width, predictor or shift that this version does not know`);
  if (layout.columns !== columns || size !== rows * columns * layout.width)
    throw new FormatError(
      `${name} has ${size} bytes in ${layout.columns} columns, but ${rows} rows of ${columns} numbers of ` +
        `${layout.width} bytes are needed`,
    );
}

/** The numbers of a matrix whose layout was checked; none may be beyond `limit`, which is below 2^31. */
export function unpackIntegers(bytes: Uint8Array, layout: Layout, limit: number, name: string): Int32Array {
  const { width, columns, shift } = layout;
  const numbers = new Int32Array(bytes.length / width);
  if (width === 1) for (let i = 0; i < numbers.length; i++) numbers[i] = unzigzag(bytes[i]);
  else if (width === 2)
    for (let i = 0, at = 0; i < numbers.length; i++, at += 2)
      numbers[i] = unzigzag(bytes[at] | (bytes[at + 1] << 8));
  else
    for (let i = 0, at = 0; i < numbers.length; i++, at += width) {
      const high = width === 4 ? bytes[at + 3] << 24 : 0;
      numbers[i] = unzigzag(bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | high);
    }
  const most = Math.floor(limit / 2 ** shift);
  if (layout.predictor === 1) {
    const sums = new Float64Array(columns); // at most 2^23 rows of 2^31: exact
    for (let i = 0; i < numbers.length; i += columns)
      for (let k = 0; k < columns; k++) {
        const sum = (sums[k] += numbers[i + k]);
        if (sum > most || sum < -most) throw beyond(name, limit);
        numbers[i + k] = sum;
      }
  } else
    for (let i = 0; i < numbers.length; i++)
      if (numbers[i] > most || numbers[i] < -most) throw beyond(name, limit);
  if (shift > 0) for (let i = 0; i < numbers.length; i++) numbers[i] <<= shift;
  return numbers;
}

/** The numbers of a matrix of one byte each, as such. */
export function unzigzagBytes(codes: Uint8Array): Int8Array {
  const numbers = new Int8Array(codes.length);
  for (let i = 0; i < codes.length; i++) numbers[i] = unzigzag(codes[i]);
  return numbers;
}

/** 0, 1, 2, 3, … back to 0, -1, 1, -2, … */
export function unzigzag(code: number): number {
  return (code >>> 1) ^ -(code & 1);
}

/** The places of the set bits, ascending. */
export function unpackMask(bytes: Uint8Array, count: number, name: string): Int32Array {
  if (bytes.length !== (count + 7) >> 3)
    throw new FormatError(`${name} has ${bytes.length} bytes, but ${count} bits are needed`);
  if (count & 7 && bytes[bytes.length - 1] >> (count & 7))
    throw new FormatError(`${name} has bits beyond its end`);
  // Four bytes at a time: most are all zeros or, where neighbours move together, all ones.
  const words = new Int32Array((bytes.length + 3) >> 2);
  new Uint8Array(words.buffer).set(bytes);
  let set = 0;
  for (let i = 0; i < words.length; i++) set += population(words[i]);
  const places = new Int32Array(set);
  for (let i = 0, to = 0; i < words.length; i++)
    for (let word = words[i]; word !== 0; word &= word - 1)
      places[to++] = 32 * i + 31 - Math.clz32(word & -word);
  return places;
}

/** How many bits of a word are set: sums of two, four, eight, and all bits side by side. */
function population(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function beyond(name: string, limit: number): FormatError {
  return new FormatError(`${name} holds a number beyond the ${limit} that it may reach`);
}
