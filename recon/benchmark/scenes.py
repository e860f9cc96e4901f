"""Find the scenes that a folder of data holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.errors import ReconError


def cases_in_layout(
    request: Request, benchmark: Benchmark, dataset: str, *layouts: str, expected: str
) -> Iterator[Case | LeftOut]:
    """Yield every scene folder in one of these layouts with every number of views, read by the protocol's own rules.

    Args:
        dataset: what the scenes are averaged under.
        expected: what a scene folder holds, for the message when there is none.
    """
    scenes = scene_folders(request.data, in_layout(*layouts), expected)
    names, left_out = chosen_scenes(request, benchmark, scenes)
    yield from left_out
    # The usual factor is the protocol's own: asking for it or not is the same run.
    downscale = None if request.downscale == benchmark.rules.downscale else request.downscale
    for views in request.views or benchmark.views:
        for name in names:
            chosen = {"protocol": benchmark.name, "views": views, "downscale": downscale}
            yield Case(dataset, name, views, scenes[name], chosen)


def scene_folders(data: Path, fits: Callable[[Path], bool], expected: str) -> dict[str, Path]:
    """Return scene folders by name: `data` itself when it is one, else those in it, in name order.

    Args:
        fits: tells whether a folder is a scene of the benchmark.
        expected: what a scene folder holds, for the message when there is none.

    Raises:
        ReconError: when there is none.
    """
    if fits(data):
        return {data.resolve().name: data}
    try:
        folders = sorted(
            entry for entry in data.iterdir() if entry.is_dir() and not entry.name.startswith(".")
        )
    except OSError as error:
        raise ReconError(f"{data} cannot be listed: {error.strerror}") from error
    found = {folder.name: folder for folder in folders if fits(folder)}
    if not found:
        raise ReconError(
            f"{data} is no scene of this benchmark and holds none: a scene folder has {expected}"
        )
    return found


def chosen_scenes(
    request: Request, benchmark: Benchmark, found: Iterable[str]
) -> tuple[list[str], list[LeftOut]]:
    """Choose among the scenes that were found: those asked for, else those that the protocol consists of.

    Where none of a protocol's scenes is there, as with somebody's own captures, all are taken.

    Raises:
        ReconError: when one is asked for that was not found.
    """
    names = list(found)
    absent = [name for name in request.scenes if name not in names]
    if absent:
        raise ReconError(f"{request.data} has no scene {', '.join(absent)}; it has {', '.join(names)}")
    if request.scenes:
        return list(dict.fromkeys(request.scenes)), []
    own = [name for name in names if name in benchmark.rules.scenes]
    if not own:
        return names, []
    reason = f"not among the scenes of protocol {benchmark.name}; --scenes takes it all the same"
    return own, [LeftOut(name, reason) for name in names if name not in own]


def in_layout(*names: str) -> Callable[[Path], bool]:
    """Return a test for folders that are recognised as one of these layouts."""
    from recon.datasets import recognise

    def fits(folder: Path) -> bool:
        try:
            return recognise(folder).name in names
        except ReconError:
            return False

    return fits
