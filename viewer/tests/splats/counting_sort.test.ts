import { expect, test } from "vitest";
import { DepthSorter, mostVisible } from "../../src/splats/counting_sort";
import { random, randomGaussians } from "./scenes";

const AXIS = [0.6, 0, 0.8, 4];

function depthsOf(means: Float32Array): number[] {
  return Array.from({ length: means.length / 3 }, (_, i) =>
    Math.fround(AXIS[0] * means[3 * i] + AXIS[1] * means[3 * i + 1] + AXIS[2] * means[3 * i + 2] + AXIS[3]),
  );
}

test("orders farthest first, to the keys' precision", () => {
  const { means } = randomGaussians(20_000, 1);
  const depths = depthsOf(means);
  const sorter = new DepthSorter();
  sorter.setMeans(means);
  const { order, depthRange } = sorter.sort(AXIS);
  const visible = depths.filter((z) => z > 0.01).length;
  expect(order.length).toBe(visible);
  expect(new Set(order).size).toBe(visible);
  const wrong = order.filter((row, i) => i > 0 && depths[row] > depths[order[i - 1]] * 1.001);
  expect(wrong.length).toBe(0);
  const sorted = depths.filter((z) => z > 0.01).sort((a, b) => a - b);
  expect(depthRange[0]).toBeCloseTo(sorted[Math.floor(0.02 * visible)], 1);
  expect(depthRange[1]).toBeCloseTo(sorted[Math.floor(0.98 * visible)], 1);
});

test("one far Gaussian does not coarsen the near ones", () => {
  const next = random(4);
  const means = Float32Array.from({ length: 3000 }, () => next());
  means.set([0, 0, 1e6], 0);
  const sorter = new DepthSorter();
  sorter.setMeans(means);
  const { order } = sorter.sort([0, 0, 1, 1]);
  expect(order[0]).toBe(0);
  const wrong = order.filter((row, i) => i > 1 && means[3 * row + 2] > means[3 * order[i - 1] + 2] + 0.002);
  expect(wrong.length).toBe(0);
});

test("equal depths are drawn in the reverse order of their rows, as the rasterizer blends them", () => {
  const sorter = new DepthSorter();
  sorter.setMeans(new Float32Array(12));
  expect([...sorter.sort([0, 0, 1, 2]).order]).toEqual([3, 2, 1, 0]);
});

test("nothing in front of the camera, and no Gaussians, are nothing", () => {
  const sorter = new DepthSorter();
  sorter.setMeans(new Float32Array([0, 0, -1]));
  expect(sorter.sort([0, 0, 1, 0]).order.length).toBe(0);
  sorter.setMeans(new Float32Array(0));
  expect(sorter.sort([0, 0, 1, 0]).order.length).toBe(0);
});

test("a budget keeps the Gaussians that cover most", () => {
  const { logScales, opacityLogits } = randomGaussians(1000, 1);
  logScales.fill(2, 0, 30);
  opacityLogits.fill(9, 0, 10);
  expect(mostVisible(logScales, opacityLogits, 1000)).toBeNull();
  const rows = mostVisible(logScales, opacityLogits, 10)!;
  expect([...rows]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const sorter = new DepthSorter();
  sorter.setMeans(new Float32Array(3000), rows);
  expect([...sorter.sort([0, 0, 1, 2]).order].sort((a, b) => a - b)).toEqual([...rows]);
});

test("nothing up to the near plane is drawn", () => {
  const sorter = new DepthSorter();
  sorter.setMeans(Float32Array.of(0, 0, 0.005, 0, 0, 0.1, 0, 0, 0.3));
  expect([...sorter.sort([0, 0, 1, 0]).order]).toEqual([2, 1]);
  sorter.near = 0.1;
  expect([...sorter.sort([0, 0, 1, 0]).order], "0.1 in float32 lies just above 0.1").toEqual([2, 1]);
  sorter.near = 0.2;
  expect([...sorter.sort([0, 0, 1, 0]).order]).toEqual([2]);
});
