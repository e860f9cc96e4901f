"""`recon doctor`: what this installation can do."""

from __future__ import annotations


def doctor() -> None:
    """Say what recon runs on here, what is optional and missing, and how to get it."""
    from recon.doctor import checkup

    for line in checkup():
        print(line)
