"""The workflow files of a work tree, read."""

from __future__ import annotations

import re
from pathlib import Path

from mlops_toolkit.config.yaml_text import MOST_BYTES
from mlops_toolkit.doctor.workflow.flow import Flow, parse, resolved
from mlops_toolkit.errors import MlopsError

FOLDER = ".github/workflows"
MOST_FILES = 300
# Others need not be read at all: a repository may have a hundred of them.
CONCERNS = re.compile(rb"mlops-actions|uses['\"]?\s*:\s*['\"]?[.$]/|<<|[*&]\w")
NAMED = re.compile(rb"^name:[ \t]*([^#\r\n]*[^#\s])", re.MULTILINE)


def read(root: Path) -> tuple[tuple[Flow, ...], dict[str, MlopsError]]:
    """The workflows of a work tree (of those that can have nothing to do with us the name alone), and by its path why one cannot be read."""
    flows, unread = list[Flow](), dict[str, MlopsError]()
    for path in sorted([*(root / FOLDER).glob("*.yml"), *(root / FOLDER).glob("*.yaml")])[:MOST_FILES]:
        where = f"{FOLDER}/{path.name}"
        raw = bytes_of(root, where)
        if raw is None:
            continue
        if not CONCERNS.search(raw):
            named = NAMED.search(raw)
            flows.append(Flow(where, named[1].decode("utf-8", "replace").strip("'\"") if named else where))
            continue
        try:
            flows.append(parse(raw, where, lambda name: bytes_of(root, name)))
        except MlopsError as error:
            unread[where] = error
    return resolved(flows), unread


def bytes_of(root: Path, name: str) -> bytes | None:
    """A file of the work tree as far as a workflow may go; None where there is none, or it lies outside."""
    path = root / name
    try:
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            return None
        with path.open("rb") as source:
            return source.read(MOST_BYTES + 1)
    except (OSError, ValueError):
        return None
