"""Files appear whole or not at all, and every failure is a sentence."""

import errno
import json
import os
import resource

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.files import atomic_path, atomic_write, read_bytes, read_json, write_json


def test_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "new" / "folder" / "scene.bin"
    with atomic_write(path) as file:
        file.write(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert os.listdir(path.parent) == ["scene.bin"]


def test_permissions_follow_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a") as file:
            file.write(b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, FileNotFoundError])
def test_an_error_keeps_the_old_file_and_passes_through(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path, text=True) as file:
        file.write("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_full_disk_is_a_sentence_and_keeps_the_old_file(tmp_path):
    """A file size limit makes the kernel refuse writes half way, as a quota does."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(ReconError, match=r"a\.bin was not written"), atomic_write(path) as file:
            file.write(bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full: free some space"),
        (errno.EACCES, "is not writable: choose another folder"),
        (errno.EROFS, "is not writable"),
    ],
)
def test_every_failed_step_is_a_sentence(tmp_path, monkeypatch, number, words):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    for step in ("open", "fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(ReconError, match=words), atomic_write(path) as file:
                file.write(b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["a.bin"]


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReconError, match="a file lies where one of its folders should be"):
        write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(ReconError, match="it is a folder"):
        write_json(tmp_path, {})


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "a.json")
    write_json(tmp_path / "link.json", [1])
    assert (tmp_path / "link.json").is_symlink()
    assert read_json(tmp_path / "real" / "a.json") == [1]


def test_atomic_path_for_programs_that_open_their_output(tmp_path):
    with atomic_path(tmp_path / "a.mp4") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".mp4"
        temporary.write_bytes(b"film")
    assert (tmp_path / "a.mp4").read_bytes() == b"film"
    with pytest.raises(ReconError, match="was not written"), atomic_path(tmp_path / "b.mp4"):
        pass
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_json_round_trip_with_arrays(tmp_path):
    data = {"naïve": np.float32(0.5), "list": torch.arange(3), "path": tmp_path, "none": None}
    write_json(tmp_path / "a.json", data)
    expected = {"naïve": 0.5, "list": [0, 1, 2], "path": str(tmp_path), "none": None}
    assert read_json(tmp_path / "a.json") == expected == json.loads((tmp_path / "a.json").read_text("utf-8"))


def test_json_refuses_what_it_cannot_say(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"psnr": float("nan")})
    with pytest.raises(TypeError, match="object has no JSON form"):
        write_json(tmp_path / "a.json", {"x": object()})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1,}', "line 1, column"),
        (b"", "line 1, column 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[NaN]", "holds NaN"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b"1" * 5000, "digits"),
    ],
)
def test_bad_json_is_a_sentence(tmp_path, content, words):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ReconError, match=words) as caught:
        read_json(tmp_path / "a.json")
    assert "a.json is not a readable JSON file" in str(caught.value)


def test_missing_folder_and_oversize_files(tmp_path):
    with pytest.raises(ReconError, match="there is no file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ReconError, match="is a folder"):
        read_bytes(tmp_path, 10)
    with pytest.raises(ReconError, match="cannot be read"):
        read_bytes("a\0b", 10)
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ReconError, match="larger than 1 MB"):
        read_bytes(tmp_path / "sparse", 1 << 20)
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ReconError, match="is a pipe or a device"):
            read_bytes(special, 1 << 20)
