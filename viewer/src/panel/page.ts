// The page around the picture.
import type { Viewer } from "../viewer";
import { camerasSection } from "./cameras_section";
import { compareBar } from "./compare_bar";
import { button, element, grouped } from "./dom";
import { helpDialog } from "./help";
import { liveSection } from "./live_section";
import { modeBar } from "./mode_bar";
import { layersSection, qualitySection } from "./scene_section";
import { shortcuts } from "./shortcuts";
import { streamSection } from "./stream_section";
import { timelineBar } from "./timeline_bar";
import { cropSection, measureSection, pathSection, screenshotSection } from "./tools_section";

const THEME_KEY = "recon-theme";

/** What the verdict on the camera poses is called, and whether it is good news. */
const POSES: Record<string, readonly [string, string]> = {
  given: ["poses given", ""],
  certified: ["poses certified", "good"],
  plausible: ["poses plausible", ""],
  uncertified: ["uncertified poses", "bad"],
};

export function buildPage(viewer: Viewer, body: HTMLElement, view: HTMLElement): void {
  const help = helpDialog();
  const panel = element(
    "aside",
    { className: "panel", attributes: { "aria-label": "Settings and tools" } },
    element(
      "div",
      { className: "panel-body" },
      ...[liveSection(viewer), streamSection(viewer), camerasSection(viewer)],
      ...[layersSection(viewer), measureSection(viewer)],
      ...[cropSection(viewer), pathSection(viewer), screenshotSection(viewer), qualitySection(viewer)],
    ),
    stats(viewer),
  );
  const setPanel = (shown: boolean) => {
    panel.hidden = !shown;
    body.classList.toggle("with-panel", shown);
    panelButton.setAttribute("aria-pressed", String(shown));
  };
  const togglePanel = () => setPanel(panel.hidden !== false);
  const panelButton = button("Panel", togglePanel, { icon: "panel", iconOnly: true, key: "\\" });
  const navigation = button(
    "Fly",
    () => viewer.change({ navigation: viewer.settings.navigation === "orbit" ? "fly" : "orbit" }),
    { icon: "fly", iconOnly: true, key: "F" },
  );
  const full = button("Full screen", () => void toggleFullScreen(body), { icon: "full", iconOnly: true });
  full.classList.add("wide-only");
  const share = button("Copy a link to this view", () => void copyLink(viewer), {
    icon: "share",
    iconOnly: true,
  });
  const top = element(
    "nav",
    { className: "card top", attributes: { "aria-label": "Page" } },
    button("Back to the start", () => viewer.goHome(), { icon: "home", iconOnly: true, key: "H" }),
    ...[navigation, share],
    button("Dark or light", toggleTheme, { icon: "theme", iconOnly: true, key: "T" }),
    full,
    button("Help", () => help.showModal(), { icon: "help", iconOnly: true, key: "?" }),
    panelButton,
  );
  viewer.on("settings", () => {
    navigation.setAttribute("aria-pressed", String(viewer.settings.navigation === "fly"));
  });
  viewer.on("tools", () => view.classList.toggle("measuring", viewer.tool === "measure"));
  body.append(title(viewer), top, panel, bottom(viewer), toast(viewer), loading(viewer), help);
  if (new URLSearchParams(location.search).get("embed") === "1") {
    body.classList.add("embedded");
    panel.hidden = true;
    const href = () => `${location.pathname}#${viewer.hash}`;
    const link = element("a", {
      className: "embed-link",
      textContent: "recon",
      target: "_blank",
      rel: "noopener",
    });
    link.addEventListener("pointerenter", () => (link.href = href()));
    link.addEventListener("focus", () => (link.href = href()));
    link.href = location.pathname;
    body.append(link);
  } else setPanel(window.innerWidth > 760);

  shortcuts(viewer, { help: () => help.showModal(), theme: toggleTheme, panel: togglePanel });
  acceptFiles(viewer, body);
  keepAddress(viewer);
  const theme = localStorage.getItem(THEME_KEY);
  if (theme !== null) document.documentElement.dataset["theme"] = theme;
}

function title(viewer: Viewer): HTMLElement {
  const name = element("span");
  const badge = element("span", { className: "badge" });
  const line = element("p");
  const root = element("header", { className: "card title" }, element("h1", {}, name, badge), line);
  const update = () => {
    const { session, localFile, stage } = viewer;
    name.textContent = localFile ?? session?.title ?? "recon";
    const poses = localFile === null ? (session?.poses ?? null) : null;
    const [words, mood] = poses === null ? ["", ""] : (POSES[poses] ?? [`poses ${poses}`, ""]);
    badge.textContent = words;
    badge.className = `badge ${mood}`;
    badge.hidden = words === "";
    const parts = [];
    if (stage.splats.count > 0) parts.push(`${grouped(stage.splats.count)} Gaussians`);
    if (viewer.cameras.length > 0) parts.push(`${viewer.cameras.length} cameras`);
    if (viewer.exact.alone) parts.push("pictures rendered by the server");
    line.textContent = parts.join(" · ");
    line.hidden = parts.length === 0;
  };
  viewer.on("session", update);
  viewer.on("live", update);
  update();
  return root;
}

function bottom(viewer: Viewer): HTMLElement {
  return element("div", { className: "bottom" }, compareBar(viewer), timelineBar(viewer), modeBar(viewer));
}

function stats(viewer: Viewer): HTMLElement {
  const line = element("div");
  const root = element(
    "footer",
    { className: "stats" },
    line,
    element("div", { textContent: viewer.stage.gpuName }),
  );
  let waiting = false;
  viewer.on("drawn", () => {
    if (waiting) return;
    waiting = true;
    setTimeout(show, 250); // what was drawn last is shown, too, when nothing follows it
  });
  function show(): void {
    waiting = false;
    const { splats } = viewer.stage;
    line.textContent = [
      `${viewer.framesPerSecond.toFixed(0)} frames/s`,
      `${grouped(splats.drawnCount)} splats`,
      `sort ${viewer.sortMilliseconds.toFixed(1)} ms`,
      `${(splats.bytes / 2 ** 20).toFixed(1)} MB`,
    ].join(" · ");
  }
  return root;
}

function toast(viewer: Viewer): HTMLElement {
  const text = element("span");
  const root = element(
    "div",
    { className: "toast", hidden: true },
    text,
    button("Close", () => (root.hidden = true), { icon: "close", iconOnly: true }),
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  viewer.on("message", () => {
    const { message } = viewer;
    if (message === null) return;
    clearTimeout(timer);
    text.textContent = message.text;
    root.setAttribute("role", message.kind === "error" ? "alert" : "status");
    root.classList.toggle("error", message.kind === "error");
    root.hidden = false;
    if (message.kind === "note") timer = setTimeout(() => (root.hidden = true), 4000);
  });
  return root;
}

function loading(viewer: Viewer): HTMLElement {
  const text = element("span");
  const bar = element("progress", { max: 1, attributes: { "aria-label": "Loading" } });
  const root = element(
    "div",
    { className: "card loading", hidden: true, attributes: { role: "status" } },
    text,
    bar,
  );
  viewer.on("loading", () => {
    root.hidden = viewer.loading === null;
    if (viewer.loading === null) return;
    text.textContent = `Opening ${viewer.loading.what}`;
    if (viewer.loading.share === null) bar.removeAttribute("value");
    else bar.value = viewer.loading.share;
  });
  return root;
}

function acceptFiles(viewer: Viewer, body: HTMLElement): void {
  const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
  window.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    body.classList.add("dropping");
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) body.classList.remove("dropping");
  });
  window.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    body.classList.remove("dropping");
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) void viewer.openLocal(file);
  });
}

/** Keep the camera in the address, once it rests, so that the address can be shared. */
function keepAddress(viewer: Viewer): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const write = () => {
    if (viewer.session === null && viewer.localFile === null) return;
    history.replaceState(null, "", `#${viewer.hash}`);
  };
  for (const topic of ["view", "settings", "tools", "stream"] as const)
    viewer.on(topic, () => {
      clearTimeout(timer);
      timer = setTimeout(write, 400);
    });
  window.addEventListener("hashchange", () => viewer.restore(location.hash));
}

async function copyLink(viewer: Viewer): Promise<void> {
  const link = `${location.origin}${location.pathname}${location.search}#${viewer.hash}`;
  history.replaceState(null, "", `#${viewer.hash}`);
  try {
    await navigator.clipboard.writeText(link);
    viewer.tell("the link to this view is in the clipboard");
  } catch {
    viewer.tell(`copy the page's address; it leads to this view`);
  }
}

async function toggleFullScreen(body: HTMLElement): Promise<void> {
  if (document.fullscreenElement !== null) await document.exitFullscreen();
  else await body.requestFullscreen();
}

function toggleTheme(): void {
  const root = document.documentElement;
  const dark =
    root.dataset["theme"] === "dark" ||
    (root.dataset["theme"] === undefined && window.matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset["theme"] = dark ? "light" : "dark";
  localStorage.setItem(THEME_KEY, root.dataset["theme"]);
}
