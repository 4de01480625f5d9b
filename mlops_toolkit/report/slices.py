"""Slices in the comment and the page: the worst of those declared before the rest, and those that nobody declared but that got worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlops_toolkit.records.result import Check, Discovered, Result
from mlops_toolkit.report import escape, rows, words

OPEN = 3  # declared slices that are shown without unfolding


@dataclass(frozen=True)
class Found:
    """One discovered slice in words, unescaped; `where`: pairs of column and value."""

    where: Sequence[tuple[str, str]]
    metric: str
    baseline: str
    head: str
    change: str
    n: str


def worst(result: Result) -> tuple[rows.Row, ...]:
    """A few of the declared slices, worst first, that lie beyond what is allowed without being in the first table."""
    first = {id(row.check) for row in rows.overall(result)}
    beyond = [row for row in rows.slices(result) if id(row.check) not in first and _beyond(row.check)]
    beyond.sort(key=lambda row: row.check.reason == "too-small")
    return tuple(beyond[:OPEN])


def _beyond(check: Check) -> bool:
    """Whether its estimate is worse than is allowed, though that may be chance."""
    return check.verdict in ("fail", "inconclusive") and check.margin is not None and rows.excess(check) > 0


def say(every: Sequence[rows.Row]) -> str:
    """How many there are, and of those that are judged, of how many nothing can be said: `6 of 7 too small to say, 21 ungated`."""
    small = sum(rows.is_small_slice(row.check) for row in every)
    ungated = sum(row.check.verdict == "ungated" for row in every)
    if not small:
        return f"{len(every):,}"
    return f"{small:,} of {len(every) - ungated:,} too small to say" + (f", {ungated:,} ungated" if ungated else "")


def found(result: Result) -> tuple[Found, ...]:
    """The discovered slices, worst first."""
    return tuple(_found(one) for one in result.discovered.found)


def _found(one: Discovered) -> Found:
    sign = 1.0 if one.direction == "higher" else -1.0
    low, high = (one.low, one.high) if one.direction == "higher" else (one.high, one.low)
    low, high = (None if end is None else sign * end for end in (low, high))
    return Found(
        where=tuple(one.where.items()),
        metric=one.metric,
        baseline=words.value(one.baseline, one.unit, low=low, high=high),
        head=words.value(one.head, one.unit, low=low, high=high),
        change=words.change(sign * one.change, low, high, one.unit),
        n=f"{one.n:,}",
    )


def found_line(one: Found) -> str:
    """A row of the comment's table."""
    where = " and ".join(f"{escape.inline(column, 40)} = {escape.code(value, 40, cell=True)}" for column, value in one.where)
    cells = [where, escape.inline(one.metric, 60), *map(escape.number, (one.baseline, one.head, one.change)), one.n]
    return f"| {' | '.join(cells)} |"


def found_header(left: str, right: str) -> str:
    """The two first lines of that table; the names are escaped."""
    return f"| where | metric | {left} | {right} | change | examples |\n| :-- | :-- | --: | --: | --: | --: |"


def found_say(result: Result, escaped: Callable[[str, int], str] = escape.inline) -> str:
    """How it was searched, and how far it is to be believed. escaped: what makes a name harmless where this is to stand."""
    search = result.discovered
    columns = words.listed([escaped(name, 40) for name in search.columns], most=8)
    return (
        f"Found by searching {words.count(search.looked_at, 'slice')} of {columns}, one column or two at a time. Of what is found "
        "like this about 1 in 20 is chance. It decides nothing; a slice that matters belongs under `slices:`."
    )
