"""Gaussians on the wire: the binary messages of the live feed.

A frame is sent in parts of rows, so that a connection never buffers more than one part, and small messages get between.

| bytes | what |
|---|---|
| 4 | "RCLV" |
| 7 x 4 | u32: version (1), frame, total Gaussians, first row, rows, SH coefficients, flags (1: replaces all) |
| rows x (12, 12, 16, 4) | float32: means, log scales, quaternions (w, x, y, z), opacity logits, one after another |
| rows x coefficients x 6 | float16: harmonics |

All little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import torch

from recon.splats import Gaussians

MAGIC = b"RCLV"
VERSION = 1
REPLACES_EVERYTHING = 1

ROWS = 1 << 14
"""Gaussians per message: 2.3 MB at degree 3. What a stalled client can hold in memory is one message."""

HEADER = struct.Struct("<4s7I")

_LARGEST_HALF = 65504.0


def encode_frame(gaussians: Gaussians, frame: int, rows: int = ROWS) -> Iterator[bytes]:
    """Yield the messages of one frame; encoding happens as they are asked for.

    Args:
        gaussians: on the CPU, not changed by anybody until the last message is out.
        frame: its number.
    """
    count, coefficients = gaussians.sh.shape[:2]
    g = gaussians.detach()
    for first in range(0, count, rows):
        part = g[first : first + rows]
        flags = REPLACES_EVERYTHING if first == 0 else 0
        yield b"".join(
            [
                HEADER.pack(MAGIC, VERSION, frame, count, first, len(part), coefficients, flags),
                *(
                    tensor.float().numpy().astype("<f4", copy=False).tobytes()
                    for tensor in (part.means, part.log_scales, part.quaternions, part.opacity_logits)
                ),
                # Clamped, because a coefficient beyond half precision would arrive as infinity.
                part.sh.clamp(-_LARGEST_HALF, _LARGEST_HALF)
                .to(torch.float16)
                .numpy()
                .astype("<f2", copy=False)
                .tobytes(),
            ]
        )
