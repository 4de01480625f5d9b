"""Keeping one comment true while several jobs write it: read, merge, write, and look again, on whatever holds comments."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Posted, Section
from mlops_toolkit.system.clock import Clock

T = TypeVar("T")
TRIES = 5
LONGEST_WAIT_SECONDS = 60.0
PATIENCE_SECONDS = 120.0  # of all waits for one posting: a report may not hold a job


class Refused(Exception):
    """A request that was not fulfilled: a sentence, a way out, and whether asking again may help (after `wait` seconds)."""

    def __init__(
        self,
        reason: str,
        *,
        hint: str | None = None,
        again: bool = False,
        wait: float | None = None,
        gone: bool = False,
        too_long: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.wait, self.gone, self.too_long = reason, hint, wait, gone, too_long
        self.again = again and (wait or 0) <= LONGEST_WAIT_SECONDS


@dataclass(frozen=True)
class Note:
    """A comment that our own author wrote."""

    id: int
    body: str
    url: str | None = None


class Board(Protocol):
    """Where comments hang. Every method may raise Refused."""

    def notes(self) -> Sequence[Note]:
        """All comments of our own author, oldest first."""
        ...

    def create(self, body: str) -> Note: ...

    def edit(self, note: Note, body: str) -> Note: ...

    def delete(self, note: Note) -> None:
        """Remove a comment; one that is gone already is fine."""
        ...


def pause(tries: int, wait: float | None = None) -> float:
    """Seconds to wait after the try number `tries` (0 first): what the server asked for, else doubling from a second, with jitter."""
    if wait is not None:
        return wait + random.uniform(0, 1)  # noqa: S311 (spreads load, keeps no secret)
    return float(2**tries) * random.uniform(0.5, 1.0)  # noqa: S311


def persist(clock: Clock, ask: Callable[[], T]) -> T:
    """Ask up to TRIES times where asking again may help; the last refusal is raised. Only for requests that may be repeated."""
    patience = clock.monotonic() + PATIENCE_SECONDS
    for tries in range(TRIES - 1):
        try:
            return ask()
        except Refused as refusal:  # noqa: PERF203 (a request takes longer)
            wait = pause(tries, refusal.wait)
            if not refusal.again or clock.monotonic() + wait > patience:
                raise
            clock.sleep(wait)
    return ask()


def post(board: Board, section: Section, *, where: str | None, clock: Clock) -> Posted:
    """Put `section` into our one comment; at most TRIES writes, nothing written where nothing changes.

    Nothing tells a writer that it wrote over another's text, so each looks again, a random while later and after at
    least twice the time its own reading and writing took, and writes again if its section is gone. An answer that never
    came may still have been a write; looking again covers that too. Of several comments the oldest stays.
    """
    written: Note | None = None
    refused: Refused | None = None
    limit = sticky.LIMIT
    patience = clock.monotonic() + PATIENCE_SECONDS
    for tries in range(TRIES + 1):
        began = clock.monotonic()
        try:
            notes = [note for note in board.notes() if sticky.ours(note.body)]
            bodies = [note.body for note in notes]
            if sticky.superseded(bodies, section):
                return Posted(url=notes[0].url, reason="a newer run has already reported here")
            body = sticky.merge(bodies, section, where=where, limit=limit)
            if len(notes) == 1 and _same(notes[0].body, body):
                return Posted(url=notes[0].url)
            if tries == TRIES:
                break
            written = board.edit(notes[0], body) if notes else board.create(body)
            refused = None
            for late in notes[1:]:
                board.delete(late)
        except Refused as caught:
            refused = caught
            if caught.too_long and limit == sticky.LIMIT:
                limit //= 2  # servers have counted in more ways than they say
                continue
            wait = pause(tries, caught.wait)
            if not caught.again or tries == TRIES or clock.monotonic() + wait > patience:
                return Posted(reason=caught.reason, hint=caught.hint)
            clock.sleep(wait)
            continue
        clock.sleep(random.uniform(0.3, 0.9) * 1.5**tries + 2 * (clock.monotonic() - began))  # noqa: S311
    if refused is not None:
        return Posted(reason=refused.reason, hint=refused.hint)
    return Posted(
        url=written.url if written else None,
        reason="other jobs kept writing the comment at the same time; this report may be missing from it",
        hint="the report is in the job's summary; run the job again to post it",
    )


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
