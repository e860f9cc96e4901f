"""Damaged records of streams: every one must be refused in a sentence, or lead to a state, without crash or hang.

    python benchmarks/fuzz_stream.py --count 100000

Most damaged records get a right CRC-32 again, since otherwise hardly any would reach the decoders. The page's reader
is fuzzed by `npm run fuzz-stream` in viewer/, with the same kinds of damage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recon.errors import ReconError
from recon.streaming import RecordKind, apply_record, decode_keyframe, parse_file, parse_record
from recon.streaming.state import StreamState

VECTORS = Path(__file__).parents[1] / "viewer" / "tests" / "stream" / "vectors.json"
HEADER = 40
NUMBERS = [0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@dataclass
class Report:
    """What became of damaged records."""

    outcomes: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def fuzz(count: int, seed: int) -> Report:
    """Feed `count` damaged records to the reader."""
    rng = np.random.default_rng(seed)
    streams = [_states(stream) for stream in json.loads(VECTORS.read_text())]
    report = Report()
    for i in range(count):
        pairs = streams[i % len(streams)]
        before, content = pairs[int(rng.integers(len(pairs)))]
        damaged = _damage(content, rng)
        start = time.thread_time()
        outcome = _outcome(damaged, None if before is None else before.copy())
        report.slowest = max(report.slowest, time.thread_time() - start)
        report.outcomes[outcome if outcome in ("read", "refused") else "failed"] += 1
        if outcome not in ("read", "refused"):
            report.failures.append(outcome)
    return report


def _states(stream: dict) -> list[tuple[StreamState | None, bytes]]:
    """Return each record with the state that it applies to."""
    pairs: list[tuple[StreamState | None, bytes]] = []
    state: StreamState | None = None
    for encoded in stream["files"]:
        for record, content in parse_file(b64decode(encoded), "vector"):
            if record.kind == RecordKind.KEYFRAME:
                pairs.append((None, content))
                state = decode_keyframe(record, "vector")
            else:
                assert state is not None
                pairs.append((state.copy(), content))
                apply_record(state, record, "vector")
    return pairs


def _damage(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        at = int(rng.integers(12, 72)) if rng.random() < 0.3 else int(rng.integers(12, max(13, len(data))))
        at = min(at, len(data) - 1)
        match rng.integers(7):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = int(rng.integers(256))
            case 2:
                width = int(rng.choice([1, 2, 4]))
                value = NUMBERS[rng.integers(len(NUMBERS))] & (1 << 8 * width) - 1
                data[at : at + width] = value.to_bytes(width, "little")
            case 3:
                del data[max(at, HEADER) :]
            case 4:
                del data[at : at + int(rng.integers(1, 20))]
            case 5:
                data[at:at] = data[at : at + int(rng.integers(1, 40))]
            case 6:
                other = int(rng.integers(len(data)))
                data[at : at + 16] = data[other : other + 16]
    if len(data) >= HEADER and rng.random() < 0.9:
        data[4:8] = len(data).to_bytes(4, "little")
        data[8:12] = zlib.crc32(data[12:]).to_bytes(4, "little")
    return bytes(data)


def _outcome(content: bytes, state: StreamState | None) -> str:
    try:
        record, _ = parse_record(content, "input")
        if record.kind == RecordKind.KEYFRAME or state is None:
            state = decode_keyframe(record, "input")
        else:
            # The checksum would refuse nearly all that got so far; here the arithmetic is to be tried.
            apply_record(state, record, "input", verify=False)
    except ReconError as error:
        return "refused" if str(error).startswith("input") else f"odd sentence: {error}"
    except Exception as error:
        return f"crash: {type(error).__name__}: {error}"
    finite = all(np.isfinite(array).all() for array in state.arrays.values())
    return "read" if finite and len(state) == record.rows else "returned a state that is not whole"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    report = fuzz(arguments.count, arguments.seed)
    outcomes = report.outcomes
    print(
        f"{time.strftime('%Y-%m-%d')}  {arguments.count} damaged records: {outcomes['read']} read, "
        f"{outcomes['refused']} refused, {outcomes['failed']} failed; slowest {report.slowest:.3f} s"
    )
    for failure in report.failures[:10]:
        print(f"  {failure}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
