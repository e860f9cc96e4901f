"""A photo with its camera; the pixels are read when first asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.scene.camera import Camera


@dataclass(frozen=True, eq=False)
class Pixels:
    """What a view's file holds once it is decoded, oriented, undistorted and resized.

    Attributes:
        image: [H, W, 3] float32, sRGB values in [0, 1].
        mask: [H, W] bool, true on the object, where the data set gives one.
        valid: [H, W] bool, false where undistortion left no picture (such pixels match one another perfectly and must
            take no part in stereo, losses or metrics); None when every pixel is valid.
        background: sRGB colour that was put behind a transparent picture; None for opaque ones, whose surroundings
            of the object are a picture of the world too.
        depth: [H, W] float32, true z-depth in scene units, 0 where unknown, where the data set gives it. It is for
            measuring results; whoever reconstructs has no use of it.
    """

    image: Float[ndarray, "H W 3"]
    mask: Bool[ndarray, "H W"] | None = None
    valid: Bool[ndarray, "H W"] | None = None
    background: tuple[float, float, float] | None = None
    depth: Float[ndarray, "H W"] | None = None


@dataclass(frozen=True, eq=False)
class View:
    """A named photo and its camera.

    Pixels load lazily, so a scene can list its test views without opening their files: whoever reconstructs is handed
    the training views only, and a test proves that no other file is read.

    Attributes:
        name: the photo's file name, unique within a scene.
        camera: matches the size of the loaded picture.
        load: decodes the photo; called at most once.
        withheld: the picture is not among the files (a benchmark's hidden test view); there is only a camera.
    """

    name: str
    camera: Camera
    load: Callable[[], Pixels] = field(repr=False)
    withheld: bool = False

    @cached_property
    def pixels(self) -> Pixels:
        pixels = self.load()
        expected = (self.camera.height, self.camera.width, 3)
        if pixels.image.shape != expected or pixels.image.dtype != np.float32:
            raise ValueError(
                f"view {self.name}: expected a float32 image of shape {expected}, "
                f"got {pixels.image.dtype} {pixels.image.shape}"
            )
        return pixels

    def seen_by(self, camera: Camera) -> "View":
        """Return the same photo with another camera for its picture."""
        return View(self.name, camera, lambda: self.pixels, self.withheld)

    @property
    def image(self) -> Float[ndarray, "H W 3"]:
        return self.pixels.image

    @property
    def mask(self) -> Bool[ndarray, "H W"] | None:
        return self.pixels.mask

    @property
    def valid(self) -> Bool[ndarray, "H W"] | None:
        return self.pixels.valid

    @property
    def background(self) -> tuple[float, float, float] | None:
        return self.pixels.background

    @property
    def depth(self) -> Float[ndarray, "H W"] | None:
        return self.pixels.depth

    @property
    def cutout(self) -> Bool[ndarray, "H W"] | None:
        """The object's pixels where there is nothing else in the picture; None for a picture of the world."""
        return None if self.background is None else self.mask
