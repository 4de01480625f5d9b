"""From a measured difference and what is allowed to a check with its verdict. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from mlops_toolkit.gate import needed, parts
from mlops_toolkit.gate.bounds import Bounds
from mlops_toolkit.records.result import Check, Needs
from mlops_toolkit.stats.metric import Direction
from mlops_toolkit.stats.paired import Paired


@dataclass(frozen=True)
class Subject:
    """What is judged, as far as judging needs to know it (see stats.metric.Metric)."""

    name: str
    direction: Direction
    signature: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Judged:
    """A check, and the probability of a result like this if it were no worse than allowed (for Holm; None: not a statistical claim).

    needs: what would show at a stricter confidence that it fails
    """

    check: Check
    p: float | None = None
    needs: Callable[[float], Needs | None] = field(default=lambda confidence: None, compare=False, repr=False)


def measured(subject: Subject, paired: Paired, bounds: Bounds, *, slice_name: str | None, confidence: float, same: bool = False) -> Judged:
    """Judge a metric that was computed from predictions on both sides (or on the head alone: then `paired.baseline` is None).

    same: both sides are one model with the same answers: the change is exactly 0, whatever the sample size.
    """
    if same and paired.baseline is not None:
        paired = replace(paired, change=0.0, low=0.0, high=0.0, reason=None, message=None, method="exact")
    small = slice_name is not None and paired.n < (bounds.least or 0)
    part = (parts.too_small(paired, bounds) if small else None) or parts.by_interval(paired, bounds, confidence)
    check = Check(
        metric=subject.name,
        slice=slice_name,
        signature=subject.signature,
        direction=subject.direction,
        baseline=paired.baseline,
        head=paired.head,
        change=paired.change,
        low=paired.low,
        high=paired.high,
        confidence=confidence,
        n=paired.n,
        margin=bounds.margin,
        improve=bounds.improve,
        gain=bounds.gain,
        min=bounds.min,
        max=bounds.max,
        verdict=part.verdict,
        leaning=part.leaning,
        severity=bounds.severity if bounds.asked else "info",  # type: ignore[arg-type]  # one of Severity, as config typed it
        reason=part.reason,
        message=part.message,
        needs=needed.of(paired, bounds, part, confidence),
        unit=subject.unit,
        method=paired.method,
        head_low=paired.head_low,
        head_high=paired.head_high,
        disagree=paired.disagree if paired.baseline is not None else None,
        better=paired.better if paired.baseline is not None else None,
        worse=paired.worse if paired.baseline is not None else None,
        must=bounds.must,
        training=paired.luck.training if paired.luck else None,
    )
    return Judged(check, part.p, lambda stricter: needed.at(paired, bounds, stricter, confidence))


def new(judged: Judged) -> Judged:
    """A check of a change that waits although there is a baseline: that does not have this metric."""
    if judged.check.reason != "first-run":  # `min` or `max` decided
        return judged
    return replace(
        judged, check=replace(judged.check, reason="metric-new", message="the baseline does not have it: what is asked of its change waits")
    )


def as_warning(judged: Judged) -> Judged:
    """A check of what `warn:` asks: beside the metric's own, seen only where it has something to say, and never in the way."""
    return Judged(replace(judged.check, severity="warn", warning=True, suggested=None))


def scalar(
    name: str,
    *,
    baseline: float | None,
    head: float | None,
    bounds: Bounds,
    direction: Direction,
    unit: str = "",
    kind: Literal["metric", "measure"] = "metric",
    blocks_on_change: bool = True,
    note: str | None = None,
    signature: str = "",
) -> Judged:
    """Judge a number that came without examples: by threshold alone, and the check says that noise was not tested.

    blocks_on_change=False: a single noisy number (latency), or one from other hardware, is shown and never blocks on its change.
    """
    sign = 1.0 if direction == "higher" else -1.0
    change = None if baseline is None or head is None else sign * (head - baseline) + 0.0
    untested = note or "one number without examples: noise was not tested"
    part = parts.by_threshold(change, baseline, head, bounds, untested, blocks=blocks_on_change)
    severity = bounds.severity if bounds.asked else "info"
    if part.reason == "noisy-single" and severity == "gate":
        severity = "warn"
    check = Check(
        metric=name,
        signature=signature,
        direction=direction,
        baseline=baseline,
        head=head,
        change=change,
        n=0,
        margin=bounds.margin,
        improve=bounds.improve,
        gain=bounds.gain,
        min=bounds.min,
        max=bounds.max,
        verdict=part.verdict,
        leaning=part.leaning,
        severity=severity,  # type: ignore[arg-type]
        reason=part.reason,
        message=part.message,
        unit=unit,
        kind=kind,
        method="threshold",
    )
    return Judged(check)
