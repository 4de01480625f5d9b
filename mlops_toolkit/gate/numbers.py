"""Numbers without examples: metrics of a metrics file. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlops_toolkit.config import measures as known
from mlops_toolkit.config.quantities import Better
from mlops_toolkit.errors import UsageError
from mlops_toolkit.gate import bounds as bounds_of
from mlops_toolkit.gate import judge, unlike
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.work import Work, effective, warning


def scalars(work: Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    """Metrics that came as numbers, without examples."""
    done = {one.check.metric for one in work.judged}
    for name, value in head.scalars.items():
        if name in done:
            continue
        old = baseline.scalars.get(name) if baseline else None
        if old is None and baseline and baseline.run:
            old = baseline.run.metrics.get(name)
        direction = direction_of(work, request, name)
        number = old.value if old else None
        if direction is None:
            if name in request.config.gate:
                raise UsageError(
                    "direction-unknown",
                    f"nobody said whether a higher or a lower {name} is better",
                    where=f"gate: {name}",
                    hint=f"write `measures: {{{name}: higher}}` (or lower) in mlops.yaml",
                )
            work.notes.append(f"{name}: nobody said whether higher or lower is better; shown, not judged")
        unit = "fraction" if known.bounded_fraction(name) and _looks_like_share(number, value.value) else ""
        for limits, as_it_is in asked_of(work, request, name, direction or "higher", number):
            limits = limits.unanswered() if old and number is None else limits  # it has no value there: in doubt, and not new
            one = judge.scalar(
                name,
                baseline=number,
                head=value.value,
                bounds=limits,
                direction=direction or "higher",
                unit=unit,
                signature=value.signature,
            )
            one = one if baseline is None else judge.new(one)
            if old and old.signature and value.signature and old.signature != value.signature:
                one = _redefined(one, old.signature, asked=limits.asked)
            work.judged.append(as_it_is(unlike.doubted_number(request, name, one)))
    if head.scalars and any(one.check.method == "threshold" for one in work.judged):
        work.notes.append("noise not tested: these numbers came without predictions, so any change counts as real")


def asked_of(
    work: Work, request: Request, name: str, direction: Better, baseline: float | None
) -> list[tuple[bounds_of.Bounds, Callable[[Judged], Judged]]]:
    """What a number's rule asks, and what its `warn:` asks beside it, each with what makes a check of that kind."""
    head_rule = request.config.gate.get(name)
    base_rule = request.base_config.gate.get(name) if request.base_config else None
    beside = warning(work, request, name, direction, baseline, head_rule, base_rule)
    own: tuple[bounds_of.Bounds, Callable[[Judged], Judged]] = (
        effective(work, request, name, direction, baseline, head_rule, base_rule, None),
        lambda judged: judged,
    )
    return [own] if beside is None else [own, (beside, judge.as_warning)]


def _redefined(one: Judged, old: str, *, asked: bool) -> Judged:
    return Judged(
        replace(
            one.check,
            verdict="inconclusive" if asked else "ungated",
            reason="metric-redefined",
            leaning="beyond",
            change=None,
            message=f"defined differently on the baseline ({old})",
        )
    )


def _looks_like_share(*values: float | None) -> bool:
    """A metric file's "accuracy: 97.2" is in percent already: only what lies within ±1 is shown in points."""
    return all(value is None or -1 <= value <= 1 for value in values)


def direction_of(work: Work, request: Request, name: str, recorded: Better | None = None) -> Better | None:
    """Which direction is better: the base branch's word counts against the head's, which could call a loss a gain.

    recorded: what the run's record says, ahead of the head's configuration
    """
    mine = recorded or known.direction(name, request.config)
    base = known.direction(name, request.base_config) if request.base_config else None
    if mine is None or base is None or mine == base:
        return mine or base
    if not request.forks_gate:
        work.loosen(f"{name} better: {base} → {mine}")
    return mine if request.lets_go else base
