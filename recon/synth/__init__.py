"""Scenes with known truth: a fast ray caster for tests and a photographic generator."""
