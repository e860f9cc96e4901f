// Opening a file of Gaussians whatever its format, and writing one.
import type { Gaussians } from "../gaussians";
import { FormatError } from "./limits";
import { decodePly, encodePly } from "./ply";
import { decodeSplat, encodeSplat } from "./splat";
import { decodeSpz, encodeSpz } from "./spz";

export { FormatError, MAX_SPLATS } from "./limits";

export type SplatFormat = "ply" | "spz" | "splat";

/** Tell the format from the name's end, or from the first bytes where the name does not say. */
export function splatFormat(name: string, content: Uint8Array): SplatFormat {
  const ending = /\.(ply|spz|splat)$/i.exec(name)?.[1].toLowerCase();
  if (ending !== undefined) return ending as SplatFormat;
  const start = String.fromCharCode(...content.subarray(0, 4));
  if (start.startsWith("ply")) return "ply";
  if (start === "NGSP" || start.startsWith("\x1f\x8b")) return "spz";
  throw new FormatError(`${name} is not a file of Gaussians: .ply, .spz and .splat can be opened`);
}

/** Decode a file of Gaussians; throws a FormatError with a sentence when it is not one, or damaged. */
export async function decodeSplats(
  content: Uint8Array,
  format: SplatFormat,
  source: string,
): Promise<Gaussians> {
  try {
    if (format === "ply") return decodePly(content, source);
    if (format === "spz") return await decodeSpz(content, source);
    return decodeSplat(content, source);
  } catch (error) {
    if (error instanceof RangeError)
      throw new FormatError(`${source} needs more memory than the browser gives`);
    throw error;
  }
}

export async function encodeSplats(
  gaussians: Gaussians,
  format: SplatFormat,
): Promise<Uint8Array<ArrayBuffer>> {
  if (format === "ply") return encodePly(gaussians);
  if (format === "spz") return encodeSpz(gaussians);
  return encodeSplat(gaussians);
}
