// A running training: how far it is, its curves, and how to pause or stop it.
import { drawChart } from "../live/chart";
import type { Viewer } from "../viewer";
import { button, element, grouped, row, section } from "./dom";

const WORDS = {
  waiting: "Waiting",
  training: "Training",
  paused: "Paused",
  finished: "Finished",
  stopped: "Stopped",
  failed: "Failed",
} as const;

export function liveSection(viewer: Viewer): HTMLElement {
  const state = element("span", { className: "live-state" });
  const phase = element("span", { className: "muted" });
  const bar = element("progress", { max: 1, attributes: { "aria-label": "Training progress" } });
  const numbers = element("div", { className: "live-numbers" });
  const message = element("p", { className: "note" });
  const loss = element("canvas", {
    className: "chart",
    attributes: { role: "img", "aria-label": "Loss over iterations" },
  });
  const psnr = element("canvas", {
    className: "chart",
    attributes: { role: "img", "aria-label": "PSNR over iterations" },
  });
  const pause = button("Pause", () => {
    viewer.training?.send(viewer.training.progress?.state === "paused" ? "resume" : "pause");
  });
  const stop = button("Stop", () => {
    if (window.confirm("Stop the training? What it has so far is kept.")) viewer.training?.send("stop");
  });
  const root = section(
    "Training",
    true,
    element("div", { className: "live-head", attributes: { role: "status" } }, state, phase),
    ...[bar, numbers, message, loss, psnr],
    row(pause, stop),
  );
  let drawn = 0;

  const update = () => {
    const { training } = viewer;
    root.hidden = training === null;
    if (training === null) return;
    const { progress, history, connected } = training;
    const word = progress === null ? "Connecting" : WORDS[progress.state];
    state.textContent = connected || training.over ? word : "Not connected";
    state.dataset["state"] = progress?.state ?? "waiting";
    phase.textContent = progress?.state === "training" ? progress.phase : "";
    bar.value = progress && progress.iterations > 0 ? progress.iteration / progress.iterations : 0;
    message.textContent = progress?.message ?? "";
    message.hidden = !progress?.message;
    pause.textContent = progress?.state === "paused" ? "Resume" : "Pause";
    pause.disabled = stop.disabled = !connected || training.over || progress === null;
    const value = (name: string, text: string) =>
      element(
        "div",
        {},
        element("span", { className: "muted", textContent: name }),
        element("b", { textContent: text }),
      );
    if (progress !== null)
      numbers.replaceChildren(
        value("iteration", `${grouped(progress.iteration)} / ${grouped(progress.iterations)}`),
        value("Gaussians", grouped(progress.gaussians)),
        value("speed", `${progress.rate.toFixed(1)} /s`),
        value("left", progress.eta === null ? "–" : duration(progress.eta)),
      );
    const now = performance.now();
    if (now - drawn < 200 && !training.over) return;
    drawn = now;
    const pairs = (name: "loss" | "psnr") =>
      history
        .filter((point) => point[name] !== null)
        .map((point) => [point.iteration, point[name]!] as const);
    drawChart(loss, { name: "loss", points: pairs("loss"), logarithmic: true });
    drawChart(psnr, { name: "PSNR, dB", points: pairs("psnr"), logarithmic: false });
  };
  viewer.on("live", update);
  viewer.on("session", update);
  update();
  return root;
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h > 0) return `${h} h ${m} min`;
  return m > 0 ? `${m} min ${s} s` : `${s} s`;
}
