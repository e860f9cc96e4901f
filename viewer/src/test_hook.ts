// What tests of the page need and a person never sees: window.__recon.
import { type PinholeCamera, poseOf, project } from "./cameras/pinhole";
import type { Look, Pixels } from "./picture/stage";
import type { Player } from "./player/player";
import { checksumOf } from "./stream/state";
import type { Settings, Viewer } from "./viewer";

export interface TestHook {
  /** Frames drawn so far. */
  readonly framesDrawn: number;
  /** Nothing is loading, moving, being sorted or waiting to be drawn. */
  readonly settled: boolean;
  /** Draw so many frames more. */
  frames(count: number): Promise<void>;
  /** Wait until the page has settled. */
  settle(): Promise<void>;
  /** What is on the canvas, drawn again: RGBA, top row first. */
  readPixels(): { width: number; height: number; data: number[] };
  /** A picture from any camera, as screenshots and differences are made. */
  picture(camera: PinholeCamera, look: Partial<Look>): { width: number; height: number; data: number[] };
  change(settings: Partial<Settings>): void;
  goTo(id: string): void;
  /** World point under a place of the view, CSS pixels. */
  pointAt(x: number, y: number): number[] | null;
  /** Place in the view (CSS pixels) of an input camera's centre. */
  project(id: string): [number, number] | null;
  readonly camera: PinholeCamera | null;
  /** What plays a stream; null where there is none. */
  readonly player: Player | null;
  /** From now on note each frame of a stream that is shown: [frame, low, high], the checksum of what is drawn. */
  recordFrames(): void;
  readonly recordedFrames: readonly (readonly [number, number, number])[];
  readonly state: {
    gaussians: number;
    drawn: number;
    standingAt: string | null;
    cameras: number;
    mode: string;
    exact: string;
    exactPictures: number;
    compare: string;
    measured: Record<string, number>;
    depthRange: readonly [number, number];
    training: string | null;
    iteration: number | null;
    history: number;
    message: string | null;
    distance: number | null;
    keyframes: number;
    degree: number;
    session: boolean;
  };
}

export function installTestHook(viewer: Viewer): void {
  const plain = ({ width, height, data }: Pixels) => ({ width, height, data: Array.from(data) });
  const recordedFrames: [number, number, number][] = [];
  const hook: TestHook = {
    get framesDrawn() {
      return viewer.framesDrawn;
    },
    get settled() {
      return viewer.settled;
    },
    frames: (count) => viewer.drawn(count),
    async settle() {
      while (!viewer.settled) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    readPixels() {
      const camera = viewer.shownCamera ?? viewer.canvasCamera();
      viewer.stage.draw(camera, viewer.look());
      return plain(viewer.stage.readCanvas());
    },
    picture: (camera, look) => plain(viewer.picture(camera, look)),
    change: (settings) => viewer.change(settings),
    goTo(id) {
      const entry = viewer.cameras.find((camera) => camera.id === id);
      if (entry === undefined) throw new Error(`no camera ${id}`);
      viewer.goTo(entry, 0);
    },
    pointAt: (x, y) => viewer.pointAt(x, y)?.toArray() ?? null,
    project(id) {
      const entry = viewer.cameras.find((camera) => camera.id === id);
      const shown = viewer.shownCamera;
      if (entry === undefined || shown === null) return null;
      const place = project(shown, poseOf(entry.worldToCamera).position);
      const scale = viewer.stage.canvas.clientWidth / shown.width;
      return place === null ? null : [place.u * scale, place.v * scale];
    },
    get camera() {
      return viewer.shownCamera;
    },
    get player() {
      return viewer.player;
    },
    recordedFrames,
    recordFrames() {
      viewer.onFrameShown = (frame) => {
        const [low, high] = checksumOf(viewer.stage.splats.gaussians!);
        recordedFrames.push([frame, low >>> 0, high >>> 0]);
      };
    },
    get state() {
      return {
        gaussians: viewer.stage.splats.count,
        drawn: viewer.stage.splats.drawnCount,
        standingAt: viewer.eye.at,
        cameras: viewer.cameras.length,
        mode: viewer.settings.mode,
        exact: viewer.exact.state,
        exactPictures: viewer.exact.pictures,
        compare: viewer.compare.mode,
        measured: Object.fromEntries(viewer.compare.measured),
        depthRange: viewer.depthRange,
        training: viewer.training?.progress?.state ?? null,
        iteration: viewer.training?.progress?.iteration ?? null,
        history: viewer.training?.history.length ?? 0,
        message: viewer.message?.text ?? null,
        distance: viewer.measure.distance,
        keyframes: viewer.path.length,
        degree: viewer.settings.degree,
        session: viewer.session !== null,
      };
    },
  };
  (window as unknown as { __recon: TestHook }).__recon = hook;
}
