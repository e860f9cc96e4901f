// From the bytes of a file to Gaussians, in a worker.
import { FormatError, type SplatFormat } from "./formats";
import type { Gaussians } from "./gaussians";

export interface DecodeRequest {
  readonly content: Uint8Array<ArrayBuffer>;
  readonly format: SplatFormat;
  readonly name: string;
}

export type DecodeReply =
  { readonly gaussians: Gaussians; readonly milliseconds: number } | { readonly error: string };

/** No file of the size that is read takes so long; a worker that does is given up. */
const PATIENCE = 120_000;

/** Decode a file; its content is handed over and gone. Throws a FormatError with a sentence. */
export function loadSplats(request: DecodeRequest): Promise<{ gaussians: Gaussians; milliseconds: number }> {
  const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    const give = (error: string) => {
      clearTimeout(timer);
      worker.terminate();
      reject(new FormatError(error));
    };
    const timer = setTimeout(() => give(`${request.name} takes too long to open; it is damaged`), PATIENCE);
    worker.onmessage = ({ data }: MessageEvent<DecodeReply>) => {
      if ("error" in data) return give(data.error);
      clearTimeout(timer);
      worker.terminate();
      resolve(data);
    };
    worker.onerror = () => give(`${request.name} needs more memory than the browser gives`);
    worker.postMessage(request, [request.content.buffer]);
  });
}
