"""Everything that is checked without running the product: `make check` runs this list, and so does the test suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


def beside_python(program: str) -> str:
    """A program of this environment, whatever PATH says."""
    return shutil.which(program, path=str(Path(PYTHON).parent)) or program


# name -> command, run in the repository's root. Types and workflows are checked once for all versions: numpy's types for 3.10 are
# other ones, and zizmor needs 3.11.
CHECKS: Mapping[str, tuple[str, ...]] = {
    "style": (PYTHON, "-m", "ruff", "check", "."),
    "format": (PYTHON, "-m", "ruff", "format", "--check", "."),
    "layers": (beside_python("lint-imports"),),
    "generated files": (PYTHON, "-m", "mlops_toolkit.config.emit", "--check"),
    **(
        {"types": (PYTHON, "-m", "mypy"), "workflows": (beside_python("zizmor"), "--offline", "--no-progress", "--persona=auditor", ".")}
        if sys.version_info >= (3, 11)
        else {}
    ),
}


def check(name: str) -> tuple[bool, str]:
    """Whether the check passes, and what it printed."""
    done = subprocess.run(
        CHECKS[name], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False, env={**os.environ, "NO_COLOR": "1"}
    )
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def main() -> int:
    """Run all, print the output of those that fail; 1 if any did."""
    failed = False
    for name in CHECKS:
        passed, output = check(name)
        failed |= not passed
        print(f"{'ok  ' if passed else 'FAIL'} {name}" + ("" if passed else f"\n{output}\n"), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
