// The .spz format: Gaussians in about a tenth of the .ply's bytes; the twin of recon/splats/formats/spz.py, where its
// layout is written down. Decoded values are computed in double precision and rounded once, so that both languages get
// the same float32.
import { type Gaussians, allocateGaussians } from "../gaussians";
import {
  BYTE_OPACITY_LOGITS,
  FormatError,
  byteOpacity,
  checkCount,
  checkToWrite,
  clampByte,
  roundHalfEven,
} from "./limits";
import { inflateZstd } from "./zstd";

const MAGIC = 0x5053474e; // "NGSP", little endian
const HEADER = 16;
const HEADER_V4 = 32;
const STREAM = 16;
const HAS_EXTENSIONS = 2;

const COLOR_SCALE = 0.15;
const SH1_BUCKET = 1 << (8 - 5);
const SH_REST_BUCKET = 1 << (8 - 4);
const LARGEST_FIXED = (1 << 23) - 1;
const MAX_FRACTIONAL_BITS = 23;

const COORDINATE_SYSTEM_EXTENSION = 0xadbe0003;
const RUB = 4;

/** A file may unpack to 32 times its size or to 16 MB: real scenes reach 15 times, bombs a thousand times. */
const MAX_EXPANSION = 32;
const ALWAYS_ALLOWED = 16 << 20;
const MAX_EXTENSIONS = 1 << 20;

/** Sign of each harmonic when y and z change theirs; a coefficient's sign is its parity in y times its parity in z. */
const FLIP_SH = [1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1];

interface Header {
  readonly version: number;
  readonly count: number;
  readonly degree: number;
  readonly fractionalBits: number;
  readonly flags: number;
  /** Streams of version 4. */
  readonly streams: number;
  /** Bytes of positions, opacities, colours, scales, rotations and harmonics. */
  readonly sizes: readonly number[];
}

/** Decode a .spz file of version 2, 3 or 4; it never unpacks more than the header's count needs. */
export async function decodeSpz(content: Uint8Array, source: string): Promise<Gaussians> {
  if (content[0] === 0x1f && content[1] === 0x8b) return decodeGzip(content, source);
  if (content.length >= 4 && viewOf(content).getUint32(0, true) === MAGIC) return decodeZstd(content, source);
  throw new FormatError(`${source} is not a .spz file: it starts with neither a gzip nor an NGSP header`);
}

/** Encode a .spz file of version 3, which every viewer that knows the format reads. */
export async function encodeSpz(gaussians: Gaussians): Promise<Uint8Array<ArrayBuffer>> {
  checkToWrite(gaussians);
  const fractionalBits = chooseFractionalBits(gaussians.means);
  const header = new Uint8Array(HEADER);
  const view = viewOf(header);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, 3, true);
  view.setUint32(8, gaussians.count, true);
  header.set([Math.sqrt(gaussians.coefficients) - 1, fractionalBits], 12);
  const parts = new Blob([header, ...pack(gaussians, fractionalBits)]);
  const compressed = parts.stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(compressed).arrayBuffer());
}

function parseHeader(bytes: Uint8Array, versions: number[], source: string, fileSize: number): Header {
  if (bytes.length < HEADER) throw new FormatError(`${source} is cut off within its header`);
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC)
    throw new FormatError(`${source} is not a .spz file: its header does not say NGSP`);
  const version = view.getUint32(4, true);
  const count = view.getUint32(8, true);
  const [degree, fractionalBits, flags, streams] = bytes.subarray(12, 16);
  if (!versions.includes(version))
    throw new FormatError(`${source} is .spz version ${version}; versions 2, 3 and 4 are read`);
  if (degree > 3)
    throw new FormatError(`${source} has harmonics of degree ${degree}; degrees 0 to 3 are read`);
  if (fractionalBits > MAX_FRACTIONAL_BITS)
    throw new FormatError(`${source} is damaged: positions cannot have ${fractionalBits} fractional bits`);
  checkCount(source, count);
  const rotation = version === 2 ? 3 : 4;
  const sizes = [9, 1, 3, 3, rotation, 3 * ((degree + 1) ** 2 - 1)].map((width) => width * count);
  if (sum(sizes) > Math.max(ALWAYS_ALLOWED, MAX_EXPANSION * fileSize))
    throw new FormatError(
      `${source} states ${count} Gaussians, more than its ${fileSize} bytes can hold; it is damaged`,
    );
  return { version, count, degree, fractionalBits, flags, streams, sizes };
}

/** Inflate chunk by chunk and keep only what the header, once inflated, allows. */
async function decodeGzip(content: Uint8Array, source: string): Promise<Gaussians> {
  const unpacked = new ChunkReader(content);
  try {
    const header = parseHeader(await unpacked.read(HEADER), [2, 3], source, content.length);
    const expected = sum(header.sizes);
    const body = await unpacked.read(expected);
    const extensions = await unpacked.read(MAX_EXTENSIONS);
    if (body.length < expected || !(await unpacked.ended()))
      throw new FormatError(
        `${source} is cut off or damaged: ${expected} bytes expected, ${body.length} found`,
      );
    if (header.flags & HAS_EXTENSIONS) checkAxes(extensions, source);
    return decodeAttributes(header, split(body, header.sizes));
  } catch (error) {
    if (error instanceof FormatError || error instanceof RangeError) throw error;
    throw new FormatError(`${source} is damaged: it cannot be decompressed`);
  } finally {
    unpacked.cancel();
  }
}

function decodeZstd(content: Uint8Array, source: string): Gaussians {
  const header = parseHeader(content, [4], source, content.length);
  if (content.length < HEADER_V4) throw new FormatError(`${source} is cut off within its header`);
  const view = viewOf(content);
  const used = header.sizes.filter((size) => size > 0);
  const table = view.getUint32(HEADER, true);
  let offset = table + STREAM * header.streams;
  if (header.streams !== used.length || table < HEADER_V4 || offset > content.length)
    throw new FormatError(`${source} is damaged: its table of ${header.streams} streams does not fit`);
  if (header.flags & HAS_EXTENSIONS) checkAxes(content.subarray(HEADER_V4, table), source);
  const attributes: Uint8Array[] = [];
  for (let i = 0; i < used.length; i++) {
    const compressed = Number(view.getBigUint64(table + STREAM * i, true));
    const plain = Number(view.getBigUint64(table + STREAM * i + 8, true));
    if (plain !== used[i] || compressed > content.length - offset)
      throw new FormatError(`${source} is damaged: stream ${i} does not have the size of its attribute`);
    const data = inflateZstd(content.subarray(offset, offset + compressed), used[i]);
    if (data === null)
      throw new FormatError(
        `${source} is damaged: stream ${i} does not hold the ${used[i]} bytes of its attribute`,
      );
    attributes.push(data);
    offset += compressed;
  }
  if (header.sizes[5] === 0) attributes.push(new Uint8Array(0));
  return decodeAttributes(header, attributes);
}

/** Refuse files that say they use other axes; skip every other extension. */
function checkAxes(extensions: Uint8Array, source: string): void {
  const view = viewOf(extensions);
  let offset = 0;
  while (extensions.length - offset >= 8) {
    const kind = view.getUint32(offset, true);
    const size = view.getUint32(offset + 4, true);
    const holds = size >= 4 && extensions.length - offset >= 12;
    if (kind === COORDINATE_SYSTEM_EXTENSION && !(holds && view.getUint32(offset + 8, true) === RUB))
      throw new FormatError(
        `${source} uses other axes than right, up, back: save it with those, then open it again`,
      );
    offset += 8 + size;
  }
}

/** Every byte stands for a finite number within a small range, so nothing is left to check afterwards. */
function decodeAttributes(header: Header, attributes: Uint8Array[]): Gaussians {
  const [positions, opacities, colors, scales, rotations, harmonics] = attributes;
  const { count } = header;
  const coefficients = (header.degree + 1) ** 2;
  const out = allocateGaussians(count, coefficients);
  const { means, logScales, quaternions, opacityLogits, sh } = out;
  const step = 2 ** -header.fractionalBits;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3; k++) {
      const at = 9 * i + 3 * k;
      const fixed = ((positions[at] << 8) | (positions[at + 1] << 16) | (positions[at + 2] << 24)) >> 8;
      means[3 * i + k] = (k === 0 ? fixed : fixed * -1) * step;
      logScales[3 * i + k] = scales[3 * i + k] / 16 - 10;
    }
    opacityLogits[i] = BYTE_OPACITY_LOGITS[opacities[i]];
  }
  if (header.version === 2) unpackFirstThree(rotations, quaternions);
  else unpackSmallestThree(rotations, quaternions);
  const flips = Float32Array.from({ length: 3 * coefficients }, (_, j) => FLIP_SH[(j / 3) | 0]);
  for (let i = 0, from = 0, to = 0; i < count; i++) {
    for (let j = 0; j < 3; j++) sh[to++] = COLORS[colors[3 * i + j]];
    for (let j = 3; j < flips.length; j++) sh[to++] = HARMONICS[harmonics[from++]] * flips[j];
  }
  return out;
}

/** The bytes of positions, opacities, colours, scales, rotations and harmonics. */
function pack(gaussians: Gaussians, fractionalBits: number): Uint8Array<ArrayBuffer>[] {
  const { count, coefficients, means, logScales, quaternions, opacityLogits, sh } = gaussians;
  const higher = 3 * (coefficients - 1);
  const bytes = [9, 1, 3, 3, 4, higher].map((width) => new Uint8Array(width * count));
  const [positions, opacities, colors, scales, rotations, harmonics] = bytes;
  const unit = 2 ** fractionalBits;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3; k++) {
      const fixed = roundHalfEven(means[3 * i + k] * (k === 0 ? 1 : -1) * unit);
      positions.set([fixed & 255, (fixed >> 8) & 255, (fixed >> 16) & 255], 9 * i + 3 * k);
      scales[3 * i + k] = clampByte(roundHalfEven(Math.fround(16 * Math.fround(logScales[3 * i + k] + 10))));
      colors[3 * i + k] = clampByte(roundHalfEven(255 * (COLOR_SCALE * sh[3 * coefficients * i + k] + 0.5)));
    }
    opacities[i] = byteOpacity(opacityLogits[i]);
    const [w, x, y, z] = quaternions.subarray(4 * i, 4 * i + 4);
    packSmallestThree([x, -y, -z, w], rotations, i);
    for (let j = 0; j < higher; j++) {
      const coefficient = 1 + ((j / 3) | 0);
      const bucket = coefficient < 4 ? SH1_BUCKET : SH_REST_BUCKET;
      const value = sh[3 * coefficients * i + 3 + j] * FLIP_SH[coefficient];
      const level = roundHalfEven(128 * Math.min(1, Math.max(-1, value))) + 128;
      harmonics[higher * i + j] = clampByte(Math.floor((level + bucket / 2) / bucket) * bucket);
    }
  }
  return bytes;
}

/** The most fractional bits with which the outermost Gaussian still fits into 24 bits. */
function chooseFractionalBits(means: Float32Array): number {
  let extent = 0;
  for (const value of means) extent = Math.max(extent, Math.abs(value));
  for (let bits = MAX_FRACTIONAL_BITS; bits >= 0; bits--)
    if (extent * 2 ** bits <= LARGEST_FIXED) return bits;
  throw new FormatError(
    `nothing was written: a Gaussian lies ${extent.toPrecision(3)} units out, and .spz ends at ${LARGEST_FIXED}; ` +
      "write .ply, or crop far Gaussians away",
  );
}

/** The components that are kept when the one with this index is left out. */
const OTHERS = [
  [1, 2, 3],
  [0, 2, 3],
  [0, 1, 3],
  [0, 1, 2],
];

function packSmallestThree(q: number[], out: Uint8Array, row: number): void {
  const norm = Math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
  const unit = norm > 0 ? q.map((value) => value / norm) : [0, 0, 0, 1];
  let largest = 0;
  for (let k = 1; k < 4; k++) if (Math.abs(unit[k]) > Math.abs(unit[largest])) largest = k;
  const sign = unit[largest] < 0 ? -1 : 1;
  let packed = largest;
  for (const k of OTHERS[largest]) {
    const value = unit[k] * sign;
    const magnitude = Math.min(511, Math.floor(511 * Math.abs(value) * Math.SQRT2 + 0.5));
    packed = packed * 1024 + (value < 0 ? 512 : 0) + magnitude;
  }
  out.set([packed & 255, (packed >>> 8) & 255, (packed >>> 16) & 255, (packed >>> 24) & 255], 4 * row);
}

/** Where x, y, z and w go in (w, x, y, z), and their signs in axes whose y and z point the other way. */
const PLACES = [1, 2, 3, 0];
const FLIP_QUATERNION = [1, -1, -1, 1];

function unpackSmallestThree(data: Uint8Array, quaternions: Float32Array): void {
  for (let at = 0; at < quaternions.length; at += 4) {
    const packed = data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24);
    const largest = packed >>> 30;
    let squares = 0;
    for (let k = 0, shift = 20; k < 4; k++) {
      if (k === largest) continue;
      const word = packed >>> shift;
      const value = (word & 511) * (Math.SQRT1_2 / 511) * (word & 512 ? -1 : 1);
      squares += value * value;
      quaternions[at + PLACES[k]] = value * FLIP_QUATERNION[k];
      shift -= 10;
    }
    quaternions[at + PLACES[largest]] = Math.sqrt(Math.max(0, 1 - squares)) * FLIP_QUATERNION[largest];
  }
}

function unpackFirstThree(data: Uint8Array, quaternions: Float32Array): void {
  for (let row = 0; 4 * row < quaternions.length; row++) {
    let squares = 0;
    for (let k = 0; k < 3; k++) {
      const value = data[3 * row + k] / 127.5 - 1;
      squares += value * value;
      quaternions[4 * row + PLACES[k]] = value * FLIP_QUATERNION[k];
    }
    quaternions[4 * row] = Math.sqrt(Math.max(0, 1 - squares));
  }
}

const HARMONICS = Float32Array.from({ length: 256 }, (_, byte) => byte / 128 - 1);
const COLORS = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - 0.5) / COLOR_SCALE);

/** Reads a gzip stream in exact pieces; what has not been asked for is not unpacked, but for one chunk. */
class ChunkReader {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private rest: Uint8Array = new Uint8Array(0);
  private finished = false;

  constructor(content: Uint8Array) {
    const stream = new Blob([content as Uint8Array<ArrayBuffer>]).stream();
    this.reader = stream.pipeThrough(new DecompressionStream("gzip")).getReader();
  }

  /** Return the next bytes, fewer than `size` at the stream's end; memory follows what arrives, not what is asked. */
  async read(size: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let found = 0;
    while (found < size && (this.rest.length || (await this.next()))) {
      const piece = this.rest.subarray(0, size - found);
      this.rest = this.rest.subarray(piece.length);
      pieces.push(piece);
      found += piece.length;
    }
    if (pieces.length === 1) return pieces[0];
    const out = new Uint8Array(found);
    let at = 0;
    for (const piece of pieces) {
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  }

  async ended(): Promise<boolean> {
    return this.rest.length === 0 && !(await this.next());
  }

  cancel(): void {
    this.reader.cancel().catch(() => undefined);
  }

  private async next(): Promise<boolean> {
    while (!this.finished && this.rest.length === 0) {
      const { done, value } = await this.reader.read();
      if (done) this.finished = true;
      else this.rest = value;
    }
    return this.rest.length > 0;
  }
}

function split(data: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  let at = 0;
  return sizes.map((size) => data.subarray(at, (at += size)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
