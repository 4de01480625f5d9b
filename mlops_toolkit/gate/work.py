"""What grows while a comparison is made, and whose bounds count for a check. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_toolkit.config.quantities import Better
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.gate import bounds as bounds_of
from mlops_toolkit.gate import whole
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.request import Request
from mlops_toolkit.records.result import Charts, Examples


@dataclass
class Work:
    """What grows while the suites are gone through.

    states   suite -> how it is measured otherwise than the baseline's was; unlike: of those, the ones that nothing is decided by
    """

    judged: list[Judged] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    charts: Charts = field(default_factory=Charts)
    notes: list[str] = field(default_factory=list)
    loosened: list[str] = field(default_factory=list)
    proposals: dict[str, float] = field(default_factory=dict)
    state: str | None = None
    states: dict[str, str] = field(default_factory=dict)
    unlike: dict[str, str] = field(default_factory=dict)


def effective(
    work: Work,
    request: Request,
    full: str,
    direction: Better,
    baseline: float | None,
    head_rule: Rule | None,
    base_rule: Rule | None,
    slice_name: str | None,
) -> bounds_of.Bounds:
    def made(rule: Rule | None) -> bounds_of.Bounds:
        inner = rule.slices if rule and slice_name else rule
        return bounds_of.resolve(full, inner, direction=direction, baseline=baseline, severity=rule.severity if rule else "gate")

    mine = made(head_rule)
    if request.base_config is None:
        return mine
    theirs = made(base_rule)
    if request.forks_gate:
        return theirs
    strict, loosened = bounds_of.stricter(theirs, mine)
    if not loosened:
        return mine
    said = f"{full}{' slices' if slice_name else ''} {bounds_of.shown(theirs)} → {bounds_of.shown(mine)}"
    if said not in work.loosened:
        work.loosened.append(said)
    return mine if whole.accepts_gate(request.config.accepted, request.today) else strict
