// The viewer without its buttons: what is loaded, where the eye is, and when to draw.
import * as THREE from "three";
import { Compare } from "./compare/compare";
import { ExactPicture } from "./compare/exact_picture";
import { Photos } from "./compare/photos";
import { pathAt, type Keyframe, keyframe } from "./cameras/camera_path";
import { Controls, type Navigation } from "./cameras/controls";
import { Eye } from "./cameras/eye";
import { Frusta } from "./cameras/frusta";
import {
  type Lens,
  type PinholeCamera,
  cameraAt,
  centeredLens,
  fitLens,
  fittedRectangle,
  axesOf,
  lookAt,
  poseOf,
  sameCamera,
  unproject,
  verticalFov,
} from "./cameras/pinhole";
import { decodePoints, pointsObject } from "./layers/points";
import { Training } from "./live/training";
import type { LiveFrame } from "./live/frames";
import { type Update } from "./player/frame_decoder";
import { HttpSource } from "./player/http_source";
import { Player } from "./player/player";
import { WorkerDecoder } from "./player/decoder";
import { type Look, type PictureMode, type Pixels, Stage } from "./picture/stage";
import { type CameraEntry, Server, type Session, type StreamEntry, parseCameras } from "./session";
import { FormatError, splatFormat } from "./splats/formats";
import { type Gaussians, allocateGaussians, shDegree } from "./splats/gaussians";
import { loadSplats } from "./splats/load";
import type { Manifest } from "./stream/manifest";
import type { ReadyOrder } from "./splats/splat_object";
import { CropBox, boxAround } from "./tools/crop_box";
import { Measure } from "./tools/measure";

export type Background = "scene" | "black" | "white" | "grey";

/** What the user can set. */
export interface Settings {
  mode: PictureMode;
  /** Show recon's own rasterizer's picture when the camera rests. */
  exact: boolean;
  degree: number;
  /** Canvas pixels per CSS pixel. */
  pixelRatio: number;
  /** Most Gaussians drawn. */
  budget: number;
  background: Background;
  splats: boolean;
  cameras: boolean;
  points: boolean;
  mesh: boolean;
  wireframe: boolean;
  /** Factor on the frusta's size. */
  frustumSize: number;
  navigation: Navigation;
}

/** What changed, for those who show it. */
export type Topic =
  | "session"
  | "settings"
  | "view"
  | "drawn"
  | "live"
  | "compare"
  | "tools"
  | "path"
  | "message"
  | "loading"
  | "stream";

/** What a click in the picture does. */
export type Tool = "none" | "measure";

export interface Message {
  readonly text: string;
  readonly kind: "error" | "note";
}

/** An order that takes longer than this is not waited for: the camera then moves ahead of it. */
const LOCK_LIMIT_MS = 40;

/** Milliseconds of a flight to a camera. */
const FLIGHT_MS = 650;

const BACKGROUNDS: Record<Exclude<Background, "scene">, readonly [number, number, number]> = {
  black: [0, 0, 0],
  white: [1, 1, 1],
  grey: [0.5, 0.5, 0.5],
};

export class Viewer {
  readonly server = new Server(new URL(".", document.baseURI));
  readonly stage: Stage;
  readonly frusta = new Frusta();
  readonly measure = new Measure();
  readonly photos = new Photos(this.server);
  readonly settings: Settings = {
    mode: "color",
    exact: false,
    degree: 3,
    pixelRatio: Math.min(2, window.devicePixelRatio || 1),
    budget: Infinity,
    background: "scene",
    splats: true,
    cameras: true,
    points: false,
    mesh: false,
    wireframe: false,
    frustumSize: 1,
    navigation: "orbit",
  };
  readonly path: Keyframe[] = [];
  readonly compare: Compare;
  readonly exact: ExactPicture;
  eye: Eye;
  controls: Controls;
  crop: CropBox;
  session: Session | null = null;
  training: Training | null = null;
  player: Player | null = null;
  /** A frame of the stream is on the screen. */
  onFrameShown: (frame: number) => void = () => undefined;
  message: Message | null = null;
  /** What is being loaded, and how much of it is there. */
  loading: { readonly what: string; readonly share: number | null } | null = null;
  /** Name of a file that was dropped on the page and is shown instead of the session. */
  localFile: string | null = null;
  tool: Tool = "none";
  sceneScale = 1;
  /** The input camera that was chosen last. */
  chosen: string | null = null;
  framesDrawn = 0;
  framesPerSecond = 0;
  sortMilliseconds = 0;
  depthRange: readonly [number, number] = [0, 1];
  playing = false;
  /** The camera whose picture is on the canvas. */
  shownCamera: PinholeCamera | null = null;
  private readonly listeners = new Map<Topic, (() => void)[]>();
  private readonly view: HTMLElement;
  private pointsLayer: THREE.Points | null = null;
  private meshLayer: THREE.Object3D | null = null;
  private readonly loadingLayers = new Set<string>();
  private frameRequest = 0;
  private lastFrame = 0;
  private lastDraw = 0;
  private needsDraw = true;
  private requested: PinholeCamera | null = null;
  private ready: ReadyOrder | null = null;
  private home: { at: CameraEntry | null; eye: { position: THREE.Vector3; target: THREE.Vector3 } };
  private waiters: (() => void)[] = [];

  constructor(view: HTMLElement, canvas: HTMLCanvasElement) {
    this.view = view;
    this.stage = new Stage(canvas);
    const up = new THREE.Vector3(0, -1, 0);
    this.home = { at: null, eye: { position: new THREE.Vector3(0, 0, -3), target: new THREE.Vector3() } };
    const pose = lookAt(this.home.eye.position, this.home.eye.target, up);
    this.eye = new Eye(pose, centeredLens(1600, 1000, 0.9), new THREE.Vector3(), up);
    this.controls = new Controls(canvas, this.eye, this.wake);
    this.crop = new CropBox(up, boxAround(new Float32Array(3), up));
    this.compare = new Compare(this, view);
    this.exact = new ExactPicture(this, view);
    this.stage.scene.add(this.frusta.group, this.measure.group, this.crop.outline);
    this.stage.splats.onReady = (ready) => this.orderReady(ready);
    this.wireEye();
    new ResizeObserver(() => this.wake()).observe(view);
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.tell("the graphics card was reset; reload the page", "error");
    });
  }

  on(topic: Topic, listener: () => void): void {
    this.listeners.set(topic, [...(this.listeners.get(topic) ?? []), listener]);
  }

  emit(topic: Topic): void {
    for (const listener of this.listeners.get(topic) ?? []) listener();
  }

  tell(text: string, kind: Message["kind"] = "note"): void {
    this.message = { text, kind };
    this.emit("message");
  }

  /** Fetch the session and show what it has. */
  async open(): Promise<void> {
    try {
      const address = new URLSearchParams(location.search).get("stream");
      if (address !== null) return await this.openStream({ manifest: address, socket: null }, null);
      const session = await this.server.session();
      this.setSession(session);
      if (session.stream !== null) return await this.openStream(session.stream, session);
      if (session.live) this.watch();
      if (session.splat !== null) await this.loadSessionSplats(session);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Show a file from this computer. */
  async openLocal(file: File): Promise<void> {
    try {
      const content = new Uint8Array(await file.arrayBuffer());
      const format = splatFormat(file.name, content);
      this.setLoading({ what: file.name, share: null });
      const { gaussians } = await loadSplats({ content, format, name: file.name });
      this.localFile = file.name;
      this.player?.close();
      this.player = null;
      this.emit("stream");
      this.stage.splats.setKeyframe(gaussians);
      this.measureScene(gaussians);
      this.frusta.setCameras([], 1);
      this.home.at = null;
      this.goHome(0);
      this.emit("session");
      this.wake();
    } catch (error) {
      this.fail(error);
    } finally {
      this.setLoading(null);
    }
  }

  change(settings: Partial<Settings>): void {
    const before = { ...this.settings };
    Object.assign(this.settings, settings);
    this.controls.navigation = this.settings.navigation;
    if (this.settings.budget !== before.budget) {
      this.stage.splats.setBudget(this.settings.budget);
      this.requested = null;
    }
    if (this.settings.frustumSize !== before.frustumSize) this.frusta.setSize(this.frustumDepth());
    this.showLayers();
    void this.loadLayers();
    this.exact.reset();
    this.emit("settings");
    this.wake();
  }

  /** Stand at an input camera. */
  goTo(entry: CameraEntry, milliseconds = FLIGHT_MS): void {
    this.chosen = entry.id;
    const pose = poseOf(entry.worldToCamera);
    const lens: Lens = { width: entry.width, height: entry.height, intrinsics: entry.intrinsics };
    const { forward } = axesOf(pose);
    const ahead = this.centre.clone().sub(pose.position).dot(forward);
    const distance = ahead > 0.1 * this.sceneScale ? ahead : this.sceneScale;
    this.eye.flyTo(
      pose,
      lens,
      pose.position.clone().addScaledVector(forward, distance),
      calm(milliseconds),
      entry.id,
    );
    this.emit("compare");
  }

  goHome(milliseconds = FLIGHT_MS): void {
    if (this.home.at !== null) return this.goTo(this.home.at, milliseconds);
    const { position, target } = this.home.eye;
    this.eye.flyTo(
      lookAt(position, target, this.eye.up),
      centeredLens(1600, 1000, 0.9),
      target,
      calm(milliseconds),
    );
  }

  /** The next or previous input camera. */
  step(by: 1 | -1): void {
    const cameras = this.cameras;
    if (cameras.length === 0) return;
    const at = cameras.findIndex(({ id }) => id === this.chosen);
    this.goTo(cameras[(at + by + cameras.length) % cameras.length]);
  }

  get cameras(): readonly CameraEntry[] {
    return this.localFile === null ? (this.session?.cameras ?? []) : [];
  }

  /** The input camera in which the eye stands. */
  get standingAt(): CameraEntry | null {
    return this.cameras.find(({ id }) => id === this.eye.at) ?? null;
  }

  /** World point under a pixel of the view (CSS pixels). */
  pointAt(x: number, y: number): THREE.Vector3 | null {
    const camera = this.shownCamera ?? this.canvasCamera();
    const [u, v] = [(x * camera.width) / this.view.clientWidth, (y * camera.height) / this.view.clientHeight];
    const z = this.stage.depthAt(camera, u, v, this.crop.boxFromWorld);
    return z === null ? null : unproject(camera, u, v, z);
  }

  /** Render the present view, or another camera, at any size. */
  picture(camera: PinholeCamera, look: Partial<Look> = {}): Pixels {
    return this.stage.picture(camera, { ...this.look(), ...look });
  }

  /** The eye's camera for a picture of this size; it sees what the view sees. */
  cameraOfSize(width: number, height: number): PinholeCamera {
    return cameraAt(this.eye.pose, fitLens(this.eye.lens, width, height));
  }

  look(): Look {
    const { mode, degree, splats } = this.settings;
    return {
      mode,
      degree,
      background: this.backgroundColor,
      crop: this.crop.boxFromWorld,
      depthRange: this.depthRange,
      splats,
      layers: true,
    };
  }

  get backgroundColor(): readonly [number, number, number] {
    const { background } = this.settings;
    return background === "scene" ? (this.session?.background ?? [0, 0, 0]) : BACKGROUNDS[background];
  }

  /** The size of the canvas, in its own pixels. */
  get canvasSize(): { width: number; height: number } {
    const { pixelRatio } = this.settings;
    const limit = (side: number) => Math.max(1, Math.min(8192, Math.round(side * pixelRatio)));
    return { width: limit(this.view.clientWidth), height: limit(this.view.clientHeight) };
  }

  canvasCamera(): PinholeCamera {
    const { width, height } = this.canvasSize;
    return this.cameraOfSize(width, height);
  }

  /** Where the picture of the camera in which the eye stands lies, in CSS pixels. */
  photoRectangle(): { x: number; y: number; width: number; height: number } {
    return fittedRectangle(this.eye.lens, this.view.clientWidth, this.view.clientHeight);
  }

  readonly wake = (): void => {
    this.needsDraw = true;
    if (this.frameRequest === 0) this.frameRequest = requestAnimationFrame(this.frame);
  };

  /** Resolve when so many more frames have been drawn. */
  async drawn(frames: number): Promise<void> {
    const goal = this.framesDrawn + frames;
    while (this.framesDrawn < goal) {
      this.wake();
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  /** True when nothing is loading, moving, being sorted or waiting to be drawn. */
  get settled(): boolean {
    const current = this.stage.splats.count === 0 || sameCamera(this.requested, this.canvasCamera());
    return (
      this.loading === null && !this.eye.flying && !this.stage.splats.sorting && !this.needsDraw && current
    );
  }

  addKeyframe(): void {
    this.path.push(keyframe(this.eye.pose, this.eye.lens));
    this.emit("path");
  }

  /** Fly along the path once. */
  async play(seconds: number, loop: boolean): Promise<void> {
    if (this.path.length < 2 || this.playing) return;
    this.playing = true;
    this.emit("path");
    const start = performance.now();
    while (this.playing) {
      const t = (performance.now() - start) / (1000 * seconds);
      this.showKeyframe(pathAt(this.path, Math.min(1, t), loop));
      if (t >= 1) break;
      await new Promise(requestAnimationFrame);
    }
    this.playing = false;
    this.emit("path");
  }

  showKeyframe({ pose, fov }: Keyframe): void {
    const { width, height } = this.canvasSize;
    const lens = centeredLens(width, height, fov);
    const pivot = pose.position.clone().addScaledVector(axesOf(pose).forward, this.eye.pivotDistance);
    this.eye.flyTo(pose, lens, pivot, 0);
  }

  setTool(tool: Tool): void {
    this.tool = tool;
    this.emit("tools");
  }

  /** What a link to this view says: camera, mode, and the scale that lengths are measured in. */
  get hash(): string {
    const { position, rotation } = this.eye.pose;
    const numbers = [...position.toArray(), ...rotation.toArray(), verticalFov(this.eye.lens)];
    const parts = [`view=${numbers.map((x) => +x.toFixed(5)).join(",")}`];
    if (this.eye.at !== null) parts.unshift(`camera=${this.eye.at}`);
    if (this.settings.mode !== "color") parts.push(`mode=${this.settings.mode}`);
    const { scale, unit } = this.measure;
    if (scale !== 1) parts.push(`scale=${+scale.toPrecision(7)},${encodeURIComponent(unit)}`);
    if (this.player?.state === "paused") parts.push(`frame=${this.player.place}`);
    return parts.join("&");
  }

  /** Go to the camera that an address names; false when it names none. */
  restore(hash: string): boolean {
    const values = new URLSearchParams(hash.replace(/^#/, ""));
    const mode = values.get("mode");
    if (
      mode !== null &&
      ["color", "depth", "normal", "alpha", "centers", "ellipsoids", "confidence"].includes(mode)
    )
      this.change({ mode: mode as PictureMode });
    const [scale, unit] = (values.get("scale") ?? "").split(",");
    if (unit) this.measure.setScale(Number(scale), unit);
    const frame = frameIn(hash);
    if (frame !== null) this.player?.seek(frame);
    const entry = this.cameras.find(({ id }) => id === values.get("camera"));
    if (entry !== undefined) {
      this.goTo(entry, 0);
      return true;
    }
    const numbers = (values.get("view") ?? "").split(",").map(Number);
    if (numbers.length !== 8 || !numbers.every(Number.isFinite)) return false;
    const [px, py, pz, qx, qy, qz, qw, fov] = numbers;
    if (Math.hypot(qx, qy, qz, qw) < 0.5 || !(fov > 0.01 && fov < 3)) return false;
    const pose = {
      position: new THREE.Vector3(px, py, pz),
      rotation: new THREE.Quaternion(qx, qy, qz, qw).normalize(),
    };
    const pivot = pose.position.clone().addScaledVector(axesOf(pose).forward, this.eye.pivotDistance);
    const { width, height } = this.canvasSize;
    this.eye.flyTo(pose, centeredLens(width, height, fov), pivot, 0);
    return true;
  }

  private readonly frame = (now: number): void => {
    this.frameRequest = 0;
    const elapsed = this.lastFrame === 0 ? 16 : now - this.lastFrame;
    this.lastFrame = now;
    this.controls.step(elapsed);
    this.eye.step(elapsed);
    const camera = this.canvasCamera();
    const { splats } = this.stage;
    const sorted = splats.count > 0 && this.settings.splats;
    if (sorted && !sameCamera(camera, this.requested)) {
      this.requested = camera;
      splats.requestOrder(camera);
    }
    // The order and the camera it was made for are shown together, unless sorting would make the motion jerky.
    const ahead = this.sortMilliseconds > LOCK_LIMIT_MS && this.ready !== null;
    const shown = !sorted || ahead ? camera : (this.ready?.camera ?? null);
    if (this.needsDraw && shown !== null) this.draw(shown, now);
    else if (shown === null) this.drawWithoutSplats(camera, now);
    if (this.controls.moving || this.eye.flying) this.wake();
    else this.lastFrame = 0;
  };

  private draw(camera: PinholeCamera, now: number): void {
    this.needsDraw = false;
    this.shownCamera = camera;
    this.frusta.setChosen(this.chosen, this.eye.at !== null && this.eye.at === this.chosen);
    this.stage.draw(camera, this.look());
    this.finishFrame(now);
  }

  private drawWithoutSplats(camera: PinholeCamera, now: number): void {
    this.shownCamera = camera;
    this.stage.draw(camera, { ...this.look(), splats: false });
    this.finishFrame(now);
  }

  private finishFrame(now: number): void {
    this.framesDrawn++;
    const since = now - this.lastDraw;
    if (since > 0 && since < 1000) this.framesPerSecond += 0.15 * (1000 / since - this.framesPerSecond);
    this.lastDraw = now;
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter();
    this.emit("drawn");
  }

  private orderReady(ready: ReadyOrder): void {
    this.ready = ready;
    this.depthRange = ready.depthRange;
    this.sortMilliseconds = ready.milliseconds;
    this.wake();
  }

  private wireEye(): void {
    this.eye.onChange = () => {
      this.playing &&= !this.controls.moving;
      this.emit("view");
      this.wake();
    };
    this.controls.onClick = (x, y) => this.clicked(x, y);
    this.controls.onDoubleClick = (x, y) => this.focusOn(x, y);
  }

  private clicked(x: number, y: number): void {
    if (this.tool === "measure") {
      const point = this.pointAt(x, y);
      if (point === null) return this.tell("there is nothing to measure at that place");
      this.measure.add(point);
      this.emit("tools");
      return this.wake();
    }
    if (!this.settings.cameras || this.shownCamera === null) return;
    const camera = this.shownCamera;
    const [u, v] = [(x * camera.width) / this.view.clientWidth, (y * camera.height) / this.view.clientHeight];
    const entry = this.frusta.pick(camera, u, v);
    if (entry !== null) this.goTo(entry);
  }

  /** Turn around what was clicked from now on, and look at it. */
  private focusOn(x: number, y: number): void {
    const point = this.pointAt(x, y);
    if (point === null) return;
    const { position } = this.eye.pose;
    const pose = lookAt(position, point, this.eye.up);
    this.eye.flyTo(pose, this.eye.lens, point, calm(FLIGHT_MS));
  }

  private setSession(session: Session): void {
    this.session = session;
    this.localFile = null;
    document.title = `${session.title} – recon`;
    const up = new THREE.Vector3(...session.up).normalize();
    this.eye.up.copy(up);
    if (session.splat === null || this.stage.splats.count === 0) this.measureCameras(session.cameras);
    this.home.at = session.cameras.find(({ role }) => role === "train") ?? session.cameras[0] ?? null;
    this.frusta.setCameras(session.cameras, this.frustumDepth());
    this.photos.forget();
    void this.photos.loadThumbnails(session.cameras, (entry, photo) => {
      void this.frusta.setPhoto(entry.id, photo);
      this.emit("compare");
      this.wake();
    });
    this.stage.splats.setBudget(this.settings.budget);
    this.stage.splats.setNear(session.near);
    this.showLayers();
    this.emit("session");
    if (!this.restore(location.hash)) this.goHome(0);
    void this.loadLayers();
    this.wake();
  }

  private async loadSessionSplats(session: Session): Promise<void> {
    const entry = session.splat!;
    try {
      this.setLoading({ what: session.title, share: 0 });
      const [content, confidence] = await Promise.all([
        this.server.file(entry.file, (bytes) =>
          this.setLoading({ what: session.title, share: Math.min(1, bytes / Math.max(1, entry.bytes)) }),
        ),
        session.confidence === null ? null : this.server.file(session.confidence),
      ]);
      this.setLoading({ what: session.title, share: null });
      const { gaussians } = await loadSplats({ content, format: entry.format, name: session.title });
      this.stage.splats.setKeyframe(gaussians, confidence && confidenceOf(confidence, gaussians.count));
      this.measureScene(gaussians);
      this.settings.degree = shDegree(gaussians);
      if (this.home.at === null && !this.restore(location.hash)) this.goHome(0);
      else this.goToPresent();
    } finally {
      this.setLoading(null);
    }
    this.emit("session");
    this.wake();
  }

  /** Set the pivot again once the scene's size is known. */
  private goToPresent(): void {
    const standing = this.standingAt;
    if (standing !== null) this.goTo(standing, 0);
  }

  /** Play a stream; without a session its manifest says what there is to see. */
  private async openStream({ manifest, socket }: StreamEntry, session: Session | null): Promise<void> {
    const source = new HttpSource(this.server.address(manifest), () => this.server.headers());
    const player = new Player({
      source,
      decoder: new WorkerDecoder(),
      screen: { show: (updates) => this.showUpdates(updates) },
      openSocket: socket === null ? null : () => this.server.openLive(socket),
      autoplay: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      start: frameIn(location.hash),
    });
    this.player = player;
    this.setLoading({ what: session?.title ?? "the stream", share: null });
    let known = session !== null;
    player.onManifest = (content) => {
      if (!known) this.setSession(sessionOf(content, (sentence) => this.tell(sentence, "error")));
      known = true;
    };
    player.onChange = () => {
      if (this.loading !== null && (player.shown !== null || player.state === "failed"))
        this.setLoading(null);
      this.emit("stream");
    };
    player.onShown = ({ frame }) => this.onFrameShown(frame);
    player.onMessage = (sentence, kind) => this.tell(sentence, kind);
    document.addEventListener("visibilitychange", () => player.hold(document.hidden));
    await player.open();
  }

  /** Take the frames of a stream; resolves when the last of them is on the screen. */
  private async showUpdates(updates: readonly Update[]): Promise<void> {
    const { splats } = this.stage;
    const fresh = splats.count === 0;
    for (const { whole, count, parts } of updates)
      if (whole) splats.setKeyframe(parts[0].rows);
      else splats.update(count, parts);
    if (fresh) {
      this.measureScene(splats.gaussians!);
      if (this.home.at === null && !this.restore(location.hash)) this.goHome(0);
      else this.goToPresent();
    }
    if (updates.some(({ whole }) => whole)) this.emit("session");
    this.requested = null;
    do await this.drawn(1);
    while (!splats.current && this.settings.splats);
  }

  private watch(): void {
    if (this.training !== null) return;
    this.training = new Training(this.server);
    this.training.onProgress = () => this.emit("live");
    this.training.onError = (sentence) => this.tell(sentence, "error");
    this.training.onFrame = (frame) => this.showLive(frame);
    this.training.onSession = async () => {
      try {
        const session = await this.server.session();
        const standing = this.eye.at;
        this.setSession(session);
        if (session.splat !== null && !session.live) await this.loadSessionSplats(session);
        const entry = this.cameras.find(({ id }) => id === standing);
        if (entry !== undefined) this.goTo(entry, 0);
      } catch (error) {
        this.fail(error);
      }
    };
  }

  private async showLive(frame: LiveFrame): Promise<void> {
    const { splats } = this.stage;
    const fresh = splats.count === 0;
    const whole = frame.first === 0 && frame.rows.count === frame.total;
    if (whole) splats.setKeyframe(frame.rows);
    else if (frame.replaces || splats.gaussians?.coefficients !== frame.rows.coefficients) {
      splats.setKeyframe(unseen(frame.total, frame.rows.coefficients));
      splats.replaceRows(frame.first, frame.rows);
    } else splats.replaceRows(frame.first, frame.rows);
    if (fresh) {
      this.measureScene(frame.rows);
      this.settings.degree = 3;
      this.emit("session");
      if (this.home.at === null) this.goHome(0);
    }
    this.requested = null;
    await this.drawn(1);
  }

  private async loadLayers(): Promise<void> {
    const layers = this.session?.layers;
    if (layers === undefined) return;
    if (this.settings.points && layers.points !== null)
      await this.loadOnce(layers.points, async (content) => {
        this.pointsLayer = pointsObject(
          decodePoints(content, "the point cloud"),
          2 * this.settings.pixelRatio,
        );
        this.stage.scene.add(this.pointsLayer);
      });
    if (this.settings.mesh && layers.mesh !== null)
      await this.loadOnce(layers.mesh, async (content) => {
        const { decodeMesh } = await import("./layers/mesh");
        this.meshLayer = await decodeMesh(content, "the mesh");
        this.stage.scene.add(this.meshLayer);
      });
  }

  private async loadOnce(
    id: string,
    make: (content: Uint8Array<ArrayBuffer>) => Promise<void>,
  ): Promise<void> {
    if (this.loadingLayers.has(id)) return;
    this.loadingLayers.add(id);
    try {
      await make(await this.server.file(id));
      this.showLayers();
      this.wake();
    } catch (error) {
      this.fail(error);
    }
  }

  private showLayers(): void {
    const { cameras, points, mesh, wireframe } = this.settings;
    this.frusta.group.visible = cameras && this.cameras.length > 0;
    if (this.pointsLayer !== null) this.pointsLayer.visible = points;
    if (this.meshLayer !== null) {
      this.meshLayer.visible = mesh;
      this.meshLayer.traverse((object) => {
        if (object instanceof THREE.Mesh) (object.material as THREE.MeshBasicMaterial).wireframe = wireframe;
      });
    }
  }

  private readonly centre = new THREE.Vector3();

  /** Where the Gaussians are: the middle and the half width of the middle four fifths of them. */
  private measureScene(gaussians: Gaussians): void {
    const box = boxAround(gaussians.means, this.eye.up);
    this.centre.copy(box.center);
    this.setScale(Math.max(1e-6, box.half.length() / Math.sqrt(3)));
    this.crop.set(box, false);
    // Scenes with cameras open at the first of them; others are seen from the front, a little from above.
    const { up } = this.eye;
    const side = Math.abs(up.z) < 0.9 ? new THREE.Vector3(0, 0, 1) : new THREE.Vector3(0, 1, 0);
    const front = side.addScaledVector(up, -side.dot(up)).normalize();
    const distance = 2.6 * this.sceneScale;
    this.home.eye.target.copy(box.center);
    this.home.eye.position
      .copy(box.center)
      .addScaledVector(front, -distance)
      .addScaledVector(up, 0.35 * distance);
  }

  private measureCameras(cameras: readonly CameraEntry[]): void {
    if (cameras.length === 0) return;
    const centers = cameras.map(({ worldToCamera }) => poseOf(worldToCamera).position);
    const middle = centers.reduce((sum, at) => sum.add(at), new THREE.Vector3()).divideScalar(centers.length);
    const spread = Math.max(...centers.map((at) => at.distanceTo(middle)));
    const { forward } = axesOf(poseOf(cameras[0].worldToCamera));
    this.setScale(spread > 1e-6 ? spread : 1);
    this.centre.copy(middle).addScaledVector(forward, this.sceneScale);
  }

  private setScale(scale: number): void {
    this.sceneScale = scale;
    this.stage.sceneScale = scale;
    this.controls.sceneScale = scale;
    this.frusta.setSize(this.frustumDepth());
  }

  /** Frusta are as deep as a third of the way to the next camera, within bounds set by the scene. */
  private frustumDepth(): number {
    const centers = this.cameras.map(({ worldToCamera }) => poseOf(worldToCamera).position);
    const gaps = centers.map((at, i) =>
      Math.min(...centers.map((other, j) => (i === j ? Infinity : at.distanceTo(other)))),
    );
    const gap = gaps.filter(Number.isFinite).sort((a, b) => a - b)[gaps.length >> 1] ?? this.sceneScale;
    return (
      this.settings.frustumSize *
      Math.min(0.25 * this.sceneScale, Math.max(0.02 * this.sceneScale, 0.35 * gap))
    );
  }

  private setLoading(loading: Viewer["loading"]): void {
    this.loading = loading;
    this.emit("loading");
  }

  private fail(error: unknown): void {
    const sentence = error instanceof Error ? error.message : String(error);
    this.tell(sentence, "error");
  }
}

/** The frame of a stream that an address names. */
function frameIn(hash: string): number | null {
  const frame = new URLSearchParams(hash.replace(/^#/, "")).get("frame");
  return frame !== null && /^[0-9]{1,8}$/.test(frame) ? Number(frame) : null;
}

/** What there is to see of a stream that lies on a host of files. */
function sessionOf(manifest: Manifest, tell: (sentence: string) => void): Session {
  let cameras: CameraEntry[] = [];
  try {
    // Its photos and pictures, if it names any, are not ours to fetch.
    cameras = parseCameras(manifest.cameras).map((camera) => ({ ...camera, photo: null, picture: null }));
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
  }
  const up = manifest.up as [number, number, number];
  return {
    ...{ version: "", title: manifest.title || "stream", kind: "stream", stream: null, splat: null, cameras },
    ...{ layers: { points: null, mesh: null }, confidence: null, background: null, poses: null },
    ...{ up: up.some((x) => x !== 0) ? up : [0, -1, 0], near: manifest.near },
    ...{ pictures: false, live: false, runFolder: null },
  };
}

/** Flights are skipped for those who asked their system for less motion. */
function calm(milliseconds: number): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : milliseconds;
}

/** Little-endian floats in [0, 1], one per Gaussian. */
function confidenceOf(content: Uint8Array<ArrayBuffer>, count: number): Float32Array {
  if (content.length !== 4 * count)
    throw new FormatError(`the confidence has ${content.length / 4} numbers for ${count} Gaussians`);
  return new Float32Array(content.buffer);
}

/** Gaussians of no opacity, until their numbers arrive. */
function unseen(count: number, coefficients: number): Gaussians {
  const gaussians = allocateGaussians(count, coefficients);
  gaussians.opacityLogits.fill(-80);
  return gaussians;
}
