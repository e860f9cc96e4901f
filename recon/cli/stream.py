"""`recon stream`: streams of moving Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Union

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, subcommand


def info(stream: Positional[Path], /) -> None:
    """Decode a whole stream, compare every checksum, and tell its frames, its bytes by kind of section, and its rate.

    Args:
        stream: a folder with a `manifest.json`.
    """
    from recon.streaming import stream_info

    print("\n".join(stream_info(stream).lines()))


def push(
    stream: Positional[Path],
    url: Positional[str],
    /,
    token: str | None = None,
    follow: bool = False,
) -> None:
    """Send a stream's frames to `recon serve --ingest`, from the first that it does not have.

    Lost connections are taken up again.

    Args:
        stream: a folder with a `manifest.json`.
        url: the server's address, without any token.
        token: what the server asks of producers; better in the environment as RECON_TOKEN.
        follow: go on while the stream grows, and wait for one that has not begun.
    """
    import os
    import sys

    from recon.streaming.push import TOKEN_VARIABLE, push_stream

    def tell(line: str) -> None:
        print(f"recon: {line}", file=sys.stderr, flush=True)

    pushed = push_stream(
        stream, url, token or os.environ.get(TOKEN_VARIABLE, ""), follow=follow, progress=tell
    )
    print(f"{pushed.records} records, {pushed.bytes} bytes sent; the server has {pushed.frames} frames")


_Commands = OmitArgPrefixes[
    OmitSubcommandPrefixes[
        Union[  # noqa: UP007  an annotated None cannot stand beside |
            Annotated[None, subcommand("info", constructor=info)],
            Annotated[None, subcommand("push", constructor=push)],
        ]
    ]
]


def stream(command: _Commands) -> None:
    """Look into a stream of moving Gaussians, or send it."""
