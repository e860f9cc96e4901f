"""The viewer's page: the build of `viewer/`, kept in memory, so that no request is ever turned into a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from recon.errors import ReconError

FOLDER = Path(__file__).parent / "page"
"""The build that ships with the package."""

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".md": "text/plain; charset=utf-8",
}

_MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class PageFile:
    """One file of the page."""

    content: bytes
    media_type: str


def load_page(folder: Path = FOLDER) -> dict[str, PageFile]:
    """Read the page; its files by their path relative to it, with `/` between folders.

    Raises:
        ReconError: when the page was not built, or the folder is far too large to be one.
    """
    if not (folder / "index.html").is_file():
        raise ReconError(
            f"the viewer's page is missing ({folder / 'index.html'}); install recon again, or build the page: "
            "`npm ci && npm run build` in viewer/"
        )
    page: dict[str, PageFile] = {}
    total = 0
    for place, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(place) / name
            media_type = _MEDIA_TYPES.get(path.suffix.lower())
            if media_type is None or path.is_symlink():
                continue
            total += path.stat().st_size
            if total > _MAX_BYTES:
                raise ReconError(f"{folder} holds more than a page; build it again in viewer/")
            page[path.relative_to(folder).as_posix()] = PageFile(path.read_bytes(), media_type)
    return page
