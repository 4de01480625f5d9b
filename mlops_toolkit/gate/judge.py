"""From a measured difference and what is allowed to a check with its verdict. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from mlops_toolkit.gate.bounds import Bounds
from mlops_toolkit.records.result import Check, Needs, Verdict
from mlops_toolkit.stats import power, rule
from mlops_toolkit.stats.distributions import critical, normal_tail
from mlops_toolkit.stats.metric import Direction
from mlops_toolkit.stats.paired import Paired

Leaning = Literal["inside", "beyond"]
ORDER: dict[str, int] = {"fail": 0, "inconclusive": 1, "pass": 2, "ungated": 3}


@dataclass(frozen=True)
class Subject:
    """What is judged, as far as judging needs to know it (see stats.metric.Metric)."""

    name: str
    direction: Direction
    signature: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Judged:
    """A check, and the probability of a result like this if it were no worse than allowed (for Holm; None: not a statistical claim)."""

    check: Check
    p: float | None = None


@dataclass(frozen=True)
class _Part:
    verdict: Verdict
    leaning: Leaning | None = None
    reason: str | None = None
    message: str | None = None
    p: float | None = None


def measured(subject: Subject, paired: Paired, bounds: Bounds, *, slice_name: str | None, confidence: float, same: bool = False) -> Judged:
    """Judge a metric that was computed from predictions on both sides (or on the head alone: then `paired.baseline` is None).

    same: both sides are one model with the same answers: the change is exactly 0, whatever the sample size.
    """
    if same and paired.baseline is not None:
        paired = replace(paired, change=0.0, low=0.0, high=0.0, reason=None, message=None, method="exact")
    parts = [
        part
        for part in (
            _against_margin(paired, bounds, confidence),
            _against(paired, bounds.min, "min", confidence),
            _against(paired, bounds.max, "max", confidence),
        )
        if part
    ]
    part = _worst(parts, bounds, paired.reason or (paired.head_state if paired.head is None else None), paired.message)
    needs = _needs(paired, bounds, part, confidence)
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
        min=bounds.min,
        max=bounds.max,
        verdict=part.verdict,
        leaning=part.leaning,
        severity=bounds.severity if bounds.asked else "info",  # type: ignore[arg-type]  # one of Severity, as config typed it
        reason=part.reason,
        message=part.message,
        needs=needs,
        unit=subject.unit,
        method=paired.method,
        head_low=paired.head_low,
        head_high=paired.head_high,
        disagree=paired.disagree if paired.baseline is not None else None,
        better=paired.better if paired.baseline is not None else None,
        worse=paired.worse if paired.baseline is not None else None,
        must=bounds.must,
    )
    return Judged(check, part.p)


def new(judged: Judged) -> Judged:
    """A check whose margin waits although there is a baseline: that does not have this metric."""
    if judged.check.reason != "first-run":  # `min` or `max` decided
        return judged
    return replace(judged, check=replace(judged.check, reason="metric-new", message="the baseline does not have it: its margin waits"))


def _against_margin(paired: Paired, bounds: Bounds, confidence: float) -> _Part | None:
    if bounds.waiting:
        return _Part("ungated", None, "first-run", "its margin waits for a baseline to be held against")
    if bounds.margin is None:
        return None
    if paired.head is None or paired.baseline is None or paired.change is None:
        return _Part("inconclusive", "beyond", paired.reason or paired.head_state, paired.message or "it has no value on one side")
    leaning: Leaning = "beyond" if paired.change < -bounds.margin else "inside"
    if bounds.zero_baseline:
        return _Part("inconclusive", leaning, "zero-baseline", "a share of a baseline of 0 is no margin: write it as a number")
    if paired.method == "exact":
        return _Part("pass", None, "same-model", "the same model: no change at all")
    if paired.reason or paired.low is None or paired.high is None:
        return _Part("inconclusive", leaning, paired.reason, paired.message)
    verdict, lean = rule.decide(paired.change, paired.low, paired.high, bounds.margin)
    return _Part(verdict, lean, p=rule.p_fail(paired, bounds.margin))


def _against(paired: Paired, limit: float | None, side: Literal["min", "max"], confidence: float) -> _Part | None:
    """The head's own value against min or max, by its own interval."""
    if limit is None:
        return None
    if paired.head is None:
        return _Part("inconclusive", "beyond", paired.head_state, paired.message or "it has no value")
    word = "below" if side == "min" else "above"
    if paired.head_low is None or paired.head_high is None:
        sign = 1.0 if side == "min" else -1.0
        leaning: Leaning = "beyond" if sign * paired.head < sign * limit else "inside"
        return _Part("inconclusive", leaning, paired.reason or "no-interval", paired.message or "too few examples for an interval")
    decision = (rule.decide_least if side == "min" else rule.decide_most)(paired.head, paired.head_low, paired.head_high, limit)
    if decision.verdict == "pass":
        return _Part("pass")
    if decision.verdict == "fail":
        return _Part("fail", None, f"{word}-{side}", f"{word} the allowed {limit:g}", _p_beyond(paired, limit, side, confidence))
    return _Part("inconclusive", decision.leaning, f"near-{side}", f"too close to the allowed {limit:g} to say")


def _p_beyond(paired: Paired, limit: float, side: Literal["min", "max"], confidence: float) -> float:
    """One-sided p-value against "not beyond the limit", from the head's own interval taken as normal; for Holm's order alone."""
    assert paired.head is not None and paired.head_low is not None and paired.head_high is not None  # noqa: S101, PT018  # the caller has looked
    error = (paired.head_high - paired.head_low) / (2 * critical(confidence))
    sign = 1.0 if side == "min" else -1.0
    bound = (1 - confidence) / 2
    return min(bound * (1 - 1e-9), normal_tail(sign * (limit - paired.head) / error)) if error > 0 else 0.0


def _worst(parts: list[_Part], bounds: Bounds, reason: str | None, message: str | None) -> _Part:
    """The part that decides; its p is the smallest of them, since any one of them failing fails the check."""
    if not parts:
        return _Part("ungated", None, reason, message)
    judged = [part for part in parts if part.verdict != "ungated"] or parts
    worst = min(judged, key=lambda part: (ORDER[part.verdict], part.leaning != "beyond"))
    known = [part.p for part in parts if part.p is not None]
    waiting = next((part for part in parts if part.verdict == "ungated"), None)
    if waiting and worst.verdict == "pass":
        worst = replace(worst, reason=waiting.reason, message=waiting.message)
    return replace(worst, p=min(known) if known else None)


def _needs(paired: Paired, bounds: Bounds, part: _Part, confidence: float) -> Needs | None:
    unlike = part.reason in ("evaluation-changed", "data-changed")  # no number of examples helps
    if part.verdict != "inconclusive" or bounds.margin is None or paired.change is None or unlike:
        return None
    found = power.needs(paired, bounds.margin, confidence=confidence)
    # Where a harmless change would have been decided by what is here, it is the change that is in doubt: "needs 510 (have 2,000)" helps nobody.
    return found if found.n is None or found.n > paired.n else replace(found, n=None)


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
    parts = [
        part
        for part in (
            _by_threshold(change, max(abs(baseline or 0.0), abs(head or 0.0)), bounds, untested, blocks=blocks_on_change),
            _within(head, bounds.min, "min", untested),
            _within(head, bounds.max, "max", untested),
        )
        if part
    ]
    part = _worst(parts, bounds, None, None)
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


def _by_threshold(change: float | None, size: float, bounds: Bounds, untested: str, *, blocks: bool) -> _Part | None:
    """A change between numbers of this size against its margin; without noise known, the number itself decides."""
    if bounds.waiting:
        return _Part("ungated", None, "first-run", "its margin waits for a baseline to be held against")
    if bounds.margin is None or change is None:
        return None
    slack = 1e-12 * size  # 0.9721 − 0.9621 is not exactly 0.01
    beyond = change < -bounds.margin - slack
    leaning: Leaning = "beyond" if beyond else "inside"
    if bounds.zero_baseline:
        return _Part("inconclusive", leaning, "zero-baseline", "a share of a baseline of 0 is no margin: write it as a number")
    if not blocks:
        return _Part("inconclusive", leaning, "noisy-single", untested)
    return _Part("fail" if beyond else "pass", None, "noise-untested", untested)


def _within(head: float | None, limit: float | None, side: Literal["min", "max"], untested: str) -> _Part | None:
    """One number against min or max."""
    if limit is None or head is None:
        return None
    if head < limit if side == "min" else head > limit:
        word = "below" if side == "min" else "above"
        return _Part("fail", None, f"{word}-{side}", f"{word} the allowed {limit:g}")
    return _Part("pass", None, "noise-untested", untested)


def repeated(
    name: str,
    *,
    baseline: tuple[float, ...],
    head: tuple[float, ...],
    bounds: Bounds,
    direction: Direction,
    unit: str,
    confidence: float,
    same_hardware: bool,
) -> Judged:
    """Judge a measure reported several times on both sides: Welch's interval of the difference of means.

    On other hardware the difference says nothing about the model: it is shown and never blocks (only min and max do).
    """
    means = [math.fsum(values) / len(values) for values in (baseline, head)]
    size = max(abs(v) for v in (*baseline, *head)) or 1.0  # of which differences are a share, so that no power of them over- or underflows
    variances = [
        math.fsum(((v - m) / size) ** 2 for v in values) / (len(values) - 1) / len(values)
        for values, m in zip((baseline, head), means, strict=True)
    ]
    error = math.sqrt(math.fsum(variances))
    sign = 1.0 if direction == "higher" else -1.0
    change = sign * (means[1] - means[0]) + 0.0
    if error == 0:
        note = "the same number every time"
        return scalar(name, baseline=means[0], head=means[1], bounds=bounds, direction=direction, unit=unit, kind="measure", note=note)
    freedom = max(1, math.floor(error**4 / math.fsum(v**2 / (len(vs) - 1) for v, vs in zip(variances, (baseline, head), strict=True))))
    error *= size
    reach = critical(confidence, freedom) * error
    n = len(head)
    own = critical(confidence, n - 1) * math.sqrt(variances[1]) * size
    paired = Paired(
        metric=name,
        n=n,
        baseline=means[0],
        head=means[1],
        change=change,
        low=change - reach,
        high=change + reach,
        standard_error=error,
        method="welch",
        df=freedom,
        head_low=means[1] - own,
        head_high=means[1] + own,
        reason=None if same_hardware else "other-hardware",
        message=None if same_hardware else "measured on other hardware than the baseline: its change cannot block",
    )
    subject = Subject(name=name, direction=direction, unit=unit)
    judged = measured(subject, paired, bounds, slice_name=None, confidence=confidence)
    severity = "warn" if judged.check.reason == "other-hardware" and judged.check.severity == "gate" else judged.check.severity
    return replace(
        judged, check=replace(judged.check, kind="measure", severity=severity, disagree=None, better=None, worse=None, needs=None)
    )
