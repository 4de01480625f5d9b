"""Where the package raises which error, read from its source: the catalogue that docs/reference/errors.md shows."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit import errors

CLASSES = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.MlopsError)}
# callable -> positions of name, message and hint among its arguments
CALLS: Mapping[str, tuple[int, int, int]] = {**dict.fromkeys(CLASSES, (0, 1, 9)), "Problem": (0, 1, 3), "refuse": (2, 3, 4)}
Texts = Mapping[str, list[tuple[int, ast.expr]]]  # variable -> (line, expression) of every assignment


@dataclass(frozen=True)
class Raised:
    """An error as one place makes it: its name, exit code, message and hint with `…` where values stand."""

    name: str
    code: int
    message: str
    hint: str
    module: str


@functools.cache
def raised(package: Path) -> tuple[Raised, ...]:
    """Every call in the package that makes an error, or a Problem of the configuration, with a name written there."""
    return tuple(_walk(package))


def _walk(package: Path) -> Iterator[Raised]:
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = _assigned(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (found := _read(node, texts, path.relative_to(package).as_posix())):
                yield found


def _read(call: ast.Call, texts: Texts, module: str) -> Raised | None:
    called = call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if called not in CALLS:
        return None
    given = {word.arg: word.value for word in call.keywords}

    def argument(position: int, keyword: str) -> str:
        node = given.get(keyword) or (call.args[position] if position < len(call.args) else None)
        return _template(node, texts, call.lineno)

    name, message, hint = (argument(at, word) for at, word in zip(CALLS[called], ("name", "message", "hint"), strict=True))
    if not re.fullmatch(r"[a-z0-9]+(-([a-z0-9]+|…))*", name):
        return None
    return Raised(name, CLASSES[called].code if called in CLASSES else errors.USAGE, message, hint, module)


def _assigned(tree: ast.AST) -> Texts:
    found: dict[str, list[tuple[int, ast.expr]]] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple) and len(target.elts) == len(node.value.elts):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for one, value in pairs:
                if isinstance(one, ast.Name):
                    found.setdefault(one.id, []).append((node.lineno, value))
    return found


def _template(node: ast.expr | None, texts: Texts, line: int) -> str:
    """A text as written, `…` for each value put into it; a variable is what was assigned to it last above."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.IfExp):
        return " / ".join(dict.fromkeys(text for part in (node.body, node.orelse) if (text := _template(part, texts, line))))
    if isinstance(node, ast.Name):
        above = [(at, value) for at, value in texts.get(node.id, []) if at < line]
        if above:
            at, value = max(above, key=lambda pair: pair[0])
            return _template(value, texts, at)
    return "…"
