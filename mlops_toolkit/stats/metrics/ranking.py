"""Metrics of the order that scores put the examples in: ROC-AUC and average precision, ties and weights included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.chunks import in_order
from mlops_toolkit.stats.metric import Measured, Metric, Ranked
from mlops_toolkit.stats.metrics.build import independent, metric, positive_class, rarer
from mlops_toolkit.stats.ranks import Ranking, ranking
from mlops_toolkit.stats.sample import Codes, Floats, Sample

Mask = npt.NDArray[np.bool_]
OneAgainstRest = Callable[[Mask, Ranking, Floats | None], tuple[float, Floats]]


def roc_auc(request: MetricRequest, where: str | None) -> Metric:
    """The area under the ROC curve: binary by the score, `:class` against the rest, bare with more classes their plain mean."""
    made = metric(request, _signature(request, "roc-auc ties=half"), _measure(request, _roc_auc, where), where=where, reads="scores")
    return replace(made, ranked=Ranked("roc-auc", _order(request, where)))


def average_precision(request: MetricRequest, where: str | None) -> Metric:
    """The sum of precision times gained recall over the distinct scores, not interpolated; classes as for `roc_auc`."""
    signature = _signature(request, "average-precision interpolated=no")
    made = metric(request, signature, _measure(request, _average_precision, where), where=where, reads="scores")
    return replace(made, ranked=Ranked("average-precision", _order(request, where)))


def _order(request: MetricRequest, where: str | None) -> Callable[[Sample], tuple[int, Floats] | None]:
    def of(sample: Sample) -> tuple[int, Floats] | None:
        if sample.target is None or _is_macro(request, sample):
            return None
        c = positive_class(request.family, request.argument, sample.labels, sample.positive, where)
        scores = class_scores(sample, c)
        return None if scores is None else (c, scores)

    return of


def _is_macro(request: MetricRequest, sample: Sample) -> bool:
    return request.argument is None and len(sample.labels) > 2 and sample.prob is not None


def _signature(request: MetricRequest, what: str) -> str:
    return f"{what} class={request.argument or 'positive, else one-vs-rest macro'}/1"


def _measure(request: MetricRequest, formula: OneAgainstRest, where: str | None) -> Callable[[Sample], Measured]:
    def measure(sample: Sample) -> Measured:
        if sample.target is None:
            return Measured(None, state="no-target")
        if _is_macro(request, sample) and sample.prob is not None:
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
    positives = independent(positive, sample)
    fewer, rare = rarer(positives, independent(~positive, sample), sample.labels[c])
    if fewer == 0:
        return Measured(None, state="no-positives" if positives == 0 else "one-class", support=0, rare=rare)
    try:
        order = _ranked(sample, c, scores)
    except ValueError:  # a NaN, of which no file that was checked holds one
        return Measured(None, state="not-finite")
    return Measured(*formula(positive, order, sample.weight), support=fewer, rare=rare)


def _ranked(sample: Sample, c: int, scores: Floats) -> Ranking:
    """The order of a class's scores, sorted once for all metrics."""
    key = ("ranking", c)
    if key not in sample.memory:
        sample.memory[key] = ranking(scores)
    found: Ranking = sample.memory[key]
    return found


def _macro(target: Codes, prob: Floats, sample: Sample, formula: OneAgainstRest) -> Measured:
    classes = len(sample.labels)
    value, influence, support, rare = 0.0, np.zeros(sample.n), sample.n, None
    for one in in_order(range(classes), lambda c: _one(target == c, c, prob[:, c], sample, formula), rows=sample.n):
        if one.value is None or one.influence is None:
            state = "one-class" if np.all(target == target[0]) else "class-without-examples"
            return Measured(None, state=state, support=0, rare=one.rare)
        value += one.value / classes
        influence += one.influence
        if one.support is not None and one.support <= support:
            support, rare = one.support, one.rare
    return Measured(value, influence / classes, support=support, rare=rare)


def _roc_auc(positive: Mask, order: Ranking, weight: Floats | None) -> tuple[float, Floats]:
    """The share of (positive, negative) pairs in the right order, ties half; influence by placement values (DeLong 1988)."""
    ranked = positive[order.rows]
    if weight is None and order.last is None:
        return _plain_roc_auc(ranked, order)
    ones: npt.NDArray[Any] = ranked
    zeros: npt.NDArray[Any] = ~ranked
    if weight is not None:
        by_place = weight[order.rows]
        ones, zeros = ranked * by_place, zeros * by_place
    found, missed = order.run(ones).astype(np.float64, copy=False), order.run(zeros).astype(np.float64, copy=False)
    all_ones, all_zeros = float(found[-1]), float(missed[-1])
    here, there = _steps(found), _steps(missed)
    # twice the weight of the negatives ranked below a positive, and of the positives above a negative
    below, above = 2 * (all_zeros - missed) + there, 2 * found - here
    pairs = 2 * all_ones * all_zeros
    value = float((here * below).sum()) / pairs
    influence = order.by_row(ranked, below / pairs - value / all_ones, above / pairs - value / all_zeros)
    return value, influence if weight is None else influence * weight


def _plain_roc_auc(ranked: Mask, order: Ranking) -> tuple[float, Floats]:
    """The same where no score occurs twice and nothing has a weight: counts of pairs, exact; `ranked` (n,) the positives by place."""
    at = np.flatnonzero(ranked)
    all_ones, all_zeros = len(at), len(ranked) - len(at)
    pairs = float(all_ones) * all_zeros
    below = all_zeros - (at - np.arange(all_ones))
    value = int(below.sum()) / pairs
    above = np.arange(all_ones + 1) / pairs - value / all_zeros
    return value, _placed(at, below / pairs - value / all_ones, above, order)


def _plain_average_precision(ranked: Mask, order: Ranking) -> tuple[float, Floats]:
    """The same where no score occurs twice and nothing has a weight."""
    at = np.flatnonzero(ranked)
    once, all_ones = 1.0 / (at + 1), len(at)
    precision = np.arange(1, all_ones + 1) * once
    value = float(precision.sum()) / all_ones
    raises = np.cumsum(once[::-1])[::-1]
    lowers = np.append(np.cumsum((precision * once)[::-1])[::-1], 0.0)
    return value, _placed(at, (precision + raises - lowers[:-1] - value) / all_ones, -lowers / all_ones, order)


def _placed(at: npt.NDArray[np.intp], of_positive: Floats, of_other: Floats, order: Ranking) -> Floats:
    """By row (n,): of_positive (P,) at the places `at` (P,), and elsewhere of_other (P+1,) by the number of positives above."""
    ends = np.append(at, len(order.rows) - 1)
    by_place = np.repeat(of_other, np.diff(ends, prepend=-1))
    by_place[at] = of_positive
    return order.scattered(by_place)


def _steps(run: Floats) -> Floats:
    """From running sums to what each place added."""
    steps: Floats = run.copy()
    steps[1:] -= run[:-1]
    return steps


def _average_precision(positive: Mask, order: Ranking, weight: Floats | None) -> tuple[float, Floats]:
    """Σ over scores of (gained positives)·(precision there) / positives.

    A row raises the precision of its own score and of all below (as a positive, by 1/N; as any row, it lowers by T/N²).
    """
    ranked = positive[order.rows]
    if weight is None and order.last is None:
        return _plain_average_precision(ranked, order)
    if weight is None:
        found, seen = order.run(ranked).astype(np.float64), order.ends + 1.0
    else:
        by_place = weight[order.rows]
        found, seen = order.run(ranked * by_place), order.run(by_place)
    gained, all_ones = _steps(found), float(found[-1])
    precision, raised = found / seen, gained / seen
    value = float((gained * precision).sum()) / all_ones
    raises = np.cumsum(raised[::-1])[::-1]
    raised *= precision
    lowers = np.cumsum(raised[::-1])[::-1]
    influence = order.by_row(ranked, (precision + raises - lowers - value) / all_ones, -lowers / all_ones)
    return value, influence if weight is None else influence * weight
