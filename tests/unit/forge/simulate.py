"""Jobs that write the same board at the same time, in a time of their own: who acts next, how long a request takes and who is killed is drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from mlops_toolkit.forge import board, sticky
from mlops_toolkit.forge.board import Note

SLOWEST_SECONDS = 0.14  # of one request: less than half of what every writer waits before it looks again


class Killed(BaseException):
    """The job's machine is gone."""


@dataclass
class Stage:
    """Runs one job at a time, always the one whose turn comes first in simulated seconds."""

    _turns: dict[int, tuple[float, threading.Event]] = field(default_factory=dict)
    _lock: threading.Condition = field(default_factory=threading.Condition)
    _running: int = 0

    def run(self, jobs: Sequence[Callable[[Actor], None]], starts: Sequence[float], kills: Sequence[int | None]) -> None:
        actors = [Actor(self, number, start, kill) for number, (start, kill) in enumerate(zip(starts, kills, strict=True))]
        self._running = len(jobs)
        threads = [threading.Thread(target=self._job, args=(job, actor), daemon=True) for job, actor in zip(jobs, actors, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a job never ended"

    def _job(self, job: Callable[[Actor], None], actor: Actor) -> None:
        try:
            actor.wait(0)
            job(actor)
        except Killed:
            pass
        finally:
            with self._lock:
                self._running -= 1
                self._next()

    def until(self, number: int, when: float) -> None:
        mine = threading.Event()
        with self._lock:
            self._turns[number] = (when, mine)
            self._next()
        mine.wait()

    def _next(self) -> None:
        if self._turns and len(self._turns) == self._running:
            number = min(self._turns, key=lambda each: (self._turns[each][0], each))
            self._turns.pop(number)[1].set()


@dataclass
class Actor:
    """One job on the stage, and its clock. dies: at which of its steps it is killed."""

    stage: Stage
    number: int
    now_seconds: float
    dies: int | None = None
    steps: int = 0
    lengths: Sequence[float] = ()

    def wait(self, seconds: float) -> None:
        self.now_seconds += seconds
        self.stage.until(self.number, self.now_seconds)
        if self.steps == self.dies:
            raise Killed
        self.steps += 1

    def monotonic(self) -> float:
        return self.now_seconds

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_seconds, timezone.utc)

    def length(self) -> float:
        """How long half of the next request takes."""
        return self.lengths[self.steps % len(self.lengths)] * SLOWEST_SECONDS / 2 if self.lengths else 0.01


@dataclass
class Wall:
    """What hangs there. ends: a text without sections ends the note, as it closes an issue."""

    ends: bool = False
    notes: dict[int, str] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    created: int = 0

    def ours(self) -> list[str]:
        return [body for _, body in sorted(self.notes.items()) if sticky.ours(body)]


@dataclass
class OnStage:
    """A wall as one job reaches it: every request takes time, and happens in the middle of it."""

    wall: Wall
    actor: Actor

    def _half(self) -> None:
        self.actor.wait(self.actor.length())

    def notes(self) -> Sequence[Note]:
        self._half()
        seen = [Note(number, body, f"wall:{number}") for number, body in sorted(self.wall.notes.items())]
        self._half()
        return seen

    def ended(self) -> Sequence[str]:
        self._half()
        return tuple(self.wall.closed[-10:])

    def create(self, body: str) -> Note:
        self._half()
        self.wall.created += 1
        made = Note(1000 + self.wall.created, body, f"wall:{1000 + self.wall.created}")
        self.wall.notes[made.id] = body
        self._half()
        return made

    def edit(self, note: Note, body: str) -> Note:
        self._half()
        if note.id not in self.wall.notes:
            raise board.Refused("gone", again=True)
        if self.wall.ends and not sticky.parse(body):
            del self.wall.notes[note.id]
            self.wall.closed.append(body)
        else:
            self.wall.notes[note.id] = body
        self._half()
        return replace(note, body=body)

    def delete(self, note: Note, kept: Note) -> None:
        self._half()
        self.wall.notes.pop(note.id, None)
        self._half()
