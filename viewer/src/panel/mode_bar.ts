// The modes of the picture, the exact picture, and the scale of depth or confidence.
import type { PictureMode } from "../picture/stage";
import { TURBO, VIRIDIS, gradient } from "../picture/ramps";
import type { Viewer } from "../viewer";
import { element, segments } from "./dom";

export const PICTURE_MODES: readonly (readonly [PictureMode, string])[] = [
  ["color", "Colour"],
  ["depth", "Depth"],
  ["normal", "Normal"],
  ["alpha", "Opacity"],
  ["centers", "Centres"],
  ["ellipsoids", "Ellipsoids"],
  ["confidence", "Confidence"],
];

export function modeBar(viewer: Viewer): HTMLElement {
  const modes = segments("Picture", PICTURE_MODES, (mode) => viewer.change({ mode }));
  const exact = element("button", {
    ...{ type: "button", className: "exact", textContent: "Exact" },
    title: "The picture of recon's own rasterizer, each time the camera rests (X)",
    onclick: () => viewer.change({ exact: !viewer.settings.exact }),
  });
  const low = element("span");
  const high = element("span");
  const ramp = element("span", { className: "ramp" });
  const legend = element("div", { className: "legend" }, low, ramp, high);
  const root = element(
    "div",
    { className: "modes" },
    legend,
    element("div", { className: "bar mode-bar" }, modes.root, exact),
  );

  const update = () => {
    const { mode } = viewer.settings;
    modes.show(mode, (value) => enabled(viewer, value));
    exact.setAttribute("aria-pressed", String(viewer.settings.exact));
    exact.disabled = !viewer.exact.available;
    exact.hidden = viewer.session?.pictures !== true || viewer.exact.alone;
    const { state } = viewer.exact;
    exact.classList.toggle("busy", state === "rendering");
    exact.classList.toggle("done", state === "shown");
    legend.hidden = mode !== "depth" && mode !== "confidence";
    ramp.style.backgroundImage = gradient(mode === "depth" ? TURBO : VIRIDIS);
    const [near, far] = (state === "shown" && viewer.exact.depthRange) || viewer.depthRange;
    low.textContent = mode === "depth" ? near.toPrecision(3) : "0";
    high.textContent = mode === "depth" ? far.toPrecision(3) : "1";
  };
  for (const topic of ["settings", "session", "compare", "drawn"] as const) viewer.on(topic, update);
  update();
  return root;
}

function enabled(viewer: Viewer, mode: PictureMode): boolean {
  if (mode === "confidence") return viewer.stage.splats.hasConfidence;
  if (viewer.exact.alone) return ["color", "depth", "normal", "alpha"].includes(mode);
  return true;
}
