"""What an order says while it is carried out, a JSON line at a time, and what became of it: read by whoever follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_toolkit.errors import COMMAND, PASSED
from mlops_toolkit.rollout.order import Release

# deployed: it has all traffic and was watched · rolled-back: it was worse, or would not run, and the one before it has the traffic ·
# refused: nothing was changed · same: it runs already, nothing was done · proposed: others carry it out (a pull request that a controller waits for)
Result = Literal["deployed", "rolled-back", "refused", "same", "proposed"]
CODES: Mapping[str, int] = {"deployed": PASSED, "same": PASSED, "proposed": PASSED, "rolled-back": COMMAND, "refused": COMMAND}


@dataclass(frozen=True)
class Outcome:
    """What became of an order.

    live    what has the traffic now, None where nothing has; before: what had it when the order began
    name    of what went wrong, "" where nothing did; reason: in words for people; hint: what to do
    url     a page about it: of `proposed` the pull request
    """

    result: Result
    live: Release | None = None
    before: Release | None = None
    name: str = ""
    reason: str = ""
    hint: str | None = None
    url: str | None = None

    @property
    def code(self) -> int:
        """The exit code."""
        return CODES[self.result]


@dataclass(frozen=True)
class Event:
    """A line of what an order does.

    step   `order`, `bring`, `start`, `golden`, `shadow`, `share`, `judge`, `switch`, `drain`, `watch`, `stop`, `back`, `log` (the last `lines` of a
           release that is taken back), `forget`, `engine`, `end`
    state  begins, goes-on (a note about it), done, failed (what comes next is the way back), over: the last one, with the outcome
    text   a sentence for people; data: the same for programs
    at     seconds since 1970 by the target's clock
    """

    step: str
    state: Literal["begins", "goes-on", "done", "failed", "over"]
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Standing:
    """What a target knows of one name.

    live    what has the traffic; since: when it got all of it, ISO 8601 in UTC, "" unknown; final: it was watched to the end
    good    what can be gone back to, the latest first; withdrawn: release id -> why it was taken back
    under_way, step, text, who   the order that is being carried out, how far it is, and who gave it
    releases  every release that is known, by id, so that withdrawn ones can be named
    shares  release id -> its part of the traffic, as it is seen now
    trouble what is not as it should be, as sentences
    ended   what became of the latest orders, by their ids, the last one last
    """

    live: Release | None = None
    since: str = ""
    final: bool = True
    good: tuple[Release, ...] = ()
    withdrawn: Mapping[str, str] = field(default_factory=dict)
    under_way: str | None = None
    step: str = ""
    text: str = ""
    who: str = ""
    releases: Mapping[str, Release] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    trouble: tuple[str, ...] = ()
    ended: Mapping[str, Outcome] = field(default_factory=dict)
