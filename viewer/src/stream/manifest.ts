// `manifest.json`: which files a stream has, and which frames are in them; the twin of recon/streaming/manifest.py.
import { FormatError } from "../splats/formats";
import { MAX_RECORD, MAX_ROWS, MAX_SEGMENT_RECORDS, VERSION } from "./layout";

export interface KeyframeFile {
  readonly name: string;
  readonly frame: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly gaussians: number;
  /** A reduced one, to look at until the full one is there. */
  readonly preview: boolean;
}

export interface SegmentFile {
  readonly name: string;
  readonly start: number;
  readonly frames: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly fps: number;
  readonly frames: number;
  readonly live: boolean;
  readonly shDegree: number;
  readonly maxGaussians: number;
  readonly bounds: readonly [readonly number[], readonly number[]];
  readonly title: string;
  readonly licence: string;
  readonly up: readonly number[];
  /** Camera z up to which nothing is drawn. */
  readonly near: number;
  /** Not checked: `session.ts` knows how. */
  readonly cameras: readonly object[];
  readonly keyframes: readonly KeyframeFile[];
  readonly segments: readonly SegmentFile[];
}

const MAX_FILES = 1 << 17;
const MAX_FRAMES = 1 << 24;
/** Near plane of manifests that name none, the rasterizer's. */
const NEAR = 0.01;
const NAME = /^(key|preview|segment)-([0-9]{6,8})-([0-9a-f]{16})\.rst$/;

/** Check parsed JSON; throws a FormatError with a sentence when it does not describe a stream. */
export function checkManifest(data: unknown, source: string): Manifest {
  const fields = data as Record<string, unknown> | null;
  if (typeof fields !== "object" || fields === null || fields.format !== "recon-stream")
    throw new FormatError(`${source} is not the manifest of a recon stream: it does not say recon-stream`);
  if (fields.version !== VERSION)
    throw new FormatError(`${source} is of version ${String(fields.version)}; version ${VERSION} is read`);
  const of = new Fields(fields, source);
  const manifest: Manifest = {
    fps: of.number("fps", 1e-3, 1e4),
    frames: of.whole("frames", 0, MAX_FRAMES),
    live: of.boolean("live"),
    shDegree: of.whole("sh_degree", 0, 3),
    maxGaussians: of.whole("max_gaussians", 0, MAX_ROWS),
    bounds: of.corners("bounds"),
    title: of.text("title"),
    licence: of.text("licence"),
    up: of.vector("up"),
    near: fields.near === undefined ? NEAR : of.number("near", 0, Infinity),
    cameras: of.objects("cameras").map(({ fields: camera }) => camera),
    keyframes: of.objects("keyframes").map(keyframeFile),
    segments: of.objects("segments").map(segmentFile),
  };
  checkCoverage(manifest, source);
  return manifest;
}

/** The last full keyframe at or before a frame. */
export function keyframeBefore({ keyframes }: Manifest, frame: number): KeyframeFile | undefined {
  let best: KeyframeFile | undefined;
  for (const file of keyframes)
    if (!file.preview && file.frame <= frame && (best === undefined || file.frame > best.frame)) best = file;
  return best;
}

/** The segment that has the residual of a frame; undefined where only a keyframe leads to it. */
export function segmentOf({ segments }: Manifest, frame: number): SegmentFile | undefined {
  return segments.find(({ start, frames }) => start <= frame && frame < start + frames);
}

function keyframeFile(of: Fields): KeyframeFile {
  const frame = of.whole("frame", 0, MAX_FRAMES);
  const file = {
    ...of.file(frame, ["key", "preview"]),
    frame,
    gaussians: of.whole("gaussians", 1, MAX_ROWS),
  };
  return { ...file, preview: file.name.startsWith("preview") };
}

function segmentFile(of: Fields): SegmentFile {
  const start = of.whole("start", 1, MAX_FRAMES);
  return { ...of.file(start, ["segment"]), start, frames: of.whole("frames", 1, MAX_SEGMENT_RECORDS) };
}

function checkCoverage({ frames, keyframes, segments }: Manifest, source: string): void {
  if (keyframes.length + segments.length > MAX_FILES)
    throw new FormatError(`${source} names more than ${MAX_FILES} files`);
  const keys = new Set(keyframes.filter(({ preview }) => !preview).map(({ frame }) => frame));
  let next = 0;
  const toKeyframes = (start: number) => {
    if (start < next)
      throw new FormatError(`${source}: the segments are out of order or overlap at frame ${start}`);
    for (; next < start; next++)
      if (!keys.has(next))
        throw new FormatError(`${source}: no segment and no keyframe leads to frame ${next}`);
  };
  for (const segment of segments) {
    toKeyframes(segment.start);
    next = segment.start + segment.frames;
  }
  if (next > frames || keyframes.some(({ frame }) => frame >= frames))
    throw new FormatError(`${source}: it states ${frames} frames, but files go beyond them`);
  toKeyframes(frames);
}

/** A JSON object whose fields are checked as they are taken. */
class Fields {
  constructor(
    readonly fields: Record<string, unknown>,
    private readonly source: string,
  ) {}

  whole(name: string, least: number, most: number): number {
    const value = this.number(name, least, most);
    if (!Number.isInteger(value)) throw this.wrong(name);
    return value;
  }

  number(name: string, least: number, most: number): number {
    const value = this.fields[name];
    if (typeof value !== "number" || !(value >= least && value <= most)) throw this.wrong(name);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.fields[name];
    if (typeof value !== "boolean") throw this.wrong(name);
    return value;
  }

  text(name: string): string {
    const value = this.fields[name];
    if (typeof value !== "string") throw this.wrong(name);
    return value;
  }

  vector(name: string): number[] {
    const value = this.fields[name];
    if (!isVector(value)) throw this.wrong(name);
    return value;
  }

  corners(name: string): [number[], number[]] {
    const value = this.fields[name];
    if (!Array.isArray(value) || value.length !== 2 || !value.every(isVector)) throw this.wrong(name);
    return value as [number[], number[]];
  }

  objects(name: string): Fields[] {
    const value = this.fields[name];
    if (!Array.isArray(value) || !value.every((one) => typeof one === "object" && one !== null))
      throw this.wrong(name);
    return value.map((one: Record<string, unknown>) => new Fields(one, this.source));
  }

  /** Name, bytes and SHA-256, which must go together: a name never leads out of the stream's folder. */
  file(frame: number, kinds: readonly string[]): { name: string; bytes: number; sha256: string } {
    const name = this.text("name");
    const sha256 = this.text("sha256");
    const parts = NAME.exec(name);
    if (
      parts === null ||
      !kinds.includes(parts[1]) ||
      parts[2] !== String(frame).padStart(6, "0") ||
      !/^[0-9a-f]{64}$/.test(sha256) ||
      !sha256.startsWith(parts[3])
    )
      throw this.wrong("name");
    return { name, bytes: this.whole("bytes", 1, MAX_RECORD + 16), sha256 };
  }

  private wrong(name: string): FormatError {
    const found = JSON.stringify(this.fields[name])?.slice(0, 80) ?? "nothing";
    return new FormatError(
      `${this.source} is not a manifest of a recon stream: "${name}" cannot be ${found}`,
    );
  }
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length === 3 && value.every((x) => Number.isFinite(x));
}
