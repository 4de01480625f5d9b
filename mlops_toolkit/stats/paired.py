"""The difference of a metric between two models on the same examples, with the interval that decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.distributions import sign_test
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.proportions import tango, wilson
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import own_interval, zeros_and_ones
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, FEWEST_EXAMPLES, Spread, by_unit, reach
from mlops_toolkit.stats.tally import Cells, Joint, Slope, Tally, dense, distinct, uneven

Rows = npt.NDArray[Any]

_NOISE = 1e-12  # a contribution below this share of the largest one is rounding


@dataclass(frozen=True)
class Paired:
    """A metric on two models, same rows.

    change, low, high   oriented (+ is better), in the metric's unit; low/high None where no interval may decide (then `reason`)
    method              tango | influence | clusters (the change is exactly 0 because all rows agree is no exception: zero broken
                        rows still have an interval, and metrics other than Tango's have none then)
    reason              too-few (examples of a class, contributing rows or clusters), or the state of an undefined side; None if the
                        interval may decide; `message` says it in a sentence, with the counts
    standard_error      of the change
    disagree/better/worse  rows on which the two models differ in a way that the metric sees; of them better and worse on the head
    head_low/head_high  interval of the head's own value, for min and max
    baseline_state/head_state  as Measured.state
    trials              where the method is tango: the rows that count (all, or those of one class)
    df, skew            otherwise: of the interval (see `spread`), df at most the contributing rows (clusters) − 1
    support             the fewest examples of a class that the metric depends on, of both sides
    p_same              exact two-sided p (McNemar) that better and worse are equally likely; shown, never decides
    """

    metric: str
    n: int
    baseline: float | None
    head: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    method: str | None = None
    reason: str | None = None
    message: str | None = None
    clusters: int | None = None
    disagree: int = 0
    better: int = 0
    worse: int = 0
    head_low: float | None = None
    head_high: float | None = None
    baseline_state: str = "ok"
    head_state: str = "ok"
    trials: int | None = None
    df: int | None = None
    skew: float = 0.0
    support: int | None = None
    p_same: float | None = None


def paired(metric: Metric, baseline: Sample, head: Sample, *, confidence: float = 0.95, rows: Rows | None = None) -> Paired:
    """Compare `metric` on two aligned Samples (on the subset `rows`, a mask or indices, if given).

    Accuracy and its like, unweighted and unclustered: Tango's score interval, at every n. All else: Student's t on the
    differences of the influences, which decides only with 25 examples of each class the metric depends on, 10 rows that
    contribute and, where rows are clustered, 10 clusters of which 10 contribute. Same inputs, same numbers: nothing is drawn.
    """
    return paired_many([metric], baseline, head, confidence=confidence, rows_by_slice={"": rows})[""][0]


def paired_many(
    metrics: Sequence[Metric],
    baseline: Sample,
    head: Sample,
    *,
    confidence: float = 0.95,
    rows_by_slice: Mapping[str, Rows | None] | None = None,
) -> dict[str, tuple[Paired, ...]]:
    """`paired` for many metrics on many subsets: slice name -> a Paired a metric, in their order. None as rows means all of them.

    Metrics of labels share one count of the (target, baseline, head) table a slice. Without `rows_by_slice`: {"": all rows}.
    """
    baseline = replace(baseline, target=head.target, weight=head.weight, cluster=head.cluster)
    joint = _joint(baseline, head) if any(metric.slope for metric in metrics) else None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite in the end has a named state or no interval
        return {
            name: _on(metrics, baseline, head, joint, rows, confidence)
            for name, rows in ({"": None} if rows_by_slice is None else rows_by_slice).items()
        }


def _on(
    metrics: Sequence[Metric], baseline: Sample, head: Sample, joint: Joint | None, rows: Rows | None, confidence: float
) -> tuple[Paired, ...]:
    cells = joint.cells(rows) if joint else None
    if rows is not None and not all(metric.slope and cells for metric in metrics):
        baseline, head = baseline.take(rows), head.take(rows)
    return tuple(
        _from_cells(metric, metric.slope, cells, confidence) if metric.slope and cells else _from_rows(metric, baseline, head, confidence)
        for metric in metrics
    )


def _joint(baseline: Sample, head: Sample) -> Joint | None:
    if head.target is None or baseline.prediction is None or head.prediction is None or not head.labels:
        return None
    return Joint(head.target, baseline.prediction, head.prediction, head)


# --- the two ways to what a difference consists of


@dataclass(frozen=True)
class _Share:
    """A metric that is a share of rows: how many count, got better and worse (in the metric's direction), and make up the head's value."""

    trials: int
    better: int
    worse: int
    of_head: int


@dataclass(frozen=True)
class _Parts:
    """The spread of the oriented differences of influence, and of the head's own influence."""

    clustered: bool
    difference: Spread
    own: Spread
    share: _Share | None


def _from_cells(metric: Metric, slope: Callable[[Tally], Slope], cells: Cells, confidence: float) -> Paired:
    if cells.n == 0:
        return _undefined(metric, 0, Measured(None, state="empty"), Measured(None, state="empty"))
    before, after = (slope(side) for side in cells.sides)
    base, head = (Measured(side.value, None, side.state, side.support, side.rare) for side in (before, after))
    if before.value is None or after.value is None:
        return _undefined(metric, cells.n, base, head)
    own, step = after.at(cells.target, cells.head), _step(before, after, cells)
    difference = own - before.at(cells.target, cells.baseline)
    moved = _seen(step) & (cells.baseline != cells.head)
    better, worse = (int(cells.count[moved & side].sum()) for side in (step > 0, step < 0))
    parts = _Parts(
        clustered=cells.clustered is not None,
        difference=Spread.of_cells(cells, difference, moved),
        own=Spread.of_cells(cells, own, _seen(own)),
        share=_share(metric, cells, after, better, worse),
    )
    return _conclude(metric, cells.n, base, head, parts, (better, worse), confidence)


def _step(before: Slope, after: Slope, cells: Cells) -> Floats:
    """What it does to the metric, at weight 1, that a row of the cell is answered as the head does and no longer as the baseline does.

    The mean of the two models' slopes: their difference alone would make every row of a class "differ" as soon as one does.
    """
    steps = [side.at(cells.target, cells.head) - side.at(cells.target, cells.baseline) for side in (before, after)]
    return (steps[0] + steps[1]) / 2


def _share(metric: Metric, cells: Cells, after: Slope, better: int, worse: int) -> _Share | None:
    if not metric.rowwise or not cells.uniform or cells.clustered:
        return None
    counts = after.hit[cells.target] > 0
    right = counts & (cells.target == cells.head)
    return _Share(int(cells.count[counts].sum()), better, worse, int(cells.count[right].sum()))


def _from_rows(metric: Metric, baseline: Sample, head: Sample, confidence: float) -> Paired:
    baseline, head = (replace(side, weight=uneven(side.weight), cluster=dense(side.cluster)) for side in (baseline, head))
    before, after = metric.measure(baseline), metric.measure(head)
    if before.value is None or after.value is None or before.influence is None or after.influence is None:
        return _undefined(metric, head.n, before, after)
    sign = 1 if metric.direction == "higher" else -1
    difference = sign * (after.influence - before.influence)
    weight = np.ones(head.n) if head.weight is None else head.weight
    moved_by = difference + sign * (after.value - before.value) * weight / weight.sum()  # sums to the change, row by row
    moved = _seen(moved_by) & _differs(metric, baseline, head)
    better, worse = (int(np.count_nonzero(moved & side)) for side in (moved_by > 0, moved_by < 0))
    share = None
    if head.cluster is None and head.weight is None:
        ones, others = zeros_and_ones(metric, head), zeros_and_ones(metric, baseline)
        share = None if ones is None or others is None else _Share(head.n, better, worse, int(ones.sum()))
    active = int(np.count_nonzero(moved)) if head.cluster is None else distinct(head.cluster[moved])
    own = by_unit(after.influence, head.cluster)
    parts = _Parts(
        clustered=head.cluster is not None,
        difference=Spread.of(by_unit(difference, head.cluster), active),
        own=Spread.of(own, int(np.count_nonzero(_seen(own)))),
        share=share,
    )
    return _conclude(metric, head.n, before, after, parts, (better, worse), confidence)


def _seen(contribution: Floats) -> npt.NDArray[np.bool_]:
    """Which contributions are more than rounding."""
    size = np.abs(contribution)
    seen: npt.NDArray[np.bool_] = size > _NOISE * size.max(initial=0.0)
    return seen


def _differs(metric: Metric, baseline: Sample, head: Sample) -> npt.NDArray[np.bool_]:
    """Rows (n,) that the two models answer differently, in what the metric reads."""
    if metric.reads == "columns" and metric.argument is not None:
        pairs: list[tuple[Rows | None, Rows | None]] = [(baseline.columns[metric.argument], head.columns[metric.argument])]
    elif metric.reads == "prediction":
        pairs = [(baseline.prediction, head.prediction)]
    else:
        pairs = [(baseline.score, head.score), (baseline.prob, head.prob)]
    differs = np.zeros(head.n, dtype=bool)
    for before, after in pairs:
        if before is not None and after is not None:
            differs |= np.not_equal(before, after).reshape(head.n, -1).any(axis=1)
    return differs


# --- from there to the answer


def _undefined(metric: Metric, n: int, baseline: Measured, head: Measured) -> Paired:
    side, state = ("baseline", baseline.state) if baseline.value is None else ("head", head.state)
    return Paired(
        metric=metric.name,
        n=n,
        baseline=baseline.value,
        head=head.value,
        reason=state,
        message=f"{metric.name} is undefined on the {side}: {state.replace('-', ' ')}",
        baseline_state=baseline.state,
        head_state=head.state,
    )


def _conclude(
    metric: Metric, n: int, baseline: Measured, head: Measured, parts: _Parts, moved: tuple[int, int], confidence: float
) -> Paired:
    """The change, and its interval where one may decide. Both values are known to be defined."""
    before, after = baseline.value or 0.0, head.value or 0.0
    better, worse = moved
    change = (after - before) * (1 if metric.direction == "higher" else -1) + 0.0
    if not math.isfinite(change):
        return _undefined(metric, n, replace(baseline, value=None, state="not-finite"), head)
    plain = Paired(
        metric=metric.name,
        n=n,
        baseline=before,
        head=after,
        change=change,
        standard_error=parts.difference.error,
        clusters=parts.difference.units if parts.clustered else None,
        disagree=better + worse,
        better=better,
        worse=worse,
        baseline_state=baseline.state,
        head_state=head.state,
        support=min((side.support for side in (baseline, head) if side.support is not None), default=None),
        p_same=sign_test(better, worse),
    )
    if parts.share:
        return _by_tango(plain, parts.share, confidence)
    own = own_interval(metric, head, parts.own, clustered=parts.clustered, confidence=confidence)
    plain = replace(
        plain,
        method="clusters" if parts.clustered else "influence",
        head_low=own[0] if own else None,
        head_high=own[1] if own else None,
        df=parts.difference.df,
        skew=parts.difference.skew,
    )
    message = _too_few(plain, parts, baseline.rare if plain.support == baseline.support else head.rare)
    if message or plain.standard_error is None:
        error = plain.standard_error if plain.standard_error is not None and math.isfinite(plain.standard_error) else None
        return replace(plain, reason="too-few", message=message, standard_error=error)
    down, up = reach(confidence, parts.difference.df, parts.difference.skew)
    return replace(plain, low=change - down * plain.standard_error, high=change + up * plain.standard_error)


def _by_tango(plain: Paired, share: _Share, confidence: float) -> Paired:
    low, high = tango(share.better, share.worse, share.trials, confidence)
    head_low, head_high = wilson(share.of_head, share.trials, confidence)
    change = (share.better - share.worse) / share.trials  # exact, where the difference of two quotients is rounded
    return replace(plain, change=change, low=low, high=high, method="tango", trials=share.trials, head_low=head_low, head_high=head_high)


def _too_few(plain: Paired, parts: _Parts, rare: str | None) -> str | None:
    """Why the interval may not decide, with the counts; None where it may."""
    active = parts.difference.active
    if plain.clusters is not None and plain.clusters < FEWEST_CLUSTERS:
        return f"too few clusters: {plain.clusters}, and an interval needs {FEWEST_CLUSTERS}"
    if plain.support is not None and plain.support < FEWEST_EXAMPLES:
        return f"too few {rare or 'examples of the rarest class'}: {plain.support}, and an interval needs {FEWEST_EXAMPLES}"
    if active < FEWEST_ACTIVE:
        what = "clusters" if parts.clustered else "examples"
        return f"too few {what} on which the two models differ in {plain.metric}: {active}, and an interval needs {FEWEST_ACTIVE}"
    if plain.standard_error is not None and not math.isfinite(plain.standard_error):
        return "the differences are too large to compute with: there is no interval"
    if parts.difference.flat(max(abs(plain.baseline or 0.0), abs(plain.head or 0.0))):
        return "every example changed by the same amount: there is no spread to make an interval of"
    return None
