"""List the picture files of a folder."""

import os
import re
from collections import Counter
from pathlib import Path

from recon.datasets.decode import SUFFIXES, shown
from recon.errors import ReconError


def picture_files(folder: Path) -> list[Path]:
    """Return a folder's pictures in name order, hidden files left out.

    Raises:
        ReconError: when the folder cannot be listed, or a picture's name is not valid UTF-8 (such a name cannot be
            written to reports, JSON files or COLMAP databases).
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ReconError(f"{shown(folder)} cannot be listed: {error.strerror}") from error
    files = [entry for entry in entries if is_picture(entry)]
    for file in files:
        try:
            file.name.encode("utf-8")
        except UnicodeEncodeError:
            raise ReconError(
                f"the name of photo {os.fsencode(file.name)!r} is not valid UTF-8: rename it, "
                "for example with `convmv -f latin1 -t utf8 --notest`"
            ) from None
    return files


def is_picture(file: Path) -> bool:
    """Tell by its name whether a file is a picture (hidden files and folders are not)."""
    return not file.name.startswith(".") and file.suffix.lower() in SUFFIXES and not file.is_dir()


def describe_contents(folder: Path) -> str:
    """Say in a few words what a folder holds, for messages about what it lacks."""
    kinds: Counter[str] = Counter()
    for entry in folder.iterdir():
        if not entry.name.startswith("."):
            kinds["folders" if entry.is_dir() else shown(entry.suffix.lower()) or "other files"] += 1
    if not kinds:
        return "is empty"
    return "holds " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))


def last_number(name: str) -> int | None:
    """Return the last number in a file's name without its ending: r_16.png is 16."""
    numbers = re.findall(r"\d+", Path(name).stem)
    return int(numbers[-1]) if numbers else None
