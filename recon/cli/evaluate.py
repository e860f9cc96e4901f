"""`recon evaluate`: measure a finished run again."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional


def evaluate(run: Positional[Path], /) -> None:
    """Render a run's views, compare them with the photos, and rewrite the measurements in metrics.json and report.html.

    Args:
        run: a run folder made by `recon reconstruct`.
    """
    from recon.methods.pipeline import evaluate as evaluate_run

    evaluate_run(run)
