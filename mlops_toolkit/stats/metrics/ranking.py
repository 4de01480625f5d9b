"""Metrics of the order that scores put the examples in: ROC-AUC and average precision, ties and weights included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics.build import independent, metric, positive_class, rows_of
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.tally import summed

Mask = npt.NDArray[np.bool_]
OneAgainstRest = Callable[[Mask, Floats, Floats | None], tuple[float, Floats]]


def roc_auc(request: MetricRequest, where: str | None) -> Metric:
    """The area under the ROC curve: binary by the score, `:class` against the rest, bare with more classes their plain mean."""
    return metric(request, _signature(request, "roc-auc ties=half"), _measure(request, _roc_auc, where), where=where, reads="scores")


def average_precision(request: MetricRequest, where: str | None) -> Metric:
    """The sum of precision times gained recall over the distinct scores, not interpolated; classes as for `roc_auc`."""
    return metric(
        request,
        _signature(request, "average-precision interpolated=no"),
        _measure(request, _average_precision, where),
        where=where,
        reads="scores",
    )


def _signature(request: MetricRequest, what: str) -> str:
    return f"{what} class={request.argument or 'positive, else one-vs-rest macro'}/1"


def _measure(request: MetricRequest, formula: OneAgainstRest, where: str | None) -> Callable[[Sample], Measured]:
    def measure(sample: Sample) -> Measured:
        if sample.target is None:
            return Measured(None, state="no-target")
        if request.argument is None and len(sample.labels) > 2 and sample.prob is not None:
            return _macro(sample.target, sample.prob, sample, formula)
        c = positive_class(request.family, request.argument, sample.labels, sample.positive, where)
        scores = class_scores(sample, c)
        return Measured(None, state="no-scores") if scores is None else _one(sample.target == c, c, scores, sample, formula)

    return measure


def class_scores(sample: Sample, c: int) -> Floats | None:
    """(n,) what ranks the examples for class c: `score` where c is the positive class, else the class's probability."""
    if sample.score is not None and c == sample.positive:
        return sample.score
    return None if sample.prob is None else sample.prob[:, c]


def _one(positive: Mask, c: int, scores: Floats, sample: Sample, formula: OneAgainstRest) -> Measured:
    positives, rare = independent(positive, sample), rows_of(sample.labels[c])
    others = independent(~positive, sample)
    fewer = min(positives, others)
    if others < positives:
        rare = f'examples not of class "{sample.labels[c]}"'
    if fewer == 0:
        return Measured(None, state="no-positives" if positives == 0 else "one-class", support=0, rare=rare)
    return Measured(*formula(positive, scores, sample.weight), support=fewer, rare=rare)


def _macro(target: Codes, prob: Floats, sample: Sample, formula: OneAgainstRest) -> Measured:
    value, influence, support, rare = 0.0, np.zeros(sample.n), sample.n, None
    for c in range(len(sample.labels)):
        one = _one(target == c, c, prob[:, c], sample, formula)
        if one.value is None or one.influence is None:
            state = "one-class" if np.all(target == target[0]) else "class-without-examples"
            return Measured(None, state=state, support=0, rare=one.rare)
        value += one.value / len(sample.labels)
        influence += one.influence / len(sample.labels)
        if one.support is not None and one.support <= support:
            support, rare = one.support, one.rare
    return Measured(value, influence, support=support, rare=rare)


@dataclass(frozen=True)
class _Groups:
    """Examples by falling score, equal scores in one group, G of them.

    order (n,) rows in that order;  group (n,) the group of each place;  positive, weight (G,) weight of a group's positives, of all its rows
    """

    order: npt.NDArray[np.intp]
    group: npt.NDArray[np.intp]
    positive: Floats
    weight: Floats


def _group(positive: Mask, scores: Floats, weight: Floats | None) -> _Groups:
    order = np.argsort(-scores, kind=None if weight is None else "stable")  # sums of weights must not depend on how ties fall
    ranked = scores[order]
    new = np.empty(len(ranked), dtype=bool)
    new[0] = True
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    group = np.cumsum(new) - 1
    groups = int(group[-1]) + 1
    ones = positive[order].astype(np.float64)
    by_place = np.ones(len(ranked)) if weight is None else weight[order]
    return _Groups(order, group, summed(group, ones * by_place, groups), summed(group, by_place, groups))


def _roc_auc(positive: Mask, scores: Floats, weight: Floats | None) -> tuple[float, Floats]:
    """The share of (positive, negative) pairs in the right order, ties half; influence by placement values (DeLong 1988)."""
    groups = _group(positive, scores, weight)
    ones, zeros = groups.positive, groups.weight - groups.positive
    if weight is not None:  # a group without negatives has none, whatever the rounding of the difference
        zeros = summed(groups.group, np.where(positive, 0.0, weight)[groups.order], len(ones))
    all_ones, all_zeros = ones.sum(), zeros.sum()
    below = (all_zeros - np.cumsum(zeros) + zeros / 2) / all_zeros  # of a positive: the share of negatives ranked below it
    above = (np.cumsum(ones) - ones / 2) / all_ones  # of a negative: the share of positives ranked above it
    value = float((below * ones).sum() / all_ones)
    influence = np.empty(len(scores))
    influence[groups.order] = np.where(
        positive[groups.order], ((below - value) / all_ones)[groups.group], ((above - value) / all_zeros)[groups.group]
    )
    return value, influence if weight is None else influence * weight


def _average_precision(positive: Mask, scores: Floats, weight: Floats | None) -> tuple[float, Floats]:
    """Σ over groups of (gained positives)·(precision there) / positives.

    A row raises the precision of its own group and of all below (as a positive, by 1/N; as any row, it lowers by T/N²).
    """
    groups = _group(positive, scores, weight)
    ones, found, seen = groups.positive, np.cumsum(groups.positive), np.cumsum(groups.weight)
    all_ones = found[-1]
    precision = found / seen
    value = float((ones * precision).sum() / all_ones)
    raises = np.cumsum((ones / seen)[::-1])[::-1]
    lowers = np.cumsum((ones * precision / seen)[::-1])[::-1]
    by_positive = (precision + raises - lowers - value) / all_ones
    influence = np.empty(len(scores))
    influence[groups.order] = np.where(positive[groups.order], by_positive[groups.group], (-lowers / all_ones)[groups.group])
    return value, influence if weight is None else influence * weight
