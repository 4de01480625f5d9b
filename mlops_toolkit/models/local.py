"""The `file:` store: models by digest in a folder of this machine, `$XDG_DATA_HOME/mlops/models/<repository>` or `file:/path`.

sha256/ab/abcd…/model      the file or folder, read-only: a copy (or blocks shared until written to), never a hard link,
                           so that editing the original changes nothing here
sha256/ab/abcd…/uses.json  what it belongs to and since when, and when it was last had from here
checkouts/<hash>           the path of a run record whose models retention spares
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from mlops_toolkit.config.schema import Keep
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models import tree
from mlops_toolkit.models.base import Setting, below, short
from mlops_toolkit.models.digest import Cache, ModelDigest
from mlops_toolkit.models.digest import digest as digest_of
from mlops_toolkit.models.retention import Stored, expired
from mlops_toolkit.system.files import locked, write_atomic

RECENT = timedelta(days=1)


@dataclass(frozen=True)
class LocalStore:
    """Models in a folder. word: `file:` or `file:/path`, what addresses begin with; of: whose models are put, for counts (a model's key)."""

    root: Path
    word: str
    setting: Setting
    cache: Cache | None = field(default=None, repr=False, compare=False)
    of: str = ""

    def take(self, path: Path) -> tuple[ModelDigest, str]:
        """Digest and keep a model in one go, reading each byte once; returns what it is and its address."""
        with self._whole(path), tree.beside(self.root / "incoming" / path.name) as temporary:
            found = tree.copy(path, temporary, cache=self.cache, read_only=True)
            return found, self._place(temporary, found)

    def put(self, path: Path, digest: str) -> str:
        """Keep a model; EnvironmentFailure `model-changed` if it is no longer what its digest says."""
        with self._whole(path), locked(self.root / "lock"):
            if self._model(digest).exists():
                self._note(digest)
                return self._address(digest)
        found, address = self.take(path)
        if found.digest != digest:
            raise EnvironmentFailure("model-changed", f"{path} is {short(found.digest)} now, was {short(digest)} when its digest was taken")
        return address

    def has(self, address: str, digest: str) -> bool:
        """Whether it is on this machine."""
        return self._model(digest).exists()

    def get(self, address: str, digest: str, to: Path) -> None:
        """Copy it to `to` (absent), verified."""
        model = self._model(digest)
        if not model.exists():
            raise EnvironmentFailure(
                "model-unreachable",
                f"the model {short(digest)} is not on this machine",
                hint="it was stored on another one, or its time was up",
            )
        with contextlib.suppress(OSError), locked(self.root / "lock"):  # a store that is only read has no retention either
            self._note(digest, used=True)
        with self._whole(to), tree.beside(to) as temporary:
            # The stored copy carries no name of its own: the digest of a file does not depend on it.
            found = tree.copy(model, temporary, cache=None, read_only=False)
            tree.settle(temporary, to, found, digest)

    def look(self, address: str) -> ModelDigest:
        """What is stored there."""
        model = self._model(f"sha256:{address.rpartition('/')[2]}")
        if not model.exists():
            raise EnvironmentFailure("model-unreachable", f"there is no {address} on this machine")
        return digest_of(model, cache=self.cache)

    def delete(self, address: str) -> None:
        """Remove it: it disappears at once, its bytes after."""
        place = self.root / below(address.rpartition("/")[2])
        with self._whole(place), tree.beside(self.root / "incoming" / place.name) as temporary, contextlib.suppress(FileNotFoundError):
            place.rename(temporary)

    def claim(self, digest: str) -> None:
        """What was stored for one thing is used by another now (a pull request's model by main, after the merge)."""
        with self._whole(self.root), locked(self.root / "lock"):
            if self._model(digest).exists():
                self._note(digest)

    def held_by(self, record: Path) -> None:
        """Remember a run record: retention spares the models it names for as long as it exists."""
        name = hashlib.sha256(str(record.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        with self._whole(self.root):
            write_atomic(self.root / "checkouts" / name, str(record.resolve()).encode("utf-8", "surrogateescape"))

    def sweep(self, keep: Keep, now: datetime) -> tuple[str, ...]:
        """Remove what has had its time; returns those digests.

        What was stored or had within a day stays whatever the rules say: another job on this machine may be about to use it.
        """
        incoming = self.root / "incoming"
        with self._whole(self.root), contextlib.ExitStack() as out:  # bytes go after the lock is free: other jobs wait for that
            with locked(self.root / "lock"):
                gone = expired(self.stored(), keep, now, named=frozenset({*self._named(), *self._recent(now)}))
                for digest in gone:
                    temporary = out.enter_context(tree.beside(incoming / digest.removeprefix("sha256:")))
                    with contextlib.suppress(FileNotFoundError):
                        (self.root / below(digest)).rename(temporary)
            for path in incoming.glob(".*.tmp"):  # of somebody killed while storing
                tree.abandoned(path, now.timestamp())
        return gone

    def _recent(self, now: datetime) -> Iterator[str]:
        for place in self.root.glob("sha256/??/*"):
            uses = _json(place / "uses.json")
            for use in uses.values() if isinstance(uses, dict) else ():
                with contextlib.suppress(KeyError, TypeError, ValueError):
                    if now - datetime.fromisoformat(use["at"]) <= RECENT:
                        yield f"sha256:{place.name}"

    def stored(self) -> Iterator[Stored]:
        """Everything here, once for each thing it belongs to."""
        for place in sorted(self.root.glob("sha256/??/*")):
            uses = _json(place / "uses.json")
            if not isinstance(uses, dict) or not uses:  # of somebody killed before it was noted
                with contextlib.suppress(OSError):
                    yield Stored(f"sha256:{place.name}", "pull-request", datetime.fromtimestamp(place.stat().st_mtime, timezone.utc))
                continue
            for name, use in uses.items():
                belongs, _, rest = name.partition(" ")
                repository, _, group = rest.partition(" ")
                if belongs not in ("pull-request", "main", "release"):
                    continue
                with contextlib.suppress(KeyError, TypeError, ValueError):
                    at, foreign = datetime.fromisoformat(use["at"]), bool(repository) and repository != self.setting.repository
                    yield Stored(f"sha256:{place.name}", belongs, at, int(use["size"]), group, foreign)

    def _named(self) -> Iterator[str]:
        for note in self.root.glob("checkouts/*"):
            record = Path(note.read_bytes().decode("utf-8", "surrogateescape"))
            data = _json(record)
            if data is None and not record.exists():
                note.unlink(missing_ok=True)
            model = data.get("trained-model") if isinstance(data, dict) else None
            if isinstance(model, dict) and isinstance(model.get("digest"), str):
                yield model["digest"]

    def _model(self, digest: str) -> Path:
        return self.root / below(digest) / "model"

    def _address(self, digest: str) -> str:
        return f"{self.word}{'/' if self.word != 'file:' else ''}{below(digest)}"

    def _place(self, temporary: Path, found: ModelDigest) -> str:
        with locked(self.root / "lock"):
            model = self._model(found.digest)
            if not model.exists():
                model.parent.mkdir(parents=True, exist_ok=True)
                temporary.rename(model)
            self._note(found.digest, found.size)
        return self._address(found.digest)

    def _note(self, digest: str, size: int = 0, *, used: bool = False) -> None:
        """Write down what a model belongs to now; used: that it was had from here, which keeps a pull request's baseline too."""
        path = self.root / below(digest) / "uses.json"
        uses = _json(path)
        uses = uses if isinstance(uses, dict) else {}
        size = size or max((int(use.get("size", 0)) for use in uses.values() if isinstance(use, dict)), default=0)
        name = f"{self.setting.belongs} {self.setting.repository} {self.of} {self.setting.line}".rstrip()
        # Of main's a count is kept: one that is only had does not push out a newer one.
        names = ["used", *([name] if self.setting.belongs == "pull-request" else [])] if used else [name]
        now = {"at": self.setting.clock.now().isoformat(timespec="seconds"), "size": size}
        uses = {**uses, **dict.fromkeys(names, now)}
        write_atomic(path, json.dumps(uses, indent=1) + "\n")

    @contextlib.contextmanager
    def _whole(self, path: Path) -> Iterator[None]:
        """A full or read-only disk is the environment's failure, with its place."""
        try:
            yield
        except OSError as error:
            place = error.filename2 or error.filename or path
            raise EnvironmentFailure(
                "model-not-stored", f"cannot keep the model: {error.strerror or error} ({place})", hint=f"the models store is {self.root}"
            ) from error


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def open_store(word: str, setting: Setting) -> LocalStore:
    """`file:` (this user's folder for this repository), `file:/path` or `file:///path`."""
    place = word.removeprefix("file:")
    if place.startswith("//"):
        place = "/" + place.lstrip("/")
    if not place:
        data = setting.env.get("XDG_DATA_HOME") or str(Path(setting.env.get("HOME") or Path.home()) / ".local" / "share")
        return LocalStore(Path(data) / "mlops" / "models" / setting.repository, "file:", setting, Cache.of(setting.env))
    if not place.startswith("/"):
        raise UsageError(
            "bad-store",
            f'"{word}" is not a store',
            where="models.store",
            hint="write `file:` for the usual place, or `file:/an/absolute/path`",
        )
    return LocalStore(Path(place), f"file:{place.rstrip('/')}", setting, Cache.of(setting.env))
