"""Tell whether a picture file that somebody may still be writing is whole."""

import os
from pathlib import Path

from recon.datasets.decode import decode
from recon.errors import ReconError

_TAIL = 16  # bytes; longer than each format's end mark


def is_whole(path: Path) -> bool:
    """Tell whether a picture is there to its end.

    JPEG and PNG files tell by their last bytes; what does not is decoded. Files of other formats are always decoded.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            tail = file.read()
    except OSError:
        return False
    if head.startswith(b"\xff\xd8") and tail.endswith(b"\xff\xd9"):
        return True
    if head == b"\x89PNG\r\n\x1a\n" and tail.endswith(b"IEND\xaeB`\x82"):
        return True
    try:
        decode(path)
    except ReconError:
        return False
    return True
