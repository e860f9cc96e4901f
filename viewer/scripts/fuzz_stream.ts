// Damaged records of streams: each must be refused in a sentence, or lead to a state. npm run fuzz-stream [inputs]
import { random } from "../tests/splats/scenes";
import vectors from "../tests/stream/vectors.json";
import { FormatError } from "../src/splats/formats";
import { crc32 } from "../src/stream/crc32";
import { RecordKind } from "../src/stream/layout";
import { FILE_HEADER, RECORD_HEADER, parseFile, parseRecord } from "../src/stream/record";
import { StreamState } from "../src/stream/state";

export interface StreamFuzz {
  readonly read: number;
  readonly refused: number;
  readonly slowestMilliseconds: number;
}

export async function main([inputs]: string[]): Promise<number> {
  const { read, refused, slowestMilliseconds } = fuzzStreams(Number(inputs ?? 100_000), random(2026));
  console.log(
    `${read + refused} damaged records: ${read} read, ${refused} refused, ` +
      `slowest ${slowestMilliseconds.toFixed(1)} ms`,
  );
  return slowestMilliseconds < 1000 ? 0 : 1;
}

/** Feed damaged records to the reader; anything but a FormatError, or a whole state, is thrown on. */
export function fuzzStreams(inputs: number, next: () => number): StreamFuzz {
  const cases = vectors.flatMap(({ files }) => recordsOf(files));
  let read = 0;
  let refused = 0;
  let slowestMilliseconds = 0;
  for (let i = 0; i < inputs; i++) {
    const { content, before } = cases[Math.floor(next() * cases.length)];
    const damaged = damage(content, next);
    const state = before();
    const start = performance.now();
    try {
      checkWhole(decode(damaged, state));
      read++;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      refused++;
    }
    slowestMilliseconds = Math.max(slowestMilliseconds, performance.now() - start);
  }
  return { read, refused, slowestMilliseconds };
}

interface Case {
  readonly content: Uint8Array;
  /** A fresh state to apply the record to; null for keyframes. */
  readonly before: () => StreamState | null;
}

function recordsOf(files: readonly string[]): Case[] {
  const cases: Case[] = [];
  let history: (() => StreamState)[] = [];
  for (const file of files) {
    const content = new Uint8Array(Buffer.from(file, "base64"));
    let at = FILE_HEADER;
    for (const record of parseFile(content, "vector")) {
      const bytes = content.subarray(at, (at += record.length));
      if (record.kind === RecordKind.keyframe) {
        cases.push({ content: bytes, before: () => null });
        history = [() => StreamState.fromKeyframe(record, false)];
      } else {
        const previous = history.at(-1)!;
        cases.push({ content: bytes, before: previous });
        history.push(() => {
          const state = previous();
          state.apply(record, false);
          return state;
        });
      }
    }
  }
  return cases;
}

function decode(content: Uint8Array, state: StreamState | null): StreamState {
  const record = parseRecord(content, "fuzzed");
  if (state === null || record.kind === RecordKind.keyframe) return StreamState.fromKeyframe(record, false);
  state.apply(record, false); // the checksum would refuse nearly all that got so far
  return state;
}

function checkWhole({ gaussians }: StreamState): void {
  for (const values of [gaussians.means, gaussians.logScales, gaussians.quaternions, gaussians.sh])
    for (const value of values) if (!Number.isFinite(value)) throw new Error("a state holds NaN or infinity");
}

const NUMBERS = [
  0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffff, 0x7fffffff, 0x80000000, 0xffffffff,
];

function damage(content: Uint8Array, next: () => number): Uint8Array {
  let data = content.slice();
  const below = (limit: number) => Math.floor(next() * limit);
  for (let changes = [1, 1, 1, 2, 4, 16][below(6)]; changes > 0; changes--) {
    const at = Math.min(12 + below(next() < 0.3 ? 60 : Math.max(1, data.length - 12)), data.length - 1);
    const kind = below(7);
    if (kind === 0) data[at] ^= 1 << below(8);
    else if (kind === 1) data[at] = below(256);
    else if (kind === 2) {
      const value = NUMBERS[below(NUMBERS.length)];
      for (let k = 0, width = [1, 2, 4][below(3)]; k < width; k++) data[at + k] = value >>> (8 * k);
    } else if (kind === 3) data = data.slice(0, Math.max(at, RECORD_HEADER));
    else if (kind === 4) data = joined(data.subarray(0, at), data.subarray(at + 1 + below(20)));
    else if (kind === 5)
      data = joined(data.subarray(0, at), data.subarray(at, at + 1 + below(40)), data.subarray(at));
    else data.copyWithin(at, below(data.length), below(data.length) + 16);
  }
  if (data.length < RECORD_HEADER || next() > 0.9) return data;
  // Most get a right length and CRC-32 again, since otherwise hardly any would reach the decoders.
  const view = new DataView(data.buffer);
  view.setUint32(4, data.length, true);
  view.setUint32(8, crc32(data.subarray(12)), true);
  return data;
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}
