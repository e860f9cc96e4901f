"""Moving a state on by one frame: the arithmetic that every player of a stream repeats to the bit.

All of it is exact. Latents times decoder entries are sums of whole numbers; they are rounded once, to whole grid steps;
and steps are added to numbers that are whole steps themselves, below 2^23 of them.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from recon.errors import ReconError
from recon.ops.native import core
from recon.streaming.layout import ATTRIBUTES, UNITS, attributes
from recon.streaming.record import Record
from recon.streaming.residual import Births, Residual, decode_residual
from recon.streaming.state import StreamState

_MEANS = ATTRIBUTES[0]


def apply_record(state: StreamState, record: Record, source: str, *, verify: bool = True) -> None:
    """Decode a residual record and apply it in place.

    Args:
        verify: compare the checksum of the result.

    Raises:
        ReconError: when the record does not fit or is damaged. The state is unchanged when it could be told before,
            and otherwise marked as broken.
    """
    residual = decode_residual(record, state, source)
    apply_residual(state, residual, source)
    if verify and state.checksum() != record.checksum:
        state.broken = True
        raise ReconError(
            f"{source}: frame {record.frame} does not lead to the state whose checksum it carries"
        )


def apply_residual(state: StreamState, residual: Residual, source: str = "the residual") -> None:
    """Apply a residual in place; the state is then that of the next frame.

    Raises:
        ReconError: when a number leaves its range; the state is then broken.
    """
    births = residual.births
    values = None if births is None else _birth_values(state, births)
    state.broken = True
    for index, decoder in residual.decoders.items():
        if decoder is None:
            state.decoders.pop(index, None)
        else:
            state.decoders[index] = decoder
    fits = True
    if len(residual.moved_anchors) and state.anchors is not None:
        fits &= _move_anchors(state, residual)
    if len(residual.gated):
        fits &= _add_to_means(state, residual.gated, residual.positions)
    for index, latents in residual.latents.items():
        of, decoder = ATTRIBUTES[index], state.decoders[index]
        limit = UNITS * state.step(of)
        arguments = (decoder.entries, decoder.shift, state.step(of), limit)
        codes = np.ascontiguousarray(latents.codes)
        array = state.arrays[of.array]
        fits &= core().add_latents(array, of.column, latents.rows, codes, latents.largest, *arguments)
    if values is not None:
        fits &= all(np.abs(units).max(initial=0) < UNITS for units in values.values())
    if not fits:
        raise ReconError(f"{source}: frame {state.frame + 1} moves a number out of its range")
    if len(residual.removed) or births is not None:
        _replace_rows(state, residual.removed, values, None if births is None else births.anchors)
    if len(residual.removed) and state.anchors is not None:
        state.anchor_count = int(state.anchors.max()) + 1
        if state.anchor_count > len(state):
            raise ReconError(f"{source}: frame {state.frame + 1} leaves fewer Gaussians than anchors")
    state.frame += 1
    state.broken = False


def placement(count: int, removed: ndarray, born: int) -> tuple[int, ndarray, ndarray, ndarray]:
    """Say where rows go: new count, rows that births take, and rows that survivors come from and go to.

    Births take the removed rows in ascending order, then the end. Where more were removed, the survivors at the end
    fill what is left, both in ascending order; so nothing moves that does not have to.
    """
    left = count + born - len(removed)
    if born >= len(removed):
        places = np.concatenate([removed, np.arange(count, left)])
        return left, places, np.empty(0, np.int64), np.empty(0, np.int64)
    holes = removed[born:]
    alive = np.ones(count - left, bool)
    alive[holes[holes >= left] - left] = False
    sources = left + np.flatnonzero(alive)
    return left, removed[:born], sources, holes[holes < left]


def _birth_values(state: StreamState, births: Births) -> dict[int, ndarray]:
    values = {}
    for one in attributes(state.degree):
        units = births.values[one.index]
        if births.parents is not None:
            inherited = state.units(one, np.maximum(births.parents, 0))
            units = units + np.where((births.parents >= 0)[:, None], inherited, 0)
        values[one.index] = units
    return values


def _move_anchors(state: StreamState, residual: Residual) -> bool:
    assert state.anchors is not None
    place = np.full(state.anchor_count, -1, np.int64)
    place[residual.moved_anchors] = np.arange(len(residual.moved_anchors))
    moved = place[state.anchors]
    rows = np.flatnonzero(moved >= 0).astype(np.int32)
    return _add_to_means(state, rows, residual.anchor_motion[moved[rows]])


def _add_to_means(state: StreamState, rows: ndarray, units: ndarray) -> bool:
    step = state.step(_MEANS)
    return core().add_steps(state.arrays["means"], 0, rows, units, step, UNITS * step)


def _replace_rows(
    state: StreamState, removed: ndarray, values: dict[int, ndarray] | None, anchors: ndarray | None
) -> None:
    born = 0 if values is None else len(values[0])
    count = len(state)
    left, places, sources, holes = placement(count, removed, born)
    if left > count:
        grow = {name: (left - count, array.shape[1]) for name, array in state.arrays.items()}
        state.arrays = {
            name: np.concatenate([array, np.zeros(grow[name], np.float32)])
            for name, array in state.arrays.items()
        }
        if state.anchors is not None:
            state.anchors = np.concatenate([state.anchors, np.zeros(left - count, np.int32)])
    if values is not None:
        for one in attributes(state.degree):
            state.values(one)[places] = values[one.index].astype(np.float32) * np.float32(state.step(one))
        if state.anchors is not None and anchors is not None:
            state.anchors[places] = anchors
    for name, array in state.arrays.items():
        array[holes] = array[sources]
        state.arrays[name] = np.ascontiguousarray(array[:left])
    if state.anchors is not None:
        state.anchors[holes] = state.anchors[sources]
        state.anchors = state.anchors[:left].copy()
