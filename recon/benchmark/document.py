"""What the tables of a benchmark say, before it is written as Markdown, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recon.benchmark.benchmark import Benchmark
from recon.benchmark.published import Published, PublishedFigure
from recon.benchmark.record import Record
from recon.benchmark.summary import RunName, Section, Summary, run_name, summarize
from recon.evaluation.table import (
    COLUMNS,
    Column,
    Row,
    Statistic,
    Table,
    best_rows,
    format_statistic,
    lookup,
)

INCOMPLETE = "incomplete"
"""What stands where only some of the runs have a value."""

WHERE_MEASURED = ("lpips", "lpips_alex", "depth_abs_rel", "depth_rmse", "depth_inliers", "depth_coverage")
"""Columns that tables gain when a run measured them, where their protocol does not have them anyway."""

MEANS = (
    "A value is the mean over a scene's test images, then over the scenes of the data set; ± is the sample standard "
    "deviation of these means over the seeds. Data sets are never averaged together."
)


@dataclass(frozen=True)
class Block:
    """A table below a heading.

    Attributes:
        level: of the heading; 1 is the page's own.
        about: sentences between heading and table.
        notes: footnotes by their mark.
    """

    title: str
    level: int
    about: tuple[str, ...]
    table: Table
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Chapter:
    """One data set at one number of views: its tables, and what they were made from."""

    section: Section
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """Everything that is said of a benchmark.

    Attributes:
        missing: the runs that are neither finished nor known to have failed.
        failures: the runs that failed, each with the reason.
        left_out: what of the data could not be measured, with the reason.
    """

    title: str
    about: tuple[str, ...]
    chapters: tuple[Chapter, ...]
    missing: tuple[str, ...]
    failures: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def absences(self) -> list[tuple[str, tuple[str, ...]]]:
        """What is not in the tables, under a heading each; nothing where all is there."""
        headed = [("Failed", self.failures), ("Missing", self.missing), ("Left out", self.left_out)]
        return [(heading, sentences) for heading, sentences in headed if sentences]


def compose(
    benchmark: Benchmark,
    records: Sequence[Record],
    published: Published,
    *,
    asked: Sequence[RunName] = (),
    failures: Sequence[tuple[RunName, str]] = (),
    left_out: Sequence[str] = (),
    facts: Sequence[str] = (),
) -> Document:
    """Say everything about a benchmark's records.

    Args:
        asked: the runs that there should be.
        failures: the runs that failed, each with a sentence.
        left_out: sentences about what could not be measured.
        facts: sentences about how the benchmark was run.
    """
    asked = [*asked, *(name for name, _ in failures)]
    columns = _columns(benchmark, records)
    finished = {run_name(record) for record in records}
    known = finished | {name for name, _ in failures}
    return Document(
        title=f"Benchmark {benchmark.name}",
        about=(benchmark.summary, f"Rules: {benchmark.rules.source}.", *facts, MEANS),
        chapters=tuple(_chapter(section, columns, published) for section in summarize(records, asked)),
        missing=tuple(run_text(name) for name in dict.fromkeys(asked) if name not in known),
        failures=tuple(f"{run_text(name)}: {text}" for name, text in failures if name not in finished),
        left_out=tuple(left_out),
    )


def run_text(name: RunName) -> str:
    """Return a run's name in words."""
    dataset, scene, views, method, preset, seed = name
    return f"{dataset} {scene}, {views} views, {method} {preset}, seed {seed}"


def _columns(benchmark: Benchmark, records: Sequence[Record]) -> tuple[str, ...]:
    """Return the protocol's columns, and behind its last metric those that were measured beyond them."""
    measured = [
        name
        for name in WHERE_MEASURED
        if name not in benchmark.columns
        and any(lookup(record.metrics, COLUMNS[name].path) is not None for record in records)
    ]
    metrics = [name for name in benchmark.columns if COLUMNS[name].path[0] == "test"]
    costs = [name for name in benchmark.columns if name not in metrics]
    return (*metrics, *measured, *costs)


def _chapter(section: Section, columns: Sequence[str], published: Published) -> Chapter:
    blocks = [_overall(section, columns, published)]
    if len(section.scenes) > 1:
        blocks.append(_by_scene(section, columns))
    return Chapter(section, tuple(blocks))


def _overall(section: Section, columns: Sequence[str], published: Published) -> Block:
    figures = published.of(section.dataset, section.views)
    notes = _Notes()
    header = ("method", "preset", "runs", *(COLUMNS[name].title for name in columns))
    rows = [
        *_own_rows(section.overall, columns, lead=()),
        *(_published_row(figure, section, columns, notes) for figure in figures),
    ]
    count = len(section.scenes)
    scenes = (
        f"{count} scenes ({', '.join(section.scenes)})" if count > 1 else f"scene {section.scenes[0]} alone"
    )
    seeds = f"seed{'s' if len(section.seeds) > 1 else ''} {', '.join(map(str, section.seeds))}"
    about = [f"{scenes[0].upper()}{scenes[1:]}; {seeds}."]
    if figures:
        about.append(
            "Rows in italics are published figures, not measured here; their sources stand below the table."
        )
        if published.note:
            about.append(published.note)
    return Block(section.title, 2, tuple(about), Table(header, 2, tuple(rows)), notes.by_mark)


def _by_scene(section: Section, columns: Sequence[str]) -> Block:
    header = ("scene", "method", "preset", "runs", *(COLUMNS[name].title for name in columns))
    rows = [
        row for scene in section.scenes for row in _own_rows(section.by_scene[scene], columns, lead=(scene,))
    ]
    return Block(f"{section.title}, scene by scene", 3, (), Table(header, 3, tuple(rows)), {})


def _own_rows(summaries: Sequence[Summary], columns: Sequence[str], lead: tuple[str, ...]) -> list[Row]:
    best = {
        name: best_rows([summary.values[name] for summary in summaries], COLUMNS[name]) for name in columns
    }
    first = len(lead) + 3
    rows = []
    for index, summary in enumerate(summaries):
        runs = str(summary.asked)
        if summary.finished < summary.asked:
            runs = f"{summary.finished} of {summary.asked}"
        cells = [
            INCOMPLETE if name in summary.partly else format_statistic(summary.values[name], COLUMNS[name])
            for name in columns
        ]
        bold = frozenset(first + i for i, name in enumerate(columns) if index in best[name])
        rows.append(Row((*lead, summary.method, summary.preset, runs, *cells), bold))
    return rows


def _published_row(figure: PublishedFigure, section: Section, columns: Sequence[str], notes: _Notes) -> Row:
    source = f"{figure.source}; {figure.resolution}"
    if figure.prior is not None:
        source += "; no learned prior" if figure.prior == "none" else f"; learned prior: {figure.prior}"
    obstacle = figure.why_not_comparable(section.scenes)
    said = "published"
    if obstacle is not None:
        said = f"not comparable {notes.mark(f'not comparable: {obstacle}')}"
    digits = _printed_digits(figure)
    cells = [_published_text(figure.metrics.get(name), COLUMNS[name], digits) for name in columns]
    return Row((f"{figure.method} {notes.mark(source)}", said, "", *cells), apart=True)


def _published_text(value: Statistic | None, column: Column, digits: int) -> str:
    """Return a published value with no more digits than were printed, "–" where the paper has none."""
    if value is None:
        return "–"
    return format_statistic(value, column if "dB" in column.title else replace(column, decimals=digits))


def _printed_digits(figure: PublishedFigure) -> int:
    """Return the digits after the point that a paper prints of SSIM and its like: those of its longest value."""
    values = [value.mean for name, value in figure.metrics.items() if "dB" not in COLUMNS[name].title]
    return min(3, max((len(repr(value).partition(".")[2]) for value in values), default=3))


class _Notes:
    """Footnotes: the same text has one mark."""

    def __init__(self) -> None:
        self.by_mark: dict[str, str] = {}
        self._marks: dict[str, str] = {}

    def mark(self, text: str) -> str:
        if text not in self._marks:
            mark = f"[{len(self._marks) + 1}]"
            self._marks[text] = mark
            self.by_mark[mark] = text
        return self._marks[text]
