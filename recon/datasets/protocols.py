"""Benchmarks' rules for choosing input and test views, kept as plain data in `configs/protocols/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule
from recon.errors import ReconError


@dataclass(frozen=True)
class Protocol:
    """A benchmark's rule.

    Attributes:
        name: as given to `--protocol`.
        source: the paper and section that the rule is from.
        downscale, max_size: picture size that its numbers are published for.
        views: views with a larger or equal index take no part; None for all.
        exclude: indices that take no part.
        order: input views by index, best first; None spreads N inputs evenly over those that are not test views.
        inputs: the numbers of inputs that the protocol defines; None for any.
        test_every: views whose index divides by this are test views; None for all that `order` does not name.
        among_stated: test views are chosen among those that the data set states, inputs among its others.
        stated: the data set's own files name inputs and test views.
        downscales: factors that numbers are published for, the usual one first; empty where the size is fixed.
        scenes: the scenes that the benchmark consists of; empty for any.
        masked: how views with an object mask are measured on the object, see `recon.evaluation.evaluate_views`.
    """

    name: str
    source: str
    downscale: float | None = None
    max_size: int | None = None
    views: int | None = None
    exclude: tuple[int, ...] = ()
    order: tuple[int, ...] | None = None
    inputs: tuple[int, ...] | None = None
    test_every: int | None = None
    among_stated: bool = False
    stated: bool = False
    downscales: tuple[float, ...] = ()
    scenes: tuple[str, ...] = ()
    masked: Literal["box", "white"] = "box"

    @property
    def size(self) -> PictureSize:
        return PictureSize(self.downscale, self.max_size)

    def rule(self, inputs: int | None = None) -> SplitRule:
        """Return the split rule for a number of input views; None takes all that may be inputs.

        Raises:
            ReconError: when the protocol does not define that number; when applied, if the data set lacks a view.
        """
        if inputs is not None and inputs < 1:
            raise ReconError(f"the number of input views must be 1 or more, got {inputs}")
        if inputs is not None and self.inputs is not None and inputs not in self.inputs:
            raise ReconError(
                f"protocol {self.name} has {' or '.join(map(str, self.inputs))} input views, not {inputs}"
            )
        if self.order is not None and inputs is not None and inputs > len(self.order):
            raise ReconError(
                f"protocol {self.name} names {len(self.order)} input views, {inputs} were asked for"
            )
        return lambda listing: self._split(listing, inputs)

    def _split(self, listing: Listing, inputs: int | None) -> Split:
        if self.stated:
            return self._stated(listing, inputs)
        pairs = [
            (index, name)
            for index, name in zip(listing.indices, listing.names, strict=True)
            if index not in self.exclude and (self.views is None or index < self.views)
        ]
        own_test = set(listing.own.test) if listing.own and self.among_stated else set()
        candidates = [pair for pair in pairs if not own_test or pair[1] in own_test]
        if self.test_every is not None:
            test = [name for index, name in candidates if index % self.test_every == 0]
        else:
            test = [name for index, name in candidates if index not in (self.order or ())]
        rest = [pair for pair in pairs if pair[1] not in test and pair[1] not in own_test]
        if not test or not rest:
            raise ReconError(
                f"protocol {self.name} leaves {len(rest)} input and {len(test)} test views of {len(listing.names)}: "
                "is this the right data set for it?"
            )
        return Split(self._inputs(rest, inputs), tuple(test))

    def _inputs(self, rest: list[tuple[int, str]], inputs: int | None) -> tuple[str, ...]:
        if self.order is None:
            return evenly_spaced([name for _, name in rest], inputs)
        by_index = dict(rest)
        chosen = self.order[:inputs]
        lacking = [index for index in chosen if index not in by_index]
        if lacking:
            raise ReconError(
                f"protocol {self.name} takes views {list(chosen)} as inputs, but {lacking} are missing"
            )
        return tuple(by_index[index] for index in chosen)

    def _stated(self, listing: Listing, inputs: int | None) -> Split:
        if listing.own is None or not listing.own.test:
            raise ReconError(
                f"protocol {self.name} follows the data set's split files, but none decides for this scene: "
                "put Track1_split_development.json (or the like) beside the pictures, and say how many views are inputs"
            )
        if inputs is not None and inputs != len(listing.own.train):
            raise ReconError(
                f"protocol {self.name}: the split file states {len(listing.own.train)} input views, "
                f"{inputs} were asked for"
            )
        return listing.own


def evenly_spaced(names: Sequence[str], count: int | None) -> tuple[str, ...]:
    """Choose `count` names at positions round(linspace(0, n - 1, count)), halves rounded to even; None takes all.

    Raises:
        ReconError: when there are fewer names than that.
    """
    if count is None:
        return tuple(names)
    if not 1 <= count <= len(names):
        raise ReconError(f"{count} input views were asked for, but {len(names)} photos can be inputs")
    return tuple(names[int(position)] for position in np.round(np.linspace(0, len(names) - 1, count)))


def protocol_names() -> tuple[str, ...]:
    """Return the protocols that there are rules for."""
    return tuple(sorted(file.stem for file in _folder().glob("*.yaml")))


def load_protocol(name: str) -> Protocol:
    """Read a protocol's rule.

    Raises:
        ReconError: when there is no such protocol.
    """
    import yaml

    if name not in protocol_names():
        raise ReconError(f"there is no protocol {name!r}; choose one of {', '.join(protocol_names())}")
    content: dict[str, Any] = yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8"))
    train, test = content.pop("train"), content.pop("test")
    order = train.get("order")
    return Protocol(
        name=name,
        source=content.pop("source"),
        exclude=tuple(content.pop("exclude", ())),
        downscales=tuple(content.pop("downscales", ())),
        scenes=tuple(content.pop("scenes", ())),
        inputs=tuple(content.pop("inputs")) if "inputs" in content else None,
        order=None if order is None else tuple(order),
        test_every=test.get("every"),
        among_stated=test.get("among") == "stated",
        stated=bool(test.get("stated")),
        **content,
    )


def _folder() -> Path:
    """Find the rules beside the package (installed) or at the top of the source tree."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "configs" / "protocols"
    return installed if installed.is_dir() else package.parent / "configs" / "protocols"
