"""Small streams with everything that the format has: births, deaths, anchors, gates, latents, changing decoders."""

from pathlib import Path

import numpy as np
import torch

from recon.splats.gaussians import Gaussians
from recon.streaming import (
    Codec,
    Residual,
    StreamOptions,
    StreamState,
    StreamWriter,
    births_of,
    decoder_of,
    state_of,
)
from recon.streaming.layout import attributes

LATENTS = {"log_scales": 8, "quaternions": 6, "opacity_logits": 3, "sh_base": 8, "sh_rest": 4}
"""As many per attribute as QUEEN has on N3DV."""


def random_gaussians(count: int, degree: int, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    quaternions = torch.nn.functional.normalize(normal(count, 4), dim=1)
    sh = 0.3 * normal(count, (degree + 1) ** 2, 3)
    return Gaussians(2 * normal(count, 3), normal(count, 3) - 4, quaternions, 2 * normal(count), sh)


def first_state(count: int, degree: int, seed: int = 0, anchors: bool = True) -> StreamState:
    """Return a state with decoders, and anchors that neighbours in the file share."""
    state, _ = state_of(random_gaussians(count, degree, seed))
    if anchors:
        state.anchors = (np.arange(count) // 7).astype(np.int32)
        state.anchor_count = int(state.anchors.max()) + 1
    rng = np.random.default_rng(seed)
    for one in attributes(degree)[1:]:
        shape = (one.width(degree), LATENTS[one.name])
        state.decoders[one.index] = decoder_of(0.004 * rng.standard_normal(shape), state, one.name)
    return state


def random_residual(state: StreamState, rng: np.random.Generator, share: float = 0.12) -> Residual:
    """Return a residual that changes about `share` of the first half of the rows, and now and then everything else."""
    count = len(state)
    residual = Residual()
    moving = np.zeros(count, bool)
    moving[: count // 2] = rng.random(count // 2) < 2 * share
    for one in attributes(state.degree)[1:]:
        scale = 400.0 if rng.random() < 0.05 else 1.2
        dense = np.rint(rng.laplace(0, scale, (count, LATENTS[one.name]))).astype(np.int32)
        dense[~moving] = 0
        if rng.random() < 0.5:
            dense[rng.random(count) < 0.4] = 0
        residual.set_latents(one.name, dense)
        if rng.random() < 0.2:
            matrix = 0.004 * rng.standard_normal((one.width(state.degree), LATENTS[one.name]))
            residual.decoders[one.index] = decoder_of(matrix, state, one.name)
    gated = moving & (rng.random(count) < 0.2)
    residual.set_positions(np.where(gated[:, None], rng.integers(-90, 91, (count, 3)), 0))
    if state.anchors is not None and rng.random() < 0.3:
        residual.moved_anchors = np.arange(0, max(1, state.anchor_count // 8), dtype=np.int32)
        residual.anchor_motion = rng.integers(-30, 31, (len(residual.moved_anchors), 3)).astype(np.int32)
    if rng.random() < 0.3:
        removed = rng.choice(max(1, count // 2), int(rng.integers(0, 6)), replace=False)
        residual.removed = np.sort(removed).astype(np.int32)
    if rng.random() < 0.4:
        residual.births = _births(state, rng, int(rng.integers(1, 6)))
    return residual


def write_stream(
    folder: Path, count: int, frames: int, degree: int = 1, seed: int = 0, **options
) -> StreamWriter:
    """Write a stream and return its closed writer."""
    options = {"keyframe_seconds": 2.0, **options}
    writer = StreamWriter.create(folder, first_state(count, degree, seed), StreamOptions(**options))
    rng = np.random.default_rng(seed + 1)
    for _ in range(frames - 1):
        writer.append(random_residual(writer.state, rng))
    writer.close()
    return writer


def write_lost_anchor(folder: Path) -> StreamWriter:
    """Write a stream whose last anchor loses all its Gaussians before a keyframe, and whose anchors move after it."""
    state = first_state(60, 1)
    writer = StreamWriter.create(folder, state, StreamOptions(fps=10, keyframe_seconds=0.2))
    assert state.anchors is not None
    last = np.flatnonzero(state.anchors == state.anchors.max()).astype(np.int32)
    writer.append(Residual(removed=last))
    writer.append(Residual())
    moved = np.array([0, 3], np.int32)
    writer.append(Residual(moved_anchors=moved, anchor_motion=np.full((2, 3), 5, np.int32)))
    writer.close()
    return writer


def _births(state: StreamState, rng: np.random.Generator, born: int):
    new, _ = state_of(random_gaussians(born, state.degree, int(rng.integers(1 << 30))))
    values = {one.name: new.values(one) for one in attributes(state.degree)}
    parents = rng.integers(-1, len(state), born).astype(np.int32) if rng.random() < 0.5 else None
    anchors = None if state.anchors is None else rng.integers(0, state.anchor_count, born).astype(np.int32)
    return births_of(values, state, parents, anchors)


ONE_BY_ONE = [(Codec.RAW,), (Codec.DEFLATE,), (Codec.ZSTD,), (Codec.RANS,)]
