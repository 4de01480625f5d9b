"""One order of a name at a time on this machine: a lock that is free when its owner died, and anybody's when its owner hangs.

Whoever owns it holds the kernel's lock on a file for as long as it lives, so that a dead owner is known at once, whatever the time is. Beside it
stands who it is and until when, in seconds of the kernel's clock: an owner that is stopped and renews nothing loses it, and finds that out before
its next step. Looking and taking are one act behind a third file, so that of two who find it free one gets it. A lock from before the machine's
last start, or from another machine that shares the folder, has seconds of another clock: it is free when it was seen unchanged for its own time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import files
from mlops_toolkit.rollout.clock import Clock, Moment
from mlops_toolkit.rollout.codec import dumps
from mlops_toolkit.rollout.driver import Lock

RECORD, GUARD, LIFE = "lock.json", "lock.guard", "lock.life"


class FileLock:
    """A lock in a folder that all who may want it can see. One object has one owner at a time."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder, self.clock = folder, clock
        self._life: int | None = None
        self._seen: tuple[str, Moment] | None = None  # a lock of another clock, and since when we see it unchanged

    def take(self, owner: str, seconds: float) -> str | None:
        """None where it is ours now (and was ours before, perhaps); else who has it, in words for people."""
        with self._guarded():
            held, now = self._held(), self.clock.now()
            if held is not None and held["owner"] != owner and (words := self._taken(held, now)):
                return words
            life = self._alive()
            if life is None:  # its owner lives, but has not renewed it: what it holds is its own; ours is the record
                (self.folder / LIFE).unlink(missing_ok=True)
                life = self._alive()
            since = now.text if held is None or held["owner"] != owner else held["since"]
            self._write(owner, seconds, since, now)
            if self._life is None:
                self._life = life
            return None

    def renew(self, owner: str, seconds: float) -> bool:
        """Whether it is still ours; one whose time was over, but that nobody took, is."""
        with self._guarded():
            held = self._held()
            if held is None or held["owner"] != owner:
                return False
            with contextlib.suppress(OSError):  # on a full disk nobody else can write either: it stays ours while the record says so
                self._write(owner, seconds, held["since"], self.clock.now())
            return True

    def release(self, owner: str) -> None:
        """Free for anybody, if it is ours."""
        with self._guarded():
            held = self._held()
            if held is not None and held["owner"] == owner:
                (self.folder / RECORD).unlink(missing_ok=True)
            if self._life is not None:
                os.close(self._life)
                self._life = None

    def _taken(self, held: dict[str, Any], now: Moment) -> str | None:
        """Who has it, or None where it is anybody's."""
        words = f"{held['owner']} since {held['since']}"
        if held["boot"] == now.boot:
            self._seen = None
            return words if self._owner_lives() and now.seconds < held["until"] else None
        key = dumps(held)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, now)
        left = held["seconds"] - now.since(self._seen[1])
        return None if left <= 0 else f"{words}, before this machine was started: free in {left:.0f} s unless it is renewed"

    def _owner_lives(self) -> bool:
        """Whether the kernel's lock of whoever stands in the record is held, by us or by another process."""
        if self._life is not None:
            return True
        handle = self._alive()
        if handle is None:
            return True
        os.close(handle)
        return False

    def _alive(self) -> int | None:
        """The kernel's lock on the life file: held until this process ends or lets it go; None where another has it."""
        if self._life is not None:
            return self._life
        handle = os.open(self.folder / LIFE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def _held(self) -> dict[str, Any] | None:
        try:
            held = json.loads((self.folder / RECORD).read_bytes())
            return {
                "owner": str(held["owner"]),
                "since": str(held["since"]),
                "boot": str(held["boot"]),
                "until": float(held["until"]),
                "seconds": float(held["seconds"]),
            }
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # it is replaced in one act: what cannot be read is a disk's damage, and whoever comes behind the guard may mend it

    def _write(self, owner: str, seconds: float, since: str, now: Moment) -> None:
        held = {"owner": owner, "since": since, "boot": now.boot, "until": now.seconds + seconds, "seconds": seconds}
        new = self.folder / f"{RECORD}.new"
        try:
            new.write_text(dumps(held), encoding="utf-8")
            new.replace(self.folder / RECORD)
        except OSError as error:
            if error.errno not in files.FULL or not files.over(self.folder / RECORD, dumps(held)):
                raise

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Nobody else looks or changes meanwhile. EnvironmentFailure `lock-unusable`."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            guard = os.open(self.folder / GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(guard, fcntl.LOCK_EX)
                yield
            finally:
                os.close(guard)
        except OSError as error:
            hint = "make room on that disk, or give the agent the right to write there"
            message = f"the lock cannot be written: {error.strerror}"
            raise EnvironmentFailure("lock-unusable", message, where=str(self.folder), hint=hint) from error


class Kept:
    """A lock that a thread renews while long steps last; what the thread lost stays lost."""

    def __init__(self, lock: Lock, every: float) -> None:
        self.lock, self.every = lock, every
        self._end, self._lost = threading.Event(), False
        self._thread: threading.Thread | None = None

    def take(self, owner: str, seconds: float) -> str | None:
        """As the lock does; from now on it is renewed."""
        found = self.lock.take(owner, seconds)
        if found is None and self._thread is None:
            self._end.clear()
            self._lost = False
            self._thread = threading.Thread(target=self._keep, args=(owner, seconds), daemon=True)
            self._thread.start()
        return found

    def renew(self, owner: str, seconds: float) -> bool:
        """Whether it was ours whenever the thread looked, and is ours now."""
        return not self._lost and self.lock.renew(owner, seconds)

    def release(self, owner: str) -> None:
        """As the lock does; nobody renews it any more."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.lock.release(owner)

    def _keep(self, owner: str, seconds: float) -> None:
        while not self._end.wait(self.every):
            with contextlib.suppress(EnvironmentFailure):  # an API that is away is no other owner; it is asked again before each step
                if not self.lock.renew(owner, seconds):
                    self._lost = True
                    return
