"""How far groups lie apart, as the rows of every table show it: a difference, so in percentage points where the metric is a share."""

from __future__ import annotations

from mlops_toolkit.records.result import Check
from mlops_toolkit.report import words


def is_gap(check: Check) -> bool:
    """Whether the check is of a gap between groups."""
    return check.method == "gap"


def size(check: Check, value: float | None, low: float | None = None, high: float | None = None) -> str:
    """`8.8 pp`, or with its interval `8.8 pp [5.2, 12.4]`: a size, so without a sign."""
    if value is None:
        return words.NOTHING
    ends = [] if low is None or high is None else [_plain(end, low, high, check.unit) for end in (low, high)]
    text = _plain(value, low, high, check.unit) + words.suffix(check.unit)
    return f"{text} [{', '.join(ends)}]" if ends else text


def most(check: Check) -> str:
    """The largest gap allowed: `5.0 pp`."""
    return "" if check.max is None else f"{words.margin(check.max, check.unit, sign=False)}{words.suffix(check.unit)}"


def _plain(value: float, low: float | None, high: float | None, unit: str) -> str:
    return words.alone(value, low, high, unit).removesuffix(words.suffix(unit)).lstrip("+")
