"""Runs that another job handed over: found in a folder of downloaded artifacts, which is data and may hold anything.

A record is any `run.json` below the folder, at any depth; its files lie in `runs/<id>/` beside it, or with it. Links are not followed,
what is too deep, too large or no record is passed over and named.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Artifact, Run
from mlops_toolkit.system.files import CHUNK, write_atomic

DEEPEST = 16  # folders below the one given
MOST_PLACES = 100_000  # folders and files that are looked at
MOST_BYTES = 128_000_000  # of records that are read
LONGEST_LEG = 100


@dataclass(frozen=True)
class Handed:
    """A record, the folder its files lie in, and where it was found, as it may be shown."""

    run: Run
    folder: Path
    where: str

    @property
    def top(self) -> Path:
        """The `.mlops` folder of the job that made it, as it was handed over."""
        return self.folder.parent.parent if self.folder.parent.name == "runs" else self.folder

    def named(self) -> tuple[Artifact, ...]:
        """The files that the record names, of those that should be here: what lies in a models store only the history may name."""
        return tuple(one for one in records.artifacts(self.run).values() if "#" not in one.path)

    def file(self, artifact: Artifact) -> Path | None:
        """Where a file of the run lies, None where it was not handed over. InvalidFile `changed-file` where it is a link or another size."""
        place = self.folder
        for part in Path(artifact.path).parts:
            place = place / part
            if place.is_symlink():
                raise self._changed(artifact, "one of them is a link")
        if not place.is_file():
            return None
        if place.stat().st_size != artifact.size:
            raise self._changed(artifact, "the size differs")
        return place

    def read(self, artifact: Artifact, most: int) -> bytes | None:
        """The bytes of a file of the run, None where it was not handed over. InvalidFile `changed-file` where they are not those that the
        record names, `too-large` where they are more than `most`."""
        found = self.file(artifact)
        if found is None:
            return None
        if artifact.size > most:
            raise InvalidFile("too-large", f"{artifact.size:,} bytes are more than the {most:,} that are read", where=_shown(artifact.path))
        handle = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as reading:
            raw = reading.read(most + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        if hashlib.sha256(raw).hexdigest() != artifact.sha256:
            raise self._changed(artifact, "the sha256 differs")
        return raw

    def take(self, state: Path) -> None:
        """Copy the files that the record names, and the record last, into our own `.mlops` folder, each checked by its sha256.

        InvalidFile `changed-file`, or `id-taken` where another run lies there already.
        """
        to = state / "runs" / self.run.id
        if to.resolve() == self.folder.resolve():
            return
        self._refuse_other(to / "run.json")
        for artifact in self.named():
            found = self.file(artifact)
            if found is not None:
                _copy(found, to / artifact.path, artifact, self)
        write_atomic(to / "run.json", records.dumps(self.run))

    def _refuse_other(self, path: Path) -> None:
        if not path.is_file():
            return
        here = records.loads(path.read_bytes(), where=str(path))
        if (here.model, here.config, here.matrix, here.commit) != (self.run.model, self.run.config, self.run.matrix, self.run.commit):
            raise InvalidFile("id-taken", f"another run than the one handed over has the id {self.run.id}", where=self.where)

    def _changed(self, artifact: Artifact, why: str) -> InvalidFile:
        what = f"the files of run {self.run.id} are not those that its record names: {why}"
        return InvalidFile("changed-file", what, where=artifact.path, hint="run `mlops evaluate` again")


def _copy(source: Path, to: Path, artifact: Artifact, handed: Handed) -> None:
    """Whole or absent: nobody finds a part, or bytes that the record does not name."""
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.parent / f".{to.name}.{os.getpid()}.tmp"
    digest = hashlib.sha256()
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as reading, beside.open("wb") as writing:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise handed._changed(artifact, "one of them is no file")
            while chunk := reading.read(CHUNK):
                digest.update(chunk)
                writing.write(chunk)
            writing.flush()
            os.fsync(writing.fileno())
        if digest.hexdigest() != artifact.sha256:
            raise handed._changed(artifact, "the sha256 differs")
        beside.replace(to)
    finally:
        beside.unlink(missing_ok=True)


@dataclass(frozen=True)
class Found:
    """The runs below a folder, each id once; and what looked like one and was passed over, as sentences."""

    runs: tuple[Handed, ...] = ()
    refused: tuple[str, ...] = ()


def find(folder: Path) -> Found:
    """Every run that was handed over in `folder`. Never raises for what lies there."""
    runs: dict[tuple[str, str, str, str | None], Handed] = {}
    refused: list[str] = []
    budget = MOST_BYTES
    # The latest first, should there be too many: the names of runs' folders begin with their day.
    for place in sorted(_records(folder, refused), key=lambda path: (path.parent.parent.name != "runs", path.parent.name), reverse=True):
        where = _shown(place.relative_to(folder).as_posix())
        try:
            size = place.stat().st_size
            if size > min(records.MOST, budget):
                refused.append(f"{where} is too large, or one too many, to be read")
                continue
            budget -= size
            run = _checked(records.loads(place.read_bytes(), where=where), where)
        except (InvalidFile, OSError) as error:
            refused.append(str(error).partition("\n")[0] if isinstance(error, InvalidFile) else f"{where} cannot be read: {error.strerror}")
            continue
        beside = place.parent / "runs" / run.id
        own = beside if beside.is_dir() and not beside.is_symlink() and not beside.parent.is_symlink() else place.parent
        # A run's own copy is written first: where both are here it is never the older one.
        identity = (run.id, run.config, run.model, run.matrix)
        if identity not in runs or place.parent.name == run.id:
            runs[identity] = Handed(run, own, where)
    return Found(tuple(sorted(runs.values(), key=lambda one: one.run.id)), tuple(refused))


def _records(folder: Path, refused: list[str]) -> Iterator[Path]:
    seen, waiting = 0, [(folder, 0)]
    while waiting:
        at, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(at), key=lambda entry: os.fsencode(entry.name))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if seen > MOST_PLACES:
                refused.append(f"more than {MOST_PLACES:,} files were handed over: the rest was not looked at")
                return
            if entry.name == "run.json" and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            elif entry.name == "run.json":
                refused.append(f"{_shown(Path(entry.path).relative_to(folder).as_posix())} is a link, or no file")
            elif entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
                waiting.append((Path(entry.path), depth + 1))


def _checked(run: Run, where: str) -> Run:
    """The record, if its texts can be told and compared with ours."""
    leg = run.matrix
    if leg is not None and (not leg or len(leg) > LONGEST_LEG or not leg.isprintable() or "|" in leg):
        raise InvalidFile("wrong-shape", "matrix should be the name of a leg", where=where)
    try:
        records.dumps(run).encode()
    except UnicodeEncodeError as error:
        raise InvalidFile("wrong-shape", "it holds half of a character", where=where) from error
    return run


def _shown(path: str) -> str:
    """A path as a message may show it."""
    text = "".join(c if c.isprintable() else "?" for c in path)
    return text if len(text) <= 200 else f"…{text[-199:]}"
