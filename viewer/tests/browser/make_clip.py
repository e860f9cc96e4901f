"""Make what stream.test.ts plays: a clip as a stream, and what each of its frames must be.

Usage: python make_clip.py FOLDER

FOLDER then holds `clip/` (the stream), `expected.json` (per frame the checksum of the Gaussians that are drawn, and the
records as a live server pushes them) and `picture.bin`, the CPU rasterizer's picture of one frame as float32.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "player"), str(TESTS.parents[1] / "tests" / "streaming")]

from made_up_streams import LATENTS, random_residual  # noqa: E402
from make_cases import camera_entry, random_gaussians, render, ring  # noqa: E402
from make_stream import picture_checksum, reduced  # noqa: E402

from recon.streaming import StreamOptions, StreamReader, StreamWriter, decoder_of, state_of  # noqa: E402
from recon.streaming.layout import attributes  # noqa: E402

SPLATS, DEGREE, FRAMES, FPS = 1000, 1, 32, 10
WIDTH, HEIGHT = 160, 120
PICTURED = 26


def main(folder: Path) -> None:
    """Write everything below `folder`."""
    cameras = ring(2, WIDTH, HEIGHT)
    entries = [camera_entry(index, camera) for index, camera in enumerate(cameras)]
    state, _ = state_of(random_gaussians(SPLATS, DEGREE, seed=3))
    rng = np.random.default_rng(4)
    for one in attributes(DEGREE)[1:]:
        shape = (one.width(DEGREE), LATENTS[one.name])
        state.decoders[one.index] = decoder_of(0.01 * rng.standard_normal(shape), state, one.name)
    options = StreamOptions(
        fps=FPS, segment_seconds=0.5, keyframe_seconds=1.0, title="a clip", cameras=entries
    )
    preview = reduced(state)
    writer = StreamWriter.create(folder / "clip", state, options, preview)
    pictures, records = [picture_checksum(writer.state)], [""]
    for _ in range(1, FRAMES):
        residual = random_residual(writer.state, rng)
        count = len(writer.state)
        for one in attributes(DEGREE)[1:]:
            # Of a size that keeps the picture a picture.
            latents = np.rint(rng.laplace(0, 4, (count, LATENTS[one.name]))).astype(np.int32)
            latents[rng.random(count) > 0.2] = 0
            residual.set_latents(one.name, latents)
        records.append(b64encode(writer.append(residual)).decode())
        pictures.append(picture_checksum(writer.state))
    writer.close()
    picture = render(StreamReader(folder / "clip").state_at(PICTURED).gaussians(), cameras[0])
    picture.astype("<f4").tofile(folder / "picture.bin")
    expected = {
        "pictures": pictures,
        "preview": picture_checksum(preview),
        "records": records,
        "cameras": entries,
        "pictured": PICTURED,
    }
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
