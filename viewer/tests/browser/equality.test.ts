// The page's picture against recon's CPU rasterizer: same scene, same camera, harmonics of degree 0 to 3.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TURBO } from "../../src/picture/ramps";
import { CHROMIUM, launch, makeCases, open, readPicture } from "./browser";

interface Case {
  readonly name: string;
  readonly scene: string;
  readonly camera: number;
  readonly mode: "color" | "depth" | "normal" | "alpha";
}

/** Mean absolute error allowed, in steps of 1/255. */
const BAR = 2;

describe.skipIf(CHROMIUM === undefined)("the page draws what the rasterizer draws", () => {
  const cases = makeCases();
  const {
    width,
    height,
    cases: list,
  } = JSON.parse(readFileSync(join(cases.folder, "cases.json"), "utf8")) as {
    width: number;
    height: number;
    cases: Case[];
  };
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    cases.remove();
  });

  for (const scene of ["degree0", "degree1", "degree2", "degree3"])
    test(scene, async () => {
      const { page, close, errors } = await open(browser, join(cases.folder, scene), { width, height });
      for (const { name, camera, mode } of list.filter((item) => item.scene === scene)) {
        const got = await page.evaluate(
          async ([id, chosen]) => {
            window.__recon.change({ mode: chosen, pixelRatio: 1, cameras: false });
            window.__recon.goTo(id);
            await window.__recon.settle();
            return { ...window.__recon.readPixels(), depthRange: window.__recon.state.depthRange };
          },
          [`c${camera}`, mode] as const,
        );
        expect([got.width, got.height]).toEqual([width, height]);
        const expected = toBytes(readPicture(cases.folder, name), mode, got.depthRange);
        const error = meanError(got.data, expected);
        console.log(`${name}: mean absolute error ${error.toFixed(3)} / 255`);
        expect(error).toBeLessThan(BAR);
        // Half of the picture must show something, or equality would be cheap.
        expect(expected.filter((value) => value > 8).length).toBeGreaterThan(expected.length / 4);
      }
      expect(errors).toEqual([]);
      await close();
    });
});

/** Turn the rasterizer's numbers into the bytes that the page should show. */
function toBytes(values: Float32Array, mode: Case["mode"], [near, far]: readonly [number, number]): number[] {
  const byte = (value: number) => Math.round(255 * Math.min(1, Math.max(0, value)));
  const out: number[] = [];
  if (mode === "color") for (const value of values) out.push(byte(value));
  else if (mode === "alpha") for (const value of values) out.push(byte(value), byte(value), byte(value));
  else if (mode === "normal")
    for (let i = 0; i < values.length; i += 3) {
      const [x, y, z] = values.subarray(i, i + 3);
      const known = x * x + y * y + z * z > 1e-12;
      out.push(...(known ? [byte(0.5 + 0.5 * x), byte(0.5 - 0.5 * y), byte(0.5 - 0.5 * z)] : [0, 0, 0]));
    }
  else
    for (const z of values) {
      const at = 3 * Math.round(255 * Math.min(1, Math.max(0, (z - near) / (far - near))));
      out.push(...(z > 0 ? TURBO.subarray(at, at + 3) : [0, 0, 0]));
    }
  return out;
}

function meanError(rgba: readonly number[], rgb: readonly number[]): number {
  let sum = 0;
  for (let pixel = 0; pixel < rgb.length / 3; pixel++)
    for (let k = 0; k < 3; k++) sum += Math.abs(rgba[4 * pixel + k] - rgb[3 * pixel + k]);
  return sum / rgb.length;
}
