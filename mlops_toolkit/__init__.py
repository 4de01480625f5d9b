"""Pull requests for models: train, evaluate, compare with main, and say what changed."""

from mlops_toolkit._version import __version__

__all__ = ["__version__"]
