// What mouse, fingers and keys do.
import { button, element } from "./dom";

const KEYS: readonly (readonly [readonly string[], string])[] = [
  [["drag"], "turn around the scene; in fly mode look around"],
  [["right drag", "Shift drag"], "move sideways; two fingers do too"],
  [["wheel", "pinch"], "nearer and farther"],
  [["double click"], "look at that place and turn around it"],
  [["W", "A", "S", "D"], "fly; Q and E go down and up, Shift is faster"],
  [["← ↑ → ↓"], "turn"],
  [["1", "–", "7"], "picture modes: colour, depth, normal, opacity, centres, ellipsoids, confidence"],
  [["[", "]"], "previous and next input camera"],
  [["H"], "back to the start"],
  [["F"], "orbit or fly"],
  [["O"], "compare with the photo: off, slider, overlay, difference"],
  [["X"], "exact picture by recon's own rasterizer"],
  [["C"], "show or hide the cameras"],
  [["M"], "measure"],
  [["K"], "add this view to the camera path"],
  [["Space"], "play or pause a stream"],
  [[",", "."], "one frame back and on; ← and → too while the timeline has the focus"],
  [["P"], "save a screenshot of the window"],
  [["T"], "dark or light"],
  [["Tab"], "through all controls"],
  [["\\"], "show or hide the panel"],
  [["?"], "this page"],
];

export function helpDialog(): HTMLDialogElement {
  const dialog = element("dialog", { attributes: { "aria-labelledby": "help-title" } });
  dialog.append(
    element(
      "header",
      {},
      element("h2", { id: "help-title", textContent: "Moving and keys" }),
      button("Close", () => dialog.close(), { icon: "close", iconOnly: true }),
    ),
    element(
      "dl",
      { className: "keys" },
      ...KEYS.flatMap(([keys, what]) => [
        element("dt", {}, ...keys.map((key) => (key === "–" ? "–" : element("kbd", { textContent: key })))),
        element("dd", { textContent: what }),
      ]),
    ),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
