"""How far off the values of very many examples may be, so that their scores are counted by bins and not sorted. Pure.

A certified error of a tenth of what is allowed decides nothing: the interval has room for it, and what it leaves open is undecided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.gate.align import Both
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work
from mlops_toolkit.stats.paired import Paired

MANY = 1_000_000  # examples, of which sorting takes a tenth of a second
FAMILY = "roc-auc"  # average precision hangs on the order of the very first, which bins tell badly: sorting is quicker
_LEAST = 0.001  # a margin, where none is smaller: values are shown to so many digits


def allowed(request: Request, suite: str, both: Sides, metrics: Sequence[MetricRequest]) -> Sides:
    """The sides, which may compute that inexactly; where anything is asked in per cent of the baseline, or nothing may be lost, exactly.

    The margins of this run's configuration and of the base branch's count alike, whichever of them decides.
    """
    if not isinstance(both, Both) or both.head.n < MANY:
        return both
    tolerance = dict[str, float]()
    for metric in metrics:
        full = f"{suite}/{metric.name}" if suite else metric.name
        rules = [config.gate.get(full) for config in (request.config, request.base_config) if config is not None]
        margins = [margin for rule in rules for margin in _margins(rule)]
        if metric.family == FAMILY and not any(margin.relative for margin in margins):
            tolerance[metric.name] = min((_LEAST, *(margin.value for margin in margins))) / 10
    return replace(both, tolerance=tolerance)


def _margins(rule: Any) -> Iterator[Margin]:
    """All that a rule says of changes, whatever they are held against."""
    if isinstance(rule, Margin):
        yield rule
    elif is_dataclass(rule):
        for one in fields(rule):
            if one.name not in ("slices", "gap"):  # whose examples are sorted
                yield from _margins(getattr(rule, one.name))
    elif isinstance(rule, Mapping):
        for one in rule.values():
            yield from _margins(one)


def noted(work: Work, full: str, both: Sides, one: Paired) -> None:
    """Says in `work` how far off the values of a metric on all rows may be, where they may; sides in blocks say it themselves."""
    if one.bound and isinstance(both, Both):
        work.notes.append(said(full, one.bound))


def said(name: str, off: float) -> str:
    """How far off a metric's values may be, as a sentence."""
    return (
        f"{name}: so many examples are counted by bins of the score, not sorted; its values are right to within ±{up(off)}, "
        "and its intervals are wider by that"
    )


def up(bound: float) -> str:
    """One digit of a bound, and never less than it."""
    text = f"{bound:.1g}"
    if float(text) < bound:
        text = f"{float(text) + 10.0 ** int(f'{bound:.0e}'.partition('e')[2]):.1g}"
    return text
