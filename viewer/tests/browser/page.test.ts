// The page as a person uses it, in headless Chromium against the mock server.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePly } from "../../src/splats/formats/ply";
import { encodePly } from "../../src/splats/formats/ply";
import { randomGaussians } from "../splats/scenes";
import { CHROMIUM, type Opened, launch, makeCases, open, until } from "./browser";

describe.skipIf(CHROMIUM === undefined)("the page", () => {
  const cases = makeCases();
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    cases.remove();
  });
  const small = { width: 320, height: 240 };
  const look = (options: Parameters<typeof open>[2] = small) =>
    open(browser, join(cases.folder, "look"), options);
  const state = ({ page }: Opened) => page.evaluate(() => window.__recon.state);
  const settle = ({ page }: Opened) => page.evaluate(() => window.__recon.settle());
  const pixels = async (opened: Opened) => {
    await settle(opened);
    return (await opened.page.evaluate(() => window.__recon.readPixels())).data;
  };

  test("loads a run, shows it from its first camera, and keeps to the content security policy", async () => {
    const opened = await look();
    expect(await state(opened)).toMatchObject({
      gaussians: 4500,
      drawn: 4500,
      cameras: 6,
      standingAt: "c0",
      degree: 1,
    });
    expect(await opened.page.title()).toContain("still life");
    expect(colors(await pixels(opened))).toBeGreaterThan(200);
    expect(opened.errors).toEqual([]);
    await opened.close();
  });

  test("orbits by dragging, moves by keys and wheel, and comes home", async () => {
    const opened = await look();
    const { page } = opened;
    const position = () => page.evaluate(() => window.__recon.camera!.worldToCamera);
    const start = await position();
    const before = await pixels(opened);
    await page.mouse.move(120, 120);
    await page.mouse.down();
    await page.mouse.move(190, 130, { steps: 4 });
    await page.mouse.up();
    await settle(opened);
    expect((await state(opened)).standingAt).toBeNull();
    expect(difference(await pixels(opened), before)).toBeGreaterThan(4);
    // Orbiting keeps the distance to what is looked at.
    const turned = await position();
    expect(Math.abs(distance(turned) / distance(start) - 1)).toBeLessThan(0.01); // measured from the origin, near it
    await page.mouse.wheel(0, 300);
    await settle(opened);
    expect(distance(await position())).toBeGreaterThan(1.2 * distance(start));
    await page.keyboard.down("w");
    await page.evaluate(() => window.__recon.frames(3));
    await page.keyboard.up("w");
    await settle(opened);
    expect(distance(await position())).not.toBeCloseTo(distance(turned), 2);
    await page.keyboard.press("h");
    await settle(opened);
    expect((await state(opened)).standingAt).toBe("c0");
    expect(await position()).toEqual(start);
    await opened.close();
  });

  test("touch: one finger turns, two come nearer", async () => {
    const opened = await look({ ...small, context: { hasTouch: true } });
    const session = await opened.page.context().newCDPSession(opened.page);
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", ...points: [number, number][]) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints: points.map(([x, y], id) => ({ x, y, id })),
      });
    const camera = () => opened.page.evaluate(() => window.__recon.camera!.worldToCamera);
    const start = await camera();
    await touch("touchStart", [150, 120]);
    await touch("touchMove", [165, 120]);
    await touch("touchMove", [200, 125]);
    await touch("touchEnd");
    await settle(opened);
    const turned = await camera();
    expect(turned).not.toEqual(start);
    await touch("touchStart", [140, 120], [180, 120]);
    await touch("touchMove", [130, 120], [190, 120]);
    await touch("touchMove", [100, 120], [220, 120]);
    await touch("touchEnd");
    await settle(opened);
    expect(distance(await camera())).toBeLessThan(0.8 * distance(turned));
    await opened.close();
  });

  test("jumps to a camera from the list, from its frustum and by key", async () => {
    const opened = await look({ width: 1200, height: 900 });
    const { page } = opened;
    await page.evaluate(() => window.__recon.change({ pixelRatio: 0.25 }));
    await page.getByRole("button", { name: /image003/ }).click();
    await settle(opened);
    expect((await state(opened)).standingAt).toBe("c3");
    await page.keyboard.press("]");
    await settle(opened);
    expect((await state(opened)).standingAt).toBe("c4");
    // The opposite camera lies across the scene and looks down: its picture hangs below where its centre projects.
    const place = await page.evaluate(() => {
      window.__recon.goTo("c0");
      return window.__recon.settle().then(() => window.__recon.project("c3"));
    });
    await page.mouse.click(place![0], place![1] + 25);
    await settle(opened);
    expect((await state(opened)).standingAt).toBe("c3");
    await opened.close();
  });

  test("compares with the photo: slider, overlay, difference", async () => {
    const opened = await look({ width: 480, height: 320 });
    const { page } = opened;
    await page.keyboard.press("o");
    const handle = page.getByRole("slider", { name: /Photo on the left/ });
    await handle.waitFor();
    expect(await handle.getAttribute("aria-valuenow")).toBe("50");
    const box = (await handle.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 100, box.y + 60, { steps: 3 });
    await page.mouse.up();
    expect(Number(await handle.getAttribute("aria-valuenow"))).toBeGreaterThan(65);
    await handle.press("Home");
    expect(await handle.getAttribute("aria-valuenow")).toBe("0");
    await handle.press("End");
    const picture = page.locator(".compare-picture");
    expect(await picture.evaluate((element) => getComputedStyle(element).clipPath)).toMatch(
      /inset\(0(px|%)?/,
    );
    await opened.screenshot("compare-slider");
    await page.keyboard.press("o");
    await until(page, () => window.__recon.state.compare === "overlay");
    expect(await picture.evaluate((element) => getComputedStyle(element).opacity)).toBe("0.5");
    await page.keyboard.press("o");
    await until(page, () => "c0" in window.__recon.state.measured);
    // The photo is the rasterizer's picture, brighter and with a red patch: the PSNR is that of the session.
    const { cameras } = JSON.parse(readFileSync(join(cases.folder, "look/session.json"), "utf8")) as {
      cameras: { psnr: number }[];
    };
    expect((await state(opened)).measured["c0"]).toBeCloseTo(cameras[0].psnr, 1);
    await opened.screenshot("compare-difference");
    await page.keyboard.press("w");
    await until(page, () => document.querySelector<HTMLElement>(".compare-picture")!.hidden === true);
    expect(opened.errors).toEqual([]);
    await opened.close();
  });

  test("shows every mode, and each differs", async () => {
    const opened = await look();
    const pictures = new Map<string, number[]>();
    for (const mode of [
      "color",
      "depth",
      "normal",
      "alpha",
      "centers",
      "ellipsoids",
      "confidence",
    ] as const) {
      await opened.page.keyboard.press(String(pictures.size + 1));
      expect((await state(opened)).mode).toBe(mode);
      pictures.set(mode, await pixels(opened));
    }
    const list = [...pictures.values()];
    for (let i = 0; i < list.length; i++)
      for (let j = 0; j < i; j++) expect(difference(list[i], list[j])).toBeGreaterThan(3);
    await opened.page.keyboard.press("1");
    await opened.page.evaluate(() => window.__recon.change({ degree: 0 }));
    expect(difference(await pixels(opened), list[0])).toBeGreaterThan(0.5);
    await opened.page.evaluate(() => window.__recon.change({ degree: 1, budget: 500 }));
    await settle(opened);
    expect((await state(opened)).drawn).toBe(500);
    await opened.close();
  });

  test("shows points, mesh and cameras, which splats hide and which hide splats", async () => {
    const opened = await look();
    const before = await pixels(opened);
    await opened.page.evaluate(() => window.__recon.change({ mesh: true }));
    await opened.page.waitForTimeout(1500);
    const mesh = await pixels(opened);
    expect(difference(mesh, before)).toBeGreaterThan(3);
    await opened.page.evaluate(() => window.__recon.change({ mesh: false, points: true, splats: false }));
    await opened.page.waitForTimeout(1000);
    expect(colors(await pixels(opened))).toBeGreaterThan(50);
    expect(opened.errors).toEqual([]);
    await opened.close();
  });

  test("picks a depth, focuses on it, and measures with a scale", async () => {
    const opened = await look();
    const { page } = opened;
    const point = await page.evaluate(() => window.__recon.pointAt(150, 125));
    expect(point).not.toBeNull();
    // The ball lies in the middle of the torus.
    expect(Math.hypot(...point!)).toBeLessThan(1.6);
    expect(await page.evaluate(() => window.__recon.pointAt(5, 5))).toBeNull();
    await page.keyboard.press("m");
    await page.mouse.click(130, 125);
    await page.waitForTimeout(500);
    await page.mouse.click(200, 125);
    const measured = (await state(opened)).distance!;
    expect(measured).toBeGreaterThan(0.05);
    expect(measured).toBeLessThan(4);
    await page.keyboard.press("\\"); // so small a window hides the panel at first
    await page.getByLabel("Real length").fill("2.5");
    await page.getByRole("button", { name: "Set scale" }).click();
    expect((await state(opened)).distance).toBeCloseTo(2.5, 6);
    await until(page, () => /scale=[\d.]+,m/.test(location.hash));
    await page.getByLabel("Real length").blur();
    await page.keyboard.press("\\");
    await page.keyboard.press("Escape");
    await page.mouse.dblclick(110, 130);
    await settle(opened);
    const after = await page.evaluate(() => window.__recon.pointAt(160, 120));
    expect(after).not.toBeNull();
    expect((await state(opened)).standingAt).toBeNull();
    await opened.close();
  });

  test("crops, and saves what is left", async () => {
    const opened = await look({ width: 1000, height: 700 });
    const { page } = opened;
    await page.evaluate(() => window.__recon.change({ pixelRatio: 0.25 }));
    await page.getByText("Crop", { exact: true }).click();
    await page.getByText("Crop to a box").click();
    await opened.screenshot("crop");
    await page.getByRole("slider", { name: "Width" }).fill("-2");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save cropped .ply" }).click(),
    ]);
    const saved = decodePly(new Uint8Array(readFileSync((await download.path())!)), "saved");
    expect(download.suggestedFilename()).toBe("still-life-cropped.ply");
    expect(saved.count).toBeGreaterThan(50);
    expect(saved.count).toBeLessThan(2500);
    await opened.close();
  });

  test("takes screenshots with a size, transparent where there is nothing", async () => {
    const opened = await look({ width: 1000, height: 700 });
    const { page } = opened;
    await page.evaluate(() => window.__recon.change({ pixelRatio: 0.25 }));
    await page.getByText("Screenshot", { exact: true }).click();
    const section = page.locator("details", { hasText: "Save screenshot" });
    await section.getByLabel("Width").fill("200");
    await section.getByLabel("Height").fill("100");
    await section.getByText("Transparent background").click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save screenshot" }).click(),
    ]);
    const png = readFileSync((await download.path())!);
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([200, 100]);
    const alpha = await page.evaluate(() => {
      const { data } = window.__recon.picture(window.__recon.camera!, { background: null, layers: false });
      return data.filter((_, i) => i % 4 === 3);
    });
    expect(alpha.filter((value) => value === 0).length).toBeGreaterThan(alpha.length / 20);
    expect(alpha.filter((value) => value > 250).length).toBeGreaterThan(alpha.length / 20);
    await opened.screenshot("page");
    await opened.close();
  });

  test("makes a camera path and saves it in the layout that recon export reads", async () => {
    const opened = await look({ width: 1000, height: 700 });
    const { page } = opened;
    await page.evaluate(() => window.__recon.change({ pixelRatio: 0.25 }));
    await page.getByText("Camera path", { exact: true }).click();
    await page.getByRole("button", { name: "From the cameras" }).click();
    expect((await state(opened)).keyframes).toBe(6);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save path .json" }).click(),
    ]);
    const path = JSON.parse(readFileSync((await download.path())!, "utf8"));
    expect(path.camera_path).toHaveLength(180);
    expect(path.keyframes).toHaveLength(6);
    expect(path.camera_path[0].camera_to_world).toHaveLength(16);
    await opened.screenshot("path");
    const command = page.getByText("recon export runs/still-life --to mp4 --camera-path camera-path.json");
    expect(await command.isVisible()).toBe(true);
    await opened.close();
  });

  test("the exact picture appears when the camera rests, and goes when it moves", async () => {
    const opened = await look();
    const { page, server } = opened;
    await page.keyboard.press("x");
    await until(page, () => window.__recon.state.exact === "shown");
    const request = server.pictures.at(-1)!;
    expect(request).toMatchObject({
      width: 320,
      height: 240,
      mode: "color",
      transparent: false,
      sh_degree: 1,
    });
    expect(request["world_to_camera"]).toHaveLength(16);
    expect(await page.locator(".exact-picture").isVisible()).toBe(true);
    await opened.screenshot("exact");
    await page.mouse.wheel(0, 100);
    await until(page, () => window.__recon.state.exact !== "shown" || window.__recon.state.exactPictures > 1);
    await until(page, () => window.__recon.state.exact === "shown" && window.__recon.state.exactPictures > 1);
    await opened.close();
  });

  test("a result that only the server can draw is shown by its pictures", async () => {
    const opened = await open(browser, join(cases.folder, "pictures-only"), small);
    await until(opened.page, () => window.__recon.state.exact === "shown");
    expect(await opened.page.locator(".exact-picture").isVisible()).toBe(true);
    expect(opened.server.pictures.length).toBeGreaterThan(0);
    expect((await state(opened)).gaussians).toBe(0);
    await opened.close();
  });

  test("watches a training, pauses and stops it, and never has two frames under way", async () => {
    const folder = join(cases.folder, "live");
    const frames = [0, 1, 2, 3, 4, 5].map((i) => readFileSync(join(folder, `files/frame-${i}`)));
    const opened = await open(browser, folder, {
      ...{ width: 900, height: 640 },
      mock: { live: { frames, interval: 60 } },
    });
    const { page, server } = opened;
    await page.evaluate(() => window.__recon.change({ pixelRatio: 0.25 }));
    await until(page, () => window.__recon.state.gaussians === 2400 && window.__recon.state.history > 22);
    expect(await page.getByText("Training", { exact: true }).first().isVisible()).toBe(true);
    await until(page, () => (window.__recon.state.iteration ?? 0) > 400);
    await opened.screenshot("live");
    await page.getByRole("button", { name: "Pause" }).click();
    await until(page, () => window.__recon.state.training === "paused");
    await page.getByRole("button", { name: "Resume" }).click();
    await until(page, () => window.__recon.state.training === "training");
    page.once("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Stop" }).click();
    await until(page, () => window.__recon.state.training === "stopped");
    const types = server.messages.map(({ type }) => type);
    expect(types).toEqual(expect.arrayContaining(["ack", "pause", "resume", "stop"]));
    expect(types.filter((type) => type === "ack").length).toBeGreaterThan(1);
    expect(server.unacknowledged.most).toBe(1);
    expect(opened.errors).toEqual([]);
    await opened.close();
  });

  test("a link leads to the same view, and an embedded page has no panels", async () => {
    const opened = await look();
    await opened.page.keyboard.press("]");
    await opened.page.keyboard.press("2");
    await settle(opened);
    await opened.page.waitForTimeout(600);
    const { hash } = new URL(opened.page.url());
    expect(hash).toContain("camera=c1");
    const camera = await opened.page.evaluate(() => window.__recon.camera);
    await opened.close();
    const again = await look({ ...small, path: `?embed=1${hash}` });
    expect(await state(again)).toMatchObject({ standingAt: "c1", mode: "depth" });
    expect(await again.page.evaluate(() => window.__recon.camera)).toEqual(camera);
    expect(await again.page.getByRole("navigation").isVisible()).toBe(false);
    await again.close();
  });

  test("a token goes from the address into the requests, and out of the address", async () => {
    const opened = await look({ ...small, path: "#token=secret", mock: { token: "secret" } });
    expect((await state(opened)).gaussians).toBe(4500);
    expect(opened.page.url()).not.toContain("secret");
    await opened.close();
    const refused = look({ ...small, path: "#token=wrong", mock: { token: "secret" } });
    await expect(refused).rejects.toThrow(/wants a token/);
  });

  test("opens a dropped file, and says what is wrong with a damaged one", async () => {
    const opened = await look();
    const { page } = opened;
    const drop = (name: string, bytes: Uint8Array) =>
      page.evaluate(
        ([file, data]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(data)], file));
          window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
        },
        [name, [...bytes]] as const,
      );
    const good = encodePly(randomGaussians(300, 4));
    await drop("mine.ply", good);
    await until(page, () => window.__recon.state.gaussians === 300);
    expect((await state(opened)).cameras).toBe(0);
    await settle(opened);
    await drop("bad.ply", good.subarray(0, 3000));
    await until(page, () => window.__recon.state.message !== null);
    expect((await state(opened)).message).toMatch(/bad.ply is cut off/);
    expect((await state(opened)).gaussians).toBe(300);
    await opened.close();
  });

  test("help opens by key, and the panel and theme change", async () => {
    const opened = await look({ width: 900, height: 600 });
    const { page } = opened;
    await page.keyboard.press("?");
    expect(await page.getByRole("dialog").isVisible()).toBe(true);
    await page.keyboard.press("Escape");
    expect(await page.getByRole("dialog").isVisible()).toBe(false);
    await page.keyboard.press("\\");
    expect(await page.getByRole("complementary").isVisible()).toBe(false);
    const theme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await theme();
    await page.keyboard.press("t");
    expect(await theme()).not.toBe(before);
    await opened.close();
  });
});

/** Mean absolute difference of RGBA bytes. */
function difference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
}

/** How many different colours there are. */
function colors(rgba: readonly number[]): number {
  const seen = new Set<number>();
  for (let i = 0; i < rgba.length; i += 4) seen.add((rgba[i] << 16) | (rgba[i + 1] << 8) | rgba[i + 2]);
  return seen.size;
}

/** Of the camera's centre to the world's origin, around which the scene lies. */
function distance(worldToCamera: readonly number[]): number {
  return Math.hypot(worldToCamera[3], worldToCamera[7], worldToCamera[11]);
}
