"""Feed damaged .ply, .spz and .splat files to the readers and look for crashes, hangs and large allocations.

    python benchmarks/fuzz_formats.py --count 100000

Every input is a valid file that was damaged: bits flipped, numbers replaced, pieces cut out, doubled or swapped, text
of headers edited; compressed files are also damaged inside and compressed again, since otherwise their checksums would
catch nearly everything. A reader passes when it returns finite Gaussians or raises ReconError with a sentence, within
a second, and never holds more than four bytes per byte it was given (for .spz: per byte the file unpacks to) plus a
megabyte.
"""

import argparse
import gzip
import platform
import struct
import sys
import tempfile
import time
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from recon.errors import ReconError
from recon.splats import Gaussians
from recon.splats.formats import decode_ply, decode_splat, decode_spz, write_ply, write_splat, write_spz

MAX_SECONDS = 1.0
BYTES_PER_BYTE = 4.0
"""Peak of all that is alive at once."""
SLACK = 1 << 20

DECODERS: dict[str, Callable[[bytes, str], Gaussians]] = {
    "ply": decode_ply,
    "spz": decode_spz,
    "splat": decode_splat,
}
NUMBERS = [0, 1, 2, 3, 127, 128, 255, 65535, 2**24, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
WORDS = [
    *(b"float", b"double", b"uchar", b"int", b"list uchar int", b"property", b"element", b"vertex", b"face"),
    *(
        b"ascii",
        b"binary_little_endian",
        b"binary_big_endian",
        b"end_header\n",
        b"comment",
        b"x",
        b"f_rest_0",
    ),
    *(b"0", b"-1", b"1e999", b"nan", b"99999999999", b"\n", b"\r", b" ", b"\xff", b"rot_0", b"opacity"),
]


@dataclass
class Report:
    """What happened to the inputs of one format."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    largest_ratio: float = 0.0


def fuzz(name: str, count: int, seed: int) -> Report:
    """Feed `count` damaged files of one format to its reader."""
    rng = np.random.default_rng(seed)
    report = Report()
    originals = list(valid_files(name))
    tracemalloc.start()
    try:
        for index in range(count):
            content = damaged(name, originals, rng)
            tracemalloc.reset_peak()
            before, start = tracemalloc.get_traced_memory()[0], time.thread_time()
            outcome = _outcome(DECODERS[name], content)
            seconds, peak = time.thread_time() - start, tracemalloc.get_traced_memory()[1] - before
            if seconds > MAX_SECONDS:  # tracing slows text files down eightfold
                tracemalloc.stop()
                start = time.thread_time()
                _outcome(DECODERS[name], content)
                seconds = time.thread_time() - start
                tracemalloc.start()
            size = max(len(content), _unpacked_size(content) if name == "spz" else 0)
            ratio = max(0, peak - SLACK) / max(size, 1)
            report.slowest = max(report.slowest, seconds)
            report.largest_ratio = max(report.largest_ratio, ratio)
            report.outcomes[outcome.split(":")[0]] += 1
            if outcome not in ("read", "refused") or seconds > MAX_SECONDS or ratio > BYTES_PER_BYTE:
                report.failures.append(
                    f"input {index}: {outcome}, {seconds:.2f} s, {ratio:.1f} bytes per byte"
                )
    finally:
        tracemalloc.stop()
    return report


def valid_files(name: str) -> Iterator[bytes]:
    """Make small and middle-sized files of every variant that is read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        for count, degree in ((1, 0), (3, 3), (20, 1), (200, 2), (40_000, 0)):
            gaussians = _random_gaussians(count, degree)
            if name == "splat":
                write_splat(path, gaussians)
                yield path.read_bytes()
            elif name == "spz":
                for version in (3, 4):
                    write_spz(path, gaussians, version=version)
                    yield path.read_bytes()
                yield _as_version_2(gaussians, path)
            else:
                write_ply(path, gaussians)
                yield path.read_bytes()
                yield _as_text(path.read_bytes())


def damaged(name: str, originals: list[bytes], rng: np.random.Generator) -> bytes:
    """Return a damaged copy of one of the files."""
    # The large files are rare, so that many inputs per second remain.
    weights = np.array([1.0 if len(content) < 50_000 else 0.01 for content in originals])
    content = originals[rng.choice(len(originals), p=weights / weights.sum())]
    other = originals[rng.integers(len(originals))]
    if name == "spz" and content[:2] == b"\x1f\x8b" and rng.random() < 0.8:
        body = _mutate(
            gzip.decompress(content), gzip.decompress(other) if other[:2] == b"\x1f\x8b" else other, rng, 16
        )
        return gzip.compress(body, 1)
    if name == "spz" and content[:4] == b"NGSP" and rng.random() < 0.5:
        return _mutate_streams(content, other, rng)
    header = content.find(b"end_header") + 11 if name == "ply" else 32
    return _mutate(content, other, rng, header)


def _mutate(content: bytes, other: bytes, rng: np.random.Generator, header: int) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        if not data:
            break
        # Half of the damage goes to the header, where the counts are.
        end = min(header, len(data)) if rng.random() < 0.5 else len(data)
        at = int(rng.integers(end))
        length = int(min(rng.integers(1, 64), len(data) - at))
        match rng.integers(9):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = int(rng.integers(256))
            case 2:
                width = int(rng.choice([1, 2, 4, 8]))
                value = NUMBERS[rng.integers(len(NUMBERS))] & (1 << 8 * width) - 1
                data[at : at + width] = value.to_bytes(width, "little")
            case 3:
                del data[at:]
            case 4:
                del data[at : at + length]
            case 5:
                data[at:at] = data[at : at + length] * int(rng.integers(1, 4))
            case 6:
                start = int(rng.integers(max(1, len(other))))
                data[at : at + length] = other[start : start + length]
            case 7:
                data[at : at + length] = WORDS[rng.integers(len(WORDS))]
            case 8:
                special = rng.choice([np.nan, np.inf, -np.inf, 3e38, 1e-45, -0.0])
                data[at : at + 4] = struct.pack("<f", special)
    return bytes(data)


def _mutate_streams(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage the streams of a version 4 file and make its table fit again, or not."""
    import zstandard

    count, (table,) = content[15], struct.unpack_from("<I", content, 16)
    sizes = [struct.unpack_from("<QQ", content, table + 16 * i) for i in range(count)]
    offset, streams = table + 16 * count, []
    for compressed, plain in sizes:
        data = zstandard.ZstdDecompressor().decompress(content[offset : offset + compressed], plain)
        if rng.random() < 0.3:
            data = _mutate(data, other, rng, 16)
        stream = zstandard.ZstdCompressor(level=1).compress(data)
        streams.append((_mutate(stream, other, rng, 8) if rng.random() < 0.2 else stream, len(data)))
        offset += compressed
    extensions = struct.pack("<III", rng.choice([0xADBE0002, 0xADBE0003, 0]), rng.choice([4, 0, 2**31]), 4)
    header = bytearray(content[:32] + (extensions if rng.random() < 0.3 else b""))
    header[14] = 2 * (len(header) > 32)
    header[16:20] = struct.pack("<I", len(header))
    entries = b"".join(struct.pack("<QQ", len(stream), plain) for stream, plain in streams)
    whole = bytes(header) + entries + b"".join(stream for stream, _ in streams)
    return _mutate(whole, other, rng, 32) if rng.random() < 0.3 else whole


def _outcome(decode: Callable[[bytes, str], Gaussians], content: bytes) -> str:
    try:
        return _check(decode(content, "input"))
    except ReconError as error:
        return "refused" if str(error).startswith("input ") else f"odd sentence: {error}"
    except Exception as error:
        return f"crash: {type(error).__name__}: {error}"


def _check(gaussians: Gaussians) -> str:
    for tensor in (
        *gaussians.tensors().values(),
        gaussians.scales,
        gaussians.quaternions.double().norm(dim=1).log(),
    ):
        if not torch.isfinite(tensor).all():
            return "returned values that are not finite"
    return "read"


def _unpacked_size(content: bytes) -> int:
    """Return how many bytes a file holds once decompressed, by what its (possibly damaged) header says at most."""
    if content[:2] != b"\x1f\x8b":
        return 40 * len(content)
    try:
        return len(zlib.decompressobj(wbits=31).decompress(content, 64 << 20))
    except zlib.error:
        return 40 * len(content)


def _random_gaussians(count: int, degree: int) -> Gaussians:
    generator = torch.Generator().manual_seed(count)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        normal(count, 3),
        normal(count, 3) - 4,
        normal(count, 4),
        normal(count),
        normal(count, (degree + 1) ** 2, 3),
    )


def _as_version_2(gaussians: Gaussians, path: Path) -> bytes:
    write_spz(path, gaussians, version=3)
    body, n = bytearray(gzip.decompress(path.read_bytes())), len(gaussians)
    body[4] = 2
    start = 16 + 16 * n
    body[start : start + 4 * n] = np.random.default_rng(n).bytes(3 * n)
    return gzip.compress(bytes(body))


def _as_text(binary: bytes) -> bytes:
    header, _, body = binary.partition(b"end_header\n")
    width = header.count(b"property")
    rows = np.frombuffer(body, "<f4").reshape(-1, width)
    lines = "\n".join(" ".join(f"{value:.6g}" for value in row) for row in rows)
    return header.replace(b"binary_little_endian", b"ascii") + b"end_header\n" + lines.encode() + b"\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000, help="damaged inputs per format")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}  {platform.processor() or platform.machine()}  Python {sys.version.split()[0]}"
    )
    print(f"{'format':8}{'inputs':>8}{'read':>8}{'refused':>9}{'failed':>8}{'slowest':>10}{'bytes/byte':>12}")
    failed = 0
    for name in DECODERS:
        report = fuzz(name, arguments.count, arguments.seed)
        print(
            f"{name:8}{arguments.count:8}{report.outcomes['read']:8}{report.outcomes['refused']:9}"
            f"{len(report.failures):8}{report.slowest:8.3f} s{report.largest_ratio:12.2f}"
        )
        for failure in report.failures[:10]:
            print(f"  {failure}")
        failed += len(report.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
