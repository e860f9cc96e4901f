"""Readable torch twins of the native ops: the oracle of the tests, and a fallback for experiments."""
