// The linear maps from latents to residuals, as sections hold them; the twin of those in recon/streaming/keyframe.py.
import { FormatError } from "../splats/formats";
import { ATTRIBUTES, MAX_DECODER_SHIFT, MAX_LATENTS, SectionId, attributeWidth, attributes } from "./layout";
import type { StreamRecord } from "./record";

/** A linear map without bias from a splat's latents to the residual of one attribute. */
export interface Decoder {
  readonly latents: number;
  /** One unit of an entry is 2^-shift grid steps. */
  readonly shift: number;
  /** [outputs, latents] */
  readonly entries: Int16Array;
}

const HEADER = 4;
const DIFFERENCE = 1;

/** All decoders, by attribute in ascending order, after the changes that a record states. */
export function readDecoders(
  record: StreamRecord,
  previous: ReadonlyMap<number, Decoder>,
): Map<number, Decoder> {
  if (!record.has(SectionId.decoders)) return new Map(previous);
  const name = record.nameOf(SectionId.decoders);
  const content = record.bytes(SectionId.decoders);
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const known = attributes(record.degree).length;
  const decoders = new Map(previous);
  let last = 0;
  for (let at = 0; at < content.length;) {
    if (content.length - at < HEADER) throw new FormatError(`${name} is cut off`);
    const [index, latents, shift, mode] = content.subarray(at, at + HEADER);
    at += HEADER;
    if (index <= last || index >= known)
      throw new FormatError(`${name} has a decoder of attribute ${index}, which is out of place`);
    last = index;
    if (latents > MAX_LATENTS || shift > MAX_DECODER_SHIFT || mode > DIFFERENCE)
      throw new FormatError(`${name} states a size, shift or mode that this version does not know`);
    if (latents === 0) {
      decoders.delete(index);
      continue;
    }
    const count = latents * attributeWidth(index, record.degree);
    if (content.length - at < 2 * count) throw new FormatError(`${name} is cut off`);
    const entries = new Int16Array(count);
    for (let i = 0; i < count; i++, at += 2) entries[i] = view.getInt16(at, true);
    if (mode === DIFFERENCE) {
      const old = decoders.get(index);
      if (old === undefined || old.latents !== latents)
        throw new FormatError(`${name} changes a decoder of attribute ${index} that is not there`);
      for (let i = 0; i < count; i++) entries[i] += old.entries[i];
    }
    decoders.set(index, { latents, shift, entries });
  }
  // In the order of attributes, in which the checksum takes them.
  const sorted = new Map<number, Decoder>();
  for (const { index } of ATTRIBUTES) {
    const decoder = decoders.get(index);
    if (decoder !== undefined) sorted.set(index, decoder);
  }
  return sorted;
}
