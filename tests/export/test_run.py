"""Exporting a run folder: every format, default names, sentences."""

import json
import struct

import numpy as np
import pytest
import torch

from recon.datasets import read_cameras, write_transforms
from recon.errors import ReconError
from recon.export.run import export_run
from recon.run_folder import RunFolder
from recon.splats.formats import read_splats, write_splats
from recon.splats.initialize import gaussians_from_points


@pytest.fixture
def run(tmp_path, textured_scene) -> RunFolder:
    """A run whose splat is the true surface: one Gaussian per pixel of the inputs."""
    scene, positions, colors, radii = textured_scene.scene, [], [], []
    for view in scene.train_views:
        depth = textured_scene.depths[view.name]
        known = depth > 0
        camera = view.camera
        positions.append(camera.unproject(camera.pixel_centers()[known], depth[known]))
        colors.append(view.image[known])
        radii.append(0.5 * depth[known] / camera.fx)
    gaussians = gaussians_from_points(
        np.concatenate(positions), np.concatenate(colors), np.concatenate(radii), opacity=0.9
    )
    folder = RunFolder.create(tmp_path / "run", overwrite=False)
    folder.write_config({"version": "0"})
    write_transforms(folder.cameras_file, scene)
    write_splats(folder.splat_file, gaussians)
    return folder


def test_splats(run, tmp_path):
    original = read_splats(run.splat_file)
    assert export_run(run.path, "ply") == run.splat_file
    for to in ("spz", "splat"):
        path = export_run(run.path, to)
        assert path == run.path / f"splat.{to}"
        assert (read_splats(path).means - original.means).abs().max() < 1e-5
    copy = export_run(run.path, "ply", tmp_path)
    assert copy == tmp_path / "splat.ply" and torch.equal(read_splats(copy).sh, original.sh)
    assert export_run(run.path, "spz", tmp_path / "new" / "mine.SPZ").exists()


def test_cameras(run, tmp_path):
    scene = read_cameras(export_run(run.path, "transforms"))
    assert scene.train == read_cameras(run.cameras_file).train
    assert (export_run(run.path, "colmap", tmp_path) / "sparse" / "0" / "images.bin").exists()


def test_mesh_lies_on_the_surface(run, textured_scene):
    path = export_run(run.path, "glb")
    content = path.read_bytes()
    (size,) = struct.unpack_from("<I", content, 12)
    count = json.loads(content[20 : 20 + size])["accessors"][0]["count"]
    vertices = np.frombuffer(content, "<f4", 3 * count, 28 + size).reshape(-1, 3).astype(np.float64)
    assert count > 5000
    errors = np.full(count, np.inf)
    for view in textured_scene.scene.train_views:
        pixels, z = view.camera.project(vertices)
        inside = (pixels >= 0).all(axis=1) & (pixels < [view.camera.width, view.camera.height]).all(axis=1)
        columns, rows = pixels[inside].astype(int).T
        truth = textured_scene.depths[view.name][rows, columns]
        errors[inside] = np.minimum(errors[inside], np.abs(z[inside] - truth) / truth)
    # Gaussians are as thick as a pixel is wide (1 % of the depth), and the mesh lies on their front.
    assert np.median(errors) < 0.015 and (errors < 0.05).mean() > 0.97


def test_video(run):
    path = export_run(run.path, "mp4")
    assert path.name == "fly-through.mp4" and path.stat().st_size > 10_000


def test_video_along_a_drawn_path(run, tmp_path):
    camera = read_cameras(run.cameras_file).train_views[0].camera
    to_world = (camera.camera_to_world @ np.diag([1.0, -1.0, -1.0, 1.0])).ravel().tolist()
    frames = [{"camera_to_world": to_world, "fov": 50.0, "aspect": 4 / 3}] * 5
    drawn = tmp_path / "path.json"
    drawn.write_text(json.dumps({"render_width": 64, "render_height": 48, "fps": 10, "camera_path": frames}))
    path = export_run(run.path, "mp4", tmp_path / "drawn.mp4", camera_path=drawn)
    import imageio_ffmpeg

    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    assert count == 5 and seconds == pytest.approx(0.5, abs=0.05)
    assert next(imageio_ffmpeg.read_frames(str(path)))["size"] == (64, 48)
    with pytest.raises(ReconError, match="use --to mp4"):
        export_run(run.path, "glb", camera_path=drawn)


def test_sentences(run, tmp_path):
    with pytest.raises(ReconError, match=r"writes a \.spz file"):
        export_run(run.path, "spz", tmp_path / "a.ply")
    with pytest.raises(ReconError, match="no export to 'obj'"):
        export_run(run.path, "obj")
    with pytest.raises(ReconError, match="is not a run folder"):
        export_run(tmp_path, "ply")
    run.splat_file.unlink()
    with pytest.raises(ReconError, match="the run did not finish"):
        export_run(run.path, "spz")
