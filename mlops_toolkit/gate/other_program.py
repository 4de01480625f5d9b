"""A metric of the user's own whose program is not the one that the baseline was measured with: what the two programs say of both sides. Pure.

A kinder program in the pull request that needs it must not pass unseen. The baseline's answers are measured by this run's program, which
shows what the change is under the new definition; and what the base branch's rule asks is held by the program that it was written for,
where that could be run on this run's answers. Where it could not, somebody has to say yes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.parts import ORDER
from mlops_toolkit.records.run import Evaluation, MetricValue, Rescored
from mlops_toolkit.report import words
from mlops_toolkit.stats.paired import Paired

HELD = "its program changed; by the baseline's program it is no worse than allowed either"
BY_THEIRS = "measured by the baseline's program, since this change has another one"


@dataclass(frozen=True)
class Anew:
    """What `evaluate` found of one metric on one slice (see records.run.Rescored); note: why not."""

    now: MetricValue | None = None
    theirs: MetricValue | None = None
    mine: MetricValue | None = None
    note: str | None = None


def found(baseline: Loaded | None, head: Loaded, full: str, slice_name: str | None) -> Anew:
    """Of a metric by its full name. Only values of this run's examples and groups count."""
    suite, place = full.rpartition("/")[0], slice_name or ""
    if baseline is None or baseline.run is None or head.run is None:
        return Anew()
    one = head.run.evaluations.get(suite, Evaluation()).rescored.get(baseline.run.id, Rescored())
    own = (head.run.metrics if slice_name is None else head.run.slices.get(slice_name, {})).get(full)
    sides = (side.get(full, {}).get(place) for side in (one.now, one.theirs, one.mine))
    now, theirs, mine = (value if value is not None and own is not None and value.groups == own.groups else None for value in sides)
    if now is not None and own is not None and now.signature != own.signature:
        now = None
    both = theirs is not None and mine is not None and theirs.signature == mine.signature
    return Anew(now, theirs if both else None, mine if both else None, one.notes.get(full))


def held(now: Judged, theirs: Judged | None, why: str | None) -> Judged:
    """The check of what the base branch's rule asks, by this run's program and by the baseline's (None: it could not be run, and why)."""
    return _unheld(now, why) if theirs is None else _worse(now, theirs)


def _worse(now: Judged, theirs: Judged) -> Judged:
    """The worse of the two, and of equals that by this run's program, which is what main will have."""
    if _rank(theirs) < _rank(now):
        check = theirs.check
        return replace(theirs, check=replace(check, message=f"{check.message}; {BY_THEIRS}" if check.message else BY_THEIRS))
    if now.check.verdict == "pass" and not now.check.message:
        return replace(now, check=replace(now.check, message=HELD))
    return now


def _rank(one: Judged) -> tuple[int, bool]:
    return ORDER[one.check.verdict], one.check.leaning != "beyond"


def _unheld(now: Judged, why: str | None) -> Judged:
    """A check by this run's program alone, where the base branch's rule was written for another: it may fail, and never passes by itself."""
    if now.check.verdict not in ("pass", "inconclusive"):
        return now
    message = f"its program changed, and the baseline's could not be run on this run's answers{f' ({why})' if why else ''}: say yes if it is right"
    return Judged(replace(now.check, verdict="inconclusive", leaning="beyond", reason="metric-redefined", message=message, needs=None))


def told(full: str, unit: str, now: Paired, theirs: Paired | None) -> str:
    """Both programs' values, for whoever reviews."""
    said = f"{full}: this change has another program for it. By its own program {_values(now, unit)}"
    return f"{said}; by the baseline's {_values(theirs, unit)}" if theirs is not None else said


def _values(one: Paired, unit: str) -> str:
    sides = ("none" if value is None else words.trimmed(value, 4) for value in (one.baseline, one.head))
    return " → ".join(sides) + (f" {unit}" if unit else "")
