"""Access to pycolmap: loaded when first needed, quiet."""

from functools import cache
from types import ModuleType


@cache
def load_pycolmap() -> ModuleType:
    """Import pycolmap and silence its log.

    OpenCV is imported first on purpose: with pycolmap 4.2 loaded before it, OpenCV's PNG writer picks up pycolmap's
    copy of zlib and aborts the process.
    """
    import cv2  # noqa: F401
    import pycolmap

    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    return pycolmap
