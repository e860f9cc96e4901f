// The container: files of records, records of sections; the twin of recon/streaming/record.py.
import { FormatError } from "../splats/formats";
import { inflateZstd } from "../splats/formats/zstd";
import { crc32 } from "./crc32";
import { inflate } from "./inflate";
import { type Layout, checkLayout, unpackIntegers, unpackMask, unzigzagBytes } from "./integers";
import {
  ANCILLARY_FLAG,
  Codec,
  FILE_MAGIC,
  FREE_EXPANSION,
  FileKind,
  MAX_EXPANSION,
  MAX_RECORD,
  MAX_ROWS,
  MAX_SECTIONS,
  MAX_SEGMENT_RECORDS,
  PREVIEW_FLAG,
  RECORD_MAGIC,
  RecordKind,
  SectionId,
  VERSION,
} from "./layout";
import { decodeRans } from "./rans";

export const FILE_HEADER = 16;
export const RECORD_HEADER = 40;
export const SECTION_HEADER = 16;
const CRC_START = 12;

interface Section {
  readonly codec: number;
  /** Bytes once unpacked. */
  readonly size: number;
  readonly layout: Layout;
  readonly stored: Uint8Array;
}

/** A frame as it is stored: a keyframe, or what changes from the frame before. */
export class StreamRecord {
  readonly sections = new Map<number, Section>();

  constructor(
    readonly source: string,
    readonly kind: number,
    readonly degree: number,
    readonly frame: number,
    readonly rowsBefore: number,
    readonly rows: number,
    readonly preview: boolean,
    /** Of the state that it leads to: two unsigned numbers. */
    readonly checksum: readonly [number, number],
    /** Bytes of the whole record. */
    readonly length: number,
  ) {}

  has(id: number): boolean {
    return this.sections.has(id);
  }

  /** What to call a section in errors. */
  nameOf(id: number): string {
    return `${this.source}: section ${id} of frame ${this.frame}`;
  }

  /** The content of a section; throws where there is none. */
  bytes(id: number): Uint8Array {
    const content = decompress(this.section(id));
    if (content === null) throw this.notUnpacked(id);
    return content;
  }

  /** The numbers of a matrix [rows, columns], none beyond `limit`. */
  matrix(id: number, rows: number, columns: number, limit: number): Int32Array {
    const { layout, size } = this.section(id);
    checkLayout(layout, size, rows, columns, this.nameOf(id));
    return unpackIntegers(this.bytes(id), layout, limit, this.nameOf(id));
  }

  /** Likewise, but numbers of one byte stay bytes, which saves passes over most of a frame. */
  codes(id: number, rows: number, columns: number, limit: number): Int32Array | Int8Array {
    const { codec, layout, size, stored } = this.section(id);
    if (layout.width !== 1 || layout.predictor !== 0 || layout.shift !== 0)
      return this.matrix(id, rows, columns, limit);
    checkLayout(layout, size, rows, columns, this.nameOf(id));
    if (codec !== Codec.rans) return unzigzagBytes(this.bytes(id));
    const numbers = decodeRans(stored, size, true);
    if (numbers === null) throw this.notUnpacked(id);
    return new Int8Array(numbers.buffer);
  }

  /** Throw unless a section states the size of a matrix [rows, columns]; nothing is unpacked. */
  expectMatrix(id: number, rows: number, columns: number): void {
    const { layout, size } = this.section(id);
    checkLayout(layout, size, rows, columns, this.nameOf(id));
  }

  /** The places of the set bits of a bitmap of `count`. */
  mask(id: number, count: number): Int32Array {
    const { size } = this.section(id);
    if (size !== (count + 7) >> 3)
      throw new FormatError(`${this.nameOf(id)} has ${size} bytes, but ${count} bits are needed`);
    return unpackMask(this.bytes(id), count, this.nameOf(id));
  }

  private notUnpacked(id: number): FormatError {
    const { size } = this.section(id);
    return new FormatError(`${this.nameOf(id)} does not unpack to the ${size} bytes that it states`);
  }

  section(id: number): Section {
    const section = this.sections.get(id);
    if (section === undefined) throw new FormatError(`${this.nameOf(id)} is missing`);
    return section;
  }
}

/** Take the record at `start` apart; a message of the live socket is one record. */
export function parseRecord(content: Uint8Array, source: string, start = 0): StreamRecord {
  if (content.length - start < RECORD_HEADER)
    throw new FormatError(`${source} is cut off within the header of a frame`);
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const u32 = (at: number) => view.getUint32(start + at, true);
  if (u32(0) !== RECORD_MAGIC)
    throw new FormatError(`${source} is damaged: no frame starts at byte ${start}`);
  const length = u32(4);
  const frame = u32(16);
  if (length < RECORD_HEADER || length > Math.min(MAX_RECORD, content.length - start))
    throw new FormatError(`${source} is cut off: frame ${frame} states ${length} bytes`);
  if (crc32(content.subarray(start + CRC_START, start + length)) !== u32(8))
    throw new FormatError(`${source} is damaged: the bytes of frame ${frame} do not have their checksum`);
  const kind = view.getUint8(start + 12);
  const degree = view.getUint8(start + 13);
  const flags = u32(28);
  const isKey = kind === RecordKind.keyframe;
  if ((!isKey && kind !== RecordKind.residual) || (flags & ~PREVIEW_FLAG) !== 0 || degree > 3)
    throw new FormatError(`${source}: frame ${frame} is of a kind that this version does not know`);
  const rowsBefore = u32(20);
  const rows = u32(24);
  const fits = isKey ? rowsBefore === 0 : rowsBefore >= 1 && rowsBefore <= MAX_ROWS && flags === 0;
  if (!fits || rows < 1 || rows > MAX_ROWS)
    throw new FormatError(
      `${source}: frame ${frame} leads from ${rowsBefore} to ${rows} Gaussians; streams have 1 to ${MAX_ROWS}`,
    );
  const checksum = [u32(32), u32(36)] as const;
  const record = new StreamRecord(
    source,
    kind,
    degree,
    frame,
    rowsBefore,
    rows,
    flags === PREVIEW_FLAG,
    checksum,
    length,
  );
  parseSections(
    record,
    content.subarray(start + RECORD_HEADER, start + length),
    view.getUint16(start + 14, true),
  );
  return record;
}

/** Take a file apart; throws a FormatError with a sentence when any part of it is damaged. */
export function parseFile(content: Uint8Array, source: string): StreamRecord[] {
  if (content.length < FILE_HEADER) throw new FormatError(`${source} is cut off within its header`);
  if (FILE_MAGIC.some((byte, i) => content[i] !== byte))
    throw new FormatError(`${source} is not a file of a recon stream`);
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const version = view.getUint16(8, true);
  if (version !== VERSION)
    throw new FormatError(`${source} is of version ${version}; version ${VERSION} is read`);
  const kind = view.getUint16(10, true);
  const count = view.getUint32(12, true);
  const most = kind === FileKind.keyframe ? 1 : kind === FileKind.segment ? MAX_SEGMENT_RECORDS : 0;
  if (count < 1 || count > most)
    throw new FormatError(`${source} is damaged: a file of kind ${kind} cannot hold ${count} frames`);
  const records: StreamRecord[] = [];
  let at = FILE_HEADER;
  for (let i = 0; i < count; i++) {
    const record = parseRecord(content, source, at);
    if ((record.kind === RecordKind.keyframe) !== (kind === FileKind.keyframe))
      throw new FormatError(`${source} is damaged: frame ${record.frame} is of another kind than its file`);
    const previous = records.at(-1);
    if (
      previous !== undefined &&
      (record.frame !== previous.frame + 1 || record.rowsBefore !== previous.rows)
    )
      throw new FormatError(
        `${source} is damaged: frame ${record.frame} does not follow frame ${previous.frame}`,
      );
    records.push(record);
    at += record.length;
  }
  if (at !== content.length) throw new FormatError(`${source} is damaged: bytes follow its last frame`);
  return records;
}

function parseSections(record: StreamRecord, body: Uint8Array, count: number): void {
  const { source, frame } = record;
  if (count > MAX_SECTIONS)
    throw new FormatError(`${source}: frame ${frame} states ${count} sections; ${MAX_SECTIONS} are read`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let room = FREE_EXPANSION + MAX_EXPANSION * body.length;
  let last = 0;
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (body.length - at < SECTION_HEADER)
      throw new FormatError(`${source} is cut off within the sections of frame ${frame}`);
    const id = view.getUint16(at, true);
    const [codec, flags] = [body[at + 2], body[at + 3]];
    const size = view.getUint32(at + 4, true);
    const length = view.getUint32(at + 8, true);
    const [width, predictor, columns, shift] = body.subarray(at + 12, at + 16);
    at += SECTION_HEADER;
    room -= size;
    if (id <= last || length > body.length - at || room < 0)
      throw new FormatError(`${source} is damaged: the sections of frame ${frame} do not fit`);
    last = id;
    if (KNOWN.has(id) && codec <= Codec.rans && flags === 0) {
      const layout = { width, predictor, columns, shift };
      record.sections.set(id, { codec, size, layout, stored: body.subarray(at, at + length) });
    } else if ((flags & ANCILLARY_FLAG) === 0)
      throw new FormatError(
        `${source}: section ${id} of frame ${frame} needs a newer version of the viewer than this one`,
      );
    at += length;
  }
  if (at !== body.length)
    throw new FormatError(`${source} is damaged: bytes follow the sections of frame ${frame}`);
}

function decompress({ codec, stored, size }: Section): Uint8Array | null {
  if (codec === Codec.raw) return stored.length === size ? stored : null;
  if (codec === Codec.deflate) return inflate(stored, size);
  if (codec === Codec.zstd) return inflateZstd(stored, size);
  return decodeRans(stored, size, false);
}

const KNOWN = new Set<number>([
  ...Object.values(SectionId).filter((id) => id <= SectionId.values),
  ...[1, 2, 3, 4, 5].flatMap((a) => [
    SectionId.values + a,
    SectionId.attributeMask + a,
    SectionId.latents + a,
  ]),
]);
