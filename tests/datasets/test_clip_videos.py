"""Clips of videos: every picture exact, whatever the order, the rate and the rotation."""

import subprocess
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from jaxtyping import UInt8
from make_clips import (
    entry,
    square_cameras,
    write_colmap_file,
    write_frame,
    write_rows,
    write_transforms_file,
)
from make_pictures import assert_same_camera, ring_cameras
from numpy import ndarray

from recon.datasets.clips import open_clip
from recon.datasets.clips.video import VideoFile
from recon.datasets.clips.videos import numbers_at
from recon.errors import ReconError

WIDTH, HEIGHT = 64, 48  # large enough for the codecs to keep the numbers readable


def numbered(number: int, camera: int = 0) -> UInt8[ndarray, "H W 3"]:
    """Return a picture that shows its number and its camera in eight gray fields each."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for row, value in enumerate((number, camera)):
        for bit in range(8):
            field = picture[8 + 16 * row : 24 + 16 * row, 8 * bit : 8 * bit + 8]
            field[:] = 230 if value >> bit & 1 else 25
    picture[40:, :32] = (220, 30, 30)  # red at the lower left tells channels and turns apart
    return picture


def shown_in(picture: ndarray) -> tuple[int, int]:
    """Read the number and the camera back."""
    gray = picture.astype(np.float64).mean(axis=2)
    if picture.dtype == np.float32:
        gray *= 255
    values = []
    for row in range(2):
        fields = [gray[12 + 16 * row : 20 + 16 * row, 8 * bit + 2 : 8 * bit + 6].mean() for bit in range(8)]
        assert all(value < 70 or value > 185 for value in fields), fields
        values.append(sum((value > 128) << bit for bit, value in enumerate(fields)))
    red = picture[42:46, 4:28].astype(np.float64).mean(axis=(0, 1))
    assert red[0] > 2 * red[1] and red[0] > 2 * red[2]
    return values[0], values[1]


def write_simple(path: Path, frames: int, camera: int = 0, fps: float = 30, codec: str = "mp4v") -> Path:
    """Write with OpenCV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(numbered(frame, camera)[:, :, ::-1])
    writer.release()
    return path


def write_timed(
    path: Path, milliseconds: list[int], camera: int = 0, codec: str = "libx264", **options
) -> Path:
    """Write pictures that are shown at the given times."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options={key: str(v) for key, v in options.items()})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, time in enumerate(milliseconds):
            frame = av.VideoFrame.from_ndarray(numbered(number, camera), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def evenly(frames: int, fps: float) -> list[int]:
    return [round(1000 * frame / fps) for frame in range(frames)]


def large_cameras(count: int):
    return [camera.resized(WIDTH, HEIGHT) for camera in square_cameras(count)]


def write_n3dv(folder: Path, frames: int = 6, fps: float = 30) -> None:
    """Write cameras 0 to 2; LLFF rows in name order."""
    write_rows(folder, large_cameras(3))
    for camera in range(3):
        write_simple(folder / f"cam{camera:02d}.mp4", frames, camera, fps)


def test_n3dv(tmp_path: Path) -> None:
    write_n3dv(tmp_path)
    clip = open_clip(tmp_path)
    assert (len(clip), clip.fps, clip.warnings) == (6, 30.0, ())
    assert (clip.train, clip.test) == (("cam01", "cam02"), ("cam00",))
    for frame in (0, 1, 2, 5, 3, 3):
        scene = clip.scene(frame)
        assert scene.bounds == pytest.approx((1.1, 11.0))
        for number, view in enumerate(scene.views):
            assert_same_camera(view.camera, large_cameras(3)[number])
            assert shown_in(view.image) == (frame, number)
    assert open_clip(tmp_path, max_size=32).scene(1).views[0].image.shape == (24, 32, 3)


def test_rows_and_videos_differ_in_number(tmp_path: Path) -> None:
    write_n3dv(tmp_path)
    (tmp_path / "cam01.mp4").unlink()
    with pytest.raises(ReconError, match=r"has 3 poses, but \S+ has 2 videos or folders"):
        open_clip(tmp_path)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.m4v", "clip.mkv"])
def test_every_picture_in_any_order(tmp_path: Path, name: str) -> None:
    """Key pictures far apart and pictures that are coded out of order, where seeking by time goes wrong."""
    video = VideoFile(write_timed(tmp_path / name, evenly(40, 30), bf=3, g=12, crf=10))
    assert len(video) == 40 and video.rate == pytest.approx(30, rel=2e-3)
    for number in [*range(40), 39, 0, 13, 12, 11, 37, 24, 25, 23, 1, 1, 39]:
        assert shown_in(video.picture(number))[0] == number
    video.close()
    assert shown_in(video.picture(7))[0] == 7


def test_open_groups_and_vp9(tmp_path: Path) -> None:
    loose = write_timed(
        tmp_path / "loose.mp4", evenly(40, 30), bf=3, g=12, crf=10, **{"x264-params": "open-gop=1"}
    )
    for path in (loose, write_timed(tmp_path / "nine.webm", evenly(20, 30), codec="libvpx-vp9", crf=20, g=8)):
        video = VideoFile(path)
        for number in (17, 3, 4, 11, 10, 19, 0):
            assert shown_in(video.picture(number))[0] == number


def test_pictures_in_order_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = VideoFile(write_timed(tmp_path / "clip.mp4", evenly(40, 30), bf=2, g=10, crf=10))
    starts: list[int] = []
    start = VideoFile._start

    def counting(self: VideoFile, key: int) -> None:
        starts.append(key)
        start(self, key)

    monkeypatch.setattr(VideoFile, "_start", counting)
    for number in range(40):
        video.picture(number)
        video.picture(number)
    assert starts == [0]
    video.picture(15)  # from the key picture before it
    video.picture(38)  # jumps over what nobody asked for
    assert len(starts) == 3 and 5 < starts[1] <= 15 and 25 < starts[2] <= 38


@pytest.mark.parametrize("colors", ["bt709", "smpte170m", "full range", "not stated"])
def test_colours(tmp_path: Path, colors: str) -> None:
    """Colours come back as they were written, by the matrix and range that the file states."""
    import imageio_ffmpeg

    picture = np.zeros((64, 96, 3), np.uint8)
    for column, color in enumerate([(200, 40, 40), (40, 180, 60), (50, 60, 210), (128, 128, 128)]):
        picture[:, 24 * column : 24 * column + 24] = color
    matrix, span = ("bt709" if colors == "bt709" else "bt601"), ("pc" if colors == "full range" else "tv")
    written = ["-vf", f"scale=out_color_matrix={matrix}:out_range={span}", "-pix_fmt", "yuv420p"]
    if colors != "not stated":
        tag = "bt709" if colors == "bt709" else "smpte170m"
        written += ["-colorspace", tag, "-color_primaries", tag, "-color_trc", tag, "-color_range", span]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", "30", "-i", "-"]
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-loglevel",
            "error",
            *raw,
            *written,
            "-crf",
            "1",
            tmp_path / "colours.mp4",
        ],
        input=picture.tobytes() * 3,
        check=True,
    )
    found = VideoFile(tmp_path / "colours.mp4").picture(1)
    centres = (slice(8, 56), [12, 36, 60, 84])
    np.testing.assert_allclose(found[centres].astype(int), picture[centres].astype(int), atol=4)


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_turned_videos(tmp_path: Path, degrees: int) -> None:
    """A phone held upright writes turned pictures; ffmpeg's own turning is the reference."""
    import imageio_ffmpeg

    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y"]
    stored, turned = write_simple(tmp_path / "stored.mp4", 2), tmp_path / "left.mp4"
    subprocess.run(
        [*ffmpeg, "-display_rotation", str(degrees), "-i", stored, "-c", "copy", turned], check=True
    )
    subprocess.run([*ffmpeg, "-i", turned, "-frames:v", "1", tmp_path / "upright.png"], check=True)
    upright = cv2.imread(str(tmp_path / "upright.png"))[:, :, ::-1]
    (tmp_path / "right.mp4").write_bytes(turned.read_bytes())
    tall = (upright.shape[1], upright.shape[0])
    entries = [
        entry(camera.resized(*tall), name)
        for camera, name in zip(ring_cameras(2, *tall), ("left.mp4", "right.mp4"), strict=True)
    ]
    write_transforms_file(tmp_path, entries)
    view = open_clip(tmp_path).scene(0).views[0]
    assert (view.camera.width, view.camera.height) == tall
    np.testing.assert_allclose(view.image * 255, upright, atol=12)
    if degrees != 180:  # cameras that are for the pictures as stored get these
        for one in entries:
            one["w"], one["h"] = WIDTH, HEIGHT
        write_transforms_file(tmp_path, entries)
        assert shown_in(open_clip(tmp_path).scene(1).views[0].image) == (1, 0)


def test_videos_with_a_colmap_model_or_transforms(tmp_path: Path) -> None:
    cameras = [camera.resized(WIDTH, HEIGHT) for camera in ring_cameras(2)]
    for number, name in enumerate(("left", "right")):
        write_simple(tmp_path / "videos" / f"{name}.mp4", 3, number)
    write_colmap_file(tmp_path, cameras, ["left.png", "right.png"])
    for _ in range(2):
        clip = open_clip(tmp_path)
        assert (clip.train, len(clip)) == (("left", "right"), 3)
        assert [shown_in(view.image) for view in clip.scene(2).views] == [(2, 0), (2, 1)]
        assert_same_camera(clip.scene(2).views[1].camera, cameras[1], 1e-6)
        write_transforms_file(
            tmp_path, [entry(cameras[0], "videos/left.mp4"), entry(cameras[1], "right/000000.png")]
        )


def test_videos_of_one_name_or_several_poses(tmp_path: Path) -> None:
    write_rows(tmp_path, large_cameras(2))
    for suffix in (".mov", ".mp4"):
        write_simple(tmp_path / f"cam00{suffix}", 2)
    assert open_clip(tmp_path).train == ("cam00.mp4",)
    (tmp_path / "poses_bounds.npy").unlink()
    cameras = [camera.resized(WIDTH, HEIGHT) for camera in ring_cameras(3)]
    write_transforms_file(tmp_path, [entry(c, f"cam00/{n}.png") for n, c in enumerate(cameras)])
    with pytest.raises(ReconError, match="several poses of camera cam00, which has one video"):
        open_clip(tmp_path)


def test_different_lengths_and_rates(tmp_path: Path) -> None:
    write_rows(tmp_path, large_cameras(4))
    for number, (frames, fps) in enumerate([(10, 30), (8, 30), (10, 30), (5, 15)]):
        write_simple(tmp_path / f"cam{number:02d}.mp4", frames, number, fps)
    clip = open_clip(tmp_path)
    assert len(clip) == 8 and clip.fps == 30
    assert (
        "30 frames a second; videos of another or a changing rate give the pictures nearest"
        in clip.warnings[0]
    )
    assert clip.warnings[0].endswith(": cam03")
    assert "between 8 and 10 frames: the clip ends with the shortest (camera cam01)" in clip.warnings[1]
    assert [shown_in(clip.scene(frame).view("cam03").image)[0] for frame in (0, 2, 4, 6)] == [0, 1, 2, 3]
    half = open_clip(tmp_path, fps=15, cameras=["cam02", "cam03"], test_cameras=())
    assert (len(half), half.fps) == (5, 15)
    assert [shown_in(half.scene(frame).view("cam02").image)[0] for frame in range(5)] == [0, 2, 4, 6, 8]


def test_a_changing_rate(tmp_path: Path) -> None:
    times = [0, 40, 80, 120, 280, 320, 360, 400]  # three pictures are missing behind the fourth
    write_rows(tmp_path, large_cameras(2))
    write_timed(tmp_path / "cam00.mp4", times)
    write_timed(tmp_path / "cam01.mp4", evenly(11, 25), camera=1)
    clip = open_clip(tmp_path, fps=25)
    assert len(clip) == 11 and clip.warnings[0].endswith("nearest in time: cam00")
    pairs = [[shown_in(view.image)[0] for view in clip.scene(frame).views] for frame in range(11)]
    assert pairs == [[0, 0], [1, 1], [2, 2], [3, 3], [3, 4], [3, 5], [4, 6], [4, 7], [5, 8], [6, 9], [7, 10]]


def test_moments_to_pictures() -> None:
    times = np.array([0.0, 0.1, 0.2])
    assert numbers_at(times, 10).tolist() == [0, 1, 2]
    assert numbers_at(times, 20).tolist() == [0, 0, 1, 1, 2]
    assert numbers_at(times, 5).tolist() == [0, 2]
    assert numbers_at(np.zeros(1), 30).tolist() == [0]
    with pytest.raises(ReconError, match="too long"):
        numbers_at(np.array([0.0, 1e12]), 30)


def test_broken_videos(tmp_path: Path) -> None:
    write_n3dv(tmp_path, frames=20)
    file = tmp_path / "cam01.mp4"
    content = file.read_bytes()
    for broken, message in [
        (b"", "cam01.mp4 is not a readable video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "cam01.mp4 is not a readable video"),
        (content[: len(content) // 2], "cam01.mp4 holds no pictures: it is cut off"),
    ]:
        file.write_bytes(broken)
        with pytest.raises(ReconError, match=message):
            open_clip(tmp_path)


def test_a_cut_or_damaged_video(tmp_path: Path) -> None:
    import imageio_ffmpeg

    whole = write_timed(tmp_path / "whole.mp4", evenly(60, 30), crf=5)
    early = tmp_path / "early.mp4"  # lists its pictures at the start, so that it can be cut
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", whole, "-c", "copy"]
    subprocess.run([*command, "-movflags", "+faststart", early], check=True)
    content = early.read_bytes()
    early.write_bytes(content[: int(len(content) * 0.7)])
    with pytest.raises(ReconError, match=r"early\.mp4 is cut off: it lists 60 pictures and holds \d+"):
        VideoFile(early)
    pictures = content.index(b"mdat")
    start = pictures + (len(content) - pictures) // 2
    noise = np.random.default_rng(0).integers(0, 256, (len(content) - start) // 2, dtype=np.uint8).tobytes()
    early.write_bytes(content[:start] + noise + content[start + len(noise) :])
    video = VideoFile(early)
    with pytest.raises(ReconError, match=r"early\.mp4 is damaged: picture \d+ of 60 cannot be decoded"):
        for number in range(60):
            video.picture(number)


def test_folders_and_videos_together_and_growing_videos(tmp_path: Path) -> None:
    write_n3dv(tmp_path)
    with pytest.raises(ReconError, match="cannot be followed while they are written"):
        open_clip(tmp_path, growing=True)
    (tmp_path / "poses_bounds.npy").unlink()
    write_frame(tmp_path / "folder", 0, 0)
    cameras = large_cameras(2)
    write_transforms_file(tmp_path, [entry(cameras[0], "cam00.mp4"), entry(cameras[1], "folder")])
    with pytest.raises(ReconError, match="videos of 1 cameras and folders of pictures of 1"):
        open_clip(tmp_path)


def test_videos_of_another_shape(tmp_path: Path) -> None:
    write_n3dv(tmp_path)
    write_rows(tmp_path, [camera.resized(48, 64) for camera in large_cameras(3)])
    with pytest.raises(ReconError, match=r"cam00\.mp4 is 64x48, but its camera is for a picture of 48x64"):
        open_clip(tmp_path).scene(0)
