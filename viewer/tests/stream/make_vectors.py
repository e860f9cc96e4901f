"""Make vectors.json: small streams as Python writes them, for the tests and the fuzzing of both readers.

python viewer/tests/stream/make_vectors.py
"""

import json
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "streaming")]

from made_up_streams import ONE_BY_ONE, write_stream  # noqa: E402

from recon.streaming import StreamReader  # noqa: E402


def main() -> None:
    streams = []
    for degree, codecs in enumerate(ONE_BY_ONE):
        with tempfile.TemporaryDirectory() as folder:
            options = {"fps": 10, "keyframe_seconds": 0.4, "codecs": codecs}
            write_stream(Path(folder), 30, 9, degree, seed=degree, **options)
            reader = StreamReader(folder)
            manifest = reader.manifest
            # In the order of frames; a keyframe comes after the segment that leads to it.
            files = [(file.frame, 1, file.name) for file in manifest.keyframes]
            files += [(file.start + file.frames - 1, 0, file.name) for file in manifest.segments]
            names = [name for _, _, name in sorted(files)]
            streams.append(
                {
                    "codec": codecs[0].name.lower(),
                    "files": [b64encode((Path(folder) / name).read_bytes()).decode() for name in names],
                    "checksums": [[state.frame, len(state), *state.checksum()] for state in reader.states()],
                    "manifest": json.loads((Path(folder) / "manifest.json").read_text()),
                }
            )
    (Path(__file__).parent / "vectors.json").write_text(json.dumps(streams, indent=1) + "\n")


if __name__ == "__main__":
    main()
