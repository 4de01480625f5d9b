"""Keeping one comment true while several jobs write it: read, merge, write, and look again, on whatever holds comments."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Posted, Section
from mlops_toolkit.system.clock import Clock

T = TypeVar("T")
TRIES = 5
LONGEST_WAIT_SECONDS = 60.0
PATIENCE_SECONDS = 120.0  # of all waits for one posting: a report may not hold a job


class Refused(Exception):
    """A request that was not fulfilled: a sentence, a way out, and whether asking again may help (after `wait` seconds).

    status: the server's, of an answer that was understood
    """

    def __init__(
        self,
        reason: str,
        *,
        hint: str | None = None,
        again: bool = False,
        wait: float | None = None,
        gone: bool = False,
        too_long: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.wait, self.gone, self.too_long, self.status = reason, hint, wait, gone, too_long, status
        self.again = again and (wait or 0) <= LONGEST_WAIT_SECONDS


@dataclass(frozen=True)
class Note:
    """A comment, or an issue, that our own author wrote."""

    id: int
    body: str
    url: str | None = None


class Board(Protocol):
    """Where texts of ours hang: the comments of a pull request, or the issues of a repository. Every method may raise Refused."""

    def notes(self) -> Sequence[Note]:
        """All of our own author that stand, oldest first."""
        ...

    def ended(self) -> Sequence[str]:
        """The texts of those that ended lately: what they say has passed may be newer than what is to be written."""
        ...

    def create(self, body: str) -> Note: ...

    def edit(self, note: Note, body: str) -> Note:
        """Write the text anew. A text without sections ends an issue."""
        ...

    def delete(self, note: Note, kept: Note) -> None:
        """Remove one whose sections stand in `kept`; one that is gone already is fine."""
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


@dataclass(frozen=True)
class Step:
    """What is to be done next. body: None where it stands already; onto: the note to edit, None to create one; late: those to remove then."""

    body: str | None
    onto: Note | None
    late: Sequence[Note]


def decide(
    notes: Sequence[Note],
    ended: Callable[[], Sequence[str]],
    sections: Sequence[Section],
    *,
    where: str | None,
    limit: int,
    renew: bool,
    passed: bool,
) -> Step | Posted:
    """The next step towards one text with `sections` in it (`passed`: without the one), or what is posted already. Of several texts the oldest
    stays, save that one written to stand for others goes before them."""
    ours = [note for note in notes if sticky.ours(note.body)]
    renewed = {number for note in ours for number in sticky.renews(note.body)}
    ours.sort(key=lambda note: (note.id in renewed, note.id))
    bodies = [note.body for note in ours]
    url = ours[0].url if ours else None
    known = [*bodies, *(() if ours or passed else ended())]
    sections = [section for section in sections if not sticky.superseded(known, section)]
    if not sections:
        return Posted(url=url, reason="a newer run has already reported here")
    if passed:
        if sticky.standing(bodies, sections[0]) is None:
            return Posted(url=url)
        return Step(sticky.without(bodies, sections[0], limit=limit), ours[0], ours[1:])
    if renew and any(sticky.worse(bodies, section) for section in sections):
        # The old ones are read once more before they go: another job may be writing there.
        return Step(sticky.merge(bodies, *sections, where=where, limit=limit, renewed=[note.id for note in ours]), None, ())
    body = sticky.merge(bodies, *sections, where=where, limit=limit)
    if not ours or not _same(ours[0].body, body):
        return Step(body, ours[0] if ours else None, ours[1:])
    return Step(None, ours[0], ours[1:]) if ours[1:] else Posted(url=url)


def post(board: Board, *sections: Section, where: str | None, clock: Clock, renew: bool = False, passed: bool = False) -> Posted:
    """Put `sections` into our one text, or take the one out where it `passed`; at most TRIES writes, nothing written where nothing changes.

    renew: where a verdict is worse than the one that stands, a new text replaces the old one, which goes when the new one is there.

    Nothing tells a writer that it wrote over another's text, so each looks again, a random while later and after at
    least twice the time its own reading and writing took, and writes again if a section of its own is gone; where others have
    written meanwhile it goes on looking until nothing changes. An answer that never came may still have been a write;
    looking again covers that too.
    """
    written: Note | None = None
    refused: Refused | None = None
    seen: str | None = None  # the text as we left it, or as we saw it last
    limit, tries, looks = sticky.LIMIT, 0, 0
    patience = clock.monotonic() + PATIENCE_SECONDS
    while True:
        began = clock.monotonic()
        try:
            notes = board.notes()
            step = decide(notes, board.ended, sections, where=where, limit=limit, renew=renew, passed=passed)
            if isinstance(step, Posted):
                text = "\n".join(note.body for note in notes if sticky.ours(note.body))
                if written is None or looks == TRIES or _same(text, seen or ""):
                    return replace(step, url=step.url or (written.url if written else None))
                seen, looks = text, looks + 1
            elif tries == TRIES:
                break
            else:
                written = _write(board, step)
                text = step.body or written.body
                refused, seen, tries = None, text if sticky.ours(text) else "", tries + 1
                if stays := _remove(board, step.late, written):
                    return Posted(url=written.url, reason=f"an older text of ours could not be removed: {stays.reason}", hint=stays.hint)
        except Refused as caught:
            refused = caught
            wait = pause(tries, caught.wait)
            if caught.too_long and limit == sticky.LIMIT:
                limit //= 2  # servers have counted in more ways than they say
                tries += 1
                continue
            if not caught.again or tries >= TRIES or clock.monotonic() + wait > patience:
                return _ended(written, caught)
            clock.sleep(wait)
            tries += 1
            continue
        clock.sleep(random.uniform(0.3, 0.9) * 1.5 ** (tries - 1) + 2 * (clock.monotonic() - began))  # noqa: S311
    if refused is not None:
        return _ended(written, refused)
    return Posted(
        url=written.url if written else None,
        reason="other jobs kept writing the same text at the same time; this report may be missing from it",
        hint="the report is in the job's summary; run the job again to post it",
    )


def _ended(written: Note | None, refused: Refused) -> Posted:
    """What is answered where asking ended: what was written stands, as far as is known."""
    if written is None:
        return Posted(reason=refused.reason, hint=refused.hint)
    return Posted(written.url, f"what was posted could not be looked at again: {refused.reason}", refused.hint)


def _write(board: Board, step: Step) -> Note:
    if step.onto is None:
        return board.create(step.body or "")
    return board.edit(step.onto, step.body) if step.body is not None else step.onto


def _remove(board: Board, late: Sequence[Note], kept: Note) -> Refused | None:
    """Why one could not be removed and asking again would not help: what is to be said stands in `kept` all the same."""
    for each in late:
        try:
            board.delete(each, kept)
        except Refused as refused:  # noqa: PERF203 (a request takes longer)
            if refused.again:
                raise
            return refused
    return None


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
