// Which frames there are and what leads to them: the manifest, what the live socket brought, and what was refused.
import type { KeyframeFile, Manifest, SegmentFile } from "../stream/manifest";

/** A file of the stream, with the frames that are in it. */
export interface StreamFile {
  readonly kind: "key" | "preview" | "segment";
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** A keyframe to start from: a file, or a record of the live socket (no file). */
export interface Start {
  readonly frame: number;
  readonly file: StreamFile | null;
}

/** How to get to a frame: from a keyframe, or (null) from the frame where the state is; then by residuals. */
export interface Route {
  readonly start: Start | null;
  /** Residuals of the frames (base, frame] follow. */
  readonly base: number;
  readonly frame: number;
}

/** Forward steps of up to so many frames go on from where the state is, even past a keyframe. */
const SMALL_STEP = 12;

export class Timeline {
  /** Frames of the full keyframes, ascending. */
  marks: readonly number[] = [];
  /** Residuals and keyframes that came by the socket, by frame. */
  readonly liveResiduals = new Set<number>();
  readonly liveKeys = new Set<number>();
  private readonly refusedFiles = new Set<string>();
  private readonly refusedFrames = new Set<number>();
  private keys: StreamFile[] = [];
  private segments: StreamFile[] = [];
  private previews: StreamFile[] = [];
  private manifestFrames = 0;
  private liveFrames = 0;

  /** Take a manifest, at first or when it has grown. */
  update({ keyframes, segments, frames }: Manifest): void {
    this.keys = keyframes.filter(({ preview }) => !preview).map(keyframeFile);
    this.previews = keyframes.filter(({ preview }) => preview).map(keyframeFile);
    this.segments = segments.map(segmentFile);
    this.keys.sort((a, b) => a.first - b.first);
    this.marks = this.keys.map(({ first }) => first);
    this.manifestFrames = frames;
  }

  /** Frames there are, counted from 0; in a live stream some may not have arrived yet. */
  get frames(): number {
    return Math.max(this.manifestFrames, this.liveFrames);
  }

  /** Frames that the manifest has. */
  get published(): number {
    return this.manifestFrames;
  }

  /** Frames in (base, frame] that full keyframes state, too. */
  marksWithin(base: number, frame: number): number[] {
    return this.marks.slice(firstAfter(this.keys, base), firstAfter(this.keys, frame));
  }

  addLive(frame: number, key: boolean): void {
    (key ? this.liveKeys : this.liveResiduals).add(frame);
    this.liveFrames = Math.max(this.liveFrames, frame + 1);
  }

  /** Forget a record of the socket; the manifest's files have its frame, or will. */
  dropLive(frame: number): void {
    this.liveResiduals.delete(frame);
    this.liveKeys.delete(frame);
  }

  refuseFile(name: string): void {
    this.refusedFiles.add(name);
  }

  /** The residual of this frame, whatever file has it, does not lead to its state. */
  refuseFrame(frame: number): void {
    this.refusedFrames.add(frame);
  }

  previewOf(frame: number): StreamFile | null {
    return this.previews.find((file) => file.first === frame && !this.refusedFiles.has(file.name)) ?? null;
  }

  /** The last keyframe at or before a frame that was not refused. */
  keyBefore(frame: number): Start | null {
    let at = firstAfter(this.keys, frame) - 1;
    while (at >= 0 && this.refusedFiles.has(this.keys[at].name)) at--;
    const live = Math.max(-1, ...[...this.liveKeys].filter((key) => key <= frame));
    const file = at >= 0 ? this.keys[at] : null;
    if (live > (file?.first ?? -1)) return { frame: live, file: null };
    return file && { frame: file.first, file };
  }

  /** The first keyframe at or after a frame that was not refused. */
  keyAfter(frame: number): Start | null {
    let at = firstAfter(this.keys, frame - 1);
    while (at < this.keys.length && this.refusedFiles.has(this.keys[at].name)) at++;
    const live = Math.min(Infinity, ...[...this.liveKeys].filter((key) => key >= frame));
    const file = at < this.keys.length ? this.keys[at] : null;
    if (live < (file?.first ?? Infinity)) return { frame: live, file: null };
    return file && { frame: file.first, file };
  }

  /** The segment with the residual of a frame. */
  segmentOf(frame: number): StreamFile | null {
    const segment = this.segments[firstAfter(this.segments, frame) - 1];
    return segment !== undefined && frame <= segment.last && !this.refusedFiles.has(segment.name)
      ? segment
      : null;
  }

  hasResidual(frame: number): boolean {
    if (this.refusedFrames.has(frame)) return false;
    return this.liveResiduals.has(frame) || this.segmentOf(frame) !== null;
  }

  /** The first frame in (base, frame] without a residual; null where they are all there. */
  gap(base: number, frame: number): number | null {
    let first = frame + 1;
    for (const refused of this.refusedFrames)
      if (refused > base && refused < first && refused <= frame) first = refused;
    for (let at = base + 1; at < first;) {
      const segment = this.segmentOf(at);
      if (segment !== null) at = segment.last + 1;
      else if (this.liveResiduals.has(at)) at++;
      else return at;
    }
    return first <= frame ? first : null;
  }

  /**
   * How to get to a frame from where the state is (null: nowhere yet); null when nothing leads there.
   *
   * A keyframe on the way is used when it saves much, but not by who plays `onward`: the residuals are there.
   */
  route(frame: number, state: number | null, onward = false): Route | null {
    const start = this.keyBefore(frame);
    if (state !== null && state <= frame)
      if (onward || start === null || start.frame <= state || frame - state <= SMALL_STEP)
        if (this.gap(state, frame) === null) return { start: null, base: state, frame };
    if (start === null || this.gap(start.frame, frame) !== null) return null;
    return { start, base: start.frame, frame };
  }

  /** The reachable frame to show instead of one that may be refused: it, the next after it, or the last before it. */
  nearest(frame: number, state: number | null): number | null {
    if (this.route(frame, state) !== null) return frame;
    const after = this.keyAfter(frame);
    if (after !== null) return after.frame;
    const before = this.keyBefore(frame);
    if (before === null) return null;
    return (this.gap(before.frame, frame) ?? frame + 1) - 1;
  }

  /** The frame to play after one: the next, or after a hole the next keyframe's; null when there is none (yet). */
  after(frame: number): Route | null {
    if (this.hasResidual(frame + 1)) return { start: null, base: frame, frame: frame + 1 };
    const start = this.keyAfter(frame + 1);
    if (start === null) return null;
    // A frame that has only not arrived is waited for; one that was refused is gone.
    if (start.frame > frame + 1 && !this.isRefused(frame + 1)) return null;
    return { start, base: start.frame, frame: start.frame };
  }

  /** Whether a frame's residual was there and is of no use. */
  isRefused(frame: number): boolean {
    if (this.refusedFrames.has(frame)) return true;
    const segment = this.segments[firstAfter(this.segments, frame) - 1];
    if (segment !== undefined && frame <= segment.last) return this.refusedFiles.has(segment.name);
    return frame < this.manifestFrames; // only its keyframe led there, and `keyAfter` did not give it
  }

  /** The files on a way, in order; what the socket brought needs none. */
  filesOf({ start, base, frame }: Route): StreamFile[] {
    const files: StreamFile[] = [];
    if (start !== null && start.file !== null) files.push(start.file);
    for (let at = base + 1; at <= frame;) {
      const segment = this.liveResiduals.has(at) ? null : this.segmentOf(at);
      if (segment !== null) files.push(segment);
      at = segment === null ? at + 1 : segment.last + 1;
    }
    return files;
  }
}

/** Place of the first file that starts after a frame. */
function firstAfter(files: readonly StreamFile[], frame: number): number {
  let [low, high] = [0, files.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (files[middle].first > frame) high = middle;
    else low = middle + 1;
  }
  return low;
}

function keyframeFile({ name, frame, bytes, sha256, preview }: KeyframeFile): StreamFile {
  return { kind: preview ? "preview" : "key", name, first: frame, last: frame, bytes, sha256 };
}

function segmentFile({ name, start, frames, bytes, sha256 }: SegmentFile): StreamFile {
  return { kind: "segment", name, first: start, last: start + frames - 1, bytes, sha256 };
}
