"""Evaluation: metrics, LPIPS from local weights, tables over runs, and the report of one run.

Names load their module when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recon.evaluation.evaluate import Rendered, ViewMetrics, evaluate_views, load_metric_networks
    from recon.evaluation.hardware import describe_machine
    from recon.evaluation.report import write_report

__all__ = [
    "Rendered",
    "ViewMetrics",
    "describe_machine",
    "evaluate_views",
    "load_metric_networks",
    "write_report",
]

_MODULES = {
    "Rendered": "evaluate",
    "ViewMetrics": "evaluate",
    "describe_machine": "hardware",
    "evaluate_views": "evaluate",
    "load_metric_networks": "evaluate",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
