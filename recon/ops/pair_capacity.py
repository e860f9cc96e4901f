"""Room for the CUDA rasterizer's pairs of Gaussian and tile, so that training steps need not wait for their number.

A picture's number of pairs is known to the device only. Renders that take no gradient wait for it: they are never
incomplete. Renders in a training loop get room for half as many again as the most that was seen, and the number is read
when it has arrived, without waiting. Where it was too little, the farthest Gaussians were missing from that step: the
room grows, and a warning says so.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from recon.errors import ReconError

HEADROOM = 1.5
"""Room per pair seen. Neighbouring views of one scene differ by less; sorting unused room costs time."""


@dataclass
class PairCapacity:
    """What is known about the number of pairs on one device.

    Attributes:
        most_seen: the largest number that has arrived.
        arriving: an event that says when a number is there, its page-locked memory, and the room the render had.
        free: page-locked memory that is not in use.
    """

    most_seen: int = 0
    arriving: list[tuple[torch.cuda.Event, Tensor, int]] = field(default_factory=list)
    free: list[Tensor] = field(default_factory=list)

    def choose(self, exact: bool) -> int:
        """Return the room to give the next render, or 0 when it has to count its pairs first.

        Raises:
            ReconError: when a CUDA graph is being captured and no render came before it.
        """
        if torch.cuda.is_current_stream_capturing():
            if self.most_seen == 0:
                raise ReconError(
                    "a CUDA graph is being captured, but the number of pairs of Gaussian and tile is not known yet: "
                    "render the same scene a few times before the capture"
                )
            return int(HEADROOM * self.most_seen)
        self._receive()
        return 0 if exact else int(HEADROOM * self.most_seen)

    def note(self, state: Any) -> None:
        """Take note of the number of pairs that a render needed, as soon as it arrives."""
        if torch.cuda.is_current_stream_capturing():
            return
        count = self.free.pop() if self.free else torch.empty(1, dtype=torch.int32, pin_memory=True)
        count.copy_(state.pair_count[:4].view(torch.int32), non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self.arriving.append((event, count, state.capacity))

    def _receive(self) -> None:
        while self.arriving and self.arriving[0][0].query():
            _, count, capacity = self.arriving.pop(0)
            pairs = int(count)
            self.free.append(count)
            self.most_seen = max(self.most_seen, pairs, 1)
            if pairs > capacity:
                warnings.warn(
                    f"A training step's picture needed {pairs} pairs of Gaussian and tile, but had room for "
                    f"{capacity}: its farthest Gaussians were left out. The next steps have more room.",
                    RuntimeWarning,
                    stacklevel=2,
                )


_CAPACITIES: dict[torch.device, PairCapacity] = {}


def pair_capacity(device: torch.device) -> PairCapacity:
    """Return the process's one record for `device`."""
    return _CAPACITIES.setdefault(device, PairCapacity())
