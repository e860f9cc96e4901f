"""Evaluation: metrics, LPIPS from local weights, tables over runs, and the report of one run."""
