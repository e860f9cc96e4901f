"""Writing HTML so that no string from a run can become markup: everything is escaped unless it is `Html` already."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from PIL.Image import Image


class Html(str):
    """Markup that is safe to insert as it is."""

    __slots__ = ()


VOID_TAGS = frozenset({"img", "input", "br", "meta"})


def element(tag: str, *children: str | Iterable[str | None] | None, **attributes: Any) -> Html:
    """Return an element.

    Args:
        children: text, which is escaped, or `Html`; None is left out.
        attributes: a trailing underscore is dropped and others become hyphens (`class_`, `aria_label`); None
            and False are left out, True stands without a value.
    """
    text = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID_TAGS:
        return Html(f"<{tag}{text}>")
    return Html(f"<{tag}{text}>{join(children)}</{tag}>")


def join(children: Iterable[str | Iterable[str | None] | None]) -> Html:
    """Concatenate children, escaping what is not `Html`."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(str(child))
        elif isinstance(child, str):
            parts.append(html.escape(_printable(child)))
        else:
            parts.append(str(join(child)))
    return Html("".join(parts))


def relative_link(path: Path, folder: Path) -> str:
    """Return the URL of a file relative to the report's folder."""
    return quote(path.relative_to(folder).as_posix(), errors="surrogateescape")


def embedded(image: Image, *, width: int, quality: int = 86) -> tuple[str, int, int]:
    """Return a picture as a data URL, scaled down (never up) to a width, and its size in pixels."""
    from PIL import Image as Images

    if image.width > width:
        height = max(1, round(image.height * width / image.width))
        image = image.resize((width, height), Images.Resampling.LANCZOS, reducing_gap=3.0)
    jpeg = base64.b64encode(_jpeg(image, quality)).decode()
    return f"data:image/jpeg;base64,{jpeg}", image.width, image.height


def _jpeg(image: Image, quality: int) -> bytes:
    options: dict[str, Any] = {"format": "JPEG", "quality": quality, "subsampling": 0}
    data = io.BytesIO()
    try:
        image.save(data, optimize=True, **options)
    except (
        OSError
    ):  # to optimize, Pillow wants all in one buffer, and noise does not fit into the one that it makes
        data = io.BytesIO()
        image.save(data, **options)
    return data.getvalue()


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(_printable(str(value)))}"'


def _printable(text: str) -> str:
    """Replace what UTF-8 cannot hold (file names that are not UTF-8 carry such characters) and control characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c >= " " or c in "\n\t" else "\ufffd" for c in text)
