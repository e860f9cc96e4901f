// Plays a stream: decides which frame is due, what to fetch and what to decode next, and what to do when something of it
// is missing or damaged. It knows neither the page nor the network; those are handed in.
//
// The frame that is shown is always a whole one: the worker gives changes only of frames that it has applied to the end,
// and the screen takes the next ones when it has shown the last.
import { FormatError } from "../splats/formats";
import { type Manifest, checkManifest } from "../stream/manifest";
import { PlaybackClock } from "./clock";
import type { Decoder } from "./decoder";
import { type AdvanceRequest, type Progress, RefusedFrame, type Update } from "./frame_decoder";
import { type FeedSocket, LiveFeed } from "./live_feed";
import { BACKOFF, Loader, PermanentError, type StreamSource, pause } from "./loader";
import { MeanMeter, RateMeter } from "./meter";
import { type Route, type StreamFile, Timeline } from "./timeline";

/** Where frames are shown. */
export interface Screen {
  /** Show what these updates, one after the other, lead to; resolves when it is on the screen. */
  show(updates: readonly Update[]): Promise<void>;
}

export interface PlayerOptions {
  readonly source: StreamSource;
  readonly decoder: Decoder;
  readonly screen: Screen;
  /** Opens the socket on which a growing stream's frames come; null where there is none. */
  readonly openSocket: (() => FeedSocket) | null;
  /** Start to play as soon as there is something. */
  readonly autoplay: boolean;
  /** The frame to begin with; by default the first, or in a growing stream the last. */
  readonly start?: number | null;
  /** Compare the checksum of every frame, not only at keyframes; for tests. */
  readonly verifyAll?: boolean;
}

export type PlayerState =
  /** Nothing of the stream is shown yet, or only a preview. */
  | "opening"
  | "paused"
  | "playing"
  /** Waiting for frames that are on their way. */
  | "stalled"
  /** On the way to a frame that was asked for. */
  | "seeking"
  /** Showing what is newest in a growing stream. */
  | "live"
  | "ended"
  | "failed";

export interface PlayerStatistics {
  /** Megabits per second: of the stream at this place when played at its own speed, and what the network brings. */
  readonly streamRate: number;
  readonly networkRate: number;
  /** Mean of the last frames. */
  readonly decodeMilliseconds: number;
  readonly stalls: number;
  readonly stalledSeconds: number;
  /** Frames on the screen so far, and frames left out because showing them would have been too late. */
  readonly framesShown: number;
  readonly framesSkipped: number;
  readonly framesDecoded: number;
  readonly gaussians: number;
  /** Frames and files that were damaged. */
  readonly refused: number;
}

/** Seconds of frames that are fetched ahead. */
const AHEAD = 2;

/** Milliseconds after which the manifest of a growing stream is fetched again: when frames are missing, and else. */
const POLL_WHEN_MISSING = 1000;
const POLL = 4000;

/** The state is looked at this often at least while playing, for stalls and statistics. */
const HEARTBEAT = 100;

export class Player {
  manifest: Manifest | null = null;
  readonly timeline = new Timeline();
  /** The frame on the screen; null before the first. */
  shown: number | null = null;
  /** The first picture is a preview; the whole keyframe is still on its way. */
  preview = false;
  loop = false;
  live = false;
  /** Called when anything changed that a page may show. */
  onChange: () => void = () => undefined;
  /** Something the user should know. */
  onMessage: (sentence: string, kind: "error" | "note") => void = () => undefined;
  onManifest: (manifest: Manifest) => void = () => undefined;
  /** A frame is on the screen. */
  onShown: (update: Update) => void = () => undefined;
  private clock = new PlaybackClock(30);
  private readonly loader: Loader;
  private readonly feed: LiveFeed | null;
  private readonly abort = new AbortController();
  private wantsToPlay: boolean;
  /** Show what is newest. */
  private following = false;
  /** The frame that was asked for and is not shown yet. */
  private target: number | null = null;
  /** Where the worker's state is. */
  private decoded: number | null = null;
  private decoding = false;
  private showing = false;
  private held = false;
  private failure: string | null = null;
  private finished = false;
  private count = 0;
  /** Decoded and not handed to the screen yet, in order. */
  private updates: Update[] = [];
  /** The last of them is what somebody asked for: it is shown without waiting for the clock. */
  private urgent = false;
  /** The frame that the screen was given last. */
  private handed: number | null = null;
  private shownAt = 0;
  private previewBegun = false;
  private lastTrouble = "";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pollTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly network = new RateMeter();
  private readonly decodeTimes = new MeanMeter();
  private readonly frameBytes = new MeanMeter();
  private framesShown = 0;
  private framesSkipped = 0;
  private framesDecoded = 0;
  private refused = 0;

  constructor(private readonly options: PlayerOptions) {
    this.wantsToPlay = options.autoplay;
    this.loader = new Loader(options.source, options.decoder);
    this.loader.onLoaded = () => this.pump();
    this.loader.onRefused = (file, sentence) => this.refuseFile(file, sentence);
    this.loader.onTrouble = (sentence) => this.trouble(sentence);
    this.loader.onRelief = () => this.tell("the stream's server answers again", "note");
    this.loader.onPermanent = (error) => this.fail(error.message);
    this.loader.onBytes = (bytes) => this.network.add(performance.now(), bytes);
    this.feed = options.openSocket === null ? null : new LiveFeed(options.openSocket);
    this.wireFeed();
  }

  /** Fetch the manifest and begin. */
  async open(): Promise<void> {
    for (let failures = 0; !this.abort.signal.aborted; failures++) {
      try {
        const manifest = await this.fetchManifest();
        if (manifest === null) return;
        if (manifest.frames > 0) return this.begin(manifest);
        if (!manifest.live) return this.fail("the stream has no frames");
        failures = 1;
      } catch (error) {
        if (error instanceof PermanentError || error instanceof FormatError) return this.fail(error.message);
        this.trouble(error instanceof Error ? error.message : String(error));
      }
      await pause(BACKOFF[Math.min(failures, BACKOFF.length - 1)], this.abort.signal);
    }
  }

  get state(): PlayerState {
    if (this.failure !== null) return "failed";
    if (this.shown === null || this.preview) return "opening";
    if (this.following) return "live";
    if (this.target !== null) return "seeking";
    if (this.finished) return "ended";
    if (!this.wantsToPlay) return "paused";
    return this.clock.stalled ? "stalled" : "playing";
  }

  /** Playing, or about to. */
  get playing(): boolean {
    return this.wantsToPlay && this.failure === null && !this.finished;
  }

  get frames(): number {
    return this.timeline.frames;
  }

  get fps(): number {
    return this.clock.fps;
  }

  get speed(): number {
    return this.clock.speed;
  }

  /** The frame that is shown, or that was asked for. */
  get place(): number {
    return this.target ?? this.shown ?? 0;
  }

  /** From the place on, frames up to this one are there. */
  get bufferedTo(): number {
    return this.endOfRun(this.decoded ?? this.place);
  }

  get statistics(): PlayerStatistics {
    const now = performance.now();
    return {
      streamRate: (8 * this.frameBytes.mean * this.fps) / 1e6,
      networkRate: (8 * this.network.rate(now)) / 1e6,
      decodeMilliseconds: this.decodeTimes.mean,
      stalls: this.clock.stalls,
      stalledSeconds: this.clock.waited / 1000,
      framesShown: this.framesShown,
      framesSkipped: this.framesSkipped,
      framesDecoded: this.framesDecoded,
      gaussians: this.count,
      refused: this.refused,
    };
  }

  play(): void {
    if (this.failure !== null || this.manifest === null) return;
    this.wantsToPlay = true;
    this.clock.set(this.shown ?? 0);
    const atEnd = this.finished || (this.target === null && this.shown === this.frames - 1);
    this.finished = false;
    if (atEnd && this.live) this.following = true;
    else if (atEnd) this.setTarget(0);
    this.pump();
  }

  pause(): void {
    this.wantsToPlay = false;
    this.following = false;
    this.finished = false;
    this.pump();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Go to a frame; playing goes on from there. */
  seek(frame: number): void {
    if (this.manifest === null || this.failure !== null) return;
    this.following = false;
    const wish = Math.max(0, Math.min(this.frames - 1, Math.round(frame)));
    this.setTarget(this.timeline.nearest(wish, this.decoded) ?? this.shown);
    this.pump();
  }

  /** One frame (or more) on or back, and stay there. */
  step(by: number): void {
    this.wantsToPlay = false;
    this.seek(this.place + by);
  }

  setSpeed(speed: number): void {
    this.clock.speed = Math.max(0.1, Math.min(4, speed));
    this.pump();
  }

  setLoop(loop: boolean): void {
    this.loop = loop;
    if (loop && this.finished) this.play();
    this.pump();
  }

  /** Show what is newest from now on. */
  follow(): void {
    if (!this.live || this.failure !== null) return;
    this.wantsToPlay = true;
    this.finished = false;
    this.following = true;
    this.target = null;
    this.pump();
  }

  /** Let the clock stand while nobody looks. */
  hold(held: boolean): void {
    this.held = held;
    this.clock.hold();
    this.pump();
  }

  close(): void {
    this.abort.abort();
    clearTimeout(this.timer);
    clearTimeout(this.pollTimer);
    this.loader.close();
    this.feed?.close();
    this.options.decoder.close();
  }

  // --- What happens -------------------------------------------------------------------------------------------------

  private begin(manifest: Manifest): void {
    const { speed } = this.clock;
    this.clock = new PlaybackClock(manifest.fps);
    this.clock.speed = speed;
    this.take(manifest);
    const start = this.options.start ?? null;
    this.following = manifest.live && this.options.autoplay && start === null;
    const last = manifest.frames - 1;
    this.setTarget(this.timeline.nearest(Math.min(last, start ?? (manifest.live ? last : 0)), null));
    this.feed?.connect();
    this.poll();
    this.pump();
  }

  private async fetchManifest(): Promise<Manifest | null> {
    const data = await this.options.source.manifest(this.abort.signal);
    return this.abort.signal.aborted ? null : checkManifest(data, "manifest.json");
  }

  private take(manifest: Manifest): void {
    this.manifest = manifest;
    this.live = manifest.live;
    this.timeline.update(manifest);
    if (!manifest.live && this.following) {
      this.following = false;
      this.clock.set(this.shown ?? 0);
    }
    // What the socket brought and the files have now is kept only where it is about to be played.
    const from = this.decoded ?? 0;
    for (const frame of [...this.timeline.liveResiduals, ...this.timeline.liveKeys])
      if (frame < manifest.frames && (frame <= from || frame > from + 10 * manifest.fps)) {
        this.timeline.dropLive(frame);
        this.options.decoder.removeLive(frame);
      }
    this.onManifest(manifest);
  }

  /** Fetch a growing stream's manifest again after a while. */
  private poll(): void {
    clearTimeout(this.pollTimer);
    if (!this.live) return;
    const missing = this.feed?.connected !== true || this.bufferedTo < this.frames - 1;
    this.pollTimer = setTimeout(() => void this.refresh(), missing ? POLL_WHEN_MISSING : POLL);
  }

  private async refresh(): Promise<void> {
    try {
      const manifest = await this.fetchManifest();
      if (manifest === null) return;
      const before = this.manifest!;
      if (manifest.frames < before.frames || manifest.keyframes[0]?.name !== before.keyframes[0]?.name)
        return this.fail("another stream is at this address now; reload the page");
      this.take(manifest);
      if (this.shown === null && this.target === null)
        this.setTarget(this.timeline.nearest(this.frames - 1, null));
    } catch (error) {
      if (error instanceof PermanentError) return this.fail(error.message);
      if (!this.abort.signal.aborted) this.trouble(error instanceof Error ? error.message : String(error));
    }
    this.poll();
    this.pump();
  }

  private wireFeed(): void {
    const { feed } = this;
    if (feed === null) return;
    feed.onRecord = (record) => void this.takeRecord(record);
    feed.onStart = () => this.poll();
    feed.onSkip = () => this.poll();
    feed.onEnd = () => void this.refresh();
    feed.onError = (sentence) => this.tell(sentence, "error");
  }

  private async takeRecord(content: Uint8Array<ArrayBuffer>): Promise<void> {
    this.network.add(performance.now(), content.length);
    try {
      const { frame, key } = await this.options.decoder.addRecord(content);
      if (this.abort.signal.aborted) return;
      // The files have it already, or it goes beyond what any stream has.
      if (frame < this.timeline.published || frame > this.frames + MAX_LIVE_GAP)
        this.options.decoder.removeLive(frame);
      else this.timeline.addLive(frame, key);
    } catch (error) {
      // Its frame comes with the manifest, too.
      if (!(error instanceof FormatError)) return this.fail(String(error));
      this.refused++;
      this.tell(`${error.message}; its frame is fetched again`, "error");
    }
    this.pump();
  }

  private refuseFile(file: StreamFile, sentence: string): void {
    this.refused++;
    this.timeline.refuseFile(file.name);
    if (file.kind === "preview") return this.pump(); // the whole keyframe follows
    this.goOnAfter(file.first, sentence);
  }

  /** A record did not lead to its frame: show no more of this way, and begin again at a keyframe. */
  private refuseFrame({ frame, key, message }: RefusedFrame): void {
    const { timeline, options } = this;
    this.refused++;
    this.decoded = null;
    if (key) {
      if (timeline.liveKeys.has(frame)) {
        timeline.dropLive(frame);
        options.decoder.removeLive(frame);
      }
      const file = timeline.keyBefore(frame)?.file;
      if (file && file.first === frame) timeline.refuseFile(file.name);
    } else if (timeline.liveResiduals.has(frame)) {
      // The files may have a sound one.
      timeline.dropLive(frame);
      options.decoder.removeLive(frame);
    } else timeline.refuseFrame(frame);
    this.goOnAfter(frame, message);
  }

  private goOnAfter(frame: number, sentence: string): void {
    if (this.target !== null || this.shown === null) {
      const wish = this.timeline.nearest(this.target ?? 0, this.decoded);
      const nothing = this.shown === null || this.preview;
      if (wish === null && nothing && !this.live) return this.fail(sentence);
      this.tell(`${sentence}; ${wish === null ? "nothing leads there" : `frame ${wish} is shown`}`, "error");
      this.setTarget(wish === this.shown ? null : wish);
    } else if (this.wantsToPlay) {
      // What is decoded up to here still plays; without a state the next keyframe is all there is.
      const next = this.timeline.keyAfter(frame);
      if (this.decoded === null)
        if (next !== null) this.setTarget(next.frame);
        else if (!this.live) this.setTarget(this.timeline.nearest(frame, null));
      const words = next === null ? "nothing follows" : `playing goes on at frame ${next.frame}`;
      this.tell(`${sentence}; ${words}`, "error");
    } else this.tell(sentence, "error");
    this.pump();
  }

  private setTarget(frame: number | null): void {
    this.target = frame;
    this.finished = false;
    if (frame !== null && frame === this.handed) {
      this.target = null;
      this.clock.set(frame);
    }
  }

  // --- What to do next ----------------------------------------------------------------------------------------------

  /** Look at everything, and start what is due. All events end here. */
  private pump(): void {
    if (this.abort.signal.aborted) return;
    if (this.manifest !== null && this.failure === null) {
      this.turn();
      this.loader.want(this.wanted());
      this.decode();
      this.present();
      this.schedule();
    }
    this.onChange();
  }

  /** Let the clock go on, jump over holes, and notice the end. */
  private turn(): void {
    if (this.following) return this.followEdge();
    if (!this.wantsToPlay || this.finished || this.held || this.target !== null || this.shown === null)
      return this.clock.hold();
    const from = this.decoded ?? this.shown;
    const last = this.endOfRun(from);
    const next = this.timeline.after(last);
    const hole = next !== null && next.frame > last + 1;
    const edge = this.live && last === this.frames - 1;
    const over = next === null && !this.live;
    this.clock.tick(performance.now(), { last, end: hole || edge || over, decoded: from });
    if (this.clock.position < last + 1 || from !== last || this.updates.length > 0) return;
    if (hole) this.setTarget(next.frame);
    else if (edge) this.following = true;
    else if (over && this.loop) this.setTarget(this.timeline.nearest(0, null));
    else if (over && !this.showing) this.finished = true;
  }

  /** In a growing stream: the newest frame that can be shown, by whatever way is there. */
  private followEdge(): void {
    if (this.target !== null) return;
    const newest = this.frames - 1;
    const last = this.decoded === null ? -1 : this.endOfRun(this.decoded);
    if (last >= newest || (this.decoded !== null && last > this.decoded)) return;
    const key = this.timeline.keyBefore(newest);
    if (key === null || key.frame <= (this.decoded ?? this.shown ?? -1)) return;
    // A keyframe from the socket is at hand; one in a file is worth its bytes when we are far behind.
    const far = this.decoded === null || newest - this.decoded > AHEAD * this.fps;
    if (key.file === null || far) this.setTarget(key.frame);
  }

  /** The frame to decode next, and how. */
  private nextWay(): Route | null {
    const { timeline, decoded } = this;
    if (this.target !== null) return timeline.route(this.target, decoded);
    if (!this.wantsToPlay || this.finished) return null;
    // The state was lost: back to where the picture is.
    if (decoded === null) return this.shown === null ? null : timeline.route(this.shown, null);
    const last = this.endOfRun(decoded);
    if (last <= decoded) return null;
    const newest = last - decoded > AHEAD * this.fps ? last : decoded + 1;
    const due = this.following ? newest : Math.min(last, Math.floor(this.clock.position));
    const way = timeline.route(Math.max(decoded + 1, due), decoded, true);
    if (way !== null && this.isThere(way)) return way;
    return timeline.route(decoded + 1, decoded, true);
  }

  private decode(): void {
    if (this.decoding || (this.updates.length > 0 && this.target === null)) return;
    const given = this.updates.at(-1)?.frame ?? (this.showing ? this.handed : null);
    if (this.target !== null && given === this.target) return; // it only has to be shown
    const way = this.nextWay();
    if (way === null || !this.isThere(way)) return;
    const { frame, start, base } = way;
    const verify = this.options.verifyAll === true ? "all" : this.timeline.marksWithin(base, frame);
    const request: AdvanceRequest = { frame, start: start?.frame ?? null, verify };
    this.decoding = true;
    const goal = this.target;
    void this.options.decoder
      .advance(request)
      .then((progress) => this.advanced(progress, goal))
      .catch((error: unknown) => {
        this.decoding = false;
        if (this.abort.signal.aborted) return;
        if (error instanceof RefusedFrame) this.refuseFrame(error);
        else this.fail(error instanceof Error ? error.message : String(error));
      });
  }

  private advanced({ frame, update, decoded, milliseconds, bytes }: Progress, goal: number | null): void {
    this.decoding = false;
    this.decoded = frame;
    this.framesDecoded += decoded;
    if (decoded > 0) this.decodeTimes.add(milliseconds / decoded);
    if (update?.whole === false && decoded > 0) this.frameBytes.add(bytes / decoded);
    if (update !== null) {
      if (update.whole) this.updates = [];
      this.updates.push(update);
      this.urgent ||= goal !== null;
      if (goal === null && this.target === null && decoded > 1) this.framesSkipped += decoded - 1;
    }
    this.pump();
  }

  private present(): void {
    const last = this.updates.at(-1);
    if (this.showing || last === undefined) return;
    if (!this.urgent && last.frame !== this.target)
      if (this.following ? this.untilNewest() > 0 : this.target !== null || this.clock.position < last.frame)
        return;
    const updates = this.updates;
    this.updates = [];
    this.urgent = false;
    this.handed = last.frame;
    this.show(updates, false);
  }

  private show(updates: readonly Update[], preview: boolean): void {
    const last = updates[updates.length - 1];
    this.showing = true;
    void this.options.screen
      .show(updates)
      .then(() => {
        this.showing = false;
        this.preview = preview;
        this.shown = last.frame;
        this.shownAt = performance.now();
        this.count = last.count;
        this.framesShown++;
        if (!preview && this.target === last.frame) {
          this.target = null;
          this.clock.set(last.frame);
        }
        this.onShown(last);
        this.pump();
      })
      .catch((error: unknown) => this.fail(error instanceof Error ? error.message : String(error)));
  }

  /** The files to have, the most urgent first. */
  private wanted(): StreamFile[] {
    const { timeline } = this;
    const files: StreamFile[] = [];
    if (this.shown === null && this.target !== null) {
      const preview = timeline.previewOf(this.target);
      if (preview !== null) {
        if (!this.loader.has(preview)) return [preview];
        this.showPreview(preview);
      }
    }
    let at = this.decoded ?? this.shown;
    if (this.target !== null) {
      const way = timeline.route(this.target, this.decoded);
      if (way !== null) files.push(...timeline.filesOf(way));
      at = this.target;
    } else if (this.decoded === null && this.shown !== null) {
      const way = timeline.route(this.shown, null);
      if (way !== null) files.push(...timeline.filesOf(way));
    }
    if (at === null) return files;
    if (this.following && this.target === null) {
      const way = timeline.after(at);
      if (way === null || way.frame > at + 1) return files;
    }
    // Fetched ahead, over holes and, when playing in a loop, over the end.
    let room = AHEAD * this.fps * Math.max(1, this.speed);
    for (let jumped = false; room > 0;) {
      const way = timeline.after(at);
      if (way === null) {
        if (!this.loop || this.live || jumped) break;
        jumped = true;
        const first = timeline.keyBefore(0);
        if (first?.file) files.push(first.file);
        at = 0;
        continue;
      }
      const file = timeline.filesOf(way)[0];
      if (file !== undefined && files.at(-1) !== file) files.push(file);
      const to = file?.kind === "segment" ? (timeline.gap(at, file.last) ?? file.last + 1) - 1 : way.frame;
      room -= Math.max(1, way.start === null ? to - at : 1);
      at = Math.max(to, way.frame);
    }
    return [...new Set(files)];
  }

  private showPreview(file: StreamFile): void {
    if (this.previewBegun) return;
    this.previewBegun = true;
    this.options.decoder.preview(file.name).then(
      (update) => {
        // The whole keyframe may have been faster.
        if (this.shown !== null || this.showing || this.abort.signal.aborted) return;
        this.show([update], true);
      },
      () => {
        this.refused++;
        this.timeline.refuseFile(file.name);
      },
    );
  }

  private isThere(way: Route): boolean {
    return this.timeline.filesOf(way).every((file) => this.loader.has(file));
  }

  /** The last frame that is there without a hole after this one. */
  private endOfRun(from: number): number {
    const { timeline } = this;
    for (let at = from; ;) {
      const way = timeline.after(at);
      if (way === null || way.frame !== at + 1) return at;
      const file = timeline.filesOf(way)[0];
      if (file !== undefined && !this.loader.has(file)) return at;
      at = file?.kind === "segment" ? (timeline.gap(at, file.last) ?? file.last + 1) - 1 : at + 1;
    }
  }

  /** Frames of a growing stream that come many at a time are shown one by one, faster the more there are. */
  private untilNewest(): number {
    const behind = this.endOfRun(this.decoded ?? 0) - (this.shown ?? 0);
    if (behind > AHEAD * this.fps) return 0;
    return this.shownAt + 1000 / (this.fps + behind) - performance.now();
  }

  private schedule(): void {
    clearTimeout(this.timer);
    if (!this.wantsToPlay || this.finished || this.held || this.shown === null) return;
    if (this.following) {
      if (this.updates.length > 0 && !this.showing)
        this.timer = setTimeout(() => this.pump(), Math.max(2, this.untilNewest()));
      return;
    }
    const next = this.updates[0]?.frame ?? Math.floor(this.clock.position) + 1;
    const busy = this.showing || this.decoding || this.target !== null || this.clock.stalled;
    const wait = busy ? HEARTBEAT : this.clock.until(next);
    this.timer = setTimeout(() => this.pump(), Math.max(2, Math.min(HEARTBEAT, wait)));
  }

  private fail(sentence: string): void {
    if (this.failure !== null || this.abort.signal.aborted) return;
    this.failure = sentence;
    clearTimeout(this.timer);
    clearTimeout(this.pollTimer);
    this.loader.close();
    this.feed?.close();
    this.tell(sentence, "error");
    this.onChange();
  }

  /** Say once that the network fails; the next success says that it works again. */
  private trouble(sentence: string): void {
    const words = `${sentence}; trying again`;
    if (words !== this.lastTrouble) this.tell(words, "error");
    this.lastTrouble = words;
  }

  private tell(sentence: string, kind: "error" | "note"): void {
    if (kind === "note") this.lastTrouble = "";
    this.onMessage(sentence, kind);
  }
}

/** A record of the socket may be so many frames ahead of all that is known. */
const MAX_LIVE_GAP = 1 << 20;
