// The Gaussians on the graphics card: texture arrays that grow in steps and are updated by row ranges.
import { type Gl, nearestSampling, plainUploads } from "../picture/webgl";
import type { Gaussians } from "./gaussians";
import { COLUMNS, GEOMETRY_LAYERS } from "./shaders";

/** Capacity grows by this many texture rows at least, 65 536 Gaussians. */
const STEP = 64;

/** Texture rows converted and uploaded at a time. */
const STRIP = 32;

/**
 * Two texture arrays, both COLUMNS texels wide, one Gaussian per texel and layer:
 *
 * - geometry, RGBA32F: (mean, opacity), quaternion, (standard deviations, confidence);
 * - harmonics, RGBA16F: the 3 K colour coefficients one after the other, four to a layer.
 */
export class SplatTextures {
  geometry: WebGLTexture | null = null;
  harmonics: WebGLTexture | null = null;
  private rows = 0;
  private coefficients = 0;
  private readonly strip = new Float32Array(4 * COLUMNS * STRIP);

  constructor(private readonly gl: Gl) {}

  /** Bytes on the graphics card. */
  get bytes(): number {
    return this.rows * COLUMNS * (16 * GEOMETRY_LAYERS + 8 * harmonicLayers(this.coefficients));
  }

  /** Most Gaussians this graphics card can hold. */
  get limit(): number {
    return COLUMNS * this.gl.getParameter(this.gl.MAX_TEXTURE_SIZE);
  }

  /** Make room; returns true when the textures are new and everything must be uploaded. */
  reserve(count: number, coefficients: number): boolean {
    const needed = Math.ceil(count / COLUMNS);
    if (needed <= this.rows && coefficients === this.coefficients) return false;
    const { gl } = this;
    const most = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
    this.rows = Math.min(most, Math.max(STEP, Math.ceil((needed * 1.125) / STEP) * STEP));
    this.coefficients = coefficients;
    this.dispose();
    this.geometry = this.allocate(gl.RGBA32F, GEOMETRY_LAYERS);
    this.harmonics = this.allocate(gl.RGBA16F, harmonicLayers(coefficients));
    return true;
  }

  /** Upload the rows [first, first + count) of these Gaussians. */
  upload(gaussians: Gaussians, confidence: Float32Array | null, first: number, count: number): void {
    const { gl, strip } = this;
    plainUploads(gl);
    const layers = harmonicLayers(gaussians.coefficients);
    const width = 3 * gaussians.coefficients;
    const lastRow = Math.floor((first + count - 1) / COLUMNS);
    for (let row = Math.floor(first / COLUMNS); row <= lastRow; row += STRIP) {
      const height = Math.min(STRIP, lastRow + 1 - row);
      const begin = row * COLUMNS;
      const end = Math.min(gaussians.count, (row + height) * COLUMNS);
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.geometry);
      for (let layer = 0; layer < GEOMETRY_LAYERS; layer++) {
        fillGeometry(strip, gaussians, confidence, layer, begin, end);
        this.send(layer, row, height);
      }
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.harmonics);
      for (let layer = 0; layer < layers; layer++) {
        const used = Math.min(4, width - 4 * layer);
        for (let i = begin, to = 0; i < end; i++, to += 4)
          for (let k = 0; k < used; k++) strip[to + k] = gaussians.sh[i * width + 4 * layer + k];
        this.send(layer, row, height);
      }
    }
  }

  dispose(): void {
    this.gl.deleteTexture(this.geometry);
    this.gl.deleteTexture(this.harmonics);
  }

  private allocate(format: GLenum, layers: number): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, format, COLUMNS, this.rows, layers);
    nearestSampling(gl, gl.TEXTURE_2D_ARRAY);
    return texture;
  }

  private send(layer: number, row: number, height: number): void {
    const { gl } = this;
    gl.texSubImage3D(
      ...([gl.TEXTURE_2D_ARRAY, 0, 0, row, layer, COLUMNS, height, 1, gl.RGBA, gl.FLOAT] as const),
      this.strip,
    );
  }
}

function harmonicLayers(coefficients: number): number {
  return Math.ceil((3 * coefficients) / 4);
}

function fillGeometry(
  strip: Float32Array,
  { means, opacityLogits, quaternions, logScales }: Gaussians,
  confidence: Float32Array | null,
  layer: number,
  begin: number,
  end: number,
): void {
  if (layer === 0)
    for (let i = begin, to = 0; i < end; i++, to += 4) {
      strip[to] = means[3 * i];
      strip[to + 1] = means[3 * i + 1];
      strip[to + 2] = means[3 * i + 2];
      strip[to + 3] = 1 / (1 + Math.exp(-opacityLogits[i]));
    }
  else if (layer === 1) strip.set(quaternions.subarray(4 * begin, 4 * end));
  else
    for (let i = begin, to = 0; i < end; i++, to += 4) {
      strip[to] = Math.exp(logScales[3 * i]);
      strip[to + 1] = Math.exp(logScales[3 * i + 1]);
      strip[to + 2] = Math.exp(logScales[3 * i + 2]);
      strip[to + 3] = confidence === null ? 0 : confidence[i];
    }
}
