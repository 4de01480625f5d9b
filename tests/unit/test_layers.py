"""The shape of the code: imports point down, files and functions stay short, tables and links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlops_toolkit
from tests.check import ROOT, check

PACKAGE = Path(mlops_toolkit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

MOST_LINES_A_FILE = 400
MOST_LINES_A_FUNCTION = 60
# file or file:function -> why it may be longer
LONGER: dict[str, str] = {}
ROW = re.compile(r"mlops_toolkit(\.\w+)+:\w+")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_point_down() -> None:
    """import-linter keeps every contract of pyproject.toml."""
    passed, output = check("layers")
    assert passed, output


def test_the_page_about_layers_shows_them_all() -> None:
    """docs/decisions/0001-layers.md draws what the linter holds, line by line in the same order."""
    layers = re.search(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert layers
    held = [re.findall(r"\w+", line) for line in layers[1].splitlines() if "__main__" not in line]
    page = (ROOT / "docs/decisions/0001-layers.md").read_text(encoding="utf-8")
    drawing = re.search(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert drawing
    drawn = [re.findall(r"\w+", re.split(r"  +", line)[0]) for line in drawing[1].splitlines()]
    assert drawn == held


def test_a_planted_upward_import_is_found(tmp_path: Path) -> None:
    """The contracts see what they are there for: a record that imports a verb breaks them."""
    shutil.copytree(PACKAGE, tmp_path / "mlops_toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "mlops_toolkit/records/run.py").open("a") as file:
        file.write("\nimport mlops_toolkit.compare\n")
    from tests.check import CHECKS

    done = subprocess.run(CHECKS["layers"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "mlops_toolkit.records is not allowed to import mlops_toolkit.compare" in " ".join(done.stdout.split())


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: explaining is not what makes it long."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_are_short(path: Path) -> None:
    """A file fits in one reading (400 lines), a function on one screen (60)."""
    text = path.read_text(encoding="utf-8")
    too_long = {}
    if len(text.splitlines()) > MOST_LINES_A_FILE:
        too_long[relative(path)] = len(text.splitlines())
    for node in functions(ast.parse(text)):
        if code_lines(node) > MOST_LINES_A_FUNCTION:
            too_long[f"{relative(path)}:{node.name}"] = code_lines(node)
    assert not {name: lines for name, lines in too_long.items() if name not in LONGER}


def test_the_list_of_exceptions_is_current() -> None:
    """An exception that is no longer needed is taken off the list."""
    for name in LONGER:
        path, _, function = name.partition(":")
        text = (ROOT / path).read_text(encoding="utf-8")
        if function:
            assert any(node.name == function and code_lines(node) > MOST_LINES_A_FUNCTION for node in functions(ast.parse(text))), name
        else:
            assert len(text.splitlines()) > MOST_LINES_A_FILE, name


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "__main__.py"], ids=relative)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    """Its docstring begins with a sentence."""
    assert (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages([str(PACKAGE)], "mlops_toolkit.") if not m.name.endswith("__main__")]


def tables() -> list[tuple[str, ...]]:
    """Every row of every plug table: any text of the code that reads `module:attribute`."""
    return [
        (relative(path), *node.value.split(":"))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ROW.fullmatch(node.value)
    ]


def test_every_row_of_a_table_leads_somewhere() -> None:
    """A row that names a module or attribute that is not there is found here, not by the first user who needs it."""
    for where, module, attribute in tables():
        assert hasattr(importlib.import_module(module), attribute), f"{where}: {module}:{attribute}"


def test_links_lead_somewhere() -> None:
    """A dangling link, or one whose target ends in a newline, breaks every workflow that uses the actions at `Set up job`."""
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    links = [line.split("\t", 1)[1] for line in listed.splitlines() if line.startswith("120000")]
    for link in links:
        target = (ROOT / link).readlink()
        assert not str(target).endswith("\n"), link
        assert not target.is_absolute(), link
        assert (ROOT / link).exists(), link
