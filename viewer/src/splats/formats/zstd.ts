// A zstd decoder that trusts nothing: every length is checked, and work and memory stay within what the output may be.
//
// It needs no dictionaries and does not verify checksums: what is decoded is checked by what it means.
//
// Source: Collet and Kucherawy 2021, RFC 8878, "Zstandard Compression".

/** Window that all regular levels (1 to 19) of zstd stay within; larger ones are refused unless the data is large. */
const WINDOW = 1 << 23;
const MAX_BLOCK = 1 << 17;
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Return the `size` bytes of a zstd stream, or null when it holds anything else. */
export function inflateZstd(stream: Uint8Array, size: number): Uint8Array | null {
  try {
    const output = new Output(size);
    for (let at = 0; at < stream.length;) at = readFrame(stream, at, output);
    return output.length === size ? output.bytes.subarray(0, size) : null;
  } catch (error) {
    if (error instanceof Corrupt) return null;
    throw error;
  }
}

class Corrupt extends Error {}

function demand(holds: boolean): asserts holds {
  if (!holds) throw new Corrupt();
}

/** What has been decoded; its memory follows its length and never exceeds what was asked for. */
class Output {
  bytes = new Uint8Array(0);
  length = 0;

  constructor(readonly limit: number) {}

  /** Make room for more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    demand(needed <= this.limit);
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.min(this.limit, Math.max(needed, 2 * this.bytes.length)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/** What later blocks of a frame take over from earlier ones. */
interface FrameState {
  readonly start: number;
  readonly blockLimit: number;
  readonly offsets: [number, number, number];
  huffman: HuffmanTable | null;
  literalLengths: FseTable | null;
  offsetCodes: FseTable | null;
  matchLengths: FseTable | null;
}

/** Decode a frame into the output; returns where the next one starts. */
function readFrame(stream: Uint8Array, start: number, output: Output): number {
  demand(stream.length - start >= 5);
  const magic = littleEndian(stream, start, 4);
  if ((magic & ~15) >>> 0 === SKIPPABLE_MAGIC) {
    demand(stream.length - start >= 8);
    const end = start + 8 + littleEndian(stream, start + 4, 4);
    demand(end <= stream.length);
    return end;
  }
  demand(magic === FRAME_MAGIC);
  const descriptor = stream[start + 4];
  const singleSegment = (descriptor & 32) !== 0;
  const hasChecksum = (descriptor & 4) !== 0;
  demand((descriptor & 8) === 0);
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
  const sizeBytes = descriptor >> 6 === 0 ? (singleSegment ? 1 : 0) : 1 << (descriptor >> 6);
  let at = start + 5;
  demand(stream.length - at >= (singleSegment ? 0 : 1) + dictionaryBytes + sizeBytes);
  let window = Infinity;
  if (!singleSegment) {
    const base = 2 ** (10 + (stream[at] >> 3));
    window = base + (base / 8) * (stream[at] & 7);
    at++;
  }
  demand(littleEndian(stream, at, dictionaryBytes) === 0);
  at += dictionaryBytes;
  const contentSize = littleEndian(stream, at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  at += sizeBytes;
  if (sizeBytes > 0) demand(contentSize <= output.limit - output.length);
  if (singleSegment) window = contentSize;
  demand(window <= Math.max(WINDOW, output.limit));
  const state: FrameState = {
    start: output.length,
    blockLimit: Math.min(MAX_BLOCK, Math.max(window, 1024)),
    offsets: [1, 4, 8],
    huffman: null,
    literalLengths: null,
    offsetCodes: null,
    matchLengths: null,
  };
  for (let last = false; !last;) {
    demand(stream.length - at >= 3);
    const header = littleEndian(stream, at, 3);
    const blockSize = header >> 3;
    last = (header & 1) === 1;
    at += 3;
    demand(blockSize <= state.blockLimit);
    const kind = (header >> 1) & 3;
    const stored = kind === 1 ? 1 : blockSize;
    demand(kind !== 3 && stream.length - at >= stored);
    if (kind === 2) readBlock(stream, at, at + blockSize, state, output);
    else {
      output.reserve(blockSize);
      if (kind === 0) output.bytes.set(stream.subarray(at, at + blockSize), output.length);
      else output.bytes.fill(stream[at], output.length, output.length + blockSize);
      output.length += blockSize;
    }
    at += stored;
  }
  if (sizeBytes > 0) demand(output.length - state.start === contentSize);
  at += hasChecksum ? 4 : 0;
  demand(at <= stream.length);
  return at;
}

function readBlock(stream: Uint8Array, start: number, end: number, state: FrameState, output: Output): void {
  const { literals, next } = readLiterals(stream, start, end, state);
  let at = next;
  demand(at < end);
  let count = stream[at++];
  if (count >= 128) {
    const bytes = count === 255 ? 2 : 1;
    demand(end - at >= bytes);
    count = bytes === 1 ? ((count - 128) << 8) + stream[at] : littleEndian(stream, at, 2) + 0x7f00;
    at += bytes;
  }
  if (count === 0) {
    demand(at === end);
    append(output, literals, 0, literals.length);
    return;
  }
  demand(at < end);
  const modes = stream[at++];
  demand((modes & 3) === 0);
  const lengths = readTable(stream, at, end, modes >> 6, LITERAL_LENGTHS, state.literalLengths);
  const offsets = readTable(stream, lengths.next, end, (modes >> 4) & 3, OFFSETS, state.offsetCodes);
  const matches = readTable(stream, offsets.next, end, (modes >> 2) & 3, MATCH_LENGTHS, state.matchLengths);
  state.literalLengths = lengths.table;
  state.offsetCodes = offsets.table;
  state.matchLengths = matches.table;
  runSequences(new BackwardBits(stream, matches.next, end), count, literals, state, output);
}

function runSequences(
  bits: BackwardBits,
  count: number,
  literals: Uint8Array,
  state: FrameState,
  output: Output,
): void {
  const lengths = state.literalLengths!;
  const offsets = state.offsetCodes!;
  const matches = state.matchLengths!;
  const recent = state.offsets;
  const blockEnd = output.length + state.blockLimit;
  let lengthState = bits.read(lengths.log);
  let offsetState = bits.read(offsets.log);
  let matchState = bits.read(matches.log);
  let used = 0;
  for (let i = 0; i < count; i++) {
    const offsetCode = offsets.symbols[offsetState];
    const value = 2 ** offsetCode + bits.read(offsetCode);
    const matchCode = matches.symbols[matchState];
    const matchLength = MATCH_BASES[matchCode] + bits.read(MATCH_BITS[matchCode]);
    const lengthCode = lengths.symbols[lengthState];
    const literalLength = LITERAL_BASES[lengthCode] + bits.read(LITERAL_BITS[lengthCode]);
    if (i + 1 < count) {
      lengthState = lengths.bases[lengthState] + bits.read(lengths.bits[lengthState]);
      matchState = matches.bases[matchState] + bits.read(matches.bits[matchState]);
      offsetState = offsets.bases[offsetState] + bits.read(offsets.bits[offsetState]);
    }
    const offset = nextOffset(recent, value, literalLength);
    demand(used + literalLength <= literals.length);
    demand(output.length + literalLength + matchLength <= blockEnd);
    append(output, literals, used, literalLength);
    used += literalLength;
    demand(offset >= 1 && offset <= output.length - state.start);
    output.reserve(matchLength);
    const { bytes } = output;
    for (let to = output.length, from = to - offset, stop = to + matchLength; to < stop;)
      bytes[to++] = bytes[from++];
    output.length += matchLength;
  }
  demand(bits.position === 0);
  demand(output.length + literals.length - used <= blockEnd);
  append(output, literals, used, literals.length - used);
}

/** The offset that a value stands for; small values repeat recent offsets. */
function nextOffset(recent: [number, number, number], value: number, literalLength: number): number {
  if (value > 3) {
    recent[2] = recent[1];
    recent[1] = recent[0];
    return (recent[0] = value - 3);
  }
  const index = value - (literalLength === 0 ? 0 : 1);
  if (index === 0) return recent[0];
  const offset = index < 3 ? recent[index] : recent[0] - 1;
  if (index > 1) recent[2] = recent[1];
  recent[1] = recent[0];
  return (recent[0] = offset);
}

function append(output: Output, from: Uint8Array, start: number, count: number): void {
  output.reserve(count);
  output.bytes.set(from.subarray(start, start + count), output.length);
  output.length += count;
}

function readLiterals(
  stream: Uint8Array,
  start: number,
  end: number,
  state: FrameState,
): { literals: Uint8Array; next: number } {
  demand(start < end);
  const kind = stream[start] & 3;
  const format = (stream[start] >> 2) & 3;
  if (kind < 2) {
    const bytes = [1, 2, 1, 3][format];
    demand(end - start >= bytes);
    const size = littleEndian(stream, start, bytes) >> (bytes === 1 ? 3 : 4);
    const at = start + bytes;
    const stored = kind === 0 ? size : 1;
    demand(size <= state.blockLimit && end - at >= stored);
    const literals = kind === 0 ? stream.subarray(at, at + size) : new Uint8Array(size).fill(stream[at]);
    return { literals, next: at + stored };
  }
  const bytes = [3, 3, 4, 5][format];
  const width = 2 ** [10, 10, 14, 18][format];
  demand(end - start >= bytes);
  const header = Math.floor(littleEndian(stream, start, bytes) / 16);
  const size = header % width;
  let at = start + bytes;
  const next = at + Math.floor(header / width);
  demand(size <= state.blockLimit && next <= end);
  if (kind === 2) {
    const tree = readHuffman(stream, at, next);
    state.huffman = tree.table;
    at = tree.next;
  }
  demand(state.huffman !== null);
  const literals = new Uint8Array(size);
  if (format === 0) decodeHuffman(stream, at, next, state.huffman, literals);
  else {
    demand(next - at >= 6);
    const part = (size + 3) >> 2;
    demand(3 * part <= size);
    let from = at + 6;
    for (let i = 0; i < 4; i++) {
      const to = i < 3 ? from + littleEndian(stream, at + 2 * i, 2) : next;
      demand(to <= next);
      decodeHuffman(
        stream,
        from,
        to,
        state.huffman,
        literals.subarray(i * part, i < 3 ? (i + 1) * part : size),
      );
      from = to;
    }
  }
  return { literals, next };
}

interface HuffmanTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
}

const MAX_HUFFMAN_LOG = 11;

function readHuffman(stream: Uint8Array, start: number, end: number): { table: HuffmanTable; next: number } {
  demand(start < end);
  const header = stream[start];
  let at = start + 1;
  const weights = new Uint8Array(256);
  let count = 0;
  if (header >= 128) {
    count = header - 127;
    const bytes = (count + 1) >> 1;
    demand(end - at >= bytes);
    for (let i = 0; i < count; i++)
      weights[i] = i & 1 ? stream[at + (i >> 1)] & 15 : stream[at + (i >> 1)] >> 4;
    at += bytes;
  } else {
    demand(header > 0 && end - at >= header);
    const { table, next } = readDistribution(stream, at, at + header, 6, 255);
    count = decodeWeights(new BackwardBits(stream, next, at + header), table, weights);
    at += header;
  }
  let sum = 0;
  for (let i = 0; i < count; i++) sum += weights[i] > 0 ? 2 ** (weights[i] - 1) : 0;
  demand(sum > 0);
  const log = 32 - Math.clz32(sum);
  const left = 2 ** log - sum;
  demand(log <= MAX_HUFFMAN_LOG && (left & (left - 1)) === 0);
  weights[count++] = 32 - Math.clz32(left);
  const symbols = new Uint8Array(1 << log);
  const bits = new Uint8Array(1 << log);
  let place = 0;
  for (let weight = 1; weight <= log; weight++)
    for (let symbol = 0; symbol < count; symbol++) {
      if (weights[symbol] !== weight) continue;
      const stop = place + (1 << (weight - 1));
      symbols.fill(symbol, place, stop);
      bits.fill(log + 1 - weight, place, stop);
      place = stop;
    }
  demand(place === 1 << log);
  return { table: { log, symbols, bits }, next: at };
}

/** Weights come from two states that take turns until the bits run out. */
function decodeWeights(bits: BackwardBits, table: FseTable, weights: Uint8Array): number {
  const states = [bits.read(table.log), bits.read(table.log)];
  for (let count = 0; count < 254; count++) {
    const turn = count & 1;
    const state = states[turn];
    weights[count] = table.symbols[state];
    if (table.bits[state] > bits.position) {
      weights[count + 1] = table.symbols[states[1 - turn]];
      return count + 2;
    }
    states[turn] = table.bases[state] + bits.read(table.bits[state]);
  }
  throw new Corrupt();
}

function decodeHuffman(
  stream: Uint8Array,
  start: number,
  end: number,
  table: HuffmanTable,
  out: Uint8Array,
): void {
  const { log, symbols, bits: lengths } = table;
  const bits = new BackwardBits(stream, start, end);
  let left = bits.position;
  for (let i = 0; i < out.length; i++) {
    const index = left >= log ? bits.at(left - log, log) : bits.at(0, left) << (log - left);
    out[i] = symbols[index];
    left -= lengths[index];
    demand(left >= 0);
  }
  demand(left === 0);
}

/** A decoding table of finite state entropy. */
interface FseTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

interface TableKind {
  readonly maxLog: number;
  readonly maxSymbol: number;
  readonly standard: FseTable;
}

function readTable(
  stream: Uint8Array,
  at: number,
  end: number,
  mode: number,
  kind: TableKind,
  previous: FseTable | null,
): { table: FseTable; next: number } {
  if (mode === 0) return { table: kind.standard, next: at };
  if (mode === 1) {
    demand(at < end && stream[at] <= kind.maxSymbol);
    const table = {
      log: 0,
      symbols: stream.slice(at, at + 1),
      bits: new Uint8Array(1),
      bases: new Uint16Array(1),
    };
    return { table, next: at + 1 };
  }
  if (mode === 2) return readDistribution(stream, at, end, kind.maxLog, kind.maxSymbol);
  demand(previous !== null);
  return { table: previous, next: at };
}

/** Read how often each symbol occurs, section 4.1.1. */
function readDistribution(
  stream: Uint8Array,
  start: number,
  end: number,
  maxLog: number,
  maxSymbol: number,
): { table: FseTable; next: number } {
  let bit = 0;
  const peek = (count: number) => {
    const at = start + (bit >> 3);
    const word = at < end ? stream[at] | ((stream[at + 1] ?? 0) << 8) | ((stream[at + 2] ?? 0) << 16) : 0;
    return (word >> (bit & 7)) & ((1 << count) - 1);
  };
  const log = peek(4) + 5;
  bit += 4;
  demand(log <= maxLog);
  const counts: number[] = [];
  let remaining = 1 << log;
  while (remaining > 0) {
    demand(counts.length <= maxSymbol && bit <= 8 * (end - start));
    const width = 32 - Math.clz32(remaining + 1);
    let value = peek(width);
    const lower = (1 << (width - 1)) - 1;
    const threshold = (1 << width) - 1 - (remaining + 1);
    if ((value & lower) < threshold) {
      bit += width - 1;
      value &= lower;
    } else {
      bit += width;
      if (value > lower) value -= threshold;
    }
    const count = value - 1;
    remaining -= Math.abs(count);
    counts.push(count);
    for (let repeat = count === 0 ? 3 : 0; repeat === 3;) {
      repeat = peek(2);
      bit += 2;
      demand(bit <= 8 * (end - start));
      for (let i = 0; i < repeat; i++) counts.push(0);
    }
  }
  const next = start + ((bit + 7) >> 3);
  demand(remaining === 0 && counts.length <= maxSymbol + 1 && next <= end);
  return { table: buildTable(log, counts), next };
}

/** Spread the symbols over the states, section 4.1.1. */
function buildTable(log: number, counts: readonly number[]): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  const next = counts.map((count) => Math.max(1, count));
  let high = size;
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let place = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[place] = symbol;
      do place = (place + step) & (size - 1);
      while (place >= high);
    }
  });
  demand(place === 0);
  for (let i = 0; i < size; i++) {
    const value = next[symbols[i]]++;
    bits[i] = log - (31 - Math.clz32(value));
    bases[i] = (value << bits[i]) - size;
  }
  return { log, symbols, bits, bases };
}

/** Bits that are read from the last to the first; the highest set bit of the last byte marks their end. */
class BackwardBits {
  /** Bits that are left. */
  position: number;

  constructor(
    private readonly stream: Uint8Array,
    private readonly start: number,
    end: number,
  ) {
    demand(end > start && stream[end - 1] !== 0);
    this.position = 8 * (end - start) - 1 - (Math.clz32(stream[end - 1]) - 24);
  }

  read(count: number): number {
    if (count > 16) return this.read(count - 16) * 65536 + this.read(16);
    this.position -= count;
    demand(this.position >= 0);
    return this.at(this.position, count);
  }

  /** At most 16 bits from a place. */
  at(position: number, count: number): number {
    const { stream } = this;
    const i = this.start + (position >> 3);
    const word = stream[i] | ((stream[i + 1] ?? 0) << 8) | ((stream[i + 2] ?? 0) << 16);
    return (word >> (position & 7)) & ((1 << count) - 1);
  }
}

/** Up to eight bytes; beyond 2^53 the number is not exact, and too large for everything here. */
function littleEndian(stream: Uint8Array, at: number, bytes: number): number {
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + stream[at + i];
  return value;
}

// Tables 14 to 16 of RFC 8878, sections 3.1.1.3.2.1 and 3.1.1.3.2.2.
const LITERAL_BITS = [
  ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
];
const MATCH_BITS = [
  ...new Array<number>(32).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
];
const LITERAL_BASES = [
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64],
  ...[128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536],
];
const MATCH_BASES = [
  ...Array.from({ length: 32 }, (_, i) => i + 3),
  ...[35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539],
];

const LITERAL_LENGTHS: TableKind = {
  maxLog: 9,
  maxSymbol: 35,
  standard: buildTable(6, [
    ...[4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1],
    ...[-1, -1, -1, -1],
  ]),
};
const MATCH_LENGTHS: TableKind = {
  maxLog: 9,
  maxSymbol: 52,
  standard: buildTable(6, [
    ...[1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    ...[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1],
  ]),
};
const OFFSETS: TableKind = {
  maxLog: 8,
  maxSymbol: 31,
  standard: buildTable(
    5,
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
  ),
};
