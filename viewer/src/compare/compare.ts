// A photo over the view: behind a slider, half transparent, or as a difference map.
import { cameraAt, fitLens, poseOf } from "../cameras/pinhole";
import type { CameraEntry } from "../session";
import type { Viewer } from "../viewer";
import { difference } from "./difference";

export type CompareMode = "off" | "slider" | "overlay" | "difference";

/** What the view is compared with. */
export type CompareWith = "photo" | "picture";

/** Longest side at which the difference is computed, pixels. */
const MAX_SIDE = 1600;

export class Compare {
  mode: CompareMode = "off";
  source: CompareWith = "photo";
  /** Where the slider is, from 0 at the left to 1. */
  position = 0.5;
  opacity = 0.5;
  /** PSNR of what the page draws, in dB, by camera; computed with the difference. */
  readonly measured = new Map<string, number>();
  private readonly canvas = document.createElement("canvas");
  private readonly handle = document.createElement("div");
  private shown = "";
  private busy = "";

  constructor(
    private readonly viewer: Viewer,
    private readonly view: HTMLElement,
  ) {
    this.canvas.className = "compare-picture";
    this.canvas.hidden = true;
    this.handle.className = "compare-handle";
    this.handle.hidden = true;
    this.handle.tabIndex = 0;
    this.handle.setAttribute("role", "slider");
    this.handle.setAttribute("aria-label", "Photo on the left, rendering on the right");
    this.handle.setAttribute("aria-valuemin", "0");
    this.handle.setAttribute("aria-valuemax", "100");
    view.append(this.canvas, this.handle);
    this.handle.addEventListener("pointerdown", (event) => this.handle.setPointerCapture(event.pointerId));
    this.handle.addEventListener("pointermove", (event) => {
      if (!this.handle.hasPointerCapture(event.pointerId)) return;
      const box = this.viewer.photoRectangle();
      this.slide((event.clientX - view.getBoundingClientRect().left - box.x) / box.width);
    });
    this.handle.addEventListener("keydown", (event) => {
      const steps: Record<string, number> = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      event.stopPropagation();
      this.slide(this.position + steps[event.key]);
    });
    viewer.on("view", () => this.update());
    viewer.on("session", () => this.forget());
    viewer.on("settings", () => this.forget());
    viewer.on("drawn", () => this.update());
  }

  /** The camera that can be compared now: the eye stands in it and there is a picture. */
  get available(): CameraEntry | null {
    const entry = this.viewer.standingAt;
    return entry !== null && this.pictureOf(entry) !== null ? entry : null;
  }

  set(mode: CompareMode): void {
    this.mode = mode;
    this.update();
    this.viewer.emit("compare");
  }

  setSource(source: CompareWith): void {
    this.source = source;
    this.forget();
    this.viewer.emit("compare");
  }

  slide(position: number): void {
    this.position = Math.min(1, Math.max(0, position));
    this.layOut();
  }

  fade(opacity: number): void {
    this.opacity = opacity;
    this.layOut();
  }

  private forget(): void {
    this.shown = "";
    this.measured.clear();
    this.update();
  }

  private pictureOf(entry: CameraEntry): string | null {
    return this.source === "photo" ? entry.photo : entry.picture;
  }

  private update(): void {
    const entry = this.available;
    if (entry === null || this.mode === "off") {
      this.canvas.hidden = true;
      this.handle.hidden = true;
      return;
    }
    const wanted = `${this.mode === "difference" ? "difference" : "photo"} ${this.source} ${entry.id}`;
    if (this.shown === wanted) return this.layOut();
    if (this.busy === wanted) return;
    this.busy = wanted;
    this.fill(entry)
      .then(() => {
        this.shown = wanted;
        this.layOut();
        this.viewer.emit("compare");
      })
      .catch((error: Error) => this.viewer.tell(error.message, "error"))
      .finally(() => {
        if (this.busy === wanted) this.busy = "";
        if (this.shown !== wanted) this.shown = "failed";
      });
  }

  private async fill(entry: CameraEntry): Promise<void> {
    const photo = await this.viewer.photos.load(this.pictureOf(entry)!);
    if (this.mode !== "difference") {
      drawPicture(this.canvas, photo, photo.width, photo.height);
      return;
    }
    const scale = Math.min(1, MAX_SIDE / Math.max(entry.width, entry.height));
    const width = Math.max(1, Math.round(entry.width * scale));
    const height = Math.max(1, Math.round(entry.height * scale));
    const wanted = drawPicture(document.createElement("canvas"), photo, width, height);
    const truth = wanted.getImageData(0, 0, width, height).data;
    const render = await this.rendering(entry, width, height);
    if (render === null) throw new Error("there is no rendering of this camera to compare with");
    const { psnr, picture } = difference(render, truth);
    this.canvas.width = width;
    this.canvas.height = height;
    this.canvas.getContext("2d")!.putImageData(new ImageData(picture, width, height), 0, 0);
    if (this.source === "photo") this.measured.set(entry.id, psnr);
  }

  /** What the page draws from this camera; the stored rendering where the page cannot draw. */
  private async rendering(
    entry: CameraEntry,
    width: number,
    height: number,
  ): Promise<Uint8ClampedArray | null> {
    if (this.viewer.stage.splats.count > 0) {
      const lens = fitLens(entry, width, height);
      const camera = cameraAt(poseOf(entry.worldToCamera), lens);
      return this.viewer.picture(camera, { mode: "color", layers: false, crop: null, splats: true }).data;
    }
    if (entry.picture === null) return null;
    const stored = await this.viewer.photos.load(entry.picture);
    return drawPicture(document.createElement("canvas"), stored, width, height).getImageData(
      0,
      0,
      width,
      height,
    ).data;
  }

  private layOut(): void {
    const ready =
      this.available !== null && this.mode !== "off" && this.shown !== "" && this.shown !== "failed";
    this.canvas.hidden = !ready;
    this.handle.hidden = !ready || this.mode !== "slider";
    if (!ready) return;
    const { x, y, width, height } = this.viewer.photoRectangle();
    Object.assign(this.canvas.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    this.canvas.style.opacity = this.mode === "overlay" ? String(this.opacity) : "1";
    const right = this.mode === "slider" ? 100 * (1 - this.position) : 0;
    this.canvas.style.clipPath = `inset(0 ${right}% 0 0)`;
    const top = Math.max(0, y);
    const bottom = Math.min(this.view.clientHeight, y + height);
    Object.assign(this.handle.style, {
      left: `${x + this.position * width}px`,
      top: `${top}px`,
      height: `${bottom - top}px`,
    });
    this.handle.setAttribute("aria-valuenow", String(Math.round(100 * this.position)));
  }
}

function drawPicture(
  canvas: HTMLCanvasElement,
  picture: ImageBitmap,
  width: number,
  height: number,
): CanvasRenderingContext2D {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context;
}
