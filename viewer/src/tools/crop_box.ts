// A box that cuts the scene: what lies outside is not drawn and not saved.
import * as THREE from "three";
import type { Gaussians } from "../splats/gaussians";

export interface Box {
  readonly center: THREE.Vector3;
  /** Half of the edges along the box's axes, world units. */
  readonly half: THREE.Vector3;
  /** Turn about the up direction, radians. */
  readonly turn: number;
}

export class CropBox {
  enabled = false;
  readonly outline: THREE.LineSegments;
  private box: Box;

  constructor(
    private readonly up: THREE.Vector3,
    box: Box,
  ) {
    this.box = box;
    const edges = new THREE.EdgesGeometry(new THREE.BoxGeometry(2, 2, 2));
    this.outline = new THREE.LineSegments(edges, new THREE.LineBasicMaterial({ color: 0xff5d8f }));
    this.outline.matrixAutoUpdate = false;
    this.outline.visible = false;
    this.set(box, false);
  }

  get value(): Box {
    return this.box;
  }

  set(box: Box, enabled: boolean): void {
    this.box = box;
    this.enabled = enabled;
    this.outline.visible = enabled;
    this.outline.matrix.copy(this.worldFromBox());
    this.outline.updateMatrixWorld(true);
  }

  /** Row-major world to [-1, 1]^3; null while there is no box. */
  get boxFromWorld(): number[] | null {
    return this.enabled ? this.worldFromBox().invert().transpose().toArray() : null;
  }

  private worldFromBox(): THREE.Matrix4 {
    const { center, half, turn } = this.box;
    const upright = new THREE.Quaternion().setFromUnitVectors(new THREE.Vector3(0, 1, 0), this.up);
    const turned = new THREE.Quaternion().setFromAxisAngle(this.up, turn).multiply(upright);
    return new THREE.Matrix4().compose(center, turned, half);
  }
}

/** Rows of the Gaussians whose centres lie in the box. */
export function rowsWithin(
  { means, count }: Gaussians,
  boxFromWorld: readonly number[],
): Uint32Array<ArrayBuffer> {
  const m = boxFromWorld;
  const rows = new Uint32Array(count);
  let used = 0;
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [means[3 * i], means[3 * i + 1], means[3 * i + 2]];
    let inside = true;
    for (let r = 0; r < 3 && inside; r++)
      inside = Math.abs(m[4 * r] * x + m[4 * r + 1] * y + m[4 * r + 2] * z + m[4 * r + 3]) <= 1;
    if (inside) rows[used++] = i;
  }
  return rows.subarray(0, used);
}

/** The box, along the up direction, around the middle 96 % of the centres on each axis. */
export function boxAround(means: Float32Array, up: THREE.Vector3): Box {
  const upright = new THREE.Quaternion().setFromUnitVectors(up, new THREE.Vector3(0, 1, 0));
  const count = means.length / 3;
  const step = Math.max(1, Math.floor(count / 20_000));
  const columns: number[][] = [[], [], []];
  const point = new THREE.Vector3();
  for (let i = 0; i < count; i += step) {
    point.fromArray(means, 3 * i).applyQuaternion(upright);
    columns[0].push(point.x);
    columns[1].push(point.y);
    columns[2].push(point.z);
  }
  const ends = columns.map((values) => {
    values.sort((a, b) => a - b);
    return [values[Math.floor(0.02 * (values.length - 1))], values[Math.ceil(0.98 * (values.length - 1))]];
  });
  const middle = ends.map(([low, high]) => (low + high) / 2) as [number, number, number];
  const half = ends.map(([low, high]) => Math.max(1e-4, (high - low) / 2)) as [number, number, number];
  return {
    center: new THREE.Vector3(...middle).applyQuaternion(upright.invert()),
    half: new THREE.Vector3(...half),
    turn: 0,
  };
}
