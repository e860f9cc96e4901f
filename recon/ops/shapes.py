"""The check at every op's entry: dtype, device and shape, with dimension names bound across the arguments."""

from __future__ import annotations

import torch
from torch import Tensor


class Shapes:
    """Checks the arguments of one op against each other.

    >>> shapes = Shapes("nearest_neighbors")
    >>> shapes.check("points", torch.zeros(7, 3), "N 3")
    >>> shapes.size("N")
    7
    """

    def __init__(self, op: str) -> None:
        self._op = op
        self._sizes: dict[str, int] = {}
        self._device: torch.device | None = None

    def check(self, name: str, tensor: Tensor, shape: str, dtype: torch.dtype = torch.float32) -> None:
        """Check one argument.

        Args:
            name: the argument's name, for the message.
            tensor: the argument.
            shape: dimensions separated by blanks: a number, or a name that means the same size everywhere.
            dtype: the element type it must have.

        Raises:
            TypeError: if it is no tensor of that element type.
            ValueError: if the shape does not match, or the device differs from the earlier arguments'.
        """
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{self._op}: expected {name} to be a tensor [{shape}], got {type(tensor).__name__}"
            )
        if tensor.dtype != dtype:
            raise TypeError(
                f"{self._op}: expected {name} to be {dtype}, got {tensor.dtype}; convert it with .to()"
            )
        expected = [self._expected(dimension) for dimension in shape.split()]
        got = list(tensor.shape)
        if len(got) != len(expected) or any(e not in (None, g) for e, g in zip(expected, got, strict=True)):
            bound = ", ".join(f"{key}={size}" for key, size in self._sizes.items())
            hint = f" (with {bound})" if bound else ""
            raise ValueError(f"{self._op}: expected {name} of shape [{shape}]{hint}, got {got}")
        for dimension, size in zip(shape.split(), got, strict=True):
            if not dimension.isdigit():
                self._sizes[dimension] = size
        if self._device is None:
            self._device = tensor.device
        elif tensor.device != self._device:
            raise ValueError(
                f"{self._op}: expected {name} on {self._device} like the others, got {tensor.device}"
            )

    def size(self, dimension: str) -> int:
        """Return the size that a dimension name was bound to."""
        return self._sizes[dimension]

    def _expected(self, dimension: str) -> int | None:
        return int(dimension) if dimension.isdigit() else self._sizes.get(dimension)
