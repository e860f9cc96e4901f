"""Methods: a config dataclass each, and the composition of parts that makes it that system."""
