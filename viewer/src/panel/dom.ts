// Small pieces of page, made without HTML strings, so that a strict content security policy holds.

type Child = Node | string | null;

/** Make an element with properties and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<Omit<HTMLElementTagNameMap[K], "style" | "attributes">> & {
    attributes?: Record<string, string>;
  } = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  const { attributes, ...rest } = properties;
  Object.assign(made, rest);
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  home: "M3 11 12 4l9 7M6 9.5V20h12V9.5M10 20v-5h4v5",
  help: "M9.2 9a2.9 2.9 0 1 1 4.3 2.5c-1 .6-1.5 1.1-1.5 2.3M12 17.2v.1M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  share:
    "M8.6 13.5 15.4 17M15.4 7 8.6 10.5M18 8.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM6 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM18 20.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  panel: "M4 5h16v14H4zM15 5v14",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4Z",
  next: "m9 5 7 7-7 7",
  previous: "m15 5-7 7 7 7",
  close: "M6 6l12 12M18 6 6 18",
  orbit: "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM21 12c0 2-4 4-9 4s-9-2-9-4 4-4 9-4 9 2 9 4",
  fly: "M3 11 21 4l-7 17-3-7z",
  play: "M7 5v14l12-7z",
  pause: "M8 5v14M16 5v14",
  stop: "M6 6h12v12H6z",
  stepBack: "M18 5 9 12l9 7zM6 5v14",
  stepOn: "m6 5 9 7-9 7zM18 5v14",
  loop: "M17 3l3 3-3 3M20 6H8a4 4 0 0 0-4 4v1M7 21l-3-3 3-3M4 18h12a4 4 0 0 0 4-4v-1",
  plus: "M12 5v14M5 12h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  ruler: "m4 15 11-11 5 5L9 20zM8 11l2 2M11 8l2 2",
} as const;

export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({
    ...{ viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.7" },
    ...{ "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", class: "icon" },
  }))
    svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button; `label` is its text, or what it is called where it only has an icon. */
export function button(
  label: string,
  onclick: () => void,
  options: { icon?: IconName; iconOnly?: boolean; className?: string; key?: string } = {},
): HTMLButtonElement {
  const title = options.key === undefined ? label : `${label} (${options.key})`;
  return element(
    "button",
    {
      type: "button",
      onclick,
      className: options.className ?? (options.iconOnly ? "icon-button" : "button"),
      attributes: options.iconOnly || options.key ? { "aria-label": label, title } : {},
    },
    options.icon === undefined ? null : icon(options.icon),
    options.iconOnly ? null : label,
  );
}

/** A row of choices of which one is on. */
export function segments<T extends string>(
  label: string,
  choices: readonly (readonly [T, string])[],
  choose: (value: T) => void,
): { root: HTMLElement; show: (value: T, enabled?: (value: T) => boolean) => void } {
  const buttons = choices.map(([value, text]) => {
    const made = element("button", { type: "button", textContent: text, onclick: () => choose(value) });
    made.dataset["value"] = value;
    return made;
  });
  const root = element(
    "div",
    { className: "segments", attributes: { role: "group", "aria-label": label } },
    ...buttons,
  );
  const show = (value: T, enabled: (value: T) => boolean = () => true) => {
    for (const made of buttons) {
      made.setAttribute("aria-pressed", String(made.dataset["value"] === value));
      made.disabled = !enabled(made.dataset["value"] as T);
    }
  };
  return { root, show };
}

/** A labelled slider that shows its value. */
export function slider(
  label: string,
  range: { min: number; max: number; step: number },
  format: (value: number) => string,
  change: (value: number) => void,
): { root: HTMLElement; show: (value: number) => void } {
  const output = element("output");
  const input = element("input", {
    type: "range",
    attributes: { "aria-label": label }, // the <label> names its first such element, which is the output
    ...{ min: String(range.min), max: String(range.max), step: String(range.step) },
    oninput: () => {
      output.textContent = format(input.valueAsNumber);
      change(input.valueAsNumber);
    },
  });
  const root = element(
    "label",
    { className: "slider" },
    element("span", { textContent: label }),
    output,
    input,
  );
  const show = (value: number) => {
    input.value = String(value);
    output.textContent = format(value);
  };
  return { root, show };
}

/** A labelled check box. */
export function toggle(
  label: string,
  change: (on: boolean) => void,
): { root: HTMLElement; show: (on: boolean, enabled?: boolean) => void } {
  const input = element("input", { type: "checkbox", onchange: () => change(input.checked) });
  const root = element("label", { className: "toggle" }, input, element("span", { textContent: label }));
  const show = (on: boolean, enabled = true) => {
    input.checked = on;
    input.disabled = !enabled;
    root.classList.toggle("disabled", !enabled);
  };
  return { root, show };
}

export function numberField(
  label: string,
  value: number,
  range: { min: number; max: number; step?: number },
): { root: HTMLElement; value: () => number; set: (value: number) => void } {
  const input = element("input", {
    type: "number",
    value: String(value),
    ...{ min: String(range.min), max: String(range.max), step: String(range.step ?? 1) },
  });
  const root = element("label", { className: "field" }, element("span", { textContent: label }), input);
  const read = () => {
    const typed = input.valueAsNumber;
    return Number.isFinite(typed) ? Math.min(range.max, Math.max(range.min, typed)) : value;
  };
  return { root, value: read, set: (next) => (input.value = String(next)) };
}

/** A part of the panel that folds. */
export function section(title: string, open: boolean, ...children: Child[]): HTMLDetailsElement {
  return element(
    "details",
    { className: "section", open },
    element("summary", { textContent: title }),
    element("div", { className: "section-body" }, ...children),
  );
}

export function row(...children: Child[]): HTMLElement {
  return element("div", { className: "row" }, ...children);
}

/** Whole numbers with thin spaces between thousands. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
