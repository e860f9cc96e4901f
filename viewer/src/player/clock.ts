// The playback clock: which frame is due, and how long playing had to wait for frames.

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4] as const;

/** A clock never runs further ahead of what is decoded than this many seconds: a slow machine plays slowly. */
const MAX_LAG = 0.5;

/** After a stall so many seconds must be there before playing goes on. */
const RESUME = 0.5;

/** What limits the clock. */
export interface Horizon {
  /** The last frame that is there without a hole. */
  readonly last: number;
  /** Nothing follows it. */
  readonly end: boolean;
  /** The frame that was decoded last. */
  readonly decoded: number;
}

export class PlaybackClock {
  /** Frames; frame f is due from f on. */
  position = 0;
  /** Factor on the stream's own speed, 0.1 to 4. */
  speed = 1;
  stalls = 0;
  stalled = false;
  private stallMilliseconds = 0;
  private last: number | null = null;

  constructor(readonly fps: number) {}

  /** Milliseconds for which playing waited for frames that were not there. */
  get waited(): number {
    return this.stallMilliseconds;
  }

  /** Stand at a frame. */
  set(position: number): void {
    this.position = position;
    this.hold();
  }

  /** Let no time pass until the next tick. */
  hold(): void {
    this.last = null;
    this.stalled = false;
  }

  /** Let time pass, as far as there are frames. */
  tick(now: number, { last, end, decoded }: Horizon): void {
    const elapsed = this.last === null ? 0 : Math.max(0, now - this.last);
    this.last = now;
    if (this.stalled) {
      this.stallMilliseconds += elapsed;
      if (!end && last + 1 - this.position < RESUME * this.fps * this.speed) return;
      this.stalled = false;
      return;
    }
    const ahead = this.position + (elapsed / 1000) * this.fps * this.speed;
    const lag = Math.max(2, MAX_LAG * this.fps * this.speed);
    const next = Math.min(ahead, Math.max(this.position, decoded + lag));
    if (next >= last + 1) {
      this.position = Math.max(this.position, last + 1);
      if (!end) {
        this.stalled = true;
        this.stalls++;
        this.stallMilliseconds += Math.max(0, ((next - this.position) / (this.fps * this.speed)) * 1000);
      }
    } else this.position = next;
  }

  /** Milliseconds until a frame is due. */
  until(frame: number): number {
    return Math.max(0, ((frame - this.position) / (this.fps * this.speed)) * 1000);
  }
}
