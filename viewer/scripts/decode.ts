// Decodes files of Gaussians to raw float32 words, and encodes such words as files; for tests in other languages.
//
//   node scripts/run.mjs scripts/decode.ts decode FILE OUT [FILE OUT ...]
//   node scripts/run.mjs scripts/decode.ts encode WORDS FILE [WORDS FILE ...]
//
// Words: two uint32 (Gaussians, harmonics each), then means, log scales, quaternions, opacity logits and sh as float32,
// little endian.
import { readFileSync, writeFileSync } from "node:fs";
import { decodeSplats, encodeSplats, splatFormat } from "../src/splats/formats";
import { ATTRIBUTES, type Gaussians, allocateGaussians } from "../src/splats/gaussians";

export async function main([command, ...files]: string[]): Promise<number> {
  for (let i = 0; i + 1 < files.length; i += 2) {
    const [from, to] = files.slice(i, i + 2);
    const content = new Uint8Array(readFileSync(from));
    if (command === "decode") {
      writeFileSync(to, toWords(await decodeSplats(content, splatFormat(from, content), from)));
    } else {
      writeFileSync(to, await encodeSplats(fromWords(content), splatFormat(to, content)));
    }
  }
  return command === "decode" || command === "encode" ? 0 : 2;
}

function toWords(gaussians: Gaussians): Buffer {
  const header = Buffer.from(Uint32Array.of(gaussians.count, gaussians.coefficients).buffer);
  const parts = ATTRIBUTES.map((name) => gaussians[name]);
  return Buffer.concat([
    header,
    ...parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)),
  ]);
}

function fromWords(content: Uint8Array): Gaussians {
  const words = content.slice().buffer;
  const [count, coefficients] = new Uint32Array(words, 0, 2);
  const gaussians = allocateGaussians(count, coefficients);
  let at = 8;
  for (const name of ATTRIBUTES) {
    gaussians[name].set(new Float32Array(words, at, gaussians[name].length));
    at += gaussians[name].byteLength;
  }
  return gaussians;
}
