// How far a rendering is from a photo: PSNR and a map of the absolute difference.
import { INFERNO } from "../picture/ramps";

/** The difference is shown four times amplified, on a fixed scale, as in recon's reports. */
export const GAIN = 4;

export interface Difference {
  /** dB over all pixels and channels. */
  readonly psnr: number;
  /** RGBA of the difference, averaged over the channels. */
  readonly picture: Uint8ClampedArray<ArrayBuffer>;
}

/**
 * Compare two pictures of the same size, RGBA bytes; opacity is ignored.
 *
 * Where both are equal everywhere the PSNR is Infinity.
 */
export function difference(render: Uint8ClampedArray, photo: Uint8ClampedArray): Difference {
  if (render.length !== photo.length)
    throw new RangeError(
      `pictures of ${render.length / 4} and ${photo.length / 4} pixels cannot be compared`,
    );
  const picture = new Uint8ClampedArray(render.length);
  let squares = 0;
  for (let i = 0; i < render.length; i += 4) {
    let sum = 0;
    for (let k = 0; k < 3; k++) {
      const step = Math.abs(render[i + k] - photo[i + k]);
      sum += step;
      squares += step * step;
    }
    const level = Math.min(255, Math.round((GAIN * sum) / 3));
    picture[i] = INFERNO[3 * level];
    picture[i + 1] = INFERNO[3 * level + 1];
    picture[i + 2] = INFERNO[3 * level + 2];
    picture[i + 3] = 255;
  }
  const mean = squares / ((render.length / 4) * 3);
  return { psnr: 10 * Math.log10((255 * 255) / mean), picture };
}
