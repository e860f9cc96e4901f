// The socket of a growing stream: frames as they are made, until the stream ends.

/** What is used of a WebSocket. */
export type FeedSocket = Pick<WebSocket, "onmessage" | "onclose" | "close">;

/** Milliseconds before the socket is opened again, and when the server has too many pages. */
const RETRY = [500, 1000, 2000, 4000, 8000];
const RETRY_WHEN_FULL = 15_000;
const FULL = 1013;
const NO_TOKEN = 1008;

export class LiveFeed {
  onRecord: (record: Uint8Array<ArrayBuffer>) => void = () => undefined;
  /** Connected; there are so many frames, and what is between them and those we have comes over HTTP. */
  onStart: (frames: number) => void = () => undefined;
  /** We were too slow; what was on its way is dropped. */
  onSkip: () => void = () => undefined;
  onEnd: (frames: number) => void = () => undefined;
  onError: (sentence: string) => void = () => undefined;
  connected = false;
  private socket: FeedSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private over = false;

  constructor(private readonly open: () => FeedSocket) {}

  connect(): void {
    const socket = this.open();
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.text(data);
      else if (data instanceof ArrayBuffer) this.onRecord(new Uint8Array(data));
    };
    socket.onclose = ({ code }) => {
      this.connected = false;
      if (this.over || this.socket !== socket) return;
      if (code === NO_TOKEN) {
        this.onError("the server wants a token: open the address that it printed");
        return;
      }
      const wait = code === FULL ? RETRY_WHEN_FULL : RETRY[Math.min(this.failures, RETRY.length - 1)];
      this.failures++;
      this.timer = setTimeout(() => this.connect(), wait);
    };
  }

  close(): void {
    this.over = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private text(data: string): void {
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(data) as Record<string, unknown>;
    } catch {
      return this.onError("the server sent something that is not a message");
    }
    if (typeof message !== "object" || message === null) return;
    const { type, frames } = message;
    const count = typeof frames === "number" && Number.isInteger(frames) && frames >= 0 ? frames : 0;
    if (type === "stream") {
      this.connected = true;
      this.failures = 0;
      this.onStart(count);
    } else if (type === "skip") this.onSkip();
    else if (type === "end") {
      this.close();
      this.onEnd(count);
    }
  }
}
