// Measuring, cropping, camera paths and screenshots.
import * as THREE from "three";
import { pathFile } from "../cameras/camera_path";
import { cameraAt, fitLens } from "../cameras/pinhole";
import { encodeSplats } from "../splats/formats";
import { selectGaussians } from "../splats/gaussians";
import { rowsWithin } from "../tools/crop_box";
import { download, png } from "../tools/download";
import type { Viewer } from "../viewer";
import { button, element, grouped, numberField, row, section, slider, toggle } from "./dom";

export function measureSection(viewer: Viewer): HTMLElement {
  const { measure } = viewer;
  const start = button("Measure", () => viewer.setTool(viewer.tool === "measure" ? "none" : "measure"), {
    icon: "ruler",
    key: "M",
  });
  const clear = button("Clear", () => {
    measure.clear();
    viewer.emit("tools");
    viewer.wake();
  });
  const result = element("p", { className: "measure-result", attributes: { role: "status" } });
  const length = element("input", {
    type: "number",
    min: "0",
    step: "any",
    attributes: { "aria-label": "Real length" },
  });
  const unit = element("input", {
    type: "text",
    value: "m",
    maxLength: 8,
    className: "unit",
    attributes: { "aria-label": "Unit" },
  });
  const set = button("Set scale", () => {
    measure.setLength(length.valueAsNumber, unit.value.trim() || "units");
    viewer.emit("tools");
  });
  const calibrate = row(
    element("span", { className: "muted", textContent: "This is really" }),
    length,
    unit,
    set,
  );
  const root = section("Measure", false, row(start, clear), result, calibrate);
  const update = () => {
    start.setAttribute("aria-pressed", String(viewer.tool === "measure"));
    const { distance, points } = measure;
    calibrate.hidden = distance === null;
    if (distance !== null) result.textContent = `${distance.toPrecision(4)} ${measure.unit}`;
    else if (viewer.tool !== "measure") result.textContent = "";
    else result.textContent = points.length === 0 ? "Click the first point." : "Click the second point.";
    if (viewer.tool === "measure" && !root.open) root.open = true;
  };
  viewer.on("tools", update);
  update();
  return root;
}

export function cropSection(viewer: Viewer): HTMLElement {
  const { crop } = viewer;
  let start = crop.value;
  const enable = toggle("Crop to a box", (on) => {
    if (on) start = crop.value;
    apply(on);
  });
  // Edges and shifts are relative to the box that the scene suggests.
  const sizes = ["Width", "Height", "Depth"].map((label) => factorSlider(label));
  const shifts = ["Left – right", "Down – up", "Back – front"].map((label) => shiftSlider(label));
  const turn = slider(
    "Turn",
    { min: -90, max: 90, step: 1 },
    (value) => `${value}°`,
    () => apply(true),
  );
  const save = button("Save cropped .ply", () => void saveCropped(viewer, "ply"));
  const saveSpz = button("Save cropped .spz", () => void saveCropped(viewer, "spz"));
  const body = element(
    "div",
    { className: "stack" },
    ...[...sizes, ...shifts].map(({ root }) => root),
    turn.root,
    row(save, saveSpz),
  );
  const root = section("Crop", false, enable.root, body);

  function factorSlider(label: string) {
    let value = 0;
    const made = slider(
      label,
      { min: -4, max: 2, step: 0.05 },
      (x) => `${(2 ** x).toFixed(2)}×`,
      (x) => {
        value = x;
        apply(true);
      },
    );
    return { ...made, value: () => 2 ** value, reset: () => ((value = 0), made.show(0)) };
  }
  function shiftSlider(label: string) {
    let value = 0;
    const made = slider(
      label,
      { min: -2, max: 2, step: 0.02 },
      (x) => x.toFixed(2),
      (x) => {
        value = x;
        apply(true);
      },
    );
    return { ...made, value: () => value, reset: () => ((value = 0), made.show(0)) };
  }
  function apply(on: boolean): void {
    const [w, h, d] = sizes.map(({ value }) => value());
    const half = new THREE.Vector3(start.half.x * w, start.half.y * h, start.half.z * d);
    const upright = new THREE.Quaternion().setFromUnitVectors(new THREE.Vector3(0, 1, 0), viewer.eye.up);
    const [x, y, z] = shifts.map(({ value }) => value());
    const shift = new THREE.Vector3(x * start.half.x, y * start.half.y, z * start.half.z).applyQuaternion(
      upright,
    );
    const degrees = turn.root.querySelector("input")!.valueAsNumber;
    crop.set({ center: start.center.clone().add(shift), half, turn: (degrees * Math.PI) / 180 }, on);
    viewer.emit("tools");
    viewer.wake();
  }
  const update = () => {
    enable.show(crop.enabled, viewer.stage.splats.count > 0);
    body.hidden = !crop.enabled;
  };
  viewer.on("session", () => {
    start = crop.value;
    for (const control of [...sizes, ...shifts]) control.reset();
    turn.show(0);
    update();
  });
  viewer.on("tools", update);
  turn.show(0);
  update();
  return root;
}

async function saveCropped(viewer: Viewer, format: "ply" | "spz"): Promise<void> {
  const box = viewer.crop.boxFromWorld;
  const { gaussians } = viewer.stage.splats;
  if (gaussians === null || box === null) return;
  const rows = rowsWithin(gaussians, box);
  if (rows.length === 0) return viewer.tell("there are no Gaussians in the box");
  try {
    const content = await encodeSplats(selectGaussians(gaussians, rows), format);
    download(`${fileName(viewer)}-cropped.${format}`, new Blob([content]));
    viewer.tell(`saved ${grouped(rows.length)} of ${grouped(gaussians.count)} Gaussians`);
  } catch (error) {
    viewer.tell((error as Error).message, "error");
  }
}

export function pathSection(viewer: Viewer): HTMLElement {
  const list = element("ol", { className: "keyframes" });
  const seconds = numberField("Seconds", 6, { min: 0.5, max: 600, step: 0.5 });
  const fps = numberField("Frames/s", 30, { min: 1, max: 120 });
  const width = numberField("Width", 1280, { min: 16, max: 4096 });
  const height = numberField("Height", 720, { min: 16, max: 4096 });
  let loop = false;
  const looped = toggle("Return to the start", (on) => (loop = on));
  const add = button("Add this view", () => viewer.addKeyframe(), { icon: "plus", key: "K" });
  const play = button("Play", () => {
    if (viewer.playing) viewer.playing = false;
    else void viewer.play(seconds.value(), loop);
  });
  const command = element("code", { className: "command" });
  const save = button("Save path .json", () => {
    const settings = {
      width: width.value(),
      height: height.value(),
      fps: fps.value(),
      seconds: seconds.value(),
      loop,
    };
    const text = pathFile(viewer.path, settings);
    download("camera-path.json", new Blob([text], { type: "application/json" }));
    command.hidden = false;
  });
  const hint = element("p", { className: "note", textContent: "Render it with" });
  const all = button("From the cameras", () => {
    viewer.path.length = 0;
    for (const entry of viewer.cameras) {
      viewer.goTo(entry, 0);
      viewer.addKeyframe();
    }
  });
  const body = element(
    "div",
    { className: "stack" },
    ...[list, row(seconds.root, fps.root, width.root, height.root), looped.root],
    ...[row(play, save), hint, command],
  );
  const root = section("Camera path", false, row(add, all), body);
  const update = () => {
    body.hidden = viewer.path.length === 0;
    play.textContent = viewer.playing ? "Pause" : "Play";
    play.disabled = save.disabled = viewer.path.length < 2;
    all.hidden = viewer.cameras.length < 2;
    command.textContent = `recon export ${viewer.session?.runFolder ?? "RUN"} --to mp4 --camera-path camera-path.json`;
    list.replaceChildren(
      ...viewer.path.map((key, i) =>
        element(
          "li",
          {},
          button(`View ${i + 1}`, () => viewer.showKeyframe(key), { className: "link" }),
          button(`Remove view ${i + 1}`, () => (viewer.path.splice(i, 1), viewer.emit("path")), {
            ...{ icon: "trash", iconOnly: true },
          }),
        ),
      ),
    );
  };
  viewer.on("path", update);
  viewer.on("session", update);
  looped.show(false);
  update();
  return root;
}

export function screenshotSection(viewer: Viewer): HTMLElement {
  const width = numberField("Width", 1920, { min: 16, max: 8192 });
  const height = numberField("Height", 1080, { min: 16, max: 8192 });
  let transparent = false;
  let layers = false;
  const clear = toggle("Transparent background", (on) => (transparent = on));
  const withLayers = toggle("With cameras, points and mesh", (on) => (layers = on));
  const same = button("As on the screen", () => {
    const size = viewer.canvasSize;
    width.set(size.width);
    height.set(size.height);
  });
  const take = button(
    "Save screenshot",
    () => void screenshot(viewer, { width: width.value(), height: height.value(), transparent, layers }),
    { icon: "camera", key: "P" },
  );
  clear.show(false);
  withLayers.show(false);
  return section(
    "Screenshot",
    false,
    row(width.root, height.root, same),
    clear.root,
    withLayers.root,
    row(take),
  );
}

/** Render the view at a size and save it. */
export async function screenshot(
  viewer: Viewer,
  options: { width: number; height: number; transparent: boolean; layers: boolean },
): Promise<void> {
  const { width, height, transparent, layers } = options;
  try {
    const camera = cameraAt(viewer.eye.pose, fitLens(viewer.eye.lens, width, height));
    const look = transparent ? { layers, background: null } : { layers };
    download(`${fileName(viewer)}.png`, await png(viewer.picture(camera, look)));
  } catch (error) {
    viewer.tell((error as Error).message, "error");
  }
}

function fileName(viewer: Viewer): string {
  const name = viewer.localFile?.replace(/\.\w+$/, "") ?? viewer.session?.title ?? "recon";
  return name.replace(/[^\w.-]+/g, "-") || "recon";
}
