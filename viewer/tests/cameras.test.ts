import { Camera, Quaternion, Vector3 } from "three";
import { describe, expect, test } from "vitest";
import { keyframe, pathAt, pathFile } from "../src/cameras/camera_path";
import { Eye } from "../src/cameras/eye";
import {
  axesOf,
  cameraAt,
  centeredLens,
  copyToThree,
  fitLens,
  lookAt,
  openGlCameraToWorld,
  poseOf,
  project,
  sameCamera,
  unproject,
  verticalFov,
  worldToCamera,
} from "../src/cameras/pinhole";

const UP = new Vector3(0, -1, 0);
const LENS = {
  width: 640,
  height: 480,
  intrinsics: [500, 510, 330, 236] as [number, number, number, number],
};
const POSE = lookAt(new Vector3(1, -2, -4), new Vector3(0.2, 0.1, 0.3), UP);
const near = (a: Vector3, b: Vector3) => expect(a.distanceTo(b)).toBeLessThan(1e-6);

describe("pinhole cameras", () => {
  test("a pose and its matrix are the same thing", () => {
    const back = poseOf(worldToCamera(POSE));
    near(back.position, POSE.position);
    expect(back.rotation.angleTo(POSE.rotation)).toBeLessThan(1e-6);
  });

  test("looking at a point puts it on the axis, with up upwards", () => {
    const camera = cameraAt(POSE, LENS);
    const target = project(camera, new Vector3(0.2, 0.1, 0.3))!;
    expect([target.u, target.v]).toEqual([expect.closeTo(330, 6), expect.closeTo(236, 6)]);
    const above = project(camera, new Vector3(0.2, -0.4, 0.3))!;
    expect(above.v).toBeLessThan(236);
    expect(axesOf(POSE).down.dot(UP)).toBeLessThan(0);
  });

  test("projecting and unprojecting are inverse; behind the camera there is nothing", () => {
    const camera = cameraAt(POSE, LENS);
    const point = new Vector3(-0.3, 0.4, 1.1);
    const { u, v, z } = project(camera, point)!;
    near(unproject(camera, u, v, z), point);
    expect(project(camera, new Vector3(2, -4, -9))).toBeNull();
  });

  test("three.js projects to the same pixels", () => {
    const camera = cameraAt(POSE, LENS);
    const three = new Camera();
    copyToThree(camera, three, 0.1, 100);
    for (const point of [new Vector3(0, 0, 0), new Vector3(-1, 0.5, 2), new Vector3(0.7, -0.2, 1)]) {
      const { u, v, z } = project(camera, point)!;
      const clip = point.clone().applyMatrix4(three.matrixWorldInverse).applyMatrix4(three.projectionMatrix);
      expect(((clip.x + 1) / 2) * LENS.width).toBeCloseTo(u, 4);
      expect(((1 - clip.y) / 2) * LENS.height).toBeCloseTo(v, 4);
      // The depth that splats write agrees with the layers'.
      expect(clip.z).toBeCloseTo((100 + 0.1) / (100 - 0.1) - (2 * 100 * 0.1) / (100 - 0.1) / z, 6);
    }
  });

  test("a fitted lens sees the whole picture, in the middle", () => {
    for (const [width, height] of [
      [1280, 480],
      [300, 900],
    ]) {
      const fitted = cameraAt(POSE, fitLens(LENS, width, height));
      const original = cameraAt(POSE, LENS);
      const corners = [
        [0, 0],
        [640, 480],
      ].map(([u, v]) => project(fitted, unproject(original, u, v, 2))!);
      expect(corners[0].u + corners[1].u).toBeCloseTo(width, 5);
      expect(corners[0].v + corners[1].v).toBeCloseTo(height, 5);
      expect(Math.min(corners[0].u, corners[0].v)).toBeCloseTo(0, 5);
    }
    expect(verticalFov(centeredLens(100, 80, 0.7))).toBeCloseTo(0.7, 10);
  });

  test("OpenGL matrices differ by the sign of two columns", () => {
    const m = openGlCameraToWorld({ position: new Vector3(1, 2, 3), rotation: new Quaternion() });
    expect(m.map((x) => x + 0)).toEqual([1, 0, 0, 1, 0, -1, 0, 2, 0, 0, -1, 3, 0, 0, 0, 1]);
  });
});

describe("the eye", () => {
  const eye = () => new Eye(POSE, LENS, new Vector3(0.2, 0.1, 0.3), UP.clone());

  test("orbiting keeps the distance and what is in the middle", () => {
    const moved = eye();
    const before = moved.pivotDistance;
    moved.orbit(0.7, 0.3);
    expect(moved.pivotDistance).toBeCloseTo(before, 9);
    const { u, v } = project(cameraAt(moved.pose, LENS), moved.pivot)!;
    expect([u, v]).toEqual([expect.closeTo(330, 5), expect.closeTo(236, 5)]);
  });

  test("dragging right turns the scene to the right", () => {
    const moved = eye();
    const point = new Vector3(0.2, 0.1, -0.2); // nearer than the pivot
    const before = project(cameraAt(moved.pose, LENS), point)!;
    moved.orbit(0.2, 0);
    expect(project(cameraAt(moved.pose, LENS), point)!.u).toBeGreaterThan(before.u);
    const down = eye();
    down.orbit(0, 0.2);
    expect(project(cameraAt(down.pose, LENS), point)!.v).toBeGreaterThan(before.v);
  });

  test("never turns over the pole", () => {
    for (const pitch of [0.4, -0.4]) {
      const moved = eye();
      for (let i = 0; i < 30; i++) moved.orbit(0.1, pitch);
      const angle = axesOf(moved.pose).forward.angleTo(UP);
      expect(angle).toBeGreaterThan(0.03);
      expect(angle).toBeLessThan(Math.PI - 0.03);
      expect(axesOf(moved.pose).down.dot(UP)).toBeLessThan(0);
    }
  });

  test("dolly changes the distance by its factor; moving takes the pivot along", () => {
    const moved = eye();
    const before = moved.pivotDistance;
    moved.dolly(0.5);
    expect(moved.pivotDistance).toBeCloseTo(before / 2, 9);
    const pivot = moved.pivot.clone();
    moved.move(1, 0, 0);
    near(moved.pivot, pivot.addScaledVector(axesOf(moved.pose).right, 1));
  });

  test("flies to a camera and knows that it stands there, until it moves", () => {
    const moved = eye();
    const goal = lookAt(new Vector3(-3, -1, 2), new Vector3(), UP);
    moved.flyTo(goal, centeredLens(640, 480, 0.5), new Vector3(), 300, "c7");
    expect(moved.at).toBeNull();
    for (let i = 0; i < 3; i++) moved.step(120);
    near(moved.pose.position, goal.position);
    expect(moved.at).toBe("c7");
    moved.look(0.1, 0);
    expect(moved.at).toBeNull();
  });
});

describe("camera paths", () => {
  const keys = [0, 1, 2, 3].map((i) => keyframe(lookAt(new Vector3(i, -1, -4), new Vector3(), UP), LENS));

  test("go through their keyframes", () => {
    for (let i = 0; i < 4; i++) near(pathAt(keys, i / 3, false).pose.position, keys[i].pose.position);
    near(pathAt(keys, 1, true).pose.position, keys[0].pose.position);
  });

  test("are saved with rotations and positions that belong together", () => {
    const settings = { width: 320, height: 200, fps: 10, seconds: 2, loop: false };
    const file = JSON.parse(pathFile(keys, settings));
    expect(file).toMatchObject({
      render_width: 320,
      render_height: 200,
      fps: 10,
      seconds: 2,
      camera_type: "perspective",
    });
    expect(file.camera_path).toHaveLength(20);
    const [first] = file.camera_path;
    expect(first.camera_to_world.map((x: number) => +x.toFixed(9))).toEqual(
      openGlCameraToWorld(keys[0].pose).map((x) => +x.toFixed(9)),
    );
    expect(first.fov).toBeCloseTo((verticalFov(LENS) * 180) / Math.PI, 9);
    expect(first.aspect).toBeCloseTo(1.6, 12);
    expect(file.camera_path[19].camera_to_world[3]).toBeCloseTo(3, 6);
  });
});

test("cameras are the same but for rounding", () => {
  const camera = cameraAt(POSE, LENS);
  expect(
    sameCamera(camera, { ...camera, worldToCamera: camera.worldToCamera.map((x) => x * (1 + 1e-9)) }),
  ).toBe(true);
  expect(sameCamera(camera, { ...camera, width: 641 })).toBe(false);
  expect(sameCamera(camera, null)).toBe(false);
});
