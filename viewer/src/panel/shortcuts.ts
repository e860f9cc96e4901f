// Keys that do not move the camera.
import type { CompareMode } from "../compare/compare";
import { takesKeys } from "../cameras/controls";
import type { Viewer } from "../viewer";
import { PICTURE_MODES } from "./mode_bar";
import { screenshot } from "./tools_section";

const COMPARE: readonly CompareMode[] = ["off", "slider", "overlay", "difference"];

export function shortcuts(
  viewer: Viewer,
  page: { help: () => void; theme: () => void; panel: () => void },
): void {
  const actions: Record<string, () => void> = {
    "[": () => viewer.step(-1),
    "]": () => viewer.step(1),
    h: () => viewer.goHome(),
    f: () => viewer.change({ navigation: viewer.settings.navigation === "orbit" ? "fly" : "orbit" }),
    o: () => viewer.compare.set(COMPARE[(COMPARE.indexOf(viewer.compare.mode) + 1) % COMPARE.length]),
    x: () => viewer.change({ exact: !viewer.settings.exact }),
    c: () => viewer.change({ cameras: !viewer.settings.cameras }),
    m: () => viewer.setTool(viewer.tool === "measure" ? "none" : "measure"),
    k: () => viewer.addKeyframe(),
    p: () => void screenshot(viewer, { ...viewer.canvasSize, transparent: false, layers: false }),
    " ": () => viewer.player?.toggle(),
    ",": () => viewer.player?.step(-1),
    ".": () => viewer.player?.step(1),
    t: page.theme,
    "\\": page.panel,
    "?": page.help,
    Escape: () => viewer.setTool("none"),
  };
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || takesKeys(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const digit = /^[1-7]$/.test(event.key) ? Number(event.key) : 0;
    if (digit > 0) {
      const [mode] = PICTURE_MODES[digit - 1];
      if (mode !== "confidence" || viewer.stage.splats.hasConfidence) viewer.change({ mode });
      return;
    }
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action === undefined) return;
    // Space presses the button that has the focus.
    if (event.key === " " && (viewer.player === null || isPressed(event.target))) return;
    event.preventDefault();
    action();
  });
}

function isPressed(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && ["BUTTON", "SUMMARY", "A", "INPUT"].includes(target.tagName)
    ? !(target instanceof HTMLInputElement && target.type === "range")
    : false;
}
