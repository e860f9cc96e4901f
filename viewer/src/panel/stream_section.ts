// How a stream plays: what it weighs, how long decoding takes, and how often playing had to wait.
import type { PlayerState } from "../player/player";
import type { Viewer } from "../viewer";
import { element, grouped, section } from "./dom";

const WORDS: Record<PlayerState, string> = {
  opening: "Opening",
  paused: "Paused",
  playing: "Playing",
  stalled: "Waiting for data",
  seeking: "Seeking",
  live: "Live",
  ended: "At its end",
  failed: "Failed",
};

export function streamSection(viewer: Viewer): HTMLElement {
  const state = element("span", { className: "live-state" });
  const note = element("span", { className: "muted" });
  const values = new Map<string, HTMLElement>();
  const numbers = element("div", { className: "live-numbers" });
  for (const name of ["frame", "Gaussians", "stream", "network", "decoding", "drawn", "stalls", "damaged"]) {
    const value = element("b");
    values.set(name, value);
    numbers.append(element("div", {}, element("span", { className: "muted", textContent: name }), value));
  }
  const licence = element("p", { className: "note" });
  const root = section(
    "Stream",
    true,
    element("div", { className: "live-head" }, state, note),
    numbers,
    licence,
  );
  const set = (name: string, text: string) => (values.get(name)!.textContent = text);

  const update = () => {
    const { player } = viewer;
    root.hidden = player === null;
    if (player === null) return;
    const { statistics, state: is, manifest } = player;
    state.textContent = is === "opening" && player.preview ? "Preview" : WORDS[is];
    state.dataset["state"] = MOODS[is] ?? "waiting";
    note.textContent = manifest === null ? "" : `${+manifest.fps.toFixed(2)} frames/s`;
    set("frame", `${grouped(player.place)} / ${grouped(player.frames)}`);
    set("Gaussians", grouped(statistics.gaussians));
    set("stream", `${statistics.streamRate.toFixed(1)} Mbit/s`);
    set("network", `${statistics.networkRate.toFixed(1)} Mbit/s`);
    set("decoding", `${statistics.decodeMilliseconds.toFixed(1)} ms`);
    set("drawn", `${grouped(statistics.framesShown)} (${grouped(statistics.framesSkipped)} left out)`);
    set("stalls", `${statistics.stalls} (${statistics.stalledSeconds.toFixed(1)} s)`);
    set("damaged", String(statistics.refused));
    licence.textContent = manifest?.licence ?? "";
    licence.hidden = licence.textContent === "";
  };
  let waiting = false;
  viewer.on("stream", () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      update();
    }, 150);
  });
  update();
  return root;
}

/** The colour of the dot, as for trainings. */
const MOODS: Partial<Record<PlayerState, string>> = {
  playing: "training",
  live: "training",
  paused: "paused",
  failed: "failed",
};
