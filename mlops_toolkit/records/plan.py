"""The plan, `mlops plan --json`: what is to be done about each model before anything is started."""

from __future__ import annotations

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
