// Pinhole cameras in recon's conventions (OpenCV axes, world_to_camera, pixel centres at +0.5), and the way to three.js.
import { Camera, Matrix3, Matrix4, Quaternion, Vector3 } from "three";

/** Picture size in pixels and intrinsics (fx, fy, cx, cy) in the same pixels. */
export interface Lens {
  readonly width: number;
  readonly height: number;
  readonly intrinsics: readonly [number, number, number, number];
}

/** A place and a direction: position in the world, rotation from camera axes (x right, y down, z forward) to the world's. */
export interface Pose {
  readonly position: Vector3;
  readonly rotation: Quaternion;
}

export interface PinholeCamera extends Lens {
  /** [16] row-major. */
  readonly worldToCamera: readonly number[];
}

/** A lens with square pixels and its axis in the middle. */
export function centeredLens(width: number, height: number, verticalFov: number): Lens {
  const focal = height / 2 / Math.tan(verticalFov / 2);
  return { width, height, intrinsics: [focal, focal, width / 2, height / 2] };
}

export function verticalFov(lens: Lens): number {
  return 2 * Math.atan(lens.height / 2 / lens.intrinsics[1]);
}

/** Where a picture of this lens lies on a canvas that shows all of it, as large as fits, in the middle. */
export function fittedRectangle(
  lens: { readonly width: number; readonly height: number },
  width: number,
  height: number,
): { x: number; y: number; width: number; height: number; scale: number } {
  const scale = Math.min(width / lens.width, height / lens.height);
  const [w, h] = [lens.width * scale, lens.height * scale];
  return { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h, scale };
}

/** The lens for a canvas of another shape: it sees the whole picture, and more to the sides where there is room. */
export function fitLens(lens: Lens, width: number, height: number): Lens {
  const { x, y, scale } = fittedRectangle(lens, width, height);
  const [fx, fy, cx, cy] = lens.intrinsics;
  return { width, height, intrinsics: [fx * scale, fy * scale, cx * scale + x, cy * scale + y] };
}

export function cameraAt(pose: Pose, lens: Lens): PinholeCamera {
  return {
    width: lens.width,
    height: lens.height,
    intrinsics: lens.intrinsics,
    worldToCamera: worldToCamera(pose),
  };
}

/** The pose's world_to_camera, row-major. */
export function worldToCamera({ position, rotation }: Pose): number[] {
  const inverse = new Matrix4().makeRotationFromQuaternion(rotation.clone().invert());
  const moved = position.clone().applyMatrix4(inverse).negate();
  inverse.setPosition(moved);
  return inverse.transpose().toArray();
}

/** The pose of a row-major world_to_camera. */
export function poseOf(matrix: readonly number[]): Pose {
  const worldToCamera = new Matrix4().fromArray(matrix as number[]).transpose();
  const cameraToWorld = worldToCamera.invert();
  return {
    position: new Vector3().setFromMatrixPosition(cameraToWorld),
    rotation: new Quaternion().setFromRotationMatrix(cameraToWorld),
  };
}

/** A camera's right, down and forward directions in the world. */
export function axesOf({ rotation }: Pose): { right: Vector3; down: Vector3; forward: Vector3 } {
  return {
    right: new Vector3(1, 0, 0).applyQuaternion(rotation),
    down: new Vector3(0, 1, 0).applyQuaternion(rotation),
    forward: new Vector3(0, 0, 1).applyQuaternion(rotation),
  };
}

/** The pose at a position that looks at a target. */
export function lookAt(position: Vector3, target: Vector3, up: Vector3): Pose {
  const forward = target.clone().sub(position).normalize();
  let right = forward.clone().cross(up);
  if (right.lengthSq() < 1e-10) right = forward.clone().cross(new Vector3(up.y, up.z, up.x));
  right.normalize();
  const down = forward.clone().cross(right);
  const basis = new Matrix4().makeBasis(right, down, forward);
  return { position: position.clone(), rotation: new Quaternion().setFromRotationMatrix(basis) };
}

/** Camera coordinates of a world point. */
export function toCamera(camera: PinholeCamera, point: Vector3): Vector3 {
  return point.clone().applyMatrix4(new Matrix4().fromArray(camera.worldToCamera as number[]).transpose());
}

/** Pixel (u, v) and depth z of a world point; null behind the camera. */
export function project(camera: PinholeCamera, point: Vector3): { u: number; v: number; z: number } | null {
  const { x, y, z } = toCamera(camera, point);
  if (!(z > 1e-6)) return null;
  const [fx, fy, cx, cy] = camera.intrinsics;
  return { u: (fx * x) / z + cx, v: (fy * y) / z + cy, z };
}

/** The world point at a pixel (u, v) and depth z. */
export function unproject(camera: PinholeCamera, u: number, v: number, z: number): Vector3 {
  const [fx, fy, cx, cy] = camera.intrinsics;
  const cameraToWorld = new Matrix4()
    .fromArray(camera.worldToCamera as number[])
    .transpose()
    .invert();
  return new Vector3(((u - cx) / fx) * z, ((v - cy) / fy) * z, z).applyMatrix4(cameraToWorld);
}

/** Camera-to-world in OpenGL axes (x right, y up, z back), row-major: what camera-path files hold. */
export function openGlCameraToWorld(pose: Pose): number[] {
  const { right, down, forward } = axesOf(pose);
  const basis = new Matrix4().makeBasis(right, down.negate(), forward.negate());
  basis.setPosition(pose.position);
  return basis.transpose().toArray();
}

/** Near and far planes of layers; splats have a near plane of their own and no far plane. */
export const CLIP = { near: 0.01, far: 1000 } as const;

/** Set a three.js camera to the same projection; both draw the same point to the same pixel. */
export function copyToThree(from: PinholeCamera, to: Camera, near: number, far: number): void {
  const pose = poseOf(from.worldToCamera);
  const openGl = new Matrix4().fromArray(openGlCameraToWorld(pose)).transpose();
  to.matrixAutoUpdate = false;
  to.matrix.copy(openGl);
  to.matrix.decompose(to.position, to.quaternion, to.scale);
  to.updateMatrixWorld(true);
  const [fx, fy, cx, cy] = from.intrinsics;
  const { width, height } = from;
  to.projectionMatrix.set(
    ...([(2 * fx) / width, 0, 1 - (2 * cx) / width, 0] as const),
    ...([0, (2 * fy) / height, (2 * cy) / height - 1, 0] as const),
    ...([0, 0, -(far + near) / (far - near), (-2 * far * near) / (far - near)] as const),
    ...([0, 0, -1, 0] as const),
  );
  to.projectionMatrixInverse.copy(to.projectionMatrix).invert();
}

/** True when two cameras show the same picture but for rounding. */
export function sameCamera(a: PinholeCamera | null, b: PinholeCamera | null): boolean {
  if (a === null || b === null) return a === b;
  const equal = (x: readonly number[], y: readonly number[]) =>
    x.every((value, i) => Math.abs(value - y[i]) <= 1e-7 * (1 + Math.abs(value)));
  return (
    a.width === b.width &&
    a.height === b.height &&
    equal(a.worldToCamera, b.worldToCamera) &&
    equal(a.intrinsics, b.intrinsics)
  );
}

/** Rotation part of a row-major matrix, for tests of orthonormality. */
export function rotationPart(matrix: readonly number[]): Matrix3 {
  return new Matrix3().setFromMatrix4(new Matrix4().fromArray(matrix as number[]).transpose());
}
