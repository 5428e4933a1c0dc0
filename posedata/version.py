"""The version of the distribution, written into every store and checkpoint."""

__version__ = "0.1.0"
