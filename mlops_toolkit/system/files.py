"""Files that are whole or absent: atomic writes, locks that die with their holder, digests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

CHUNK = 1 << 20


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Write `path` so that a reader, or a crash at any instant, finds the old content or the new, never a part."""
    new = staged(path, data, mode=mode)
    try:
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def staged(path: Path, data: bytes | str, *, mode: int = 0o644) -> Path:
    """What is to take the place of `path`, whole and on disk, `beside` it."""
    raw = data.encode() if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    new = beside(path)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    return new


def beside(path: Path) -> Path:
    """Where what is to take the place of `path` is written first: a name of its own, which says whose it is."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def sweep(folder: Path, *, older: float = 60.0) -> None:
    """Remove what was left `beside` files of `folder` where its process was killed: of no process of this machine, and `older` seconds old."""
    for path in folder.glob(".*.tmp"):
        owner = path.name.split(".")[-3:-2]
        with contextlib.suppress(OSError, ValueError):
            if time.time() - path.stat().st_mtime > older and not _alive(int(owner[0]) if owner else 0):
                path.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def cache(env: Mapping[str, str]) -> Path:
    """What is kept for this user between runs, and can be made again: $XDG_CACHE_HOME/mlops."""
    home = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")
    return Path(home) / "mlops"


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path` (created); the kernel frees it when the holder ends, however it ends.

    wait=False: BlockingIOError where somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def state(path: Path) -> tuple[int, ...]:
    """What tells whether a file was written to or replaced: equal states, equal contents. OSError where there is none."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
