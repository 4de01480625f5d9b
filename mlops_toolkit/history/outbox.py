"""Records on their way to the remote: `.mlops/outbox/<id>/`, whole before the first attempt and gone only after it was taken."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.records.run import RUN_ID
from mlops_toolkit.system.files import locked, write_atomic

SALT = ".salt"  # beside the record: the salt its ids are hashed with


@dataclass(frozen=True)
class Waiting:
    """A record that waits: its files by path, the salt it was made with, and which version of its folder this is."""

    id: str
    files: Mapping[str, bytes]
    salt: str
    version: tuple[int, int]


@dataclass(frozen=True)
class Outbox:
    """The folder of waiting records. A folder appears, is replaced and leaves by renaming: no reader sees a part of one."""

    path: Path

    def put(self, run_id: str, files: Mapping[str, bytes], salt: str) -> None:
        """Keep a record until it is sent; an earlier version of it is replaced."""
        mark = secrets.token_hex(4)
        new, target = self.path / f".new-{run_id}-{mark}", self.path / run_id
        with self._settled():
            for path, data in {**files, SALT: salt.encode()}.items():
                write_atomic(new / path, data)
            if target.exists():
                target.rename(self.path / f".replaced-{run_id}-{mark}")
            new.rename(target)

    def load(self) -> list[Waiting]:
        """All that wait, by id."""
        if not self.path.is_dir():
            return []
        with self._settled():
            return [
                self._load(folder)
                for folder in sorted(self.path.iterdir())
                if RUN_ID.fullmatch(folder.name) and (folder / "run.json").is_file()
            ]

    def _load(self, folder: Path) -> Waiting:
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        return Waiting(folder.name, files, files.pop(SALT, b"").decode(), _version(folder))

    def done(self, sent: Iterable[Waiting]) -> None:
        """Remove what was sent, unless a newer version took its place meanwhile."""
        with self._settled():
            for waiting in sent:
                folder = self.path / waiting.id
                if folder.is_dir() and _version(folder) == waiting.version:
                    folder.rename(self.path / f".done-{waiting.id}-{secrets.token_hex(4)}")

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        """Hold the folder alone, without leftovers of whoever was killed while holding it."""
        with locked(self.path / ".lock"):
            self._sweep()
            yield
            self._sweep()

    def _sweep(self) -> None:
        for folder in list(self.path.glob(".replaced-*")):
            home = self.path / folder.name.removeprefix(".replaced-").rpartition("-")[0]
            if not home.exists():
                folder.rename(home)
        for folder in [f for kind in (".new-*", ".replaced-*", ".done-*") for f in self.path.glob(kind)]:
            shutil.rmtree(folder, ignore_errors=True)


def _version(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_ino, state.st_mtime_ns
