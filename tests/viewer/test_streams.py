"""The page decodes a stream to the same bits as Python, frame by frame."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from recon.streaming import StreamReader

sys.path.insert(0, str(Path(__file__).parents[1] / "streaming"))


def test_three_hundred_frames_are_the_same_in_both_languages(viewer: Path, tmp_path: Path) -> None:
    """Most splats are static, and those are to the last bit what they were at the start."""
    from made_up_streams import write_stream

    folder, words = tmp_path / "stream", tmp_path / "words"
    write_stream(folder, 400, 300, fps=30, keyframe_seconds=4.0)
    arguments = ["node", "scripts/run.mjs", "scripts/stream.ts", "decode", str(folder), str(words)]
    done = subprocess.run(arguments, cwd=viewer, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    theirs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]

    ours, first = [], None
    for state in StreamReader(folder).states():
        ours.append((state.frame, len(state), *state.checksum()))
        if first is None:
            first = {name: array.copy() for name, array in state.arrays.items()}
    assert theirs == ours and len(ours) == 300
    assert words.read_bytes() == b"".join(array.tobytes() for array in state.arrays.values())
    # Only the first half of the rows moves, by latents, gates or anchors, or is taken by births; rows at the end move
    # into holes when there are fewer than before.
    assert first is not None
    lengths = [rows for _, rows, *_ in ours]
    still = slice(max(lengths) // 2, min(lengths))
    assert still.stop - still.start > 20
    for name, array in state.arrays.items():
        assert (array[still].view(np.uint32) == first[name][still].view(np.uint32)).all(), name
    assert (state.arrays["means"][: still.start] != first["means"][: still.start]).any()


def test_an_anchor_may_lose_all_its_gaussians(viewer: Path, tmp_path: Path) -> None:
    from made_up_streams import write_lost_anchor

    folder = tmp_path / "stream"
    write_lost_anchor(folder)
    arguments = [
        "node",
        "scripts/run.mjs",
        "scripts/stream.ts",
        "decode",
        str(folder),
        str(tmp_path / "words"),
    ]
    done = subprocess.run(arguments, cwd=viewer, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    theirs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert theirs == [(s.frame, len(s), *s.checksum()) for s in StreamReader(folder).states()]
