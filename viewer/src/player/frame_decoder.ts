// The state behind the picture: keeps checked files, moves from frame to frame, and tells which rows changed.
//
// Runs in a worker; tests run it as it is.
import { FormatError } from "../splats/formats";
import { type Gaussians, copyGaussians } from "../splats/gaussians";
import { viewRows } from "../splats/residual";
import { RecordKind } from "../stream/layout";
import { type StreamRecord, parseFile, parseRecord } from "../stream/record";
import { StreamState } from "../stream/state";
import { SavedStates } from "./saved_states";
import { sha256 } from "./sha256";
import type { StreamFile } from "./timeline";

/** Rows of a frame that differ from what was given before. */
export interface Part {
  readonly first: number;
  readonly rows: Gaussians;
}

/** What makes the picture of one frame from that of the update before, or from nothing where it is whole. */
export interface Update {
  readonly frame: number;
  /** Gaussians of the frame. */
  readonly count: number;
  /** It replaces everything, in one part. */
  readonly whole: boolean;
  readonly parts: readonly Part[];
  /** Of the decoder's state, where it was asked for. */
  readonly checksum: readonly [number, number] | null;
}

/** How far a call of `advance` came; the update is there once the frame is reached. */
export interface Progress {
  readonly frame: number;
  readonly update: Update | null;
  /** Residuals and keyframes decoded, and their milliseconds and bytes. */
  readonly decoded: number;
  readonly milliseconds: number;
  readonly bytes: number;
}

export interface AdvanceRequest {
  readonly frame: number;
  /** Begin with the keyframe of this frame, or with a state saved after it; null to go on from where the state is. */
  readonly start: number | null;
  /** Frames on the way whose checksum is compared, beside that of the keyframe. */
  readonly verify: readonly number[] | "all";
}

/** A record that does not lead to its frame; nothing of it is ever shown. */
export class RefusedFrame extends FormatError {
  override name = "RefusedFrame";
  constructor(
    message: string,
    readonly frame: number,
    readonly key: boolean,
  ) {
    super(message);
  }
}

/** A call returns after about so many milliseconds, so that a newer wish need not wait for a long way. */
const PATIENCE = 60;

/** Changed rows are collected in blocks of this many. */
const BLOCK = 1024;

export class FrameDecoder {
  private readonly files = new Map<string, readonly StreamRecord[]>();
  private readonly residuals = new Map<number, StreamRecord>();
  private readonly keys = new Map<number, StreamRecord>();
  private readonly liveResiduals = new Map<number, StreamRecord>();
  private readonly liveKeys = new Map<number, StreamRecord>();
  private state: StreamState | null = null;
  private whole = false;
  private changed = new Uint8Array(0);

  constructor(private readonly saved = new SavedStates()) {}

  /** Keep a file. Throws a FormatError unless its bytes are what the manifest names, and all of its records are sound. */
  add(file: StreamFile, content: Uint8Array): void {
    const { name, kind, first, last } = file;
    if (content.length !== file.bytes)
      throw new FormatError(`${name} has ${content.length} bytes instead of ${file.bytes}`);
    if (sha256(content) !== file.sha256)
      throw new FormatError(`${name} is damaged: its bytes are not those that the manifest names`);
    const records = parseFile(content, name);
    const expected = kind === "segment" ? RecordKind.residual : RecordKind.keyframe;
    const fits =
      records.length === last - first + 1 &&
      records[0].frame === first &&
      records[0].kind === expected &&
      records[0].preview === (kind === "preview");
    if (!fits) throw new FormatError(`${name} does not hold the frames that the manifest names`);
    this.files.set(name, records);
    if (kind === "key") this.keys.set(first, records[0]);
    else if (kind === "segment") for (const record of records) this.residuals.set(record.frame, record);
  }

  /** Keep a record of the live socket; returns what it is. */
  addRecord(content: Uint8Array): { frame: number; key: boolean } {
    const record = parseRecord(content, "the live stream");
    if (record.length !== content.length || record.preview)
      throw new FormatError("the live stream sent something that is not one frame");
    const key = record.kind === RecordKind.keyframe;
    (key ? this.liveKeys : this.liveResiduals).set(record.frame, record);
    return { frame: record.frame, key };
  }

  remove(name: string): void {
    for (const record of this.files.get(name) ?? [])
      for (const map of [this.keys, this.residuals])
        if (map.get(record.frame) === record) map.delete(record.frame);
    this.files.delete(name);
  }

  removeLive(frame: number): void {
    this.liveKeys.delete(frame);
    this.liveResiduals.delete(frame);
  }

  /** The picture of a preview; the state stays where it is. */
  preview(name: string): Update {
    const record = this.files.get(name)?.[0];
    if (record === undefined) throw new FormatError(`${name} is not loaded`);
    const { gaussians } = StreamState.fromKeyframe(record);
    const { frame, checksum } = record;
    return {
      frame,
      count: gaussians.count,
      whole: true,
      parts: [{ first: 0, rows: gaussians }],
      checksum,
    };
  }

  /** Move on towards a frame, for a while. Throws a RefusedFrame where a record does not fit; then a keyframe is needed. */
  advance({ frame, start, verify }: AdvanceRequest, now: () => number = () => performance.now()): Progress {
    const began = now();
    let decoded = 0;
    let bytes = 0;
    const saved = start === null ? null : this.saved.within(start, frame);
    if (saved !== null) {
      this.state = saved;
      this.whole = true;
    } else if (start !== null) {
      const record = this.keys.get(start) ?? this.liveKeys.get(start);
      this.attempt(start, true, record, (key) => {
        this.state = StreamState.fromKeyframe(key);
        this.whole = true;
      });
      decoded++;
      bytes += record!.length;
    }
    const { state } = this;
    if (state === null || state.frame > frame)
      throw new RefusedFrame(`frame ${frame} needs a keyframe before it`, frame, true);
    while (state.frame < frame && now() - began < PATIENCE) {
      const next = state.frame + 1;
      const record = this.residuals.get(next) ?? this.liveResiduals.get(next);
      this.attempt(next, false, record, (residual) => {
        const compare = verify === "all" || verify.includes(next);
        this.mark(state.apply(residual, compare), state.count);
      });
      this.saved.offer(state);
      decoded++;
      bytes += record!.length;
    }
    const update = state.frame === frame ? this.collect(state, verify === "all") : null;
    return { frame: state.frame, update, decoded, milliseconds: now() - began, bytes };
  }

  private attempt(
    frame: number,
    key: boolean,
    record: StreamRecord | undefined,
    apply: (record: StreamRecord) => void,
  ): void {
    try {
      if (record === undefined) throw new FormatError(`frame ${frame} is not loaded`);
      apply(record);
    } catch (error) {
      this.state = null;
      this.saved.clear(); // what led here may have been wrong before it showed
      // What is not a FormatError is a lack of memory, or our mistake; the frame is not shown either way.
      throw new RefusedFrame(error instanceof Error ? error.message : String(error), frame, key);
    }
  }

  private mark(ranges: readonly { first: number; rows: number }[], count: number): void {
    const blocks = Math.ceil(count / BLOCK);
    if (blocks > this.changed.length) {
      const grown = new Uint8Array(Math.ceil(blocks * 1.25));
      grown.set(this.changed);
      this.changed = grown;
    }
    for (const { first, rows } of ranges)
      this.changed.fill(1, Math.floor(first / BLOCK), Math.ceil((first + rows) / BLOCK));
  }

  /** Copies of the rows that changed since the last call. */
  private collect(state: StreamState, verify: boolean): Update {
    const { gaussians, count, frame } = state;
    const parts: Part[] = [];
    const blocks = Math.ceil(count / BLOCK);
    if (this.whole) parts.push({ first: 0, rows: copyGaussians(gaussians) });
    else
      for (let block = 0; block < blocks; block++) {
        const begin = block;
        while (block < blocks && this.changed[block] === 1) block++;
        if (block === begin) continue;
        const first = begin * BLOCK;
        const rows = Math.min(count, block * BLOCK) - first;
        parts.push({ first, rows: copyGaussians(viewRows(gaussians, first, rows)) });
      }
    const update = { frame, count, whole: this.whole, parts, checksum: verify ? state.checksum() : null };
    this.whole = false;
    this.changed.fill(0);
    return update;
  }
}
