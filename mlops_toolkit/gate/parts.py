"""What each bound of a check says for itself: the change against margin, improvement and gain, the value against min and max. Pure.

A check is as bad as the worst of its parts. Everything is oriented: + is better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mlops_toolkit.gate.bounds import Bounds
from mlops_toolkit.records.result import Verdict
from mlops_toolkit.stats import rule
from mlops_toolkit.stats.distributions import critical, normal_tail
from mlops_toolkit.stats.paired import Paired

Leaning = Literal["inside", "beyond"]
Side = Literal["min", "max"]
Asked = Literal["change", "min", "max", "gain"]
ORDER: dict[str, int] = {"fail": 0, "inconclusive": 1, "pass": 2, "ungated": 3}
ROUNDING = 1e-12  # 0.9721 − 0.9621 is not exactly 0.01
SUSPICIOUS = "a leak of test data, or a changed test set"


@dataclass(frozen=True)
class Part:
    """One bound's verdict; p: the probability of a result like this if the bound were kept (None: no statistical claim)."""

    verdict: Verdict
    leaning: Leaning | None = None
    reason: str | None = None
    message: str | None = None
    p: float | None = None


ZERO = Part("inconclusive", None, "zero-baseline", "a share of a baseline of 0 is no quantity")
WAITS = Part("ungated", None, "first-run", "it waits for a baseline to be held against")


def by_interval(paired: Paired, bounds: Bounds, confidence: float) -> Part:
    """The whole check where there is an interval, or a reason why there is none."""
    state = paired.reason or (paired.head_state if paired.head is None else None)
    return worst(list(each(paired, bounds, confidence).values()), state, paired.message)


def each(paired: Paired, bounds: Bounds, confidence: float) -> dict[Asked, Part]:
    """What every bound that is asked says; what is worse is told first."""
    found: dict[Asked, Part | None] = {
        "change": _change(paired, bounds),
        "min": _own(paired, bounds.min, "min", confidence),
        "max": _own(paired, bounds.max, "max", confidence),
        "gain": _gain(paired, bounds),
    }
    return {name: part for name, part in found.items() if part}


def too_small(paired: Paired, bounds: Bounds) -> Part | None:
    """The whole check of a slice of fewer examples than `min-examples`: neither its change nor its value is judged.

    Where each slice `must: pass` nothing speaks for it, whatever its estimate. None where nothing is asked, or where it makes no
    difference: of a first run's margins, and where one model answered the same twice.
    """
    absolute = bounds.min is not None or bounds.max is not None
    if not bounds.asked or (not absolute and (bounds.waiting or paired.method == "exact")):
        return None
    inside = not bounds.must and paired.change is not None and paired.change >= (least(bounds) or 0.0)
    message = f"{paired.n:,} examples are fewer than the {bounds.least or 0:,} of min-examples"
    return Part("inconclusive", "inside" if inside else "beyond", "too-small", message)


def worst(parts: list[Part], reason: str | None = None, message: str | None = None) -> Part:
    """The part that decides; its p is the smallest of them, since any one of them failing fails the check (None where one surely does).

    Beside a part that is in order what only waits, or is merely worth a look, is still said. reason, message: where nothing is asked.
    """
    if not parts:
        return Part("ungated", None, reason, message)
    judged = [part for part in parts if part.verdict != "ungated"] or parts
    found = min(judged, key=lambda part: (ORDER[part.verdict], part.leaning != "beyond"))
    known = [part.p for part in parts if part.p is not None]
    if found.verdict == "pass":
        told = next((part for part in parts if part.verdict == "ungated" or part.reason == "large-gain"), found)
        found = replace(found, reason=told.reason, message=told.message)
    certain = any(part.verdict == "fail" and part.p is None for part in parts)  # and no matter of chance
    return replace(found, p=min(known) if known and not certain else None)


def _change(paired: Paired, bounds: Bounds) -> Part | None:
    """The change against the margin, or against the improvement that is asked for instead."""
    if bounds.waiting:
        return WAITS
    asked = least(bounds)
    if asked is None:
        return None
    if paired.head is None or paired.baseline is None or paired.change is None:
        return Part("inconclusive", "beyond", paired.reason or paired.head_state, paired.message or "it has no value on one side")
    leaning: Leaning = "beyond" if paired.change < asked else "inside"
    if bounds.zero_baseline:
        return replace(ZERO, leaning=leaning)
    if paired.method == "exact":
        if bounds.improve is not None:
            return Part("fail", None, "not-improved", "the same model: it is shown not to be better at all")
        return Part("pass", None, "same-model", "the same model: no change at all")
    if paired.reason or paired.low is None or paired.high is None:
        return Part("inconclusive", leaning, paired.reason, paired.message)
    verdict, lean = rule.decide(paired.change, paired.low, paired.high, -asked)
    reason = "not-improved" if verdict == "fail" and bounds.improve is not None else None
    return Part(verdict, lean, reason, p=rule.p_fail(paired, -asked))


def least(bounds: Bounds) -> float | None:
    """The least change that is allowed: minus the margin, or the improvement that is asked for."""
    if bounds.improve is not None:
        return bounds.improve
    return None if bounds.margin is None else -bounds.margin


def _gain(paired: Paired, bounds: Bounds) -> Part | None:
    """An improvement that is shown to be larger than `gain` is suspicious; anything less is no objection."""
    if bounds.gain is None:
        return None
    if bounds.waiting:
        return WAITS
    if paired.head is None or paired.baseline is None or paired.change is None:
        return Part("inconclusive", "beyond", paired.reason or paired.head_state, paired.message or "it has no value on one side")
    if paired.change <= 0:
        return Part("pass")
    if bounds.zero_gain:
        return replace(ZERO, leaning="beyond")
    if paired.reason is None and paired.low is not None and paired.low > bounds.gain:
        return Part("fail", None, "suspicious-gain", suspicious(bounds), _p_gain(paired, bounds.gain))
    if paired.change > bounds.gain:
        return Part("pass", None, "large-gain", f"{suspicious(bounds)}; it may be chance")
    return Part("pass")


def suspicious(bounds: Bounds) -> str:
    """Why a gain is no good news."""
    return f"a gain of more than {bounds.gain_text or f'{bounds.gain:g}'} is suspicious: {SUSPICIOUS}"


def _p_gain(paired: Paired, gain: float) -> float:
    """One-sided p-value against "at most `gain` better": that of the other side's loss."""
    return rule.p_fail(paired.turned(), gain)


def _own(paired: Paired, limit: float | None, side: Side, confidence: float) -> Part | None:
    """The head's own value against min or max, by its own interval."""
    if limit is None:
        return None
    if paired.head is None:
        return Part("inconclusive", "beyond", paired.head_state, paired.message or "it has no value")
    word = "below" if side == "min" else "above"
    decision = (rule.decide_least if side == "min" else rule.decide_most)(paired.head, paired.head_low, paired.head_high, limit)
    if paired.head_message is not None and decision.verdict == "inconclusive":
        return Part("inconclusive", decision.leaning, "too-few", paired.head_message)
    if paired.head_low is None and paired.head_high is None:
        message = paired.message or "too few examples for an interval"
        return Part("inconclusive", decision.leaning, paired.reason or "no-interval", message)
    if decision.verdict == "pass":
        return Part("pass", p=1.0)  # one of those among which one may fail by chance
    if decision.verdict == "fail":
        return Part("fail", None, f"{word}-{side}", f"{word} the allowed {limit:g}", _p_beyond(paired, limit, side, confidence))
    return Part("inconclusive", decision.leaning, f"near-{side}", f"too close to the allowed {limit:g} to say", 1.0)


def _p_beyond(paired: Paired, limit: float, side: Side, confidence: float) -> float:
    """One-sided p-value against "not beyond the limit", from the head's own interval taken as normal; for Holm's order alone."""
    assert paired.head is not None  # noqa: S101  # the caller has looked
    low = paired.head if paired.head_low is None else paired.head_low
    high = paired.head if paired.head_high is None else paired.head_high
    error = (high - low) / ((2 if None not in (paired.head_low, paired.head_high) else 1) * critical(confidence))
    sign = 1.0 if side == "min" else -1.0
    bound = (1 - confidence) / 2
    return min(bound * (1 - 1e-9), normal_tail(sign * (limit - paired.head) / error)) if error > 0 else 0.0


def by_threshold(change: float | None, baseline: float | None, head: float | None, bounds: Bounds, untested: str, *, blocks: bool) -> Part:
    """The whole check of a number without examples: noise is not known, so that the number itself decides.

    blocks=False: its change says nothing for sure and never blocks.
    """
    if head is None and bounds.asked:
        return Part("inconclusive", "beyond", "no-value", "it has no value")
    size = max(abs(baseline or 0.0), abs(head or 0.0))
    found = (
        WAITS if bounds.waiting else _change_alone(change, size, bounds, untested, blocks=blocks),
        _own_alone(head, bounds.min, "min", untested),
        _own_alone(head, bounds.max, "max", untested),
        None if bounds.waiting else _gain_alone(change, size, bounds, untested, blocks=blocks),
    )
    return worst([part for part in found if part])


def _change_alone(change: float | None, size: float, bounds: Bounds, untested: str, *, blocks: bool) -> Part | None:
    asked = least(bounds)
    if asked is None:
        return None
    if change is None:
        return Part("inconclusive", "beyond", "no-value", "it has no value on one side")
    beyond = change < asked - ROUNDING * size
    leaning: Leaning = "beyond" if beyond else "inside"
    if bounds.zero_baseline:
        return replace(ZERO, leaning=leaning)
    if not blocks:
        return Part("inconclusive", leaning, "noisy-single", untested)
    if beyond and bounds.improve is not None:
        return Part("fail", None, "not-improved", untested)
    return Part("fail" if beyond else "pass", None, "noise-untested", untested)


def _gain_alone(change: float | None, size: float, bounds: Bounds, untested: str, *, blocks: bool) -> Part | None:
    if bounds.gain is None:
        return None
    if change is None:
        return Part("inconclusive", "beyond", "no-value", "it has no value on one side")
    if bounds.zero_gain and change > 0:
        return replace(ZERO, leaning="beyond")
    if change <= bounds.gain + ROUNDING * size:
        return Part("pass", None, "noise-untested", untested)
    if not blocks:
        return Part("pass", None, "large-gain", f"{suspicious(bounds)}; {untested}")
    return Part("fail", None, "suspicious-gain", suspicious(bounds))


def _own_alone(head: float | None, limit: float | None, side: Side, untested: str) -> Part | None:
    if limit is None or head is None:
        return None
    if head < limit if side == "min" else head > limit:
        word = "below" if side == "min" else "above"
        return Part("fail", None, f"{word}-{side}", f"{word} the allowed {limit:g}")
    return Part("pass", None, "noise-untested", untested)
