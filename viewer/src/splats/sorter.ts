// The page's side of the sorting worker: one request at a time, always for the newest camera.
import type { Gaussians } from "./gaussians";

export type SortRequest =
  | {
      readonly type: "rows";
      readonly version: number;
      /** Gaussians from now on. */
      readonly count: number;
      readonly first: number;
      readonly means: Float32Array;
      readonly logScales: Float32Array;
      readonly opacityLogits: Float32Array;
    }
  | { readonly type: "budget"; readonly budget: number }
  | { readonly type: "near"; readonly near: number }
  | { readonly type: "sort"; readonly ticket: number; readonly axis: readonly number[] };

export interface SortReply {
  readonly ticket: number;
  /** State of the Gaussians that was sorted. */
  readonly version: number;
  readonly order: Uint32Array<ArrayBuffer>;
  readonly depthRange: readonly [number, number];
  readonly milliseconds: number;
}

export class Sorter {
  onOrder: (reply: SortReply) => void = () => undefined;
  private readonly worker = new Worker(new URL("./sort_worker.ts", import.meta.url), { type: "module" });
  private ticket = 0;
  private waiting = false;
  private next: readonly number[] | null = null;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<SortReply>) => {
      this.waiting = false;
      this.onOrder(data);
      if (this.next !== null) this.request(this.next);
    };
  }

  /** Tell the worker that rows changed (or are new); `count` is how many Gaussians there are from now on. */
  setRows(version: number, count: number, first: number, rows: Gaussians): void {
    const means = rows.means.slice();
    const logScales = rows.logScales.slice();
    const opacityLogits = rows.opacityLogits.slice();
    const request: SortRequest = { type: "rows", version, count, first, means, logScales, opacityLogits };
    this.worker.postMessage(request, [means.buffer, logScales.buffer, opacityLogits.buffer]);
  }

  setBudget(budget: number): void {
    this.post({ type: "budget", budget });
  }

  setNear(near: number): void {
    this.post({ type: "near", near });
  }

  /** Ask for the order along the third row of a world_to_camera; while one is under way, the newest request waits. */
  request(axis: readonly number[]): number {
    if (this.waiting) {
      this.next = axis;
      return this.ticket + 1;
    }
    this.next = null;
    this.waiting = true;
    this.post({ type: "sort", ticket: ++this.ticket, axis });
    return this.ticket;
  }

  /** A newer camera waits for its turn. */
  get hasNext(): boolean {
    return this.next !== null;
  }

  get idle(): boolean {
    return !this.waiting;
  }

  dispose(): void {
    this.worker.terminate();
  }

  private post(request: SortRequest): void {
    this.worker.postMessage(request);
  }
}
