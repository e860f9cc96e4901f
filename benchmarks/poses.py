"""Measure pose estimation on captured scenes with known cameras: how often certified, refused, silently wrong.

    RECON_DATA=/path/to/captures python benchmarks/poses.py --rows poses.jsonl --table poses.md

Sets of 3, 5 and 9 photos of fern, fox, lego, scan65 and basketball (one frame of fixed cameras with two kinds of
lenses), chosen in three ways: `near` (the photos nearest to a middle one),
`even` (evenly spaced in capture order) and `fps` (farthest-point choice of camera centres). Nothing but the pictures is
given to the estimation. A result is bad when, over the pairs of photos placed, the mean error of relative rotations
is 2 degrees or more or the mean error of relative translation directions is 10 degrees or more. Rows already in the
file are not run again.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image, ImageOps

from recon.datasets.decode import read_header
from recon.poses import PoseSettings, estimate_poses
from recon.scene.photo import Photo
from recon.scene.rigid import invert_rigid, rotation_angle
from recon.scene.view import Pixels

SIZES = (3, 5, 9)
KINDS = ("near", "even", "fps")
BAD_ROTATION, BAD_DIRECTION = 2.0, 10.0


@dataclass(frozen=True)
class Capture:
    """A captured scene: photo files in capture order and, where known, their true cameras."""

    name: str
    files: list[Path]
    world_to_camera: list[ndarray] | None

    def photo_name(self, number: int) -> str:
        """Return the file's name, with its folder's where every folder holds a file of that name."""
        file = self.files[number]
        return (
            file.name
            if len({f.name for f in self.files}) == len(self.files)
            else f"{file.parent.name}_{file.name}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=Path, default=Path("poses.jsonl"), help="one JSON row per set; resumed"
    )
    parser.add_argument("--table", type=Path, help="write the Markdown table here as well")
    parser.add_argument("--scenes", default="fern,fox,lego,scan65,basketball,sceaux", help="comma separated")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = Path(os.environ["RECON_DATA"])
    rows = (
        [json.loads(line) for line in arguments.rows.read_text().splitlines()]
        if arguments.rows.exists()
        else []
    )
    done = {(row["scene"], row["kind"], row["photos"]) for row in rows}
    for scene in arguments.scenes.split(","):
        capture = CAPTURES[scene](data)
        for kind, chosen in choose_sets(capture):
            if (scene, kind, len(chosen)) in done:
                continue
            row = run_set(capture, kind, chosen, arguments.seed)
            with arguments.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
            rows.append(row)
            print(table_row(row), flush=True)
    text = report(rows)
    print(text)
    if arguments.table:
        arguments.table.write_text(text)


def choose_sets(capture: Capture) -> list[tuple[str, list[int]]]:
    """Return (kind, photo numbers) of the sets to run; the whole capture where the truth is not known."""
    if capture.world_to_camera is None:
        everything = list(range(len(capture.files)))
        return [("all", everything), ("all, EXIF", everything)]
    centers = np.array([invert_rigid(pose)[:3, 3] for pose in capture.world_to_camera])
    middle = int(np.linalg.norm(centers - centers.mean(axis=0), axis=1).argmin())
    choices = {
        "near": lambda n: sorted(
            np.linalg.norm(centers - centers[middle], axis=1).argsort(kind="stable")[:n].tolist()
        ),
        "even": lambda n: np.linspace(0, len(centers) - 1, n).round().astype(int).tolist(),
        "fps": lambda n: sorted(farthest_points(centers, n, middle)),
    }
    return [(kind, choices[kind](n)) for kind in KINDS for n in SIZES]


def farthest_points(points: ndarray, count: int, first: int) -> list[int]:
    """Return `count` points, each the farthest from those before it."""
    chosen = [first]
    while len(chosen) < count:
        distance = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(axis=1)
        chosen.append(int(distance.argmax()))
    return chosen


def run_set(capture: Capture, kind: str, chosen: list[int], seed: int) -> dict:
    photos = [open_photo(capture.files[i], capture.photo_name(i), kind.endswith("EXIF")) for i in chosen]
    settings = PoseSettings(accept="uncertified", threads=1, seed=seed)
    start = time.process_time()
    estimate = estimate_poses(photos, settings)
    row = {
        "scene": capture.name,
        "kind": kind,
        "photos": len(photos),
        "names": [photo.name for photo in photos],
        "cpu_seconds": round(time.process_time() - start, 1),
        **estimate.record(),
    }
    if capture.world_to_camera is not None and len(estimate.cameras) >= 2:
        truth = {capture.photo_name(i): capture.world_to_camera[i] for i in chosen}
        found = {name: camera.world_to_camera for name, camera in estimate.cameras.items()}
        row["rotation"], row["direction"] = (round(error, 3) for error in pose_errors(found, truth))
    if estimate.cameras:
        lens = next(iter(estimate.cameras.values())).lens
        row["focal_pixels"], row["k1"] = round(lens.focal, 1), round(lens.k1, 4)
    return row


def pose_errors(found: dict[str, ndarray], truth: dict[str, ndarray]) -> tuple[float, float]:
    """Return the mean errors of relative rotations and of relative translation directions, degrees."""
    rotations, directions = [], []
    for a, b in combinations(found, 2):
        relative = found[b] @ invert_rigid(found[a])
        expected = truth[b] @ invert_rigid(truth[a])
        rotations.append(rotation_angle(relative[:3, :3] @ expected[:3, :3].T))
        t, u = relative[:3, 3], expected[:3, 3]
        directions.append(np.arctan2(np.linalg.norm(np.cross(t, u)), t @ u))
    return float(np.degrees(np.mean(rotations))), float(np.degrees(np.mean(directions)))


def outcome(row: dict) -> str:
    """Return what the estimation would tell a person by default, and whether it is right."""
    if row["status"] != "certified":
        return "plausible" if row["status"] == "plausible" else "refused"
    if is_bad(row):
        return "silently wrong"
    return "certified" if len(row["cameras"]) == row["photos"] else "certified part"


def is_bad(row: dict) -> bool:
    return row.get("rotation", 0.0) >= BAD_ROTATION or row.get("direction", 0.0) >= BAD_DIRECTION


def report(rows: list[dict]) -> str:
    lines = [
        f"Date {date.today()}, {platform.machine()}, {os.cpu_count()} virtual cores, one thread.",
        "",
        "| scene | set | photos | result | placed | rotation | direction | strategy | E_min | V_all | C3 | A |"
        " cpu s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(table_row(row) for row in rows),
        "",
        "Errors in brackets belong to the best answer that was *not* certified and that a person only gets on request.",
        "",
        "| scene | sets | certified complete | certified part | plausible (right) | refused (best answer right) |"
        " silently wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    truth_rows = [row for row in rows if not row["kind"].startswith("all")]
    for scene in [*dict.fromkeys(row["scene"] for row in truth_rows), "sum"]:
        part = [row for row in truth_rows if scene in (row["scene"], "sum")]
        counts = {name: [row for row in part if outcome(row) == name] for name in OUTCOMES}
        right = {
            name: sum(1 for r in counts[name] if len(r["cameras"]) >= 3 and not is_bad(r))
            for name in ("plausible", "refused")
        }
        lines.append(
            f"| {scene} | {len(part)} | {len(counts['certified'])} | {len(counts['certified part'])} | "
            f"{len(counts['plausible'])} ({right['plausible']}) | {len(counts['refused'])} ({right['refused']}) | "
            f"{len(counts['silently wrong'])} |"
        )
    return "\n".join(lines) + "\n"


OUTCOMES = ("certified", "certified part", "plausible", "refused", "silently wrong")


def table_row(row: dict) -> str:
    evidence = row["evidence"] or {}
    errors = [f"{row[key]:.2f}" if key in row else "-" for key in ("rotation", "direction")]
    if not outcome(row).startswith(("certified", "silently")):
        errors = [f"({error})" for error in errors]
    cells = [
        row["scene"],
        row["kind"],
        row["photos"],
        outcome(row),
        f"{len(row['cameras'])}/{row['photos']}",
        *errors,
        row["strategy"] or "-",
        *(evidence.get(key, "-") for key in ("E_min", "V_all", "C3", "A")),
        row["cpu_seconds"],
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def open_photo(path: Path, name: str, with_focal: bool) -> Photo:
    with Image.open(path) as file:
        width, height = ImageOps.exif_transpose(file).size

    def load() -> Pixels:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode == "RGBA":
                white = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(white, picture)
            return Pixels(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0)

    focal = read_header(path).focal_pixels if with_focal else None
    return Photo(name, width, height, focal, load)


def fox(data: Path) -> Capture:
    return _from_transforms("fox", data / "fox" / "transforms.json", "")


def lego(data: Path) -> Capture:
    return _from_transforms("lego", data / "lego_400" / "transforms_train.json", ".png")


def _from_transforms(name: str, path: Path, suffix: str) -> Capture:
    frames = json.loads(path.read_text())["frames"]
    posed = [(path.parent / (frame["file_path"] + suffix), frame["transform_matrix"]) for frame in frames]
    posed = [(file, np.array(matrix)) for file, matrix in posed if file.exists()]
    posed.sort(key=lambda item: (len(item[0].name), item[0].name))
    poses = [invert_rigid(matrix @ np.diag([1.0, -1.0, -1.0, 1.0])) for _, matrix in posed]
    return Capture(name, [file for file, _ in posed], poses)


def fern(data: Path) -> Capture:
    folder = data / "llff" / "fern"
    files = sorted((folder / "images_4").iterdir())
    values = np.load(folder / "poses_bounds.npy", allow_pickle=False)[:, :15].reshape(-1, 3, 5)
    poses = []
    for down, right, back, center in zip(*(values[:, :, k] for k in range(4)), strict=True):
        pose = np.eye(4)
        pose[:3] = np.stack([right, down, -back, center], axis=1)
        poses.append(invert_rigid(pose))
    return Capture("fern", files, poses)


def scan65(data: Path) -> Capture:
    from cv2 import decomposeProjectionMatrix

    files = sorted((data / "spare" / "images" / "scan65").glob("rect_*_3_r5000.png"))
    poses = []
    for file in files:
        projection = np.loadtxt(data / "spare" / "dtu_calibration" / f"pos_{file.name[5:8]}.txt")
        _, rotation, center = decomposeProjectionMatrix(projection)[:3]
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = -rotation @ (center[:3, 0] / center[3, 0])
        poses.append(pose)
    return Capture("scan65", files, poses)


def basketball(data: Path) -> Capture:
    folder = data / "panoptic_basketball"
    meta = json.loads((folder / "train_meta.json").read_text())
    posed = [
        (folder / "ims" / file, np.array(pose))
        for file, pose in zip(meta["fn"][0], meta["w2c"][0], strict=True)
    ]
    posed = [(file, pose) for file, pose in posed if file.exists()]
    return Capture("basketball", [file for file, _ in posed], [pose for _, pose in posed])


def sceaux(data: Path) -> Capture:
    files = sorted(p for p in (data / "sceaux" / "images").iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    return Capture("sceaux", files, None)


CAPTURES: dict[str, Callable[[Path], Capture]] = {
    "fern": fern,
    "fox": fox,
    "lego": lego,
    "scan65": scan65,
    "basketball": basketball,
    "sceaux": sceaux,
}

if __name__ == "__main__":
    main()
