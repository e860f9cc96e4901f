"""The files that a client may fetch: ids in a table, inside one folder, through no symbolic link."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

ID = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)

_CHUNK = 1 << 18

_MEDIA_TYPES = {".png": "image/png", ".glb": "model/gltf-binary", ".json": "application/json"}
_BYTES = "application/octet-stream"


@dataclass
class OpenedFile:
    """Content on its way to a client."""

    size: int
    media_type: str
    chunks: Iterator[bytes]


class FileTable:
    """Ids of the files of one folder, and of content that is made when asked for."""

    def __init__(self, root: Path | None = None) -> None:
        """Serve nothing yet.

        Args:
            root: the folder that every file lies in, itself reached through any links; None when there are no files.
        """
        self._given = None if root is None else os.path.abspath(root)
        self._root = None if root is None else Path(os.path.realpath(root))
        self._files: dict[str, PurePath] = {}
        self._made: dict[str, tuple[Callable[[], bytes], str]] = {}

    def add_file(self, name: str, path: Path) -> str | None:
        """List a file under an id.

        Args:
            name: the id.
            path: the file, given through the same root folder.

        Returns:
            The id, or None when no ordinary file lies there, or it can only be reached through a symbolic link.
        """
        assert ID.fullmatch(name) and self._root is not None and self._given is not None, name
        relative = PurePath(os.path.relpath(os.path.abspath(path), self._given))
        if open_contained(self._root, relative, probe=True) is None:
            return None
        self._files[name] = relative
        return name

    def add_made(self, name: str, make: Callable[[], bytes], suffix: str = "") -> str:
        """List content that is made each time it is asked for, and return its id."""
        assert ID.fullmatch(name), name
        self._made[name] = (make, _MEDIA_TYPES.get(suffix, _BYTES))
        return name

    def open(self, name: str) -> OpenedFile | None:
        """Open what an id stands for; None for anything that is not in the table, or is no longer an ordinary file."""
        if not ID.fullmatch(name):
            return None
        if name in self._made:
            make, media_type = self._made[name]
            content = make()
            return OpenedFile(len(content), media_type, _pieces(content))
        relative = self._files.get(name)
        if relative is None or self._root is None:
            return None
        file = open_contained(self._root, relative)
        if file is None:
            return None
        size = os.fstat(file.fileno()).st_size
        return OpenedFile(size, _MEDIA_TYPES.get(relative.suffix, _BYTES), read_chunks(file, size))


def open_contained(root: Path, relative: PurePath, *, probe: bool = False) -> IO[bytes] | None:
    """Open an ordinary file below `root` without following a symbolic link anywhere below it.

    Where the system can, every folder on the way is opened from the one before (openat with O_NOFOLLOW), so that
    nothing can be exchanged for a link between the check and the opening.

    Returns:
        The file, or None when there is none; with `probe`, a file that is closed already.
    """
    if relative.is_absolute() or not relative.parts or ".." in relative.parts:
        return None
    try:
        descriptor = (
            _open_step_by_step(root, relative) if _CAN_OPEN_STEPWISE else _open_checked(root, relative)
        )
    except (OSError, ValueError):
        return None
    file = os.fdopen(descriptor, "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        return None
    if probe:
        file.close()
    return file


_CAN_OPEN_STEPWISE = (
    os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
)


def _open_step_by_step(root: Path, relative: PurePath) -> int:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in relative.parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Not blocking: a pipe in the folder must not hold a thread.
        return os.open(relative.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _open_checked(root: Path, relative: PurePath) -> int:
    """Open where folders cannot be opened (Windows): the path must be its own real path."""
    path = root / relative
    if os.path.normcase(os.path.realpath(path)) != os.path.normcase(path):
        raise OSError("a link lies on the way")
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def read_chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield exactly the announced number of bytes, or fewer when the file shrinks meanwhile."""
    with file:
        while size > 0 and (chunk := file.read(min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
