"""What many tests need and is made once a test run, by whichever of its processes asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` filled; the others wait for it. It is for reading alone: all tests of the run share it.

    A `make` that failed is tried again by the next that asks.
    """
    base = factory.getbasetemp()  # of this process, which shares the folder above it with the others of this run
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, complete = root / f"once-{name}", root / f"once-{name}.complete"
    with (root / f"once-{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder
