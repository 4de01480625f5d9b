"""Where we are: which CI, which commit, which pull request. One pure function a provider; nothing here reads the world."""

from mlops_toolkit.ci.context import Context, detect

__all__ = ["Context", "detect"]
