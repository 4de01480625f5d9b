"""Metrics of the order that scores put the examples in: ROC-AUC and average precision, ties and weights included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.chunks import by_chunk, in_order
from mlops_toolkit.stats.metric import Measured, Metric, Ranked
from mlops_toolkit.stats.metrics.build import independent, metric, positive_class, rarer
from mlops_toolkit.stats.ranks import Ranking, Standing, ranking, standing
from mlops_toolkit.stats.sample import Codes, Floats, Sample

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Formula:
    """A metric of one class against the rest: by whole numbers where every row counts once, and of rows with weights."""

    plain: Callable[[Standing], Pulls]
    weighted: Callable[[Mask, Ranking, Floats], tuple[float, Floats]]


@dataclass(frozen=True)
class Pulls:
    """A value, and the influence of every row: of those whose score no positive has, by the number of positives above.

    slope, level  the influence is slope·(positives above) + level; or
    table         (P+1,) it stands there, by the number of positives above
    at            (m,) the influence of `Standing.rows`
    """

    value: float
    at: Floats
    slope: float = 0.0
    level: float = 0.0
    table: Floats | None = None

    def of(self, above: npt.NDArray[Any]) -> Floats:
        """The influence of rows with so many positives above, whose score no positive has."""
        if self.table is not None:
            found: Floats = self.table.take(above)
            return found
        found = above * self.slope
        found += self.level
        return found


def roc_auc(request: MetricRequest, where: str | None) -> Metric:
    """The area under the ROC curve: binary by the score, `:class` against the rest, bare with more classes their plain mean."""
    made = metric(request, _signature(request, "roc-auc ties=half"), _measure(request, ROC_AUC, where), where=where, reads="scores")
    return replace(made, ranked=Ranked("roc-auc", _order(request, where)))


def average_precision(request: MetricRequest, where: str | None) -> Metric:
    """The sum of precision times gained recall over the distinct scores, not interpolated; classes as for `roc_auc`."""
    signature = _signature(request, "average-precision interpolated=no")
    made = metric(request, signature, _measure(request, AVERAGE_PRECISION, where), where=where, reads="scores")
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


def _measure(request: MetricRequest, formula: Formula, where: str | None) -> Callable[[Sample], Measured]:
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


def _support(positive: Mask, c: int, sample: Sample) -> tuple[str | None, int, str]:
    """Why a class has no order (None: it has one), how many rows there are of the rarer kind, and what they are."""
    positives = independent(positive, sample)
    fewer, rare = rarer(positives, independent(~positive, sample), sample.labels[c])
    return (None if fewer else "no-positives" if positives == 0 else "one-class"), fewer, rare


def _one(positive: Mask, c: int, scores: Floats, sample: Sample, formula: Formula) -> Measured:
    state, fewer, rare = _support(positive, c, sample)
    if state is not None:
        return Measured(None, state=state, support=0, rare=rare)
    try:
        if sample.weight is not None:
            return Measured(*formula.weighted(positive, _ranked(sample, c, scores), sample.weight), support=fewer, rare=rare)
        stand = _stands(sample, c, scores, positive)
    except ValueError:  # a NaN, of which no file that was checked holds one
        return Measured(None, state="not-finite")
    made = formula.plain(stand)
    return Measured(made.value, _influence([(stand, made)]), support=fewer, rare=rare)


def _ranked(sample: Sample, c: int, scores: Floats) -> Ranking:
    """The order of a class's scores, sorted once for all metrics."""
    found: Ranking = sample.once(("ranking", c), lambda: ranking(scores))
    return found


def _stands(sample: Sample, c: int, scores: Floats, positive: Mask) -> Standing:
    """The same of rows that count once each."""
    found: Standing = sample.once(("standing", c), lambda: standing(scores, positive))
    return found


def exact(formula: Formula, scores: Floats, positive: Mask, weight: Floats | None) -> tuple[float, Floats]:
    """The value and the influence (n,) of scores and kinds (n,), of which there are both."""
    if weight is not None:
        return formula.weighted(positive, ranking(scores), weight)
    stand = standing(scores, positive)
    made = formula.plain(stand)
    return made.value, _influence([(stand, made)])


def _influence(parts: Sequence[tuple[Standing, Pulls]]) -> Floats:
    """The sum (n,) of the influences of one metric against the rest; piece by piece, since memory is slower than arithmetic."""
    n = len(parts[0][0].above)
    total = np.empty(n)

    def chunk(rows: slice) -> None:
        found = parts[0][1].of(parts[0][0].above[rows])
        for stand, made in parts[1:]:
            found += made.of(stand.above[rows])
        total[rows] = found

    by_chunk(n, chunk)
    for stand, made in parts:
        total[stand.rows] += made.at - made.of(stand.above_rows)
    return total


def _macro(target: Codes, prob: Floats, sample: Sample, formula: Formula) -> Measured:
    classes = len(sample.labels)
    parts, value, support, rare = list[tuple[Standing, Pulls]](), 0.0, sample.n, None
    total = np.zeros(sample.n if sample.weight is not None else 0)

    def one(c: int) -> tuple[Measured, tuple[Standing, Pulls] | None]:
        if sample.weight is not None:
            return _one(target == c, c, prob[:, c], sample, formula), None
        positive = target == c
        state, fewer, what = _support(positive, c, sample)
        if state is not None:
            return Measured(None, state=state, support=0, rare=what), None
        try:
            stand = _stands(sample, c, prob[:, c], positive)
        except ValueError:
            return Measured(None, state="not-finite"), None
        made = formula.plain(stand)
        return Measured(made.value, support=fewer, rare=what), (stand, made)

    for found, part in in_order(range(classes), one, rows=sample.n):
        if found.value is None:
            state = "one-class" if np.all(target == target[0]) else "class-without-examples"
            return Measured(None, state=state, support=0, rare=found.rare)
        value += found.value / classes
        if part is not None:
            parts.append(part)
        elif found.influence is not None:
            total += found.influence
        if found.support is not None and found.support <= support:
            support, rare = found.support, found.rare
    influence = _influence(parts) if parts else total
    influence /= classes
    return Measured(value, influence, support=support, rare=rare)


def _plain_roc_auc(stand: Standing) -> Pulls:
    """The share of (positive, negative) pairs in the right order, ties half; influence by placement values (DeLong 1988)."""
    pairs = 2.0 * stand.positives * stand.others
    # twice the negatives ranked below a positive's score, and the positives above it
    below, above = 2 * (stand.others - stand.over) + stand.there, 2 * stand.upto - stand.here
    value = int((stand.here * below).sum()) / pairs
    level = -value / stand.others
    return Pulls(value, stand.at(below / pairs - value / stand.positives, above / pairs + level), 2 / pairs, level)


def _plain_average_precision(stand: Standing) -> Pulls:
    """Σ over scores of (gained positives)·(precision there) / positives; see `_average_precision`."""
    once, all_ones = 1.0 / (stand.upto + stand.over), stand.positives
    precision, raised = stand.upto * once, stand.here * once
    value = float((stand.here * precision).sum()) / all_ones
    raises = np.cumsum(raised[::-1])[::-1]
    raised *= precision
    lowers = np.cumsum(raised[::-1])[::-1]
    table = np.append(lowers if stand.which is None else np.repeat(lowers, stand.here), 0.0)
    return Pulls(value, stand.at((precision + raises - lowers - value) / all_ones, -lowers / all_ones), table=-table / all_ones)


def _roc_auc(positive: Mask, order: Ranking, weight: Floats) -> tuple[float, Floats]:
    """The same of rows with weights."""
    by_place, ranked = weight[order.rows], positive[order.rows]
    found, missed = order.run(ranked * by_place), order.run(~ranked * by_place)
    all_ones, all_zeros = float(found[-1]), float(missed[-1])
    here, there = _steps(found), _steps(missed)
    # twice the weight of the negatives ranked below a positive, and of the positives above a negative
    below, above = 2 * (all_zeros - missed) + there, 2 * found - here
    pairs = 2 * all_ones * all_zeros
    value = float((here * below).sum()) / pairs
    return value, order.by_row(ranked, below / pairs - value / all_ones, above / pairs - value / all_zeros) * weight


def _steps(run: Floats) -> Floats:
    """From running sums to what each place added."""
    steps: Floats = run.copy()
    steps[1:] -= run[:-1]
    return steps


def _average_precision(positive: Mask, order: Ranking, weight: Floats) -> tuple[float, Floats]:
    """Σ over scores of (gained positives)·(precision there) / positives.

    A row raises the precision of its own score and of all below (as a positive, by 1/N; as any row, it lowers by T/N²).
    """
    by_place, ranked = weight[order.rows], positive[order.rows]
    found, seen = order.run(ranked * by_place), order.run(by_place)
    gained, all_ones = _steps(found), float(found[-1])
    precision, raised = found / seen, gained / seen
    value = float((gained * precision).sum()) / all_ones
    raises = np.cumsum(raised[::-1])[::-1]
    raised *= precision
    lowers = np.cumsum(raised[::-1])[::-1]
    return value, order.by_row(ranked, (precision + raises - lowers - value) / all_ones, -lowers / all_ones) * weight


ROC_AUC = Formula(_plain_roc_auc, _roc_auc)
AVERAGE_PRECISION = Formula(_plain_average_precision, _average_precision)
