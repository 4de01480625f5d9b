"""Computes metrics that are functions of the user's, on all examples and without each group; run by the user's own Python.

`python own_script.py PLAN OUT`, of the standard library alone (Python 3.8 and newer); nothing of ours is imported.
PLAN  {"folder", "root", "metrics": {name: {"file", "shown", "function", "groups": [group of each row], "count"}},
       "columns": {name: [values]}, "slices": {name: [row numbers]}}
OUT   {"values": {metric: {"": {"value", "left"}, slice: …}}, "files": [paths below root that were imported or read]}, or {"error": {…}}
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # our own folder: its names must not hide the user's

import contextlib
import importlib.util
import itertools
import json
import math
import os
import traceback
from pathlib import Path
from typing import Any


class Wrong(Exception):
    """What is wrong with a metric, in words; and where in the user's program it came from."""


def main(plan_path: str, out_path: str) -> None:
    plan = json.loads(Path(plan_path).read_text(encoding="utf-8"))
    sys.path.insert(0, plan["folder"])
    sys.dont_write_bytecode = True  # nothing is left behind in the user's work tree
    made: dict[str, Any]
    read = Read(plan["root"])
    sys.addaudithook(read.heard)
    try:
        values = {name: compute(one, plan) for name, one in plan["metrics"].items()}
        made = {"values": values, "files": sorted({*imported(plan["root"]), *read.files()})}
    except Wrong as error:
        made = {"error": {"message": error.args[0], "trace": "".join(error.args[1:])}}
    part = Path(out_path + ".part")
    part.write_text(json.dumps(made), encoding="utf-8")
    part.replace(out_path)


def compute(one: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """A metric's value on all rows and on each slice, and those values without each group."""
    function, columns, groups = load(one), plan["columns"], one["groups"]
    found = {}
    for slice_name, rows in [("", None), *plan["slices"].items()]:
        part = columns if rows is None else {key: [values[i] for i in rows] for key, values in columns.items()}
        inside = groups if rows is None else [groups[i] for i in rows]
        value = ask(function, one, part, None, slice_name)
        left: list[float | None] = []
        for group in range(one["count"]):
            mask = [other != group for other in inside]
            less = {key: list(itertools.compress(values, mask)) for key, values in part.items()}
            left.append(value if all(mask) else ask(function, one, less, group, slice_name) if any(mask) else None)
        found[slice_name] = {"value": value, "left": left}
    return found


def load(one: dict[str, Any]) -> Any:
    """The user's function."""
    path = Path(one["file"])
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018  # it ends in .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except BaseException as error:
        raise Wrong(f"{one['shown']} cannot be imported: {said(error)}", places(error)) from error
    function = getattr(module, one["function"], None)
    if not callable(function):
        raise Wrong(f"{one['shown']} has no function {one['function']}")
    return function


def ask(function: Any, one: dict[str, Any], columns: dict[str, list[Any]], group: int | None, slice_name: str) -> float | None:
    """The function's value on these rows, which it gets as lists of its own. On all rows it is asked twice."""
    where = f"{one['shown']}:{one['function']}"
    where += "" if group is None else f", without group {group + 1} of {one['count']}"
    where += f" on slice {slice_name}" if slice_name else ""
    values = []
    for _ in range(1 if group is not None else 2):
        rows = {key: list(column) for key, column in columns.items()}
        try:
            given = function(rows)
        except BaseException as error:
            raise Wrong(f"{where}: {said(error)}{lists(error)}", places(error)) from error
        if group is None and (list(rows) != list(columns) or any(rows[key] != column for key, column in columns.items())):
            raise Wrong(f"{where} changes the rows that it is given: let it take copies")
        values.append(number(given, where))
    if values[-1] != values[0]:
        raise Wrong(f"{where} gives {values[0]} once and {values[-1]} the next time, for the same rows")
    return values[0]


def number(value: Any, where: str) -> float | None:
    """What it gave, as a number; NumPy's and PyTorch's numbers are numbers too."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) and callable(getattr(value, "item", None)):
        try:
            value = value.item()
        except Exception as error:
            raise Wrong(f"{where} gives {type(value).__name__}, not a number") from error
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong(f"{where} gives {type(value).__name__}, not a number")
    try:
        made = float(value)
    except OverflowError:
        made = math.inf
    if not math.isfinite(made):
        raise Wrong(f"{where} gives {made}, which compares with nothing: give a number, or None where it is undefined")
    return made


def said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def lists(error: BaseException) -> str:
    """What is likely meant where a list is used as an array or a data frame."""
    if not isinstance(error, (AttributeError, TypeError)):
        return ""
    return " (`rows` is a dict of lists, one for each column, no data frame: pandas.DataFrame(rows) makes one)"


def places(error: BaseException) -> str:
    """Where in the user's own files it came from, the innermost last."""
    ours = os.path.realpath(__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.realpath(frame.filename) != ours and frame.filename[:1] != "<"
    ]
    return "\n".join(f"{frame.filename}:{frame.lineno}: {(frame.line or '')[:200]}" for frame in frames[-5:])


class Read:
    """The repository's own files that this process opens to read, as the interpreter itself tells: costs in a JSON file are part of a metric.

    What it wrote first is its own; a module's compiled form stands for the module. What is read without the interpreter's knowledge (by a
    library in another language, by another program) is not heard here.
    """

    def __init__(self, root: str) -> None:
        self.top = os.path.realpath(root) + os.sep
        self.read: set[str] = set()
        self.written: set[str] = set()

    def heard(self, event: str, args: tuple[Any, ...]) -> None:
        """An audit hook: it must be quick, and may never fail."""
        if event not in ("open", "sqlite3.connect"):
            return
        with contextlib.suppress(Exception):
            if not isinstance(args[0], (str, bytes, os.PathLike)):
                return
            path = str(Path.cwd() / os.fsdecode(args[0]))
            if event == "open" and writes(args[1], args[2]):
                self.written.add(path)
            elif path not in self.written:
                self.read.add(path)

    def files(self) -> list[str]:
        found = {source(os.path.realpath(path)) for path in list(self.read)}
        ours = os.path.realpath(__file__)
        return [
            f for f in found if f.startswith(self.top) and f != ours and Path(f).is_file() and not installed(f[len(self.top) :], self.top)
        ]


def writes(mode: Any, flags: Any) -> bool:
    """Whether a file is opened to be written alone: nothing of what was in it counts."""
    if isinstance(mode, str):
        return not ("r" in mode or "+" in mode)
    return isinstance(flags, int) and flags & os.O_ACCMODE == os.O_WRONLY


def source(path: str) -> str:
    """The module that a compiled file is made from, where it is there; else the file."""
    if path.endswith(".pyc") and Path(path).parent.name == "__pycache__":
        with contextlib.suppress(ValueError, NotImplementedError):
            made = importlib.util.source_from_cache(path)
            return made if Path(made).is_file() else path
    return path


def imported(root: str) -> list[str]:
    """The repository's own files that were imported: they are part of what the metric is."""
    top = os.path.realpath(root) + os.sep
    files = {os.path.realpath(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    ours = os.path.realpath(__file__)
    code = (".py", ".pyc", ".so", ".pyd")  # a module without its source is one all the same
    return sorted(f for f in files if f.startswith(top) and f.endswith(code) and f != ours and not installed(f[len(top) :], top))


def installed(path: str, top: str) -> bool:
    """Whether a file lies in an environment that was made inside the repository, or is ours; a folder's name alone says nothing."""
    inside = Path(path).parent
    folders = [Path(top, folder) for folder in (inside, *inside.parents) if folder != Path()]
    return ".mlops" in inside.parts or any((folder / mark).exists() for folder in folders for mark in ("pyvenv.cfg", "conda-meta"))


if __name__ == "__main__":
    main(*sys.argv[1:3])
