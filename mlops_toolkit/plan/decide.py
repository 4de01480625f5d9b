"""From what is to be done about each model to a plan: a document, lines for people, and a matrix for the jobs that follow. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

SCHEMA = 1
Decision = Literal["run", "recorded", "untouched", "nothing-to-run"]


@dataclass(frozen=True)
class Planned:
    """What is to be done about one model (in one leg of a matrix).

    id      a name that is safe in files and artifacts, another for every model
    reason  why, as a clause; run: the recorded run that answers, commit: of which commit that is
    """

    id: str
    name: str
    config: str
    decision: Decision
    reason: str
    matrix: str | None = None
    run: str | None = None
    commit: str | None = None


@dataclass(frozen=True)
class Plan:
    """`mlops plan --json`. head: the commit that is to be judged, null where nothing is to run for it."""

    head: str | None = None
    models: tuple[Planned, ...] = ()
    notice: str | None = field(default=None, metadata={"doc": "why nothing runs, where somebody had to ask first"})
    schema: int = SCHEMA

    @property
    def running(self) -> tuple[Planned, ...]:
        return tuple(one for one in self.models if one.decision == "run")


def identifier(key: str, name: str, matrix: str | None) -> str:
    """`cats-1a2b3c4d`: readable, and unique where names differ only by case or in what a file's name cannot hold."""
    text = "-".join(word for word in (name, matrix) if word)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).lower().strip(".-")
    return f"{safe[:80] or 'model'}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def matrix(plan: Plan) -> str:
    """The models to run as `fromJSON` takes them: one line of JSON."""
    rows = [{"name": m.name, "config": m.config, "reason": m.reason, "id": m.id, "matrix": m.matrix or ""} for m in plan.running]
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":"))


def lines(plan: Plan) -> Sequence[str]:
    """A line a model, as people read it: `cats: unchanged since run … (main a1b2c3d)`."""
    said = [f"{_called(one)}: {'runs, because ' if one.decision == 'run' else ''}{one.reason}" for one in plan.models]
    return [*said, *([plan.notice] if plan.notice else [])]


def _called(one: Planned) -> str:
    return f"{one.name} ({one.matrix})" if one.matrix else one.name
