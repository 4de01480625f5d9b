"""What would decide a check that is undecided: so many examples (clusters, measurements, seeds), another bound, or something else. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlops_toolkit.gate import parts
from mlops_toolkit.gate.bounds import Bounds
from mlops_toolkit.gate.parts import Asked, Part
from mlops_toolkit.records.result import Check, Needs
from mlops_toolkit.stats import deciding, power
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.paired import Paired

EVALUATE = "it is decided once `mlops evaluate` can evaluate the baseline's model in the same way, on the same examples"
# The reason of a check that no number of examples decides -> what does, as a sentence.
INSTEAD: Mapping[str, str] = {
    "zero-baseline": "write what is allowed as a number",
    "data-changed": EVALUATE,
    "evaluation-changed": EVALUATE,
    "labels-changed": "it is decided where both sides write the labels in the same way",
    "metric-redefined": "it is decided again from the next change on, with both sides measured like this one",
    "own-metric": "it is decided where somebody who may push runs it on a branch of this repository",
    "no-interval": "it is decided where the baseline's predictions are there, or its model is evaluated again",
    "noisy-single": "a list of measurements has an interval, and `mlops measure` takes them in turn for both models",
    "other-hardware": "`mlops measure` takes both models in turn on one machine, which does decide",
    "too-few-groups": "two groups must each have examples enough for an interval: 25 of every class that the metric depends on",
    "no-value": "it takes a number on both sides",
    "undefined": "it takes a number on both sides",
    "empty": "it takes examples",
    "one-class": "it takes examples of both classes",
    "class-without-examples": "it takes examples of that class",
    "constant-target": "it takes examples whose targets differ",
    "no-target": "the predictions must have the column `target`",
    "no-predictions": "the predictions must have the column `prediction`",
    "no-scores": "the predictions must have a column `score`",
    "no-probabilities": "the predictions must have a column `prob:<label>` for each class",
    "not-finite": "no number of examples helps while a value is infinite or no number",
}
ON_IT = "it lies on what is allowed exactly: no number of examples decides that, as long as it does"
ALIKE = "no number of examples decides it, as long as they are like these"


def of(paired: Paired, bounds: Bounds, part: Part, confidence: float) -> Needs | None:
    """What would decide a check that was judged by its interval; None where it is decided, and where no number of examples decides it."""
    if part.verdict == "pass" and part.reason == "large-gain" and bounds.gain is not None:
        return _known(deciding.of_change(paired, bounds.gain, confidence=confidence), paired.n)
    if part.verdict != "inconclusive" or part.reason in INSTEAD:
        return None
    found = {name: _of(name, paired, bounds, confidence) for name, one in parts.each(paired, bounds, confidence).items() if _open(one)}
    if part.reason == "too-small":
        known = [one.n for one in found.values() if one.n is not None and one.of == "examples"]
        return Needs(n=max([bounds.least or 0, *known]))
    if len(found) == 1:
        return _known(next(iter(found.values())), paired.n)
    return _all_of(list(found.values()))


def at(paired: Paired, bounds: Bounds, stricter: float, confidence: float) -> Needs | None:
    """What would show, at a stricter confidence than the interval's, that the check fails by as much as it seems to."""
    asked = parts.least(bounds)
    if asked is not None and paired.change is not None and paired.change < asked:
        return _known(deciding.of_change(paired, asked, confidence=stricter), paired.n)
    if paired.head is not None and paired.head_low is not None and paired.head_high is not None:
        further = critical(stricter) / critical(confidence)
        low, high = (paired.head + further * (end - paired.head) for end in (paired.head_low, paired.head_high))
        wide = replace(paired, head_low=low, head_high=high)
        if bounds.min is not None and paired.head < bounds.min:
            return _known(replace(deciding.of_limit(wide, bounds.min, "min", confidence=stricter), limit=None), paired.n)
        if bounds.max is not None and paired.head > bounds.max:
            return _known(replace(deciding.of_limit(wide, bounds.max, "max", confidence=stricter), limit=None), paired.n)
    if bounds.gain is not None and paired.change is not None and paired.change > bounds.gain:
        return _known(deciding.of_change(paired, bounds.gain, confidence=stricter), paired.n)
    return None


def completed(check: Check) -> Check:
    """An undecided check with something that would decide it, whatever it is."""
    if check.verdict != "inconclusive" or check.needs is not None:
        return check
    on = (
        check.reason is None
        and check.change is not None
        and check.change in (check.improve, None if check.margin is None else -check.margin)
    )
    near = check.reason in ("near-min", "near-max") and check.head in (check.min, check.max)
    said = ON_IT if on or near else INSTEAD.get(check.reason or "", ALIKE)
    return replace(check, needs=Needs(instead=said))


def _open(part: Part) -> bool:
    return part.verdict == "inconclusive"


def _of(name: Asked, paired: Paired, bounds: Bounds, confidence: float) -> Needs:
    """What one bound needs."""
    if name in ("min", "max"):
        limit = bounds.min if name == "min" else bounds.max
        assert limit is not None  # noqa: S101  # it is one that is asked
        if name == "max" and paired.head_least is not None:  # no upper end yet
            return Needs(n=paired.head_least)
        return _of_list(paired) or deciding.of_limit(paired, limit, "min" if name == "min" else "max", confidence=confidence)
    if paired.change is None:
        return Needs()
    if bounds.improve is not None:
        shown = None if paired.low is None or paired.low <= 0 else deciding.rounded(paired.low, up=False)
        return _of_list(paired) or replace(deciding.of_change(paired, bounds.improve, confidence=confidence), improve=shown)
    if bounds.margin is None:
        return Needs()
    found = _of_list(paired) or power.needs(paired, bounds.margin, confidence=confidence)
    if found.seeds is not None or (found.n is not None and found.n > found.there(paired.n)):
        return found
    # What is here would have decided a harmless change ("needs 510 (have 2,000)" helps nobody), or nothing does: it is this change that is in doubt.
    return replace(deciding.of_change(paired, -bounds.margin, confidence=confidence), margin=found.margin)


def _of_list(paired: Paired) -> Needs | None:
    """Of a list of measurements that is too short for any interval."""
    return None if paired.least is None else Needs(n=paired.least)


def _known(needs: Needs, have: int) -> Needs | None:
    """None where nothing is said; that there are enough already helps nobody (none of them tells the two models apart)."""
    if needs.n is not None and needs.n <= needs.there(have):
        needs = replace(needs, n=None)
    told = (needs.n, needs.margin, needs.seeds, needs.improve, needs.limit, needs.instead)
    return needs if any(one is not None for one in told) else None


def _all_of(found: list[Needs]) -> Needs | None:
    """What decides several bounds of one check: the largest number; another bound would decide but one of them."""
    if not found or any(one.n is None or one.of != found[0].of for one in found):
        return None
    largest = max(found, key=lambda one: one.n or 0)
    return Needs(n=largest.n, of=largest.of, have=largest.have, as_seen=largest.as_seen)
