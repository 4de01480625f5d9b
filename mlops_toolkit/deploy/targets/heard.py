"""What the agent says, read as the events that it is. Pure."""

from __future__ import annotations

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.rollout.codec import loads, read
from mlops_toolkit.rollout.tell import Event


def heard(line: str) -> Event | None:
    """The event of a line; None of what is none (a warning of Python's, a blank)."""
    if not line.startswith("{"):
        return None
    try:
        return read(Event, loads(line, where="the agent's output"), where="the agent's output")
    except MlopsError:
        return None
