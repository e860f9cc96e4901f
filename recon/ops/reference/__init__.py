"""Readable plain-torch twins of the native ops: the oracle of their tests, and their exact semantics."""
