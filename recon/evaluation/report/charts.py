"""Training curves as SVG, and the bar of phases."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from recon.evaluation.report.contents import Step
from recon.evaluation.report.markup import Html, element

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 12, 30

MAX_POINTS = 300
"""A curve is drawn through at most this many points, each the mean of as many consecutive log lines as it takes."""

LOGARITHMIC_RANGE = 20.0
"""A positive quantity that spans more than this factor is drawn on a logarithmic axis."""


def training_charts(steps: Sequence[Step]) -> list[Html]:
    """Return the charts of loss, PSNR and number of Gaussians, those of which the log holds at least two values."""
    quantities: list[tuple[str, str, str, Callable[[Step], float | None], Callable[[float], str]]] = [
        ("Training loss", "training loss", "", lambda step: step.loss, lambda v: f"{v:.3g}"),
        ("Training PSNR", "training PSNR", " dB", lambda step: step.psnr, lambda v: f"{v:.2f}"),
        ("Gaussians", "number of Gaussians", "", lambda step: step.gaussians, lambda v: f"{v:,.0f}"),
    ]
    charts = []
    for title, quantity, unit, value, text in quantities:
        points = [
            (step.iteration, v) for step in steps if (v := value(step)) is not None and math.isfinite(v)
        ]
        if len(points) >= 2:
            charts.append(_chart(title, quantity, unit, points, text, allow_log=quantity == "training loss"))
    return charts


def phase_bar(seconds: dict[str, float], labels: dict[str, str]) -> Html | None:
    """Return a bar whose parts are as long as the phases, with a legend that tells the seconds.

    Args:
        seconds: duration by phase, in order.
        labels: what each phase is called.
    """
    shown = {name: value for name, value in seconds.items() if value > 0}
    total = sum(shown.values())
    if not shown:
        return None
    segments, entries = [], []
    for index, (name, value) in enumerate(shown.items()):
        label = labels.get(name, name)
        color = f"--phase-{index % 5 + 1}"
        share = f"{100 * value / total:.1f} %"
        style = f"flex-grow:{value / total:.5f};background:var({color})"
        segments.append(element("span", style=style, title=f"{label}: {duration(value)} ({share})"))
        swatch = element("i", style=f"background:var({color})", aria_hidden="true")
        entries.append(
            element("li", swatch, element("span", label), element("b", duration(value)), element("em", share))
        )
    spoken = ", ".join(f"{labels.get(name, name)} {duration(value)}" for name, value in shown.items())
    return element(
        "div",
        element("div", segments, class_="phases", role="img", aria_label=f"Time by phase: {spoken}"),
        element("ul", entries, class_="legend-list"),
    )


def duration(seconds: float) -> str:
    """Return seconds as a person writes them: 8.4 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def thinned(points: Sequence[tuple[float, float]], limit: int = MAX_POINTS) -> list[tuple[float, float]]:
    """Average consecutive points so that at most `limit` remain, each at the last position it stands for."""
    if len(points) <= limit:
        return list(points)
    size = math.ceil(len(points) / limit)
    buckets = [points[start : start + size] for start in range(0, len(points), size)]
    return [(bucket[-1][0], math.fsum(y for _, y in bucket) / len(bucket)) for bucket in buckets]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten apart) that lie within a range."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def short_number(value: float) -> str:
    """Return an axis label: 0.05, 12, 2.5k, 1.2M."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"


def _chart(
    title: str,
    quantity: str,
    unit: str,
    points: Sequence[tuple[float, float]],
    text: Callable[[float], str],
    *,
    allow_log: bool,
) -> Html:
    points = thinned(points)
    first, last = points[0], points[-1]
    values = [y for _, y in points]
    logarithmic = allow_log and min(values) > 0 and max(values) / min(values) > LOGARITHMIC_RANGE
    scaled = [math.log10(y) for y in values] if logarithmic else values
    low, high = min(scaled), max(scaled)
    margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.05
    low, high = low - margin, high + margin
    if not logarithmic and min(values) >= 0:
        low = max(low, 0.0)
    x_low, x_high = 0.0, float(points[-1][0])
    if logarithmic:
        y_ticks = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
        if len(y_ticks) < 2:
            y_ticks = [m * 10.0**p for p in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
        y_ticks = [tick for tick in y_ticks if low <= math.log10(tick) <= high]
    else:
        y_ticks = ticks(low, high)

    def x_at(x: float) -> float:
        return LEFT + (x - x_low) / max(x_high - x_low, 1e-12) * (WIDTH - LEFT - RIGHT)

    def y_at(y: float) -> float:
        y = math.log10(y) if logarithmic else y
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    marks = []
    for tick in y_ticks:
        y = f"{y_at(tick):.1f}"
        marks.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        label = short_number(tick)
        marks.append(element("text", label, x=LEFT - 8, y=y, dy="0.35em", text_anchor="end", class_="tick"))
    for tick in ticks(x_low, x_high):
        label, x = short_number(tick), f"{x_at(tick):.1f}"
        marks.append(element("text", label, x=x, y=HEIGHT - 10, text_anchor="middle", class_="tick"))
    pixels = [(x_at(x), y_at(y)) for x, y in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in pixels)
    cursor = element(
        "g",
        element("line", y1=TOP, y2=HEIGHT - BOTTOM),
        element("circle", r=4),
        class_="cursor",
        visibility="hidden",
    )
    data = [
        [x, f"{text(y)}{unit}", round(px, 1), round(py, 1)]
        for (x, y), (px, py) in zip(points, pixels, strict=True)
    ]
    description = (
        f"{quantity} over iterations: {text(first[1])}{unit} at {first[0]:,.0f}, "
        f"{text(last[1])}{unit} at {last[0]:,.0f}"
    )
    svg = element(
        "svg",
        marks,
        element("path", d=path, class_="curve"),
        element("circle", cx=f"{pixels[-1][0]:.1f}", cy=f"{pixels[-1][1]:.1f}", r=3.5, class_="end"),
        cursor,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=description,
        data_points=json.dumps(data, separators=(",", ":")),
        data_last=f"{text(last[1])}{unit}",
    )
    caption = element(
        "figcaption",
        element("span", title, element("small", " logarithmic") if logarithmic else None),
        element("output", f"{text(last[1])}{unit}"),
    )
    return element("figure", caption, svg, element("p", "iteration", class_="axis"), class_="chart")
