// The picture of recon's own rasterizer over the view: for every camera that rests, or as the only picture there is.
import type { PinholeCamera } from "../cameras/pinhole";
import { sameCamera } from "../cameras/pinhole";
import type { ServerPictureMode } from "../session";
import type { Viewer } from "../viewer";

/** Milliseconds for which the camera must rest. */
const REST = 250;
/** Longest side of pictures while the camera moves, where the page draws nothing itself. */
const MOVING_SIDE = 320;
/** Most pixels that the server renders. */
const MAX_PIXELS = 8_000_000;
const MAX_SIDE = 4096;

export class ExactPicture {
  state: "off" | "waiting" | "rendering" | "shown" = "off";
  depthRange: readonly [number, number] | null = null;
  /** Pictures shown so far. */
  pictures = 0;
  private readonly image = document.createElement("img");
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: AbortController | null = null;
  private runningPreview = false;
  private camera: PinholeCamera | null = null;

  constructor(
    private readonly viewer: Viewer,
    view: HTMLElement,
  ) {
    this.image.className = "exact-picture";
    this.image.alt = "";
    this.image.hidden = true;
    view.append(this.image);
    viewer.on("view", () => this.moved());
    viewer.on("session", () => this.reset());
    viewer.on("live", () => undefined);
    viewer.on("drawn", () => {
      if (this.wanted && !sameCamera(this.camera, viewer.canvasCamera())) this.moved();
    });
  }

  /** The server's picture is the only one. */
  get alone(): boolean {
    const { session, stage, localFile } = this.viewer;
    return (
      session !== null &&
      session.pictures &&
      session.splat === null &&
      !session.live &&
      stage.splats.count === 0 &&
      localFile === null
    );
  }

  get available(): boolean {
    return (
      this.viewer.session?.pictures === true && this.viewer.localFile === null && this.serverMode !== null
    );
  }

  /** Ask anew, for other settings. */
  reset(): void {
    this.camera = null;
    if (this.wanted) this.moved();
    else this.hide();
  }

  private get wanted(): boolean {
    return this.available && (this.viewer.settings.exact || this.alone);
  }

  private get serverMode(): ServerPictureMode | null {
    const { mode } = this.viewer.settings;
    return mode === "centers" || mode === "ellipsoids" ? null : mode;
  }

  private moved(): void {
    clearTimeout(this.timer);
    if (!this.wanted) return this.hide();
    this.camera = this.viewer.canvasCamera();
    if (!this.alone) {
      this.running?.abort();
      this.image.hidden = true;
    } else {
      if (!this.runningPreview) this.running?.abort();
      if (this.running === null || !this.runningPreview) void this.render(true);
    }
    this.setState("waiting");
    this.timer = setTimeout(() => void this.render(false), REST);
  }

  private async render(preview: boolean): Promise<void> {
    const mode = this.serverMode;
    if (mode === null) return;
    if (!preview) this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.runningPreview = preview;
    const full = this.viewer.canvasSize;
    const limit = preview
      ? MOVING_SIDE / Math.max(full.width, full.height)
      : Math.min(
          MAX_SIDE / Math.max(full.width, full.height),
          Math.sqrt(MAX_PIXELS / (full.width * full.height)),
        );
    const scale = Math.min(1, limit);
    const camera = this.viewer.cameraOfSize(
      Math.max(1, Math.floor(full.width * scale)),
      Math.max(1, Math.floor(full.height * scale)),
    );
    if (!preview) this.setState("rendering");
    try {
      const degree = this.viewer.stage.splats.count > 0 ? this.viewer.settings.degree : null;
      const picture = await this.viewer.server.picture({ ...camera, mode, degree }, running.signal);
      await this.show(picture.image);
      if (running.signal.aborted) return;
      this.depthRange = picture.depthRange;
      if (!preview) this.setState("shown");
    } catch (error) {
      if (running.signal.aborted) return;
      this.setState("off");
      this.viewer.tell((error as Error).message, "error");
    } finally {
      if (this.running === running) this.running = null;
    }
  }

  private async show(blob: Blob): Promise<void> {
    const address = URL.createObjectURL(blob);
    const next = new Image();
    next.src = address;
    await next.decode();
    if (this.image.src) URL.revokeObjectURL(this.image.src);
    this.image.src = address;
    this.image.hidden = false;
    this.pictures++;
  }

  private hide(): void {
    clearTimeout(this.timer);
    this.running?.abort();
    this.image.hidden = true;
    this.setState("off");
  }

  private setState(state: ExactPicture["state"]): void {
    if (this.state === state) return;
    this.state = state;
    this.viewer.emit("compare");
  }
}
