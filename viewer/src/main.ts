// The page's start.
import { buildPage } from "./panel/page";
import { element } from "./panel/dom";
import { takeToken } from "./session";
import { installTestHook } from "./test_hook";
import { Viewer } from "./viewer";

const canvas = element("canvas", {
  className: "scene",
  tabIndex: 0,
  attributes: {
    "aria-label": "The scene. Drag to turn, arrow keys turn too, W A S D fly, ? lists all keys.",
  },
});
const view = element("main", { className: "view" }, canvas);
document.body.append(view);
takeToken(location, history);
try {
  const viewer = new Viewer(view, canvas);
  buildPage(viewer, document.body, view);
  installTestHook(viewer);
  void viewer.open();
} catch (error) {
  console.error(error);
  const sentence = error instanceof Error ? error.message : String(error);
  document.body.append(
    element(
      "div",
      { className: "card loading", attributes: { role: "alert" } },
      `The viewer cannot start: ${sentence}`,
    ),
  );
}
