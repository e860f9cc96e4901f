"""Submissions to benchmarks whose test pictures are hidden: making them, and checking any."""
