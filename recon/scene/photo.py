"""A photo whose camera is not known yet."""

from collections.abc import Callable
from dataclasses import dataclass, field

from recon.scene.view import Pixels


@dataclass(frozen=True, eq=False)
class Photo:
    """A named photo without a camera; the pixels are read when first asked for.

    Attributes:
        name: the photo's file name, unique within a set.
        width, height: size in pixels of the picture as `load` returns it, that is after the EXIF orientation is applied.
        focal_pixels: focal length in pixels of that size when the file states one, else None.
        load: decodes the photo.
    """

    name: str
    width: int
    height: int
    focal_pixels: float | None = None
    load: Callable[[], Pixels] = field(repr=False, kw_only=True)
