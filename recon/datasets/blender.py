"""Blender scenes: `transforms_train.json`, `transforms_test.json`, RGBA pictures.

Source: Mildenhall et al. 2020, NeRF, synthetic data set.
"""

from pathlib import Path

from recon.datasets.folder import last_number
from recon.datasets.posed_view import WHITE
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule, own_split, read_object
from recon.datasets.transforms import frame_view, missing_warning, read_frames, unique_names
from recon.scene import Scene


def read_blender(
    folder: Path,
    size: PictureSize | None = None,
    rule: SplitRule = own_split,
    background: tuple[float, float, float] = WHITE,
) -> Scene:
    """Read a Blender scene: inputs from the train file, held-out views from the test file.

    Views are named by their path, `train/r_0.png`, because train and test number their pictures alike; a protocol
    knows them by that number.

    Args:
        background: sRGB colour behind the transparent pictures; papers use white.

    Raises:
        ReconError: when a file is malformed or none of its pictures exist.
    """
    parts = {}
    warnings: tuple[str, ...] = ()
    for part in ("train", "test"):
        file = folder / f"transforms_{part}.json"
        if file.is_file():
            parts[part], missing = read_frames(file, read_object(file))
            warnings += missing_warning(file, missing)
    frames = [frame for part in parts.values() for frame in part]
    unique_names([frame.listed for frame in frames])
    views = tuple(frame_view(frame, frame.listed, size, background) for frame in frames)
    stated = Split(
        tuple(frame.listed for frame in parts.get("train", [])),
        tuple(frame.listed for frame in parts.get("test", [])),
    )
    numbers = [last_number(view.name) for view in views]
    indices = tuple(position if number is None else number for position, number in enumerate(numbers))
    split = rule(Listing(tuple(view.name for view in views), indices, stated))
    return Scene(
        folder.resolve().name, views, split.train, split.test, background=background, warnings=warnings
    )
