import json
from pathlib import Path

import pytest

from recon.datasets import Listing, Split, own_split, split_from_file
from recon.errors import ReconError

LISTING = Listing.counted(["train/r_0.png", "train/r_1.png", "test/r_0.png", "IMG_7.JPG"])


def write(folder: Path, content) -> Path:
    file = folder / "split.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_names_short_and_long(tmp_path: Path) -> None:
    rule = split_from_file(
        write(tmp_path, {"train": ["train/r_0.png", "r_1"], "test": ["IMG_7.jpg", "test/r_0.png"]})
    )
    assert rule(LISTING) == Split(("train/r_0.png", "train/r_1.png"), ("IMG_7.JPG", "test/r_0.png"))
    assert split_from_file(write(tmp_path, {"train": ["r_1.png"]}))(LISTING) == Split(("train/r_1.png",))


def test_unknown_and_ambiguous_names(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match=r"names 'r_9\.png', which is not among the photos train/r_0\.png, "):
        split_from_file(write(tmp_path, {"train": ["r_9.png"]}))(LISTING)
    with pytest.raises(
        ReconError, match=r"'r_0' could be train/r_0\.png or test/r_0\.png: give the longer name"
    ):
        split_from_file(write(tmp_path, {"train": ["r_0"]}))(LISTING)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        {"train": "a.png"},
        {"train": [1]},
        {"test": ["a"]},
        {"train": []},
        {"train": ["a"], "test": 3},
    ],
)
def test_malformed_files(tmp_path: Path, content) -> None:
    with pytest.raises(ReconError, match=r"split\.json"):
        split_from_file(write(tmp_path, content))
    with pytest.raises(ReconError, match="there is no file"):
        split_from_file(tmp_path / "none.json")


def test_without_a_choice_the_data_sets_own() -> None:
    assert own_split(LISTING) == Split(LISTING.names)
    stated = Split(("IMG_7.JPG",), ("test/r_0.png",))
    assert own_split(Listing.counted(LISTING.names, stated)) == stated
