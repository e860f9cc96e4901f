// The socket to a running training: progress, curves and splats come in, pause, resume and stop go out.
import type { Server } from "../session";
import { FormatError } from "../splats/formats";
import { type LiveFrame, decodeLiveFrame } from "./frames";

export type TrainingState = "waiting" | "training" | "paused" | "finished" | "stopped" | "failed";

const STATES: readonly TrainingState[] = ["waiting", "training", "paused", "finished", "stopped", "failed"];

export interface Progress {
  readonly state: TrainingState;
  readonly phase: string;
  readonly iteration: number;
  readonly iterations: number;
  readonly loss: number | null;
  readonly psnr: number | null;
  readonly gaussians: number;
  /** Iterations per second. */
  readonly rate: number;
  /** Seconds. */
  readonly eta: number | null;
  readonly message: string | null;
}

/** A point of the curves. */
export interface HistoryRow {
  readonly iteration: number;
  readonly loss: number | null;
  readonly psnr: number | null;
  readonly gaussians: number;
}

/** Milliseconds before the socket is opened again, by the code it was closed with. */
const RETRY = 2000;
const RETRY_WHEN_FULL = 15_000;
const FULL = 1013;

/** Closing codes after which trying again would only be refused again. */
const REFUSALS: Readonly<Record<number, string>> = {
  1003: "the server did not understand this page; reload it",
  1007: "the server did not understand this page; reload it",
  1008: "the server wants a token: open the address that `recon reconstruct --view` printed",
  1009: "the server did not understand this page; reload it",
};

/** Most points that are kept; beyond, every second one is dropped. */
const MAX_HISTORY = 4000;

export class Training {
  progress: Progress | null = null;
  history: HistoryRow[] = [];
  connected = false;
  onProgress: () => void = () => undefined;
  /** Shows a frame; the next one is asked for when this is done. */
  onFrame: (frame: LiveFrame) => Promise<void> = async () => undefined;
  onSession: () => void = () => undefined;
  onError: (sentence: string) => void = () => undefined;
  private socket: WebSocket | null = null;
  private closed = false;

  constructor(private readonly server: Server) {
    this.connect();
  }

  get over(): boolean {
    return this.progress !== null && ["finished", "stopped", "failed"].includes(this.progress.state);
  }

  send(type: "pause" | "resume" | "stop"): void {
    this.post({ type });
  }

  close(): void {
    this.closed = true;
    this.socket?.close();
  }

  private connect(): void {
    const socket = this.server.openLive();
    this.socket = socket;
    socket.onopen = () => this.setConnected(true);
    socket.onclose = ({ code }) => {
      this.setConnected(false);
      if (this.closed || this.over) return;
      if (code in REFUSALS) this.onError(REFUSALS[code]);
      else setTimeout(() => this.connect(), code === FULL ? RETRY_WHEN_FULL : RETRY);
    };
    socket.onmessage = ({ data }) => {
      try {
        if (typeof data === "string") this.text(JSON.parse(data));
        else void this.frame(decodeLiveFrame(data as ArrayBuffer));
      } catch (error) {
        const sentence =
          error instanceof FormatError ? error.message : "the server sent something that is not a message";
        this.onError(sentence);
      }
    };
  }

  private setConnected(connected: boolean): void {
    this.connected = connected;
    this.onProgress();
  }

  private async frame(frame: LiveFrame): Promise<void> {
    await this.onFrame(frame);
    if (frame.first + frame.rows.count === frame.total) this.post({ type: "ack", frame: frame.frame });
  }

  private text(message: unknown): void {
    if (typeof message !== "object" || message === null) return;
    const fields = message as Record<string, unknown>;
    if (fields["type"] === "history" && Array.isArray(fields["rows"])) {
      this.history = fields["rows"].filter(Array.isArray).map(([iteration, loss, psnr, gaussians]) => ({
        ...{ iteration: finite(iteration) ?? 0, loss: finite(loss), psnr: finite(psnr) },
        gaussians: finite(gaussians) ?? 0,
      }));
      this.onProgress();
    } else if (fields["type"] === "progress") {
      this.progress = parseProgress(fields);
      this.remember(this.progress);
      this.onProgress();
    } else if (fields["type"] === "session") this.onSession();
  }

  private remember({ iteration, loss, psnr, gaussians, state }: Progress): void {
    const last = this.history[this.history.length - 1];
    if (state !== "training" || loss === null || (last !== undefined && iteration <= last.iteration)) return;
    this.history.push({ iteration, loss, psnr, gaussians });
    if (this.history.length > MAX_HISTORY) this.history = this.history.filter((_, i) => i % 2 === 0);
  }

  private post(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

export function parseProgress(fields: Record<string, unknown>): Progress {
  return {
    state: STATES.find((state) => state === fields["state"]) ?? "waiting",
    phase: typeof fields["phase"] === "string" ? fields["phase"] : "",
    iteration: finite(fields["iteration"]) ?? 0,
    iterations: finite(fields["iterations"]) ?? 0,
    loss: finite(fields["loss"]),
    psnr: finite(fields["psnr"]),
    gaussians: finite(fields["gaussians"]) ?? 0,
    rate: finite(fields["rate"]) ?? 0,
    eta: finite(fields["eta"]),
    message: typeof fields["message"] === "string" ? fields["message"] : null,
  };
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
