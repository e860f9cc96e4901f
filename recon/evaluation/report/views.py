"""The report's pictures: each view's render beside its photo with their difference, and the depth of the inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recon.evaluation.metrics import WEIGHTS_NOT_INSTALLED
from recon.evaluation.pictures import (
    CONFIDENCE_RAMP,
    DEPTH_RAMP,
    DIFFERENCE_GAIN,
    DIFFERENCE_RAMP,
    ColorScale,
    PictureKind,
    color_table,
    difference_picture,
    read_color_scale,
)
from recon.evaluation.report.contents import Contents, Split, number
from recon.evaluation.report.markup import Html, element, embedded, relative_link

MAX_SHOWN = 24
"""More views than this would make the file tens of megabytes; the table of numbers still lists every view."""

RENDERS: dict[Split, PictureKind] = {"train": "renders/train", "test": "renders/test"}
TRUTH: dict[Split, PictureKind] = {"train": "truth/train", "test": "truth/test"}

COMPARE_WIDTH, DEPTH_WIDTH = 720, 400


def comparisons(contents: Contents, split: Split) -> Html | None:
    """Return every view of a split: photo and render under a slider, their difference, and the view's numbers.

    Of many views, an even selection from the worst to the best is shown and the text says so.
    """
    names = [name for name in contents.names(split) if contents.picture(RENDERS[split], name) is not None]
    if not names:
        return None
    per_image = contents.per_image(split)
    ranked = sorted(names, key=lambda name: number(per_image.get(name, {}).get("psnr")) or 0.0)
    note = None
    shown = names
    if len(names) > MAX_SHOWN:
        picked = {ranked[index] for index in np.linspace(0, len(ranked) - 1, MAX_SHOWN).round().astype(int)}
        shown = [name for name in names if name in picked]
        note = element(
            "p",
            f"{len(shown)} of {len(names)} views, evenly chosen from the worst to the best PSNR; the table of numbers "
            "below lists all.",
            class_="note",
        )
    mark = {ranked[0]: "lowest PSNR", ranked[-1]: "highest PSNR"} if len(ranked) > 2 else {}
    cards = [_comparison(contents, split, name, per_image.get(name, {}), mark.get(name)) for name in shown]
    legend = color_legend(
        ColorScale(0.0, 1.0 / DIFFERENCE_GAIN, DIFFERENCE_RAMP),
        f"Absolute difference, mean over the channels, ×{DIFFERENCE_GAIN:g}",
        ("0", f"≥ {1 / DIFFERENCE_GAIN:g}"),
    )
    return element("div", note, legend, cards, class_="views")


def depth_rows(contents: Contents) -> Html | None:
    """Return one row per input: photo, depth of the result, depth and confidence from stereo, as far as present."""
    rows = []
    for name in contents.names("train"):
        photo = contents.image("truth/train", name)
        figures = [_figure(photo, f"Input photo {name}", "Photo", None)] if photo is not None else []
        for suffix, title, ramp in (
            ("", "Depth of the result", DEPTH_RAMP),
            ("_stereo", "Depth from stereo", DEPTH_RAMP),
            ("_confidence", "Confidence of stereo", CONFIDENCE_RAMP),
        ):
            image = contents.image("depth", name, suffix)
            path = contents.picture("depth", name, suffix)
            if image is not None and path is not None:
                legend = _scale_legend(read_color_scale(path), ramp)
                figures.append(
                    _figure(image, f"{title} for {name}", title, legend, relative_link(path, contents.path))
                )
        if figures:
            heading = element("h3", name, class_="name")
            rows.append(element("div", heading, element("div", figures, class_="strip"), class_="input"))
    return element("div", rows, class_="inputs") if rows else None


def color_legend(scale: ColorScale, title: str, ends: tuple[str, str]) -> Html:
    """Return a bar of a ramp's colours with what its ends stand for."""
    table = color_table(scale.ramp)[:: 255 // 15]
    stops = ",".join(f"rgb({r} {g} {b})" for r, g, b in table.tolist())
    bar = element("i", style=f"background:linear-gradient(90deg,{stops})", aria_hidden="true")
    scale_bar = element("span", element("span", ends[0]), bar, element("span", ends[1]))
    return element("p", element("b", title), scale_bar, class_="ramp")


def metric_text(name: str, value: Any) -> str:
    """Return a metric as text, the reason when it is missing."""
    decimals = {"psnr": 2, "psnr_masked": 2, "gradient_error": 4, "depth_abs_rel": 4}.get(name, 3)
    measured = number(value)
    if measured is not None:
        return f"{measured:.{decimals}f}"
    return WEIGHTS_NOT_INSTALLED if "lpips" in name or name == "average" else "not measured"


def _comparison(
    contents: Contents, split: Split, name: str, values: dict[str, Any], mark: str | None
) -> Html | None:
    render, truth = contents.image(RENDERS[split], name), contents.image(TRUTH[split], name)
    if render is None:
        return None
    render_link = _link(contents, contents.picture(RENDERS[split], name), "render")
    numbers = [
        element("li", element("span", title), element("b", metric_text(key, values[key]) + unit))
        for key, title, unit in (
            ("psnr", "PSNR", " dB"),
            ("ssim", "SSIM", ""),
            ("psnr_masked", "PSNR on object", " dB"),
        )
        if number(values.get(key)) is not None
    ]
    if "lpips" in values:
        tag = "b" if number(values["lpips"]) is not None else "em"
        numbers.append(
            element("li", element("span", "LPIPS"), element(tag, metric_text("lpips", values["lpips"])))
        )
    heading = element(
        "header",
        element("h3", name, class_="name"),
        element("em", mark, class_="mark") if mark else None,
        element("ul", numbers, class_="numbers"),
    )
    if truth is None or truth.size != render.size:
        only = _figure(
            render, f"Render of {name}", "Render, without a photo of the same size to compare with", None
        )
        return element("article", heading, only, class_="view")
    difference = Image.fromarray(difference_picture(np.asarray(render), np.asarray(truth)))
    truth_link = _link(contents, contents.picture(TRUTH[split], name), "photo")
    links = element("span", "Full size: ", truth_link, ", ", render_link)
    panels = element(
        "div", _slider(render, truth, name), _difference(difference, name, links), class_="panels"
    )
    return element("article", heading, panels, _confidence(contents, split, name), class_="view")


def _confidence(contents: Contents, split: Split, name: str) -> Html | None:
    """Return how far each pixel of a held-out view may be trusted, where the run has it."""
    image = contents.image("confidence", name) if split == "test" else None
    if image is None:
        return None
    legend = color_legend(ColorScale(0.0, 1.0, CONFIDENCE_RAMP), "Confidence", ("guessed", "sure"))
    figure = _figure(
        image, f"Confidence of the render of {name}", "What the result knows of its errors", legend
    )
    return element("div", figure, class_="strip")


def _slider(render: Image.Image, truth: Image.Image, name: str) -> Html:
    photo_url, width, height = embedded(truth, width=COMPARE_WIDTH)
    render_url, _, _ = embedded(render, width=COMPARE_WIDTH)
    size = {"width": width, "height": height, "decoding": "async"}
    return element(
        "figure",
        element(
            "div",
            element("img", src=photo_url, alt=f"Photo {name}", class_="photo", **size),
            element("img", src=render_url, alt=f"Render from the camera of {name}", class_="render", **size),
            element("span", "photo", class_="tag left", aria_hidden="true"),
            element("span", "render", class_="tag right", aria_hidden="true"),
            element("i", class_="handle", aria_hidden="true"),
            element(
                "input",
                type="range",
                min=0,
                max=100,
                value=50,
                aria_label=f"How much of {name} shows the photo; the rest shows the render",
            ),
            class_="compare",
            style=f"--aspect:{width / height:.5f}",
        ),
        element("figcaption", "Photo left, render right; drag, or use the arrow keys"),
    )


def _difference(difference: Image.Image, name: str, links: Html) -> Html:
    url, width, height = embedded(difference, width=COMPARE_WIDTH, quality=80)
    image = element(
        "img",
        src=url,
        alt=f"Absolute difference between photo and render of {name}, times {DIFFERENCE_GAIN:g}",
        width=width,
        height=height,
        decoding="async",
        style=f"--aspect:{width / height:.5f}",
    )
    caption = element("figcaption", element("span", f"Difference ×{DIFFERENCE_GAIN:g}"), links)
    return element("figure", image, caption, class_="difference")


def _figure(image: Image.Image, alt: str, caption: str, legend: Html | None, link: str | None = None) -> Html:
    url, width, height = embedded(image, width=DEPTH_WIDTH)
    picture = element("img", src=url, alt=alt, width=width, height=height, decoding="async")
    return element(
        "figure",
        element("a", picture, href=link) if link else picture,
        element("figcaption", caption),
        legend,
    )


def _scale_legend(scale: ColorScale | None, ramp: str) -> Html:
    words = ("near", "far") if ramp == DEPTH_RAMP else ("", "")
    if scale is None:
        return color_legend(ColorScale(0.0, 1.0, ramp), "", words if ramp == DEPTH_RAMP else ("0", "1"))
    ends = (f"{words[0]} {scale.low:.3g}".strip(), f"{words[1]} {scale.high:.3g}".strip())
    return color_legend(scale, "", ends)


def _link(contents: Contents, path: Path | None, text: str) -> Html | None:
    return None if path is None else element("a", text, href=relative_link(path, contents.path))
