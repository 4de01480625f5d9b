"""Which Python the user's commands run in: the one that a command names, else the first on its PATH."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path


def candidates(command: str, env: Mapping[str, str], cwd: Path) -> list[str]:
    """The programs to try, the likeliest first. command: a shell command that may name one; cwd: where it is run."""
    named = re.search(r"(?:^|[\s;&|(])([\w./~-]*python[0-9.]*)(?=\s)", command)
    names = ([named[1]] if named else []) + ["python3", "python"]
    found = (shutil.which(name if "/" not in name else str(cwd / name), path=env.get("PATH")) for name in names)
    return [program for program in found if program is not None]
