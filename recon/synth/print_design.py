"""Pictures for printed things: covers, pages of invented words, maps, labels, paintings.

They are drawn in bytes (OpenCV smooths edges only there), encoded as 255 times the square root of linear colour.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.synth.noise import Noise, smoothstep

Color = tuple[float, float, float]

_BLACK = (36.0, 36.0, 40.0)
_GREY = (150.0, 146.0, 140.0)
_PALE = (236.0, 232.0, 224.0)

_OVERSAMPLING = 2  # drawn at twice the texel density and averaged, so edges are clean


def draw_print(
    design: str, width: int, height: int, texel: float, paper: Color, inks: Sequence[Color], noise: Noise
) -> Float[ndarray, "H W 3"]:
    """Draw a design, first row on top.

    Args:
        design: a key of `DESIGNS`.
        width, height: texels.
        texel: their distance in metres, which sizes letters and lines.
        paper: linear colour of the ground.
        inks: linear colours to draw with.
    """
    canvas = np.empty((height * _OVERSAMPLING, width * _OVERSAMPLING, 3), np.uint8)
    canvas[:] = _encoded(paper)
    canvas = DESIGNS[design](canvas, _OVERSAMPLING / texel, [_encoded(ink) for ink in inks], noise)
    return (cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) / 255.0) ** 2


def _cover(canvas: ndarray, per_metre: float, inks: list[Color], noise: Noise) -> ndarray:
    """A hardcover: coloured ground, a picture of discs and hills, title and author."""
    height, width = canvas.shape[:2]
    random = noise.random
    order = random.permutation(len(inks))
    ground, title_ink, accent = (inks[order[i % len(inks)]] for i in range(3))
    paper = _color_at(canvas)
    canvas[:] = ground
    top, bottom = int(height * random.uniform(0.3, 0.38)), int(height * random.uniform(0.78, 0.86))
    left, right = int(width * 0.1), int(width * 0.9)
    picture = canvas[top:bottom, left:right]
    _landscape(picture, [paper, accent, title_ink, ground], noise)
    cv2.rectangle(canvas, (left, top), (right, bottom), paper, max(1, int(0.0012 * per_metre)), cv2.LINE_AA)
    margin = int(width * 0.035)
    cv2.rectangle(
        canvas,
        (margin, margin),
        (width - margin, height - margin),
        accent,
        max(1, int(0.001 * per_metre)),
        cv2.LINE_AA,
    )
    _text_line(
        canvas, _word(random, 2, 3).upper(), (left, int(height * 0.15)), right - left, height * 0.085, paper
    )
    line = f"{_word(random, 1, 2)} {_word(random, 2, 3)}"
    _text_line(canvas, line, (left, int(height * 0.25)), right - left, height * 0.055, accent)
    name = f"{_word(random, 1, 2).title()} {_word(random, 2, 3).title()}"
    _text_line(canvas, name, (left, int(height * 0.94)), right - left, height * 0.045, paper)
    return canvas


def _page(canvas: ndarray, per_metre: float, inks: list[Color], noise: Noise) -> ndarray:
    """A printed sheet: headline, columns of words, one small picture."""
    height, width = canvas.shape[:2]
    random = noise.random
    margin = int(0.07 * width)
    _text_line(
        canvas,
        f"{_word(random, 2, 3)} {_word(random, 1, 3)}".title(),
        (margin, int(0.11 * height)),
        width - 2 * margin,
        0.07 * height,
        inks[0],
    )
    line_height = max(0.0052 * per_metre, 8.0)
    column_width = (width - 3 * margin) // 2
    for column in range(2):
        x = margin + column * (column_width + margin)
        y = 0.17 * height + line_height
        if column == 1:
            box = canvas[int(y) : int(y + 0.3 * height), x : x + column_width]
            _landscape(box, [inks[i % len(inks)] for i in range(1, 5)], noise)
            y += 0.3 * height + 2 * line_height
        while y < height - margin:
            _words(canvas, x, int(y), column_width, line_height, inks[0], random)
            y += line_height * (2.2 if random.random() < 0.12 else 1.45)
    return canvas


def _map(canvas: ndarray, per_metre: float, inks: list[Color], noise: Noise) -> ndarray:
    """A map: land and water, contour lines, roads, towns with names, a grid."""
    height, width = canvas.shape[:2]
    random = noise.random
    y, x = np.mgrid[0:height, 0:width] / per_metre
    points = np.stack([x, y, np.zeros_like(x)], axis=-1)
    relief = noise.fractal(points, 0.35, 0.02, gain=0.55, texel=1 / per_metre)
    water = smoothstep(-0.42, -0.38, -relief - 0.9)[..., None]
    shade = np.clip(0.5 + 0.25 * relief, 0, 1)[..., None]
    wash = np.array(inks[0]) * 0.35 + np.array(canvas[0, 0]) * 0.65
    land = canvas * (1 - 0.45 * shade) + np.array(inks[-1]) * 0.45 * shade
    ground = land * (1 - water) + wash * water
    level = relief * 5
    slope = np.hypot(*np.gradient(level))
    line = np.exp(-(((level - np.round(level)) / np.maximum(slope * 1.3, 1e-6)) ** 2)) * np.exp(
        -((slope / 0.3) ** 2)
    )
    canvas = np.clip(ground * (1 - 0.45 * line[..., None]), 0, 255).astype(np.uint8)
    spots = random.uniform([0.06, 0.06], [0.94, 0.94], (26, 2)) * [width, height]
    thick = max(1, int(0.0013 * per_metre))
    for start in range(len(spots)):
        distance = np.linalg.norm(spots - spots[start], axis=-1)
        for end in np.argsort(distance)[1:3]:
            bend = (spots[start] + spots[end]) / 2 + random.normal(0, 0.12, 2) * distance[end]
            t = np.linspace(0, 1, 24)[:, None]
            road = (1 - t) ** 2 * spots[start] + 2 * t * (1 - t) * bend + t**2 * spots[end]
            color = inks[1] if random.random() < 0.45 else _GREY
            cv2.polylines(canvas, [road.round().astype(np.int32)], False, color, thick, cv2.LINE_AA)
    size = max(0.0085 * per_metre, 10.0)
    for spot in spots:
        center = (int(spot[0]), int(spot[1]))
        cv2.circle(canvas, center, max(2, int(0.003 * per_metre)), _BLACK, -1, cv2.LINE_AA)
        name = _word(random, 2, 3).title()
        scale = size / 22.0 * random.uniform(0.7, 1.25)
        where = (center[0] + int(0.005 * per_metre), center[1])
        cv2.putText(
            canvas, name, where, cv2.FONT_HERSHEY_DUPLEX, scale, _BLACK, max(1, int(scale)), cv2.LINE_AA
        )
    for step in np.arange(0.1, max(width, height) / per_metre, 0.1):
        at = int(step * per_metre)
        cv2.line(canvas, (at, 0), (at, height), inks[0], 1, cv2.LINE_AA)
        cv2.line(canvas, (0, at), (width, at), inks[0], 1, cv2.LINE_AA)
    border = max(2, int(0.006 * per_metre))
    cv2.rectangle(canvas, (0, 0), (width - 1, height - 1), inks[0], border)
    return canvas


def _label(canvas: ndarray, per_metre: float, inks: list[Color], noise: Noise) -> ndarray:
    """A carton's print: a coloured band, a big word, small words, stripes of a code."""
    height, width = canvas.shape[:2]
    random = noise.random
    color = inks[int(random.integers(len(inks)))]
    other = inks[int(random.integers(len(inks)))]
    cv2.rectangle(canvas, (0, int(0.12 * height)), (width, int(0.45 * height)), color, -1)
    cv2.circle(canvas, (int(0.82 * width), int(0.28 * height)), int(0.12 * width), other, -1, cv2.LINE_AA)
    _text_line(
        canvas,
        _word(random, 2, 2).upper(),
        (int(0.06 * width), int(0.37 * height)),
        int(0.6 * width),
        0.2 * height,
        _PALE,
    )
    line_height = max(0.006 * per_metre, 8.0)
    y = 0.52 * height
    while y < 0.78 * height:
        _words(canvas, int(0.06 * width), int(y), int(0.55 * width), line_height, _BLACK, random)
        y += 1.5 * line_height
    x = int(0.68 * width)
    while x < 0.93 * width:
        bar = int(max(1, random.integers(1, 5) * 0.0006 * per_metre))
        cv2.rectangle(canvas, (x, int(0.55 * height)), (x + bar, int(0.85 * height)), _BLACK, -1)
        x += bar + int(max(1, random.integers(1, 4) * 0.0008 * per_metre))
    return canvas


def _painting(canvas: ndarray, per_metre: float, inks: list[Color], noise: Noise) -> ndarray:
    """A landscape in brush strokes."""
    height, width = canvas.shape[:2]
    random = noise.random
    _landscape(canvas, [_color_at(canvas), *inks], noise)
    source = cv2.GaussianBlur(canvas, (0, 0), 0.004 * per_metre)
    length = 0.014 * per_metre
    for _ in range(int(width * height / (0.00012 * per_metre**2))):
        x, y = random.uniform(0, width), random.uniform(0, height)
        color = source[int(y), int(x)] * np.exp(random.normal(0, 0.11) + random.normal(0, 0.04, 3))
        angle = random.normal(0.3 * np.sin(5 * x / width), 0.5)
        dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
        cv2.line(
            canvas,
            (int(x - dx), int(y - dy)),
            (int(x + dx), int(y + dy)),
            tuple(float(c) for c in np.clip(color, 0, 245)),
            max(2, int(0.003 * per_metre)),
            cv2.LINE_AA,
        )
    return canvas


DESIGNS: dict[str, Callable[[ndarray, float, list[Color], Noise], ndarray]] = {
    "cover": _cover,
    "page": _page,
    "map": _map,
    "label": _label,
    "painting": _painting,
}


def _landscape(picture: ndarray, colors: Sequence[Color], noise: Noise) -> None:
    """Fill a picture with a sky, a sun and layers of hills."""
    height, width = picture.shape[:2]
    random = noise.random
    fade = np.linspace(0, 1, height)[:, None, None]
    first, second = np.array(colors[0]), np.array(colors[1])
    picture[:] = (first * (1 - 0.6 * fade) + second * 0.6 * fade).astype(np.uint8)
    sun = (int(width * random.uniform(0.2, 0.8)), int(height * random.uniform(0.2, 0.4)))
    cv2.circle(
        picture, sun, int(0.11 * min(width, height)) + 1, tuple(colors[2 % len(colors)]), -1, cv2.LINE_AA
    )
    x = np.linspace(0, 1, width)
    for layer in range(4):
        ridge = np.zeros(width)
        for wave in range(1, 7):
            ridge += (
                random.normal(0, 1) / wave**1.2 * np.sin(2 * np.pi * wave * 0.9 * x + random.uniform(0, 6.3))
            )
        line = height * (0.45 + 0.14 * layer) + 0.06 * height * ridge
        color = np.array(colors[(layer + 1) % len(colors)]) * (1.0 - 0.17 * layer)
        cover = np.clip(np.arange(height)[:, None] - line[None] + 0.5, 0, 1)[..., None]
        picture[:] = (picture * (1 - cover) + color * cover).astype(np.uint8)


def _encoded(linear: Color) -> Color:
    red, green, blue = (255.0 * float(channel) ** 0.5 for channel in linear)
    return red, green, blue


def _color_at(canvas: ndarray) -> Color:
    """Return the colour of the upper left corner."""
    red, green, blue = (float(channel) for channel in canvas[0, 0])
    return red, green, blue


def _word(random: np.random.Generator, shortest: int, longest: int) -> str:
    """Return an invented word of some syllables."""
    count = int(random.integers(shortest, longest + 1))
    parts = [random.choice(list("bdfgklmnprstv")) + random.choice(list("aeiou")) for _ in range(count)]
    return "".join(parts) + random.choice(["", "n", "r", "s", "l"])


def _text_line(
    canvas: ndarray, text: str, origin: tuple[int, int], width: float, height: float, color: Color
) -> None:
    """Write one line as large as a box allows, from its lower left corner."""
    font = cv2.FONT_HERSHEY_TRIPLEX
    (text_width, text_height), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(width / text_width, height / text_height)
    cv2.putText(canvas, text, origin, font, scale, color, max(1, int(1.6 * scale)), cv2.LINE_AA)


def _words(
    canvas: ndarray, x: int, y: int, width: int, size: float, color: Color, random: np.random.Generator
) -> None:
    """Fill one line with small words."""
    scale = size / 30.0
    end = x + width * (0.6 if random.random() < 0.15 else 1.0)
    while True:
        word = _word(random, 1, 4)
        (length, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_COMPLEX, scale, 1)
        if x + length > end:
            return
        cv2.putText(
            canvas,
            word,
            (x, y),
            cv2.FONT_HERSHEY_COMPLEX,
            scale,
            color,
            max(1, int(1.2 * scale)),
            cv2.LINE_AA,
        )
        x += length + int(10 * scale) + 2
