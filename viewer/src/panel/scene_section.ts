// Layers, background, and how much of the splats to draw.
import { shDegree } from "../splats/gaussians";
import type { Background, Viewer } from "../viewer";
import { element, grouped, row, section, segments, slider, toggle } from "./dom";

const BACKGROUNDS: readonly (readonly [Background, string])[] = [
  ["scene", "Scene"],
  ["black", "Black"],
  ["grey", "Grey"],
  ["white", "White"],
];

export function layersSection(viewer: Viewer): HTMLElement {
  const splats = toggle("Splats", (on) => viewer.change({ splats: on }));
  const points = toggle("Points", (on) => viewer.change({ points: on }));
  const mesh = toggle("Mesh", (on) => viewer.change({ mesh: on }));
  const wireframe = toggle("Wireframe", (on) => viewer.change({ wireframe: on }));
  const background = segments("Background", BACKGROUNDS, (value) => viewer.change({ background: value }));
  const root = section(
    "Layers",
    true,
    row(splats.root, points.root, mesh.root, wireframe.root),
    element("span", { className: "label", textContent: "Background" }),
    background.root,
  );
  const update = () => {
    const { settings, session, localFile } = viewer;
    const layers = localFile === null ? session?.layers : undefined;
    splats.show(settings.splats, viewer.stage.splats.count > 0);
    points.show(settings.points, Boolean(layers?.points));
    mesh.show(settings.mesh, Boolean(layers?.mesh));
    wireframe.show(settings.wireframe, settings.mesh && Boolean(layers?.mesh));
    background.show(settings.background);
  };
  viewer.on("settings", update);
  viewer.on("session", update);
  update();
  return root;
}

/** Steps of the splat budget, and none. */
const BUDGETS = [50_000, 100_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, Infinity];

export function qualitySection(viewer: Viewer): HTMLElement {
  const degree = segments(
    "Degree of view-dependent colour",
    [
      ["0", "0"],
      ["1", "1"],
      ["2", "2"],
      ["3", "3"],
    ] as const,
    (value) => viewer.change({ degree: Number(value) }),
  );
  const ratio = slider(
    "Pixel ratio",
    { min: 0.25, max: 2, step: 0.25 },
    (value) => `${value}×`,
    (pixelRatio) => viewer.change({ pixelRatio }),
  );
  const budget = slider(
    "Splats drawn",
    { min: 0, max: BUDGETS.length - 1, step: 1 },
    (step) => (BUDGETS[step] === Infinity ? "all" : grouped(BUDGETS[step])),
    (step) => viewer.change({ budget: BUDGETS[step] }),
  );
  const fov = slider(
    "Field of view",
    { min: 10, max: 110, step: 1 },
    (value) => `${Math.round(value)}°`,
    (value) => viewer.eye.setFov((value * Math.PI) / 180),
  );
  const root = section(
    "Quality and lens",
    false,
    element("span", { className: "label", textContent: "Colour harmonics, degree" }),
    ...[degree.root, ratio.root, budget.root, fov.root],
  );
  const update = () => {
    const { gaussians } = viewer.stage.splats;
    const most = gaussians === null ? 3 : shDegree(gaussians);
    degree.show(String(Math.min(most, viewer.settings.degree)) as "0", (value) => Number(value) <= most);
    ratio.show(viewer.settings.pixelRatio);
    budget.show(BUDGETS.indexOf(viewer.settings.budget));
  };
  const lens = () => {
    const { intrinsics, height } = viewer.eye.lens;
    fov.show((2 * Math.atan(height / 2 / intrinsics[1]) * 180) / Math.PI);
  };
  viewer.on("settings", update);
  viewer.on("session", update);
  viewer.on("view", lens);
  update();
  lens();
  return root;
}
