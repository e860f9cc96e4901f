"""The header that every benchmark prints: date, version, command, machine."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timezone

from recon.evaluation.hardware import describe_machine, machine_sentence


def header(command: list[str] | None = None) -> str:
    """Return the lines that make a benchmark's numbers traceable, as a Markdown list.

    Args:
        command: the command line; this process's own by default.
    """
    words = ["python", *sys.argv] if command is None else command
    return "\n".join(
        [
            f"* date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
            f"* command: `{shlex.join(words)}`",
            f"* machine: {machine_sentence(describe_machine())}",
        ]
    )


if __name__ == "__main__":
    print(header())
