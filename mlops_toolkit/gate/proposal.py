"""What to do next: margins that this test set can decide, a gate to paste, lines that accept what failed, the examples that would decide. Pure."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal

from mlops_toolkit.config.check_rules import WIDE
from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate.acceptance import ways
from mlops_toolkit.gate.whole import is_gated
from mlops_toolkit.records.result import Check, Next, Result, name_of
from mlops_toolkit.stats import power
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.sample import Sample

ACCEPTED_FOR = timedelta(days=30)


def margin(metric: Metric, paired: Paired, head: Sample, confidence: float) -> float | None:
    """The smallest margin that a harmless change passes nine times in ten on this test set; None where no interval may decide."""
    if paired.head is None or (paired.reason and paired.baseline is not None):
        return None
    if paired.baseline is not None:
        return power.suggest_margin(paired, confidence=confidence)
    return power.proposal(metric, head, confidence=confidence)


def next_steps(result: Result, config: Config, today: date, *, configured: bool = True, options: str = "") -> Next:
    """What stands at the end of the comment.

    configured: there is a mlops.yaml that lines could be added to; options: of the command that compares the same again.
    """
    gated = any(is_gated(check) for check in result.checks)
    base = result.baseline.commit
    return Next(
        reproduce=f"mlops compare {base[:7]}{options}" if base else None,
        accept=_accept(result, today) if result.blocks and configured else None,
        gate=None if gated or config.gate else _gate(result),
        more_data=tuple(
            _more(check)
            for check in result.checks
            if check.verdict == "inconclusive"
            and check.slice is None
            and check.needs
            and check.needs.n
            and not check.needs.together
            and is_gated(check)
        ),
    )


def _more(check: Check) -> str:
    needs = check.needs
    assert needs is not None and needs.n is not None  # noqa: S101, PT018  # the caller has looked
    have = needs.there(check.n)
    seen = ", if it is what it looks like" if needs.as_seen else ""
    return f"+{max(needs.n - have, 1):,} {needs.of} would decide {name_of(check)} (have {have:,}){seen}"


def _accept(result: Result, today: date) -> str | None:
    """`accepted:` lines for what blocks, bound to the value seen, for thirty days: failures, and the doubts that the policy stops at."""
    lines = ["accepted:"]
    for check in result.checks:
        stops = check.leaning == "beyond" or result.policy == "fail"
        blocking = check.verdict == "fail" or (check.verdict == "inconclusive" and stops and (check.slice is None or check.must))
        if not (is_gated(check) and blocking and check.accepted is None and check.head is not None):
            continue
        for way in ways(check):
            down = (check.direction == "higher") == (way == "worse")
            lines.append(f"  - check: {quoted(name_of(check))}")
            lines.append(f"    {'down-to' if down else 'up-to'}: {_floor(check.head) if down else -_floor(-check.head):g}")
            lines.append("    reason: why this is fine")
            lines.append(f"    until: {(today + ACCEPTED_FOR).isoformat()}")
    return "\n".join(lines) if len(lines) > 1 else None


def _floor(value: float) -> float:
    """The value cut to four significant digits towards worse, so that the very run that is accepted is within it."""
    exact = Decimal(repr(value))
    step = Decimal(1).scaleb(exact.adjusted() - 3)
    return float((exact / step).to_integral_value(ROUND_FLOOR) * step)


def _gate(result: Result) -> str | None:
    """A ready `gate:` block of margins this test set can decide nine times in ten."""
    lines = ["gate:"]
    for check in result.checks:
        if check.slice is None and check.suggested is not None and check.kind == "metric":
            key = "max-drop" if check.direction == "higher" else "max-rise"
            value = check.head if check.baseline is None else check.baseline
            lines.append(f"  {quoted(check.metric)}: {{{key}: {shown_margin(check.suggested, check.unit, value)}}}")
    return "\n".join(lines) if len(lines) > 1 else None


def shown_margin(value: float, unit: str, of: float | None = None) -> str:
    """`1.5pp` for a fraction, else a plain number, as mlops.yaml reads it back.

    So wide that mlops.yaml would ask "did you mean 1pp?", it is written as a share of the metric's value `of`, rounded up.
    """
    if unit == "fraction" and value >= WIDE and of:
        return f"{math.ceil(value / abs(of) * 100)}%"
    return f"{round(value * 100, 6):g}pp" if unit == "fraction" else f"{value:g}"


def quoted(name: str) -> str:
    """A YAML key or value: bare where that is safe, else quoted as JSON, which YAML reads too."""
    plain = name.isascii() and name[:1].isalpha() and all(c.isalnum() or c in "-_/.:" for c in name) and not name.endswith(":")
    return (
        name
        if plain and name.casefold() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
        else json.dumps(name, ensure_ascii=False)
    )
