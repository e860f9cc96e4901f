"""Bytes in, the same bytes out; and the C++ loops against their readable twins."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon.errors import ReconError
from recon.ops.native import core
from recon.streaming import reference
from recon.streaming.codecs import ALL_CODECS, compress, decompress
from recon.streaming.integers import (
    Layout,
    pack_integers,
    pack_mask,
    unpack_integers,
    unpack_mask,
)
from recon.streaming.layout import Codec
from recon.streaming.rans import normalized, rans_decode, rans_encode

numbers = st.integers(-(2**23), 2**23)


@given(st.binary(min_size=1, max_size=600), st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_rans_returns_what_it_was_given_as_its_twin_does(content, columns, repeats):
    given_bytes = np.frombuffer(content * repeats, np.uint8)
    stored = rans_encode(given_bytes, columns)
    (decoded,) = rans_decode([stored], [len(given_bytes)])
    assert (decoded == given_bytes).all()
    assert (reference.rans_decode(stored, len(given_bytes)) == given_bytes).all()


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def instruction_set(request):
    """Run a test by each instruction set that the processor has."""
    before = core().instruction_set()
    if not core().set_instruction_set(request.param):
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    core().set_instruction_set(before)


@given(
    sizes=st.lists(st.integers(1, 3000), max_size=9), seed=st.integers(0, 2**20), damaged=st.integers(0, 8)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sections_that_are_decoded_together_do_not_disturb_each_other(instruction_set, sizes, seed, damaged):
    rng = np.random.default_rng(seed)
    contents = [np.minimum(rng.geometric(rng.uniform(0.02, 1), size), 255).astype(np.uint8) for size in sizes]
    stored = [rans_encode(content, int(rng.integers(1, 30))) for content in contents]
    if damaged < len(stored):
        stored[damaged] = stored[damaged][:-2]
    decoded = rans_decode(stored, sizes)
    for i, (content, found) in enumerate(zip(contents, decoded, strict=True)):
        if i == damaged:
            assert isinstance(found, str)
        else:
            assert (found == content).all()


@pytest.mark.parametrize("columns", [1, 3, 8, 90, 255])
def test_rans_comes_close_to_the_entropy(columns):
    rng = np.random.default_rng(columns)
    rows = np.abs(np.rint(rng.laplace(0, np.geomspace(0.2, 20, columns), (60_000 // columns, columns))))
    content = np.minimum(rows, 255).astype(np.uint8)
    bits = 0.0
    for column in content.T:
        counts = np.bincount(column)
        share = counts[counts > 0] / len(column)
        bits -= len(column) * (share * np.log2(share)).sum()
    stored = rans_encode(content.ravel(), columns)
    assert len(stored) < 1.02 * bits / 8 + 64 + 70 * columns
    if columns == 1:
        assert len(stored) >= bits / 8


def test_rans_refuses_damage(instruction_set):
    rng = np.random.default_rng(0)
    content = np.minimum(rng.geometric(0.4, 4000), 255).astype(np.uint8)
    stored = rans_encode(content, 4)
    flipped = []
    for _ in range(600):
        bad = bytearray(stored)
        bad[int(rng.integers(len(bad)))] ^= 1 << int(rng.integers(8))
        flipped.append(bytes(bad))
    # Words and states prove themselves: a flipped bit leads to another end but for a chance in 2^15.
    decoded = rans_decode(flipped, [len(content)] * len(flipped))
    assert sum(isinstance(one, str) for one in decoded) > 590
    for one, found in zip(flipped[:60], decoded, strict=False):
        try:
            assert (reference.rans_decode(one, len(content)) == found).all()
        except ReconError:
            assert isinstance(found, str)
    for size in (0, len(content) - 1, len(content) + 1):
        (found,) = rans_decode([stored], [size])
        assert isinstance(found, str)


@pytest.mark.parametrize("size", range(0, 40))
def test_rans_refuses_what_is_cut_off(size):
    stored = rans_encode(np.arange(100, dtype=np.uint8), 2)
    assert size < len(stored)
    (found,) = rans_decode([stored[:size]], [100])
    assert isinstance(found, str)


def test_frequencies_keep_every_symbol():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        counts = (rng.random(256) ** 20 * 10**6).astype(np.int64) * (rng.random(256) < rng.random())
        counts[seed] += 1
        frequencies = normalized(counts)
        assert frequencies.sum() == 4096 and ((frequencies > 0) == (counts > 0)).all()


@pytest.mark.parametrize("codec", ALL_CODECS)
def test_codecs_return_what_they_were_given_and_never_more(codec):
    content = np.random.default_rng(0).geometric(0.5, 2100).astype(np.uint8).tobytes()
    used, stored = compress(content, 7, (codec,))
    assert used in (codec, Codec.RAW)
    assert decompress(used, stored, len(content)).tobytes() == content
    for size in (0, len(content) - 1, len(content) + 1, 1 << 20):
        with pytest.raises(ReconError):
            decompress(used, stored, size)


def test_unknown_codecs_are_told():
    with pytest.raises(ReconError, match="codec 9"):
        decompress(9, b"x", 1)


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=50), st.integers(0, 1))
@settings(max_examples=60, deadline=None)
def test_integers_return_what_they_were_given(rows, predictor):
    matrix = np.array(rows)
    layout, content = pack_integers(matrix, predictor)
    back, largest = unpack_integers(np.frombuffer(content, np.uint8), layout, len(rows), 3, 2**23)
    assert (back == matrix).all() and largest == np.abs(matrix).max()
    with pytest.raises(ReconError, match="needed"):
        unpack_integers(np.frombuffer(content, np.uint8), layout, len(rows) + 1, 3, 2**23)
    if largest:
        with pytest.raises(ReconError, match="beyond"):
            unpack_integers(np.frombuffer(content, np.uint8), layout, len(rows), 3, largest - 1)


def test_small_numbers_take_one_byte_and_even_ones_a_shift():
    assert pack_integers(np.array([[-128, 127]]))[0] == Layout(1, 0, 2, 0)
    assert pack_integers(np.array([[128, 1]]))[0].width == 2
    assert pack_integers(np.array([[-512, 1024]]))[0] == Layout(1, 0, 2, 9)


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_masks_return_what_they_were_given(bits):
    content = np.frombuffer(pack_mask(np.array(bits)), np.uint8)
    assert unpack_mask(content, len(bits)).tolist() == np.flatnonzero(bits).tolist()
    if len(bits) % 8:
        bad = content.copy()
        bad[-1] |= 0x80
        with pytest.raises(ReconError, match="beyond its end"):
            unpack_mask(bad, len(bits))


@pytest.mark.parametrize(
    ("outputs", "latents"), [(1, 3), (3, 8), (4, 6), (24, 4), (45, 12), (2, 1), (9, 17), (45, 64)]
)
@pytest.mark.parametrize("largest", [1, 128, 32767])
def test_latents_are_added_as_the_twin_adds_them(instruction_set, outputs, latents, largest):
    rng = np.random.default_rng(outputs * latents)
    values = (rng.integers(-(2**22), 2**22, (203, outputs + 3)) / 1024).astype(np.float32)
    rows = np.sort(rng.choice(203, 77, replace=False)).astype(np.int32)
    codes = rng.integers(-largest, largest, (77, latents)).astype(np.int8 if largest <= 128 else np.int32)
    entries = rng.integers(-32767, 32768, (outputs, latents)).astype(np.int16)
    for shift in (int(rng.integers(12, 31)), 14, 30):
        arguments = (2, rows, codes, largest, entries, shift, 2.0**-10, 2.0**13)
        expected, found = values.copy(), values.copy()
        fits = reference.add_latents(expected, *arguments)
        assert core().add_latents(found, *arguments) == fits
        assert (found.view(np.uint32) == expected.view(np.uint32)).all()


def test_steps_are_added_to_rows():
    rng = np.random.default_rng(0)
    values = (rng.integers(-(2**22), 2**22, (90, 3)) / 1024).astype(np.float32)
    rows = np.array([0, 3, 4, 41, 89], np.int32)
    steps = rng.integers(-(2**20), 2**20, (5, 3)).astype(np.int32)
    expected = values.copy()
    expected[rows] += steps.astype(np.float32) / 1024
    assert core().add_steps(values, 0, rows, steps, 2.0**-10, 2.0**13)
    assert (values == expected).all()
    steps[4, 2] = 2**24
    assert not core().add_steps(values, 0, rows, steps, 2.0**-10, 2.0**13)
    for row in (-1, 90):
        with pytest.raises(ValueError, match="no such row"):
            core().add_steps(values, 0, np.array([row], np.int32), steps[:1], 2.0**-10, 2.0**13)


def test_numbers_that_leave_their_range_are_told():
    values = np.full((1, 1), 8191.0, np.float32)
    row, one = np.zeros(1, np.int32), np.ones((1, 1), np.int32)
    limit = 2.0**13
    assert core().add_latents(values, 0, row, one, 1, np.array([[1023]], np.int16), 0, 2.0**-10, limit)
    assert not core().add_latents(values, 0, row, one, 1, np.array([[1]], np.int16), 0, 2.0**-10, limit)


@pytest.mark.parametrize("width", [1, 3, 27, 48])
def test_checksums_are_those_of_the_twin_and_depend_on_place(width):
    rng = np.random.default_rng(width)
    words = rng.integers(0, 2**32, (37, width), np.uint32)
    assert core().stream_checksum(words, 11) == reference.stream_checksum(words, 11)
    swapped = words[::-1].copy()
    assert core().stream_checksum(swapped, 11) != core().stream_checksum(words, 11)
