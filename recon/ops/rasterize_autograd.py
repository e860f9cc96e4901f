"""How the rasterizer meets torch: back end calls, an autograd function for training loops, and registered ops.

Training loops run the autograd function: it keeps the tile lists from the forward for the backward, and costs the
least per call. Under `torch.compile` the registered ops `recon::rasterize` and `recon::rasterize_backward` are used:
their state is tensors only, so the backward runs the forward again.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor

from recon.ops import native
from recon.ops.pair_capacity import pair_capacity

Inputs = tuple[
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor | None,
    Tensor | None,
    Tensor | None,
    Tensor | None,
    Tensor,
    Tensor,
    Tensor | None,
]
"""The tensor arguments of `rasterize`, in the order of the registered op."""

Outputs = tuple[Tensor, ...]
"""color, alpha, depth, median_depth, normal, features, radii, contribution; those not wanted are empty tensors."""


@dataclass(frozen=True)
class Settings:
    """The arguments of one call that are not tensors."""

    width: int
    height: int
    sh_degree: int
    depth: bool
    median_depth: bool
    normal: bool
    contribution: bool
    antialiased: bool
    absolute_gradients: bool
    near: float


def render(inputs: Inputs, settings: Settings) -> Outputs:
    """Render with gradients."""
    if torch.compiler.is_compiling():
        return torch.ops.recon.rasterize(*inputs, *astuple(settings))[:8]
    return _Rasterize.apply(settings, *inputs)[:8]


@torch.no_grad()
def render_contribution(inputs: Inputs, settings: Settings) -> Tensor:
    """Return each Gaussian's summed blending weight."""
    only = Settings(
        settings.width,
        settings.height,
        settings.sh_degree,
        False,
        False,
        False,
        True,
        settings.antialiased,
        False,
        settings.near,
    )
    black = (*inputs[:6], None, None, *inputs[8:])
    return _forward(black, only)[0][7]


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, settings: Settings, *inputs: Tensor | None) -> Outputs:
        outputs, state = _forward(inputs, settings, not any(ctx.needs_input_grad))  # type: ignore[arg-type]
        ctx.settings, ctx.state = settings, state
        ctx.save_for_backward(*inputs, *outputs)
        ctx.mark_non_differentiable(*outputs[6:])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        inputs, outputs = saved[:11], saved[11:]
        return None, *_backward(
            ctx.state, inputs, outputs, upstream[:6], ctx.settings, ctx.needs_input_grad[1:]
        )


def _pointer(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _contiguous(tensors: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    return [tensor if tensor is None or tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]


def _sizes(inputs: Inputs, settings: Settings) -> tuple[int, int, int, int, int, int, float, bool]:
    sh, features = inputs[4], inputs[6]
    return (
        len(inputs[0]),
        settings.width,
        settings.height,
        1 if sh is None else sh.shape[1],
        settings.sh_degree,
        0 if features is None else features.shape[1],
        settings.near,
        settings.antialiased,
    )


def _output_shapes(inputs: Inputs, settings: Settings) -> list[tuple[int, ...]]:
    """Shapes of the outputs and of normal_length, which the backward needs; (0,) where not wanted."""
    count, size = len(inputs[0]), (settings.height, settings.width)
    features = inputs[6]
    return [
        (*size, 3),
        size,
        size if settings.depth else (0,),
        size if settings.median_depth else (0,),
        (*size, 3) if settings.normal else (0,),
        (0,) if features is None else (*size, features.shape[1]),
        (count,),
        (count,) if settings.contribution else (0,),
        size if settings.normal else (0,),
    ]


def _forward(inputs: Inputs, settings: Settings, exact: bool = True) -> tuple[Outputs, Any]:
    device = inputs[0].device
    tensors = _contiguous(inputs)
    outputs = tuple(inputs[0].new_empty(shape) for shape in _output_shapes(inputs, settings))
    wanted = [_pointer(output) if output.shape != (0,) else 0 for output in outputs]
    arguments = (_sizes(inputs, settings), [_pointer(t) for t in tensors], wanted)
    if device.type != "cuda":
        return outputs, native.call_on(device, "rasterize_forward", *arguments)
    room = pair_capacity(device)
    state = native.call_on(device, "rasterize_forward", *arguments, room.choose(exact))
    room.note(state)
    return outputs, state


def _backward(
    state: Any,
    inputs: Inputs,
    outputs: Outputs,
    upstream: tuple[Tensor | None, ...],
    settings: Settings,
    wanted: tuple[bool, ...],
) -> list[Tensor | None]:
    tensors = _contiguous(inputs)
    gradients = [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        if want and tensor is not None
        else None
        for tensor, want in zip(inputs, wanted, strict=True)
    ]
    arriving = _contiguous(tuple(g if g is None or g.numel() > 0 else None for g in upstream))
    native.call_on(
        inputs[0].device,
        "rasterize_backward",
        state,
        _sizes(inputs, settings),
        [_pointer(tensor) for tensor in tensors],
        [_pointer(output) for output in outputs],
        [_pointer(gradient) for gradient in arriving],
        [_pointer(gradient) for gradient in gradients],
        settings.absolute_gradients,
    )
    return gradients


_LIBRARY = torch.library.Library("recon", "FRAGMENT")
_TENSORS = (
    "Tensor means, Tensor quaternions, Tensor scales, Tensor opacities, Tensor? sh, Tensor? colors, Tensor? features, "
    "Tensor? background, Tensor world_to_camera, Tensor intrinsics, Tensor? screen_offsets"
)
_SETTINGS = (
    "int width, int height, int sh_degree, bool depth, bool median_depth, bool normal, bool contribution, "
    "bool antialiased, bool absolute_gradients, float near"
)
_LIBRARY.define(f"rasterize({_TENSORS}, {_SETTINGS}) -> (" + ", ".join(["Tensor"] * 9) + ")")
_LIBRARY.define(
    f"rasterize_backward({_TENSORS}, Tensor[] outputs, Tensor?[] upstream, bool[] wanted, {_SETTINGS}) -> Tensor[]"
)


def _rasterize_op(*arguments: Any) -> Outputs:
    return _forward(arguments[:11], Settings(*arguments[11:]))[0]


def _rasterize_fake(*arguments: Any) -> Outputs:
    inputs = arguments[:11]
    return tuple(inputs[0].new_empty(shape) for shape in _output_shapes(inputs, Settings(*arguments[11:])))


def _backward_op(*arguments: Any) -> list[Tensor]:
    inputs, (outputs, upstream, wanted), settings = (
        arguments[:11],
        arguments[11:14],
        Settings(*arguments[14:]),
    )
    state = _forward(inputs, settings)[1]
    gradients = _backward(state, inputs, tuple(outputs), tuple(upstream), settings, tuple(wanted))
    return [inputs[0].new_empty(0) if gradient is None else gradient for gradient in gradients]


def _backward_fake(*arguments: Any) -> list[Tensor]:
    inputs, wanted = arguments[:11], arguments[13]
    return [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        if want and tensor is not None
        else inputs[0].new_empty(0)
        for tensor, want in zip(inputs, wanted, strict=True)
    ]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Outputs) -> None:
    ctx.settings = inputs[11:]
    ctx.given = [tensor is not None for tensor in inputs[:11]]
    ctx.save_for_backward(*(tensor for tensor in inputs[:11] if tensor is not None), *output)
    ctx.set_materialize_grads(False)


def _autograd(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = list(ctx.saved_tensors)
    inputs = [saved.pop(0) if given else None for given in ctx.given]
    wanted = [bool(need and given) for need, given in zip(ctx.needs_input_grad[:11], ctx.given, strict=True)]
    gradients = torch.ops.recon.rasterize_backward(*inputs, saved, list(upstream[:6]), wanted, *ctx.settings)
    return *(g if want else None for g, want in zip(gradients, wanted, strict=True)), *(
        [None] * len(ctx.settings)
    )


for _key in ("CPU", "CUDA"):
    _LIBRARY.impl("rasterize", _rasterize_op, _key)
    _LIBRARY.impl("rasterize_backward", _backward_op, _key)
torch.library.register_fake("recon::rasterize", _rasterize_fake, lib=_LIBRARY)
torch.library.register_fake("recon::rasterize_backward", _backward_fake, lib=_LIBRARY)
torch.library.register_autograd("recon::rasterize", _autograd, setup_context=_setup_context, lib=_LIBRARY)
