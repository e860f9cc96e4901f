import { decompress } from "fzstd";

/** Return the `size` bytes of a zstd stream, or null when it holds anything else. */
export function inflateZstd(stream: Uint8Array, size: number): Uint8Array | null {
  try {
    const data = decompress(stream);
    return data.length === size ? data : null;
  } catch {
    return null;
  }
}
