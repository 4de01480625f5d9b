"""Files of a rollout on its target: each written whole or not at all, also when the power goes."""

from __future__ import annotations

import os
from pathlib import Path


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """The new content is on disk when this returns; whoever reads meanwhile finds the old or the new one."""
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), mode)
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """What was just made in it is there also after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def get(path: Path) -> str:
    """Its text, "" where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
