"""The version of the tool; every artifact carries it."""

__version__ = "0.1.0"
