"""A model on disk while it is copied: written beside its place, verified, then renamed into it."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import io
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.models.base import short
from mlops_toolkit.models.digest import Cache, File, ModelDigest, Writes, copy_hashed, key_of, members, of_files, wait_for_tick

ABANDONED_SECONDS = 86400
_OURS = re.compile(r"\..*\.\d+\.[0-9a-f]{8}\.tmp", re.DOTALL)
_FICLONE = 0x40049409  # ioctl(2): share the blocks of a file, copied when one of the two is written to


@contextlib.contextmanager
def beside(place: Path) -> Iterator[Path]:
    """A new name beside `place` to build it under; whatever is left there at the end is removed.

    So is what somebody left who was killed: a model of gigabytes, and in the user's own folder.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f".{glob.escape(place.name[:40])}.*.tmp"):
        if _OURS.fullmatch(left.name):
            abandoned(left, time.time())
    temporary = place.parent / f".{place.name[:40]}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        yield temporary
    finally:
        remove(temporary)


def abandoned(temporary: Path, now: float) -> None:
    """Remove what nobody can be building any more. now: epoch seconds."""
    with contextlib.suppress(OSError):
        if now - temporary.lstat().st_mtime > ABANDONED_SECONDS:
            remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or folder, read-only ones too; absent is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path, ignore_errors=True)


def copy(path: Path, to: Path, *, cache: Cache | None, read_only: bool) -> ModelDigest:
    """Copy a model to `to` (absent), hashing while copying: each file is read once, and its digest is remembered."""
    files, fresh = [], {}
    folder = path.is_dir()
    for name, source in members(path):
        target = to / name if folder else to
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reading:
            status = os.fstat(reading.fileno())
            wait_for_tick(status)
            executable = bool(status.st_mode & stat.S_IXUSR)
            sha = _copy_file(reading, target, _mode(executable, read_only=read_only))
            after = os.fstat(reading.fileno())
        if key_of(after) != key_of(status):
            raise EnvironmentFailure("model-changed", f"{source} changed while it was stored", hint="something still writes to it")
        fresh[key_of(status)] = sha
        files.append(File(name, status.st_size, sha, executable))
    if cache:
        cache.write(fresh)
    return of_files(files, "folder" if folder else "file")


def write(to: Path, file: File, *, folder: bool, content: Callable[[Writes], str]) -> None:
    """Write one file of a model that comes from elsewhere; `content` fills it and returns the SHA-256 of what it wrote."""
    if folder and not safe(file.path):
        raise EnvironmentFailure("model-damaged", f'the stored model names a file "{file.path}" outside of itself')
    target = to / file.path if folder else to
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(file.executable, read_only=False))
    except OSError as error:
        raise unwritable(target, error) from error
    with io.FileIO(descriptor, "w") as out:
        sha = content(Checked(out, target))
    if sha != file.sha256:
        raise EnvironmentFailure("model-damaged", f"{file.path} came back with another digest than it was stored with")


class Checked:
    """Writing whose failure is told from that of reading."""

    def __init__(self, out: IO[bytes] | io.FileIO, place: Path) -> None:
        self._out, self._place = out, place

    def write(self, data: bytes, /) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._out.write(rest) :]
        except OSError as error:
            raise unwritable(self._place, error) from error
        return len(data)


def unwritable(place: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure("model-not-written", f"the model cannot be written: {error.strerror}", where=str(place))


def safe(path: str) -> bool:
    """Whether a relative path of a stored model stays inside of it."""
    parts = path.split("/")
    return not path.startswith("/") and "\0" not in path and all(part not in ("", ".", "..") for part in parts)


def settle(temporary: Path, to: Path, found: ModelDigest, digest: str) -> None:
    """Move what was built into its place, if it is what it should be."""
    if found.digest != digest:
        raise EnvironmentFailure("model-damaged", f"the model is {short(found.digest)}, should be {short(digest)}")
    try:
        temporary.rename(to)
    except OSError as error:
        raise EnvironmentFailure("model-in-the-way", f"cannot put the model at {to}: {error.strerror}") from error


def exchange(temporary: Path, to: Path) -> None:
    """Put what was built into its place; what stood there goes."""
    try:
        with beside(to) as former:
            if to.exists() or to.is_symlink():
                to.rename(former)
            temporary.rename(to)
    except OSError as error:  # a mounted volume, or a folder where we may write but not rename
        raise EnvironmentFailure("model-in-the-way", f"cannot put the model at {to}: {error.strerror}") from error


def _mode(executable: bool, *, read_only: bool) -> int:
    return (0o555 if executable else 0o444) if read_only else (0o755 if executable else 0o644)


def _copy_file(source: IO[bytes], target: Path, mode: int) -> str:
    with os.fdopen(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "w+b") as out:
        try:
            fcntl.ioctl(out.fileno(), _FICLONE, source.fileno())
            return copy_hashed(out, None)
        except OSError:
            return copy_hashed(source, out)
