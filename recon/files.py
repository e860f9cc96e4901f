"""Writing files so that a full disk, a crash or a second process never leaves half of one.

Everything goes to a hidden file in the same folder first, reaches the disk, and then takes the name it was
meant for. Whoever reads sees the old file or the new one, whole.
"""

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from recon.errors import ReconError

MAX_JSON_BYTES = 256 << 20
"""A larger JSON file is refused: cameras and metrics of the largest capture take a few megabytes."""
LOCK_FILE = ".lock"
"""Held by the command that writes to a folder; empty, and left behind."""


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, text: bool = False) -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when the block ends without an error.

    Folders on the way are created; a symbolic link is followed. When anything goes wrong the old file, if there
    was one, stays as it was.

    Args:
        path: where the file shall be.
        text: whether to write str (UTF-8, "\\n" line ends) instead of bytes.

    Raises:
        ReconError: when the folder cannot be written or the disk is full.
    """
    with atomic_path(path) as temporary:
        with _told_as_sentence(path):
            # Not mkstemp: its files are private, ours shall have the permissions that umask gives other files.
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
            )
        options: dict[str, Any] = (
            {"mode": "w", "encoding": "utf-8", "newline": "\n"} if text else {"mode": "wb"}
        )
        with os.fdopen(descriptor, **options) as file:
            yield file


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path` for a program that opens its output itself; at the end it moves to `path`.

    The yielded path has the same suffix. Nothing moves, and the old file stays, when the block raises.

    Raises:
        ReconError: when the folder cannot be written, the disk is full, or the block wrote no file.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".recon-{secrets.token_hex(8)}{target.suffix}"
    try:
        with _told_as_sentence(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with _told_as_sentence(path, only=_DISK_ERRORS):
            yield temporary
        with _told_as_sentence(path):
            _reach_disk(temporary)
            os.replace(temporary, target)
            if os.name == "posix":
                _reach_disk(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write data as indented JSON; numpy and torch values become numbers and lists, paths become strings.

    Raises:
        ReconError: when the file cannot be written.
        ValueError: when the data holds NaN or infinity, which JSON does not have: put None there.
        TypeError: when the data holds something that has no JSON form.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    with atomic_write(path, text=True) as file:
        file.write(text + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        ReconError: when the file is missing, unreadable, not UTF-8, not JSON, holds NaN or infinity, or is
            larger than `MAX_JSON_BYTES`.
    """
    content = read_bytes(path, MAX_JSON_BYTES)
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        problem = "its brackets are nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise ReconError(f"{path} is not a readable JSON file: {problem}")


def read_bytes(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Read a whole file, refusing one that is larger than `max_bytes` before any of it is loaded.

    Raises:
        ReconError: when the file is missing, unreadable, not a file, or too large.
    """
    try:
        # Asked before opening: a pipe would block, a device never end.
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ReconError(f"{path} is a folder, but a file is needed")
        if not stat.S_ISREG(status.st_mode):
            raise ReconError(f"{path} is a pipe or a device, but an ordinary file is needed")
        if status.st_size > max_bytes:
            raise ReconError(f"{path} is larger than {max_bytes >> 20} MB, more than such a file can need")
        with open(path, "rb") as file:
            return file.read(status.st_size)
    except FileNotFoundError:
        raise ReconError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise ReconError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second command from writing to the same folder, which is created; the lock goes with the process.

    Raises:
        ReconError: when another command works on it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK_FILE, "w", encoding="utf-8")  # noqa: SIM115 (held open below)
    except OSError as error:
        raise ReconError(
            f"cannot write to {folder}: {error.strerror}; choose another folder with -o"
        ) from error
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass  # Windows: nothing keeps a second command away there
        except OSError as error:
            raise ReconError(
                f"another command is working on {folder}: wait for it, or choose another folder"
            ) from error
        yield


_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What writing to an open file can fail with; other errors in the caller's block are the caller's own."""


@contextmanager
def _told_as_sentence(path: str | os.PathLike[str], only: frozenset[int] | None = None) -> Iterator[None]:
    """Turn the operating system's errors (or only those with these numbers) into a sentence."""
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        raise ReconError(_sentence(path, error)) from error


def _sentence(path: str | os.PathLike[str], error: OSError) -> str:
    folder = Path(path).parent
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"{path} was not written because the disk is full: free some space or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "choose another folder or change its permissions"
        return f"{path} was not written because {folder} is not writable: {remedy}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path} was not written because a file lies where one of its folders should be"
    if error.errno == errno.EISDIR:
        return f"{path} was not written because it is a folder: choose another name"
    return f"{path} was not written: {error.strerror or error}"


def _reach_disk(path: Path) -> None:
    """Wait until the file's (or folder's) content is on the disk, where the file system can say so."""
    # Windows needs write access to flush a file; folders cannot be opened for writing anywhere.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have no fsync for folders
            raise
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not a JSON number")
