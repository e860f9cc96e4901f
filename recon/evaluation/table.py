"""Tables over several runs: mean ± standard deviation over seeds, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon.errors import ReconError
from recon.evaluation.metrics import WEIGHTS_NOT_INSTALLED
from recon.files import read_json


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        path: where the value stands in `metrics.json`, for example ("test", "psnr").
        title: what heads the column, with the unit.
        decimals: digits after the point.
        better: "higher", "lower" or None; decides which row is set in bold.
        missing: what stands where no run has the value.
    """

    path: tuple[str, ...]
    title: str
    decimals: int
    better: str | None = None
    missing: str = "–"


COLUMNS: dict[str, Column] = {
    "psnr": Column(("test", "psnr"), "PSNR (dB)", 2, "higher"),
    "ssim": Column(("test", "ssim"), "SSIM", 3, "higher"),
    "lpips": Column(("test", "lpips"), "LPIPS", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "lpips_alex": Column(("test", "lpips_alex"), "LPIPS (AlexNet)", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "average": Column(("test", "average"), "average error", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "average_masked": Column(
        ("test", "average_masked"), "average error-M", 3, "lower", WEIGHTS_NOT_INSTALLED
    ),
    "psnr_masked": Column(("test", "psnr_masked"), "PSNR-M (dB)", 2, "higher"),
    "ssim_masked": Column(("test", "ssim_masked"), "SSIM-M", 3, "higher"),
    "lpips_masked": Column(("test", "lpips_masked"), "LPIPS-M", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "gradient_error": Column(("test", "gradient_error"), "gradient error", 4, "lower"),
    "depth_abs_rel": Column(("test", "depth_abs_rel"), "depth abs rel", 4, "lower"),
    "train_psnr": Column(("train_views", "psnr"), "train PSNR (dB)", 2),
    "seconds": Column(("seconds", "total"), "time (s)", 1, "lower"),
    "gaussians": Column(("gaussians",), "Gaussians", 0),
    "peak_memory_mb": Column(("peak_memory_mb",), "peak memory (MB)", 0, "lower"),
}
DEFAULT_COLUMNS = ("psnr", "ssim", "lpips", "seconds", "gaussians")


@dataclass(frozen=True)
class Statistic:
    """Mean and sample standard deviation of `count` values; no deviation for a single one."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Row:
    """Runs that differ in nothing but their seed.

    Attributes:
        key: what the rows are told apart by, in the order of the table's first columns.
        runs: how many runs stand behind the row.
        values: column name to its statistic; None where no run has the value.
    """

    key: tuple[str, ...]
    runs: int
    values: dict[str, Statistic | None]


def read_runs(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Read `metrics.json` of several run folders; each gains `"run"`, the folder's name.

    Raises:
        ReconError: when one is missing or is not a metrics file.
    """
    runs = []
    for folder in folders:
        path = Path(folder) / "metrics.json"
        metrics = read_json(path)
        if not isinstance(metrics, dict):
            raise ReconError(f"{path} does not hold metrics by name; evaluate the run again")
        runs.append({**metrics, "run": Path(folder).name})
    return runs


def summarize(
    runs: Sequence[Mapping[str, Any]],
    *,
    by: Sequence[str] = ("method", "preset"),
    columns: Sequence[str] = DEFAULT_COLUMNS,
) -> list[Row]:
    """Group runs and take mean and standard deviation over each group.

    A value counts only where a run measured it: a group whose runs have it partly is refused, because its
    mean would be over other seeds than its neighbours'.

    Args:
        by: top-level names of `metrics.json` whose values tell groups apart; rows keep the order of first
            appearance.
        columns: names from `COLUMNS`.

    Raises:
        ReconError: for an unknown column, a repeated seed in a group, or a value that only some of a group's
            runs have.
    """
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise ReconError(f"there is no column {unknown[0]!r}; there are {', '.join(COLUMNS)}")
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(tuple(str(run.get(name, "–")) for name in by), []).append(run)
    rows = []
    for key, members in groups.items():
        label = ", ".join(key)
        seeds = [run.get("seed") for run in members]
        if len(members) > 1 and len(set(seeds)) < len(seeds):
            raise ReconError(
                f"{label}: two runs have the same seed (seeds {seeds}); runs of several scenes need the scene in `by`"
            )
        values = {name: _statistic(members, COLUMNS[name], label) for name in columns}
        rows.append(Row(key, len(members), values))
    return rows


def markdown_table(rows: Sequence[Row], *, by: Sequence[str] = ("method", "preset")) -> str:
    """Return a Markdown table; the best mean of each column is bold, and `runs` tells how many seeds there are."""
    columns = _column_names(rows)
    header = [*by, "runs", *(COLUMNS[name].title for name in columns)]
    best = {name: _best(rows, name) for name in columns}
    lines = [_markdown_row(header), _markdown_row(["---"] * len(by) + ["---:"] * (len(columns) + 1))]
    for index, row in enumerate(rows):
        cells = [*map(_escape_markdown, row.key), str(row.runs)]
        for name in columns:
            text = format_statistic(row.values[name], COLUMNS[name])
            cells.append(f"**{text}**" if index in best[name] else text)
        lines.append(_markdown_row(cells))
    return "\n".join(lines) + "\n"


def csv_table(rows: Sequence[Row], *, by: Sequence[str] = ("method", "preset")) -> str:
    """Return a CSV table with a mean and a standard-deviation column per metric, unrounded; missing is empty."""
    columns = _column_names(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*by, "runs", *(f"{name}_{part}" for name in columns for part in ("mean", "std"))])
    for row in rows:
        cells: list[Any] = [*map(_inert, row.key), row.runs]
        for name in columns:
            statistic = row.values[name]
            cells += ["", ""] if statistic is None else [statistic.mean, _or_empty(statistic.deviation)]
        writer.writerow(cells)
    return text.getvalue()


def statistic(values: Sequence[float]) -> Statistic:
    """Return mean and sample standard deviation (n - 1) of at least one value."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Statistic(statistics.fmean(values), deviation, len(values))


def format_statistic(value: Statistic | None, column: Column) -> str:
    """Return "22.31 ± 0.12", without the deviation for a single run, or the column's word for a missing value."""
    if value is None:
        return column.missing
    mean = f"{value.mean:.{column.decimals}f}"
    return mean if value.deviation is None else f"{mean} ± {value.deviation:.{column.decimals}f}"


def lookup(metrics: Mapping[str, Any], path: Sequence[str]) -> float | None:
    """Return the number at a path of nested names, None where there is none."""
    value: Any = metrics
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _statistic(runs: Sequence[Mapping[str, Any]], column: Column, label: str) -> Statistic | None:
    values = [lookup(run, column.path) for run in runs]
    present = [value for value in values if value is not None]
    if not present:
        return None
    if len(present) < len(values):
        raise ReconError(
            f"{label}: only {len(present)} of {len(values)} runs have {column.title}; evaluate the others again"
        )
    return statistic(present)


def _column_names(rows: Sequence[Row]) -> list[str]:
    return list(rows[0].values) if rows else []


def _best(rows: Sequence[Row], name: str) -> set[int]:
    """Return the rows whose mean is best as printed; none when there is nothing to compare."""
    column = COLUMNS[name]
    means = {
        index: round(value.mean, column.decimals)
        for index, row in enumerate(rows)
        if (value := row.values[name]) is not None
    }
    if column.better is None or len(means) < 2:
        return set()
    best = max(means.values()) if column.better == "higher" else min(means.values())
    return {index for index, mean in means.items() if mean == best}


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape_markdown(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(text.split())


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value
