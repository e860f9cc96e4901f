// The worker that decodes files, so that the page answers while it does.
import { decodeSplats } from "./formats";
import { transferables } from "./gaussians";
import type { DecodeReply, DecodeRequest } from "./load";

self.onmessage = async ({ data }: MessageEvent<DecodeRequest>) => {
  try {
    const start = performance.now();
    const gaussians = await decodeSplats(data.content, data.format, data.name);
    const reply: DecodeReply = { gaussians, milliseconds: performance.now() - start };
    self.postMessage(reply, { transfer: transferables(gaussians) });
  } catch (error) {
    const reply: DecodeReply = { error: error instanceof Error ? error.message : String(error) };
    self.postMessage(reply);
  }
};
