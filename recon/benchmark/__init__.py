"""Benchmarks: many reconstructions by the rules of a protocol, and the tables of their results."""
