// Distance between two picked points, in world units times a scale that the user sets from a known length.
import * as THREE from "three";

export class Measure {
  readonly group = new THREE.Group();
  readonly points: THREE.Vector3[] = [];
  /** Real units per world unit. */
  scale = 1;
  unit = "units";
  private readonly line: THREE.Line;
  private readonly marks: THREE.Points;

  constructor() {
    const material = new THREE.LineBasicMaterial({ color: 0x35e0a1, depthTest: false });
    this.line = new THREE.Line(new THREE.BufferGeometry(), material);
    this.marks = new THREE.Points(
      new THREE.BufferGeometry(),
      new THREE.PointsMaterial({ color: 0x35e0a1, size: 9, sizeAttenuation: false, depthTest: false }),
    );
    this.group.add(this.line, this.marks);
    this.group.visible = false;
  }

  /** Add a point; a third one starts anew. */
  add(point: THREE.Vector3): void {
    if (this.points.length === 2) this.points.length = 0;
    this.points.push(point.clone());
    this.redraw();
  }

  clear(): void {
    this.points.length = 0;
    this.redraw();
  }

  /** World units between the points; null until there are two. */
  get worldDistance(): number | null {
    return this.points.length === 2 ? this.points[0].distanceTo(this.points[1]) : null;
  }

  /** Distance in the unit that was set. */
  get distance(): number | null {
    const world = this.worldDistance;
    return world === null ? null : world * this.scale;
  }

  /** Say how long the measured distance really is. */
  setLength(length: number, unit: string): void {
    const world = this.worldDistance;
    if (world === null || !(world > 0) || !(length > 0)) return;
    this.setScale(length / world, unit);
  }

  /** Set how long a world unit is; numbers that are no length are ignored, they may come from an address. */
  setScale(scale: number, unit: string): void {
    if (!Number.isFinite(scale) || scale <= 0) return;
    this.scale = scale;
    this.unit = unit.slice(0, 8);
  }

  private redraw(): void {
    this.group.visible = this.points.length > 0;
    for (const object of [this.line, this.marks]) {
      object.geometry.dispose();
      object.geometry = new THREE.BufferGeometry().setFromPoints(this.points);
    }
  }
}
