// The .splat format: 32 bytes per Gaussian, no header, no view-dependent colour; the twin of recon/splats/formats/splat.py.
//
// Per Gaussian, little endian: position (3 float32), standard deviations (3 float32), red, green, blue and opacity
// (4 bytes, 0 to 255 for 0 to 1), rotation w, x, y, z (4 bytes, round(128 q) + 128).
import { type Gaussians, SH_C0, allocateGaussians } from "../gaussians";
import {
  BYTE_OPACITY_LOGITS,
  FormatError,
  byteOpacity,
  checkCount,
  checkGaussians,
  checkToWrite,
  clampByte,
  roundHalfEven,
} from "./limits";

const RECORD = 32;

/** Zero deviations, which have no logarithm, read as this. */
const SMALLEST_SCALE = 1e-30;

/** Decode a .splat file; allocates 2.2 times its size. */
export function decodeSplat(content: Uint8Array, source: string): Gaussians {
  if (content.length % RECORD)
    throw new FormatError(
      `${source} is not a whole .splat file: its ${content.length} bytes are not a multiple of ${RECORD}`,
    );
  const count = content.length / RECORD;
  checkCount(source, count);
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const out = allocateGaussians(count, 1);
  for (let i = 0; i < count; i++) {
    const at = i * RECORD;
    for (let k = 0; k < 3; k++) {
      out.means[3 * i + k] = view.getFloat32(at + 4 * k, true);
      const scale = view.getFloat32(at + 12 + 4 * k, true);
      if (!(scale >= 0)) throw new FormatError(`${source} is damaged: Gaussian ${i} has no valid size`);
      out.logScales[3 * i + k] = Math.log(Math.max(scale, SMALLEST_SCALE));
      out.sh[3 * i + k] = (content[at + 24 + k] / 255 - 0.5) / SH_C0;
    }
    out.opacityLogits[i] = BYTE_OPACITY_LOGITS[content[at + 27]];
    for (let k = 0; k < 4; k++) out.quaternions[4 * i + k] = (content[at + 28 + k] - 128) / 128;
  }
  checkGaussians(source, out);
  return out;
}

/** Encode a .splat file; it keeps only the colour that all viewing directions share. */
export function encodeSplat(gaussians: Gaussians): Uint8Array<ArrayBuffer> {
  checkToWrite(gaussians);
  const content = new Uint8Array(gaussians.count * RECORD);
  const view = new DataView(content.buffer);
  const { means, logScales, quaternions, opacityLogits, sh, coefficients } = gaussians;
  for (let i = 0; i < gaussians.count; i++) {
    const at = i * RECORD;
    const [w, x, y, z] = quaternions.subarray(4 * i, 4 * i + 4);
    const norm = Math.sqrt(w * w + x * x + y * y + z * z) || 1;
    for (let k = 0; k < 3; k++) {
      view.setFloat32(at + 4 * k, means[3 * i + k], true);
      view.setFloat32(at + 12 + 4 * k, Math.exp(logScales[3 * i + k]), true);
      content[at + 24 + k] = clampByte(roundHalfEven(255 * (0.5 + SH_C0 * sh[3 * coefficients * i + k])));
    }
    content[at + 27] = byteOpacity(opacityLogits[i]);
    for (let k = 0; k < 4; k++)
      content[at + 28 + k] = clampByte(roundHalfEven((128 * quaternions[4 * i + k]) / norm) + 128);
  }
  return content;
}
