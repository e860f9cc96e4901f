import { describe, expect, test } from "vitest";
import { FormatError, decodeSplats, encodeSplats, splatFormat } from "../../src/splats/formats";
import { MAX_SPLATS } from "../../src/splats/formats/limits";
import { decodePly, encodePly } from "../../src/splats/formats/ply";
import { decodeSplat, encodeSplat } from "../../src/splats/formats/splat";
import { decodeSpz, encodeSpz } from "../../src/splats/formats/spz";
import { ATTRIBUTES, selectGaussians } from "../../src/splats/gaussians";
import { randomGaussians, sameWords } from "./scenes";

const ply = (header: string[], body = new Uint8Array(0)) => {
  const start = new TextEncoder().encode([...header, "end_header", ""].join("\n"));
  const content = new Uint8Array(start.length + body.length);
  content.set(start);
  content.set(body, start.length);
  return content;
};

const NAMES = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split(" ");

describe("ply", () => {
  test.each([1, 4, 9, 16])("gives back every bit, %i harmonics", (coefficients) => {
    const gaussians = randomGaussians(1100, coefficients);
    const read = decodePly(encodePly(gaussians), "a.ply");
    for (const name of ATTRIBUTES) expect(sameWords(read[name], gaussians[name])).toBe(true);
  });

  test("reads text, doubles, other orders and further properties", () => {
    const gaussians = randomGaussians(3, 1);
    const order = [...NAMES].reverse();
    const value = (name: string, row: number): number => {
      const [kind, index] = [name.replace(/_?\d$/, ""), Number(/\d$/.exec(name)?.[0] ?? 0)];
      if ("xyz".includes(kind)) return gaussians.means[3 * row + "xyz".indexOf(kind)];
      if (kind === "f_dc") return gaussians.sh[3 * row + index];
      if (kind === "opacity") return gaussians.opacityLogits[row];
      return kind === "scale" ? gaussians.logScales[3 * row + index] : gaussians.quaternions[4 * row + index];
    };
    const rows = [0, 1, 2].map((row) => [7, ...order.map((name) => value(name, row))]);
    const header = (format: string, type: string) => [
      ...["ply", `format ${format} 1.0`, "comment made by hand", "element vertex 3", "property uchar flag"],
      ...order.map((name) => `property ${type} ${name}`),
    ];
    const text = new TextEncoder().encode(rows.map((row) => row.join(" ")).join("\n"));
    const doubles = new Uint8Array(3 * (1 + 14 * 8));
    const view = new DataView(doubles.buffer);
    rows.forEach((row, i) => row.slice(1).forEach((x, k) => view.setFloat64(i * 113 + 1 + 8 * k, x)));
    for (const content of [
      ply(header("ascii", "float"), text),
      ply(header("binary_big_endian", "double"), doubles),
    ]) {
      const read = decodePly(content, "a.ply");
      for (const name of ATTRIBUTES) expect(sameWords(read[name], gaussians[name])).toBe(true);
    }
  });

  test("refuses what is not Gaussians, with a sentence", () => {
    const properties = NAMES.map((name) => `property float ${name}`);
    const start = ["ply", "format binary_little_endian 1.0"];
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(10), /not a .ply file/],
      [ply(["ply", "element vertex 1", ...properties]), /does not state its format/],
      [ply([...start, "element vertex 1", "property float x"]), /points or a mesh/],
      [ply([...start, "element vertex 1", ...properties.slice(0, -1)]), /lacks the vertex properties rot_3/],
      [ply([...start, "element vertex 0", ...properties]), /holds no Gaussians/],
      [ply([...start, `element vertex ${MAX_SPLATS + 1}`, ...properties]), /files of at most/],
      [ply([...start, "element vertex 1000000", ...properties]), /is cut off/],
      [ply([...start, "element vertex 1", "property constructor x", ...properties]), /not understood/],
      [ply([...start, "element vertex 1", ...properties, "property float f_rest_0"]), /has 1 f_rest/],
      [ply([...start, "element vertex 1", "property int packed_position"]), /compressed .ply/],
      [
        ply([...start, "element vertex 1", "property list uchar int faces", ...properties]),
        /lists of varying/,
      ],
      [ply([...start, "element vertex 1", ...properties], new Uint8Array(56).fill(255)), /NaN or infinite/],
    ];
    for (const [content, sentence] of cases) {
      expect(() => decodePly(content, "a.ply")).toThrow(FormatError);
      expect(() => decodePly(content, "a.ply")).toThrow(sentence);
    }
  });
});

describe("spz", () => {
  test.each([1, 4, 9, 16])("keeps what its bytes can hold, %i harmonics", async (coefficients) => {
    const gaussians = randomGaussians(700, coefficients);
    const once = await decodeSpz(await encodeSpz(gaussians), "a.spz");
    const gap = (a: Float32Array, b: Float32Array) =>
      a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
    expect(gap(once.means, gaussians.means)).toBeLessThan(2 ** -19);
    expect(gap(once.logScales, gaussians.logScales)).toBeLessThanOrEqual(1 / 32 + 1e-6);
    expect(gap(once.sh, gaussians.sh)).toBeLessThan(0.07);
    // What was read is written as the same bytes, so a second trip changes nothing.
    const twice = await decodeSpz(await encodeSpz(once), "a.spz");
    for (const name of ["means", "logScales", "opacityLogits", "sh"] as const)
      expect(sameWords(twice[name], once[name])).toBe(true);
  });

  test("turns no Gaussian by more than the rounding", async () => {
    const gaussians = randomGaussians(500, 1, 5);
    const { quaternions } = await decodeSpz(await encodeSpz(gaussians), "a.spz");
    for (let i = 0; i < 2000; i += 4) {
      const [a, b] = [gaussians.quaternions.subarray(i, i + 4), quaternions.subarray(i, i + 4)];
      const cosine = a.reduce((sum, x, k) => sum + x * b[k], 0) / Math.hypot(...a) / Math.hypot(...b);
      expect(Math.abs(cosine)).toBeGreaterThan(1 - 1e-5);
    }
  });

  test("refuses damage with a sentence", async () => {
    const good = await encodeSpz(randomGaussians(50, 4));
    const header = (count: number, version = 3) => {
      const bytes = new Uint8Array(32);
      const view = new DataView(bytes.buffer);
      [0x5053474e, version, count].forEach((x, i) => view.setUint32(4 * i, x, true));
      return bytes;
    };
    await expect(decodeSpz(good.subarray(0, good.length - 20), "a.spz")).rejects.toThrow(FormatError);
    await expect(decodeSpz(new Uint8Array(40), "a.spz")).rejects.toThrow(/neither a gzip nor an NGSP/);
    await expect(decodeSpz(await gzip(header(9e6)), "a.spz")).rejects.toThrow(/files of at most/);
    await expect(decodeSpz(await gzip(header(8e6)), "a.spz")).rejects.toThrow(
      /more than its \d+ bytes can hold/,
    );
    await expect(decodeSpz(await gzip(header(10, 9)), "a.spz")).rejects.toThrow(/version 9/);
    await expect(decodeSpz(await gzip(header(10)), "a.spz")).rejects.toThrow(/expected, 16 found/);
    await expect(decodeSpz(header(10, 4), "a.spz")).rejects.toThrow(/table of 0 streams/);
  });

  test("stops unpacking a bomb", async () => {
    const bomb = await gzip(new Uint8Array(24 << 20));
    await expect(decodeSpz(bomb, "a.spz")).rejects.toThrow(FormatError);
  });
});

describe("splat", () => {
  test("gives back what it reads", () => {
    const once = decodeSplat(encodeSplat(randomGaussians(400, 4)), "a.splat");
    const twice = decodeSplat(encodeSplat(once), "a.splat");
    for (const name of ["means", "opacityLogits", "sh"] as const)
      expect(sameWords(twice[name], once[name])).toBe(true);
    expect(once.coefficients).toBe(1);
  });

  test("refuses damage with a sentence", () => {
    expect(() => decodeSplat(new Uint8Array(33), "a.splat")).toThrow(/not a multiple of 32/);
    expect(() => decodeSplat(new Uint8Array(0), "a.splat")).toThrow(/holds no Gaussians/);
    expect(() => decodeSplat(new Uint8Array(32).fill(255), "a.splat")).toThrow(/no valid size/);
  });
});

test("the format is told by the name, or by the first bytes", async () => {
  const gaussians = randomGaussians(10, 1);
  for (const format of ["ply", "spz", "splat"] as const) {
    const content = await encodeSplats(gaussians, format);
    expect(splatFormat(`scene.${format.toUpperCase()}`, content)).toBe(format);
    expect((await decodeSplats(content, format, "x")).count).toBe(10);
    if (format !== "splat") expect(splatFormat("download", content)).toBe(format);
  }
  expect(() => splatFormat("notes.txt", new Uint8Array(9))).toThrow(/can be opened/);
});

test("zero quaternions become the identity", () => {
  const gaussians = randomGaussians(2, 1);
  gaussians.quaternions.fill(0, 0, 4);
  expect([...decodePly(encodePly(gaussians), "a.ply").quaternions.subarray(0, 4)]).toEqual([1, 0, 0, 0]);
});

test("rows are selected in the order asked for", () => {
  const gaussians = randomGaussians(5, 4);
  const chosen = selectGaussians(gaussians, [4, 1]);
  expect(chosen.means.subarray(0, 3)).toEqual(gaussians.means.subarray(12, 15));
  expect(chosen.sh.subarray(12)).toEqual(gaussians.sh.subarray(12, 24));
});

async function gzip(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
