"""`recon models`: which learned models are installed."""

from __future__ import annotations


def models() -> None:
    """List the learned models that recon can use, their licences, and how to install those that are missing.

    None is needed, and none is ever downloaded by recon itself.
    """
    from recon.evaluation.models import describe_models

    for line in describe_models():
        print(line)
