"""The report of one run: a single HTML file that opens without a server."""

from recon.evaluation.report.page import write_report

__all__ = ["write_report"]
