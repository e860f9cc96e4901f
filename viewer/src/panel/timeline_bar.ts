// The timeline of a stream: play, step, scrub, what is buffered, where keyframes are, speed, loop.
import { SPEEDS } from "../player/clock";
import type { Player } from "../player/player";
import type { Viewer } from "../viewer";
import { button, element, icon } from "./dom";

export function timelineBar(viewer: Viewer): HTMLElement {
  const toggle = button("Play", () => viewer.player?.toggle(), {
    icon: "play",
    iconOnly: true,
    key: "Space",
  });
  const back = button("One frame back", () => viewer.player?.step(-1), {
    icon: "stepBack",
    iconOnly: true,
    key: ",",
  });
  const on = button("One frame on", () => viewer.player?.step(1), {
    icon: "stepOn",
    iconOnly: true,
    key: ".",
  });
  const marks = element("canvas", { className: "timeline-marks", attributes: { "aria-hidden": "true" } });
  const input = element("input", {
    type: "range",
    ...{ min: "0", max: "0", step: "1", value: "0" },
    attributes: { "aria-label": "Frame" },
    oninput: () => viewer.player?.seek(input.valueAsNumber),
    onkeydown: (event) => {
      // A page is a second, as in other players.
      const by = { PageUp: 1, PageDown: -1 }[event.key];
      const { player } = viewer;
      if (by === undefined || player === null) return;
      event.preventDefault();
      player.seek(player.place + by * Math.round(player.fps));
    },
  });
  const time = element("span", { className: "timeline-time" });
  const speed = element(
    "select",
    {
      onchange: () => viewer.player?.setSpeed(Number(speed.value)),
      attributes: { "aria-label": "Speed" },
    },
    ...SPEEDS.map((factor) => element("option", { value: String(factor), textContent: `${factor}×` })),
  );
  const loop = button("Loop", () => viewer.player?.setLoop(!viewer.player.loop), {
    icon: "loop",
    iconOnly: true,
  });
  const live = element("button", {
    ...{ type: "button", className: "exact", textContent: "Live", title: "Show what is newest" },
    onclick: () => viewer.player?.follow(),
  });
  const root = element(
    "div",
    { className: "bar timeline", attributes: { role: "group", "aria-label": "Timeline" } },
    ...[back, toggle, on],
    element("div", { className: "timeline-track" }, marks, input),
    ...[time, speed, loop, live],
  );
  let drawn = "";
  let shownIcon = "";

  const update = () => {
    const { player } = viewer;
    root.hidden = player === null || player.manifest === null;
    if (player === null || player.manifest === null) return;
    const name = player.playing ? "pause" : "play";
    if (name !== shownIcon) {
      toggle.replaceChildren(icon(name));
      toggle.setAttribute("aria-label", player.playing ? "Pause" : "Play");
      toggle.title = `${player.playing ? "Pause" : "Play"} (Space)`;
      shownIcon = name;
    }
    const { frames, fps, place } = player;
    input.max = String(Math.max(0, frames - 1));
    input.value = String(place);
    input.setAttribute("aria-valuetext", `frame ${place} of ${frames}`);
    root.dataset["state"] = player.state;
    time.textContent = `${clock(place / fps)} / ${clock(frames / fps)}`;
    time.title = `frame ${place} of ${frames}`;
    speed.value = String(player.speed);
    loop.setAttribute("aria-pressed", String(player.loop));
    live.hidden = !player.live;
    loop.hidden = player.live;
    live.setAttribute("aria-pressed", String(player.state === "live"));
    const look = `${frames} ${place} ${player.bufferedTo} ${marks.clientWidth} ${player.timeline.marks.length}`;
    if (look !== drawn) drawMarks(marks, player);
    drawn = look;
  };
  // Many things change within a frame; the page follows once.
  let waiting = false;
  viewer.on("stream", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      update();
    });
  });
  new ResizeObserver(update).observe(marks);
  update();
  return root;
}

/** Half a thumb of a range input: its ends are so far within it. */
const INSET = 8;

function drawMarks(canvas: HTMLCanvasElement, { frames, place, bufferedTo, timeline }: Player): void {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (width === 0) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  context.scale(ratio, ratio);
  const toX = (frame: number) => INSET + (frame / Math.max(1, frames - 1)) * (width - 2 * INSET);
  context.fillStyle = style.getPropertyValue("--line");
  context.fillRect(INSET, height / 2 - 2, width - 2 * INSET, 4);
  context.fillStyle = style.getPropertyValue("--muted");
  context.fillRect(toX(place), height / 2 - 2, Math.max(0, toX(bufferedTo) - toX(place)), 4);
  context.fillStyle = style.getPropertyValue("--accent");
  context.fillRect(INSET, height / 2 - 2, toX(place) - INSET, 4);
  context.fillStyle = style.getPropertyValue("--muted");
  // No closer than four pixels, or they would be a line.
  let last = -Infinity;
  for (const frame of timeline.marks) {
    const x = toX(frame);
    if (x - last < 4) continue;
    last = x;
    context.fillRect(x - 0.5, height / 2 + 5, 1, 4);
  }
}

function clock(seconds: number): string {
  const tenths = Math.floor(10 * seconds + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
