"""`recon stream`: streams of moving Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Union

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, Suppress, subcommand


def info(stream: Positional[Path], /) -> None:
    """Decode a whole stream, compare every checksum, and tell its frames, its bytes by kind of section, and its rate.

    Args:
        stream: a folder with a `manifest.json`.
    """
    from recon.streaming import stream_info

    print("\n".join(stream_info(stream).lines()))


_Commands = OmitArgPrefixes[
    OmitSubcommandPrefixes[
        Union[  # noqa: UP007  an annotated None cannot stand beside |
            Annotated[None, subcommand("info", constructor=info)],
            Annotated[None, Suppress],  # a union needs two
        ]
    ]
]


def stream(command: _Commands) -> None:
    """Look into a stream of moving Gaussians."""
