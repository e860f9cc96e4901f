"""Tables of measurements: their columns, mean ± standard deviation, and Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recon.evaluation.metrics import WEIGHTS_NOT_INSTALLED


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
    "lpips": Column(("test", "lpips"), "LPIPS (VGG)", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "lpips_alex": Column(("test", "lpips_alex"), "LPIPS (AlexNet)", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "average": Column(("test", "average"), "average error", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "average_masked": Column(
        ("test", "average_masked"), "average error-M", 3, "lower", WEIGHTS_NOT_INSTALLED
    ),
    "psnr_masked": Column(("test", "psnr_masked"), "PSNR-M (dB)", 2, "higher"),
    "ssim_masked": Column(("test", "ssim_masked"), "SSIM-M", 3, "higher"),
    "lpips_masked": Column(("test", "lpips_masked"), "LPIPS-M (VGG)", 3, "lower", WEIGHTS_NOT_INSTALLED),
    "lpips_alex_masked": Column(
        ("test", "lpips_alex_masked"), "LPIPS-M (AlexNet)", 3, "lower", WEIGHTS_NOT_INSTALLED
    ),
    "gradient_error": Column(("test", "gradient_error"), "gradient error", 4, "lower"),
    "confidence_correlation": Column(
        ("test", "confidence_correlation"), "confidence against error", 2, "lower"
    ),
    "depth_abs_rel": Column(("test", "depth_abs_rel"), "depth abs rel", 4, "lower"),
    "depth_rmse": Column(("test", "depth_rmse"), "depth RMSE", 4, "lower"),
    "depth_inliers": Column(("test", "depth_inliers"), "depth within 1 %", 3, "higher"),
    "depth_coverage": Column(("test", "depth_coverage"), "depth coverage", 3, "higher"),
    "train_psnr": Column(("train_views", "psnr"), "train PSNR (dB)", 2),
    "seconds": Column(("seconds", "total"), "time (s)", 1, "lower"),
    "gaussians": Column(("gaussians",), "Gaussians", 0),
    "peak_memory_mb": Column(("peak_memory_mb",), "peak memory (MB)", 0, "lower"),
}


@dataclass(frozen=True)
class Statistic:
    """Mean and sample standard deviation of `count` values; no deviation for a single one."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        cells: the text of every column.
        best: the columns in which the row is set in bold.
        apart: whether the row is somebody else's figure, set apart from those measured here.
    """

    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()
    apart: bool = False


@dataclass(frozen=True)
class Table:
    """Rows below a header; the first `words` columns hold words, the others numbers."""

    header: tuple[str, ...]
    words: int
    rows: tuple[Row, ...]


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


def best_rows(values: Sequence[Statistic | None], column: Column) -> set[int]:
    """Return the indices of the means that are best as printed; none when there is nothing to compare."""
    means = {i: round(value.mean, column.decimals) for i, value in enumerate(values) if value is not None}
    if column.better is None or len(means) < 2:
        return set()
    best = max(means.values()) if column.better == "higher" else min(means.values())
    return {index for index, mean in means.items() if mean == best}


def markdown_table(table: Table) -> str:
    """Return a table as Markdown: best values bold, rows set apart in italics."""
    lines = [
        _markdown_row(map(escape_markdown, table.header)),
        _markdown_row("---" if i < table.words else "---:" for i in range(len(table.header))),
    ]
    for row in table.rows:
        cells = [escape_markdown(cell) for cell in row.cells]
        for index in row.best:
            cells[index] = f"**{cells[index]}**"
        if row.apart:
            cells = [f"*{cell}*" if cell else cell for cell in cells]
        lines.append(_markdown_row(cells))
    return "\n".join(lines) + "\n"


def latex_table(table: Table) -> str:
    """Return a table as LaTeX for the package booktabs: best values bold, rows set apart below a rule in italics."""
    columns = "l" * table.words + "r" * (len(table.header) - table.words)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(table.header), r"\midrule"]
    previous = False
    for row in table.rows:
        if row.apart and not previous:
            lines.append(r"\midrule")
        previous = row.apart
        cells = [escape_latex(cell) for cell in row.cells]
        for index in row.best:
            cells[index] = rf"\textbf{{{cells[index]}}}"
        if row.apart:
            cells = [rf"\textit{{{cell}}}" if cell else cell for cell in cells]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV; numbers are unrounded, None is empty, and no word can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if cell is None else _inert(cell) for cell in row])
    return text.getvalue()


def escape_markdown(text: str) -> str:
    for character in "\\`*_[]|":
        text = text.replace(character, "\\" + character)
    return " ".join(text.replace("<", "&lt;").split())


def escape_latex(text: str) -> str:
    return " ".join("".join(_LATEX.get(character, character) for character in text).split())


_LATEX = {
    **{character: "\\" + character for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # A row that begins with a bracket would be taken for an option of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "…": r"\ldots{}",
}


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _inert(cell: Any) -> Any:
    """Keep a spreadsheet from taking a name for a formula."""
    return "'" + cell if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
