// The splats on the screen: what a player or a page needs, and its WebGL2 form.
import type { PinholeCamera } from "../cameras/pinhole";
import { type Gl, linkProgram, plainUploads, uniforms } from "../picture/webgl";
import { DepthSorter, type DepthOrder } from "./counting_sort";
import { type Gaussians, shDegree } from "./gaussians";
import { type Residual, type RowRange, SplatState } from "./residual";
import { COLUMNS, MODES, SPLAT_FRAGMENT, SPLAT_VERTEX } from "./shaders";
import { Sorter } from "./sorter";
import { SplatTextures } from "./splat_textures";

export type SplatMode = keyof typeof MODES;

/** How to draw. */
export interface SplatLook {
  readonly mode: SplatMode;
  /** Highest degree of spherical harmonics to use. */
  readonly degree: number;
  /** Row-major world to [-1, 1]^3: Gaussians with centres outside are not drawn. */
  readonly crop: readonly number[] | null;
  /** What maps camera z to the z of clip space, for occlusion by other things; null to draw over everything. */
  readonly clipDepth: readonly [number, number] | null;
}

/** What was sorted and is ready to be drawn: the order and the camera belong together. */
export interface ReadyOrder {
  readonly camera: PinholeCamera;
  readonly depthRange: readonly [number, number];
  readonly milliseconds: number;
}

/** Splats that can be replaced, moved on frame by frame, and drawn; another back end can stand in for WebGL2. */
export interface SplatObject {
  /** Replace everything. The change shows with the first order that was sorted for it. */
  setKeyframe(gaussians: Gaussians, confidence?: Float32Array | null): void;
  /** Move on by one frame; likewise shown with its order. */
  applyResidual(residual: Residual): void;
  /** Replace rows and set how many there are; likewise. */
  update(count: number, parts: readonly { readonly first: number; readonly rows: Gaussians }[]): void;
  /** Blend into the bound framebuffer, farthest first, with the last order. */
  render(camera: PinholeCamera, look: SplatLook): void;
}

export class WebGlSplats implements SplatObject {
  /** Called when an order has arrived and its content is on the graphics card. */
  onReady: (ready: ReadyOrder) => void = () => undefined;
  private readonly program: WebGLProgram;
  private readonly uniform: (name: string) => WebGLUniformLocation | null;
  private readonly textures: SplatTextures;
  private readonly vertexArray: WebGLVertexArrayObject;
  private readonly orderBuffer: WebGLBuffer;
  private readonly ramp: WebGLTexture;
  private readonly sorter = new Sorter();
  private readonly onlooker = new DepthSorter(); // for pictures from other cameras, sorted on the spot
  private onlookerVersion = -1;
  private state: SplatState | null = null;
  private confidence: Float32Array | null = null;
  private version = 0;
  private uploaded = 0;
  private readonly pending: { version: number; range: RowRange }[] = [];
  private drawn = 0;
  private order: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  private readonly requested = new Map<number, PinholeCamera>();

  constructor(
    private readonly gl: Gl,
    confidenceRamp: WebGLTexture,
  ) {
    this.program = linkProgram(gl, SPLAT_VERTEX, SPLAT_FRAGMENT);
    this.uniform = uniforms(gl, this.program);
    this.textures = new SplatTextures(gl);
    this.ramp = confidenceRamp;
    this.orderBuffer = gl.createBuffer();
    this.vertexArray = gl.createVertexArray();
    gl.bindVertexArray(this.vertexArray);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orderBuffer);
    const splat = gl.getAttribLocation(this.program, "splat");
    gl.enableVertexAttribArray(splat);
    gl.vertexAttribIPointer(splat, 1, gl.UNSIGNED_INT, 4, 0);
    gl.vertexAttribDivisor(splat, 1);
    gl.bindVertexArray(null);
    this.sorter.onOrder = ({ ticket, version, order, depthRange, milliseconds }) => {
      const camera = this.requested.get(ticket);
      for (const old of this.requested.keys()) if (old <= ticket) this.requested.delete(old);
      if (camera === undefined || this.state === null) return;
      // What the order was made for is gone in part: nothing is shown of two contents at once.
      const mixed = version < this.version && this.pending.some((change) => change.version <= version);
      if (mixed || version < this.uploaded) {
        if (!this.sorter.hasNext) this.requestOrder(camera);
        return;
      }
      this.uploadUpTo(version);
      this.order = order;
      this.uploadOrder(order);
      this.onReady({ camera, depthRange, milliseconds });
    };
  }

  get gaussians(): Gaussians | null {
    return this.state?.gaussians ?? null;
  }

  get count(): number {
    return this.state?.count ?? 0;
  }

  get hasConfidence(): boolean {
    return this.confidence !== null;
  }

  /** Gaussians drawn by the last call of render. */
  get drawnCount(): number {
    return this.drawn;
  }

  get bytes(): number {
    return this.textures.bytes + 4 * this.order.length;
  }

  /** The content that was set last is what is drawn. */
  get current(): boolean {
    return this.uploaded === this.version;
  }

  setKeyframe(gaussians: Gaussians, confidence: Float32Array | null = null): void {
    this.checkCount(gaussians.count);
    this.state = new SplatState(gaussians);
    this.confidence = confidence;
    this.changed({ first: 0, rows: gaussians.count });
  }

  applyResidual(residual: Residual): void {
    if (this.state === null) throw new RangeError("a residual needs a keyframe before it");
    for (const range of this.state.apply(residual)) this.changed(range);
  }

  /** Replace rows, for content that arrives in parts. */
  replaceRows(first: number, rows: Gaussians): void {
    if (this.state === null) throw new RangeError("rows need a keyframe before them");
    this.changed(this.state.replace(first, rows));
  }

  /** Replace rows and set how many there are: the next frame of a stream, which shows with its order. */
  update(count: number, parts: readonly { readonly first: number; readonly rows: Gaussians }[]): void {
    if (this.state === null) throw new RangeError("rows need a keyframe before them");
    this.checkCount(count);
    this.state.update(count, parts);
    for (const { first, rows } of parts) this.changed({ first, rows: rows.count });
    if (parts.length === 0) this.changed({ first: 0, rows: 0 });
  }

  setConfidence(confidence: Float32Array | null): void {
    this.confidence = confidence;
    if (this.state !== null) this.changed({ first: 0, rows: this.state.count });
  }

  /** Draw at most so many Gaussians, those that cover most. */
  setBudget(budget: number): void {
    this.sorter.setBudget(budget);
  }

  /** Draw nothing up to this camera z. */
  setNear(near: number): void {
    this.onlooker.near = near;
    this.sorter.setNear(near);
  }

  /** Ask the worker for this camera's order; `onReady` tells when it is there. */
  requestOrder(camera: PinholeCamera): void {
    this.requested.set(this.sorter.request(camera.worldToCamera.slice(8, 12)), camera);
  }

  get sorting(): boolean {
    return !this.sorter.idle;
  }

  /** Sort for a camera here and now, for a picture beside the running view; `restoreOrder` brings back the view's. */
  orderNow(camera: PinholeCamera): DepthOrder {
    this.uploadUpTo(this.version);
    const gaussians = this.gaussians!;
    if (this.onlookerVersion !== this.version) {
      this.onlooker.setMeans(gaussians.means);
      this.onlookerVersion = this.version;
    }
    const sorted = this.onlooker.sort(camera.worldToCamera.slice(8, 12));
    this.uploadOrder(sorted.order);
    return sorted;
  }

  restoreOrder(): void {
    // Rows beyond the present count can only come from an order that is about to be replaced.
    const count = this.count;
    const valid = this.order.every((row) => row < count) ? this.order : new Uint32Array(0);
    this.uploadOrder(valid);
  }

  render(camera: PinholeCamera, look: SplatLook): void {
    const { gl, uniform } = this;
    if (this.state === null || this.drawn === 0 || this.textures.geometry === null) return;
    const { width, height, intrinsics, worldToCamera } = camera;
    const [fx, fy, cx, cy] = intrinsics;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vertexArray);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.textures.geometry);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.textures.harmonics);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.ramp);
    gl.uniform1i(uniform("geometry"), 0);
    gl.uniform1i(uniform("harmonics"), 1);
    gl.uniform1i(uniform("confidence_ramp"), 2);
    gl.uniformMatrix4fv(uniform("world_to_camera"), true, worldToCamera as number[]);
    gl.uniform3fv(uniform("camera_center"), cameraCenter(worldToCamera));
    gl.uniform4f(uniform("intrinsics"), fx, fy, cx, cy);
    gl.uniform2f(uniform("size"), width, height);
    // The projection is linearised at most 0.3 of the half field of view beyond the picture (3DGS).
    const [marginX, marginY] = [(0.15 * width) / fx, (0.15 * height) / fy];
    gl.uniform4f(
      uniform("slope_limits"),
      ...([-cx / fx - marginX, (width - cx) / fx + marginX] as const),
      ...([-cy / fy - marginY, (height - cy) / fy + marginY] as const),
    );
    gl.uniform2f(uniform("clip_depth"), ...(look.clipDepth ?? ([0, 0] as const)));
    gl.uniform1f(uniform("near"), this.onlooker.near);
    gl.uniform1i(uniform("degree"), Math.min(look.degree, shDegree(this.state.gaussians)));
    gl.uniform1i(uniform("mode"), MODES[look.mode]);
    gl.uniform1i(uniform("cropped"), look.crop === null ? 0 : 1);
    gl.uniformMatrix4fv(uniform("crop_from_world"), true, (look.crop ?? IDENTITY) as number[]);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.SCISSOR_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.colorMask(true, true, true, true);
    gl.depthMask(false);
    if (look.clipDepth === null) gl.disable(gl.DEPTH_TEST);
    else gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND);
    gl.blendEquation(gl.FUNC_ADD);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.drawn);
    gl.disable(gl.BLEND);
    gl.bindVertexArray(null);
  }

  dispose(): void {
    this.sorter.dispose();
    this.textures.dispose();
  }

  private checkCount(count: number): void {
    if (count > this.textures.limit)
      throw new RangeError(`this graphics card holds ${this.textures.limit} Gaussians, not ${count}`);
  }

  private changed(range: RowRange): void {
    const { state } = this;
    if (state === null) return;
    this.version++;
    this.pending.push({ version: this.version, range });
    this.sorter.setRows(this.version, state.count, range.first, rowsOf(state.gaussians, range));
  }

  /** Upload what changed up to this version, so that it shows together with the order that was sorted for it. */
  private uploadUpTo(version: number): void {
    const state = this.state!;
    const due = this.pending.filter((change) => change.version <= version);
    this.uploaded = Math.max(this.uploaded, version);
    if (due.length === 0) return;
    this.pending.splice(0, due.length);
    const gaussians = state.gaussians;
    const all = this.textures.reserve(gaussians.count, gaussians.coefficients);
    for (const { range } of all ? [{ range: { first: 0, rows: gaussians.count } }] : due) {
      const rows = Math.min(range.rows, gaussians.count - range.first);
      if (rows > 0) this.textures.upload(gaussians, this.confidence, range.first, rows);
    }
  }

  private uploadOrder(order: Uint32Array<ArrayBuffer>): void {
    const { gl } = this;
    plainUploads(gl);
    gl.bindVertexArray(null);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orderBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, order, gl.DYNAMIC_DRAW);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    this.drawn = order.length;
  }
}

const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

/** Centre of the camera in the world: -transpose(R) t. */
function cameraCenter(m: readonly number[]): [number, number, number] {
  const at = (j: number) => -(m[j] * m[3] + m[4 + j] * m[7] + m[8 + j] * m[11]);
  return [at(0), at(1), at(2)];
}

function rowsOf(gaussians: Gaussians, { first, rows }: RowRange): Gaussians {
  return {
    count: rows,
    coefficients: gaussians.coefficients,
    means: gaussians.means.subarray(3 * first, 3 * (first + rows)),
    logScales: gaussians.logScales.subarray(3 * first, 3 * (first + rows)),
    quaternions: gaussians.quaternions,
    opacityLogits: gaussians.opacityLogits.subarray(first, first + rows),
    sh: gaussians.sh,
  };
}

export { COLUMNS };
