"""Which photos may be used to reconstruct, and which are held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from recon.datasets.decode import shown
from recon.errors import ReconError
from recon.files import read_json


@dataclass(frozen=True)
class Split:
    """Names of the input views and of the held-out ones."""

    train: tuple[str, ...]
    test: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The views that a data set lists, before any is chosen and before any picture is opened.

    Attributes:
        names: in the data set's order.
        indices: the number by which protocols know each view.
        own: the split that the data set's files state, None when they state none.
    """

    names: tuple[str, ...]
    indices: tuple[int, ...]
    own: Split | None = None

    @classmethod
    def counted(cls, names: Sequence[str], own: Split | None = None) -> "Listing":
        """List views whose index is their position."""
        return cls(tuple(names), tuple(range(len(names))), own)


SplitRule = Callable[[Listing], Split]
"""Chooses inputs and held-out views from a listing."""


def own_split(listing: Listing) -> Split:
    """Follow the split that the data set states; without one, every view is an input."""
    return listing.own or Split(listing.names)


def split_from_file(path: Path) -> SplitRule:
    """Return the rule that a JSON file {"train": [names], "test": [names]} states.

    Names may be a view's name, its file name without folders, or that without its ending, as long as only one view
    fits.

    Raises:
        ReconError: when the file is not such JSON; when applied, if a name fits no view or several.
    """
    stated = read_object(path)
    train, test = stated.get("train"), stated.get("test", [])
    for names in (train, test):
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ReconError(
                f'{shown(path)} must be JSON like {{"train": ["a.jpg", "b.jpg"], "test": ["c.jpg"]}} '
                "with lists of image names"
            )
    if not train:
        raise ReconError(f"{shown(path)} names no training views")

    def rule(listing: Listing) -> Split:
        return Split(match_names(train, listing.names), match_names(test, listing.names))

    return rule


def match_names(wanted: object, names: Sequence[str]) -> tuple[str, ...]:
    """Find the views that a person means: by full name, by file name, or by file name without its ending.

    Raises:
        ReconError: when `wanted` is no list of names (files may hold anything), or a name fits no view or several.
    """
    if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
        raise ReconError("the names of training and test views must be lists of picture names")
    return tuple(dict.fromkeys(_match(name, names) for name in wanted))


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ReconError: when the file cannot be read, or holds anything else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ReconError(f"{shown(path)} must hold a JSON object, not a {type(content).__name__}")
    return content


def _match(wanted: str, names: Sequence[str]) -> str:
    if wanted in names:
        return wanted
    asked = PurePosixPath(wanted)
    for candidates in (
        [name for name in names if PurePosixPath(name).name == asked.name],
        [name for name in names if PurePosixPath(name).stem == asked.name],
        [name for name in names if PurePosixPath(name).stem == asked.stem],
    ):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise ReconError(
                f"the split's {wanted!r} could be {' or '.join(candidates)}: give the longer name"
            )
    raise ReconError(f"the split names {wanted!r}, which is not among the photos {_some(names)}")


def _some(names: Sequence[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:6])} … {names[-1]} ({len(names)} in all)"
    )
