"""`recon export`: what a finished run holds, in the form another program wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from recon.datasets import read_cameras, write_colmap, write_transforms
from recon.errors import ReconError
from recon.run_folder import RunFolder
from recon.scene import Camera
from recon.splats import Gaussians
from recon.splats.formats import read_splats, write_splats
from recon.splats.render import render

_OPAQUE = 0.5
"""A mesh takes the depth of pixels that are at least this opaque."""

_FRAMES_PER_SECOND = 30
_SECONDS_PER_STEP = 1.5
_SECONDS = (5.0, 30.0)
"""A fly-through takes so long from one input to the next, and so long at least and at most."""


def export_run(path: Path, to: str, output: Path | None = None, *, camera_path: Path | None = None) -> Path:
    """Write a run's scene or cameras in another format.

    Args:
        path: the run folder.
        to: ply, spz, splat (Gaussians), glb (mesh), mp4 (fly-through), colmap or transforms (cameras).
        output: the file to write (for colmap: the folder); default: beside the run's other files. A folder that
            exists gets the default name.
        camera_path: for mp4, a path drawn in the viewer (see `recon.export.camera_path_file`) instead of one along
            the input cameras.

    Returns:
        Where it was written.

    Raises:
        ReconError: when the run did not finish, or the format's own conditions fail.
    """
    if to not in _EXPORTS:
        raise ReconError(f"there is no export to {to!r}; there are {', '.join(_EXPORTS)}")
    if camera_path is not None and to != "mp4":
        raise ReconError(f"a camera path makes a video: use --to mp4 with --camera-path, not --to {to}")
    run = RunFolder.open(path)
    default, export = _EXPORTS[to]
    target = run.path / default if output is None else Path(output)
    if output is not None and target.is_dir() and to != "colmap":
        target = target / default
    suffix = Path(default).suffix
    if target.suffix.lower() != suffix and suffix:
        raise ReconError(f"{target}: an export to {to} writes a {suffix} file; give a name that ends so")
    if camera_path is not None:
        _export_drawn_video(run, target, camera_path)
    else:
        export(run, target)
    return target


def _export_splats(run: RunFolder, target: Path) -> None:
    if target.resolve() != run.splat_file.resolve():
        write_splats(target, _gaussians(run))


def _export_mesh(run: RunFolder, target: Path) -> None:
    from recon.export.mesh import fuse_depths, write_mesh

    gaussians, cameras = _gaussians(run), _input_cameras(run)
    images, depths = [], []
    for camera in cameras:
        picture = render(gaussians, camera, outputs=("color", "median_depth"))
        assert picture.median_depth is not None  # it was asked for
        images.append(picture.color)
        depths.append(torch.where(picture.alpha >= _OPAQUE, picture.median_depth, 0.0))
    write_mesh(target, fuse_depths(cameras, depths, images))


def _export_video(run: RunFolder, target: Path) -> None:
    from recon.export.camera_paths import fly_through

    cameras = _input_cameras(run)
    seconds = min(max(_SECONDS_PER_STEP * (len(cameras) - 1), _SECONDS[0]), _SECONDS[1])
    _render_video(run, target, fly_through(cameras, round(seconds * _FRAMES_PER_SECOND)), _FRAMES_PER_SECOND)


def _export_drawn_video(run: RunFolder, target: Path, camera_path: Path) -> None:
    from recon.export.camera_path_file import read_camera_path

    drawn = read_camera_path(camera_path)
    _render_video(run, target, drawn.cameras, drawn.frames_per_second)


def _render_video(run: RunFolder, target: Path, cameras: list[Camera], frames_per_second: float) -> None:
    from recon.export.video import render_video

    gaussians, stated = _gaussians(run), read_cameras(run.cameras_file).background
    background = None if stated is None else torch.tensor(stated)

    def draw(camera: Camera) -> Tensor:
        return render(gaussians, camera, background=background).color

    render_video(target, cameras, draw, frames_per_second=frames_per_second)


def _export_colmap(run: RunFolder, target: Path) -> None:
    write_colmap(target, read_cameras(run.cameras_file))


def _export_transforms(run: RunFolder, target: Path) -> None:
    write_transforms(target, read_cameras(run.cameras_file))


_EXPORTS: dict[str, tuple[str, Callable[[RunFolder, Path], None]]] = {
    "ply": ("splat.ply", _export_splats),
    "spz": ("splat.spz", _export_splats),
    "splat": ("splat.splat", _export_splats),
    "glb": ("mesh.glb", _export_mesh),
    "mp4": ("fly-through.mp4", _export_video),
    "colmap": ("colmap", _export_colmap),
    "transforms": ("transforms.json", _export_transforms),
}
"""Default name and writer of every format."""


def _gaussians(run: RunFolder) -> Gaussians:
    if not run.splat_file.exists():
        raise ReconError(f"{run.path} has no splat.ply: the run did not finish; continue it with --resume")
    return read_splats(run.splat_file)


def _input_cameras(run: RunFolder) -> list[Camera]:
    return [view.camera for view in read_cameras(run.cameras_file).train_views]
