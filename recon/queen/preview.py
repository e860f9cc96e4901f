"""A reduced keyframe, to look at until the whole one has arrived."""

from __future__ import annotations

import numpy as np

from recon.streaming import StreamState
from recon.streaming.state import empty_state


def preview_of(state: StreamState, count: int) -> StreamState:
    """Return the Gaussians that cover most, without view-dependent colour.

    Args:
        count: how many; what a Gaussian covers is its opacity times the area of its two longer axes.
    """
    opacity = 1 / (1 + np.exp(-state.arrays["opacity_logits"][:, 0]))
    longer = np.sort(state.arrays["log_scales"], axis=1)[:, 1:].sum(axis=1)
    covers = opacity * np.exp(longer - longer.max())
    rows = (
        np.sort(np.argpartition(-covers, count - 1)[:count]) if count < len(state) else np.arange(len(state))
    )
    preview = empty_state(len(rows), 0, state.grids.copy())
    preview.frame = state.frame
    for name, array in preview.arrays.items():
        array[:] = state.arrays[name][rows, : array.shape[1]]
    return preview
