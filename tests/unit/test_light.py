"""Light by construction: what a command imports is asserted by name, never by milliseconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.check import ROOT

HEAVY = {"torch", "sklearn", "scipy", "pandas", "matplotlib", "github", "requests", "tensorflow"}
ANY = HEAVY | {"numpy", "polars", "yaml", "jinja2", "rich", "fsspec", "urllib3", "ssl", "asyncio", "importlib.metadata"}

RUN = """
import json, runpy, sys
sys.argv = ["mlops", *json.loads(sys.argv[1])]
sys.path.insert(0, {root!r})
code = 0
try:
    runpy.run_module("mlops_toolkit", run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code
print("\\nMODULES " + json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def imported_by(*arguments: str, cwd: Path) -> tuple[int, set[str]]:
    """The exit code of `mlops ARGUMENTS` and every module that was imported by then."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.replace("{root!r}", repr(str(ROOT))), json.dumps(arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    code, names = json.loads(done.stderr.rpartition("\nMODULES ")[2])
    return code or 0, set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("compare", "--help")])
def test_help_and_version_import_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """`mlops --help` and `--version` start as fast as the interpreter: no numpy, polars, yaml, nor anything above them."""
    code, names = imported_by(*arguments, cwd=tmp_path)
    assert code == 0
    assert not names & ANY


def test_compare_imports_no_framework(tmp_path: Path) -> None:
    """Comparing two files on a laptop needs no torch, sklearn, scipy, pandas, nor anything that draws or talks to a network."""
    rows = [f"{i},{'a' if i % 3 else 'b'}" for i in range(60)]
    (tmp_path / "main.csv").write_text("id,target,prediction\n" + "".join(f"{r},a\n" for r in rows))
    (tmp_path / "mine.csv").write_text("id,target,prediction\n" + "".join(f"{r},{r[-1]}\n" for r in rows))
    code, names = imported_by("compare", "main.csv", "mine.csv", "--task", "classification", "--json", cwd=tmp_path)
    assert code == 0
    assert "polars" in names
    assert not names & HEAVY


IMPORT_ALL = """
import importlib, json, logging, os, socket, sys
sys.path.insert(0, sys.argv[1])
def refuse(*_, **__):
    raise AssertionError("a module opened a socket while it was imported")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
os.environ.clear()
before = (list(logging.getLogger().handlers), os.getcwd(), dict(os.environ))
for name in json.loads(sys.argv[2]):
    importlib.import_module(name)
os.environ.pop("_RJEM_MALLOC_CONF", None)  # polars tells its allocator so; nothing of ours reads it
after = (list(logging.getLogger().handlers), os.getcwd(), dict(os.environ))
assert after == before, (before, after)
"""


def test_importing_does_nothing() -> None:
    """Every module imports with an empty environment and closed sockets, and adds no logging handler: definitions only."""
    from tests.unit.test_layers import modules

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(ROOT), json.dumps(modules())], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_package_needs_nothing_installed(tmp_path: Path) -> None:
    """`import mlops_toolkit` works in a bare interpreter without any package: a training script may do so."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import mlops_toolkit; print(mlops_toolkit.__version__)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip()
