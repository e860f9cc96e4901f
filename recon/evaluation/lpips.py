"""LPIPS, the learned perceptual distance, from weight files that are on this machine already.

Nothing is ever downloaded. The weights are looked for in the folder `lpips` below the models folder (the
environment variable `RECON_MODELS`, by default `~/.cache/recon/models`), for each backbone either

* in one file, `lpips_alex` or `lpips_vgg` with the ending `.safetensors`, `.pt` or `.pth`: backbone and
  linear layers together, for example the saved state of the reference implementation's module, or
* in two files: torchvision's `alexnet-owt-7be5be79.pth` or `vgg16-397923af.pth`, and beside it the linear
  layers of the reference implementation, version 0.1, `alex.pth` or `vgg.pth`.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018,
equation 1.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from recon.errors import ReconError
from recon.evaluation.metrics import WEIGHTS_NOT_INSTALLED as WEIGHTS_NOT_INSTALLED

Backbone = Literal["alex", "vgg"]

# The reference implementation's scaling layer: ImageNet's mean and deviation, for pictures in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_NORM_EPSILON = 1e-10
# The smallest side whose last feature map still has a pixel.
_SMALLEST_SIDE = {"alex": 31, "vgg": 16}


class _Convolution(NamedTuple):
    """One convolution and what follows: a ReLU, a comparison (where `tap`), max pooling (where `pool`)."""

    position: int  # index in torchvision's `features`, which names the weights
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    tap: bool = False
    pool: tuple[int, int] | None = None  # window, stride


_ALEX = (
    _Convolution(0, 3, 64, kernel=11, stride=4, padding=2, tap=True, pool=(3, 2)),
    _Convolution(3, 64, 192, kernel=5, padding=2, tap=True, pool=(3, 2)),
    _Convolution(6, 192, 384, tap=True),
    _Convolution(8, 384, 256, tap=True),
    _Convolution(10, 256, 256, tap=True),
)
_VGG = (
    _Convolution(0, 3, 64),
    _Convolution(2, 64, 64, tap=True, pool=(2, 2)),
    _Convolution(5, 64, 128),
    _Convolution(7, 128, 128, tap=True, pool=(2, 2)),
    _Convolution(10, 128, 256),
    _Convolution(12, 256, 256),
    _Convolution(14, 256, 256, tap=True, pool=(2, 2)),
    _Convolution(17, 256, 512),
    _Convolution(19, 512, 512),
    _Convolution(21, 512, 512, tap=True, pool=(2, 2)),
    _Convolution(24, 512, 512),
    _Convolution(26, 512, 512),
    _Convolution(28, 512, 512, tap=True),
)
_LAYERS: dict[str, tuple[_Convolution, ...]] = {"alex": _ALEX, "vgg": _VGG}
_TORCHVISION_FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}


class LPIPS(nn.Module):
    """The distance between two pictures in the features of AlexNet or VGG-16."""

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.layers = _LAYERS[backbone]
        self.convolutions = nn.ModuleDict(
            {
                str(layer.position): nn.Conv2d(
                    layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding
                )
                for layer in self.layers
            }
        )
        self.weights = nn.ParameterList(torch.zeros(layer.outputs) for layer in self.layers if layer.tap)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(3, 1, 1), persistent=False)

    def forward(
        self, image: Float[Tensor, "B 3 H W"], truth: Float[Tensor, "B 3 H W"]
    ) -> Float[Tensor, " B"]:
        """Return the distance per pair; pictures hold sRGB values in [0, 1]."""
        distance = image.new_zeros(image.shape[0])
        for a, b, weight in zip(self._features(image), self._features(truth), self.weights, strict=True):
            squared = (_normalized(a) - _normalized(b)).square()
            distance = distance + torch.einsum("bchw,c->bhw", squared, weight).mean(dim=(1, 2))
        return distance

    @torch.no_grad()
    def compare(self, image: Float[ndarray, "H W 3"], truth: Float[ndarray, "H W 3"]) -> float:
        """Return the distance of two pictures.

        Raises:
            ReconError: when the pictures are too small for the backbone.
        """
        smallest = _SMALLEST_SIDE[self.backbone]
        if image.shape != truth.shape or min(image.shape[:2]) < smallest:
            raise ReconError(
                f"LPIPS ({self.backbone}) compares pictures of one size, at least {smallest} pixels a side, "
                f"got {image.shape} and {truth.shape}"
            )
        device = self.weights[0].device
        a, b = (
            torch.as_tensor(x, dtype=torch.float32, device=device).movedim(-1, 0)[None]
            for x in (image, truth)
        )
        return float(self(a, b))

    def accepts(self, height: int, width: int) -> bool:
        """Whether pictures of this size are large enough for the backbone."""
        return min(height, width) >= _SMALLEST_SIDE[self.backbone]

    def _features(self, image: Tensor) -> list[Tensor]:
        x = (2.0 * image - 1.0 - self.shift) / self.scale
        taps = []
        for layer in self.layers:
            x = F.relu(self.convolutions[str(layer.position)](x))
            if layer.tap:
                taps.append(x)
            if layer.pool:
                x = F.max_pool2d(x, *layer.pool)
        return taps


def models_folder() -> Path:
    """Return where weight files are looked for: `RECON_MODELS`, or `~/.cache/recon/models`."""
    stated = os.environ.get("RECON_MODELS")
    return Path(stated) if stated else Path.home() / ".cache" / "recon" / "models"


def weight_files(backbone: Backbone, folder: Path | None = None) -> list[Path] | None:
    """Return the files that hold this backbone's weights, or None when they are not installed.

    Args:
        folder: the models folder; `models_folder()` by default.
    """
    place = (folder or models_folder()) / "lpips"
    for suffix in (".safetensors", ".pt", ".pth"):
        single = place / f"lpips_{backbone}{suffix}"
        if single.is_file():
            return [single]
    pair = [place / _TORCHVISION_FILES[backbone], place / f"{backbone}.pth"]
    return pair if all(path.is_file() for path in pair) else None


def load_lpips(backbone: Backbone, *, folder: Path | None = None, device: str = "cpu") -> LPIPS | None:
    """Load the metric, or return None when its weights are not installed (say `WEIGHTS_NOT_INSTALLED` then).

    Raises:
        ReconError: when weight files are there but are not this network's.
    """
    if backbone not in _LAYERS:
        raise ReconError(f'LPIPS exists with the backbones "alex" and "vgg", got {backbone!r}')
    paths = weight_files(backbone, folder)
    if paths is None:
        return None
    state: dict[str, Tensor] = {}
    for path in paths:
        state.update(_canonical(_read_weights(path)))
    model = LPIPS(backbone)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    names = " and ".join(str(path) for path in paths)
    for name, shape in expected.items():
        if name not in state:
            raise ReconError(
                f"{names}: not the weights of LPIPS ({backbone}): {name} is missing; replace the file"
            )
        if tuple(state[name].shape) != shape:
            raise ReconError(
                f"{names}: expected {name} of shape {shape}, found {tuple(state[name].shape)}; these are not "
                f"the weights of LPIPS ({backbone})"
            )
    model.load_state_dict({name: state[name].float() for name in expected})
    return model.requires_grad_(False).eval().to(device)


def _normalized(features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Scale every pixel's feature vector to unit length."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + _NORM_EPSILON)


def _read_weights(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        # weights_only: the file may hold tensors and plain containers, never code.
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ReconError(
            f"{path}: expected a weight file, but it cannot be read ({error}); replace it"
        ) from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ReconError(
            f"{path}: expected a dictionary of tensors, found {type(loaded).__name__}; replace the file"
        )
    return loaded


def _canonical(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of the known layouts to this module's names; drop what the metric does not use."""
    renamed = {}
    for name, value in state.items():
        if match := re.fullmatch(r"(?:features|net\.slice\d+|convolutions)\.(\d+)\.(weight|bias)", name):
            renamed[f"convolutions.{match[1]}.{match[2]}"] = value
        elif match := re.fullmatch(r"(?:lin(\d)|lins\.(\d))\.model\.\d\.weight", name):
            renamed[f"weights.{match[1] or match[2]}"] = value.flatten()
        elif re.fullmatch(r"weights\.\d", name):
            renamed[name] = value
    return renamed
