// A camera path: keyframes, the smooth way through them, and the file that `recon export --camera-path` reads.
import { Quaternion, Vector3 } from "three";
import { type Lens, type Pose, openGlCameraToWorld, verticalFov } from "./pinhole";

export interface Keyframe {
  readonly pose: Pose;
  /** Radians from top to bottom. */
  readonly fov: number;
}

export interface PathSettings {
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** Seconds for the whole path. */
  readonly seconds: number;
  /** Return to the first keyframe at the end. */
  readonly loop: boolean;
}

export function keyframe(pose: Pose, lens: Lens): Keyframe {
  return {
    pose: { position: pose.position.clone(), rotation: pose.rotation.clone() },
    fov: verticalFov(lens),
  };
}

/**
 * The keyframe at t in [0, 1] of the path.
 *
 * Positions and fields of view follow a Catmull-Rom spline through the keyframes, rotations go the shortest way from
 * one to the next; each stretch takes the same time.
 */
export function pathAt(keyframes: readonly Keyframe[], t: number, loop: boolean): Keyframe {
  if (keyframes.length === 1) return keyframes[0];
  const count = keyframes.length;
  const stretches = loop ? count : count - 1;
  const at = Math.min(stretches - 1e-9, Math.max(0, t * stretches));
  const i = Math.floor(at);
  const s = at - i;
  const key = (j: number) => keyframes[loop ? (j + count) % count : Math.min(count - 1, Math.max(0, j))];
  const [before, from, to, after] = [key(i - 1), key(i), key(i + 1), key(i + 2)];
  const spline = (a: number, b: number, c: number, d: number) =>
    b + 0.5 * s * (c - a + s * (2 * a - 5 * b + 4 * c - d + s * (3 * (b - c) + d - a)));
  const along = (axis: "x" | "y" | "z") =>
    spline(
      ...([before.pose.position[axis], from.pose.position[axis]] as const),
      ...([to.pose.position[axis], after.pose.position[axis]] as const),
    );
  return {
    pose: {
      position: new Vector3(along("x"), along("y"), along("z")),
      rotation: new Quaternion().slerpQuaternions(from.pose.rotation, to.pose.rotation, s * s * (3 - 2 * s)),
    },
    fov: from.fov + (to.fov - from.fov) * s,
  };
}

/** The path as JSON in nerfstudio's layout: camera_to_world row-major in OpenGL axes, fov in degrees. */
export function pathFile(keyframes: readonly Keyframe[], settings: PathSettings): string {
  const { width, height, fps, seconds, loop } = settings;
  const frames = Math.max(2, Math.round(fps * seconds));
  const aspect = width / height;
  const degrees = (radians: number) => (radians * 180) / Math.PI;
  const camera = ({ pose, fov }: Keyframe) => ({
    camera_to_world: openGlCameraToWorld(pose),
    fov: degrees(fov),
    aspect,
  });
  const file = {
    camera_type: "perspective",
    render_width: width,
    render_height: height,
    fps,
    seconds,
    is_cycle: loop,
    keyframes: keyframes.map((key) => {
      const { camera_to_world, ...rest } = camera(key);
      return { matrix: camera_to_world, ...rest };
    }),
    camera_path: Array.from({ length: frames }, (_, i) =>
      camera(pathAt(keyframes, loop ? i / frames : i / (frames - 1), loop)),
    ),
  };
  return JSON.stringify(file, null, 1);
}
