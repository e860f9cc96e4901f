"""The tables of a benchmark folder: `table.md`, `table.csv`, `table.tex` and `index.html`, made from its records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recon.benchmark.asked import read_asked, read_failures
from recon.benchmark.document import Block, Document, compose
from recon.benchmark.page import benchmark_page
from recon.benchmark.protocols import load_benchmark
from recon.benchmark.published import PublishedFigure, published
from recon.benchmark.record import read_records
from recon.benchmark.summary import Section, Summary
from recon.evaluation.hardware import machine_sentence
from recon.evaluation.table import (
    COLUMNS,
    csv_table,
    escape_latex,
    escape_markdown,
    latex_table,
    lookup,
    markdown_table,
)
from recon.files import atomic_write


def write_tables(folder: Path) -> list[Path]:
    """Write the tables of a benchmark folder and return their paths.

    Raises:
        ReconError: when it is not a benchmark folder, a file of it is malformed, or it cannot be written.
    """
    folder = Path(folder)
    asked, failures, records = read_asked(folder), read_failures(folder), read_records(folder)
    figures = published(asked.protocol)
    machines = {
        machine_sentence(hardware)
        for record in records
        if isinstance(hardware := record.metrics.get("hardware"), dict)
    }
    facts = [f"Made with recon {asked.version}."]
    if asked.settings:
        facts.append(f"Settings beside the preset's: {', '.join(asked.settings)}.")
    if machines:
        facts.append(f"Measured on {'; '.join(sorted(machines))}.")
    document = compose(
        load_benchmark(asked.protocol),
        records,
        figures,
        asked=asked.runs,
        failures=failures,
        left_out=asked.left_out,
        facts=facts,
    )
    contents = {
        "table.md": markdown(document),
        "table.csv": csv(document, figures.figures),
        "table.tex": latex(document),
        "index.html": benchmark_page(document, folder),
    }
    for name, text in contents.items():
        with atomic_write(folder / name, text=True) as file:
            file.write(text)
    return [folder / name for name in contents]


def markdown(document: Document) -> str:
    """Return the tables as Markdown."""
    lines = [f"# {escape_markdown(document.title)}", ""]
    for text in document.about:
        lines += [escape_markdown(text), ""]
    for heading, sentences in document.absences:
        lines += [f"## {heading}", "", *(f"* {escape_markdown(text)}" for text in sentences), ""]
    for chapter in document.chapters:
        for block in chapter.blocks:
            lines += [f"{'#' * block.level} {escape_markdown(block.title)}", ""]
            for text in block.about:
                lines += [escape_markdown(text), ""]
            lines.append(markdown_table(block.table))
            lines += [f"* {escape_markdown(f'{mark} {text}.')}" for mark, text in block.notes.items()]
            lines += [""] if block.notes else []
    return "\n".join(lines).rstrip() + "\n"


def latex(document: Document) -> str:
    """Return the tables as LaTeX floats, for documents that use the packages booktabs and graphicx."""
    lines = ["% In the preamble: \\usepackage{booktabs,graphicx}"]
    lines += [f"% {_one_line(text)}" for text in (document.title, *document.about)]
    for heading, sentences in document.absences:
        lines += [f"% {heading}: {_one_line(text)}" for text in sentences]
    for chapter in document.chapters:
        for block in chapter.blocks:
            lines += ["", *_float(block)]
    return "\n".join(lines) + "\n"


def csv(document: Document, figures: Sequence[PublishedFigure] = ()) -> str:
    """Return means, the same scene by scene, single runs, and published figures as CSV, unrounded.

    `kind` tells them apart: mean, scene, run, published. An empty field is not measured; a mean that only some of the
    asked runs could give is empty too.
    """
    sections = [chapter.section for chapter in document.chapters]
    names = [
        name
        for name, column in COLUMNS.items()
        if any(
            lookup(record.metrics, column.path) is not None
            for section in sections
            for record in section.records
        )
        or any(name in figure.metrics for figure in figures)
    ]
    header = ["kind", "dataset", "scene", "views", "method", "preset", "seed", "runs", "asked"]
    header += [f"{name}_{part}" for name in names for part in ("mean", "std")]
    rows = [row for section in sections for row in _csv_rows(section, names, figures)]
    return csv_table([*header, "run", "comparable", "source"], rows)


def _csv_rows(
    section: Section, names: Sequence[str], figures: Sequence[PublishedFigure]
) -> Iterator[list[Any]]:
    def summary_row(kind: str, scene: str | None, summary: Summary) -> list[Any]:
        values = [_mean_and_deviation(summary.values[name]) for name in names]
        return [
            *(kind, section.dataset, scene, section.views, summary.method, summary.preset, None),
            *(summary.finished, summary.asked),
            *(number for pair in values for number in pair),
            *(None, None, None),
        ]

    for summary in section.overall:
        yield summary_row("mean", None, summary)
    for scene, summaries in section.by_scene.items():
        for summary in summaries:
            yield summary_row("scene", scene, summary)
    for record in section.records:
        measured = [lookup(record.metrics, COLUMNS[name].path) for name in names]
        yield [
            *("run", record.dataset, record.scene, record.views, record.method, record.preset, record.seed),
            *(1, 1),
            *(number for value in measured for number in (value, None)),
            *(record.run, None, None),
        ]
    for figure in figures:
        if (figure.dataset, figure.views) == (section.dataset, section.views):
            values = [_mean_and_deviation(figure.metrics.get(name)) for name in names]
            obstacle = figure.why_not_comparable(section.scenes)
            yield [
                *("published", figure.dataset, None, figure.views, figure.method, None, None, None, None),
                *(number for pair in values for number in pair),
                *(None, "yes" if obstacle is None else f"no: {obstacle}", figure.source),
            ]


def _mean_and_deviation(value: Any) -> tuple[float | None, float | None]:
    return (None, None) if value is None else (value.mean, value.deviation)


def _float(block: Block) -> list[str]:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(' '.join((f'{block.title}.', *block.about)))}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        latex_table(block.table).rstrip() + "}",
    ]
    if block.notes:
        notes = [escape_latex(f"{mark} {text}.") for mark, text in block.notes.items()]
        lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize", *notes, r"\end{minipage}"]
    return [*lines, r"\end{table}"]


def _one_line(text: str) -> str:
    return " ".join(text.split())
