"""What a test needs beyond Python, and whether its absence is a skip or a failure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def tool(name: str) -> str | None:
    """The path of a program: MLOPS_TEST_TOOLS/bin first, then PATH."""
    folder = os.environ.get("MLOPS_TEST_TOOLS")
    if folder and (Path(folder) / "bin" / name).exists():
        return str(Path(folder) / "bin" / name)
    return shutil.which(name)


def missing(need: str, reason: str) -> None:
    """Skip with the reason, or fail where MLOPS_TEST_REQUIRE lists `need`."""
    if need in os.environ.get("MLOPS_TEST_REQUIRE", "").split(","):
        pytest.fail(f"{need} is required here: {reason}", pytrace=False)
    pytest.skip(reason)


def require(need: str, *programs: str) -> dict[str, str]:
    """The paths of the programs a test needs; skips (or fails, see `missing`) where one is absent."""
    found = {}
    for program in programs:
        path = tool(program)
        if path is None:
            missing(need, f"{program} is not installed")
        else:
            found[program] = path
    return found
