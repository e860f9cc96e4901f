// A range coder with static tables, eight states in turns; the twin of recon/streaming/rans.py, where its source is.
import { unzigzag } from "./integers";

/** Frequencies of a table sum to 2^12. */
const BITS = 12;
const TOTAL = 1 << BITS;
const MASK = TOTAL - 1;
const LOW = 1 << 15;
const STATES = 8;
const MAX_TABLES = 64;

/** Kept from call to call: with new ones for each, a player collects its garbage twice as often. */
const SLOT_ROOM = new Int32Array(16 * TOTAL);
const WORD_ROOM = new Uint16Array(1 << 17);

/**
 * Return the `size` bytes that were encoded, or null when the input holds anything else.
 *
 * `signed`: the bytes are zigzag codes; return the numbers that they stand for, as two's complement.
 */
export function decodeRans(
  stored: Uint8Array,
  size: number,
  signed: boolean,
): Uint8Array<ArrayBuffer> | null {
  const coded = parse(stored, signed);
  if (coded === null) return null;
  const { slots, columnTables, at } = coded;
  const columns = columnTables.length;
  // Where the tables of 8 * columns symbols start, after which column and state are in step again.
  const period = STATES * columns;
  const order = Int32Array.from({ length: period }, (_, i) => TOTAL * columnTables[i % columns]);
  const count = (stored.length - at - 4 * STATES) >> 1;
  const words = count + STATES <= WORD_ROOM.length ? WORD_ROOM : new Uint16Array(count + STATES);
  for (let i = 0, from = at + 4 * STATES; i < count; i++, from += 2)
    words[i] = stored[from] | (stored[from + 1] << 8);
  const states = new Int32Array(STATES);
  for (let k = 0, from = at; k < STATES; k++, from += 4) {
    states[k] = stored[from] | (stored[from + 1] << 8) | (stored[from + 2] << 16) | (stored[from + 3] << 24);
    if (states[k] < LOW) return null; // negative ones too, which are too large
  }
  const output = new Uint8Array(size);
  let [a, b, c, d, e, f, g, h] = states;
  let word = 0;
  let place = 0;
  let i = 0;
  for (const whole = size - (size % STATES); i < whole && word <= count; i += STATES) {
    // Written out, so that the states stay in registers. A word is due as good as at random, so there are no branches:
    // `due` is all ones or zero.
    const slot0 = slots[order[place] + (a & MASK)];
    const slot1 = slots[order[place + 1] + (b & MASK)];
    const slot2 = slots[order[place + 2] + (c & MASK)];
    const slot3 = slots[order[place + 3] + (d & MASK)];
    const slot4 = slots[order[place + 4] + (e & MASK)];
    const slot5 = slots[order[place + 5] + (f & MASK)];
    const slot6 = slots[order[place + 6] + (g & MASK)];
    const slot7 = slots[order[place + 7] + (h & MASK)];
    output[i] = slot0;
    output[i + 1] = slot1;
    output[i + 2] = slot2;
    output[i + 3] = slot3;
    output[i + 4] = slot4;
    output[i + 5] = slot5;
    output[i + 6] = slot6;
    output[i + 7] = slot7;
    a = (Math.imul(((slot0 >>> 8) & MASK) + 1, a >>> BITS) + (slot0 >>> 20)) | 0;
    b = (Math.imul(((slot1 >>> 8) & MASK) + 1, b >>> BITS) + (slot1 >>> 20)) | 0;
    c = (Math.imul(((slot2 >>> 8) & MASK) + 1, c >>> BITS) + (slot2 >>> 20)) | 0;
    d = (Math.imul(((slot3 >>> 8) & MASK) + 1, d >>> BITS) + (slot3 >>> 20)) | 0;
    e = (Math.imul(((slot4 >>> 8) & MASK) + 1, e >>> BITS) + (slot4 >>> 20)) | 0;
    f = (Math.imul(((slot5 >>> 8) & MASK) + 1, f >>> BITS) + (slot5 >>> 20)) | 0;
    g = (Math.imul(((slot6 >>> 8) & MASK) + 1, g >>> BITS) + (slot6 >>> 20)) | 0;
    h = (Math.imul(((slot7 >>> 8) & MASK) + 1, h >>> BITS) + (slot7 >>> 20)) | 0;
    let due = (a - LOW) >> 31;
    a = (a << (due & 16)) | (words[word] & due);
    word -= due;
    due = (b - LOW) >> 31;
    b = (b << (due & 16)) | (words[word] & due);
    word -= due;
    due = (c - LOW) >> 31;
    c = (c << (due & 16)) | (words[word] & due);
    word -= due;
    due = (d - LOW) >> 31;
    d = (d << (due & 16)) | (words[word] & due);
    word -= due;
    due = (e - LOW) >> 31;
    e = (e << (due & 16)) | (words[word] & due);
    word -= due;
    due = (f - LOW) >> 31;
    f = (f << (due & 16)) | (words[word] & due);
    word -= due;
    due = (g - LOW) >> 31;
    g = (g << (due & 16)) | (words[word] & due);
    word -= due;
    due = (h - LOW) >> 31;
    h = (h << (due & 16)) | (words[word] & due);
    word -= due;
    place = place + STATES === period ? 0 : place + STATES;
  }
  states.set([a, b, c, d, e, f, g, h]);
  for (; i < size && word <= count; i++) {
    const state = states[i % STATES];
    const slot = slots[order[i % period] + (state & MASK)];
    output[i] = slot;
    states[i % STATES] = Math.imul(((slot >>> 8) & MASK) + 1, state >>> BITS) + (slot >>> 20);
    if (states[i % STATES] < LOW) states[i % STATES] = (states[i % STATES] << 16) | words[word++];
  }
  return i === size && word === count && states.every((state) => state === LOW) ? output : null;
}

interface Coded {
  readonly columnTables: Uint8Array;
  /** For each of 4096 places of each table: symbol, (frequency - 1) << 8, place within the symbol << 20. */
  readonly slots: Int32Array;
  /** Where the states start. */
  readonly at: number;
}

function parse(stored: Uint8Array, signed: boolean): Coded | null {
  if (stored.length < 2) return null;
  const [columns, tables] = stored;
  if (columns < 1 || tables < 1 || tables > Math.min(columns, MAX_TABLES)) return null;
  let at = 2;
  let columnTables: Uint8Array = new Uint8Array(columns);
  if (tables > 1) {
    if (stored.length < at + columns) return null;
    columnTables = stored.subarray(at, at + columns);
    if (columnTables.some((table) => table >= tables)) return null;
    at += columns;
  }
  const slots = TOTAL * tables <= SLOT_ROOM.length ? SLOT_ROOM : new Int32Array(TOTAL * tables);
  for (let table = 0; table < tables; table++) {
    const next = readTable(stored, at, slots.subarray(TOTAL * table, TOTAL * (table + 1)), signed);
    if (next === null) return null;
    at = next;
  }
  const rest = stored.length - at - 4 * STATES;
  return rest < 0 || rest % 2 !== 0 ? null : { columnTables, slots, at };
}

/** Fill the places of a table; returns where the next one starts. */
function readTable(stored: Uint8Array, start: number, slots: Int32Array, signed: boolean): number | null {
  let at = start;
  const last = stored[at++]; // undefined beyond the end: the checks below then fail
  let symbol = 0;
  let place = 0;
  while (symbol <= last) {
    let frequency = stored[at++];
    if (frequency === undefined) return null;
    if (frequency === 0) {
      symbol += 1 + (stored[at++] ?? 256);
      continue;
    }
    if (frequency >= 128) frequency = (frequency & 127) | ((stored[at++] ?? 0) << 7);
    if (frequency === 0 || frequency > TOTAL - place) return null;
    const byte = signed ? unzigzag(symbol) & 255 : symbol;
    for (let k = 0; k < frequency; k++) slots[place++] = byte | ((frequency - 1) << 8) | (k << 20);
    symbol++;
  }
  return symbol === last + 1 && place === TOTAL && at <= stored.length ? at : null;
}
