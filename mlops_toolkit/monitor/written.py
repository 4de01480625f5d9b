"""Writing a set of files so that it is whole or untouched, and nobody's own change is lost.

Beside the files lies `.mlops-monitor.json` with the digest of each as it was written. What differs from it was changed by a person, and is
never written over unasked. Before anything is put in place the digests of the old and of the new set stand there together: whoever was
killed in between finds only files of ours, and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.system.files import sha256, staged, sweep, write_atomic

KNOWN = ".mlops-monitor.json"
Digests = Mapping[str, Sequence[str]]  # path -> digests that are ours


@dataclass(frozen=True)
class Plan:
    """What is to be done. changed: paths that a person changed; removed: ours of an earlier set, unchanged; left: those that were changed."""

    write: tuple[str, ...]
    same: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]


def plan(wanted: Mapping[str, str], there: Mapping[str, str], known: Digests) -> Plan:
    """wanted: path -> text; there: path -> digest of what lies there; known: what was written before. Pure."""
    write, same, changed = [], [], []
    for path, text in wanted.items():
        found = there.get(path)
        if found == digest(text):
            same.append(path)
        elif found is None or found in known.get(path, ()):
            write.append(path)
        else:
            changed.append(path)
    gone = [path for path in known if path not in wanted and path in there]
    removed = [path for path in gone if there[path] in known[path]]
    return Plan(tuple(write), tuple(same), tuple(changed), tuple(removed), tuple(path for path in gone if path not in removed))


def digest(text: str) -> str:
    """Of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def put(folder: Path, wanted: Mapping[str, str], *, force: bool = False) -> Plan:
    """Make `folder` hold these files. UsageError `changed-by-hand` with all that a person changed, unless `force`; nothing is written then.

    EnvironmentFailure `not-written` where there is no room or no leave, with all as it was.
    """
    known = _known(folder)
    paths = {*wanted, *known}
    there = {path: found for path in sorted(paths) if (found := _digest(folder / path)) is not None}
    made = plan(wanted, there, known)
    if made.changed and not force:
        message = f"changed by hand, or not written by mlops: {', '.join(made.changed)}"
        hint = "take your change into mlops.yaml, move the file away, or write over it with --force; nothing was written"
        raise UsageError("changed-by-hand", message, where=str(folder), hint=hint)
    digests = {path: (digest(text),) for path, text in wanted.items()}
    writing = (*made.write, *made.changed)
    new: dict[str, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in writing:
            sweep((folder / path).parent)
            new[path] = staged(folder / path, wanted[path])
        if writing or made.removed:
            both = {path: (*digests.get(path, ()), *known.get(path, ())) for path in sorted(paths)}
            write_atomic(folder / KNOWN, _text(both))
            for path, temporary in new.items():
                temporary.replace(folder / path)
            for path in made.removed:
                (folder / path).unlink()
        write_atomic(folder / KNOWN, _text(digests))
    except OSError as error:
        for temporary in new.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        message = f"the files cannot be written: {error.strerror}"
        raise EnvironmentFailure(
            "not-written", message, where=str(folder), hint="make room, or give this user leave to write there"
        ) from error
    return made


def _digest(path: Path) -> str | None:
    """Of what lies there; of what is no file one that is nobody's."""
    if path.is_file() and not path.is_symlink():
        return sha256(path)
    return "no file" if path.is_symlink() or path.exists() else None


def _known(folder: Path) -> Digests:
    """What was written before. Paths that lead out of the folder, or are none, are nobody's."""
    try:
        said = json.loads((folder / KNOWN).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {path: _digests(found) for path, found in said.items() if _inside(path)}


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and path != KNOWN


def _digests(found: object) -> tuple[str, ...]:
    return tuple(one for one in found if isinstance(one, str) and re.fullmatch(r"[0-9a-f]{64}", one)) if isinstance(found, list) else ()


def _text(digests: Digests) -> str:
    return json.dumps({"by": "mlops monitor", "files": {path: list(found) for path, found in sorted(digests.items())}}, indent=2) + "\n"
