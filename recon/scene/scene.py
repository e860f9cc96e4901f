"""A scene: posed views, which of them are inputs and which are held out."""

from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float, UInt8
from numpy import ndarray

from recon.errors import ReconError
from recon.scene.camera import near_plane
from recon.scene.view import View

PoseStatus = Literal["given", "certified", "plausible", "uncertified"]


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Triangulated feature points, from the input views only.

    Attributes:
        positions: [N, 3] world coordinates.
        colors: [N, 3] sRGB bytes.
    """

    positions: Float[ndarray, "N 3"]
    colors: UInt8[ndarray, "N 3"]


@dataclass(frozen=True, eq=False)
class Scene:
    """Posed views with a split into inputs and held-out views.

    Attributes:
        views: all views, in name order; their cameras have the near plane that the inputs' cameras stand for.
        train: names of the views that may be used to reconstruct.
        test: names of the held-out views.
        poses: where the poses come from and how far they are trusted.
        points: sparse points from pose estimation, if any.
        bounds: (near, far) depth that the data set's files state, if any.
        background: sRGB colour behind the object where the data set defines one (white for Blender scenes).
        warnings: sentences for the report about what may be wrong, e.g. photos that were left out and why.
        notes: sentences for the report about what was done, e.g. which layout was read.
    """

    name: str
    views: tuple[View, ...]
    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    poses: PoseStatus = "given"
    points: SparsePoints | None = None
    bounds: tuple[float, float] | None = None
    background: tuple[float, float, float] | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [view.name for view in self.views]
        if len(set(names)) != len(names):
            raise ReconError(f"scene {self.name}: two views have the same name")
        for name in (*self.train, *self.test):
            if name not in names:
                raise ReconError(
                    f"scene {self.name}: the split names {name!r}, which is not among its photos"
                )
        overlap = sorted(set(self.train) & set(self.test))
        if overlap:
            raise ReconError(f"scene {self.name}: {', '.join(overlap)} would be both input and held out")
        near = near_plane([view.camera for view in self.train_views])
        if near is not None:
            object.__setattr__(self, "views", tuple(_with_near(view, near) for view in self.views))

    def view(self, name: str) -> View:
        return next(view for view in self.views if view.name == name)

    @property
    def train_views(self) -> list[View]:
        return [self.view(name) for name in self.train]

    @property
    def test_views(self) -> list[View]:
        return [self.view(name) for name in self.test]

    def with_split(self, train: list[str], test: list[str]) -> "Scene":
        """Return the scene with another choice of inputs and held-out views.

        Points and depth bounds go when a view that helped to find them is now held out.
        """
        scene = replace(self, train=tuple(train), test=tuple(test))
        return replace(scene, points=None, bounds=None) if set(self.train) & set(test) else scene

    def with_warnings(self, *sentences: str) -> "Scene":
        return replace(self, warnings=(*self.warnings, *sentences))

    def with_notes(self, *sentences: str) -> "Scene":
        return replace(self, notes=(*self.notes, *sentences))


def _with_near(view: View, near: float) -> View:
    return view if view.camera.near == near else view.seen_by(replace(view.camera, near=near))
