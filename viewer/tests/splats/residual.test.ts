import { expect, test } from "vitest";
import { ATTRIBUTES, selectGaussians } from "../../src/splats/gaussians";
import { SplatState } from "../../src/splats/residual";
import { randomGaussians } from "./scenes";

const copy = (count: number, seed: number, coefficients = 4) => randomGaussians(count, coefficients, seed);

test("adds in float32 to the rows it names, and to no others", () => {
  const before = copy(10, 1);
  const state = new SplatState(copy(10, 1));
  const means = new Float32Array([0.1, 0.2, 0.3, 1e-9, 0, -5]);
  const touched = state.apply({ changed: [{ first: 4, rows: 2, means }] });
  expect(touched).toEqual([{ first: 4, rows: 2 }]);
  const { means: after, sh } = state.gaussians;
  for (let i = 0; i < 30; i++)
    expect(after[i]).toBe(i >= 12 && i < 18 ? Math.fround(before.means[i] + means[i - 12]) : before.means[i]);
  expect(sh).toEqual(before.sh);
});

test("removes rows, closes up, and appends births", () => {
  const before = copy(8, 2);
  const births = copy(3, 3);
  const state = new SplatState(copy(8, 2));
  const touched = state.apply({ changed: [], removed: Uint32Array.of(1, 2, 6), births });
  expect(state.count).toBe(8);
  const kept = selectGaussians(before, [0, 3, 4, 5, 7]);
  for (const name of ATTRIBUTES)
    expect(state.gaussians[name]).toEqual(Float32Array.of(...kept[name], ...births[name]));
  expect(touched).toEqual([{ first: 1, rows: 7 }]);
});

test("births alone touch only the end, however often the room grows", () => {
  const state = new SplatState(copy(4, 4));
  for (let i = 0; i < 20; i++) {
    const touched = state.apply({ changed: [], births: copy(5, i) });
    expect(touched).toEqual([{ first: 4 + 5 * i, rows: 5 }]);
  }
  expect(state.count).toBe(104);
  expect(state.gaussians.means.subarray(12, 27)).toEqual(copy(5, 0).means);
});

test("removing the last rows leaves nothing to upload", () => {
  const state = new SplatState(copy(4, 4));
  expect(state.apply({ changed: [], removed: Uint32Array.of(3) })).toEqual([]);
  expect(state.count).toBe(3);
});

test("a residual that does not fit changes nothing", () => {
  const state = new SplatState(copy(5, 5));
  const before = copy(5, 5);
  const bad = [
    { changed: [{ first: 4, rows: 2, means: new Float32Array(6) }] },
    { changed: [{ first: -1, rows: 1 }] },
    { changed: [{ first: 0, rows: 1, sh: new Float32Array(3) }] },
    { changed: [{ first: 0, rows: 1, means: new Float32Array(3).fill(1) }], removed: Uint32Array.of(2, 2) },
    { changed: [], removed: Uint32Array.of(5) },
    { changed: [], births: copy(1, 1, 9) },
  ];
  for (const residual of bad) expect(() => state.apply(residual)).toThrow(RangeError);
  for (const name of ATTRIBUTES) expect(state.gaussians[name]).toEqual(before[name]);
});

test("rows are replaced and appended", () => {
  const state = new SplatState(copy(4, 6));
  const rows = copy(3, 7);
  expect(state.replace(2, rows)).toEqual({ first: 2, rows: 3 });
  expect(state.count).toBe(5);
  expect(state.gaussians.quaternions.subarray(8)).toEqual(rows.quaternions);
  expect(() => state.replace(9, rows)).toThrow(RangeError);
});

test("rows and their number are set at once, or not at all", () => {
  const state = new SplatState(copy(6, 1));
  const before = copy(6, 1);
  state.update(4, [{ first: 1, rows: copy(2, 3) }]);
  expect(state.count).toBe(4);
  expect(state.gaussians.means.subarray(3, 9)).toEqual(copy(2, 3).means);
  expect(state.gaussians.means.subarray(9)).toEqual(before.means.subarray(9, 12));
  state.update(9, [
    { first: 2, rows: copy(1, 4) },
    { first: 4, rows: copy(5, 5) },
  ]);
  expect(state.count).toBe(9);
  expect(state.gaussians.opacityLogits.subarray(4)).toEqual(copy(5, 5).opacityLogits);
  state.update(3, []);
  expect(state.count).toBe(3);
  for (const [count, parts] of [
    [4, []], // a row without numbers
    [5, [{ first: 4, rows: copy(1, 1) }]],
    [3, [{ first: 2, rows: copy(2, 1) }]],
    [3, [{ first: 0, rows: copy(1, 1, 9) }]],
  ] as const)
    expect(() => state.update(count, parts)).toThrow(RangeError);
  expect(state.count).toBe(3);
});

test("a hundred frames of small residuals drift exactly as float32 sums do", () => {
  const state = new SplatState(copy(50, 8, 1));
  const expected = copy(50, 8, 1).means;
  const means = Float32Array.from({ length: 150 }, (_, i) => 1e-3 * Math.sin(i));
  for (let frame = 0; frame < 100; frame++) {
    state.apply({ changed: [{ first: 0, rows: 50, means }] });
    expected.forEach((x, i) => (expected[i] = x + means[i]));
  }
  expect(state.gaussians.means).toEqual(expected);
});
