"""Following a stream while it is written, and writing records that were made elsewhere."""

import os
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from made_up_streams import first_state, random_gaussians, random_residual, write_stream

from recon.errors import ReconError
from recon.streaming import (
    StreamOptions,
    StreamReader,
    StreamWriter,
    apply_record,
    decode_keyframe,
    encode_keyframe,
    parse_record,
    state_of,
    stream_info,
)
from recon.streaming.follow import StreamFollower, StreamReplacedError
from recon.streaming.manifest import MANIFEST, read_manifest
from recon.streaming.writer import JOURNAL

OPTIONS = StreamOptions(fps=10, segment_seconds=0.5, keyframe_seconds=1.2)


def started(folder, seed: int = 0) -> tuple[StreamWriter, np.random.Generator]:
    return StreamWriter.create(folder, first_state(60, 1, seed), OPTIONS), np.random.default_rng(seed)


class Follower:
    """A follower with a player behind it, which compares every checksum."""

    def __init__(self, folder, start=0):
        self.following = StreamFollower(folder, start)
        self.state = None
        self.kinds = []

    def look(self):
        for one in self.following.poll():
            self.kinds.append((one.kind, one.frame))
            record, end = parse_record(one.content, "record")
            assert end == len(one.content) and record.frame == one.frame
            if one.kind == "residual" and self.state is not None:
                apply_record(self.state, record, "record")
            elif one.kind == "cut":
                self.state = decode_keyframe(record, "record")
            elif one.kind == "keyframe" and self.state is not None:
                assert record.checksum == self.state.checksum()
        return self

    @property
    def residuals(self):
        return [frame for kind, frame in self.kinds if kind == "residual"]


@pytest.mark.parametrize("stride", [1, 2, 7, 40])
def test_everything_comes_once_and_in_order(tmp_path, stride):
    writer, rng = started(tmp_path)
    follower = Follower(tmp_path).look()
    assert follower.kinds == [("cut", 0)]
    for number in range(40):
        writer.append(random_residual(writer.state, rng))
        if number % stride == 0:
            follower.look()
    follower.look()
    assert not follower.following.ended
    writer.close()
    follower.look()
    assert follower.residuals == list(range(1, 41)) and follower.following.ended
    assert follower.state.checksum() == writer.state.checksum()
    assert [frame for kind, frame in follower.kinds if kind == "keyframe"] == [12, 24, 36]
    assert follower.kinds.index(("keyframe", 12)) == follower.kinds.index(("residual", 12)) + 1


def test_whoever_comes_later_starts_at_what_is_in_no_file(tmp_path):
    writer, rng = started(tmp_path)
    for _ in range(13):
        writer.append(random_residual(writer.state, rng))
    assert read_manifest(tmp_path).frames == 13
    follower = Follower(tmp_path, None).look()
    assert follower.kinds == [("residual", 13)]
    middle = Follower(tmp_path, 9).look()
    assert middle.residuals == [9, 10, 11, 12, 13]


def test_a_writer_on_another_thread_is_followed_without_a_gap(tmp_path):
    """Segments close, the manifest changes and the journal is emptied at any moment between two looks."""
    writer, rng = started(tmp_path)

    def write():
        for number in range(120):
            writer.append(random_residual(writer.state, rng, share=0.02))
            if number == 60:
                writer.cut(first_state(50, 1, 9))
        writer.close()

    thread = threading.Thread(target=write)
    follower = Follower(tmp_path)
    thread.start()
    while not follower.look().following.ended:
        assert thread.is_alive() or follower.look().following.ended
    thread.join()
    order = [frame for kind, frame in follower.kinds if kind in ("residual", "cut")]
    assert order == list(range(122)) and ("cut", 62) in follower.kinds
    assert follower.state.checksum() == writer.state.checksum()


def test_half_a_record_is_waited_for(tmp_path):
    writer, rng = started(tmp_path)
    follower = Follower(tmp_path).look()
    writer.append(random_residual(writer.state, rng))
    whole = (tmp_path / JOURNAL).read_bytes()
    for length in (0, 3, 39, 40, len(whole) - 1):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        assert follower.look().residuals == []
    (tmp_path / JOURNAL).write_bytes(whole)
    assert follower.look().residuals == [1]


def test_a_writer_may_crash_and_go_on(tmp_path):
    writer, rng = started(tmp_path)
    follower = Follower(tmp_path)
    for _ in range(8):
        writer.append(random_residual(writer.state, rng))
    del writer
    with open(tmp_path / JOURNAL, "ab") as journal:
        journal.write((tmp_path / JOURNAL).read_bytes()[:333])
    assert follower.look().residuals == list(range(1, 9))
    writer = StreamWriter.resume(tmp_path, OPTIONS)
    for _ in range(8):
        writer.append(random_residual(writer.state, rng))
        follower.look()
    assert follower.residuals == list(range(1, 17))
    assert follower.state.checksum() == writer.state.checksum()


def test_frames_that_change_afterwards_are_noticed(tmp_path):
    """Without its journal a writer makes the same frames anew, and players that have the old ones must start again."""
    for seen_in_a_segment in (False, True):
        folder = tmp_path / str(seen_in_a_segment)
        writer, rng = started(folder)
        for _ in range(8):
            writer.append(random_residual(writer.state, rng))
        follower = Follower(folder).look()
        (folder / JOURNAL).unlink()
        writer = StreamWriter.resume(folder, OPTIONS)
        for _ in range(6 if seen_in_a_segment else 2):
            writer.append(random_residual(writer.state, rng))
        with pytest.raises(StreamReplacedError, match="not what it was"):
            follower.look()


def test_another_stream_in_the_folder_is_noticed(tmp_path):
    started(tmp_path / "s")
    follower = Follower(tmp_path / "s").look()
    shutil.rmtree(tmp_path / "s")
    with pytest.raises(StreamReplacedError, match="no longer holds"):
        follower.look()
    started(tmp_path / "s", seed=1)
    with pytest.raises(StreamReplacedError, match="another stream"):
        follower.look()


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_a_journal_that_is_a_link_or_a_pipe_is_left_alone(tmp_path):
    writer, rng = started(tmp_path / "s")
    writer.append(random_residual(writer.state, rng))
    shutil.move(tmp_path / "s" / JOURNAL, tmp_path / "elsewhere")
    (tmp_path / "s" / JOURNAL).symlink_to(tmp_path / "elsewhere")
    assert Follower(tmp_path / "s").look().residuals == []
    (tmp_path / "s" / JOURNAL).unlink()
    os.mkfifo(tmp_path / "s" / JOURNAL)
    assert Follower(tmp_path / "s").look().residuals == []


def test_a_damaged_segment_is_told(tmp_path):
    write_stream(tmp_path, 40, 12, fps=10)
    name = read_manifest(tmp_path).segments[0].name
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ReconError, match="is damaged"):
        Follower(tmp_path).look()


# Records that were made elsewhere


def copied(source, target, options=OPTIONS) -> StreamWriter:
    """Write a stream again from its records."""
    writer = None
    for one in StreamFollower(source).poll():
        if writer is None:
            writer = StreamWriter.create_from_record(target, one.content, options, "record")
        else:
            writer.append_record(one.content, "record")
    return writer


def test_a_stream_is_written_again_from_its_records(tmp_path):
    preview, _ = state_of(random_gaussians(9, 0))
    rng = np.random.default_rng(0)
    writer = StreamWriter.create(tmp_path / "a", first_state(60, 1), OPTIONS, preview)
    for number in range(30):
        writer.append(random_residual(writer.state, rng))
        if number == 20:
            writer.cut(first_state(40, 1, 5))
    writer.close()
    again = copied(tmp_path / "a", tmp_path / "b")
    assert again.state.checksum() == writer.state.checksum()
    again.close()
    first, second = read_manifest(tmp_path / "a"), read_manifest(tmp_path / "b")
    assert {file.name for file in first.keyframes} == {file.name for file in second.keyframes}
    assert first.segments == second.segments and first.frames == second.frames == 32
    stream_info(tmp_path / "b")


def test_keyframes_are_made_where_none_come(tmp_path):
    write_stream(tmp_path / "a", 40, 40, fps=10, keyframe_seconds=100.0)
    copied(tmp_path / "a", tmp_path / "b").close()
    assert [file.frame for file in read_manifest(tmp_path / "b").keyframes] == [0, 12, 24, 36]
    stream_info(tmp_path / "b")


def test_records_that_do_not_fit_are_refused(tmp_path):
    write_stream(tmp_path / "a", 40, 6, fps=10)
    records = list(StreamFollower(tmp_path / "a").poll())
    key = records[0].content
    for content, sentence in (
        (key + b"x", "bytes follow"),
        (key[:-1], "cut off"),
        (records[1].content, "not the keyframe of frame 0"),
        (replace(parse_record(key, "k")[0], checksum=(1, 2)).to_bytes(), "whose checksum"),
    ):
        with pytest.raises(ReconError, match=sentence):
            StreamWriter.create_from_record(tmp_path / "b", content, OPTIONS, "record")
        assert not (tmp_path / "b" / MANIFEST).exists()
    writer = StreamWriter.create_from_record(tmp_path / "b", key, OPTIONS, "record")
    with pytest.raises(ReconError, match="already holds"):
        StreamWriter.create_from_record(tmp_path / "b", key, OPTIONS, "record")
    writer.append_record(key, "record")  # once more: it is there
    lying = replace(parse_record(records[1].content, "r")[0], checksum=(1, 2)).to_bytes()
    other = first_state(40, 1, 3)
    other.frame = 0
    far = first_state(40, 1)
    far.frame = 3
    for content, sentence in (
        (records[2].content, "does not follow"),
        (lying, "whose checksum"),
        (encode_keyframe(far).to_bytes(), "does not follow"),
    ):
        with pytest.raises(ReconError, match=sentence):
            writer.append_record(content, "record")
        writer = StreamWriter.resume(tmp_path / "b", OPTIONS)
    writer.append_record(records[1].content, "record")
    other.frame = 1
    with pytest.raises(ReconError, match="not the state"):
        writer.append_record(encode_keyframe(other).to_bytes(), "record")
    flat = first_state(40, 0)
    flat.frame = 2
    with pytest.raises(ReconError, match="degree 0"):
        writer.append_record(encode_keyframe(flat).to_bytes(), "record")
    for one in records[2:]:
        writer.append_record(one.content, "record")
    writer.close()
    assert StreamReader(tmp_path / "b").state_at(5).checksum() == writer.state.checksum()
