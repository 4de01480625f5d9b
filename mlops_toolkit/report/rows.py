"""A check as the rows of every table show it: its numbers as words, its verdict as an icon and a word, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.report import words

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
    """`accuracy`, or `accuracy [language=de]` on a slice: the words `accepted:` uses too."""
    return check.metric if check.slice is None else f"{check.metric} [{check.slice}]"


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
        return f"above {words.value(check.max, '' if check.unit == 'fraction' else check.unit)}"
    return None


def status(check: Check, policy: str = "ask") -> tuple[Tone, str]:
    """The verdict as a tone and a word."""
    if check.verdict == "fail":
        outside = limit(check) if check.reason in (None, "below-min", "above-max") else None
        word = outside or ("worse" if check.change is not None else (check.reason or "failed").replace("-", " "))
        if check.accepted is not None:
            return "plain", f"{word}, accepted"
        return ("bad", word) if check.severity == "gate" else ("plain", f"{word}, not gated")
    if check.verdict == "inconclusive":
        if is_small_slice(check):
            return "open", "too small to say"
        if check.severity != "gate":
            return "open", "undecided, not gated"
        if check.accepted is not None:
            return "plain", "undecided, accepted"
        if check.slice is not None and not check.must:
            return "open", "may be chance"
        if policy == "fail":
            return "ask", "must be proven"
        if check.leaning == "beyond":
            return ("ask", "needs a yes") if policy == "ask" else ("ask", "leans worse")
        return "open", "no drop found, not proven" if check.leaning == "inside" else "undecided"
    if check.verdict == "pass":
        return "good", "not worse" if check.margin is not None and check.change is not None else "within its limits"
    return "plain", "ungated"


def row(check: Check, policy: str = "ask") -> Row:
    """The check in words."""
    change, low, high = shown(check)
    tone, word = status(check, policy)
    return Row(
        check=check,
        name=name(check),
        baseline=words.value(check.baseline, check.unit, low=low, high=high),
        head=words.value(
            check.head, check.unit, low=low if low is not None else check.head_low, high=high if high is not None else check.head_high
        ),
        change=words.change(change, low, high, check.unit),
        allowed=allowed(check),
        tone=tone,
        word=word,
        why=why(check),
    )


def is_first(result: Result) -> bool:
    """Whether nothing could be compared: then values and what could be asked of them are shown, not changes."""
    return all(c.baseline is None and c.change is None for c in result.checks)


def alone(check: Check) -> tuple[str, str]:
    """The interval of the head's own value, and the smallest margin that this test set can decide; empty where unknown."""
    low, high = check.head_low, check.head_high
    interval = (
        "" if low is None or high is None else "[{}, {}]".format(*(words.value(v, check.unit, low=low, high=high) for v in (low, high)))
    )
    margin = "" if check.suggested is None else f"{words.margin(check.suggested, check.unit, sign=False)}{words.suffix(check.unit)}"
    return interval, margin


def allowed(check: Check) -> str:
    """`−1.0 pp`, `−1.0 pp, ≥ 0.8`, `+10 ms, ≤ 50 ms`; empty where nothing is asked."""
    parts = []
    unit = "" if check.unit == "fraction" else check.unit
    if check.margin is not None:
        parts.append(signed_margin(check) + words.suffix(check.unit))
    if check.min is not None:
        parts.append(f"≥ {words.value(check.min, unit)}")
    if check.max is not None:
        parts.append(f"≤ {words.value(check.max, unit)}")
    return ", ".join(parts)


def signed_margin(check: Check) -> str:
    """The margin as the change it allows: `−1.0` for a metric that should be high, `+4.0` for one that should be low."""
    margin = check.margin or 0.0
    return words.margin(-margin if check.direction == "higher" else margin, check.unit)


def why(check: Check) -> str | None:
    """What a reader must know beside the numbers: the reason, what would decide it, who accepted it."""
    parts = []
    if check.message and check.reason not in ("below-min", "above-max"):  # the word says it already
        parts.append(check.message.rstrip("."))
    if check.accepted is not None:
        parts.append(f"accepted: {check.accepted}")
    if not parts and check.verdict == "inconclusive" and (needed := needs(check)):
        parts.append(needed)
    return "; ".join(parts) or None


def needs(check: Check) -> str | None:
    """`needs about 12,600 examples (have 2,000), or a margin of 1.3 pp`."""
    if check.needs is None:
        return None
    ways = []
    if check.needs.n is not None:
        ways.append(f"about {words.count(check.needs.n, 'example')} (have {check.n:,})")
    if check.needs.margin is not None:
        ways.append(f"a margin of {words.margin(check.needs.margin, check.unit, sign=False, digits=2)}{words.suffix(check.unit)}")
    return f"needs {', or '.join(ways)}" if ways else None


def excess(check: Check) -> float:
    """How far the change lies beyond its margin, in half-widths of its interval (in margins, or of the value, without one)."""
    if check.change is None:
        return float("inf") if check.verdict == "fail" else float("-inf")
    beyond = -check.change - (check.margin or 0.0)
    half = words.half(check.low, check.high)
    by = half or check.margin or abs(check.baseline or 0.0) or 1.0
    return beyond / by


def ordered(checks: Iterable[Check], policy: str = "ask") -> tuple[Row, ...]:
    """Worst first: by verdict, then whole metrics before slices, then by how far beyond the margin; equal ones keep their order."""
    made = [row(check, policy) for check in checks]
    return tuple(sorted(made, key=lambda r: (_RANK[r.tone], r.check.slice is not None, -excess(r.check))))


def overall(result: Result) -> tuple[Row, ...]:
    """The rows of the first table: whole metrics and measures, and those slices that stop the merge or ask."""
    return ordered((c for c in result.checks if c.slice is None or status(c, result.policy)[0] in ("bad", "ask")), result.policy)


def slices(result: Result) -> tuple[Row, ...]:
    """All slices, worst first."""
    return ordered((c for c in result.checks if c.slice is not None), result.policy)


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
