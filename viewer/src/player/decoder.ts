// The page's side of the decoding worker.
import { FormatError } from "../splats/formats";
import { type AdvanceRequest, type Progress, RefusedFrame, type Update } from "./frame_decoder";
import type { StreamFile } from "./timeline";

/** A `FrameDecoder` that is somewhere else; see there. Requests are answered in order. */
export interface Decoder {
  add(file: StreamFile, content: Uint8Array<ArrayBuffer>): Promise<void>;
  addRecord(content: Uint8Array<ArrayBuffer>): Promise<{ frame: number; key: boolean }>;
  remove(name: string): void;
  removeLive(frame: number): void;
  preview(name: string): Promise<Update>;
  advance(request: AdvanceRequest): Promise<Progress>;
  close(): void;
}

export type DecoderCall =
  | { readonly call: "add"; readonly file: StreamFile; readonly content: Uint8Array<ArrayBuffer> }
  | { readonly call: "addRecord"; readonly content: Uint8Array<ArrayBuffer> }
  | { readonly call: "remove"; readonly name: string }
  | { readonly call: "removeLive"; readonly frame: number }
  | { readonly call: "preview"; readonly name: string }
  | { readonly call: "advance"; readonly request: AdvanceRequest };

export type DecoderReply =
  | { readonly id: number; readonly value: unknown }
  | {
      readonly id: number;
      readonly error: string;
      /** Of a frame that was refused. */
      readonly refused: { readonly frame: number; readonly key: boolean } | null;
    };

export class WorkerDecoder implements Decoder {
  private readonly worker = new Worker(new URL("./stream_worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void }
  >();
  private calls = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<DecoderReply>) => {
      const waiter = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (!("error" in data)) waiter?.resolve(data.value as never);
      else if (data.refused !== null)
        waiter?.reject(new RefusedFrame(data.error, data.refused.frame, data.refused.key));
      else waiter?.reject(new FormatError(data.error));
    };
    this.worker.onerror = () => {
      const error = new Error("the stream needs more memory than the browser gives");
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    };
  }

  add(file: StreamFile, content: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.ask({ call: "add", file, content }, [content.buffer]);
  }

  addRecord(content: Uint8Array<ArrayBuffer>): Promise<{ frame: number; key: boolean }> {
    return this.ask({ call: "addRecord", content }, [content.buffer]);
  }

  remove(name: string): void {
    void this.ask({ call: "remove", name });
  }

  removeLive(frame: number): void {
    void this.ask({ call: "removeLive", frame });
  }

  preview(name: string): Promise<Update> {
    return this.ask({ call: "preview", name });
  }

  advance(request: AdvanceRequest): Promise<Progress> {
    return this.ask({ call: "advance", request });
  }

  close(): void {
    this.worker.terminate();
    this.waiting.clear();
  }

  private ask<T>(call: DecoderCall, transfer: ArrayBuffer[] = []): Promise<T> {
    const id = ++this.calls;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...call }, transfer);
    });
  }
}
