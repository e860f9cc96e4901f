"""`recon stream encode` from a folder of pictures to a stream: resume, growing folders, mistakes."""

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from moving_scene import cameras, scene
from PIL import Image

from recon.cli.main import main
from recon.datasets.transforms import OPENGL_AXES
from recon.errors import ReconError
from recon.files import locked
from recon.queen import encode as module
from recon.queen.encode import EncodeOptions, encode
from recon.splats.render import render
from recon.stereo import exposure
from recon.streaming import StreamReader, read_manifest, stream_info

QUICK = (
    "first.settings=[train.iterations=60, initial.count=2000]",
    "frame.iterations=20",
    "frame.mask_block=8",
    "preview_gaussians=200",
    "keyframe_seconds=0.1",
    "segment_seconds=0.07",
)


def write_cameras(folder: Path) -> None:
    entries = [
        {
            "file_path": f"{number}",
            "w": camera.width,
            "h": camera.height,
            "fl_x": camera.fx,
            "fl_y": camera.fy,
            "cx": camera.cx,
            "cy": camera.cy,
            "transform_matrix": (camera.camera_to_world @ OPENGL_AXES).tolist(),
        }
        for number, camera in enumerate(cameras())
    ]
    folder.mkdir(exist_ok=True)
    (folder / "transforms.json").write_text(json.dumps({"frames": entries, "fps": 30}))


def write_frame(folder: Path, frame: int) -> None:
    gaussians = scene(0.05 * frame)
    for number, camera in enumerate(cameras()):
        picture = (render(gaussians, camera).color.clamp(0, 1).numpy() * 255).round().astype(np.uint8)
        path = folder / str(number) / f"{frame:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path.with_suffix(".part"), format="PNG")
        path.with_suffix(".part").rename(path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_cameras(folder)
    for frame in range(6):
        write_frame(folder, frame)
    return folder


@pytest.fixture(scope="module")
def encoded(clip, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("streams") / "whole"
    return encode(EncodeOptions(clip, folder, test_cameras=("2",), settings=QUICK))


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / module.LOG_FILE).read_text().splitlines()]


def encode_until(frame: int, options: EncodeOptions, monkeypatch) -> None:
    """Encode, and be interrupted while the frame after this one is trained."""
    trained = module.train_frame

    def interrupted(state, *rest):
        if state.frame == frame:
            raise KeyboardInterrupt
        return trained(state, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "train_frame", interrupted)
        encode(options)


def test_a_clip_becomes_a_stream(encoded: Path) -> None:
    info = stream_info(encoded)
    assert read_manifest(encoded).frames == 6 and not read_manifest(encoded).live
    assert "checksums" in "\n".join(info.lines())
    log = rows(encoded)
    assert [row["frame"] for row in log] == list(range(6))
    assert log[0]["hardware"] and set(log[1]["psnr_per_camera"]) == {"2"}
    assert all(row["bytes"] < 0.3 * log[0]["bytes"] for row in log[1:])
    assert min(row["psnr"] for row in log) > log[0]["psnr"] - 2, "quality does not fall away"
    manifest = json.loads((encoded / "manifest.json").read_text())
    assert [camera["role"] for camera in manifest["cameras"]] == ["train"] * 4 + ["test"]
    preview = [file for file in manifest["keyframes"] if file["name"].startswith("preview")]
    assert [file["gaussians"] for file in preview] == [200]


def test_what_is_measured_is_what_a_player_has(encoded: Path, clip: Path) -> None:
    from recon.datasets.clips import open_clip
    from recon.evaluation.metrics import psnr

    view = open_clip(clip, test_cameras=("2",)).scene(5).test_views[0]
    state = StreamReader(encoded).state_at(5)
    picture = render(state.gaussians(), view.camera).color.clamp(0, 1).numpy()
    assert psnr(picture, view.image) == pytest.approx(rows(encoded)[5]["psnr"], abs=1e-6)


def test_an_interrupted_stream_goes_on_to_the_same_bytes(clip, encoded, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "stream"
    options = EncodeOptions(clip, folder, test_cameras=("2",), settings=QUICK)
    encode_until(3, options, monkeypatch)
    assert read_manifest(folder).live and StreamReader(folder).manifest.frames >= 3
    with pytest.raises(ReconError, match="--resume"):
        encode(options)
    with pytest.raises(ReconError, match="other settings"):
        encode(replace(options, resume=True, settings=("frame.iterations=99",)))
    encode(replace(options, resume=True, settings=QUICK[1:3]))
    assert [row["frame"] for row in rows(folder)] == list(range(6))
    ours, theirs = (StreamReader(one).state_at(5).checksum() for one in (folder, encoded))
    assert ours == theirs


def test_cameras_of_different_exposure_are_evened_out(clip, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exposure, "MIN_PART", 5)  # the pictures are tiny
    exposed = tmp_path / "exposed"
    shutil.copytree(clip, exposed)
    for camera, factor in {"0": 0.8, "1": 1.2, "3": 1.1, "4": 0.95}.items():
        for path in (exposed / camera).iterdir():
            values = np.asarray(Image.open(path), np.float64) * factor
            Image.fromarray(values.clip(0, 255).round().astype(np.uint8)).save(path)
    settings = (*QUICK, "renewal.seconds=0.1")
    options = EncodeOptions(exposed, tmp_path / "even", test_cameras=("2",), frames=5, settings=settings)
    even = encode(options)
    stored = yaml.safe_load((even / module.SETTINGS_FILE).read_text())["exposures"]
    assert stored["1"][0] / stored["0"][0] == pytest.approx(1.5, rel=0.05)
    off = (*settings, "first.settings=[train.iterations=60, initial.count=2000, stereo.exposures=false]")
    uneven = encode(replace(options, output=tmp_path / "uneven", settings=off))
    for one, other in zip(rows(even), rows(uneven), strict=True):
        assert one["psnr"] > other["psnr"]
    broken = replace(options, output=tmp_path / "broken")
    encode_until(2, broken, monkeypatch)
    encode(replace(broken, resume=True, settings=()))
    ours, theirs = (StreamReader(one).state_at(4).checksum() for one in (broken.output, even))
    assert ours == theirs, "what frame 0 told about the cameras is remembered"


def test_what_has_moved_is_renewed_even_across_an_interruption(clip, tmp_path, monkeypatch) -> None:
    settings = (*QUICK, "renewal.seconds=0.1")  # at frame 3
    whole = encode(EncodeOptions(clip, tmp_path / "whole", test_cameras=("2",), frames=5, settings=settings))
    log = rows(whole)
    assert log[3]["bytes"] > 2 * max(log[2]["bytes"], log[4]["bytes"]), "Gaussians entered"
    assert log[3]["psnr"] > log[2]["psnr"] - 1, "and they fit in"
    assert "checksums" in "\n".join(stream_info(whole).lines())
    options = EncodeOptions(clip, tmp_path / "parts", test_cameras=("2",), frames=5, settings=settings)
    encode_until(2, options, monkeypatch)
    encode(replace(options, resume=True, settings=()))
    ours, theirs = (StreamReader(one).state_at(4).checksum() for one in (options.output, whole))
    assert ours == theirs


def test_two_encoders_do_not_write_to_one_folder(clip, encoded) -> None:
    before = (encoded / "manifest.json").read_bytes()
    with locked(encoded), pytest.raises(ReconError, match="another command is working on"):
        encode(EncodeOptions(clip, encoded, overwrite=True, settings=QUICK))
    assert (encoded / "manifest.json").read_bytes() == before


def test_a_growing_folder_is_followed(tmp_path, capsys) -> None:
    folder = tmp_path / "recording"
    write_cameras(folder)

    def record() -> None:
        for frame in range(3):
            write_frame(folder, frame)
            time.sleep(0.3)

    recorder = threading.Thread(target=record)
    recorder.start()
    settings = (*QUICK, "frame.iterations=4", "first.settings=[train.iterations=4, initial.count=500]")
    encode(EncodeOptions(folder, tmp_path / "stream", watch=True, patience=3.0, settings=settings))
    recorder.join()
    assert read_manifest(tmp_path / "stream").frames == 3
    assert "the stream ends here" in capsys.readouterr().err


def test_mistakes_end_in_sentences(clip, encoded, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    for options, words in (
        (EncodeOptions(clip, encoded), "already holds a stream"),
        (EncodeOptions(clip, tmp_path / "full"), "not empty"),
        (EncodeOptions(clip, tmp_path / "full", overwrite=True), "no part of a stream"),
        (EncodeOptions(clip, tmp_path / "s", preset="slow"), "there are quick"),
        (EncodeOptions(clip, tmp_path / "s", settings=("frame.epochs=3",)), "no setting 'epochs'"),
        (EncodeOptions(tmp_path, tmp_path / "s"), "no clip in a supported layout"),
    ):
        with pytest.raises(ReconError, match=words):
            encode(options)
    assert (tmp_path / "full" / "letter.txt").exists()


def test_the_command(clip, tmp_path, capsys) -> None:
    words = ["stream", "encode", str(clip), "-o", str(tmp_path / "stream"), "--frames", "2", "--set", *QUICK]
    main([*words, "frame.iterations=4", "first.settings=[train.iterations=4, initial.count=500]"])
    assert "frame 1:" in capsys.readouterr().err
    main(["stream", "info", str(tmp_path / "stream")])
    assert "2 frames" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "--overwrite" in capsys.readouterr().err
