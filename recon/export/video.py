"""Videos as .mp4 (H.264), encoded by the ffmpeg program that imageio-ffmpeg brings along."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from recon.errors import ReconError
from recon.files import atomic_path
from recon.scene import Camera

Frame = Float[Tensor, "H W 3"] | Float[ndarray, "H W 3"] | UInt8[ndarray, "H W 3"]


def render_video(
    path: str | os.PathLike[str],
    cameras: Sequence[Camera],
    render: Callable[[Camera], Frame],
    *,
    frames_per_second: float = 30.0,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Render every camera of a path and write the frames as a video.

    Args:
        cameras: all of one picture size.
        render: returns the picture of a camera, [H, W, 3] sRGB in [0, 1].
        on_frame: called with the number of frames done, for a progress bar.

    Raises:
        ReconError: as `write_video`.
    """

    def frames() -> Iterable[Frame]:
        for index, camera in enumerate(cameras):
            yield render(camera)
            if on_frame is not None:
                on_frame(index + 1)

    write_video(path, frames(), frames_per_second=frames_per_second)


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[Frame],
    *,
    frames_per_second: float = 30.0,
    quality: int = 18,
) -> None:
    """Encode frames as H.264 in an .mp4 that every browser and player shows (yuv420p, BT.709, index in front).

    Frames of odd size get their last column or row twice, since the format stores colour for pairs of pixels.

    Args:
        frames: pictures of one size, sRGB in [0, 1] or bytes, taken one by one.
        quality: H.264 rate factor, 0 (lossless) to 51; 18 looks like the original.

    Raises:
        ReconError: when there are no frames, ffmpeg is missing or fails, or the file cannot be written.
    """
    if Path(path).suffix.lower() != ".mp4":
        raise ReconError(f"{path}: videos are written as .mp4; give a name that ends so")
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise ReconError(f"{path} was not written: a video needs at least one frame")
    pixels = _even(_to_bytes(first))
    with atomic_path(path) as temporary, tempfile.TemporaryFile() as log:
        command = _command(temporary, pixels.shape[1], pixels.shape[0], frames_per_second, quality)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        assert process.stdin is not None
        try:
            process.stdin.write(pixels.tobytes())
            for index, frame in enumerate(iterator, start=1):
                following = _even(_to_bytes(frame))
                if following.shape != pixels.shape:
                    raise ValueError(f"frame {index}: expected shape {pixels.shape}, got {following.shape}")
                process.stdin.write(following.tobytes())
            process.stdin.close()
            status = process.wait()
        except BrokenPipeError:  # ffmpeg gave up and has said why
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status != 0 or not temporary.exists():
            log.seek(0)
            reason = log.read().decode("utf-8", "replace").strip().splitlines()
            raise ReconError(
                f"{path} was not written: ffmpeg failed ({reason[-1] if reason else f'status {status}'})"
            )


def _command(path: Path, width: int, height: int, frames_per_second: float, quality: int) -> list[str]:
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise ReconError(
            f"videos need ffmpeg, which pip install imageio-ffmpeg brings along: {error}"
        ) from None
    return [
        *(program, "-y", "-nostdin", "-loglevel", "error"),
        *(
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{width}x{height}",
            "-r",
            f"{frames_per_second:g}",
            "-i",
            "-",
        ),
        # Untagged small videos are shown with other colour matrices by different players: convert to one and say so.
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", "-color_range", "tv"),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-c:v", "libx264", "-preset", "medium", "-crf", str(quality), "-movflags", "+faststart"),
        *("-f", "mp4", os.fspath(path)),
    ]


def _to_bytes(frame: Frame) -> UInt8[ndarray, "H W 3"]:
    pixels = frame.detach().cpu().numpy() if isinstance(frame, Tensor) else np.asarray(frame)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"frame: expected shape (H, W, 3), got {pixels.shape}")
    if pixels.dtype == np.uint8:
        return pixels
    return np.rint(np.clip(np.nan_to_num(pixels), 0, 1) * 255).astype(np.uint8)


def _even(pixels: UInt8[ndarray, "H W 3"]) -> UInt8[ndarray, "H W 3"]:
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
