"""Find the scenes that a folder of data holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from recon.errors import ReconError


def scene_folders(
    data: Path, wanted: tuple[str, ...], fits: Callable[[Path], bool], expected: str
) -> dict[str, Path]:
    """Return scene folders by name: `data` itself when it is one, else those in it, in name order.

    Args:
        wanted: names of scenes to keep; all when empty.
        fits: tells whether a folder is a scene of the benchmark.
        expected: what a scene folder holds, for the message when there is none.

    Raises:
        ReconError: when there is no scene, or not one that is wanted.
    """
    if fits(data):
        found = {data.resolve().name: data}
    else:
        folders = sorted(
            entry for entry in data.iterdir() if entry.is_dir() and not entry.name.startswith(".")
        )
        found = {folder.name: folder for folder in folders if fits(folder)}
    if not found:
        raise ReconError(
            f"{data} is no scene of this benchmark and holds none: a scene folder has {expected}"
        )
    return {name: found[name] for name in select(found, wanted, data)}


def select(found: Iterable[str], wanted: tuple[str, ...], where: Path) -> list[str]:
    """Return the wanted names, in their order, or all when none is named.

    Raises:
        ReconError: when a wanted one is not among those found.
    """
    names = list(found)
    for name in wanted:
        if name not in names:
            raise ReconError(f"{where} has no scene {name}; it has {', '.join(names)}")
    return list(dict.fromkeys(wanted)) or names


def in_layout(*names: str) -> Callable[[Path], bool]:
    """Return a test for folders that are recognised as one of these layouts."""

    from recon.datasets import recognise

    def fits(folder: Path) -> bool:
        try:
            return recognise(folder).name in names
        except ReconError:
            return False

    return fits
