"""Other people's programs to be timed against: pinned, in environments of their own under .cache/, asked through a file of arrays.

A rival that cannot be installed or does not answer is an error: nothing was shown then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CACHE = Path(__file__).resolve().parent.parent / ".cache"


def python(name: str, *packages: str) -> str:
    """The Python of an environment with these packages, made at the first call."""
    folder = CACHE / name
    stamp, wanted = folder / ".complete", "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
        stamp.write_text(wanted)
    return str(folder / "bin" / "python")


def ask(python: str, program: str, **arrays: Any) -> Any:
    """What a program prints as JSON; it finds the arrays in a mapping `given`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.npz"
        np.savez(path, **arrays)
        begin = f"import json, time, warnings; import numpy as np; warnings.simplefilter('ignore'); given = np.load({str(path)!r})\n"
        done = subprocess.run([python, "-c", begin + program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the rival failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def bars(broken: dict[str, bool]) -> None:
    """End with exit status 1 and the names of the bars that are broken."""
    names = [name for name, is_broken in broken.items() if is_broken]
    if names:
        raise SystemExit("over the bar: " + "; ".join(names))
