"""Recognise what a folder holds and read it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recon.datasets.blender import read_blender
from recon.datasets.colmap import find_model, read_colmap
from recon.datasets.decode import shown
from recon.datasets.folder import describe_contents, picture_files
from recon.datasets.idr import read_idr
from recon.datasets.llff import read_llff
from recon.datasets.multi_camera import META_FILES, read_multi_camera
from recon.datasets.photos import INNER_FOLDERS
from recon.datasets.protocols import evenly_spaced, load_protocol
from recon.datasets.resize import PictureSize
from recon.datasets.spare import INPUT_VIEWS, calibrated_root, read_spare, spare_scenes, spare_split_files
from recon.datasets.split import Listing, Split, SplitRule, own_split, split_from_file
from recon.datasets.transforms import read_transforms
from recon.errors import ReconError
from recon.scene import Scene

TEST_EVERY = 8
"""Without a protocol, `views` holds out every 8th photo, the usual choice since LLFF."""


CHOICES = {"spare": ("scene", "track", "part"), "multi-camera": ("frame",)}
"""What can be chosen in data sets of some layouts, beside inputs and held-out views."""


@dataclass(frozen=True)
class Layout:
    """A way in which data sets arrange their files.

    Attributes:
        name: short name, used in messages and by `open_scene(layout=…)`.
        marks: the files that tell it, for people.
        fits: tells whether a folder is in this layout, by names only.
        protocol: the benchmark rule that `views` follows when no protocol is named.
    """

    name: str
    marks: str
    fits: Callable[[Path], bool]
    protocol: str | None = None


LAYOUTS = (
    Layout(
        "llff", "poses_bounds.npy beside images/ or images_N/", lambda p: _has(p, "poses_bounds.npy"), "llff"
    ),
    Layout(
        "multi-camera", "train_meta.json, test_meta.json, ims/", lambda p: _has(p, *META_FILES.values()), None
    ),
    Layout(
        "transforms", "transforms.json (nerfstudio, instant-ngp)", lambda p: _has(p, "transforms.json"), None
    ),
    Layout(
        "blender",
        "transforms_train.json, transforms_test.json",
        lambda p: _has(p, "transforms_train.json", "transforms_test.json"),
        "blender",
    ),
    Layout(
        "idr",
        "cameras*.npz beside image/ (DTU in IDR's layout)",
        lambda p: any(p.glob("cameras*.npz")),
        "dtu",
    ),
    Layout(
        "spare", "pos_NNN.txt and rect_NNN_3_r5000.png or cam_NNN_3_0000.png", lambda p: _is_spare(p), "spare"
    ),
    Layout(
        "colmap",
        "cameras.bin or cameras.txt, in sparse/0/, sparse/ or here",
        lambda p: find_model(p) is not None,
    ),
    Layout("photos", "a folder of photos without cameras", lambda p: _has_photos(p)),
)
"""In the order in which they are tried; the first that fits is taken."""


def recognise(path: Path | str) -> Layout:
    """Say which layout a folder (or a transforms.json file) is in.

    Raises:
        ReconError: when none fits; the message lists those that are supported.
    """
    path = Path(path)
    if not path.exists():
        raise ReconError(
            f"{shown(path)} does not exist: give the folder that holds the photos or the data set"
        )
    if path.is_file() and path.suffix == ".json":
        return layout_named("transforms")
    if not path.is_dir():
        raise ReconError(f"{shown(path)} is a file: give the folder that holds the photos or the data set")
    try:
        for layout in LAYOUTS:
            if layout.fits(path):
                return layout
        contents = describe_contents(path)
    except OSError as error:
        raise ReconError(f"{shown(path)} cannot be listed: {error.strerror}") from error
    known = "\n".join(f"  {layout.name}: {layout.marks}" for layout in LAYOUTS)
    raise ReconError(f"{shown(path)} is in no supported layout: it {contents}. Supported are\n{known}")


def layout_named(name: str) -> Layout:
    """Return a layout by its name.

    Raises:
        ReconError: when there is no such layout.
    """
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise ReconError(
        f"there is no layout {name!r}; choose one of {', '.join(layout.name for layout in LAYOUTS)}"
    )


def open_scene(
    path: Path | str,
    *,
    layout: str | None = None,
    protocol: str | None = None,
    split: Path | str | None = None,
    views: int | None = None,
    downscale: float | None = None,
    max_size: int | None = None,
    scene: str | None = None,
    track: int | None = None,
    part: str | None = None,
    frame: int | None = None,
) -> Scene:
    """Read a scene with known cameras from a folder in any supported layout.

    No picture is decoded here: headers are read for their sizes, and pixels load when a view is asked for them.

    Args:
        layout: skip recognition.
        protocol: choose input and test views, and the picture size, by a benchmark's rule.
        split: JSON file {"train": [names], "test": [names]}; goes before `protocol`'s choice.
        views: number of inputs. Without protocol and split, by the layout's usual protocol, else spread evenly over
            the photos that are not every 8th.
        downscale, max_size: shrink pictures; these go before the protocol's size.
        scene, track, part: which SpaRe scene, and which split file of it decides.
        frame: which moment of a multi-camera clip; the first by default.

    Returns:
        The scene; one of its notes says which layout was taken.

    Raises:
        ReconError: when nothing fits or the files are unusable, with a sentence that says what to do.
    """
    path = Path(path)
    found = layout_named(layout) if layout else recognise(path)
    check_choices(path, found, scene=scene, track=track, part=part, frame=frame)
    if found.name == "photos":
        raise ReconError(
            f"{shown(path)} holds photos without cameras: their poses must be estimated first (--poses auto)"
        )
    if split is not None and views is not None:
        raise ReconError("give either a split file or a number of views, not both")
    rule, size = _choose(found, protocol, split, views, PictureSize(downscale, max_size))
    if found.name == "spare":
        track = _track(path, track, protocol, views, split)
        read = read_spare(path, size, rule, scene=scene, track=track, part=part)
    elif found.name == "multi-camera":
        read = read_multi_camera(path, size, rule, frame=frame or 0)
    else:
        read = _READERS[found.name](path, size, rule)
    if not read.train:
        raise ReconError(f"scene {read.name} has no input views: give --split or --views")
    return read.with_notes(f"read as {found.name} ({found.marks})")


def check_choices(path: Path | str, layout: Layout, **choices: object) -> None:
    """Refuse choices that only other layouts offer: they would be ignored.

    Args:
        choices: values of `open_scene`'s scene, track, part and frame; None where not given.

    Raises:
        ReconError: when one is given that this layout does not have.
    """
    for offering, names in CHOICES.items():
        given = [name for name in names if choices.get(name) is not None]
        if given and layout.name != offering:
            raise ReconError(
                f"{' and '.join(f'--{name}' for name in given)} can be chosen in {offering} data only, but "
                f"{shown(path)} is in {layout.name} layout: leave it out"
            )


_READERS: dict[str, Callable[[Path, PictureSize, SplitRule], Scene]] = {
    "llff": read_llff,
    "transforms": read_transforms,
    "blender": read_blender,
    "idr": read_idr,
    "colmap": read_colmap,
}


def _choose(
    layout: Layout, protocol: str | None, split: Path | str | None, views: int | None, size: PictureSize
) -> tuple[SplitRule, PictureSize]:
    """Return the split rule and the picture size that the arguments ask for."""
    rule: SplitRule = own_split
    if protocol is not None:
        chosen = load_protocol(protocol)
        rule = own_split if split is not None else chosen.rule(views)
        if size == PictureSize():
            size = chosen.size
    elif views is not None:
        rule = load_protocol(layout.protocol).rule(views) if layout.protocol else _spread(views)
    if split is not None:
        rule = split_from_file(Path(split))
    return rule, size


def _spread(views: int) -> SplitRule:
    """Spread inputs evenly over the stated training views, or over the photos that are not every 8th."""

    def rule(listing: Listing) -> Split:
        if listing.own and listing.own.test:
            return Split(evenly_spaced(listing.own.train, views), listing.own.test)
        test = listing.names[::TEST_EVERY]
        rest = [name for name in listing.names if name not in test]
        return Split(evenly_spaced(rest, views), test)

    return rule


def _track(
    path: Path, track: int | None, protocol: str | None, views: int | None, split: Path | str | None
) -> int | None:
    """Follow the number of views to its track: 3 is track 1, 9 is track 2."""
    if track is not None or split is not None or protocol not in (None, "spare"):
        return track
    return next((number for number, inputs in INPUT_VIEWS.items() if inputs == views), None)


def _has(folder: Path, *names: str) -> bool:
    return any((folder / name).is_file() for name in names)


def _is_spare(folder: Path) -> bool:
    """Recognise a SpaRe folder, or one scene's pictures with the calibration above them."""
    if spare_split_files(folder):
        return True
    own = any(folder.glob("rect_*_3_r5000.png")) or any(folder.glob("cam_*_3_0000.png"))
    if own:
        return calibrated_root(folder) is not None
    return any(folder.glob("*/pos_001.txt")) and bool(spare_scenes(folder))


def _has_photos(folder: Path) -> bool:
    return any(
        picture_files(place)
        for place in (folder, *(folder / name for name in INNER_FOLDERS))
        if place.is_dir()
    )
