// Mouse, touch and keyboard to movements of the eye.
import type { Eye } from "./eye";

/** What a drag with the first button or one finger does. */
export type Navigation = "orbit" | "fly";

/** Radians per pixel of dragging. */
const DRAG = 0.006;
/** Share of the pivot's distance per second of a held key. */
const KEY_SPEED = 0.9;
/** Radians per second of a held arrow key. */
const KEY_TURN = 1.2;
/** Pointers that move less than this many pixels click. */
const CLICK_SLACK = 5;
const DOUBLE_CLICK_MS = 350;

const MOVES: Record<string, readonly [number, number, number]> = {
  KeyW: [0, 0, 1],
  KeyS: [0, 0, -1],
  KeyA: [-1, 0, 0],
  KeyD: [1, 0, 0],
  KeyQ: [0, 1, 0],
  KeyE: [0, -1, 0],
};
const TURNS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

interface Pointer {
  x: number;
  y: number;
}

export class Controls {
  navigation: Navigation = "orbit";
  /** Scale of the world, for the speed of the keys. */
  sceneScale = 1;
  onClick: (x: number, y: number) => void = () => undefined;
  onDoubleClick: (x: number, y: number) => void = () => undefined;
  onHover: (x: number, y: number) => void = () => undefined;
  private readonly pointers = new Map<number, Pointer>();
  private readonly held = new Set<string>();
  /** Keys that went up since the last frame: a tap is shorter than one, and moves for one all the same. */
  private readonly released = new Set<string>();
  private panning = false;
  private travelled = 0;
  private lastClick = { time: -Infinity, x: 0, y: 0 };
  private fast = false;

  constructor(
    private readonly surface: HTMLElement,
    private readonly eye: Eye,
    private readonly wake: () => void,
  ) {
    surface.addEventListener("pointerdown", this.down);
    surface.addEventListener("pointermove", this.moved);
    surface.addEventListener("pointerup", this.up);
    surface.addEventListener("pointercancel", this.up);
    surface.addEventListener("wheel", this.wheel, { passive: false });
    surface.addEventListener("contextmenu", (event) => event.preventDefault());
    window.addEventListener("keydown", this.keyDown);
    window.addEventListener("keyup", (event) => this.released.add(event.code));
    window.addEventListener("blur", () => this.held.clear());
  }

  get moving(): boolean {
    return this.held.size > 0;
  }

  /** Move by the keys that are held; call it every frame. */
  step(milliseconds: number): void {
    if (this.held.size === 0) return;
    const seconds = Math.min(0.1, milliseconds / 1000);
    const reach = Math.max(0.05 * this.sceneScale, Math.min(this.eye.pivotDistance, this.sceneScale));
    const length = reach * KEY_SPEED * seconds * (this.fast ? 4 : 1);
    for (const code of this.held) {
      const move = MOVES[code];
      const turn = TURNS[code];
      if (move !== undefined) this.eye.move(move[0] * length, move[1] * length, move[2] * length);
      else if (turn !== undefined) this.rotate(turn[0] * KEY_TURN * seconds, turn[1] * KEY_TURN * seconds);
    }
    for (const code of this.released) this.held.delete(code);
    this.released.clear();
  }

  private readonly down = (event: PointerEvent): void => {
    this.surface.focus({ preventScroll: true });
    this.surface.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, place(event));
    if (this.pointers.size === 1) {
      this.panning = event.button !== 0 || event.shiftKey;
      this.travelled = 0;
    } else this.travelled = Infinity;
  };

  private readonly moved = (event: PointerEvent): void => {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) {
      const box = this.surface.getBoundingClientRect();
      this.onHover(event.clientX - box.left, event.clientY - box.top);
      return;
    }
    const now = place(event);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    this.travelled += Math.hypot(dx, dy);
    if (this.travelled < CLICK_SLACK) return;
    if (this.pointers.size === 1) {
      if (this.panning) this.pan(dx, dy);
      else this.rotate(dx * DRAG, dy * DRAG);
    } else if (this.pointers.size === 2) {
      const [other] = [...this.pointers]
        .filter(([id]) => id !== event.pointerId)
        .map(([, pointer]) => pointer);
      const apart = Math.hypot(before.x - other.x, before.y - other.y);
      const apartNow = Math.hypot(now.x - other.x, now.y - other.y);
      if (apart > 1 && apartNow > 1) this.eye.dolly(Math.min(2, Math.max(0.5, apart / apartNow)));
      this.pan(dx / 2, dy / 2);
    }
    this.pointers.set(event.pointerId, now);
    this.wake();
  };

  private readonly up = (event: PointerEvent): void => {
    if (!this.pointers.delete(event.pointerId) || event.type === "pointercancel") return;
    if (this.pointers.size > 0 || this.travelled >= CLICK_SLACK || event.button !== 0) return;
    const box = this.surface.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { time, x: lastX, y: lastY } = this.lastClick;
    const near = Math.hypot(x - lastX, y - lastY) < 4 * CLICK_SLACK;
    if (event.timeStamp - time < DOUBLE_CLICK_MS && near) {
      this.lastClick.time = -Infinity;
      this.onDoubleClick(x, y);
    } else {
      this.lastClick = { time: event.timeStamp, x, y };
      this.onClick(x, y);
    }
  };

  private readonly wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1);
    const amount = Math.max(-200, Math.min(200, pixels));
    if (this.navigation === "orbit") this.eye.dolly(Math.exp(amount * 0.0015));
    else this.eye.move(0, 0, -amount * 0.0015 * Math.min(this.eye.pivotDistance, this.sceneScale));
    this.wake();
  };

  private readonly keyDown = (event: KeyboardEvent): void => {
    this.fast = event.shiftKey;
    if (event.ctrlKey || event.metaKey || event.altKey || takesKeys(event.target)) return;
    const onSurface = event.target === this.surface || event.target === document.body;
    // Arrow keys belong to the focused control; letters move from anywhere.
    if (event.code in MOVES || (onSurface && event.code in TURNS)) {
      this.held.add(event.code);
      this.released.delete(event.code);
      if (event.code in TURNS) event.preventDefault();
      this.wake();
    }
  };

  private rotate(yaw: number, pitch: number): void {
    if (this.navigation === "orbit") this.eye.orbit(yaw, pitch);
    else this.eye.look(yaw, pitch);
  }

  /** Move so that what lies at the pivot's depth follows the pointer. */
  private pan(dx: number, dy: number): void {
    const { lens, pivotDistance } = this.eye;
    const scale = Math.min(this.surface.clientWidth / lens.width, this.surface.clientHeight / lens.height);
    const unit = pivotDistance / (lens.intrinsics[1] * scale);
    this.eye.move(-dx * unit, -dy * unit, 0);
  }
}

/** True for elements that use letters and arrows themselves. */
export function takesKeys(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName) || isTextInput(target))
  );
}

function isTextInput(target: HTMLElement): boolean {
  return (
    target instanceof HTMLInputElement && !["checkbox", "radio", "range", "button"].includes(target.type)
  );
}

function place(event: PointerEvent): Pointer {
  return { x: event.clientX, y: event.clientY };
}
