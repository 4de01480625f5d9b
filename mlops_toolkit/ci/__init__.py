"""Where we are: which CI, which commit, which pull request. One pure function a provider; nothing here reads the world."""

from mlops_toolkit.ci.context import Context, Source, detect

__all__ = ["Context", "Source", "detect"]
