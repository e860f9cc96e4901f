import { Vector3 } from "three";
import { expect, test } from "vitest";
import { GAIN, difference } from "../src/compare/difference";
import { decodePoints } from "../src/layers/points";
import { INFERNO, TURBO, VIRIDIS } from "../src/picture/ramps";
import { FormatError } from "../src/splats/formats";
import { CropBox, boxAround, rowsWithin } from "../src/tools/crop_box";
import { Measure } from "../src/tools/measure";
import { randomGaussians } from "./splats/scenes";

const rgba = (...values: number[]) => Uint8ClampedArray.from(values);

test("the difference has the PSNR of its definition, and amplified colours", () => {
  const { psnr, picture } = difference(
    rgba(10, 20, 30, 255, 0, 0, 0, 255),
    rgba(13, 20, 30, 255, 0, 0, 6, 9),
  );
  expect(psnr).toBeCloseTo(10 * Math.log10(255 ** 2 / ((9 + 36) / 6)), 9);
  expect(GAIN).toBe(4);
  expect([...picture.subarray(0, 3)]).toEqual([...INFERNO.subarray(3 * 4, 3 * 4 + 3)]);
  expect([...picture.subarray(4, 7)]).toEqual([...INFERNO.subarray(3 * 8, 3 * 8 + 3)]);
  expect(difference(rgba(1, 2, 3, 4), rgba(1, 2, 3, 4)).psnr).toBe(Infinity);
  expect(() => difference(rgba(1, 2, 3, 4), rgba())).toThrow(RangeError);
});

test("ramps have 256 colours, from the ends that recon's pictures have", () => {
  for (const ramp of [TURBO, VIRIDIS, INFERNO]) expect(ramp.length).toBe(768);
  expect([...TURBO.subarray(0, 3)]).toEqual([48, 18, 59]);
  expect([...VIRIDIS.subarray(765)]).toEqual([253, 231, 37]);
});

test("a crop box keeps the centres inside of it", () => {
  const up = new Vector3(0, -1, 0);
  const gaussians = randomGaussians(2000, 1);
  const box = boxAround(gaussians.means, up);
  const crop = new CropBox(up, box);
  expect(crop.boxFromWorld).toBeNull();
  crop.set({ center: new Vector3(1, 0, 0), half: new Vector3(1, 2, 3), turn: 0 }, true);
  const rows = new Set(rowsWithin(gaussians, crop.boxFromWorld!));
  for (let i = 0; i < 2000; i++) {
    const [x, y, z] = gaussians.means.subarray(3 * i, 3 * i + 3);
    expect(rows.has(i)).toBe(Math.abs(x - 1) <= 1 && Math.abs(y) <= 2 && Math.abs(z) <= 3);
  }
  crop.set({ center: new Vector3(), half: new Vector3(1, 2, 3), turn: Math.PI / 2 }, true);
  const turned = rowsWithin(gaussians, crop.boxFromWorld!);
  expect([...turned].every((i) => Math.abs(gaussians.means[3 * i]) <= 3.0001)).toBe(true);
  expect([...turned].every((i) => Math.abs(gaussians.means[3 * i + 2]) <= 1.0001)).toBe(true);
});

test("the box around a scene leaves out its outliers", () => {
  const { means } = randomGaussians(1000, 1);
  means.set([1e5, 1e5, 1e5]);
  const box = boxAround(means, new Vector3(0, 0, 1));
  expect(box.half.length()).toBeLessThan(12);
});

test("measuring scales by a known length", () => {
  const measure = new Measure();
  measure.add(new Vector3());
  expect(measure.distance).toBeNull();
  measure.add(new Vector3(0, 3, 4));
  expect(measure.distance).toBeCloseTo(5, 12);
  measure.setLength(2.5, "m");
  expect([measure.distance, measure.unit]).toEqual([expect.closeTo(2.5, 12), "m"]);
  measure.add(new Vector3(1, 0, 0));
  expect(measure.points.length).toBe(1);
  measure.add(new Vector3(3, 0, 0));
  expect(measure.distance).toBeCloseTo(1, 12);
  measure.setLength(0, "m");
  expect(measure.distance).toBeCloseTo(1, 12);
});

test("points are read with and without colours, and damage is refused", () => {
  const file = (body: string, ...lines: string[]) =>
    new TextEncoder().encode([...lines, "end_header", body].join("\n"));
  const xyz = ["property float x", "property float y", "property float z"];
  const rgb = ["property uchar red", "property uchar green", "property uchar blue"];
  const start = ["ply", "format ascii 1.0", "element vertex 2"];
  const cloud = decodePoints(file("1 2 3 10 20 30\n4 5 6 40 50 60\n", ...start, ...xyz, ...rgb), "p.ply");
  expect([...cloud.positions]).toEqual([1, 2, 3, 4, 5, 6]);
  expect([...cloud.colors]).toEqual([10, 20, 30, 40, 50, 60]);
  expect(decodePoints(file("1 2 3\n4 5 6\n", ...start, ...xyz), "p.ply").colors[0]).toBe(190);
  expect(() => decodePoints(file("1 2 3\n", ...start, ...xyz), "p.ply")).toThrow(FormatError);
  expect(() => decodePoints(file("1 2 nan\n4 5 6\n", ...start, ...xyz), "p.ply")).toThrow(/NaN/);
  expect(() => decodePoints(file("1 2\n4 5\n", ...start, ...xyz.slice(1)), "p.ply")).toThrow(
    /without x, y and z/,
  );
});
