"""A photo whose camera is not known yet, and the folder's worth of them that pose estimation starts from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from jaxtyping import Bool, Float
from numpy import ndarray

from recon.errors import ReconError
from recon.scene.camera import Camera
from recon.scene.view import Pixels, View


@dataclass(frozen=True, eq=False)
class Photo:
    """A named photo without a pose; the pixels are read when first asked for.

    Attributes:
        name: the photo's file name, unique among the photos it belongs to.
        width, height: size in pixels of the loaded picture (upright, after resizing).
        focal_pixels: focal length for that size from the file's EXIF tags; None when they do not say.
        load: decodes the photo; called at most once.
    """

    name: str
    width: int
    height: int
    focal_pixels: float | None
    load: Callable[[], Pixels] = field(repr=False)

    @cached_property
    def pixels(self) -> Pixels:
        return self.load()

    @property
    def image(self) -> Float[ndarray, "H W 3"]:
        return self.pixels.image

    @property
    def mask(self) -> Bool[ndarray, "H W"] | None:
        return self.pixels.mask

    def view(self, camera: Camera) -> View:
        """Return the photo as a posed view; `camera` is for the photo's own size.

        Raises:
            ReconError: when the camera is for another picture size.
        """
        if (camera.width, camera.height) != (self.width, self.height):
            raise ReconError(
                f"photo {self.name} is {self.width}x{self.height}, "
                f"but its camera is for {camera.width}x{camera.height}"
            )
        return View(self.name, camera, lambda: self.pixels)


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Photos of one place or object, in name order.

    Attributes:
        name: what the set is called in reports (the folder's name).
        photos: at least two.
        warnings: sentences for the report, e.g. duplicates that were left out.
    """

    name: str
    photos: tuple[Photo, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    def __iter__(self) -> Iterator[Photo]:
        return iter(self.photos)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(photo.name for photo in self.photos)

    def only(self, names: list[str] | tuple[str, ...]) -> "PhotoSet":
        """Return the set with just the named photos, in name order.

        Raises:
            ReconError: when a name is not among the photos.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ReconError(
                f"{self.name} holds no photo called {', '.join(missing)}; it has {', '.join(self.names)}"
            )
        return replace(self, photos=tuple(photo for photo in self.photos if photo.name in set(names)))
