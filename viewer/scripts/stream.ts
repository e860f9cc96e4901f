// Decodes a stream as the page does, or measures that; for tests in other languages and for benchmarks.
//
//   node scripts/run.mjs scripts/stream.ts decode STREAM [OUT]   a line per frame: frame, Gaussians, checksum; and the
//                                                                last state's float32 words, attribute by attribute
//   node scripts/run.mjs scripts/stream.ts bench STREAM [REPEATS]
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { ATTRIBUTES } from "../src/splats/gaussians";
import { type Manifest, checkManifest } from "../src/stream/manifest";
import { FILE_HEADER, type StreamRecord, parseFile, parseRecord } from "../src/stream/record";
import { StreamState } from "../src/stream/state";

export async function main([command, folder, extra]: string[]): Promise<number> {
  const source = join(folder, "manifest.json");
  const manifest = checkManifest(JSON.parse(readFileSync(source, "utf8")), source);
  if (command === "decode") decode(folder, manifest, extra);
  else if (command === "bench") bench(folder, manifest, Number(extra ?? 5));
  return command === "decode" || command === "bench" ? 0 : 2;
}

/** The states of all frames, in order; always the same object until a keyframe replaces it. */
function* states(folder: string, { frames, keyframes, segments }: Manifest): Generator<StreamState> {
  const keys = new Map(keyframes.filter(({ preview }) => !preview).map((file) => [file.frame, file]));
  let state = StreamState.fromKeyframe(records(folder, keys.get(0)!)[0]);
  yield state;
  for (let frame = 1; frame < frames; frame++) {
    const segment = segments.find(({ start }) => start === frame);
    if (segment === undefined) {
      state = StreamState.fromKeyframe(records(folder, keys.get(frame)!)[0]);
      yield state;
    } else
      for (const record of records(folder, segment)) {
        state.apply(record);
        frame = record.frame;
        yield state;
      }
  }
}

function records(folder: string, file: { name: string; sha256: string }): StreamRecord[] {
  const content = new Uint8Array(readFileSync(join(folder, file.name)));
  if (createHash("sha256").update(content).digest("hex") !== file.sha256)
    throw new Error(`${file.name} is not what the manifest names`);
  return parseFile(content, file.name);
}

function decode(folder: string, manifest: Manifest, out: string | undefined): void {
  let last: StreamState | undefined;
  for (const state of states(folder, manifest)) {
    console.log([state.frame, state.count, ...state.checksum()].join(" "));
    last = state;
  }
  // A keyframe in the middle leads to the same state as the frames before it.
  for (const file of manifest.keyframes) StreamState.fromKeyframe(records(folder, file)[0]);
  if (out === undefined || last === undefined) return;
  const { gaussians } = last;
  const parts = ATTRIBUTES.map((name) => gaussians[name]);
  writeFileSync(
    out,
    Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))),
  );
}

/** Time of the page's work on a frame: parse and check the bytes, unpack, decode, apply; and of the checksum beside. */
function bench(folder: string, manifest: Manifest, repeats: number): void {
  const key = readFileSync(join(folder, manifest.keyframes[0].name));
  const messages: Uint8Array[] = [];
  for (const { name } of manifest.segments) {
    const content = new Uint8Array(readFileSync(join(folder, name)));
    let at = FILE_HEADER;
    for (const { length } of parseFile(content, name)) messages.push(content.subarray(at, (at += length)));
  }
  const times: Record<string, number[]> = { keyframe: [], frame: [], checksum: [] };
  const clock = (what: string, work: () => void) => {
    const start = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(start);
    times[what].push((user + system) / 1000);
  };
  for (let i = 0; i < repeats; i++) {
    let state: StreamState | undefined;
    clock("keyframe", () => (state = StreamState.fromKeyframe(parseFile(key, "key")[0], false)));
    for (const message of messages) clock("frame", () => state!.apply(parseRecord(message, "frame"), false));
    clock("checksum", () => state!.checksum());
  }
  console.log(`${new Date().toISOString().slice(0, 10)}, ${cpus()[0].model}, Node ${process.version}`);
  for (const [what, all] of Object.entries(times)) {
    all.sort((a, b) => a - b);
    console.log(
      `${what.padEnd(10)} least ${all[0].toFixed(1)} ms, median ${all[all.length >> 1].toFixed(1)} ms of processor ` +
        `time, ${all.length} runs`,
    );
  }
}
