// Raw deflate, at once and not as a stream: a frame's few hundred kilobytes should not wait for the event loop. Its work
// and memory stay within what the output may be and what the input is.
//
// Source: Deutsch 1996, RFC 1951, "DEFLATE Compressed Data Format Specification".

/** Return the `size` bytes of a deflate stream, or null when it holds anything else. */
export function inflate(stream: Uint8Array, size: number): Uint8Array<ArrayBuffer> | null {
  // An input byte is at most 1032 output bytes, so the claim can be checked before it is allocated.
  if (size > 1032 * stream.length) return null;
  const output = new Uint8Array(size);
  const bits = new Bits(stream);
  let length: number | null = 0;
  for (let last = false; !last && length !== null;) {
    last = bits.read(1) === 1;
    const kind = bits.read(2);
    if (kind === 0) length = copyStored(bits, output, length);
    else if (kind === 1) length = inflateBlock(bits, output, length, FIXED_LITERALS, FIXED_DISTANCES);
    else if (kind === 2) {
      const tables = readTables(bits);
      length = tables === null ? null : inflateBlock(bits, output, length, tables[0], tables[1]);
    } else return null;
    if (bits.overrun) return null;
  }
  return length === size && bits.used === stream.length ? output : null;
}

class Bits {
  private at = 0;
  private held = 0;
  private count = 0;

  constructor(private readonly stream: Uint8Array) {}

  /** Whether more was read than there is; zeros were given. */
  get overrun(): boolean {
    return 8 * this.at - this.count > 8 * this.stream.length;
  }

  /** Bytes of which anything was used. */
  get used(): number {
    return this.at - (this.count >> 3);
  }

  /** At least 16 bits, lowest first. */
  peek(): number {
    while (this.count < 16) {
      this.held |= (this.at < this.stream.length ? this.stream[this.at] : 0) << this.count;
      this.at++;
      this.count += 8;
    }
    return this.held;
  }

  drop(count: number): void {
    this.held >>>= count;
    this.count -= count;
  }

  read(count: number): number {
    const value = this.peek() & ((1 << count) - 1);
    this.drop(count);
    return value;
  }

  /** Start at the next whole byte; returns its place. */
  align(): number {
    const start = this.used;
    this.at = start;
    this.held = this.count = 0;
    return start;
  }

  skip(bytes: number): void {
    this.at += bytes;
  }
}

function copyStored(bits: Bits, output: Uint8Array, length: number): number | null {
  const stream = bits["stream"];
  const at = bits.align();
  if (stream.length - at < 4) return null;
  const count = stream[at] | (stream[at + 1] << 8);
  const complement = stream[at + 2] | (stream[at + 3] << 8);
  if ((count ^ complement) !== 0xffff || count > stream.length - at - 4 || count > output.length - length)
    return null;
  output.set(stream.subarray(at + 4, at + 4 + count), length);
  bits.skip(4 + count);
  return length + count;
}

const FAST_BITS = 9;

/** A prefix code: short words by table, long ones by counting. */
interface Code {
  /** Length << 9 | symbol by the next bits; 0 where the word is longer or there is none. */
  readonly fast: Uint16Array;
  /** Words of each length. */
  readonly counts: Uint16Array;
  /** Symbols in the order of their words. */
  readonly symbols: Uint16Array;
}

/** Make a code of word lengths; null when they fit no prefix code. Incomplete codes are allowed, as RFC 1951 needs. */
function makeCode(lengths: Uint8Array): Code | null {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  const offsets = new Uint16Array(17);
  const words = new Uint16Array(17);
  let left = 1;
  for (let length = 1; length < 16; length++) {
    left = 2 * left - counts[length];
    if (left < 0) return null;
    offsets[length + 1] = offsets[length] + counts[length];
    words[length + 1] = (words[length] + counts[length]) << 1;
  }
  const symbols = new Uint16Array(lengths.length);
  const fast = new Uint16Array(1 << FAST_BITS);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol];
    if (length === 0) continue;
    symbols[offsets[length]++] = symbol;
    let word = words[length]++;
    if (length > FAST_BITS) continue;
    let reversed = 0;
    for (let bit = 0; bit < length; bit++, word >>= 1) reversed = (reversed << 1) | (word & 1);
    for (let place = reversed; place < fast.length; place += 1 << length)
      fast[place] = (length << 9) | symbol;
  }
  return { fast, counts, symbols };
}

/** The next symbol, or -1. */
function decode(bits: Bits, { fast, counts, symbols }: Code): number {
  let held = bits.peek();
  const entry = fast[held & ((1 << FAST_BITS) - 1)];
  if (entry !== 0) {
    bits.drop(entry >> 9);
    return entry & 511;
  }
  let word = 0;
  let first = 0;
  let index = 0;
  for (let length = 1; length < 16; length++, held >>= 1) {
    word |= held & 1;
    const count = counts[length];
    if (word - count < first) {
      bits.drop(length);
      return symbols[index + word - first];
    }
    index += count;
    first = (first + count) << 1;
    word <<= 1;
  }
  return -1;
}

function inflateBlock(
  bits: Bits,
  output: Uint8Array,
  length: number,
  literals: Code,
  distances: Code,
): number | null {
  for (;;) {
    const symbol = decode(bits, literals);
    if (symbol < 0 || symbol > 285 || bits.overrun) return null;
    if (symbol < 256) {
      if (length === output.length) return null;
      output[length++] = symbol;
      continue;
    }
    if (symbol === 256) return length;
    const count = LENGTHS[symbol - 257] + bits.read(LENGTH_BITS[symbol - 257]);
    const code = decode(bits, distances);
    if (code < 0 || code > 29) return null;
    const distance = DISTANCES[code] + bits.read(DISTANCE_BITS[code]);
    if (distance > length || count > output.length - length) return null;
    for (const end = length + count; length < end; length++) output[length] = output[length - distance];
  }
}

function readTables(bits: Bits): [Code, Code] | null {
  const literalCount = bits.read(5) + 257;
  const distanceCount = bits.read(5) + 1;
  const orderCount = bits.read(4) + 4;
  if (literalCount > 286 || distanceCount > 30) return null;
  const orderLengths = new Uint8Array(19);
  for (let i = 0; i < orderCount; i++) orderLengths[ORDER[i]] = bits.read(3);
  const order = makeCode(orderLengths);
  if (order === null) return null;
  const lengths = new Uint8Array(literalCount + distanceCount);
  for (let i = 0; i < lengths.length;) {
    const symbol = decode(bits, order);
    if (symbol < 0 || bits.overrun) return null;
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) return null;
    const value = symbol === 16 ? lengths[i - 1] : 0;
    const repeat = symbol === 16 ? 3 + bits.read(2) : symbol === 17 ? 3 + bits.read(3) : 11 + bits.read(7);
    if (repeat > lengths.length - i) return null;
    lengths.fill(value, i, i + repeat);
    i += repeat;
  }
  if (lengths[256] === 0) return null;
  const literals = makeCode(lengths.subarray(0, literalCount));
  const distances = makeCode(lengths.subarray(literalCount));
  return literals === null || distances === null ? null : [literals, distances];
}

const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LENGTH_BITS = Uint8Array.from({ length: 29 }, (_, i) => (i < 8 || i === 28 ? 0 : (i >> 2) - 1));
const DISTANCE_BITS = Uint8Array.from({ length: 30 }, (_, i) => (i < 4 ? 0 : (i >> 1) - 1));
const LENGTHS = runningSums(3, LENGTH_BITS);
LENGTHS[28] = 258;
const DISTANCES = runningSums(1, DISTANCE_BITS);
const FIXED_LITERALS = makeCode(
  Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
)!;
const FIXED_DISTANCES = makeCode(new Uint8Array(30).fill(5))!;

function runningSums(start: number, bits: Uint8Array): Uint16Array {
  const sums = new Uint16Array(bits.length);
  for (let i = 0, sum = start; i < bits.length; sum += 1 << bits[i++]) sums[i] = sum;
  return sums;
}
