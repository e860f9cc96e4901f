"""Make stream.json: a stream as Python writes it, with the checksum of every frame, for the tests of the player.

python viewer/tests/player/make_stream.py
"""

import json
import sys
import tempfile
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "streaming")]

from made_up_streams import first_state, random_residual  # noqa: E402

from recon.streaming import StreamOptions, StreamState, StreamWriter, state_of  # noqa: E402

FRAMES, CUT = 60, 35


def picture_checksum(state: StreamState) -> list[int]:
    """Return the checksum of the Gaussians alone: what is on the screen has neither anchors nor decoders."""
    return list(StreamState(state.degree, state.grids, state.arrays).checksum())


def reduced(state: StreamState) -> StreamState:
    """Return a preview: a third of the Gaussians, without view-dependent colour."""
    gaussians = state.gaussians()[slice(None, None, 3)]
    return state_of(replace(gaussians, sh=gaussians.sh[:, :1]))[0]


def main() -> None:
    records, checksums, pictures = {}, [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = StreamOptions(fps=20, segment_seconds=0.25, keyframe_seconds=0.5, title="made up")
        start = first_state(40, 1)
        preview = reduced(start)
        writer = StreamWriter.create(folder, start, options, preview)
        rng = np.random.default_rng(1)
        for frame in range(FRAMES):
            if frame == CUT:
                content = writer.cut(first_state(30, 1, seed=9))
            elif frame > 0:
                content = writer.append(random_residual(writer.state, rng))
            if frame > 0:
                records[frame] = b64encode(content).decode()
            checksums.append([len(writer.state), *writer.state.checksum()])
            pictures.append(picture_checksum(writer.state))
        writer.close()
        files = {path.name: b64encode(path.read_bytes()).decode() for path in sorted(folder.glob("*.rst"))}
        manifest = json.loads((folder / "manifest.json").read_text())
    content = {
        "manifest": manifest,
        "files": files,
        "records": records,
        "checksums": checksums,
        "pictures": pictures,
        "preview": picture_checksum(preview),
    }
    (Path(__file__).parent / "stream.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
