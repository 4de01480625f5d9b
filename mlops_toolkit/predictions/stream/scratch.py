"""The temporary folder that data too large for memory passes through: made at the first use, gone at the end however that comes.

It lies under $TMPDIR. Whoever made it holds a lock on it for as long as it lives, so that what a killed process left behind is seen to
be nobody's and removed by the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from mlops_toolkit.errors import EnvironmentFailure

PREFIX, LOCK = "mlops-blocks-", "lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_mine: dict[int, tuple[Path, int]] = {}  # process -> its folder and the descriptor of its lock: a child has none of its parent's


def folder() -> Path:
    """This process's folder."""
    held = _mine.get(os.getpid())
    if held is None:
        with writing():
            _sweep(Path(tempfile.gettempdir()))
            while (made := _made()) is None:
                pass
        held = _mine[os.getpid()] = made
        atexit.register(clear)
    return held[0]


def _made() -> tuple[Path, int] | None:
    """A new folder and its lock; None where another process swept it before the lock was ours, taking it for one that was left behind."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    descriptor = -1
    try:
        descriptor = os.open(made / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (made / LOCK).stat().st_ino == os.fstat(descriptor).st_ino:
            return made, descriptor
    except (FileNotFoundError, BlockingIOError):
        pass
    if descriptor >= 0:
        os.close(descriptor)
    return None


def place(name: str) -> Path:
    """A new folder of this name within this process's."""
    with writing():
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder()))


def clear() -> None:
    """Remove all of it."""
    held = _mine.pop(os.getpid(), None)
    if held is not None:
        shutil.rmtree(held[0], ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(held[1])


def _sweep(parent: Path) -> None:
    """Remove the folders whose makers are gone: nobody holds their locks any more."""
    for left in parent.glob(f"{PREFIX}*"):
        try:
            descriptor = os.open(left / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or one that is being made just now
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """What goes wrong with the folder, a full disk before all, as one clear error."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        full = isinstance(error, OSError) and error.errno in _FULL
        if not full and not isinstance(error, OSError) and os.strerror(errno.ENOSPC) not in str(error):
            raise
        where = str(_mine[os.getpid()][0]) if os.getpid() in _mine else tempfile.gettempdir()
        hint = "files too large for memory are compared through a temporary folder: name one with room for both of them by TMPDIR"
        if full or not isinstance(error, OSError):
            raise EnvironmentFailure("no-room", "the disk is full", where=where, hint=hint) from error
        why = error.strerror or str(error)
        raise EnvironmentFailure("no-room", f"the temporary folder cannot be written: {why}", where=where, hint=hint) from error
