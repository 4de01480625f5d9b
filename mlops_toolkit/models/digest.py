"""A model's digest: what identifies it in records and stores.

A file's is the SHA-256 of its bytes. A folder's is the SHA-256 over one NUL-terminated line a file, sorted by path:
`x|- <size> <sha256> <path>` (x: executable). Empty folders, owners and times are no part of it.
Digests of files are remembered by device, inode, size, mtime and ctime, so that a large model is read once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.system.files import CHUNK, cache

# A file system's clock ticks every few milliseconds: a file changed within a tick of our reading could keep its mtime.
TICK_SECONDS = 0.02
REMEMBERED = 100_000


@dataclass(frozen=True)
class File:
    """A file of a model: path relative to the model's folder, POSIX style; for a single file its name."""

    path: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True)
class ModelDigest:
    """`sha256:…`, the size in bytes, and the files it was made of."""

    digest: str
    size: int
    kind: Literal["file", "folder"]
    files: tuple[File, ...] = field(default=(), repr=False)


class Cache:
    """Digests of files already read, in a small database that any trouble with merely empties."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Cache:
        """The cache of this user: $XDG_CACHE_HOME/mlops/digests.sqlite."""
        return cls(cache(env) / "digests.sqlite")

    def _open(self) -> sqlite3.Connection | None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        except (OSError, sqlite3.Error):
            return None
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS digests (key TEXT PRIMARY KEY, sha256 TEXT NOT NULL)")
        except sqlite3.DatabaseError as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError):  # not locked or full: no database at all
                self.path.unlink(missing_ok=True)
            return None
        return connection

    def read(self, keys: Iterable[str]) -> dict[str, str]:
        """What is known of these keys."""
        known: dict[str, str] = {}
        if connection := self._open():
            with contextlib.closing(connection), contextlib.suppress(sqlite3.Error):
                for key in keys:
                    row = connection.execute("SELECT sha256 FROM digests WHERE key = ?", (key,)).fetchone()
                    if row and isinstance(row[0], str) and len(row[0]) == 64:
                        known[key] = row[0]
        return known

    def write(self, digests: Mapping[str, str]) -> None:
        """Remember, and forget the oldest beyond 100,000."""
        if digests and (connection := self._open()):
            with contextlib.closing(connection), contextlib.suppress(sqlite3.Error):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?)", digests.items())
                connection.execute("DELETE FROM digests WHERE rowid <= (SELECT max(rowid) FROM digests) - ?", (REMEMBERED,))
                connection.execute("COMMIT")


def key_of(status: os.stat_result) -> str:
    """What a file is remembered by."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def digest(path: Path, *, cache: Cache | None = None) -> ModelDigest:
    """The digest of a file or folder. CommandFailed `no-model`, `empty-model`, `model-link-outside`, `not-a-file`, `model-unreadable`."""
    with _readable(path):
        return of_files(_contents(tuple(members(path)), cache), "folder" if path.is_dir() else "file")


def each(files: Mapping[str, Path], *, cache: Cache | None = None) -> dict[str, str]:
    """`sha256:…` of every file by its name: as `digest`, but what is remembered is written once, not once a file."""
    with _readable(None):
        return {file.path: f"sha256:{file.sha256}" for file in _contents(tuple(files.items()), cache)}


@contextlib.contextmanager
def _readable(path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "a container that runs as another user leaves files only that user can read: let the command end with a chmod"
        raise CommandFailed("model-unreadable", f"{error.filename or path} cannot be read: {error.strerror}", hint=hint) from error


def _contents(found: Sequence[tuple[str, Path]], cache: Cache | None) -> list[File]:
    keys = {name: key_of(file.stat()) for name, file in found}
    known = cache.read(keys.values()) if cache else {}
    files, fresh = [], {}
    for name, file in found:
        sha = known.get(keys[name])
        if sha is None:
            sha, key = _read(file)
            fresh[key] = sha
        status = file.stat()
        files.append(File(name, status.st_size, sha, bool(status.st_mode & stat.S_IXUSR)))
    if cache:
        cache.write(fresh)
    return files


def of_files(files: Iterable[File], kind: Literal["file", "folder"]) -> ModelDigest:
    """The digest of a model whose files are known."""
    files = tuple(sorted(files, key=lambda file: os.fsencode(file.path)))
    size = sum(file.size for file in files)
    if kind == "file":
        return ModelDigest(f"sha256:{files[0].sha256}", size, kind, files)
    lines = (f"{'x' if f.executable else '-'} {f.size} {f.sha256} ".encode() + os.fsencode(f.path) + b"\0" for f in files)
    return ModelDigest(f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}", size, kind, files)


def members(path: Path) -> Iterator[tuple[str, Path]]:
    """(path relative to the model, file) of every file of a model; links inside of it are followed, others are refused."""
    try:
        top = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise CommandFailed(
            "no-model", f"there is no model at {path}", hint="`train.output` names what the command leaves behind"
        ) from error
    if top.is_file():
        yield path.name, top
        return
    if not top.is_dir():
        raise CommandFailed("not-a-file", f"{path} is neither a file nor a folder")
    count = 0
    for item in _walk(top, top, ()):
        count += 1
        yield item
    if count == 0:
        raise CommandFailed("empty-model", f"the folder {path} holds no file", hint="`train.output` names what the command leaves behind")


def _walk(folder: Path, top: Path, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    if len(above) > 100:
        raise CommandFailed("model-link-cycle", f"{folder} lies more than 100 folders deep")
    for entry in sorted(os.scandir(folder), key=lambda e: os.fsencode(e.name)):
        place = Path(entry.path)
        if entry.is_symlink():
            target = _inside(place, top)
            if target.is_dir() and target in (*above, folder):
                raise CommandFailed("model-link-cycle", f"the link {place} leads back to a folder above it")
        if entry.is_dir():
            yield from _walk(place, top, (*above, folder.resolve()))
        elif entry.is_file():
            yield place.relative_to(top).as_posix(), place
        else:
            raise CommandFailed("not-a-file", f"{place} is neither a file nor a folder", hint="a model is made of plain files")


def _inside(link: Path, top: Path) -> Path:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise CommandFailed("model-link-outside", f"the link {link} leads nowhere") from error
    if target != top and top not in target.parents:
        raise CommandFailed(
            "model-link-outside", f"the link {link} leads out of the model, to {target}", hint="copy the file into the model"
        )
    return target


def _read(file: Path) -> tuple[str, str]:
    """(SHA-256, key) of a file, read once; the key is of the state that was read."""
    with file.open("rb") as source:
        wait_for_tick(os.fstat(source.fileno()))
        before = key_of(os.fstat(source.fileno()))
        sha = copy_hashed(source, None)
        after = key_of(os.fstat(source.fileno()))
    if before != after:
        raise CommandFailed(
            "model-changed", f"{file} changed while it was read", hint="something still writes to it after the command has ended"
        )
    return sha, after


def wait_for_tick(status: os.stat_result) -> None:
    """Let the file system's clock move on, so that a later change of this file must change its mtime."""
    young = time.time() - max(status.st_mtime, status.st_ctime)
    if 0 <= young < TICK_SECONDS:
        time.sleep(TICK_SECONDS - young)


class Reads(Protocol):
    """What a stream is copied from."""

    def read(self, amount: int = ..., /) -> bytes: ...


class Writes(Protocol):
    """What a stream is copied into."""

    def write(self, data: bytes, /) -> int: ...


def copy_hashed(source: Reads, to: Writes | None) -> str:
    """SHA-256 of a stream, while it is copied."""
    sha = hashlib.sha256()
    while chunk := source.read(CHUNK):
        sha.update(chunk)
        if to is not None:
            to.write(chunk)
    return sha.hexdigest()
