"""Published figures to stand beside our own, kept as plain data in `configs/published/`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.config import read_yaml
from recon.errors import ReconError
from recon.evaluation.table import COLUMNS, Statistic
from recon.methods.options import configs_folder

NAMED_SCENES = 4
"""A sentence about scenes that are missing names this many of them at most."""


@dataclass(frozen=True)
class PublishedFigure:
    """What a paper reports for one method on one data set.

    Attributes:
        resolution: the size of the pictures, as the paper's field says it.
        metrics: column name (see `recon.evaluation.table.COLUMNS`) to the mean, and its deviation where stated.
        prior: the learned prior that the method uses; "none", or None where it is not known.
        source: paper and table.
        scenes: the scenes that the figure is a mean over; empty where they are not known.
        obstacle: why it cannot be compared with a run of our protocol even over the same scenes; None when it can.
    """

    protocol: str
    dataset: str
    views: int
    resolution: str
    method: str
    metrics: Mapping[str, Statistic]
    source: str
    prior: str | None = None
    scenes: tuple[str, ...] = ()
    obstacle: str | None = None

    def why_not_comparable(self, scenes: Collection[str]) -> str | None:
        """Say why the figure cannot be compared with our mean over these scenes; None when it can."""
        reasons = [] if self.obstacle is None else [self.obstacle]
        if self.scenes and set(self.scenes) != set(scenes):
            ours = ", ".join(sorted(scenes)) if len(scenes) <= NAMED_SCENES else f"{len(scenes)} scenes"
            reasons.append(f"mean over {len(self.scenes)} scenes, ours is over {ours}")
        return "; ".join(reasons) or None


@dataclass(frozen=True)
class Published:
    """The published figures of a protocol, and what a reader must know about all of them."""

    figures: tuple[PublishedFigure, ...] = ()
    note: str | None = None

    def of(self, dataset: str, views: int) -> list[PublishedFigure]:
        return [figure for figure in self.figures if (figure.dataset, figure.views) == (dataset, views)]


def published(protocol: str) -> Published:
    """Read the figures that were published for a protocol; none where there is no file.

    Raises:
        ReconError: when the file is malformed.
    """
    path = configs_folder() / "published" / f"{protocol}.yaml"
    return read_published(path, protocol) if path.is_file() else Published()


def read_published(path: Path, protocol: str) -> Published:
    """Read a file of published figures.

    Raises:
        ReconError: when it is malformed.
    """
    content = _entry(read_yaml(path), str(path), required=("groups",), optional=("note",))
    note = None if content.get("note") is None else _text(content["note"], f"{path}: note")
    figures = []
    for number, group in enumerate(_list(content["groups"], f"{path}: groups"), 1):
        figures += _group(group, f"{path}: group {number}", protocol)
    return Published(tuple(figures), note)


def _group(data: Any, where: str, protocol: str) -> list[PublishedFigure]:
    group = _entry(
        data,
        where,
        required=("dataset", "views", "resolution", "comparable", "figures"),
        optional=("scenes",),
    )
    views = group["views"]
    if type(views) is not int or views < 1:
        raise ReconError(f"{where}: views must be a positive whole number, got {views!r}")
    scenes = tuple(_text(name, f"{where}: scenes") for name in _list(group.get("scenes", []), where))
    obstacle = _obstacle(group["comparable"], where)
    if obstacle is None and not scenes:
        raise ReconError(f"{where}: comparable figures must name the scenes that they are means over")
    figures = []
    for data in _list(group["figures"], f"{where}: figures"):
        figure = _entry(
            data, where, required=("method", "source"), optional=("prior", "comparable", *COLUMNS)
        )
        method = _text(figure["method"], f"{where}: method")
        place = f"{where}, {method}"
        metrics = {name: _statistic(figure[name], f"{place}: {name}") for name in COLUMNS if name in figure}
        if not metrics:
            raise ReconError(f"{place}: it has no figure; give one of {', '.join(COLUMNS)}")
        figures.append(
            PublishedFigure(
                protocol=protocol,
                dataset=_text(group["dataset"], f"{where}: dataset"),
                views=views,
                resolution=_text(group["resolution"], f"{where}: resolution"),
                method=method,
                metrics=metrics,
                source=_text(figure["source"], f"{place}: source"),
                prior=None if "prior" not in figure else _text(figure["prior"], f"{place}: prior"),
                scenes=scenes,
                obstacle=_obstacle(figure["comparable"], place) if "comparable" in figure else obstacle,
            )
        )
    return figures


def _entry(
    data: Any, where: str, *, required: tuple[str, ...], optional: tuple[str, ...]
) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ReconError(f"{where}: expected values by name, got {data!r}")
    missing = [name for name in required if name not in data]
    if missing:
        raise ReconError(f"{where}: {missing[0]} is missing")
    unknown = [name for name in data if name not in (*required, *optional)]
    if unknown:
        raise ReconError(
            f"{where}: there is no {unknown[0]!r}; there are {', '.join((*required, *optional))}"
        )
    return data


def _list(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise ReconError(f"{where}: expected a list, got {data!r}")
    return data


def _text(value: Any, where: str) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ReconError(f"{where}: expected text, got {value!r}")


def _obstacle(comparable: Any, where: str) -> str | None:
    """Read `comparable`: true, or the sentence why not."""
    if comparable is True:
        return None
    if isinstance(comparable, str) and comparable.strip():
        return comparable
    raise ReconError(f"{where}: comparable must be true or the sentence why it is not, got {comparable!r}")


def _statistic(value: Any, where: str) -> Statistic:
    """Read a mean, or [mean, standard deviation]."""
    numbers = value if isinstance(value, list) else [value]
    usable = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in numbers)
    if not usable or len(numbers) not in (1, 2):
        raise ReconError(f"{where}: expected a number, or [mean, standard deviation], got {value!r}")
    return Statistic(float(numbers[0]), float(numbers[1]) if len(numbers) == 2 else None, 0)
