"""The agent in one file that any Python ≥ 3.10 runs: this package and what it imports of ours, in an archive that is the same for the same source."""

from __future__ import annotations

import ast
import hashlib
import io
import zipfile
from pathlib import Path

PACKAGE = "mlops_toolkit"
ENTRY = f"{PACKAGE}.rollout"
START = """import sys

if sys.version_info < (3, 10):
    sys.exit("the agent needs Python 3.10 or newer, and this is %d.%d" % sys.version_info[:2])
from mlops_toolkit.rollout.__main__ import main

sys.exit(main())
"""
BEFORE_ALL = (1980, 1, 1, 0, 0, 0)  # the earliest time that an archive can tell


def data() -> bytes:
    """The file's bytes: modules by name, not compressed (compressors differ between versions), without times and owners."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in sorted({"__main__.py": START.encode(), **modules()}.items()):
            info = zipfile.ZipInfo(name, BEFORE_ALL)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, text)
    return buffer.getvalue()


def digest(content: bytes) -> str:
    """Its name's part, and what whoever copies it compares."""
    return hashlib.sha256(content).hexdigest()


def write(folder: Path) -> Path:
    """`agent-<12 digits of its digest>.pyz` in a folder; written whole, or not at all."""
    content = data()
    path = folder / f"agent-{digest(content)[:12]}.pyz"
    if not path.exists() or path.read_bytes() != content:
        folder.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)
    return path


def modules() -> dict[str, bytes]:
    """Path in the archive -> source: the package `rollout` whole (drivers are imported by name), and what its modules import of ours."""
    root = Path(__file__).resolve().parent.parent
    waiting = [f"{ENTRY}.{path.stem}" for path in sorted((root / "rollout").glob("*.py"))] + [f"{PACKAGE}._version"]
    found: dict[str, bytes] = {}
    while waiting:
        name = waiting.pop()
        path = _file(root, name)
        if path is None or (key := f"{PACKAGE}/{path.relative_to(root).as_posix()}") in found:
            continue
        found[key] = path.read_bytes()
        parts = name.split(".")
        waiting += [".".join(parts[:at]) for at in range(1, len(parts))]  # the packages that it lies in
        waiting += _imports(ast.parse(found[key]).body)
    return found


def _file(root: Path, name: str) -> Path | None:
    """A module's source, if the name is one's."""
    parts = name.split(".")[1:]
    module, package = root.joinpath(*parts).with_suffix(".py") if parts else root / "__init__.py", root.joinpath(*parts, "__init__.py")
    return package if package.exists() else module if module.exists() else None


def _imports(body: list[ast.stmt]) -> list[str]:
    """Ours that are imported when the module is: not for the type checker alone, and not inside functions, which the agent does not call."""
    names = []
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            names += _imports([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            names += _imports(node.body)
    return names
