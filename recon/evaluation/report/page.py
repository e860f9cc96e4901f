"""Put the report's page together.

The page is one file. Its pictures are embedded, scaled down; links lead to the full-size files of the run
folder, so a report that was moved away alone still shows everything but those. Nothing comes from the
network, and the page's content security policy forbids it: no request leaves, and no script runs but the
page's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import shlex
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from recon.evaluation.evaluate import METRIC_DEFINITIONS
from recon.evaluation.hardware import machine_sentence
from recon.evaluation.metrics import WEIGHTS_NOT_INSTALLED
from recon.evaluation.report.cameras import camera_scene
from recon.evaluation.report.charts import MAX_POINTS, duration, phase_bar, training_charts
from recon.evaluation.report.contents import Contents, Split, number, read_contents
from recon.evaluation.report.markup import Html, element, join
from recon.evaluation.report.views import comparisons, depth_rows, metric_text
from recon.evaluation.table import COLUMNS, format_statistic, lookup, statistic
from recon.files import atomic_write
from recon.run_folder import RunFolder

POSES = {
    "certified": (
        "Poses certified",
        "The cameras were estimated from the input photos and verified against evidence that the estimate did not use.",
    ),
    "given": (
        "Poses given",
        "The cameras came with the data. They were taken as they are: neither estimated nor verified here.",
    ),
    "plausible": (
        "Poses plausible",
        "The cameras agree with the input photos, but the evidence is too thin to rule out another answer.",
    ),
    "uncertified": (
        "UNCERTIFIED POSES",
        "The photos do not support these cameras, and the run went on because it was told to. Geometry and numbers on "
        "this page may be wrong.",
    ),
}
UNKNOWN_POSES = (
    "POSE STATUS UNKNOWN",
    "This run did not record where its cameras come from. Treat geometry and numbers on this page as unverified.",
)

ORBIT_HELP = "Drag or use the arrow keys to turn, + and − to zoom. Points far from the scene are left out."

PHASES = {
    "poses": "camera poses",
    "stereo": "stereo depth",
    "train": "training",
    "evaluate": "evaluation",
    "other": "the rest",
}


def write_report(run_folder: Path) -> Path:
    """Write `report.html` from what the run folder holds and return its path.

    Raises:
        ReconError: when there is no run folder or it cannot be written.
    """
    contents = read_contents(Path(run_folder))
    path = RunFolder(contents.path).report_file
    with atomic_write(path, text=True) as file:
        file.write(report_page(contents))
    return path


def report_page(contents: Contents) -> str:
    """Return the page as HTML."""
    style, script = _template("report.css"), _template("report.js")
    scene = camera_scene(contents)
    sections = [
        _section("views", "Held-out views", _held_out(contents)),
        _section("confidence", "Confidence", _calibration(contents)),
        _section("inputs", "Input photos and depth", depth_rows(contents)),
        _section("cameras", "Cameras", _cameras(contents, scene)),
        _section("fit", "Input views, rendered", _fit(contents)),
        _section("training", "Training", _training(contents)),
        _section("numbers", "Numbers", _numbers(contents)),
        _section("reproduce", "Reproduce", _reproduction(contents)),
    ]
    present = [section for section in sections if section is not None]
    links = [element("a", title, href=f"#{anchor}") for anchor, title, _ in present]
    status, (badge, explanation) = _status(contents)
    doubtful = status in ("uncertified", "unknown")
    page = Template(_template("report.html"))
    return page.substitute(
        title=join([f"{badge} · " if doubtful else None, contents.title, " · recon report"]),
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        status=status,
        badge=join([badge]),
        explanation=join([explanation]),
        name=join([contents.title]),
        links=join(links),
        # Everything above may add to the problems, so they are written last.
        summary=join([_facts(contents), _tiles(contents)]),
        warnings=join([_warnings(contents), _notes(contents)]),
        sections=join(body for _, _, body in present),
        data=_json(scene),
    )


def _status(contents: Contents) -> tuple[str, tuple[str, str]]:
    status = contents.poses
    return (status, POSES[status]) if status in POSES else ("unknown", UNKNOWN_POSES)


def _section(anchor: str, title: str, content: Html | None) -> tuple[str, str, Html] | None:
    if content is None:
        return None
    heading = element("h2", title, id=f"{anchor}-title")
    body = element("section", heading, content, id=anchor, aria_labelledby=f"{anchor}-title")
    return anchor, title, body


def _facts(contents: Contents) -> Html:
    """Return what was run, in one line of terms."""
    metrics, config = contents.metrics, contents.config
    facts = [(name, metrics.get(name, config.get(name))) for name in ("method", "preset", "seed", "device")]
    views = f"{len(contents.names('train'))} input, {len(contents.names('test'))} held out"
    entries = [element("div", element("dt", name), element("dd", _text(value))) for name, value in facts]
    entries.append(element("div", element("dt", "views"), element("dd", views)))
    return element("dl", entries, class_="facts")


def _tiles(contents: Contents) -> Html:
    """Return the numbers that a reader looks for first."""
    metrics, test = contents.metrics, contents.measured("test")
    measured = bool(contents.per_image("test"))
    count = "gaussians" if metrics.get("gaussians") is not None else "parameters"
    seconds, memory = lookup(metrics, ("seconds", "total")), number(metrics.get("peak_memory_mb"))
    tiles = [
        _tile("PSNR", test.get("psnr"), "{:.2f}", "dB", "held-out views", "no held-out views"),
        _tile("SSIM", test.get("ssim"), "{:.3f}", "", "held-out views", "no held-out views"),
        _tile("LPIPS", test.get("lpips"), "{:.3f}", "", "held-out views, VGG", WEIGHTS_NOT_INSTALLED)
        if measured
        else _tile("LPIPS", None, "", "", "", "no held-out views"),
        _tile(count.capitalize(), metrics.get(count), "{:,.0f}", "", _iterations(metrics), "not recorded"),
        _plain_tile("Time", None if seconds is None else duration(seconds), "from photos to report"),
        _tile("Peak memory", memory and memory / 1024, "{:.2f}", "GB", "of the process", "not recorded"),
    ]
    return element("ul", tiles, class_="tiles")


def _tile(title: str, value: Any, form: str, unit: str, note: str, missing: str) -> Html:
    measured = number(value)
    if measured is None:
        return _plain_tile(title, None, missing)
    return _plain_tile(title, form.format(measured), note, unit)


def _plain_tile(title: str, text: str | None, note: str, unit: str = "") -> Html:
    value = element("b", text or "–", element("small", f" {unit}") if unit and text else None)
    return element("li", element("span", title), value, element("em", note))


def _iterations(metrics: dict[str, Any]) -> str:
    iterations = number(metrics.get("iterations"))
    return "in the result" if iterations is None else f"after {iterations:,.0f} iterations"


def _warnings(contents: Contents) -> Html:
    sentences = [*contents.warnings, *contents.problems]
    if not sentences:
        return Html("")
    title = "1 warning" if len(sentences) == 1 else f"{len(sentences)} warnings"
    items = [element("li", sentence) for sentence in sentences]
    return element("aside", element("h2", title), element("ul", items), class_="warnings", aria_label=title)


def _notes(contents: Contents) -> Html | None:
    if not contents.notes:
        return None
    items = [element("li", sentence) for sentence in contents.notes]
    return element("aside", element("ul", items), class_="notes", aria_label="Notes")


def _held_out(contents: Contents) -> Html:
    views = comparisons(contents, "test")
    if views is not None:
        return views
    if contents.names("test"):
        return element("p", "The renders of the held-out views are not in this run folder.", class_="note")
    return element(
        "p",
        "No photo was held out, so nothing here tells how good views from new places are. Hold some out with "
        "--split or --protocol to measure it.",
        class_="note",
    )


def _calibration(contents: Contents) -> Html | None:
    """Return how large the errors were that the result expected, from the most trusted tenth of pixels to the least."""
    table = contents.metrics.get("calibration")
    rows = [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []
    values = [(number(row.get("expected")), number(row.get("measured"))) for row in rows]
    if not values or any(None in pair for pair in values):
        return None
    correlation = number(contents.measured("test").get("confidence_correlation"))
    said = (
        f" Rank correlation of confidence and error: {correlation:.2f} (-1 is best)." if correlation else ""
    )
    note = element(
        "p",
        "Before it sees a held-out photo, the result says how wrong each of its pixels may be: it looks up the place "
        "that a pixel shows in every input photo. The pixels of all held-out views, from the most trusted tenth to the "
        f"least, in levels of 255.{said}",
        class_="note",
    )
    header = [
        element("th", "", scope="col"),
        *(element("th", f"{i + 1}", scope="col") for i in range(len(values))),
    ]
    body = [
        element(
            "tr",
            element("th", title, scope="row"),
            [element("td", f"{255 * (pair[index] or 0.0):.1f}") for pair in values],
        )
        for index, title in enumerate(("expected error", "true error"))
    ]
    grid = element("table", element("thead", element("tr", header)), element("tbody", body))
    return join([note, element("div", grid, class_="scroll")])


def _fit(contents: Contents) -> Html | None:
    views = comparisons(contents, "train")
    if views is None:
        return None
    note = element(
        "p",
        "How closely the result repeats the photos it was made from. This says little about other views: a few photos "
        "can be repeated perfectly by a wrong scene.",
        class_="note",
    )
    return join([note, views])


def _cameras(contents: Contents, scene: dict[str, Any] | None) -> Html | None:
    if scene is None:
        return None
    inputs = sum(camera["split"] == "train" for camera in scene["cameras"])
    held_out = len(scene["cameras"]) - inputs
    counted = f"{inputs} input camera{'s' if inputs != 1 else ''} and {held_out} held-out"
    points = f", with {scene['points']['count']:,} points of the scene" if scene["points"] else ""
    canvas = element(
        "canvas",
        id="orbit",
        tabindex=0,
        role="img",
        aria_label=f"3D view of {counted}{points}. Arrow keys turn it, plus and minus zoom, 0 resets.",
    )
    buttons = [
        element("button", text, type="button", data_action=action, aria_label=label)
        for action, text, label in (
            ("in", "+", "Zoom in"),
            ("out", "−", "Zoom out"),
            ("reset", "Reset", "Reset the view"),
        )
    ]
    key = element(
        "p",
        element("i", class_="key train", aria_hidden="true"),
        f"{inputs} input",
        element("i", class_="key test", aria_hidden="true") if held_out else None,
        f"{held_out} held out" if held_out else None,
        class_="orbit-key",
    )
    rows = [
        element(
            "tr",
            element("th", camera["name"], scope="row"),
            [element("td", f"{value:.4g}") for value in camera["center"]],
            element("td", f"{camera['focal']:.1f}"),
        )
        for camera in scene["cameras"]
    ]
    header = [element("th", text, scope="col") for text in ("camera", "x", "y", "z", "focal length (px)")]
    table = element("table", element("thead", element("tr", header)), element("tbody", rows))
    return element(
        "div",
        element("div", canvas, key, element("div", buttons, class_="buttons"), class_="orbit"),
        element("p", ORBIT_HELP, class_="note"),
        element(
            "details", element("summary", "Positions as a table"), element("div", table, class_="scroll")
        ),
    )


def _training(contents: Contents) -> Html | None:
    charts = training_charts(contents.steps)
    seconds = _phases(contents)
    bar = phase_bar(seconds, PHASES)
    if not charts and bar is None:
        return None
    parts: list[Html | None] = [element("div", charts, class_="charts") if charts else None]
    if len(contents.steps) > MAX_POINTS:
        size = math.ceil(len(contents.steps) / MAX_POINTS)
        parts.append(
            element("p", f"Each point of a curve is the mean of {size} consecutive log lines.", class_="note")
        )
    if bar is not None:
        total = lookup(contents.metrics, ("seconds", "total")) or sum(seconds.values())
        parts += [element("h3", f"Where the {duration(total)} went"), bar]
    return join(parts)


def _phases(contents: Contents) -> dict[str, float]:
    """Return the seconds of every phase; what the total has beyond them is `other`."""
    measured = contents.metrics.get("seconds")
    measured = measured if isinstance(measured, dict) else {}
    seconds = {str(name): value for name, raw in measured.items() if (value := number(raw)) is not None}
    total = seconds.pop("total", None)
    for name, value in contents.phases.items():
        seconds.setdefault(name, value)
    order = list(PHASES)
    seconds = dict(
        sorted(seconds.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    )
    # Half a second, or a percent, is the rounding of the parts and nothing to show.
    if total is not None and total - sum(seconds.values()) > max(0.5, 0.01 * total):
        seconds["other"] = total - sum(seconds.values())
    return seconds


def _numbers(contents: Contents) -> Html | None:
    tables = [_table(contents, split) for split in ("test", "train")]
    seeds = _seeds(contents)
    if seeds is None and not any(tables):
        return None
    used = [
        name
        for name in METRIC_DEFINITIONS
        if any(name in contents.measured(split) for split in ("test", "train"))
    ]
    definitions = [
        element("div", element("dt", _column_title(name)), element("dd", METRIC_DEFINITIONS[name]))
        for name in used
    ]
    explained = element(
        "details", element("summary", "What the columns mean"), element("dl", definitions, class_="terms")
    )
    return join([seeds, *tables, explained if used else None])


def _table(contents: Contents, split: Split) -> Html | None:
    per_image = contents.per_image(split)
    if not per_image:
        return None
    present = {name for values in per_image.values() for name in values}
    columns = [name for name in METRIC_DEFINITIONS if name in present]
    # A column that nobody measured is told once, below the table, instead of in every row.
    empty = [
        name for name in columns if all(number(values.get(name)) is None for values in per_image.values())
    ]
    columns = [name for name in columns if name not in empty]
    header = [
        element("th", "view", scope="col"),
        *(element("th", _column_title(c), scope="col") for c in columns),
    ]
    body = [
        element(
            "tr", element("th", name, scope="row"), [element("td", _cell(c, values.get(c))) for c in columns]
        )
        for name, values in per_image.items()
    ]
    means = contents.measured(split)
    foot = element(
        "tr", element("th", "mean", scope="row"), [element("td", _cell(c, means.get(c))) for c in columns]
    )
    title = "Held-out views" if split == "test" else "Input views"
    table = element(
        "table",
        element("caption", title),
        element("thead", element("tr", header)),
        element("tbody", body),
        element("tfoot", foot),
    )
    reasons: dict[str, list[str]] = {}
    for name in empty:
        reasons.setdefault(metric_text(name, None), []).append(_column_title(name))
    missing = [f"{', '.join(titles)}: {reason}" for reason, titles in reasons.items()]
    note = element("p", "; ".join(missing) + ".", class_="note") if missing else None
    return join([element("div", table, class_="scroll", tabindex=0, role="region", aria_label=title), note])


def _seeds(contents: Contents) -> Html | None:
    """Return mean and deviation over the runs below `seeds/`."""
    if len(contents.seeds) < 2:
        return None
    rows = []
    for column in COLUMNS.values():
        values = [lookup(metrics, column.path) for metrics in contents.seeds]
        present = [value for value in values if value is not None]
        if len(present) == len(values):
            text = format_statistic(statistic(present), column)
            rows.append(element("tr", element("th", column.title, scope="row"), element("td", text)))
    seeds = ", ".join(_text(metrics.get("seed")) for metrics in contents.seeds)
    caption = f"Mean ± standard deviation over {len(contents.seeds)} seeds ({seeds})"
    return element(
        "div", element("table", element("caption", caption), element("tbody", rows)), class_="scroll"
    )


def _reproduction(contents: Contents) -> Html:
    metrics = contents.metrics
    command, recorded = _command(contents)
    hardware = metrics.get("hardware")
    facts = [
        ("version", _text(metrics.get("version") or contents.config.get("version"))),
        ("settings", _text(metrics.get("config_hash"))),
        ("date", _date(contents)),
        ("machine", machine_sentence(hardware) if isinstance(hardware, dict) else _text(hardware)),
        ("device", _text(metrics.get("device", contents.config.get("device")))),
    ]
    entries = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    block = None
    if command is not None:
        label = "Command" if recorded else "Command with the same effect, from config.yaml"
        block = element(
            "div",
            element("h3", label),
            element("div", element("pre", element("code", command)), _copy_button(), class_="code"),
        )
    config = None
    if contents.config_text:
        listing = element("pre", element("code", contents.config_text))
        config = element(
            "details",
            element("summary", "config.yaml"),
            element("div", listing, _copy_button(), class_="code"),
        )
    return join([block, element("dl", entries, class_="terms"), config])


def _copy_button() -> Html:
    return element("button", "Copy", type="button", class_="copy", hidden=True)


def _command(contents: Contents) -> tuple[str | None, bool]:
    """Return the command line of the run, and whether it was recorded or rebuilt from the settings."""
    command = contents.metrics.get("command", contents.config.get("command"))
    if isinstance(command, list):
        return shlex.join(str(word) for word in command), True
    if command:
        return str(command), True
    config = contents.config
    if not config.get("photos"):
        return None, False
    words = ["recon", "reconstruct", str(config["photos"]), "-o", contents.path.name]
    for name in (
        "method",
        "preset",
        "poses",
        "focal_mm",
        "protocol",
        "split",
        "views",
        "max_size",
        "scene",
        "track",
        "part",
        "frame",
        "device",
        "seed",
    ):
        if config.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(config[name])]
    return shlex.join(words), False


def _date(contents: Contents) -> str:
    """Return when the run was measured."""
    recorded = contents.metrics.get("date")
    if recorded:
        return str(recorded)
    file = RunFolder(contents.path).metrics_file
    if not file.exists():
        return "not recorded"
    changed = datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)
    return f"{changed:%Y-%m-%d %H:%M} UTC, when metrics.json was written"


def _column_title(name: str) -> str:
    titles = {column.path[-1]: column.title for column in COLUMNS.values() if column.path[0] == "test"}
    return titles.get(name, name.replace("_", " "))


def _cell(name: str, value: Any) -> str:
    return "–" if number(value) is None else metric_text(name, value)


def _text(value: Any) -> str:
    return "not recorded" if value is None or value == "" else str(value)


def _template(name: str) -> str:
    return (files("recon.evaluation.report") / "templates" / name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
