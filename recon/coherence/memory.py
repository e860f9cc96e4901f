"""What training on rays takes beside its Gaussians: the decoders' activations, the matches, finer renderings."""

from __future__ import annotations

DECODER_FLOATS = 27
"""Floats per value that a decoder computes and base channel: activations of all stages, kept for their gradients."""
MATCH_FLOATS = 34
"""Floats per cell and other photo: indices and factors of the flow loss, and a step's intermediates."""
SAMPLE_FLOATS = 27
"""Floats per pixel of a rendering that is finer than the photo, with its gradients."""
# Measured on 23 November 2026 with benchmarks/training_memory.py (CPU, x86_64, torch 2.13.0): the differences of peak
# RSS between strides 1 and 4, between 9 and 3 views, and between renderings of 4 times and once the photos' size. With
# recon.train.memory's estimate for the Gaussians they make what that benchmark prints beside what it measures.


def decoder_bytes(cells: int, channels: int, stride: int) -> int:
    """Return the bytes of a decoder for all photos in training."""
    return 4 * DECODER_FLOATS * channels * cells // stride**2


def flow_bytes(cells: int, views: int) -> int:
    """Return the bytes of the flow loss, every cell matched in every other photo."""
    return 4 * MATCH_FLOATS * (views - 1) * cells


def multisampling_bytes(pixels: int, highest: int) -> int:
    """Return the bytes that rendering a photo `highest` times finer takes beyond rendering it once."""
    return 4 * SAMPLE_FLOATS * (highest**2 - 1) * pixels
