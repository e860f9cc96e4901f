// States kept on the way, so that going back need not begin with a keyframe.
import type { StreamState } from "../stream/state";

/** Frames from one saved state to the next: at most so many, less one, are decoded again when somebody goes back. */
const EVERY = 16;

/** Bytes of all saved states together: ten seconds of 100,000 Gaussians of degree 1 at 30 frames per second. */
const ROOM = 192 << 20;

export class SavedStates {
  private readonly states = new Map<number, StreamState>();
  private bytes = 0;

  constructor(
    private readonly every = EVERY,
    private readonly room = ROOM,
  ) {}

  /** Keep a copy of a state, if it is its turn and there is room; those farthest from its frame go first. */
  offer(state: StreamState): void {
    const { frame, bytes } = state;
    if (frame % this.every !== 0 || this.states.has(frame) || bytes > this.room) return;
    while (this.bytes + bytes > this.room) this.drop(this.farthest(frame));
    this.states.set(frame, state.copy());
    this.bytes += bytes;
  }

  /** A copy of the last state between two frames, both included; null where none is. */
  within(first: number, last: number): StreamState | null {
    const frames = [...this.states.keys()].filter((frame) => frame >= first && frame <= last);
    return frames.length > 0 ? this.states.get(Math.max(...frames))!.copy() : null;
  }

  clear(): void {
    this.states.clear();
    this.bytes = 0;
  }

  private farthest(frame: number): number {
    return [...this.states.keys()].reduce((a, b) => (Math.abs(b - frame) > Math.abs(a - frame) ? b : a));
  }

  private drop(frame: number): void {
    this.bytes -= this.states.get(frame)!.bytes;
    this.states.delete(frame);
  }
}
