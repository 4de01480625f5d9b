"""Pull requests for models: train, evaluate, compare with main, and say what changed."""

from __future__ import annotations

from mlops_toolkit._version import __version__

TYPE_CHECKING = False  # as typing's, without the milliseconds of importing it
if TYPE_CHECKING:
    from mlops_toolkit.formats.load import load
    from mlops_toolkit.sdk.save import save

__all__ = ["__version__", "load", "save"]

_LAZY = {"load": "mlops_toolkit.formats.load", "save": "mlops_toolkit.sdk.save"}


def __getattr__(name: str) -> object:
    """What a training script calls, imported when it is named: `import mlops_toolkit` itself needs nothing installed."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
