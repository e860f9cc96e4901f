"""Videos: what is written decodes to the frames that went in."""

import subprocess

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.export.camera_paths import fly_through
from recon.export.video import render_video, write_video
from recon.scene import Camera, look_at


def decode(path) -> tuple[np.ndarray, str]:
    """Return the frames [N, H, W, 3] and what ffmpeg says about the file."""
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    facts = subprocess.run([program, "-i", path], capture_output=True, text=True).stderr
    reader = imageio_ffmpeg.read_frames(path)
    width, height = next(reader)["size"]
    return np.array([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]), facts


def test_frames_come_back(tmp_path):
    """Smooth pictures of known colours survive the encoder within a few levels."""
    y, x = np.mgrid[0:48, 0:64]
    frames = [np.stack([x / 63, y / 47, np.full(x.shape, t / 9)], axis=2) for t in range(10)]
    write_video(tmp_path / "a.mp4", (torch.from_numpy(frame).float() for frame in frames))
    decoded, facts = decode(tmp_path / "a.mp4")
    assert decoded.shape == (10, 48, 64, 3)
    assert np.abs(decoded - 255 * np.array(frames)).mean() < 3
    assert "yuv420p(tv, bt709" in facts and "30 fps" in facts and "h264" in facts


def test_odd_sizes_and_bytes(tmp_path):
    write_video(tmp_path / "a.mp4", [np.full((33, 51, 3), 200, np.uint8)] * 3, frames_per_second=12.5)
    decoded, facts = decode(tmp_path / "a.mp4")
    assert decoded.shape == (3, 34, 52, 3) and abs(decoded.mean() - 200) < 2
    assert "12.50 fps" in facts


def test_render_video_follows_the_cameras(tmp_path):
    up = np.array([0.0, -1.0, 0.0])
    cameras = [
        Camera(look_at(np.array([x, 0.0, -4.0]), np.zeros(3), up), 50, 50, 24, 16, 48, 32)
        for x in (-1.0, 0.0, 1.0)
    ]
    seen, counts = [], []

    def render(camera: Camera) -> torch.Tensor:
        seen.append(camera.center[0])
        return torch.full((camera.height, camera.width, 3), 0.5 + camera.center[0] / 4)

    render_video(tmp_path / "a.mp4", fly_through(cameras, 12), render, on_frame=counts.append)
    decoded, _ = decode(tmp_path / "a.mp4")
    assert counts == list(range(1, 13)) and len(seen) == 12
    brightness = decoded.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(brightness, 255 * (0.5 + np.array(seen) / 4), atol=3)


def test_failures_are_sentences_and_leave_nothing(tmp_path):
    with pytest.raises(ReconError, match="needs at least one frame"):
        write_video(tmp_path / "a.mp4", [])
    with pytest.raises(ReconError, match=r"written as \.mp4"):
        write_video(tmp_path / "a.avi", [np.zeros((4, 4, 3))])
    with pytest.raises(ValueError, match="frame 1: expected shape"):
        write_video(tmp_path / "a.mp4", [np.zeros((4, 4, 3)), np.zeros((6, 4, 3))])
    with pytest.raises(ReconError, match="ffmpeg failed"):
        write_video(tmp_path / "a.mp4", [np.zeros((4, 4, 3))], quality=-99999)


def test_an_error_of_the_renderer_passes_through(tmp_path):
    def render(camera: Camera) -> torch.Tensor:
        if camera.fx > 50:
            raise RuntimeError("out of memory")
        return torch.zeros(camera.height, camera.width, 3)

    cameras = [Camera(np.eye(4), fx, 50, 24, 16, 48, 32) for fx in (50, 50, 51)]
    with pytest.raises(RuntimeError, match="out of memory"):
        render_video(tmp_path / "a.mp4", cameras, render)
    assert not list(tmp_path.iterdir())
