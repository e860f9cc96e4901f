import numpy as np
import pytest

from recon.datasets import Listing, Split, load_protocol, protocol_names
from recon.datasets.protocols import evenly_spaced
from recon.errors import ReconError


def names(count: int) -> list[str]:
    return [f"{i:03d}.png" for i in range(count)]


def test_every_protocol_loads_and_says_its_source() -> None:
    assert protocol_names() == ("blender", "custom", "dtu", "llff", "mip360", "spare")
    for name in protocol_names():
        assert len(load_protocol(name).source) > 20
    with pytest.raises(ReconError, match="no protocol 'nerf'; choose one of blender, custom, dtu, llff"):
        load_protocol("nerf")


def test_llff_inputs_for_every_count() -> None:
    """By the definition: round(linspace) over the images whose index is no multiple of 8."""
    rest = [i for i in range(20) if i % 8]
    for count in (2, 3, 6, 9, len(rest)):
        split = load_protocol("llff").rule(count)(Listing.counted(names(20)))
        expected = [rest[int(np.round(p))] for p in np.linspace(0, len(rest) - 1, count)]
        assert split == Split(tuple(f"{i:03d}.png" for i in expected), ("000.png", "008.png", "016.png"))
    assert len(load_protocol("llff").rule()(Listing.counted(names(20))).train) == 17


def test_too_many_or_too_few_inputs() -> None:
    with pytest.raises(ReconError, match="18 input views were asked for, but 17 photos can be inputs"):
        load_protocol("llff").rule(18)(Listing.counted(names(20)))
    with pytest.raises(ReconError, match="must be 1 or more, got 0"):
        load_protocol("llff").rule(0)
    with pytest.raises(ReconError, match="names 9 input views, 10 were asked for"):
        load_protocol("dtu").rule(10)
    with pytest.raises(ReconError, match="leaves 0 input and 1 test views of 1"):
        load_protocol("llff").rule()(Listing.counted(names(1)))


def test_dtu_keeps_to_its_49_views() -> None:
    split = load_protocol("dtu").rule(9)(Listing.counted(names(65)))
    assert [int(name[:3]) for name in split.train] == [25, 22, 28, 40, 44, 48, 0, 8, 13]
    assert len(split.test) == 25 and all(int(name[:3]) < 49 for name in split.test)
    assert not {int(name[:3]) for name in split.test} & {
        3,
        4,
        5,
        6,
        7,
        16,
        17,
        18,
        19,
        20,
        21,
        36,
        37,
        38,
        39,
    }
    assert load_protocol("dtu").size.of(1600, 1200) == (400, 300)


def test_halves_round_to_even() -> None:
    assert evenly_spaced(list("abcdef"), 3) == ("a", "c", "f")  # 2.5 becomes 2
    assert evenly_spaced(list("abcdefgh"), 3) == ("a", "e", "h")  # 3.5 becomes 4
    assert evenly_spaced(list("abc"), 1) == ("a",)
    assert evenly_spaced(list("abc"), None) == ("a", "b", "c")
