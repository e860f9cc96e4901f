// The input cameras: thumbnails to click, and what is known about each.
import type { CameraEntry } from "../session";
import type { Viewer } from "../viewer";
import { button, element, row, section, slider, toggle } from "./dom";

export function camerasSection(viewer: Viewer): HTMLElement {
  const list = element("div", {
    className: "cameras",
    attributes: { role: "list", "aria-label": "Input cameras" },
  });
  const shown = toggle("Show in the scene", (cameras) => viewer.change({ cameras }));
  const size = slider(
    "Size",
    { min: -2, max: 2, step: 0.1 },
    (value) => `${(2 ** value).toFixed(1)}×`,
    (value) => viewer.change({ frustumSize: 2 ** value }),
  );
  size.show(0);
  const root = section(
    "Cameras",
    true,
    row(
      button("Previous camera", () => viewer.step(-1), { icon: "previous", iconOnly: true, key: "[" }),
      button("Next camera", () => viewer.step(1), { icon: "next", iconOnly: true, key: "]" }),
      shown.root,
    ),
    size.root,
    list,
  );
  const cards = new Map<string, HTMLButtonElement>();

  const build = () => {
    root.hidden = viewer.cameras.length === 0;
    cards.clear();
    list.replaceChildren(
      ...viewer.cameras.map((entry) => {
        const card = cameraCard(entry, () => viewer.goTo(entry));
        cards.set(entry.id, card);
        return element("div", { attributes: { role: "listitem" } }, card);
      }),
    );
  };
  const mark = () => {
    const standing = viewer.standingAt?.id;
    for (const [id, card] of cards) {
      card.setAttribute("aria-current", String(id === standing));
      const thumbnail = viewer.photos.thumbnails.get(id);
      const image = card.querySelector("img")!;
      if (thumbnail !== undefined && image.src !== thumbnail) {
        image.src = thumbnail;
        image.hidden = false;
      }
      const measured = viewer.compare.measured.get(id);
      if (measured !== undefined) {
        const note = card.querySelector(".camera-psnr")!;
        note.textContent = `${decibels(measured)} here`;
      }
    }
    shown.show(viewer.settings.cameras);
  };
  viewer.on("session", () => (build(), mark()));
  viewer.on("compare", mark);
  viewer.on("view", mark);
  viewer.on("settings", mark);
  build();
  mark();
  return root;
}

export function decibels(psnr: number): string {
  return Number.isFinite(psnr) ? `${psnr.toFixed(2)} dB` : "identical";
}

function cameraCard(entry: CameraEntry, onclick: () => void): HTMLButtonElement {
  const psnr = entry.psnr === null ? "" : decibels(entry.psnr);
  const role = entry.role === "test" ? "held out" : "input";
  return element(
    "button",
    {
      type: "button",
      className: `camera ${entry.role}`,
      onclick,
      title: `${entry.name}, ${role}, ${entry.width} × ${entry.height}${psnr && `, PSNR ${psnr}`}`,
    },
    element("img", { alt: "", hidden: true }),
    element("span", { className: "camera-name", textContent: entry.name }),
    element(
      "span",
      { className: "camera-note" },
      element("span", { className: "camera-role", textContent: role }),
      element("span", { className: "camera-psnr", textContent: psnr }),
    ),
  );
}
