// The worker that decodes a stream; its state never leaves it, only the rows that changed.
import { transferables } from "../splats/gaussians";
import type { DecoderCall, DecoderReply } from "./decoder";
import { FrameDecoder, type Progress, RefusedFrame, type Update } from "./frame_decoder";

const decoder = new FrameDecoder();

self.onmessage = ({ data }: MessageEvent<DecoderCall & { id: number }>) => {
  const { id } = data;
  try {
    const value = answer(data);
    const update = updateIn(value);
    const transfer = update?.parts.flatMap(({ rows }) => transferables(rows)) ?? [];
    self.postMessage({ id, value } satisfies DecoderReply, { transfer });
  } catch (error) {
    const refused = error instanceof RefusedFrame ? { frame: error.frame, key: error.key } : null;
    const message = error instanceof Error ? error.message : String(error);
    self.postMessage({ id, error: message, refused } satisfies DecoderReply);
  }
};

function answer(data: DecoderCall): unknown {
  switch (data.call) {
    case "add":
      return decoder.add(data.file, data.content);
    case "addRecord":
      return decoder.addRecord(data.content);
    case "remove":
      return decoder.remove(data.name);
    case "removeLive":
      return decoder.removeLive(data.frame);
    case "preview":
      return decoder.preview(data.name);
    case "advance":
      return decoder.advance(data.request);
  }
}

function updateIn(value: unknown): Update | null {
  if (typeof value !== "object" || value === null) return null;
  if ("update" in value) return (value as Progress).update;
  return "parts" in value ? (value as Update) : null;
}
