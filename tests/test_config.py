"""Configs from plain data: strict, nested, and named by their hash."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from recon.config import config_hash, from_plain, merged, parse_overrides, to_plain
from recon.errors import ReconError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    count: int = 3
    inner: Inner = field(default_factory=Inner)
    names: tuple[str, ...] = ()
    file: Path | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def test_round_trip_through_plain_data():
    config = Outer(4, Inner(0.25, "b"), ("x", "y"), Path("/a/b"), {"depth": {"weight": 1}})
    assert from_plain(Outer, to_plain(config)) == config


def test_absent_fields_keep_their_defaults_and_integers_become_floats():
    assert from_plain(Outer, {"inner": {"rate": 1}}) == Outer(inner=Inner(rate=1.0))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"cuont": 1}, "there is no setting 'cuont'; there are count, extra, file, inner, names"),
        ({"count": "many"}, "config.count: expected int, got 'many'"),
        ({"count": True}, "config.count: expected int, got True"),
        ({"inner": {"kind": "c"}}, "config.inner.kind: expected one of 'a', 'b', got 'c'"),
        ({"inner": 3}, "config.inner: expected settings by name, got 3"),
        ({"extra": [1]}, "config.extra: expected settings by name, got [1]"),
        ({"names": "x"}, "config.names: expected a list, got 'x'"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(data, words):
    with pytest.raises(ReconError, match="config") as error:
        from_plain(Outer, data)
    assert words in str(error.value)


def test_a_nested_setting_keeps_the_other_defaults_that_its_owner_states():
    from recon.methods.quality import QualityConfig

    config = from_plain(QualityConfig, {"train": {"iterations": 7}})
    assert config.train.iterations == 7
    assert config.train.sh_degree == QualityConfig().train.sh_degree == 1
    assert config.train.rates == QualityConfig().train.rates


def test_a_number_in_powers_of_ten_is_a_number():
    from recon.train import LearningRates

    assert from_plain(LearningRates, parse_overrides(["log_scales=1e-3"])).log_scales == 1e-3


def test_overrides_are_nested_and_later_ones_win():
    assert parse_overrides(["inner.rate=0.1", "count=2", "inner.kind=b", "count=5"]) == {
        "inner": {"rate": 0.1, "kind": "b"},
        "count": 5,
    }


@pytest.mark.parametrize("assignment", ["count", "=3", "count=[1"])
def test_an_override_that_cannot_be_read_is_refused(assignment):
    with pytest.raises(ReconError):
        parse_overrides([assignment])


def test_merging_lays_values_over_key_by_key():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}}) == {"a": {"b": 9, "c": 2}, "d": 3}


def test_the_hash_names_the_settings():
    assert config_hash(Outer()) == config_hash(Outer())
    assert config_hash(Outer()) != config_hash(Outer(count=4))
