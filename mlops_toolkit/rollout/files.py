"""Files of a rollout on its target: each written whole or not at all, also when the power goes; on a disk that is full, over what stands there."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure, of_system

FULL = (errno.ENOSPC, errno.EDQUOT)


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """The new content is on disk when this returns; whoever reads meanwhile finds the old or the new one.

    EnvironmentFailure `disk-full` where there is no room for it, not even in place of the old content; `system-refused`.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), mode)
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
        settle(path.parent)
    except OSError as error:
        if error.errno in FULL:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            if over(path, text):
                return
            raise EnvironmentFailure("disk-full", f"{path.name} cannot be written: {error.strerror}", where=str(path.parent), hint="make room on that disk") from error  # fmt: skip
        refused = of_system(error)
        if refused is None:
            raise
        raise refused from error


def over(path: Path, text: str) -> bool:
    """Write into the blocks that a file has, where the disk gives no new ones; whether it fits. What it is shorter by is filled with blank lines.

    A power cut in just this moment may leave half of it: so this is for a disk that is full, where traffic waits to be saved.
    """
    data = text.encode()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        about = os.fstat(handle)
        if len(data) > max(about.st_size, 512 * about.st_blocks):
            return False
        data = data.ljust(about.st_size, b"\n")
        if os.pwrite(handle, data, 0) != len(data):
            return False
        os.fsync(handle)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


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
