"""Records to means: over the scenes of a data set, then over seeds. What is only partly there is never averaged."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recon.benchmark.record import Record
from recon.evaluation.table import COLUMNS, Statistic, lookup, statistic


@dataclass(frozen=True)
class Summary:
    """A method with a preset, over all scenes of a data set or on one of them.

    Attributes:
        finished, asked: how many runs there are, and how many there should be.
        values: column name to mean and deviation over seeds; None where no run has the value, or only some have it.
        partly: the columns that some runs have and others lack.
    """

    method: str
    preset: str
    finished: int
    asked: int
    values: dict[str, Statistic | None]
    partly: frozenset[str]


@dataclass(frozen=True)
class Section:
    """What is averaged together: one data set at one number of input views.

    Attributes:
        scenes, seeds: those that were asked for.
        overall: one row per method and preset, over all scenes.
        by_scene: the same on every scene alone.
        records: the runs behind them.
    """

    dataset: str
    views: int
    scenes: tuple[str, ...]
    seeds: tuple[int, ...]
    overall: tuple[Summary, ...]
    by_scene: dict[str, tuple[Summary, ...]]
    records: tuple[Record, ...]

    @property
    def title(self) -> str:
        return f"{self.dataset}, {self.views} views"


RunName = tuple[str, str, int, str, str, int]
"""What tells a run apart within a benchmark: data set, scene, views, method, preset, seed."""


def run_name(record: Record) -> RunName:
    return record.dataset, record.scene, record.views, record.method, record.preset, record.seed


def summarize(records: Sequence[Record], asked: Iterable[RunName]) -> list[Section]:
    """Group runs by data set and number of views, and take the means of each group.

    Args:
        asked: the runs that there should be; those that finished belong to them in any case.
    """
    by_name = {run_name(record): record for record in records}
    names = list(dict.fromkeys([*asked, *by_name]))
    sections = []
    for dataset, views in dict.fromkeys((name[0], name[2]) for name in names):
        own = [name for name in names if (name[0], name[2]) == (dataset, views)]
        scenes = tuple(dict.fromkeys(name[1] for name in own))
        sections.append(
            Section(
                dataset=dataset,
                views=views,
                scenes=scenes,
                seeds=tuple(sorted({name[5] for name in own})),
                overall=_summaries(own, by_name),
                by_scene={s: _summaries([name for name in own if name[1] == s], by_name) for s in scenes},
                records=tuple(by_name[name] for name in own if name in by_name),
            )
        )
    return sections


def _summaries(names: Sequence[RunName], records: dict[RunName, Record]) -> tuple[Summary, ...]:
    """Return one summary per method and preset."""
    rows = []
    for method, preset in dict.fromkeys((name[3], name[4]) for name in names):
        asked = [name for name in names if (name[3], name[4]) == (method, preset)]
        finished = [records[name] for name in asked if name in records]
        values: dict[str, Statistic | None] = {}
        partly = set()
        for column in COLUMNS:
            measured = [lookup(record.metrics, COLUMNS[column].path) for record in finished]
            some = any(value is not None for value in measured)
            whole = some and None not in measured and len(finished) == len(asked)
            values[column] = _mean(finished, measured) if whole else None
            if not whole and (some or not finished):
                partly.add(column)
        rows.append(Summary(method, preset, len(finished), len(asked), values, frozenset(partly)))
    return tuple(rows)


def _mean(records: Sequence[Record], values: Sequence[float | None]) -> Statistic:
    """Return mean and deviation, over seeds, of the means over scenes."""
    by_seed: dict[int, list[float]] = {}
    for record, value in zip(records, values, strict=True):
        if value is not None:
            by_seed.setdefault(record.seed, []).append(value)
    return statistic([statistics.fmean(by_seed[seed]) for seed in sorted(by_seed)])
