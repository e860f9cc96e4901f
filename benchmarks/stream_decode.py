"""How long a frame of a stream takes to decode, and how many bytes it is, on synthetic latents.

    python benchmarks/stream_decode.py [--gaussians 300000] [--degree 2] [--json FILE]

The latents are made up to look like those of QUEEN: 29 numbers per Gaussian, Laplacian, in 12 % of the Gaussians, which
lie in clusters (`clustered`, as the Morton order gives them) or anywhere (`scattered`); 2 % of the Gaussians move by a
gated residual as well. They say how fast the decoder is and what the coders do with such numbers; they are no
measurement of a scene. Bytes are those of the file; `raw residuals` are the same changes as float32 for all
Gaussians, zeros included, by zstd at level 9.

Times are processor time on one thread, the least of the runs: other programs may be running.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import zstandard
from hardware import header

from recon import ops
from recon.splats.gaussians import Gaussians
from recon.streaming import (
    Codec,
    Residual,
    StreamOptions,
    StreamReader,
    StreamState,
    StreamWriter,
    apply_record,
    apply_residual,
    decode_residual,
    decoder_of,
    parse_record,
    state_of,
    stream_info,
)
from recon.streaming.info import record_bytes
from recon.streaming.layout import attributes

LATENTS = {"log_scales": 8, "quaternions": 6, "opacity_logits": 3, "sh_base": 8, "sh_rest": 4}
ACTIVE = 0.12
GATED = 0.02
CODECS = {
    "raw": (Codec.RAW,),
    "deflate": (Codec.RAW, Codec.DEFLATE),
    "zstd": (Codec.RAW, Codec.ZSTD),
    "rANS": (Codec.RAW, Codec.RANS),
    "smallest": tuple(Codec),
}
BARS = {"Node": 15.0, "CPU kernel": 5.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gaussians", type=int, default=300_000)
    parser.add_argument("--degree", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    ops.set_threads(1)
    print(header())
    results = {"gaussians": arguments.gaussians, "degree": arguments.degree, "synthetic": True}
    for layout in ("clustered", "scattered"):
        results[layout] = measure(layout, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def measure(layout: str, arguments: argparse.Namespace) -> dict:
    """Print and return bytes and times of one kind of stream."""
    first = made_up_state(arguments.gaussians, arguments.degree)
    residuals = [made_up_residual(first, layout, seed) for seed in range(arguments.frames)]
    raw = np.mean([raw_bytes(first, residual) for residual in residuals])
    sizes = {}
    print(
        f"\n{layout}: {arguments.gaussians} Gaussians of degree {arguments.degree}, {ACTIVE:.0%} active (synthetic)"
    )
    print("| codec | bytes per frame | of raw residuals by zstd |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, codecs in CODECS.items():
            path = Path(folder) / name
            write(path, first.copy(), residuals, codecs)
            sizes[name] = np.mean(stream_info(path).frame_bytes)
            print(f"| {name} | {sizes[name]:.0f} | {sizes[name] / raw:.3f} |")
        print(f"| raw residuals, zstd | {raw:.0f} | 1 |")
        key = StreamReader(Path(folder) / "smallest").manifest.keyframes[0].bytes
        print(f"keyframe: {key} bytes, {key / arguments.gaussians:.1f} per Gaussian")
        times = {name: python_times(Path(folder) / name, arguments.repeats) for name in ("rANS", "smallest")}
        print(
            "| one thread, ms of processor time | "
            + " | ".join(times["rANS"])
            + " |\n|---|"
            + "---|" * len(times["rANS"])
        )
        for name, row in times.items():
            print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |")
        node = node_times(Path(folder) / "smallest", arguments.repeats)
        print(node or "Node: not measured here, it or viewer/node_modules is missing")
    print(f"bars: {BARS['Node']:.0f} ms per frame in Node, {BARS['CPU kernel']:.0f} ms in the CPU kernel")
    sizes = {name: float(size) for name, size in sizes.items()}
    return {
        "raw_zstd_bytes": float(raw),
        "bytes": sizes,
        "keyframe_bytes": key,
        "milliseconds": times,
        "node": node,
    }


def made_up_state(count: int, degree: int) -> StreamState:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    quaternions = torch.nn.functional.normalize(normal(count, 4), dim=1)
    sh = 0.1 * normal(count, (degree + 1) ** 2, 3)
    state, _ = state_of(
        Gaussians(2 * normal(count, 3), normal(count, 3) - 4, quaternions, 2 * normal(count), sh)
    )
    rng = np.random.default_rng(0)
    for one in attributes(degree)[1:]:
        matrix = 0.005 * rng.standard_normal((one.width(degree), LATENTS[one.name]))
        state.decoders[one.index] = decoder_of(matrix, state, one.name)
    return state


def made_up_residual(state: StreamState, layout: str, seed: int) -> Residual:
    rng = np.random.default_rng(seed)
    count = len(state)
    if layout == "clustered":
        # Runs of some hundred neighbours, nearly all of which are active, and a few loners.
        runs = np.repeat(rng.random(count // 256 + 1) < ACTIVE / 0.9, 256)[:count]
        active = runs & (rng.random(count) < 0.88) | (rng.random(count) < 0.01)
    else:
        active = rng.random(count) < ACTIVE
    residual = Residual()
    for one in attributes(state.degree)[1:]:
        scales = np.geomspace(1.5, 0.3, LATENTS[one.name])  # some latents are used more than others
        dense = np.rint(rng.laplace(0, scales, (count, len(scales)))).astype(np.int32)
        dense[~active] = 0
        residual.set_latents(one.name, dense)
    gated = active & (rng.random(count) < GATED / ACTIVE)
    moves = np.rint(rng.laplace(0, 40, (count, 3))).astype(np.int32)
    residual.set_positions(np.where(gated[:, None], moves, 0))
    return residual


def raw_bytes(state: StreamState, residual: Residual) -> int:
    """Return the bytes of the same changes as float32 by zstd, not rounded to steps."""
    after = state.copy()
    apply_residual(after, residual)
    changes = np.concatenate([after.arrays[name] - state.arrays[name] for name in state.arrays], axis=1)
    noise = 2.0**-10 * (np.random.default_rng(0).random(changes.shape, np.float32) - 0.5)
    changes = np.where(changes != 0, changes + noise, 0).astype(np.float32)
    return len(zstandard.ZstdCompressor(level=9).compress(changes.tobytes()))


def write(path: Path, state: StreamState, residuals: list[Residual], codecs: tuple[Codec, ...]) -> None:
    writer = StreamWriter.create(path, state, StreamOptions(fps=30, codecs=codecs))
    for residual in residuals:
        writer.append(residual)
    writer.close()


def python_times(path: Path, repeats: int) -> dict[str, float]:
    reader = StreamReader(path, verify=False)
    (segment,) = reader.manifest.segments
    records = list(reader.records(segment))
    messages = [record.to_bytes() for record in records]
    first = reader.keyframe(reader.manifest.keyframes[0])
    times: dict[str, list[float]] = {name: [] for name in ("frame", "unpack", "checksum", "keyframe")}
    for _ in range(repeats):
        state = first.copy()
        for message in messages:
            record, _ = parse_record(message, "frame")
            times["unpack"].append(
                clock(lambda record=record, state=state: decode_residual(record, state, "frame"))
            )
            times["frame"].append(
                clock(
                    lambda m=message, s=state: apply_record(s, parse_record(m, "frame")[0], "", verify=False)
                )
            )
        times["checksum"].append(clock(state.checksum))
        times["keyframe"].append(clock(lambda: reader.keyframe(reader.manifest.keyframes[0])))
    assert all(
        record_bytes(record) == len(message) for record, message in zip(records, messages, strict=True)
    )
    return {name: min(values) for name, values in times.items()}


def node_times(path: Path, repeats: int) -> str | None:
    viewer = Path(__file__).resolve().parents[1] / "viewer"
    if shutil.which("node") is None or not (viewer / "node_modules" / "vite").is_dir():
        return None
    command = ["node", "scripts/run.mjs", "scripts/stream.ts", "bench", str(path), str(repeats)]
    return subprocess.run(command, cwd=viewer, capture_output=True, text=True, check=True).stdout.strip()


def clock(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return 1e3 * (time.thread_time() - start)


if __name__ == "__main__":
    main()
