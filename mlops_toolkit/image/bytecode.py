"""Python's files compiled once, so that a container whose files cannot be written to does not compile them at every start.

The compiled files say "do not look at the source" (PEP 552, unchecked hash): they hold no times, and are the same wherever they are made.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc

# Runs in an interpreter of the image's version. Each file alone: what is marshalled depends on what else is alive in the process.
_COMPILE = """
import importlib.util, multiprocessing, os, sys, warnings
root, prefix, tag = sys.argv[1], sys.argv[2], sys.implementation.cache_tag
def one(path):
    name = os.path.relpath(path, root)
    with open(path, "rb") as source:
        raw = source.read()
    try:
        code = compile(raw, prefix + "/" + name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError):
        return
    from importlib._bootstrap_external import _code_to_hash_pyc
    made = _code_to_hash_pyc(code, importlib.util.source_hash(raw), False)
    folder, last = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, last[:-3] + "." + tag + ".pyc"), "wb") as out:
        out.write(made)
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names if name.endswith(".py"))
    with multiprocessing.get_context("fork").Pool() as pool:
        pool.map(one, files, chunksize=16)
"""


def interpreter(version: tuple[int, int]) -> str | None:
    """An interpreter of that version on this machine; None where there is none."""
    if sys.version_info[:2] == version:
        return sys.executable
    found = shutil.which(f"python{version[0]}.{version[1]}")
    if found is None:
        return None
    try:  # a name on PATH may be a shim of a version manager that has no such version
        done = proc.run([found, "-I", "-c", "import sys; print(*sys.version_info[:2])"], timeout_seconds=30)
    except EnvironmentFailure:
        return None
    return found if done.status == 0 and done.text == f"{version[0]} {version[1]}" else None


def compiled(folder: Path, at: str, python: str) -> None:
    """Compile every file below the folder, as lying in `at` (absolute, in the image). EnvironmentFailure `compile-failed`."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONHASHSEED": "0"}
    done = proc.run([python, "-I", "-c", _COMPILE, str(folder), at], env=env, timeout_seconds=1800, whole=True)
    if done.status != 0:
        raise EnvironmentFailure("compile-failed", f"{python} could not compile the packages: {done.trouble}", hint="is that Python whole?")
