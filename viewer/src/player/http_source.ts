// A stream's files over HTTP, from our own server or any other host of files.
import { FormatError } from "../splats/formats";
import { PermanentError, type StreamSource } from "./loader";

/** Most bytes of a manifest: 2^17 files of about 250 bytes. */
const MAX_MANIFEST = 2 ** 25;

export class HttpSource implements StreamSource {
  /**
   * @param manifestAddress of `manifest.json`, beside which the files lie.
   * @param headers what our server wants with each request.
   */
  constructor(
    private readonly manifestAddress: URL,
    private readonly headers: () => Headers,
  ) {}

  async manifest(signal: AbortSignal): Promise<unknown> {
    const name = "manifest.json";
    const response = await this.request(this.manifestAddress, name, signal, "no-cache");
    let size = 0;
    const content = await readBody(response, (bytes) => {
      if ((size += bytes) > MAX_MANIFEST) throw new FormatError(`${name} is larger than any stream's`);
    });
    try {
      return JSON.parse(new TextDecoder().decode(content));
    } catch {
      throw new FormatError(`${name} is not JSON: the address does not lead to a stream`);
    }
  }

  async file(
    name: string,
    signal: AbortSignal,
    fresh: boolean,
    progress: (bytes: number) => void,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const address = new URL(name, this.manifestAddress);
    return readBody(await this.request(address, name, signal, fresh ? "reload" : "default"), progress);
  }

  private async request(
    address: URL,
    name: string,
    signal: AbortSignal,
    cache: RequestCache,
  ): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(address, { headers: this.headers(), signal, cache });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Error("the stream's server does not answer");
    }
    if (response.ok) return response;
    if (response.status === 401 || response.status === 403)
      throw new PermanentError("the server wants a token: open the address that it printed");
    throw new Error(`the server answered ${response.status} to ${name}`);
  }
}

/** The bytes of an answer; `progress` is told of each piece, and may stop it by throwing. */
export async function readBody(
  response: Response,
  progress: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  if (response.body === null) return new Uint8Array(await response.arrayBuffer());
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
      progress(value.length);
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    throw error instanceof TypeError ? new Error("the connection was lost") : error;
  }
  const content = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    content.set(piece, at);
    at += piece.length;
  }
  return content;
}
