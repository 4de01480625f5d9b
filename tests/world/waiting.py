"""Waiting for something to happen in another process: as long as it takes, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What the condition is once it holds; an AssertionError where it never does."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found


def running(text: str) -> list[int]:
    """The processes of this machine in whose command line the text stands."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if text.encode() in words:
            found.append(int(place.parent.name))
    return found
