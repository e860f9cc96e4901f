"""Streams as wholes: written, read, sought in, broken off, and damaged."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_streams import (
    ONE_BY_ONE,
    first_state,
    random_gaussians,
    random_residual,
    write_lost_anchor,
    write_stream,
)

from recon.cli.main import main
from recon.errors import ReconError
from recon.streaming import (
    Decoder,
    Residual,
    StreamOptions,
    StreamReader,
    StreamWriter,
    apply_residual,
    decode_keyframe,
    encode_keyframe,
    parse_record,
    placement,
    reference,
    state_of,
    stream_info,
)
from recon.streaming.layout import ATTRIBUTES
from recon.streaming.manifest import read_manifest
from recon.streaming.record import Record, Section
from recon.streaming.state import checksum_parts
from recon.streaming.writer import JOURNAL


def bits(state) -> dict[str, np.ndarray]:
    return {name: array.view(np.uint32).copy() for name, array in state.arrays.items()}


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize("codecs", ONE_BY_ONE)
def test_keyframes_keep_every_bit(degree, codecs):
    state = first_state(200, degree)
    state.frame = 7
    record, _ = parse_record(encode_keyframe(state, codecs=codecs).to_bytes(), "keyframe")
    back = decode_keyframe(record, "keyframe")
    assert back.checksum() == state.checksum() == record.checksum
    assert all((bits(back)[name] == array).all() for name, array in bits(state).items())
    assert (back.frame, back.anchor_count, set(back.decoders)) == (7, state.anchor_count, set(state.decoders))


@pytest.mark.parametrize("index", range(6))
def test_keyframes_without_an_attribute_are_refused(index):
    record = encode_keyframe(first_state(20, 1))
    del record.sections[16 + index]
    with pytest.raises(ReconError, match="is missing"):
        decode_keyframe(record, "keyframe")


def test_gaussians_are_rounded_by_half_a_step_and_put_in_order():
    gaussians = random_gaussians(400, 2)
    state, order = state_of(gaussians)
    for name, tensor in gaussians.tensors().items():
        steps = {one.array: state.step(one) for one in ATTRIBUTES}  # the coarser of two for sh
        rounded = state.gaussians().tensors()[name]
        assert (rounded - tensor[torch.from_numpy(order)]).abs().max() <= 0.5 * steps[name]
    neighbours = np.linalg.norm(np.diff(state.arrays["means"], axis=0), axis=1).mean()
    assert neighbours < 0.5 * np.linalg.norm(np.diff(gaussians.means.numpy(), axis=0), axis=1).mean()


def test_means_beyond_their_grid_are_told():
    gaussians = random_gaussians(9, 0)
    gaussians.means[3, 1] = 1e6
    assert state_of(gaussians)[0].step(ATTRIBUTES[0]) >= 0.125  # coarser by itself
    with pytest.raises(ReconError, match="means reach 1e\\+06"):
        state_of(gaussians, {"means": -12})


def test_the_checksum_is_that_of_the_twin():
    state = first_state(50, 1)
    low, high = len(state), state.degree
    for words, column in checksum_parts(state):
        part = reference.stream_checksum(words, column)
        low, high = low + part[0], high + part[1]
    assert state.checksum() == (low % 2**32, high % 2**32)


@pytest.mark.parametrize("codecs", ONE_BY_ONE)
def test_every_frame_can_be_sought(tmp_path, codecs):
    """Through any keyframe the same bits come out as by playing from the start."""
    writer = write_stream(tmp_path / "s", 150, 40, fps=10, keyframe_seconds=1.0, codecs=codecs)
    reader = StreamReader(tmp_path / "s")
    assert len(reader.manifest.keyframes) == 4 and len(reader.manifest.segments) == 8
    checksums = [state.checksum() for state in reader.states()]
    assert len(checksums) == 40 and len(set(checksums)) == 40
    assert checksums[-1] == writer.state.checksum()
    for frame in (0, 9, 10, 17, 30, 39):
        assert reader.state_at(frame).checksum() == checksums[frame]
    with pytest.raises(ReconError, match="0 to 39, not 40"):
        reader.state_at(40)


def test_a_zero_latent_leaves_a_splat_as_it_is():
    state = first_state(300, 2)
    rng = np.random.default_rng(0)
    before = bits(state)
    touched = np.zeros(300, bool)
    for _ in range(50):
        residual = random_residual(state, rng)
        residual.removed, residual.births = np.empty(0, np.int32), None
        residual.moved_anchors = np.empty(0, np.int32)
        for latents in residual.latents.values():
            touched[latents.rows] = True
        touched[residual.gated] = True
        apply_residual(state, residual)
    assert 20 < touched.sum() < 280
    for name, array in bits(state).items():
        assert (array[~touched] == before[name][~touched]).all()
        assert (array[touched] != before[name][touched]).any()


@pytest.mark.parametrize(
    ("count", "removed", "born"),
    [(9, [1, 7, 8], 1), (9, [0, 1, 2], 3), (6, [2], 3), (5, [0, 4], 0), (8, [0, 2, 7], 0)],
)
def test_nothing_moves_that_does_not_have_to(count, removed, born):
    rows = [f"old {i}" for i in range(count)]
    left, places, sources, holes = placement(count, np.array(removed), born)
    result = rows + [None] * max(0, left - count)
    for place, number in zip(places, range(born), strict=True):
        result[place] = f"new {number}"
    for source, hole in zip(sources, holes, strict=True):
        result[hole] = rows[source]
    result = result[:left]
    survivors = [row for i, row in enumerate(rows) if i not in removed]
    assert sorted(result) == sorted(survivors + [f"new {i}" for i in range(born)])
    assert all(result[i] == rows[i] for i in range(min(left, count)) if i not in removed)


def test_numbers_that_leave_their_range_break_the_state():
    state = first_state(20, 0)
    residual = Residual(gated=np.array([3], np.int32), positions=np.array([[2**24 - 2, 0, 0]], np.int32))
    with pytest.raises(ReconError, match="out of its range"):
        apply_residual(state, residual)
    assert state.broken


def test_a_cut_starts_again(tmp_path):
    writer = StreamWriter.create(tmp_path, first_state(40, 1), StreamOptions(fps=10))
    rng = np.random.default_rng(0)
    writer.append(random_residual(writer.state, rng))
    writer.cut(first_state(60, 1, seed=5))
    writer.append(random_residual(writer.state, rng))
    writer.close()
    assert [len(state) >= 55 for state in StreamReader(tmp_path).states()] == [False, False, True, True]
    assert stream_info(tmp_path).verified == 6


def test_what_was_written_survives_a_crash(tmp_path):
    """The journal holds the frames since the last segment, and half a record at its end is forgotten."""
    rng = np.random.default_rng(3)
    options = StreamOptions(fps=10, segment_seconds=1.0)
    writer = StreamWriter.create(tmp_path, first_state(80, 1), options)
    checksums = []
    for _ in range(13):
        writer.append(random_residual(writer.state, rng))
        checksums.append(writer.state.checksum())
    del writer
    assert read_manifest(tmp_path).frames == 11
    with open(tmp_path / JOURNAL, "ab") as journal:
        journal.write((tmp_path / JOURNAL).read_bytes()[:333])
    writer = StreamWriter.resume(tmp_path, options)
    assert writer.state.frame == 13 and writer.state.checksum() == checksums[-1]
    writer.append(random_residual(writer.state, rng))
    writer.close()
    assert [state.checksum() for state in StreamReader(tmp_path).states()][1:14] == checksums
    assert not (tmp_path / JOURNAL).exists()
    with pytest.raises(ReconError, match="already holds a stream"):
        StreamWriter.create(tmp_path, first_state(80, 1), options)


def test_previews_are_told_apart(tmp_path):
    preview, _ = state_of(random_gaussians(10, 0))
    writer = StreamWriter.create(tmp_path, first_state(100, 2), StreamOptions(), preview)
    writer.close()
    manifest = read_manifest(tmp_path)
    assert [file.preview for file in manifest.keyframes] == [True, False]
    assert len(StreamReader(tmp_path).state_at(0)) == 100
    assert len(StreamReader(tmp_path).keyframe(manifest.keyframes[0])) == 10


def test_unknown_sections_are_skipped_where_they_may_be():
    state = first_state(10, 0)
    record = encode_keyframe(state)
    record.sections[900] = Section(900, 77, 1, 5, record.sections[1].layout, b"later")
    parsed, _ = parse_record(record.to_bytes(), "file")
    assert 900 not in parsed.sections and decode_keyframe(parsed, "file").checksum() == state.checksum()
    record.sections[900] = replace(record.sections[900], flags=0)
    with pytest.raises(ReconError, match="section 900 of frame 0 needs a newer version"):
        parse_record(record.to_bytes(), "file")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frame": 5}, "does not follow frame 0"),
        ({"rows_before": 99}, "does not follow"),
        ({"rows": 20}, "more Gaussians than it says|births"),
        ({"degree": 2}, "does not follow"),
        ({"checksum": (1, 2)}, "whose checksum"),
    ],
)
def test_frames_that_do_not_fit_are_refused(tmp_path, change, sentence):
    from recon.streaming import apply_record

    state = first_state(30, 1)
    state.frame = 0
    writer = StreamWriter.create(tmp_path, state.copy(), StreamOptions())
    residual = random_residual(writer.state, np.random.default_rng(1))
    residual.removed, residual.births = np.empty(0, np.int32), None
    record, _ = parse_record(writer.append(residual), "frame")
    apply_record(state.copy(), record, "frame")
    damaged, _ = parse_record(replace(record, **change).to_bytes(), "frame")
    with pytest.raises(ReconError, match=sentence):
        apply_record(state.copy(), damaged, "frame")


def test_a_stream_whose_file_changed_is_refused(tmp_path):
    write_stream(tmp_path / "s", 40, 5)
    name = StreamReader(tmp_path / "s").manifest.segments[0].name
    for change in (lambda content: content[:-1], lambda content: content[:99] + b"?" + content[100:]):
        shutil.copytree(tmp_path / "s", tmp_path / "t", dirs_exist_ok=True)
        path = tmp_path / "t" / name
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(ReconError, match="is damaged"):
            stream_info(tmp_path / "t")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(version=2), "version 2"),
        (lambda m: m.update(frames=99), "leads to frame 5"),
        (lambda m: m["segments"][0].update(name="../../etc/passwd"), "not the name of a file"),
        (lambda m: m["segments"][0].update(start=3), "not the name"),
        (lambda m: m["keyframes"].clear(), "leads to frame 0"),
        (lambda m: m["segments"].append(m["segments"][0]), "overlap"),
        (lambda m: m.update(fps="fast"), "expected a number"),
        (lambda m: m.pop("bounds"), "'bounds' is missing"),
    ],
)
def test_manifests_that_lie_are_refused(tmp_path, change, sentence):
    import json

    write_stream(tmp_path, 20, 5)
    data = json.loads((tmp_path / "manifest.json").read_text())
    change(data)
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(ReconError, match=sentence):
        read_manifest(tmp_path)


def test_info_tells_bytes_and_rates(tmp_path, capsys):
    write_stream(tmp_path, 60, 12, fps=10)
    main(["stream", "info", str(tmp_path)])
    out = capsys.readouterr().out
    assert "12 frames, 1.2 s at 10 frames per second" in out and "checksums of 13 states" in out
    info = stream_info(tmp_path)
    files = sum(path.stat().st_size for path in Path(tmp_path).glob("*.rst"))
    assert sum(info.sections.values()) + sum(info.keyframe_sections.values()) == files
    assert info.megabits_per_second(True) == pytest.approx(8e-6 * files * 10 / 12)


def test_a_decoder_is_rounded_to_its_finest_shift():
    from recon.streaming import decoder_of

    state = first_state(5, 0)
    matrix = np.array([[0.01, -0.02], [0.0, 0.003], [0.001, 0.0]])
    decoder = decoder_of(matrix, state, "sh_base")
    assert np.abs(decoder.entries).max() > 16383
    decoded = decoder.entries * 2.0**-decoder.shift * state.step(ATTRIBUTES[4])
    assert np.abs(decoded - matrix).max() < 0.02 / 32767
    assert isinstance(decoder, Decoder) and not decoder.same(None)
    with pytest.raises(ReconError, match="at most 32767"):
        decoder_of(matrix * 1e6, state, "sh_base")


def test_who_joins_at_a_keyframe_counts_as_many_anchors_as_who_played_on(tmp_path):
    played = write_lost_anchor(tmp_path / "stream").state
    assert StreamReader(tmp_path / "stream").state_at(3).checksum() == played.checksum()
    with pytest.raises(ReconError, match="fewer Gaussians than anchors"):
        apply_residual(played, Residual(removed=np.arange(50, dtype=np.int32)))


def test_a_bomb_is_refused_before_it_goes_off():
    record = Record(1, 0, 0, 0, 1 << 23)
    record.add(1, bytes(6))
    layout = replace(record.sections[1].layout, width=4, columns=3)
    record.sections[16] = Section(16, 1, 0, 12 << 23, layout, b"\x03\x00")
    with pytest.raises(ReconError, match="do not fit"):
        parse_record(record.to_bytes(), "bomb")
