"""Reading zips that anybody may have made: nothing is unpacked to disk, and memory and time are bounded.

What a directory states is checked before an entry is touched, and what an entry holds is counted while it streams.
An archive that could harm whoever unpacks it is refused as a whole; a damaged entry is that entry's fault.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recon.datasets.decode import shown
from recon.errors import ReconError
from recon.submission.faults import printable

MAX_ENTRIES = 10_000
"""The largest submission has 180 pictures; a Mac's zip holds three entries for each."""

MAX_DIRECTORY_BYTES = 4 << 20
"""Of the zip's directory, and of any other single read from the file: 10 000 entries with long names."""

MAX_ENTRY_BYTES = 32 << 20
"""A 1600x1200 picture has 5.8 MB of pixels; with 16 bit and transparency 15.4 MB."""

MAX_TOTAL_BYTES = 4 << 30
"""Stated by all entries together; 180 pictures that do not compress at all have 1.04 GB."""

MAX_RATIO = 200
"""Packed pictures do not shrink again: PNGs of noise by nothing, flat ones to a tenth."""

RATIO_FROM_BYTES = 1 << 20
"""Smaller entries may shrink as far as they like: a flat picture has 20 kB."""

MAX_NAME_LENGTH = 260
"""Of an entry's whole path: as much as Windows can unpack. The names asked for have some 30 letters."""

_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_ENCRYPTED = 0x1
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Entry:
    """A file inside a zip.

    Attributes:
        name: as the zip states it.
        parts: folders and file name; "." and doubled slashes are gone.
    """

    name: str
    parts: tuple[str, ...]
    info: zipfile.ZipInfo

    @property
    def encrypted(self) -> bool:
        return bool(self.info.flag_bits & _ENCRYPTED)


class DamagedEntryError(Exception):
    """An entry cannot be read; the message goes on after "it"."""


class Archive:
    """A zip whose directory was found harmless."""

    def __init__(self, path: Path, file: _BoundedFile, entries: tuple[Entry, ...]) -> None:
        self.path = path
        self.entries = entries
        self._file = file

    def read(self, entry: Entry) -> bytes:
        """Unpack one entry in memory.

        Raises:
            DamagedEntryError: when it is encrypted, packed in an uncommon way, cut off, damaged, or holds more than it
                states.
        """
        info = entry.info
        if entry.encrypted:
            raise DamagedEntryError("is encrypted: submissions are read without a password")
        if info.compress_type not in (_STORED, _DEFLATED):
            raise DamagedEntryError("is packed by a method that not every reader knows: use ordinary deflate")
        if info.file_size > MAX_ENTRY_BYTES:
            raise DamagedEntryError(
                f"states {info.file_size} bytes, more than the {MAX_ENTRY_BYTES >> 20} MB that a picture can have"
            )
        try:
            self._seek_data(entry)
            chunks = self._inflated(info) if info.compress_type == _DEFLATED else self._stored(info)
            content, checksum = bytearray(), 0
            for chunk in chunks:
                if len(content) + len(chunk) > info.file_size:
                    raise DamagedEntryError(
                        f"holds more than the {info.file_size} bytes that the zip states for it"
                    )
                content += chunk
                checksum = zlib.crc32(chunk, checksum)
        except (OSError, OverflowError, ValueError, struct.error, zlib.error) as error:
            raise DamagedEntryError(f"cannot be unpacked ({error})") from None
        if len(content) < info.file_size:
            raise DamagedEntryError(
                f"ends after {len(content)} of {info.file_size} bytes: write or upload the zip again"
            )
        if checksum != info.CRC:
            raise DamagedEntryError("has another checksum than the zip states: write or upload the zip again")
        return bytes(content)

    def _seek_data(self, entry: Entry) -> None:
        """Go to the packed bytes, past the header that repeats the directory's."""
        self._file.seek(entry.info.header_offset)
        header = self._file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise DamagedEntryError("is not where the zip's directory says: write or upload the zip again")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        name = self._file.read(name_length)
        encoding = "utf-8" if entry.info.flag_bits & 0x800 else "cp437"
        if name != entry.info.orig_filename.encode(encoding, errors="replace"):
            raise DamagedEntryError(
                "has another name inside the zip than in its directory: write the zip again"
            )
        self._file.seek(extra_length, os.SEEK_CUR)

    def _stored(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        left = info.compress_size
        while left > 0 and (chunk := self._file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk

    def _inflated(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        for packed in self._stored(info):
            while packed and not inflater.eof:
                yield inflater.decompress(packed, _CHUNK)
                packed = inflater.unconsumed_tail
            if inflater.eof:
                return
        # What the window still holds once all packed bytes were given.
        while chunk := inflater.decompress(b"", _CHUNK):
            yield chunk


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip for checking.

    Raises:
        ReconError: when it is no zip, or could harm whoever unpacks it: names that leave the folder, links, far too
            many entries, entries that unpack to far more than they take.
    """
    path = Path(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ReconError(f"{shown(path)} is not a file: give the zip")
        raw = open(path, "rb")  # noqa: SIM115  closed below, after the caller's block
    except OSError as error:
        raise ReconError(f"{shown(path)} cannot be read: {error.strerror}") from None
    with raw:
        file = _BoundedFile(raw, status.st_size)
        infos = _directory(path, file)
        _refuse_bombs(path, infos, status.st_size)
        yield Archive(path, file, tuple(_entry(path, info) for info in infos if not _is_folder(path, info)))


class _BoundedFile(io.RawIOBase):
    """A file of which no single read takes more than `MAX_DIRECTORY_BYTES`, whatever sizes a zip states."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file = file
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._file.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > MAX_DIRECTORY_BYTES:
            raise ReconError(
                f"its directory has {wanted >> 20} MB, as if there were hundreds of thousands of files in it"
            )
        return self._file.read(wanted)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _directory(path: Path, file: _BoundedFile) -> list[zipfile.ZipInfo]:
    try:
        infos = zipfile.ZipFile(file).infolist()
    except ReconError as error:
        raise ReconError(f"{shown(path)} was refused: {error}") from None
    except Exception as error:  # zipfile raises half a dozen kinds for a damaged directory
        raise ReconError(
            f"{shown(path)} is not a readable zip ({printable(str(error))}): "
            "was it cut off while it was copied, or is it another kind of archive?"
        ) from None
    if len(infos) > MAX_ENTRIES:
        raise ReconError(
            f"{shown(path)} was refused: it has {len(infos)} entries, but no submission needs more than {MAX_ENTRIES}"
        )
    return infos


def _refuse_bombs(path: Path, infos: list[zipfile.ZipInfo], file_size: int) -> None:
    for info in infos:
        if info.file_size > RATIO_FROM_BYTES and info.file_size > MAX_RATIO * info.compress_size:
            raise ReconError(
                f"{shown(path)} was refused: {printable(info.orig_filename)} would unpack from "
                f"{info.compress_size} bytes to {info.file_size}, which no picture does (a decompression bomb)"
            )
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL_BYTES:
        raise ReconError(
            f"{shown(path)} was refused: it would unpack to {total >> 20} MB, more than the "
            f"{MAX_TOTAL_BYTES >> 20} MB that any submission can need (a decompression bomb)"
        )
    if sum(info.compress_size for info in infos) > file_size:
        raise ReconError(
            f"{shown(path)} was refused: its entries lie over one another, so that it unpacks to more than it holds "
            "(a decompression bomb), or it was cut off"
        )


def _is_folder(path: Path, info: zipfile.ZipInfo) -> bool:
    return _safe_name(path, info).endswith("/")


def _entry(path: Path, info: zipfile.ZipInfo) -> Entry:
    name = _safe_name(path, info)
    return Entry(name, tuple(part for part in name.split("/") if part not in ("", ".")), info)


def _safe_name(path: Path, info: zipfile.ZipInfo) -> str:
    """Return an entry's name.

    An entry can have two, the second in an extra field that some readers follow: neither may do harm.

    Raises:
        ReconError: when the name leads outside of the folder it is unpacked in, or the entry is a link or a device.
    """
    kind = stat.S_IFMT(info.external_attr >> 16)
    problem = _name_problem(info.orig_filename) or _name_problem(info.filename)
    if problem is None and kind == stat.S_IFLNK:
        problem = "is a symbolic link, which may point anywhere; put the picture itself there"
    elif problem is None and kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        problem = "is a device or a pipe"
    if problem is not None:
        raise ReconError(f"{shown(path)} was refused: the entry '{printable(info.orig_filename)}' {problem}")
    return info.filename


def _name_problem(name: str) -> str | None:
    if len(name) > MAX_NAME_LENGTH:
        return f"has a name of {len(name)} letters"
    parts = name.split("/")
    if "\0" in name:
        return "has a name with a zero byte"
    if "\\" in name:
        return "has backslashes in its name, which lead to other places on Windows; use forward slashes"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "has an absolute path as its name and would be written outside of the folder it is unpacked in"
    if ".." in parts:
        return "has '..' in its name and would be written outside of the folder it is unpacked in"
    if not any(part not in ("", ".") for part in parts):
        return "has no name"
    return None
