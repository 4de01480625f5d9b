"""What somebody said yes to: which entries of `accepted:` cover a check that fails or is in doubt, and why others do not. Pure.

An entry is bound to a value: of a metric that should be high `down-to` says how bad it may be, and `up-to` how good a suspicious gain
may be; of one that should be low it is the other way round. It counts to its day, and until main itself has arrived at the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from mlops_toolkit.config.rules import Accepted
from mlops_toolkit.records.result import Check, name_of
from mlops_toolkit.report import words

OWN = ("below-min", "above-max", "near-min", "near-max")  # of the head's own value: nothing is asked of the baseline
Way = Literal["worse", "gain"]


@dataclass(frozen=True)
class Yes:
    """What `accepted:` of the configuration that counts says, on which day it is read, and which entries stand on the base branch too."""

    entries: Sequence[Accepted] = ()
    today: date = date.max
    standing: Sequence[Accepted] = ()


def live(entry: Accepted, today: date) -> bool:
    """Whether its last day has not passed."""
    return entry.until is None or date.fromisoformat(entry.until) >= today


def accepts_gate(accepted: Sequence[Accepted], today: date, standing: Sequence[Accepted]) -> bool:
    """Whether a loosened gate was said yes to.

    standing: what the base branch's `accepted:` says. A yes that was merged has done its work: what it let go is the base branch's gate now,
    and what is let go after that is another thing, to which nobody said yes.
    """
    return any(entry.check == "gate" and live(entry, today) and entry not in standing for entry in accepted)


def ways(check: Check) -> tuple[Way, ...]:
    """On which sides a check that fails or is in doubt needs a yes."""
    gain = exceeds_gain(check)
    inside = check.head is None or not (
        (check.min is not None and check.head < check.min) or (check.max is not None and check.head > check.max)
    )
    alone = gain and (check.reason == "suspicious-gain" or (check.reason == "multiplicity" and inside))
    return (*(() if alone else ("worse",)), *(("gain",) if gain else ()))


def exceeds_gain(check: Check) -> bool:
    """Whether the improvement is larger than what is not suspicious, as far as this check can show it."""
    if check.gain is None or check.change is None:
        return False
    shown = check.change if check.low is None and check.method == "threshold" else check.low
    return shown is not None and shown > check.gain


def binds(entry: Accepted, check: Check, way: Way) -> float | None:
    """The value that an entry binds on that side."""
    return entry.down_to if (check.direction == "higher") == (way == "worse") else entry.up_to


def mark(checks: Sequence[Check], yes: Yes) -> tuple[list[Check], tuple[str, ...]]:
    """The checks, with who said yes to them; and which entries do not count, in words."""
    named = {name_of(check) for check in checks}
    notes = [
        f"`accepted:` names {entry.check}, and there is no such check"
        for entry in yes.entries
        if entry.check not in named and entry.check != "gate"
    ]
    made = []
    for check in checks:
        blocks = check.severity == "gate" and check.verdict in ("fail", "inconclusive")
        mine = [entry for entry in yes.entries if entry.check == name_of(check)] if blocks else []
        found = {way: _covering(check, way, mine, yes) for way in ways(check)} if mine else {}
        covering = list(dict.fromkeys(entry for entry in found.values() if entry is not None))
        if found and all(found.values()):
            reason = "; ".join(dict.fromkeys(entry.reason for entry in covering))
            check = replace(
                check, accepted=reason, accepted_as="; ".join(dict.fromkeys(_bound(check, e, w) for w, e in found.items() if e))
            )
        else:
            notes += [said for entry in mine if entry not in covering and (said := _why_not(check, entry, yes))]
        made.append(check)
    return made, tuple(notes)


def _covering(check: Check, way: Way, entries: Sequence[Accepted], yes: Yes) -> Accepted | None:
    return next(
        (entry for entry in entries if live(entry, yes.today) and _reaches(check, way, entry) and not _spent(check, way, entry, yes)), None
    )


def _oriented(check: Check, way: Way, limit: float) -> tuple[float, float, float]:
    """The value, the limit and the rounding to forgive, so that larger is what the entry wants more of."""
    sign = (1.0 if check.direction == "higher" else -1.0) * (1.0 if way == "worse" else -1.0)
    return sign, sign * limit, 1e-9 * abs(limit)


def _reaches(check: Check, way: Way, entry: Accepted) -> bool:
    """Whether the run is no worse (no better) than the value that was accepted."""
    limit = binds(entry, check, way)
    if limit is None or check.head is None:
        return False
    sign, bound, slack = _oriented(check, way, limit)
    return sign * check.head >= bound - slack


def _spent(check: Check, way: Way, entry: Accepted, yes: Yes) -> bool:
    """Whether the entry has done its work: main itself has arrived at the value.

    Of a loss that is where the baseline is no better than the value any more. An improvement that is asked for may be forgone by a run
    that is better than its baseline, or equal: that such an entry was merged is seen by its standing on the base branch. Limits ask
    nothing of the baseline, and doubt may be accepted of a run that is better than it.
    """
    limit = binds(entry, check, way)
    if limit is None or check.baseline is None or check.reason in OWN:
        return False
    sign, bound, slack = _oriented(check, way, limit)
    if way == "worse" and check.improve is not None:
        return entry in yes.standing and sign * check.baseline >= bound - slack
    return check.verdict == "fail" and sign * check.baseline <= bound + slack


def _bound(check: Check, entry: Accepted, way: Way) -> str:
    """`down to 0.941, until 2026-12-31`."""
    limit = binds(entry, check, way)
    side = "down to" if limit == entry.down_to and entry.down_to is not None else "up to"
    return f"{side} {words.trimmed(limit or 0.0, 6)}" + (f", until {entry.until}" if entry.until else "")


def _why_not(check: Check, entry: Accepted, yes: Yes) -> str | None:
    """Why an entry that names the check does not help it."""
    said = f"`accepted:` of {entry.check}"
    if not live(entry, yes.today):
        return f"{said} ended on {entry.until}"
    if check.head is None:
        return f"{said} is bound to a value, and this run has none"
    bound = [way for way in ways(check) if binds(entry, check, way) is not None]
    if not bound:
        key = "down-to" if (check.direction == "higher") == ("worse" in ways(check)) else "up-to"
        return f"{said} binds the other side: what is in the way needs `{key}`"
    if not any(_reaches(check, way, entry) for way in bound):
        return f"{said} goes {_bound(check, entry, bound[0]).partition(',')[0]}, and this run has {words.trimmed(check.head, 6)}"
    if any(_spent(check, way, entry, yes) for way in bound) and check.baseline is not None:
        return f"{said} has done its work: the baseline is at {words.trimmed(check.baseline, 6)} already"
    return None
