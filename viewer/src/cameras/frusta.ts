// The input cameras in the scene: outlines with the photo on the image plane; a click finds the camera.
import * as THREE from "three";
import type { CameraEntry } from "../session";
import { type PinholeCamera, project, unproject } from "./pinhole";

export const ROLE_COLORS = { train: 0x4f9dff, test: 0xffb02e } as const;
const CHOSEN = 0xffffff;

/** Longest side of a photo on a frustum, pixels. */
const TEXTURE_SIZE = 256;

interface Frustum {
  readonly entry: CameraEntry;
  readonly lines: THREE.LineSegments<THREE.BufferGeometry, THREE.LineBasicMaterial>;
  readonly plane: THREE.Mesh<THREE.BufferGeometry, THREE.MeshBasicMaterial>;
}

export class Frusta {
  readonly group = new THREE.Group();
  private frusta: Frustum[] = [];
  private size = 1;

  /** Show these cameras, `size` world units deep. */
  setCameras(cameras: readonly CameraEntry[], size: number): void {
    for (const { lines, plane } of this.frusta) {
      lines.geometry.dispose();
      plane.geometry.dispose();
      plane.material.map?.dispose();
      plane.material.dispose();
      lines.material.dispose();
    }
    this.group.clear();
    this.frusta = cameras.map((entry) => {
      const lines = new THREE.LineSegments(
        new THREE.BufferGeometry(),
        new THREE.LineBasicMaterial({ color: ROLE_COLORS[entry.role] }),
      );
      const plane = new THREE.Mesh(
        new THREE.BufferGeometry(),
        new THREE.MeshBasicMaterial({ color: ROLE_COLORS[entry.role], side: THREE.DoubleSide }),
      );
      plane.visible = false;
      this.group.add(lines, plane);
      return { entry, lines, plane };
    });
    this.setSize(size);
  }

  setSize(size: number): void {
    this.size = size;
    for (const { entry, lines, plane } of this.frusta) {
      const { center, corners } = this.corners(entry);
      const [topLeft, topRight, bottomRight, bottomLeft] = corners;
      const middle = topLeft.clone().add(topRight).multiplyScalar(0.5);
      const up = topLeft.clone().sub(bottomLeft);
      // A small triangle marks the upper side.
      const mark = [topLeft.clone().lerp(topRight, 0.35), topLeft.clone().lerp(topRight, 0.65)];
      const tip = middle.addScaledVector(up, 0.18);
      lines.geometry.setFromPoints([
        ...corners.flatMap((corner, i) => [center, corner, corner, corners[(i + 1) % 4]]),
        ...[mark[0], tip, tip, mark[1]],
      ]);
      plane.geometry.setFromPoints([bottomLeft, bottomRight, topRight, topLeft]);
      plane.geometry.setAttribute(
        "uv",
        new THREE.BufferAttribute(new Float32Array([0, 1, 1, 1, 1, 0, 0, 0]), 2),
      );
      plane.geometry.setIndex([0, 1, 2, 0, 2, 3]);
      plane.geometry.computeBoundingSphere();
      lines.geometry.computeBoundingSphere();
    }
  }

  /** Put a photo on a camera's image plane; its first row is the top. */
  async setPhoto(id: string, photo: ImageBitmap): Promise<void> {
    const frustum = this.frusta.find(({ entry }) => entry.id === id);
    if (frustum === undefined) return;
    const scale = Math.min(1, TEXTURE_SIZE / Math.max(photo.width, photo.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(photo.width * scale));
    canvas.height = Math.max(1, Math.round(photo.height * scale));
    canvas.getContext("2d")!.drawImage(photo, 0, 0, canvas.width, canvas.height);
    const texture = new THREE.CanvasTexture(canvas);
    texture.flipY = false;
    frustum.plane.material.map = texture;
    frustum.plane.material.color.set(0xffffff);
    frustum.plane.material.needsUpdate = true;
    frustum.plane.visible = true;
  }

  /** Colour by role; the chosen camera is white, and not drawn at all while the eye is in it. */
  setChosen(id: string | null, inside: boolean): void {
    for (const { entry, lines, plane } of this.frusta) {
      const chosen = entry.id === id;
      lines.material.color.set(chosen ? CHOSEN : ROLE_COLORS[entry.role]);
      lines.visible = !(chosen && inside);
      plane.visible = lines.visible && plane.material.map !== null;
    }
  }

  /** The camera whose frustum is nearest at a pixel. */
  pick(camera: PinholeCamera, u: number, v: number): CameraEntry | null {
    let best: CameraEntry | null = null;
    let nearest = Infinity;
    for (const { entry, lines } of this.frusta) {
      if (!lines.visible) continue;
      const { center, corners } = this.corners(entry);
      const at = corners.map((corner) => project(camera, corner));
      const apex = project(camera, center);
      if (apex === null || at.some((corner) => corner === null)) continue;
      const quad = at as { u: number; v: number; z: number }[];
      const faces = [quad, ...quad.map((corner, i) => [apex, corner, quad[(i + 1) % 4]])];
      if (apex.z < nearest && faces.some((face) => contains(face, u, v))) {
        nearest = apex.z;
        best = entry;
      }
    }
    return best;
  }

  private corners(entry: CameraEntry): { center: THREE.Vector3; corners: THREE.Vector3[] } {
    const { width, height } = entry;
    const at = (u: number, v: number, z: number) => unproject(entry, u, v, z);
    const z = this.size;
    return {
      center: at(entry.intrinsics[2], entry.intrinsics[3], 0),
      corners: [at(0, 0, z), at(width, 0, z), at(width, height, z), at(0, height, z)],
    };
  }
}

/** Even-odd test of a point in a polygon. */
function contains(polygon: readonly { u: number; v: number }[], u: number, v: number): boolean {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [a, b] = [polygon[i], polygon[j]];
    if (a.v > v !== b.v > v && u < ((b.u - a.u) * (v - a.v)) / (b.v - a.v) + a.u) inside = !inside;
  }
  return inside;
}
