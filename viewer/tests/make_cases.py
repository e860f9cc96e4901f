"""Make what the browser tests show: scenes of random Gaussians, cameras, and the CPU rasterizer's pictures.

Usage: python make_cases.py FOLDER

FOLDER then holds `degree0` to `degree3`, `look` (a scene with cameras, photos, points, mesh and confidence) and `live`,
each with `session.json` and `files/` as the mock server reads them; `cases.json` lists the pictures to compare, and
`pictures/NAME.bin` holds each as float32.
"""

from __future__ import annotations

import io
import json
import math
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from recon import ops
from recon.export.glb import write_glb
from recon.scene import Camera, look_at
from recon.splats.formats.ply import write_ply
from recon.splats.formats.spz import write_spz
from recon.splats.gaussians import Gaussians

WIDTH, HEIGHT = 240, 160
UP = [0.0, -1.0, 0.0]
SKY = [0.55, 0.65, 0.78]


def main(folder: Path) -> None:
    """Write everything below `folder`."""
    cases = []
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for degree in range(4):
        gaussians = random_gaussians(2000, degree, seed=degree)
        cameras = ring(3)
        scene = folder / f"degree{degree}"
        write_scene(scene, gaussians, cameras, f"degree {degree}")
        for mode in ("color",) if degree < 3 else ("color", "depth", "normal", "alpha"):
            for index, camera in enumerate(cameras[:2]):
                name = f"degree{degree}-{mode}-{index}"
                picture = render(gaussians, camera, mode)
                picture.astype("<f4").tofile(folder / "pictures" / f"{name}.bin")
                cases.append({"name": name, "scene": f"degree{degree}", "camera": index, "mode": mode})
    (folder / "cases.json").write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "cases": cases}))
    write_look(folder / "look")
    write_live(folder / "live")


def random_gaussians(count: int, degree: int, seed: int) -> Gaussians:
    """Return Gaussians of all sizes, shapes and opacities in a ball, some of them behind the cameras."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    means = 0.9 * normal(count, 3)
    sh = torch.cat([0.9 * normal(count, 1, 3), 0.25 * normal(count, (degree + 1) ** 2 - 1, 3)], 1)
    return Gaussians(means, -2.9 + 0.8 * normal(count, 3), normal(count, 4), 0.5 + 2.0 * normal(count), sh)


def still_life(count: int) -> Gaussians:
    """Return a torus over a chequered floor and a small ball, made of flat Gaussians."""
    generator = np.random.default_rng(7)
    ring_count, floor_count = count * 5 // 10, count * 4 // 10
    u, v = generator.uniform(0, 2 * math.pi, (2, ring_count))
    outward = np.stack([np.cos(v) * np.cos(u), np.sin(v), np.cos(v) * np.sin(u)], 1)
    torus = np.stack([np.cos(u), 0 * u, np.sin(u)], 1) + 0.38 * outward
    hue = np.stack([0.5 + 0.45 * np.cos(u + shift) for shift in (0, 2.1, 4.2)], 1) * (
        0.75 + 0.25 * -outward[:, 1:2]
    )
    spot = generator.uniform(-2, 2, (floor_count, 2))
    floor = np.stack([spot[:, 0], np.full(floor_count, 0.42), spot[:, 1]], 1)
    squares = (np.floor(spot * 2).sum(1) % 2)[:, None]
    tiles = squares * [[0.86, 0.84, 0.8]] + (1 - squares) * [[0.32, 0.36, 0.42]]
    ball_count = count - ring_count - floor_count
    ball_normal = generator.normal(size=(ball_count, 3))
    ball_normal /= np.linalg.norm(ball_normal, axis=1, keepdims=True)
    ball = 0.3 * ball_normal + [0, 0.1, 0]
    ball_color = np.array([[0.95, 0.78, 0.25]]) * (0.7 - 0.3 * ball_normal[:, 1:2])
    up = np.tile([[0.0, -1.0, 0.0]], (floor_count, 1))
    means = np.concatenate([torus, floor, ball])
    normals = np.concatenate([outward, up, ball_normal])
    colors = np.concatenate([hue, tiles, ball_color]).clip(0.02, 0.98)
    # The quaternion that turns z into the normal.
    quaternions = np.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], 0 * normals[:, 0]], 1) + 1e-6
    size = 2.8 / math.sqrt(count)
    scales = np.concatenate(
        [np.full((count, 2), size), np.full((count, 1), 0.15 * size)], 1
    ) * generator.uniform(0.8, 1.3, (count, 1))
    sh = np.zeros((count, 4, 3))
    sh[:, 0] = (colors - 0.5) / 0.28209479177387814
    sh[:, 1:] = 0.08 * generator.normal(size=(count, 3, 3))
    tensors = (means, np.log(scales), quaternions, np.full(count, 2.6), sh)
    return Gaussians(*(torch.tensor(array, dtype=torch.float32) for array in tensors))


def ring(count: int, width: int = WIDTH, height: int = HEIGHT, radius: float = 3.2) -> list[Camera]:
    """Return cameras around the origin, with an off-centre principal point."""
    cameras = []
    for index in range(count):
        angle = 2 * math.pi * index / count + 0.3
        position = np.array([radius * math.sin(angle), -1.5, -radius * math.cos(angle)])
        pose = look_at(position, np.zeros(3), np.array(UP))
        focal = 0.95 * width
        cameras.append(
            Camera(
                fx=focal,
                fy=focal,
                cx=width / 2 + 3,
                cy=height / 2 - 2,
                width=width,
                height=height,
                world_to_camera=pose,
            )
        )
    return cameras


def render(
    gaussians: Gaussians, camera: Camera, mode: str = "color", background: list[float] | None = None
) -> np.ndarray:
    """Return the CPU rasterizer's picture: RGB, depth, normals or alpha."""
    result = ops.rasterize(
        gaussians.means,
        gaussians.quaternions,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        torch.tensor(camera.world_to_camera, dtype=torch.float32),
        torch.tensor(camera.intrinsics, dtype=torch.float32),
        camera.width,
        camera.height,
        background=None if background is None else torch.tensor(background),
        outputs=("color", "depth", "normal"),
    )
    return getattr(result, mode).numpy()


def camera_entry(index: int, camera: Camera, **more: object) -> dict:
    return {
        "id": f"c{index}",
        "name": f"image{index:03d}.png",
        "role": "train",
        "width": camera.width,
        "height": camera.height,
        "intrinsics": [float(x) for x in camera.intrinsics],
        "world_to_camera": [float(x) for x in np.asarray(camera.world_to_camera).ravel()],
        "photo": None,
        "picture": None,
        "psnr": None,
        "ssim": None,
        **more,
    }


def session(title: str, cameras: list[dict], **more: object) -> dict:
    return {
        "protocol": 1,
        "version": "0.1.0",
        "title": title,
        "kind": "run",
        "splat": None,
        "stream": None,
        "cameras": cameras,
        "layers": {"points": None, "mesh": None},
        "confidence": None,
        "background": None,
        "up": UP,
        "near": 0.01,
        "poses": None,
        "pictures": False,
        "live": False,
        "run_folder": None,
        **more,
    }


def write_scene(folder: Path, gaussians: Gaussians, cameras: list[Camera], title: str) -> None:
    (folder / "files").mkdir(parents=True, exist_ok=True)
    splat = folder / "files" / "splat"
    write_ply(splat, gaussians)
    entry = splat_entry(splat, "ply", gaussians)
    described = session(title, [camera_entry(i, c) for i, c in enumerate(cameras)], splat=entry)
    (folder / "session.json").write_text(json.dumps(described))


def splat_entry(path: Path, file_format: str, gaussians: Gaussians) -> dict:
    return {
        "file": path.name,
        "format": file_format,
        "bytes": path.stat().st_size,
        "gaussians": len(gaussians),
        "sh_degree": gaussians.sh_degree,
    }


def write_look(folder: Path) -> None:
    """Write the scene for everything that is looked at: photos, slightly brighter than the splats; layers."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    gaussians = still_life(4500)
    write_spz(files / "splat", gaussians)
    cameras = ring(6)
    entries = []
    for index, camera in enumerate(cameras):
        rendered = render(gaussians, camera, background=SKY)
        photo = np.clip(rendered * 1.04 + 0.01, 0, 1)
        photo[20:40, 30:70] = [0.9, 0.2, 0.2]  # something that the splats lack
        save_png(files / f"photo-c{index}", photo)
        save_png(files / f"render-c{index}", rendered)
        psnr = -10 * math.log10(float(((photo - rendered) ** 2).mean()))
        role = "test" if index in (2, 5) else "train"
        entry = camera_entry(
            index, camera, role=role, photo=f"photo-c{index}", picture=f"render-c{index}", psnr=psnr, ssim=0.9
        )
        entries.append(entry)
    save_png(files / "picture", np.broadcast_to(np.array([0.1, 0.6, 0.3], np.float32), (HEIGHT, WIDTH, 3)))
    write_points(files / "points", gaussians)
    write_mesh(files / "mesh")
    confidence = torch.linspace(0, 1, len(gaussians)).numpy().astype("<f4")
    confidence.tofile(files / "confidence")
    described = session(
        "still life",
        entries,
        splat=splat_entry(files / "splat", "spz", gaussians),
        layers={"points": "points", "mesh": "mesh"},
        confidence="confidence",
        background=SKY,
        poses="certified",
        pictures=True,
        run_folder="runs/still-life",
    )
    (folder / "session.json").write_text(json.dumps(described))
    # The same, for a server that alone can draw.
    alone = folder.parent / "pictures-only"
    (alone / "files").mkdir(parents=True, exist_ok=True)
    for path in files.iterdir():
        (alone / "files" / path.name).write_bytes(path.read_bytes())
    (alone / "session.json").write_text(json.dumps({**described, "splat": None, "title": "radiance field"}))


def write_points(path: Path, gaussians: Gaussians) -> None:
    positions = gaussians.means.numpy()
    colors = (255 * (0.5 + 0.28209479177387814 * gaussians.sh[:, 0].numpy())).clip(0, 255).astype(np.uint8)
    names = [
        *(f"property float {n}" for n in "xyz"),
        *(f"property uchar {n}" for n in ("red", "green", "blue")),
    ]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(positions)}",
        *names,
        "end_header",
    ]
    records = np.empty(len(positions), [("p", "<f4", 3), ("c", "u1", 3)])
    records["p"], records["c"] = positions, colors
    path.write_bytes("\n".join([*lines, ""]).encode() + records.tobytes())


def write_mesh(path: Path) -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * 0.45
    faces = np.array(
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
         [1, 5, 7], [1, 7, 3]]
    )  # fmt: skip
    write_glb(path, corners - [0, 0.6, 0], faces, (255 * (corners / 0.9 + 0.5)).astype(np.uint8))


def write_live(folder: Path) -> None:
    """Write the frames of a training, one file each, and a session that has a socket and no splats yet."""
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    final = still_life(2400)
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(len(final), 3, generator=generator)
    for frame in range(6):
        rest = 0.55 ** (frame + 1)
        moved = replace(final, means=final.means + 0.5 * rest * noise)
        (files / f"frame-{frame}").write_bytes(live_message(moved, frame))
    cameras = [camera_entry(i, c) for i, c in enumerate(ring(4))]
    described = session("a training", cameras, kind="live", live=True, background=[0.1, 0.11, 0.13])
    (folder / "session.json").write_text(json.dumps(described))


def live_message(gaussians: Gaussians, frame: int) -> bytes:
    count, coefficients = gaussians.sh.shape[:2]
    stream = io.BytesIO()
    stream.write(b"RCLV" + struct.pack("<7I", 1, frame, count, 0, count, coefficients, 1))
    for name in ("means", "log_scales", "quaternions", "opacity_logits"):
        stream.write(getattr(gaussians, name).numpy().astype("<f4").tobytes())
    stream.write(gaussians.sh.numpy().astype("<f2").tobytes())
    return stream.getvalue()


def save_png(path: Path, picture: np.ndarray) -> None:
    array = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(array)).save(path, "PNG")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
