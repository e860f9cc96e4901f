"""Compare two benchmarks, or two methods of one: paired differences with a confidence interval.

The same scene, views and seed on both sides make a pair, so what scenes and seeds have in common cancels. Where there
are several scenes they are the units of the interval (each with its mean difference over seeds), because a claim about
a method is about other scenes; with one scene the seeds are, and the interval then speaks of that scene alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recon.benchmark.record import Record, read_records
from recon.errors import ReconError
from recon.evaluation.table import COLUMNS, Column, Row, Table, lookup, markdown_table

FEWEST_UNITS = 3
"""With fewer differences there is no interval: two say next to nothing of their own spread."""

CONFIDENCE = 0.95

UNPAIRED_NAMED = 6
"""So many runs without a partner are named; of more the number is told."""

COMPARED = (
    *("psnr", "ssim", "lpips", "lpips_alex", "average"),
    *("psnr_masked", "ssim_masked", "lpips_masked", "lpips_alex_masked", "average_masked"),
    *("depth_abs_rel", "seconds"),
)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: records of a benchmark folder, of one method when one was named."""

    text: str
    records: tuple[Record, ...]
    picked: bool

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(_method(record) for record in self.records))


@dataclass(frozen=True)
class Pair:
    """The same scene and seed on both sides."""

    a: Record
    b: Record


@dataclass(frozen=True)
class Interval:
    """A mean difference, and the confidence interval of it where there are enough differences for one."""

    mean: float
    half_width: float | None
    count: int


def compare(a: Path | str, b: Path | str) -> str:
    """Return a comparison of two benchmark folders as Markdown; differences are B minus A.

    Args:
        a, b: benchmark folders, each FOLDER, FOLDER:METHOD or FOLDER:METHOD-PRESET. Without a method, every method and
            preset is compared with the same one of the other folder; two folders with one method each are compared
            whatever the methods are.

    Raises:
        ReconError: when a folder or method is not there, when nothing is common to both, or when protocols, input views
            or test views differ.
    """
    sides = read_side(a), read_side(b)
    groups = _groups(*sides)
    lines = [f"# {sides[1].text} against {sides[0].text}", ""]
    lines += [f"A is {sides[0].text}, B is {sides[1].text}; differences are B − A.", ""]
    for (dataset, views, methods), pairs in groups.items():
        lines += [f"## {dataset}, {views} views: {methods}", "", *_group_lines(pairs)]
    unpaired = _unpaired(sides, [pair for pairs in groups.values() for pair in pairs])
    return "\n".join([*lines, *unpaired]).rstrip() + "\n"


def read_side(said: Path | str) -> Side:
    """Read the records that FOLDER, FOLDER:METHOD or FOLDER:METHOD-PRESET stands for.

    Raises:
        ReconError: when there is no such folder or method.
    """
    text = str(said)
    folder, colon, method = text.rpartition(":")
    if Path(text).is_dir() or not colon:
        return Side(text, tuple(read_records(Path(text))), picked=False)
    records = tuple(read_records(Path(folder)))
    chosen = tuple(record for record in records if method in (record.method, _method(record)))
    if not chosen:
        known = ", ".join(dict.fromkeys(_method(record) for record in records)) or "no run at all"
        raise ReconError(f"{folder} has no method {method!r}; it has {known}")
    presets = list(dict.fromkeys(_method(record) for record in chosen))
    if len(presets) > 1:
        raise ReconError(f"{folder} has {method} with several presets; say which: {', '.join(presets)}")
    return Side(text, chosen, picked=True)


def mean_interval(differences: Sequence[float]) -> Interval:
    """Return the mean of paired differences and Student's confidence interval of it (paired t)."""
    count, mean = len(differences), statistics.fmean(differences)
    if count < FEWEST_UNITS:
        return Interval(mean, None, count)
    from scipy.stats import t

    quantile = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1))
    return Interval(mean, quantile * statistics.stdev(differences) / count**0.5, count)


def _method(record: Record) -> str:
    return f"{record.method}-{record.preset}"


def _groups(a: Side, b: Side) -> dict[tuple[str, int, str], list[Pair]]:
    """Pair the records, grouped by data set, views and methods."""
    across = a.picked or b.picked or (len(a.methods) == 1 and len(b.methods) == 1)
    if across:
        for side in (a, b):
            if len(side.methods) > 1:
                raise ReconError(
                    f"{side.text} has several methods; say which, as {side.text}:METHOD: {', '.join(side.methods)}"
                )

    def key(record: Record) -> tuple:
        methods = () if across else (record.method, record.preset)
        return (record.dataset, record.scene, record.views, record.seed, *methods)

    protocols = {record.protocol for record in (*a.records, *b.records)}
    if len(protocols) > 1:
        raise ReconError(
            f"{a.text} and {b.text} are of the protocols {' and '.join(sorted(protocols))}: "
            "numbers of different protocols cannot be compared"
        )
    others = {key(record): record for record in b.records}
    groups: dict[tuple[str, int, str], list[Pair]] = {}
    for record in a.records:
        other = others.get(key(record))
        if other is not None:
            _check_views(record, other)
            methods = dict.fromkeys((_method(record), _method(other)))
            name = (record.dataset, record.views, " → ".join(methods))
            groups.setdefault(name, []).append(Pair(record, other))
    if not groups:
        needed = "data set, scene, number of views and seed"
        remedy = "" if across else "; to compare different methods, name them as FOLDER:METHOD"
        raise ReconError(
            f"{a.text} and {b.text} have no run in common: pairs need the same "
            f"{needed if across else f'method, {needed}'}{remedy}"
        )
    return groups


def _check_views(a: Record, b: Record) -> None:
    """Refuse a pair that was measured on other test views, or trained on other inputs."""
    where = f"{a.dataset} {a.scene}, {a.views} views"
    for what, left, right in (
        ("test", set(_per_image(a)), set(_per_image(b))),
        ("input", set(_inputs(a)), set(_inputs(b))),
    ):
        if left != right:
            differing = ", ".join(sorted(left ^ right)[:4])
            raise ReconError(
                f"{where}: A and B have other {what} views ({differing} in one of them only), so their numbers cannot "
                "be compared: run one of them again with the other's split"
            )


def _group_lines(pairs: Sequence[Pair]) -> list[str]:
    scenes = list(dict.fromkeys(pair.a.scene for pair in pairs))
    seeds = sorted({pair.a.seed for pair in pairs})
    unit, count = ("scene", len(scenes)) if len(scenes) > 1 else ("seed", len(seeds))
    said = f"{_counted(len(pairs), 'pair')}: {_named(scenes, 'scene')}, {_named(seeds, 'seed')}. "
    if count < FEWEST_UNITS:
        said += f"n = {_counted(count, unit)}, which is too few for a confidence interval."
    else:
        said += f"Confidence interval: {CONFIDENCE:.0%}, paired t over {unit}s, n = {count}."
        said += " It speaks of this scene alone." if unit == "seed" else ""
    rows, absent = [], []
    for name in COMPARED:
        column = COLUMNS[name]
        measured = sum(_difference(pair, column) is not None for pair in pairs)
        if measured == len(pairs):
            rows.append(_metric_row(name, column, pairs))
        elif measured:
            absent.append(
                f"{column.title} is left out: {measured} of {len(pairs)} pairs have it on both sides."
            )
        elif _measured_somewhere(column, pairs):
            absent.append(f"{column.title} is left out: it was measured on one side only.")
        elif name in ("lpips", "lpips_alex"):
            absent.append(f"{column.title}: {column.missing}.")
    wins = "B better, A better"
    header = ("metric", "A", "B", "B − A", f"{CONFIDENCE:.0%} interval", f"pairs: {wins}", f"images: {wins}")
    lines = [said, "", markdown_table(Table(header, 1, tuple(rows)))]
    lines += [*(f"* {text}" for text in absent), ""] if absent else []
    return [*lines, markdown_table(_pair_table(pairs))]


def _metric_row(name: str, column: Column, pairs: Sequence[Pair]) -> Row:
    a, b, differences = (
        _unit_means([(pair.a.scene, value(pair) or 0.0) for pair in pairs])
        for value in (
            lambda pair: lookup(pair.a.metrics, column.path),
            lambda pair: lookup(pair.b.metrics, column.path),
            lambda pair: _difference(pair, column),
        )
    )
    interval = mean_interval(differences)
    digits = column.decimals + 1
    text = "–"
    if interval.half_width is not None:
        low, high = interval.mean - interval.half_width, interval.mean + interval.half_width
        text = f"{_signed(low, digits)} to {_signed(high, digits)}"
    cells = (
        column.title,
        f"{statistics.fmean(a):.{column.decimals}f}",
        f"{statistics.fmean(b):.{column.decimals}f}",
        _signed(interval.mean, digits),
        text,
        _wins([_difference(pair, column) for pair in pairs], column),
        _wins(_image_differences(name, pairs), column),
    )
    return Row(cells)


def _pair_table(pairs: Sequence[Pair]) -> Table:
    """Return every pair's own differences."""
    names = [name for name in COMPARED if all(_difference(pair, COLUMNS[name]) is not None for pair in pairs)]
    rows = []
    for pair in pairs:
        cells = (
            _signed(_difference(pair, COLUMNS[name]) or 0.0, COLUMNS[name].decimals + 1) for name in names
        )
        rows.append(Row((pair.a.scene, str(pair.a.seed), *cells)))
    return Table(("scene", "seed", *(f"{COLUMNS[name].title}, B − A" for name in names)), 1, tuple(rows))


def _unit_means(values: Sequence[tuple[str, float]]) -> list[float]:
    """Return each scene's mean over seeds, or the values themselves where all are of one scene."""
    by_scene: dict[str, list[float]] = {}
    for scene, value in values:
        by_scene.setdefault(scene, []).append(value)
    groups = list(by_scene.values())
    return groups[0] if len(groups) == 1 else [statistics.fmean(group) for group in groups]


def _difference(pair: Pair, column: Column) -> float | None:
    a, b = lookup(pair.a.metrics, column.path), lookup(pair.b.metrics, column.path)
    return None if a is None or b is None else b - a


def _measured_somewhere(column: Column, pairs: Sequence[Pair]) -> bool:
    return any(
        lookup(record.metrics, column.path) is not None for pair in pairs for record in (pair.a, pair.b)
    )


def _image_differences(name: str, pairs: Sequence[Pair]) -> list[float | None]:
    """Return the difference of every test image of every pair, as far as both sides measured it."""
    differences = []
    for pair in pairs:
        b_images = _per_image(pair.b)
        for image, values in _per_image(pair.a).items():
            a, b = lookup(values, (name,)), lookup(b_images.get(image, {}), (name,))
            differences.append(None if a is None or b is None else b - a)
    return differences


def _wins(differences: Sequence[float | None], column: Column) -> str:
    known = [difference for difference in differences if difference is not None]
    if not known:
        return "–"
    sign = -1 if column.better == "lower" else 1
    better, worse = sum(sign * d > 0 for d in known), sum(sign * d < 0 for d in known)
    equal = len(known) - better - worse
    return f"{better}, {worse}" + (f" ({equal} equal)" if equal else "")


def _unpaired(sides: tuple[Side, Side], pairs: Sequence[Pair]) -> list[str]:
    """Say which runs have no partner on the other side."""
    paired = {id(record) for pair in pairs for record in (pair.a, pair.b)}
    lines = []
    for name, side in zip("AB", sides, strict=True):
        alone = [record for record in side.records if id(record) not in paired]
        if alone:
            said = ", ".join(
                f"{record.dataset} {record.scene} {record.views} views {_method(record)} seed {record.seed}"
                for record in alone[:UNPAIRED_NAMED]
            )
            rest = f" and {len(alone) - UNPAIRED_NAMED} more" if len(alone) > UNPAIRED_NAMED else ""
            lines.append(f"* {_counted(len(alone), 'run')} of {name} without a partner: {said}{rest}")
    return lines


def _per_image(record: Record) -> dict[str, dict]:
    test = record.metrics.get("test")
    images = test.get("per_image") if isinstance(test, dict) else None
    return {k: v for k, v in images.items() if isinstance(v, dict)} if isinstance(images, dict) else {}


def _inputs(record: Record) -> list[str]:
    train = record.metrics.get("train")
    return [str(name) for name in train] if isinstance(train, list) else []


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _named(values: Sequence[object], word: str) -> str:
    return f"{_counted(len(values), word)} ({', '.join(map(str, values))})"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text if float(text) else text.lstrip("+-")
