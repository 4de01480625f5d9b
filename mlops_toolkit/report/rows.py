"""A check as the rows of every table show it: its numbers as words, its verdict as an icon and a word, and how bad it is."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from mlops_toolkit.records.result import Check, Needs, Result, name_of
from mlops_toolkit.report import escape, gaps, words

Tone = Literal["bad", "ask", "open", "good", "plain"]
ICONS: dict[Tone, str] = {"bad": "❌", "ask": "⚠️", "open": "➖", "good": "✅", "plain": "ℹ️"}
_RANK: dict[Tone, int] = {"bad": 0, "ask": 1, "open": 2, "good": 3, "plain": 4}


@dataclass(frozen=True)
class Row:
    """One check in words; `name`, `why` and everything else is unescaped text."""

    check: Check
    name: str
    baseline: str
    head: str
    change: str
    allowed: str
    tone: Tone
    word: str
    why: str | None

    @property
    def icon(self) -> str:
        """The verdict's icon."""
        return ICONS[self.tone]


def name(check: Check) -> str:
    """`accuracy`, `accuracy [language=de]` on a slice, `accuracy (warning)` of what only warns: but for that, the words of `accepted:`."""
    return name_of(check) + (" (warning)" if check.warning else "")


def is_seen(check: Check) -> bool:
    """Whether it has a row: what only warns has one where it is broken, or in doubt and beyond."""
    return not check.warning or check.verdict == "fail" or (check.verdict == "inconclusive" and check.leaning == "beyond")


def asked(check: Check) -> float | None:
    """The least change that is allowed, + for better: minus the margin, or the improvement that is asked for; None where there is none."""
    return check.improve if check.improve is not None else None if check.margin is None else -check.margin


def shown(check: Check) -> tuple[float | None, float | None, float | None]:
    """change, low and high in the metric's own direction (head − baseline), as a reader checks them; the record has + for better."""
    if check.direction == "higher":
        return check.change, check.low, check.high
    return _turned(check.change), _turned(check.high), _turned(check.low)


def _turned(number: float | None) -> float | None:
    return None if number is None else 0.0 - number


def is_small_slice(check: Check) -> bool:
    """A slice that says nothing and does not have to: counted, not shown as undecided."""
    return check.slice is not None and check.verdict == "inconclusive" and not check.must and check.reason != "multiplicity"


def limit(check: Check) -> str | None:
    """`below 0.8` or `above 50 ms` where the head's value is outside its absolute bounds."""
    if check.head is None:
        return None
    if check.min is not None and check.head < check.min:
        return f"below {words.value(check.min, '' if check.unit == 'fraction' else check.unit)}"
    if check.max is not None and check.head > check.max:
        return f"above {gaps.most(check) if gaps.is_gap(check) else words.value(check.max, '' if check.unit == 'fraction' else check.unit)}"
    return None


def status(check: Check, policy: str = "ask") -> tuple[Tone, str]:
    """The verdict as a tone and a word."""
    if check.verdict == "fail":
        word = _failing(check)
        if check.accepted is not None:
            return "plain", f"{word}, accepted"
        return ("bad", word) if check.severity == "gate" else ("plain", f"{word}, {_harmless(check)}")
    if check.verdict == "inconclusive":
        return _undecided(check, policy)
    if check.verdict == "pass":
        if check.improve is not None and check.change is not None:
            return "good", "improved"
        return "good", "not worse" if check.margin is not None and check.change is not None else "within its limits"
    waits = check.verdict == "ungated" and check.baseline is None and (asked(check) is not None or check.gain is not None)
    return "plain", "waits for a baseline" if waits else "ungated"


def _harmless(check: Check) -> str:
    return "only a warning" if check.severity == "warn" else "not gated"


def _failing(check: Check) -> str:
    if check.reason == "suspicious-gain":
        return "suspicious gain"
    if check.improve is not None and check.reason == "not-improved":
        fell = check.change is not None and (check.change if check.high is None else check.high) < 0
        return "worse" if fell else "not improved"
    outside = limit(check) if check.reason in (None, "below-min", "above-max") else None
    return outside or ("worse" if check.change is not None else (check.reason or "failed").replace("-", " "))


def _undecided(check: Check, policy: str) -> tuple[Tone, str]:
    if is_small_slice(check):
        return "open", "too small to say"
    if check.severity != "gate":
        return ("plain", f"leans {_leans(check)}, only a warning") if check.warning else ("open", f"undecided, {_harmless(check)}")
    if check.accepted is not None:
        return "plain", "undecided, accepted"
    if check.slice is not None and not check.must:
        return "open", "may be chance"
    if policy == "fail":
        return "ask", "must be proven"
    if check.leaning == "beyond":
        return ("ask", "needs a yes") if policy == "ask" else ("ask", f"leans {_leans(check)}")
    if check.leaning == "inside":
        return "open", unproven(check)
    return "open", "undecided"


def unproven(check: Check) -> str:
    """What is said of a check that is undecided and lies inside: that no drop was found only where none was."""
    if check.improve is not None:
        return "improvement not proven"
    fell = check.change is not None and check.high is not None and check.change <= check.high < 0
    return "within, not proven" if gaps.is_gap(check) or check.change is None or fell else "no drop found, not proven"


def _leans(check: Check) -> str:
    return "worse" if check.improve is None or (check.change is not None and check.change < 0) else "short"


def row(check: Check, policy: str = "ask") -> Row:
    """The check in words."""
    return replace(_row(check, policy), check=check)  # of several that are equal, this one


@functools.lru_cache(maxsize=4096)
def _row(check: Check, policy: str) -> Row:
    """Several tables ask for each."""
    change, low, high = shown(check)
    tone, word = status(check, policy)
    baseline, head = _sides(check, low, high)
    return Row(
        check=check,
        name=name(check),
        baseline=baseline,
        head=head,
        change=words.change(change, low, high, check.unit),
        allowed=allowed(check),
        tone=tone,
        word=word,
        why=why(check),
    )


def _sides(check: Check, low: float | None, high: float | None) -> tuple[str, str]:
    """The two values, with the digits that the interval of their change, or else of the head's value, supports."""
    if gaps.is_gap(check):  # the gap's own interval decides about it, so it is shown
        return gaps.size(check, check.baseline), gaps.size(check, check.head, check.head_low, check.head_high)
    ends = (low if low is not None else check.head_low, high if high is not None else check.head_high)
    return words.value(check.baseline, check.unit, low=low, high=high), words.value(check.head, check.unit, low=ends[0], high=ends[1])


def mine(result: Result) -> list[Check]:
    """The checks against the baseline; those against a release or a pinned run stand apart."""
    return [check for check in result.checks if check.against is None]


def is_first(result: Result) -> bool:
    """Whether nothing could be compared: then values and what could be asked of them are shown, not changes."""
    return all(c.baseline is None and c.change is None for c in mine(result))


def alone(check: Check) -> tuple[str, str]:
    """The interval of the head's own value, and the smallest margin that this test set can decide; empty where unknown."""
    low, high = check.head_low, check.head_high
    if gaps.is_gap(check):  # its interval stands with its size
        return "", ""
    interval = (
        "" if low is None or high is None else "[{}, {}]".format(*(words.value(v, check.unit, low=low, high=high) for v in (low, high)))
    )
    margin = "" if check.suggested is None else f"{words.margin(check.suggested, check.unit, sign=False)}{words.suffix(check.unit)}"
    return interval, margin


def allowed(check: Check) -> str:
    """`−1.0 pp`, `at least +1.0 pp, at most +10.0 pp`, `−1.0 pp, ≥ 0.8`, `+10 ms, ≤ 50 ms`; empty where nothing is asked."""
    parts = []
    unit = "" if check.unit == "fraction" else check.unit
    if check.improve is not None:
        parts.append(f"at least {signed(check, check.improve)}{words.suffix(check.unit)}")
    elif check.margin is not None:
        parts.append(signed(check, -check.margin) + words.suffix(check.unit))
    if check.gain is not None:
        parts.append(f"at most {signed(check, check.gain)}{words.suffix(check.unit)}")
    if check.min is not None:
        parts.append(f"≥ {words.value(check.min, unit)}")
    if check.max is not None:
        parts.append(f"≤ {gaps.most(check) if gaps.is_gap(check) else words.value(check.max, unit)}")
    return ", ".join(parts)


def signed(check: Check, change: float) -> str:
    """A change that is allowed or asked for, + for better, as it would stand in the table: `−1.0` of what should be high, `+4.0` of what should be low."""
    return words.margin(change if check.direction == "higher" else -change, check.unit)


def why(check: Check) -> str | None:
    """What a reader must know beside the numbers: the reason, what would decide it, who accepted it."""
    parts = []
    if check.message and (gaps.is_gap(check) or check.reason not in ("below-min", "above-max")):  # the word says it already
        parts.append(check.message.rstrip("."))
    if check.accepted is not None:
        parts.append(f"accepted{f' {check.accepted_as}' if check.accepted_as else ''}: {check.accepted}")
    elif needed := needs(check):
        parts.append(needed)
    return "; ".join(parts) or None


def said_yes(result: Result) -> tuple[str, ...]:
    """What was accepted of a run: `accuracy down to 0.941, until 2026-12-31: new label set`."""
    return tuple(f"{name_of(c)} {c.accepted_as or ''}".rstrip() + f": {c.accepted}" for c in result.checks if c.accepted is not None)


def needs(check: Check) -> str | None:
    """`deciding it needs about 12,600 examples (have 2,000), or a margin of 1.3 pp`, or what else would decide it."""
    found = check.needs
    if found is None:
        return None
    ways = [" and ".join(_numbers(check, found))] if found.together else _numbers(check, found)
    if found.margin is not None:
        ways.append(f"a margin of {words.margin(found.margin, check.unit, sign=False, digits=2)}{words.suffix(check.unit)}")
    if found.improve is not None:
        ways.append(
            f"an improvement of {words.margin(found.improve, check.unit, sign=False, digits=2)}{words.suffix(check.unit)} asked for"
        )
    if found.limit is not None:
        side = "min" if check.reason == "near-min" or check.max is None else "max"
        ways.append(f"a {side} of {gaps.most(replace(check, max=found.limit)) if gaps.is_gap(check) else words.trimmed(found.limit, 3)}")
    if check.verdict == "pass":
        return f"{', or '.join(ways)} would show it" if ways else None
    return f"deciding it needs {', or '.join(ways)}" if ways else found.instead


def _numbers(check: Check, found: Needs) -> list[str]:
    """How many examples, and how many trainings."""
    made = []
    if found.n is not None:
        seen = " if it is what it looks like" if found.as_seen else ""
        made.append(f"about {found.n:,} {escape.clean(found.of, 60)} (have {found.there(check.n):,}){seen}")
    if found.seeds is not None:
        made.append(f"{found.seeds} seeds (have {found.have_seeds})")
    return made


def excess(check: Check) -> float:
    """How far the change lies beyond what is allowed, in half-widths of its interval (in margins, or of the value, without one)."""
    if check.change is None:
        return float("inf") if check.verdict == "fail" else float("-inf")
    beyond = (asked(check) or 0.0) - check.change
    if check.reason == "suspicious-gain" and check.gain is not None:
        beyond = check.change - check.gain
    half = words.half(check.low, check.high)
    by = half or check.margin or abs(check.baseline or 0.0) or 1.0
    return beyond / by


def ordered(checks: Iterable[Check], policy: str = "ask") -> tuple[Row, ...]:
    """Worst first: by verdict, then whole metrics before gaps and slices, then by how far beyond the margin; equal ones keep their order."""
    made = [row(check, policy) for check in checks if is_seen(check)]
    return tuple(sorted(made, key=lambda r: (_rank(r), r.check.slice is not None, gaps.is_gap(r.check), -excess(r.check))))


def _rank(row: Row) -> int:
    return _RANK["open" if row.check.warning else row.tone]


def overall(result: Result) -> tuple[Row, ...]:
    """The rows of the first table: whole metrics and measures, and those slices that stop the merge or ask."""
    return ordered((c for c in mine(result) if c.slice is None or status(c, result.policy)[0] in ("bad", "ask")), result.policy)


def slices(result: Result) -> tuple[Row, ...]:
    """All slices, worst first."""
    return ordered((c for c in mine(result) if c.slice is not None), result.policy)


def tone(result: Result) -> Tone:
    """The tone of the whole: of its verdict, or `plain` where nothing is gated; an error is `bad`."""
    if result.error is not None or result.verdict is None or result.gate == "failed":
        return "bad"
    if result.verdict == "fail":
        return "plain" if result.gate == "passed" else "bad"
    if result.verdict == "inconclusive":
        leaning = any(status(c, result.policy)[0] == "ask" for c in result.checks)
        return "ask" if result.blocks or leaning else "open"
    return "good" if result.verdict == "pass" else "plain"
