"""What the trainer compares its renderings with, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.scene import View
from recon.splats.render import camera_tensors


@dataclass(frozen=True, eq=False)
class TrainingView:
    """A picture with its camera, ready for the trainer.

    Attributes:
        name: photo name, or a made-up one for virtual views.
        image: [H, W, 3] target colours in [0, 1].
        world_to_camera, intrinsics: [4, 4] and [4] (fx, fy, cx, cy).
        weight: [H, W] weight of each pixel in the photometric loss; None weighs all the same.
        depth: [H, W] target depth (z), 0 = unknown; None where there is none.
        depth_weight: [H, W] confidence of the target depth in [0, 1].
        near: depth (z) up to which nothing is drawn.
        virtual: true for pictures made by warping photos, which guide but are not photos.
    """

    name: str
    image: Float[Tensor, "H W 3"]
    world_to_camera: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, " 4"]
    weight: Float[Tensor, "H W"] | None = None
    depth: Float[Tensor, "H W"] | None = None
    depth_weight: Float[Tensor, "H W"] | None = None
    near: float = 0.01
    virtual: bool = False

    @property
    def width(self) -> int:
        return self.image.shape[1]

    @property
    def height(self) -> int:
        return self.image.shape[0]


def training_view(
    view: View,
    *,
    depth: Tensor | None = None,
    depth_weight: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> TrainingView:
    """Turn a scene's view into a training view; pixels without a picture (undistortion margins) get weight 0."""
    pose, intrinsics = camera_tensors(view.camera, device)
    valid = view.valid
    return TrainingView(
        name=view.name,
        image=torch.as_tensor(view.image, device=device),
        world_to_camera=pose,
        intrinsics=intrinsics,
        weight=None
        if valid is None or valid.all()
        else torch.as_tensor(valid, dtype=torch.float32, device=device),
        depth=None if depth is None else depth.to(device),
        depth_weight=None if depth_weight is None else depth_weight.to(device),
        near=view.camera.near,
    )


class ViewSampler:
    """Hands out views in random order, each once per round; every k-th draw is a virtual view where there are any.

    Args:
        photos: the input photos.
        virtual: warped pictures, drawn uniformly with replacement.
        virtual_every: one draw in this many is a virtual view; 0 for none.
        generator: the source of randomness, owned and saved by the trainer.
    """

    def __init__(
        self,
        photos: Sequence[TrainingView],
        generator: torch.Generator,
        *,
        virtual: Sequence[TrainingView] = (),
        virtual_every: int = 0,
    ) -> None:
        if not photos:
            raise ValueError("the trainer needs at least one photo")
        self.photos = list(photos)
        self.virtual = list(virtual)
        self.virtual_every = virtual_every
        self._generator = generator
        self._round: list[int] = []

    def next(self, iteration: int, virtual_until: int) -> TrainingView:
        """Return the view of this iteration; virtual views come only before iteration `virtual_until`."""
        due = self.virtual_every > 0 and iteration % self.virtual_every == self.virtual_every - 1
        if due and self.virtual and iteration < virtual_until:
            return self.virtual[int(torch.randint(len(self.virtual), (1,), generator=self._generator))]
        if not self._round:
            self._round = torch.randperm(len(self.photos), generator=self._generator).tolist()
        return self.photos[self._round.pop()]

    def state(self) -> dict[str, Tensor]:
        return {"round": torch.tensor(self._round, dtype=torch.int64)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._round = state["round"].tolist()
