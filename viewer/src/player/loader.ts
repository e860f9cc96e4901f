// Fetches the files that are wanted, in order of urgency, again and again until they are there and sound.
import { FormatError } from "../splats/formats";
import type { Decoder } from "./decoder";
import type { StreamFile } from "./timeline";

/** Where a stream comes from. Rejections are failures of the network, which pass. */
export interface StreamSource {
  manifest(signal: AbortSignal): Promise<unknown>;
  /** `fresh` goes past the browser's cache; `progress` is told of bytes as they come. */
  file(
    name: string,
    signal: AbortSignal,
    fresh: boolean,
    progress: (bytes: number) => void,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** Trying again is of no use: the server wants a token, or the address is not there for us. */
export class PermanentError extends Error {
  override name = "PermanentError";
}

/** Files under way at a time: one more than needed, so that the line does not rest between them. */
const PARALLEL = 2;

/** Milliseconds before the second, third, … attempt; the last one from then on. */
export const BACKOFF = [250, 500, 1000, 2000, 4000, 8000];

/** A transfer that brings nothing for so long is given up and begun again. */
export const PATIENCE = 15_000;

/** Bytes of files that are kept; beyond, those go that were wanted longest ago. */
const CACHE = 256 * 2 ** 20;

export class Loader {
  /** A file is in the decoder. */
  onLoaded: (file: StreamFile) => void = () => undefined;
  /** A file is not what the manifest names, twice. */
  onRefused: (file: StreamFile, sentence: string) => void = () => undefined;
  /** A transfer failed, and will be tried again. */
  onTrouble: (sentence: string) => void = () => undefined;
  /** All transfers work again. */
  onRelief: () => void = () => undefined;
  onBytes: (bytes: number) => void = () => undefined;
  onPermanent: (error: PermanentError) => void = () => undefined;
  private wanted: readonly StreamFile[] = [];
  private readonly transfers = new Map<string, AbortController>();
  /** By name, in the order in which they were wanted last. */
  private readonly kept = new Map<string, StreamFile>();
  /** Told by each piece of a transfer that it is alive. */
  private readonly watchers = new Map<string, () => void>();
  private bytes = 0;
  private troubled = false;

  constructor(
    private readonly source: StreamSource,
    private readonly decoder: Decoder,
    private readonly cache = CACHE,
  ) {}

  has(file: StreamFile): boolean {
    return this.kept.has(file.name);
  }

  /** Load these, the first ones first; what is under way for others stops. */
  want(files: readonly StreamFile[]): void {
    this.wanted = files;
    const names = new Set(files.map(({ name }) => name));
    for (const [name, transfer] of this.transfers) if (!names.has(name)) transfer.abort();
    for (const file of files) if (this.kept.delete(file.name)) this.kept.set(file.name, file); // now the youngest
    this.begin();
  }

  close(): void {
    this.wanted = [];
    for (const transfer of this.transfers.values()) transfer.abort();
  }

  private begin(): void {
    for (const file of this.wanted) {
      if (this.transfers.size >= PARALLEL) return;
      if (!this.kept.has(file.name) && !this.transfers.has(file.name)) void this.load(file);
    }
  }

  private async load(file: StreamFile): Promise<void> {
    const abort = new AbortController();
    this.transfers.set(file.name, abort);
    try {
      let damaged = false;
      for (let failures = 0; ;) {
        let content: Uint8Array<ArrayBuffer>;
        try {
          content = await this.transfer(file, damaged, abort.signal);
        } catch (error) {
          if (abort.signal.aborted) return;
          if (error instanceof PermanentError) return this.onPermanent(error);
          this.troubled = true;
          this.onTrouble(error instanceof Error ? error.message : String(error));
          await pause(BACKOFF[Math.min(failures++, BACKOFF.length - 1)], abort.signal);
          if (abort.signal.aborted) return;
          continue;
        }
        try {
          await this.decoder.add(file, content);
        } catch (error) {
          if (abort.signal.aborted) return;
          if (!(error instanceof FormatError)) return this.onPermanent(new PermanentError(String(error)));
          if (damaged) return this.onRefused(file, error.message);
          damaged = true; // perhaps only on its way to us: once more, past the cache
          continue;
        }
        this.keep(file);
        if (this.troubled) this.onRelief();
        this.troubled = false;
        return this.onLoaded(file);
      }
    } finally {
      this.transfers.delete(file.name);
      this.begin();
    }
  }

  /** One attempt, which ends when nothing comes for a while. */
  private async transfer(
    file: StreamFile,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const watch = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          attempt.abort();
          reject(new Error(`${file.name} does not arrive`));
        }, PATIENCE);
      };
      watch();
      this.watchers.set(file.name, watch);
    });
    late.catch(() => undefined);
    let seen = 0;
    try {
      const arrived = this.source.file(file.name, attempt.signal, fresh, (bytes) => {
        seen += bytes;
        // More than the manifest states is not read to its end.
        if (seen > file.bytes) return attempt.abort();
        this.watchers.get(file.name)?.();
        this.onBytes(bytes);
      });
      return await Promise.race([arrived, late]);
    } catch (error) {
      if (seen > file.bytes && !signal.aborted) return new Uint8Array(0); // refused by its size
      throw error;
    } finally {
      clearTimeout(timer);
      this.watchers.delete(file.name);
      signal.removeEventListener("abort", stop);
    }
  }

  private keep(file: StreamFile): void {
    this.kept.set(file.name, file);
    this.bytes += file.bytes;
    const needed = new Set(this.wanted.map(({ name }) => name));
    for (const old of this.kept.values()) {
      if (this.bytes <= this.cache) return;
      if (needed.has(old.name) || old === file) continue;
      this.kept.delete(old.name);
      this.bytes -= old.bytes;
      this.decoder.remove(old.name);
    }
  }
}

/** Wait, or stop waiting. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
