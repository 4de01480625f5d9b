"""What grows while a comparison is made, and whose bounds count for a check. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_toolkit.config.quantities import Better
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.gate import bounds as bounds_of
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.request import Request
from mlops_toolkit.records.result import Charts, Examples, Search


@dataclass
class Work:
    """What grows while the suites are gone through.

    states   suite -> how it is measured otherwise than the baseline's was; unlike: of those, the ones that nothing is decided by
    shows    whether examples and curves are wanted too
    """

    judged: list[Judged] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    discovered: Search = field(default_factory=Search)
    charts: Charts = field(default_factory=Charts)
    notes: list[str] = field(default_factory=list)
    loosened: list[str] = field(default_factory=list)
    proposals: dict[str, float] = field(default_factory=dict)
    state: str | None = None
    states: dict[str, str] = field(default_factory=dict)
    unlike: dict[str, str] = field(default_factory=dict)
    shows: bool = True

    def loosen(self, said: str) -> None:
        """Note, once, that the head's gate asks less than the base branch's."""
        if said not in self.loosened:
            self.loosened.append(said)


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
    """What a metric's rule asks of it, or of one of its slices."""
    mine, theirs = ((rule.slices if rule and slice_name else rule) for rule in (head_rule, base_rule))
    severities = (head_rule.severity if head_rule else "gate", base_rule.severity if base_rule else "gate")
    said = f"{full}{' slices' if slice_name else ''}"
    return held(work, request, said, direction, baseline, mine, theirs, severities=severities)


def warning(
    work: Work, request: Request, full: str, direction: Better, baseline: float | None, head_rule: Rule | None, base_rule: Rule | None
) -> bounds_of.Bounds | None:
    """What `warn:` of a metric's rule asks: a check of its own, that never blocks; None where nothing is."""
    mine, theirs = ((rule.warn if rule else None) for rule in (head_rule, base_rule))
    if mine is None and theirs is None:
        return None
    found = held(work, request, f"{full} warn", direction, baseline, mine, theirs, severities=("warn", "warn"))
    return found if found.asked else None


def held(
    work: Work,
    request: Request,
    said: str,
    direction: Better,
    baseline: float | None,
    mine: bounds_of.AnyRule | None,
    theirs: bounds_of.AnyRule | None,
    *,
    severities: tuple[str, str] = ("gate", "gate"),
) -> bounds_of.Bounds:
    """Of the head's rule and the base branch's the one that counts; where the head's is looser that is noted, under the name `said`."""
    if request.base_config is None:
        return bounds_of.resolve(said, mine, direction=direction, baseline=baseline, severity=severities[0])
    # Where the head turned the metric's direction round, each rule still means what it said: that is told elsewhere, and stops nothing here.
    one, other = (
        bounds_of.resolve(said, rule, direction=bounds_of.direction_of(rule) or direction, baseline=baseline, severity=severity)
        for rule, severity in zip((mine, theirs), severities, strict=True)
    )
    if request.forks_gate:
        return other
    strict, loosened = bounds_of.stricter(other, one)
    if not loosened:
        return one
    work.loosen(f"{said} {bounds_of.shown(other)} → {bounds_of.shown(one)}")
    return one if request.lets_go else strict
