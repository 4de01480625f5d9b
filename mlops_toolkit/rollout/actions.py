"""What the planner can answer: do something, wait, write something down, or be at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_toolkit.rollout.driver import Observed
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.tell import Outcome

Effect = Literal["bring", "start", "golden", "route", "shadow", "stop", "forget"]
Verdict = Literal["pass", "fail", "inconclusive"]
SOON, LOOK = 0.1, 1.0  # seconds between two looks, at least and at most


def soon(elapsed: float) -> float:
    """Seconds to the next look at what takes `elapsed` seconds by now: an eighth of that, so that nobody waits long for what is quick."""
    return min(LOOK, max(SOON, elapsed / 8))


@dataclass(frozen=True)
class Judged:
    """What the counters say of a step so far. reasons: sentences, those that failed first; numbers: the same for programs."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """In one line."""
        return "; ".join(self.reasons)


@dataclass(frozen=True)
class Look:
    """All that a decision needs beside the state. unready: seconds for which the new release, once ready, has not been; 0.0: it is."""

    observed: Observed
    judged: Judged | None = None
    unready: float = 0.0


@dataclass(frozen=True)
class Do:
    """Ask the driver for an effect. step: its key in the journal; release: whose, or the live one of `shadow`, with the other one `beside` it."""

    step: str
    effect: Effect
    release: Release | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    beside: Release | None = None
    keep: tuple[Release, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Wait:
    """Look again after so many seconds. step: what is waited for."""

    step: str
    text: str
    seconds: float = LOOK


@dataclass(frozen=True)
class Write:
    """A line for the journal; text: what is said of it; failed: what comes next is the way back."""

    line: Mapping[str, Any]
    step: str
    text: str
    failed: bool = False


@dataclass(frozen=True)
class End:
    """The order is over, and so it is written down. withdrawn: id -> why."""

    outcome: Outcome
    withdrawn: Mapping[str, str] = field(default_factory=dict)


Action = Do | Wait | Write | End
