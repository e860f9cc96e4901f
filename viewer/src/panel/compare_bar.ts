// What stands above the modes while the eye is in an input camera: how to compare with its photo.
import type { CompareMode } from "../compare/compare";
import type { Viewer } from "../viewer";
import { decibels } from "./cameras_section";
import { element, segments, slider } from "./dom";

const MODES: readonly (readonly [CompareMode, string])[] = [
  ["off", "Off"],
  ["slider", "Slider"],
  ["overlay", "Overlay"],
  ["difference", "Difference"],
];

export function compareBar(viewer: Viewer): HTMLElement {
  const { compare } = viewer;
  const name = element("span", { className: "compare-name" });
  const psnr = element("span", { className: "compare-psnr" });
  const modes = segments("Compare with the photo", MODES, (mode) => compare.set(mode));
  const source = segments(
    "Compare with",
    [
      ["photo", "Photo"],
      ["picture", "Run's render"],
    ] as const,
    (value) => compare.setSource(value),
  );
  const opacity = slider("Photo", { min: 0, max: 1, step: 0.01 }, percent, (value) => compare.fade(value));
  opacity.show(compare.opacity);
  const root = element(
    "div",
    { className: "bar compare-bar" },
    name,
    modes.root,
    source.root,
    opacity.root,
    psnr,
  );

  const update = () => {
    const entry = viewer.standingAt;
    root.hidden = entry === null || (entry.photo === null && entry.picture === null);
    if (entry === null) return;
    name.textContent = entry.name;
    modes.show(compare.mode, () => compare.available !== null);
    source.root.hidden = entry.picture === null || entry.photo === null;
    source.show(compare.source);
    opacity.root.hidden = compare.mode !== "overlay";
    const measured = compare.measured.get(entry.id);
    const parts = [];
    if (entry.psnr !== null) parts.push(`PSNR ${decibels(entry.psnr)}`);
    if (compare.mode === "difference" && measured !== undefined) parts.push(`here ${decibels(measured)}`);
    psnr.textContent = parts.join(" · ");
  };
  viewer.on("view", update);
  viewer.on("compare", update);
  viewer.on("session", update);
  update();
  return root;
}

function percent(value: number): string {
  return `${Math.round(100 * value)} %`;
}
