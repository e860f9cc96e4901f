// The 3D Gaussian splatting .ply; the twin of recon/splats/formats/ply.py.
//
// Reading is tolerant: properties in any order, further properties and elements, float or double, little or big endian
// or text. Nothing is allocated that the header asks for before the file has proved to hold it.
import { type Gaussians, allocateGaussians } from "../gaussians";
import { FormatError, checkCount, checkGaussians, checkToWrite } from "./limits";

const MAX_HEADER = 1 << 16;

/** Most bytes per Gaussian in a binary file; 62 doubles are 496. */
const MAX_RECORD = 1024;

/** Rows converted at a time, through a small aligned copy. */
const BLOCK = 1024;

const SIZES = new Map(
  Object.entries({
    ...{ char: 1, int8: 1, uchar: 1, uint8: 1, short: 2, int16: 2, ushort: 2, uint16: 2 },
    ...{ int: 4, int32: 4, uint: 4, uint32: 4, float: 4, float32: 4, double: 8, float64: 8 },
  }),
);

type ByteOrder = "binary_little_endian" | "binary_big_endian" | "ascii";

/** A property of an element: its type and its place in the record. */
export interface Property {
  readonly type: string;
  readonly offset: number;
  readonly index: number;
}

export interface PlyElement {
  readonly name: string;
  readonly count: number;
  readonly properties: Map<string, Property>;
  hasLists: boolean;
  recordSize: number;
}

export interface PlyHeader {
  readonly byteOrder: ByteOrder;
  /** Bytes up to the first record. */
  readonly size: number;
  readonly vertex: PlyElement;
  /** Bytes (binary) or lines (text) of elements that come before the vertices. */
  readonly skip: number;
}

/** Decode a 3DGS .ply file; allocates at most three times its size. */
export function decodePly(content: Uint8Array, source: string): Gaussians {
  const header = parsePlyHeader(content, source);
  const { vertex } = header;
  const rest = checkProperties(vertex, source);
  const coefficients = 1 + rest / 3;
  checkCount(source, vertex.count);
  checkPlySize(content, header, source);
  const out = allocateGaussians(vertex.count, coefficients);
  const columns = columnsOf(out);
  if (header.byteOrder === "ascii") readText(content, header, columns, source);
  else readBinary(content, header, columns);
  checkGaussians(source, out);
  return out;
}

/** Encode a .ply file that `decodePly` and recon read bit for bit. */
export function encodePly(gaussians: Gaussians): Uint8Array<ArrayBuffer> {
  checkToWrite(gaussians);
  const { count, coefficients } = gaussians;
  const names = propertyNames(coefficients);
  const text = [
    ...["ply", "format binary_little_endian 1.0", `element vertex ${count}`],
    ...names.map((name) => `property float ${name}`),
    "end_header\n",
  ].join("\n");
  const header = new TextEncoder().encode(text);
  const content = new Uint8Array(header.length + 4 * names.length * count);
  content.set(header);
  const block = new Float32Array(BLOCK * names.length);
  const columns = columnsOf(gaussians).map((column) => ({ ...column, to: names.indexOf(column.name) }));
  for (let start = 0; start < count; start += BLOCK) {
    const rows = Math.min(BLOCK, count - start);
    for (const { array, first, stride, to } of columns)
      for (let i = 0; i < rows; i++) block[i * names.length + to] = array[first + (start + i) * stride];
    const bytes = new Uint8Array(block.buffer, 0, 4 * rows * names.length);
    content.set(bytes, header.length + 4 * start * names.length);
  }
  return content;
}

/** Read a .ply header's text; allocates nothing that its numbers ask for. */
export function parsePlyHeader(content: Uint8Array, source: string): PlyHeader {
  const start = new TextDecoder("latin1").decode(content.subarray(0, MAX_HEADER));
  const end = /^end_header[ \t]*(\r\n|\n|\r)/m.exec(start);
  if (!/^ply[ \t]*[\r\n]/.test(start) || end === null)
    throw new FormatError(
      `${source} is not a .ply file: it does not have a header from 'ply' to 'end_header'`,
    );
  let byteOrder: ByteOrder | null = null;
  const elements: PlyElement[] = [];
  for (const line of start
    .slice(0, end.index)
    .split(/\r\n|\n|\r/)
    .slice(1)) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "" || words[0] === "comment" || words[0] === "obj_info") continue;
    if (words[0] === "format" && words.length === 3 && isByteOrder(words[1])) byteOrder = words[1];
    else if (words[0] === "element" && words.length === 3 && /^\d{1,12}$/.test(words[2]))
      elements.push({
        ...{ name: words[1], count: Number(words[2]), properties: new Map() },
        ...{ hasLists: false, recordSize: 0 },
      });
    else if (
      words[0] !== "property" ||
      !elements.length ||
      !addProperty(elements[elements.length - 1], words)
    )
      throw new FormatError(
        `${source} has a header line that is not understood: '${line.trim().slice(0, 80)}'`,
      );
  }
  if (byteOrder === null)
    throw new FormatError(`${source} does not state its format (ascii or binary) in the header`);
  const place = elements.findIndex((element) => element.name === "vertex");
  if (place < 0) throw new FormatError(`${source} has no 'vertex' element, so it holds no Gaussians`);
  const before = elements.slice(0, place);
  const vertex = elements[place];
  const text = byteOrder === "ascii";
  if (vertex.hasLists || (!text && before.some((element) => element.hasLists)))
    throw new FormatError(
      `${source} has lists of varying length among or before its vertices; Gaussians have none`,
    );
  if (!text && vertex.recordSize > MAX_RECORD)
    throw new FormatError(
      `${source} has ${vertex.recordSize} bytes per Gaussian; at most ${MAX_RECORD} are read`,
    );
  const skip = before.reduce((sum, element) => sum + element.count * (text ? 1 : element.recordSize), 0);
  return { byteOrder, size: end.index + end[0].length, vertex, skip };
}

/** Throw when the file is shorter than its header says. */
export function checkPlySize(content: Uint8Array, header: PlyHeader, source: string): void {
  const { vertex } = header;
  const smallest =
    header.byteOrder === "ascii"
      ? vertex.count * 2 * vertex.properties.size - 1 // a digit and a separator each
      : header.skip + vertex.count * vertex.recordSize;
  if (content.length - header.size < smallest)
    throw new FormatError(
      `${source} is cut off: its header states ${vertex.count} vertices, which take at least ${smallest} bytes, ` +
        `but ${content.length - header.size} follow`,
    );
}

/** One number of a record, wherever it lies and whatever its type. */
export function readNumber(view: DataView, at: number, type: string, littleEndian: boolean): number {
  switch (type) {
    case "float":
    case "float32":
      return view.getFloat32(at, littleEndian);
    case "double":
    case "float64":
      return view.getFloat64(at, littleEndian);
    case "uchar":
    case "uint8":
      return view.getUint8(at);
    case "char":
    case "int8":
      return view.getInt8(at);
    case "ushort":
    case "uint16":
      return view.getUint16(at, littleEndian);
    case "short":
    case "int16":
      return view.getInt16(at, littleEndian);
    case "uint":
    case "uint32":
      return view.getUint32(at, littleEndian);
    default:
      return view.getInt32(at, littleEndian);
  }
}

/** Where a property's numbers live: array[first + row * stride]. */
interface Column {
  readonly name: string;
  readonly array: Float32Array;
  readonly first: number;
  readonly stride: number;
}

function columnsOf(gaussians: Gaussians): Column[] {
  const { coefficients: k, means, sh, opacityLogits, logScales, quaternions } = gaussians;
  const columns: Column[] = [];
  const add = (name: string, array: Float32Array, first: number, stride: number) =>
    columns.push({ name, array, first, stride });
  ["x", "y", "z"].forEach((name, i) => add(name, means, i, 3));
  for (let i = 0; i < 3; i++) add(`f_dc_${i}`, sh, i, 3 * k);
  // Files hold all red coefficients, then green, then blue.
  for (let channel = 0; channel < 3; channel++)
    for (let j = 1; j < k; j++) add(`f_rest_${channel * (k - 1) + j - 1}`, sh, 3 * j + channel, 3 * k);
  add("opacity", opacityLogits, 0, 1);
  for (let i = 0; i < 3; i++) add(`scale_${i}`, logScales, i, 3);
  for (let i = 0; i < 4; i++) add(`rot_${i}`, quaternions, i, 4);
  return columns;
}

/** The properties in the order in which they are written. */
function propertyNames(coefficients: number): string[] {
  return [
    ...["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"],
    ...Array.from({ length: 3 * (coefficients - 1) }, (_, i) => `f_rest_${i}`),
    ...["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"],
  ];
}

/** Return the number of f_rest properties, after checking that the properties describe Gaussians. */
function checkProperties(vertex: PlyElement, source: string): number {
  const present = vertex.properties;
  const rest = [...present.keys()].filter((name) => /^f_rest_\d+$/.test(name)).length;
  if (![0, 9, 24, 45].includes(rest))
    throw new FormatError(
      `${source} has ${rest} f_rest properties; spherical harmonics of degree 0 to 3 have 0, 9, 24 or 45`,
    );
  if (present.has("packed_position"))
    throw new FormatError(
      `${source} is a compressed .ply: open it in SuperSplat and save it as .ply or .spz`,
    );
  const needed = propertyNames(1 + rest / 3).filter((name) => !["nx", "ny", "nz"].includes(name));
  const missing = needed.filter((name) => !present.has(name));
  if (missing.length && !["opacity", "scale_0", "rot_0"].some((name) => present.has(name)))
    throw new FormatError(
      `${source} holds points or a mesh, not Gaussians: it has no opacity, scale_0 and rot_0`,
    );
  if (missing.length) throw new FormatError(`${source} lacks the vertex properties ${missing.join(", ")}`);
  for (const name of needed)
    if (!/^(float|double)/.test(present.get(name)!.type))
      throw new FormatError(`${source} stores ${name} as whole numbers; Gaussians need float or double`);
  return rest;
}

function readBinary(content: Uint8Array, header: PlyHeader, columns: Column[]): void {
  const { vertex } = header;
  const start = header.size + header.skip;
  const little = header.byteOrder === "binary_little_endian";
  const places = columns.map((column) => ({ ...column, ...vertex.properties.get(column.name)! }));
  const floats = places.every(({ type, offset }) => SIZES.get(type) === 4 && offset % 4 === 0);
  if (little && floats && vertex.recordSize % 4 === 0) {
    const bytes = new Uint8Array(Math.min(BLOCK, vertex.count) * vertex.recordSize);
    const numbers = new Float32Array(bytes.buffer);
    const width = vertex.recordSize / 4;
    for (let row = 0; row < vertex.count; row += BLOCK) {
      const rows = Math.min(BLOCK, vertex.count - row);
      const at = start + row * vertex.recordSize;
      bytes.set(content.subarray(at, at + rows * vertex.recordSize));
      for (const { array, first, stride, offset } of places) {
        let to = first + row * stride;
        let from = offset / 4;
        for (let i = 0; i < rows; i++, to += stride, from += width) array[to] = numbers[from];
      }
    }
    return;
  }
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  for (const { array, first, stride, offset, type } of places)
    for (let i = 0; i < vertex.count; i++)
      array[first + i * stride] = readNumber(view, start + i * vertex.recordSize + offset, type, little);
}

function readText(content: Uint8Array, header: PlyHeader, columns: Column[], source: string): void {
  const { vertex } = header;
  const places = columns.map((column) => ({ ...column, index: vertex.properties.get(column.name)!.index }));
  let row = 0;
  for (const words of plyTextRows(content, header)) {
    const numbers = words.map(Number);
    if (words.length !== vertex.properties.size || numbers.some((number) => !Number.isFinite(number)))
      throw new FormatError(
        `${source} is damaged: Gaussian ${row} should have ${vertex.properties.size} numbers, one Gaussian per line`,
      );
    for (const { array, first, stride, index } of places) array[first + row * stride] = numbers[index];
    row++;
  }
  if (row < vertex.count) throw new FormatError(`${source} is cut off after ${row} Gaussians`);
}

/** Yield the words of each vertex of a text file. */
export function* plyTextRows(content: Uint8Array, header: PlyHeader): Generator<string[]> {
  const decoder = new TextDecoder("latin1");
  let at = header.size;
  let skip = header.skip;
  let rows = 0;
  while (at < content.length && rows < header.vertex.count) {
    let end = content.indexOf(10, at);
    if (end < 0) end = content.length;
    const line = end - at > MAX_HEADER ? "" : decoder.decode(content.subarray(at, end)).trim();
    at = end + 1;
    if (skip > 0) skip--;
    else if (line !== "") {
      rows++;
      yield line.split(/\s+/);
    }
  }
}

function addProperty(element: PlyElement, words: string[]): boolean {
  if (words.length === 5 && words[1] === "list") {
    element.hasLists = true;
    return true;
  }
  const size = SIZES.get(words[1]);
  if (words.length !== 3 || size === undefined || element.properties.has(words[2])) return false;
  const index = element.properties.size;
  element.properties.set(words[2], { type: words[1], offset: element.recordSize, index });
  element.recordSize += size;
  return true;
}

function isByteOrder(word: string): word is ByteOrder {
  return word === "binary_little_endian" || word === "binary_big_endian" || word === "ascii";
}
