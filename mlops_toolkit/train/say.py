"""What `mlops train` tells people: a line for what it decided, one for what it took, one for what it left."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_toolkit.models.base import short
from mlops_toolkit.records.run import Model, Resources, Run
from mlops_toolkit.report import words


def because(reason: str, changed: Sequence[str], since: str | None) -> str:
    """`training, because src/net.py changed and 2 more since run 20261124-092057-3f9a1c`."""
    if not changed:
        return f"training, because {reason}"
    more = f" and {len(changed) - 2} more" if len(changed) > 3 else ""
    shown = ", ".join(changed[: 2 if more else 3])
    return f"training, because {shown}{more}" + (f" since run {since}" if since else "")


def reused(source: Run) -> str:
    """`nothing to train: run … (main, a1b2c3d) trained the same`."""
    place = ", ".join(word for word in (source.branch, (source.commit or "")[:7]) if word)
    return f"nothing to train: run {source.id}{f' ({place})' if place else ''} trained the same"


def took(resources: Resources) -> str:
    """`trained in 3 min 12 s, at most 1.2 GB of memory`."""
    memory = f", at most {words.size(resources.peak_memory)} of memory" if resources.peak_memory else ""
    return f"trained in {words.seconds(resources.wall_seconds or 0.0)}{memory}"


def left(model: Model) -> str:
    """`model/ is sha256:1a2b3c4d5e6f (14.2 MB), kept on this machine`, or why it is kept nowhere."""
    store = model.stores[0].partition("sha256")[0].rstrip("/:") if model.stores else ""
    where = f"kept in {store}" if "://" in store else "kept on this machine" if store else f"kept nowhere: {model.reason}"
    return f"{model.path} is {short(model.digest)} ({words.size(model.size)}), {where}"
