"""The page of a benchmark: its tables, and for every test view the photo beside each method's render and difference.

One HTML file without a script. Its pictures are those of the run folders, linked relative to the benchmark folder and
loaded when they come into sight; the browser itself subtracts photo and render.
"""

from __future__ import annotations

from importlib.resources import files
from itertools import pairwise
from pathlib import Path, PurePosixPath
from string import Template
from urllib.parse import quote

from recon.benchmark.document import Block, Chapter, Document
from recon.benchmark.record import Record
from recon.benchmark.summary import Section
from recon.evaluation.pictures import DIFFERENCE_GAIN, picture_path
from recon.evaluation.report.contents import number
from recon.evaluation.report.markup import Html, element, join, relative_link
from recon.evaluation.report.views import metric_text
from recon.evaluation.table import Row, Table

SHOWN_METRICS = (("psnr", "PSNR"), ("psnr_masked", "on the object"), ("ssim", "SSIM"), ("lpips", "LPIPS"))
"""What stands below a render, as far as it was measured."""


def benchmark_page(document: Document, folder: Path) -> str:
    """Return the page as HTML.

    Args:
        folder: the benchmark folder, in which the page will stand.
    """
    report = (files("recon.evaluation.report") / "templates" / "report.css").read_text(encoding="utf-8")
    own = (files("recon.benchmark") / "templates" / "benchmark.css").read_text(encoding="utf-8")
    page = (files("recon.benchmark") / "templates" / "benchmark.html").read_text(encoding="utf-8")
    links = [
        element("a", chapter.section.title, href=f"#part-{index}")
        for index, chapter in enumerate(document.chapters, 1)
    ]
    return Template(page).substitute(
        title=join([document.title]),
        style=report + Template(own).substitute(gain=f"{DIFFERENCE_GAIN:g}"),
        links=join(links),
        about=join([element("p", text, class_="about") for text in document.about]),
        absences=join([_absence(heading, sentences) for heading, sentences in document.absences]),
        sections=join(
            [_chapter(chapter, index, folder) for index, chapter in enumerate(document.chapters, 1)]
        ),
    )


def _absence(heading: str, sentences: tuple[str, ...]) -> Html:
    title = f"{heading}: {len(sentences)}"
    items = [element("li", text) for text in sentences]
    return element(
        "aside", element("h2", title), element("ul", items), class_="warnings absence", aria_label=title
    )


def _chapter(chapter: Chapter, index: int, folder: Path) -> Html:
    parts: list[Html | None] = [_block(block) for block in chapter.blocks]
    parts += [_pictures(chapter.section, scene, folder) for scene in chapter.section.scenes]
    return element("section", *parts, id=f"part-{index}")


def _block(block: Block) -> Html:
    notes = [element("li", f"{mark} {text}.") for mark, text in block.notes.items()]
    return join(
        [
            element(f"h{block.level}", block.title),
            [element("p", text, class_="note") for text in block.about],
            element(
                "div", _table(block.table), class_="scroll", tabindex=0, role="region", aria_label=block.title
            ),
            element("ul", notes, class_="footnotes") if notes else None,
        ]
    )


def _table(table: Table) -> Html:
    header = [
        element("th", text, scope="col", class_="word" if index < table.words else None)
        for index, text in enumerate(table.header)
    ]
    first_apart = {
        b for a, b in pairwise(range(len(table.rows))) if table.rows[b].apart and not table.rows[a].apart
    }
    rows = [_row(row, table.words, index in first_apart) for index, row in enumerate(table.rows)]
    return element("table", element("thead", element("tr", header)), element("tbody", rows))


def _row(row: Row, words: int, first: bool) -> Html:
    cells = [element("th", row.cells[0], scope="row", class_="word")]
    for index, text in enumerate(row.cells[1:], 1):
        kinds = [name for name, holds in (("word", index < words), ("best", index in row.best)) if holds]
        cells.append(element("td", text, class_=" ".join(kinds) or None))
    kind = None if not row.apart else "published first" if first else "published"
    return element("tr", cells, class_=kind)


def _pictures(section: Section, scene: str, folder: Path) -> Html | None:
    """Return the scene's test views, each as the photo beside every method's render and its difference.

    Of several seeds the first shows its pictures.
    """
    shown: dict[tuple[str, str], Record] = {}
    for record in sorted((r for r in section.records if r.scene == scene), key=lambda record: record.seed):
        if _inside(record.run):
            shown.setdefault((record.method, record.preset), record)
    names = list(dict.fromkeys(name for record in shown.values() for name in _per_image(record)))
    shots = [shot for name in names if (shot := _shot(list(shown.values()), name, folder)) is not None]
    if not shots:
        return None
    seeds = sorted({record.seed for record in shown.values()})
    said = f"Pictures of {scene}: {len(shots)} test view{'s' if len(shots) > 1 else ''}, seed {seeds[0]}"
    only_scene = section.scenes[0] == scene
    reports = [
        element("a", f"report of {record.method} {record.preset}", href=quote(f"{record.run}/report.html"))
        for record in shown.values()
    ]
    linked = element("p", *(part for link in reports for part in (link, " ")), class_="note")
    return element("details", element("summary", said), linked, shots, class_="pictures", open=only_scene)


def _shot(records: list[Record], name: str, folder: Path) -> Html | None:
    figures: list[Html] = []
    for record in records:
        run = folder / record.run
        photo, render = picture_path(run, "truth/test", name), picture_path(run, "renders/test", name)
        if not (photo.is_file() and render.is_file()):
            continue
        photo_link, render_link = relative_link(photo, folder), relative_link(render, folder)
        said = f"{record.method} {record.preset}"
        if not figures:
            figures.append(_figure(photo_link, f"Photo {name}", "Photo", None))
        numbers = _numbers(record, name)
        figures.append(_figure(render_link, f"{said}, rendered from the camera of {name}", said, numbers))
        pair = element(
            "div",
            element("img", src=photo_link, alt="", loading="lazy", decoding="async"),
            element(
                "img",
                src=render_link,
                alt=f"Difference between {said} and the photo {name}, times {DIFFERENCE_GAIN:g}",
                loading="lazy",
                decoding="async",
            ),
            class_="subtract",
        )
        caption = element("figcaption", f"{said}, difference ×{DIFFERENCE_GAIN:g}")
        figures.append(element("figure", pair, caption))
    if not figures:
        return None
    heading = element("h3", name, class_="name")
    return element("article", heading, element("div", figures, class_="row"), class_="shot")


def _figure(link: str, alt: str, caption: str, numbers: str | None) -> Html:
    image = element("img", src=link, alt=alt, loading="lazy", decoding="async")
    said = element("figcaption", caption, element("span", f" {numbers}") if numbers else None)
    return element("figure", element("a", image, href=link), said)


def _numbers(record: Record, name: str) -> str:
    values = _per_image(record).get(name, {})
    return ", ".join(
        f"{title} {metric_text(key, values[key])}"
        for key, title in SHOWN_METRICS
        if number(values.get(key)) is not None
    )


def _per_image(record: Record) -> dict[str, dict]:
    block = record.metrics.get("test")
    images = block.get("per_image") if isinstance(block, dict) else None
    return {name: v for name, v in images.items() if isinstance(v, dict)} if isinstance(images, dict) else {}


def _inside(run: str) -> bool:
    """Whether a record's run folder lies in the benchmark folder."""
    path = PurePosixPath(run)
    return not path.is_absolute() and ".." not in path.parts
