"""What a protocol's module states, and the scenes that it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recon.benchmark.request import Request
from recon.errors import ReconError

if TYPE_CHECKING:
    from recon.datasets import Protocol

Choice = Literal["views", "downscale", "part"]
"""Options that only some protocols have."""


@dataclass(frozen=True)
class Case:
    """A scene with a number of input views: reconstructed once per method and seed.

    Attributes:
        dataset: the part of the benchmark that is averaged by itself.
        photos: the folder to read.
        chosen: the fields of `ReconstructOptions` that say what of it is read.
    """

    dataset: str
    scene: str
    views: int
    photos: Path
    chosen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A scene that cannot be scored, and the reason as the end of a sentence: "its photos are missing"."""

    scene: str
    reason: str


@dataclass(frozen=True)
class Benchmark:
    """One protocol of `recon benchmark`.

    Attributes:
        name: as typed; its rules are in `configs/protocols/NAME.yaml`.
        summary: one sentence for the help.
        data: what --data holds, for the help.
        views: numbers of input views that are run when none are asked for.
        columns: names of `recon.evaluation.table.COLUMNS` that its tables have, in order.
        choices: the options that it has beside those of every protocol.
        find: yields the cases of a request, and the scenes that are left out.
    """

    name: str
    summary: str
    data: str
    views: tuple[int, ...]
    columns: tuple[str, ...]
    choices: tuple[Choice, ...]
    find: Callable[[Request], Iterable[Case | LeftOut]]

    @property
    def rules(self) -> Protocol:
        """The protocol's rules, its source and its masked metrics."""
        from recon.datasets import load_protocol

        return load_protocol(self.name)

    def cases(self, request: Request) -> tuple[list[Case], list[LeftOut]]:
        """Find what a request means in its data.

        Raises:
            ReconError: when the request names something that the protocol or the data does not have.
        """
        self._check(request)
        cases, left_out = [], []
        for found in self.find(request):
            if isinstance(found, Case):
                cases.append(found)
            else:
                left_out.append(found)
        return cases, left_out

    def _check(self, request: Request) -> None:
        rules = self.rules
        for choice, given in (
            ("views", request.views),
            ("downscale", request.downscale is not None),
            ("part", request.part is not None),
        ):
            if given and choice not in self.choices:
                raise ReconError(f"protocol {self.name} leaves no choice of --{choice}: leave it out")
        for views in request.views:
            rules.rule(views)
        if request.downscale is not None and rules.downscales and request.downscale not in rules.downscales:
            known = " or ".join(f"{factor:g}" for factor in rules.downscales)
            raise ReconError(
                f"protocol {self.name} is defined for --downscale {known}, not {request.downscale:g}"
            )
        if not request.data.is_dir():
            raise ReconError(f"--data {request.data} is not a folder: give {self.data}")
