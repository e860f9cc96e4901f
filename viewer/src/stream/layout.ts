// The numbers of the stream format, which docs/stream-format.md explains; the twin of recon/streaming/layout.py.
import { ATTRIBUTES as ARRAYS } from "../splats/gaussians";

export const VERSION = 1;
export const FILE_MAGIC = Uint8Array.of(0x89, 0x52, 0x53, 0x54, 0x0d, 0x0a, 0x1a, 0x0a);
export const RECORD_MAGIC = 0x4d524652; // "RFRM", little endian

export const MAX_ROWS = 1 << 23;
export const MAX_RECORD = 2 ** 30;
export const MAX_SECTIONS = 64;
export const MAX_SEGMENT_RECORDS = 4096;

/** The sections of a record may unpack to 16 MB plus 64 times the record. */
export const FREE_EXPANSION = 1 << 24;
export const MAX_EXPANSION = 64;

/** Numbers of the state are n * 2^grid with |n| below this. */
export const UNITS = 1 << 23;
export const GRID_RANGE = [-24, 8] as const;
export const MAX_LATENTS = 64;
export const MAX_CODE = (1 << 15) - 1;
export const MAX_DECODER_SHIFT = 30;
export const MAX_SHIFT = 23;

export const PREVIEW_FLAG = 1;
export const ANCILLARY_FLAG = 1;

export const FileKind = { keyframe: 1, segment: 2 } as const;
export const RecordKind = { keyframe: 1, residual: 2 } as const;
export const Codec = { raw: 0, deflate: 1, zstd: 2, rans: 3 } as const;

export const SectionId = {
  grids: 1,
  decoders: 2,
  anchors: 3,
  removed: 4,
  birthParents: 5,
  birthAnchors: 6,
  anchorMask: 7,
  anchorMotion: 8,
  gateMask: 9,
  positions: 10,
  activeMask: 11,
  values: 16,
  attributeMask: 32,
  latents: 48,
} as const;

/** A group of numbers per Gaussian with a grid and, but for the means, a decoder of its own. */
export interface Attribute {
  readonly index: number;
  readonly name: string;
  readonly array: (typeof ARRAYS)[number];
  /** Its first number in a row of that array. */
  readonly column: number;
}

export const ATTRIBUTES: readonly Attribute[] = [
  { index: 0, name: "means", array: "means", column: 0 },
  { index: 1, name: "log scales", array: "logScales", column: 0 },
  { index: 2, name: "quaternions", array: "quaternions", column: 0 },
  { index: 3, name: "opacity logits", array: "opacityLogits", column: 0 },
  { index: 4, name: "sh base", array: "sh", column: 0 },
  { index: 5, name: "sh rest", array: "sh", column: 3 },
];

/** Place of an array's first number in the checksum. */
export const CHECKSUM_COLUMNS = {
  means: 0,
  logScales: 3,
  quaternions: 6,
  opacityLogits: 10,
  sh: 11,
} as const;
export const ANCHOR_COLUMN = 63;

/** The attributes that Gaussians with harmonics of this degree have. */
export function attributes(degree: number): readonly Attribute[] {
  return degree > 0 ? ATTRIBUTES : ATTRIBUTES.slice(0, -1);
}

/** Numbers that a Gaussian has of an attribute. */
export function attributeWidth(index: number, degree: number): number {
  return [3, 3, 4, 1, 3, 3 * ((degree + 1) ** 2 - 1)][index];
}
