// One picture: layers (points, mesh, cameras) by three.js, splats over them, and the pass that turns both into colours.
import * as THREE from "three";
import { CLIP, type PinholeCamera, copyToThree } from "../cameras/pinhole";
import { type SplatMode, WebGlSplats } from "../splats/splat_object";
import { TURBO, VIRIDIS } from "./ramps";
import { type Gl, linkProgram, nearestSampling, plainUploads, uniforms } from "./webgl";

export type PictureMode = "color" | "depth" | "normal" | "alpha" | "centers" | "ellipsoids" | "confidence";

/** What a picture shows. */
export interface Look {
  readonly mode: PictureMode;
  /** Highest degree of spherical harmonics. */
  readonly degree: number;
  /** sRGB in [0, 1]; null leaves the background transparent. */
  readonly background: readonly [number, number, number] | null;
  readonly crop: readonly number[] | null;
  /** Depths of the colour scale's ends. */
  readonly depthRange: readonly [number, number];
  readonly splats: boolean;
  readonly layers: boolean;
}

/** RGBA bytes, top row first, not premultiplied. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** What the shader needs of a mode: what to blend, and how to show what was blended. */
const BLENDED: Record<PictureMode, { splats: SplatMode; shown: number }> = {
  color: { splats: "color", shown: 0 },
  depth: { splats: "depth", shown: 1 },
  normal: { splats: "normal", shown: 2 },
  alpha: { splats: "color", shown: 3 },
  centers: { splats: "centers", shown: 0 },
  ellipsoids: { splats: "ellipsoids", shown: 0 },
  confidence: { splats: "confidence", shown: 0 },
};

export class Stage {
  readonly renderer: THREE.WebGLRenderer;
  readonly gl: Gl;
  readonly splats: WebGlSplats;
  readonly scene = new THREE.Scene();
  /** Units per which near and far planes of the layers are set. */
  sceneScale = 1;
  private readonly camera = new THREE.Camera();
  private readonly shown: Target;
  private readonly resolve: WebGLProgram;
  private readonly resolveUniform: (name: string) => WebGLUniformLocation | null;
  private readonly turbo: WebGLTexture;
  private readonly empty: WebGLTexture;
  private readonly emptyArray: WebGLVertexArrayObject;
  /** Whether 32-bit float targets can be blended into; half floats otherwise. */
  private readonly floatBlend: boolean;

  constructor(readonly canvas: HTMLCanvasElement) {
    // Colours are sRGB values that pass through unchanged, as in the rasterizer.
    THREE.ColorManagement.enabled = false;
    this.renderer = new THREE.WebGLRenderer({
      canvas,
      alpha: true,
      antialias: false,
      stencil: false,
      depth: false,
    });
    this.renderer.outputColorSpace = THREE.LinearSRGBColorSpace;
    this.renderer.autoClear = false;
    this.gl = this.renderer.getContext() as Gl;
    const { gl } = this;
    if (!gl.getExtension("EXT_color_buffer_float") && !gl.getExtension("EXT_color_buffer_half_float"))
      throw new Error("this browser's WebGL cannot draw into float pictures, which splats need");
    this.floatBlend =
      gl.getExtension("EXT_color_buffer_float") !== null && gl.getExtension("EXT_float_blend") !== null;
    this.turbo = rampTexture(gl, TURBO);
    this.splats = new WebGlSplats(gl, rampTexture(gl, VIRIDIS));
    this.shown = new Target(this.renderer);
    this.resolve = linkProgram(gl, RESOLVE_VERTEX, RESOLVE_FRAGMENT);
    this.resolveUniform = uniforms(gl, this.resolve);
    this.empty = rampTexture(gl, new Uint8Array(3), 0);
    this.emptyArray = gl.createVertexArray();
  }

  /** Name of the graphics card, where the browser tells. */
  get gpuName(): string {
    const info = this.gl.getExtension("WEBGL_debug_renderer_info");
    return String(this.gl.getParameter(info?.UNMASKED_RENDERER_WEBGL ?? this.gl.RENDERER));
  }

  /** Draw on the canvas, whose size becomes the camera's. */
  draw(camera: PinholeCamera, look: Look): void {
    if (this.canvas.width !== camera.width || this.canvas.height !== camera.height)
      this.renderer.setSize(camera.width, camera.height, false);
    this.compose(this.shown, camera, look, null);
  }

  /** What was just drawn on the canvas; only right before the browser shows it. */
  readCanvas(): Pixels {
    const { gl } = this;
    const { width, height } = this.canvas;
    const data = new Uint8ClampedArray(4 * width * height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(data.buffer));
    flipRows(data, width, height);
    return { width, height, data };
  }

  /** Render a picture of any size from any camera, beside what is on the canvas. */
  picture(camera: PinholeCamera, look: Look): Pixels {
    const { gl } = this;
    const { width, height } = camera;
    const target = new Target(this.renderer);
    const output = new ColorBuffer(gl);
    output.resize(width, height, gl.RGBA8);
    const hasSplats = look.splats && this.splats.count > 0;
    const sorted = hasSplats ? this.splats.orderNow(camera) : null;
    this.compose(
      target,
      camera,
      sorted ? { ...look, depthRange: sorted.depthRange } : look,
      output.framebuffer,
    );
    gl.bindFramebuffer(gl.FRAMEBUFFER, output.framebuffer);
    const data = new Uint8ClampedArray(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(data.buffer));
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    target.dispose();
    output.dispose();
    if (hasSplats) this.splats.restoreOrder();
    this.renderer.resetState();
    flipRows(data, width, height);
    unpremultiply(data);
    return { width, height, data };
  }

  /** Expected depth (camera z) of splats or layers at a pixel of the canvas; null where there is nothing. */
  depthAt(camera: PinholeCamera, u: number, v: number, crop: readonly number[] | null): number | null {
    const splats = this.splats.count > 0 ? this.splatDepthAt(camera, u, v, crop) : null;
    return splats ?? this.layerDepthAt(camera, u, v);
  }

  private splatDepthAt(
    camera: PinholeCamera,
    u: number,
    v: number,
    crop: readonly number[] | null,
  ): number | null {
    const { gl } = this;
    const buffer = new ColorBuffer(gl);
    buffer.resize(1, 1, this.floatBlend ? gl.RGBA32F : gl.RGBA16F);
    gl.bindFramebuffer(gl.FRAMEBUFFER, buffer.framebuffer);
    // The viewport is moved so that the pixel asked for is the only one.
    gl.viewport(-Math.floor(u), Math.floor(v) + 1 - camera.height, camera.width, camera.height);
    gl.clearColor(0, 0, 0, 0);
    gl.colorMask(true, true, true, true);
    gl.disable(gl.SCISSOR_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.splats.render(camera, { mode: "depth", degree: 0, crop, clipDepth: null });
    const blended = new Float32Array(4);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.FLOAT, blended);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    buffer.dispose();
    this.renderer.resetState();
    // Less than a tenth of coverage is haze, not a surface.
    return blended[3] > 0.1 ? blended[0] / blended[3] : null;
  }

  private layerDepthAt(camera: PinholeCamera, u: number, v: number): number | null {
    const { near, far } = this.clip;
    copyToThree(camera, this.camera, near, far);
    const raycaster = new THREE.Raycaster();
    raycaster.params.Points.threshold = 0.01 * this.sceneScale;
    const ndc = new THREE.Vector3((2 * u) / camera.width - 1, 1 - (2 * v) / camera.height, 0.5);
    const origin = new THREE.Vector3().setFromMatrixPosition(this.camera.matrixWorld);
    const direction = ndc
      .applyMatrix4(this.camera.projectionMatrixInverse)
      .applyMatrix4(this.camera.matrixWorld);
    raycaster.set(origin, direction.sub(origin).normalize());
    const hits = raycaster
      .intersectObjects(this.scene.children, true)
      .filter(({ object }) => object.userData["solid"] === true && isShown(object));
    if (hits.length === 0) return null;
    const inCamera = hits[0].point.clone().applyMatrix4(this.camera.matrixWorldInverse);
    return -inCamera.z;
  }

  private get clip(): { near: number; far: number } {
    return { near: CLIP.near * this.sceneScale, far: CLIP.far * this.sceneScale };
  }

  private compose(target: Target, camera: PinholeCamera, look: Look, output: WebGLFramebuffer | null): void {
    const { gl, renderer } = this;
    const { width, height } = camera;
    const { near, far } = this.clip;
    const { splats: mode, shown } = BLENDED[look.mode];
    const layers = look.layers && this.scene.children.some((child) => child.visible);
    const precise = this.floatBlend && (shown === 1 || shown === 2);
    target.resize(width, height, precise ? gl.RGBA32F : gl.RGBA16F, layers);

    if (layers) {
      copyToThree(camera, this.camera, near, far);
      renderer.resetState();
      renderer.setRenderTarget(target.layers);
      renderer.setClearColor(0x000000, 0);
      renderer.clear(true, true, false);
      renderer.render(this.scene, this.camera);
      renderer.setRenderTarget(null);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.blended.framebuffer);
    target.attachDepth(layers);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.SCISSOR_TEST);
    gl.colorMask(true, true, true, true);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const clipDepth = layers
      ? ([(far + near) / (far - near), (-2 * far * near) / (far - near)] as const)
      : null;
    if (look.splats) this.splats.render(camera, { mode, degree: look.degree, crop: look.crop, clipDepth });

    gl.bindFramebuffer(gl.FRAMEBUFFER, output);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.disable(gl.CULL_FACE);
    gl.useProgram(this.resolve);
    gl.bindVertexArray(this.emptyArray);
    const textures = [target.blended.texture, layers ? target.layersTexture : this.empty, this.turbo];
    textures.forEach((texture, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
    });
    const uniform = this.resolveUniform;
    gl.uniform1i(uniform("blended"), 0);
    gl.uniform1i(uniform("layers"), 1);
    gl.uniform1i(uniform("turbo"), 2);
    gl.uniform1i(uniform("shown"), shown);
    gl.uniform1i(uniform("has_layers"), layers ? 1 : 0);
    gl.uniform2f(uniform("depth_range"), ...look.depthRange);
    gl.uniform4f(
      uniform("background"),
      ...(look.background ?? ([0, 0, 0] as const)),
      look.background === null ? 0 : 1,
    );
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindVertexArray(null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    renderer.resetState();
  }
}

/** A float picture to blend into. */
class ColorBuffer {
  texture: WebGLTexture | null = null;
  readonly framebuffer: WebGLFramebuffer;
  private format = 0;
  private width = 0;
  private height = 0;

  constructor(private readonly gl: Gl) {
    this.framebuffer = gl.createFramebuffer();
  }

  resize(width: number, height: number, format: GLenum): void {
    if (width === this.width && height === this.height && format === this.format) return;
    const { gl } = this;
    Object.assign(this, { width, height, format });
    gl.deleteTexture(this.texture);
    this.texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    nearestSampling(gl, gl.TEXTURE_2D);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
  }

  dispose(): void {
    this.gl.deleteTexture(this.texture);
    this.gl.deleteFramebuffer(this.framebuffer);
  }
}

/** The two pictures that are composed: layers with their depth, and the blended splats that test against it. */
class Target {
  readonly blended: ColorBuffer;
  layers: THREE.WebGLRenderTarget | null = null;
  private readonly gl: Gl;

  constructor(private readonly renderer: THREE.WebGLRenderer) {
    this.gl = renderer.getContext() as Gl;
    this.blended = new ColorBuffer(this.gl);
  }

  get layersTexture(): WebGLTexture | null {
    return this.native(this.layers!.texture);
  }

  resize(width: number, height: number, format: GLenum, layers: boolean): void {
    this.blended.resize(width, height, format);
    if (!layers) return;
    if (this.layers === null)
      this.layers = new THREE.WebGLRenderTarget(width, height, {
        samples: 4,
        depthTexture: new THREE.DepthTexture(width, height),
        minFilter: THREE.NearestFilter,
        magFilter: THREE.NearestFilter,
        generateMipmaps: false,
      });
    else this.layers.setSize(width, height);
  }

  /** Let the splats test against the layers' depth, or against nothing. */
  attachDepth(layers: boolean): void {
    const { gl } = this;
    const texture = layers ? this.native(this.layers!.depthTexture!) : null;
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, texture, 0);
  }

  dispose(): void {
    this.blended.dispose();
    this.layers?.depthTexture?.dispose();
    this.layers?.dispose();
  }

  private native(texture: THREE.Texture): WebGLTexture | null {
    const properties = this.renderer.properties.get(texture) as { __webglTexture?: WebGLTexture };
    return properties.__webglTexture ?? null;
  }
}

const RESOLVE_VERTEX = /* glsl */ `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(4.0 * corner - 1.0, 0.0, 1.0);
}
`;

const RESOLVE_FRAGMENT = /* glsl */ `#version 300 es
precision highp float;
uniform sampler2D blended;  // premultiplied
uniform sampler2D layers;   // premultiplied
uniform sampler2D turbo;
uniform int shown;          // 0 colour, 1 depth, 2 normal, 3 opacity
uniform bool has_layers;
uniform vec2 depth_range;
uniform vec4 background;
out vec4 color;

void main() {
  ivec2 pixel = ivec2(gl_FragCoord.xy);
  vec4 splats = texelFetch(blended, pixel, 0);
  vec4 behind = has_layers ? texelFetch(layers, pixel, 0) : vec4(0.0);
  if (shown == 0) {
    behind += (1.0 - behind.a) * background;
    color = splats + (1.0 - splats.a) * behind;
  } else if (shown == 3) {
    color = vec4(vec3(splats.a), 1.0);
  } else {
    bool known = splats.a > 0.0;
    vec3 value = vec3(0.0);
    if (known && shown == 1) {
      float place = clamp((splats.r / splats.a - depth_range.x) / max(depth_range.y - depth_range.x, 1e-12), 0.0, 1.0);
      value = texelFetch(turbo, ivec2(int(place * 255.0 + 0.5), 0), 0).rgb;
    } else if (known && dot(splats.rgb, splats.rgb) > 0.0) {
      value = 0.5 + 0.5 * normalize(splats.rgb) * vec3(1.0, -1.0, -1.0);
    }
    color = known ? vec4(value, 1.0) : has_layers && behind.a > 0.0 ? vec4(behind.rgb, 1.0) : vec4(0.0, 0.0, 0.0, 1.0);
  }
}
`;

function rampTexture(gl: Gl, ramp: Uint8Array, alpha = 255): WebGLTexture {
  const steps = ramp.length / 3;
  const texels = new Uint8Array(4 * steps);
  for (let i = 0; i < steps; i++) texels.set([ramp[3 * i], ramp[3 * i + 1], ramp[3 * i + 2], alpha], 4 * i);
  const texture = gl.createTexture();
  plainUploads(gl);
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, steps, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  nearestSampling(gl, gl.TEXTURE_2D);
  return texture;
}

function flipRows(data: Uint8ClampedArray, width: number, height: number): void {
  const stride = 4 * width;
  const row = new Uint8ClampedArray(stride);
  for (let top = 0, bottom = height - 1; top < bottom; top++, bottom--) {
    row.set(data.subarray(top * stride, (top + 1) * stride));
    data.copyWithin(top * stride, bottom * stride, (bottom + 1) * stride);
    data.set(row, bottom * stride);
  }
}

function unpremultiply(data: Uint8ClampedArray): void {
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3];
    if (alpha === 0 || alpha === 255) continue;
    for (let k = 0; k < 3; k++) data[i + k] = (data[i + k] * 255) / alpha;
  }
}

function isShown(object: THREE.Object3D): boolean {
  for (let at: THREE.Object3D | null = object; at !== null; at = at.parent) if (!at.visible) return false;
  return true;
}
