// The viewer's own camera: where it is, what it turns around, and how it moves.
import { Quaternion, Vector3 } from "three";
import { type Lens, type Pose, axesOf, verticalFov } from "./pinhole";

/** Least angle between the view and the up direction, so that orbiting never flips over. */
const POLE = (2 * Math.PI) / 180;

const MIN_FOV = (5 * Math.PI) / 180;
const MAX_FOV = (120 * Math.PI) / 180;

export class Eye {
  /** Called after every change. */
  onChange: () => void = () => undefined;
  /** The input camera whose place and lens the eye has, until it moves. */
  at: string | null = null;
  private flight: Flight | null = null;

  constructor(
    public pose: Pose,
    public lens: Lens,
    /** What orbiting turns around. */
    public pivot: Vector3,
    readonly up: Vector3,
  ) {}

  get flying(): boolean {
    return this.flight !== null;
  }

  /** Turn around the pivot: radians to the right and down. */
  orbit(yaw: number, pitch: number): void {
    this.leave();
    const turn = this.turn(yaw, pitch);
    const offset = this.pose.position.clone().sub(this.pivot).applyQuaternion(turn);
    this.place(this.pivot.clone().add(offset), turn.multiply(this.pose.rotation));
  }

  /** Turn on the spot: radians to the right and down. */
  look(yaw: number, pitch: number): void {
    this.leave();
    const turn = this.turn(yaw, pitch);
    const distance = this.pivotDistance;
    this.place(this.pose.position, turn.multiply(this.pose.rotation));
    this.pivot = this.pose.position.clone().addScaledVector(axesOf(this.pose).forward, distance);
  }

  /** Move in camera axes, world units; the pivot moves along. */
  move(right: number, down: number, forward: number): void {
    this.leave();
    const step = new Vector3(right, down, forward).applyQuaternion(this.pose.rotation);
    this.pivot.add(step);
    this.place(this.pose.position.clone().add(step), this.pose.rotation);
  }

  /** Come nearer to the pivot (factor below 1) or go away from it. */
  dolly(factor: number): void {
    this.leave();
    const offset = this.pose.position.clone().sub(this.pivot);
    this.place(this.pivot.clone().addScaledVector(offset, factor), this.pose.rotation);
  }

  roll(angle: number): void {
    this.leave();
    const turn = new Quaternion().setFromAxisAngle(new Vector3(0, 0, 1), angle);
    this.place(this.pose.position, this.pose.rotation.clone().multiply(turn));
  }

  /** Change the field of view, radians from top to bottom. */
  setFov(fov: number): void {
    this.leave();
    const focal = this.lens.height / 2 / Math.tan(Math.min(MAX_FOV, Math.max(MIN_FOV, fov)) / 2);
    const [fx, fy, cx, cy] = this.lens.intrinsics;
    this.lens = { ...this.lens, intrinsics: [(fx * focal) / fy, focal, cx, cy] };
    this.onChange();
  }

  get pivotDistance(): number {
    return Math.max(1e-6, this.pose.position.distanceTo(this.pivot));
  }

  /** Go to a pose within some milliseconds; 0 is at once. */
  flyTo(pose: Pose, lens: Lens, pivot: Vector3, milliseconds: number, at: string | null = null): void {
    this.flight = null;
    if (milliseconds <= 0) {
      Object.assign(this, { pose, lens, pivot: pivot.clone(), at });
      this.onChange();
      return;
    }
    this.at = null;
    const from = { pose: this.pose, fov: verticalFov(this.lens), pivot: this.pivot.clone(), time: 0 };
    this.flight = { from, to: { pose, lens, pivot: pivot.clone(), at }, milliseconds };
    this.onChange();
  }

  /** Move a flight on; call it every frame. */
  step(milliseconds: number): void {
    const { flight } = this;
    if (flight === null) return;
    flight.from.time += milliseconds;
    const { from, to } = flight;
    const t = Math.min(1, from.time / flight.milliseconds);
    if (t === 1) {
      this.flight = null;
      Object.assign(this, { pose: to.pose, lens: to.lens, pivot: to.pivot, at: to.at });
    } else {
      const s = t * t * (3 - 2 * t);
      const position = from.pose.position.clone().lerp(to.pose.position, s);
      const rotation = from.pose.rotation.clone().slerp(to.pose.rotation, s);
      this.pose = { position, rotation };
      this.pivot = from.pivot.clone().lerp(to.pivot, s);
      const focal = to.lens.intrinsics[1];
      const start = to.lens.height / 2 / Math.tan(from.fov / 2);
      const scale = (start + (focal - start) * s) / focal;
      const [fx, fy, cx, cy] = to.lens.intrinsics;
      this.lens = { ...to.lens, intrinsics: [fx * scale, fy * scale, cx, cy] };
    }
    this.onChange();
  }

  private leave(): void {
    this.flight = null;
    this.at = null;
  }

  private place(position: Vector3, rotation: Quaternion): void {
    this.pose = { position, rotation: rotation.clone().normalize() };
    this.onChange();
  }

  /** The rotation, in the world, by yaw about the up direction and pitch about the camera's right. */
  private turn(yaw: number, pitch: number): Quaternion {
    const { forward, right, down } = axesOf(this.pose);
    // Seen from below, or with the camera upside down, right would otherwise be left.
    const upright = down.dot(this.up) <= 0 ? 1 : -1;
    const horizontal = right.clone().addScaledVector(this.up, -right.dot(this.up));
    const turn = new Quaternion().setFromAxisAngle(this.up, -yaw * upright);
    if (horizontal.lengthSq() > 1e-8) {
      const angle = forward.angleTo(this.up);
      const bounded =
        upright * Math.min(Math.PI - POLE, Math.max(POLE, angle + upright * pitch)) - upright * angle;
      // A camera that already looks along the pole (an input camera may) can only leave it.
      const allowed = Math.sign(bounded) === Math.sign(pitch) || pitch === 0 ? bounded : 0;
      turn.multiply(new Quaternion().setFromAxisAngle(horizontal.normalize(), -allowed));
    }
    return turn;
  }
}

interface Flight {
  readonly from: { pose: Pose; fov: number; pivot: Vector3; time: number };
  readonly to: { pose: Pose; lens: Lens; pivot: Vector3; at: string | null };
  readonly milliseconds: number;
}
