"""By how much a metric of a few examples is too good on average: average precision, whose positives are all among those found above them.

The precision at a positive's rank counts that positive itself. Leaving it out (with its whole cluster), and letting those left weigh as
much as all positives and all others did, gives what another example there would have met; the mean difference is the optimism. It falls as ln(P)/P with P positives and is larger, the worse the model: comparing
two models on 60 positives it is a fifth of a standard error of their difference, always to the advantage of the worse one. The value
that is shown stays what everybody computes; the interval is moved.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.ranks import Standing, standing
from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.tally import summed

MOST = 100_000  # examples, above which there are hardly ever so few positives that it matters, and sorting takes time

Mask = npt.NDArray[np.bool_]


def optimism(metric: Metric, sample: Sample) -> float:
    """The sample's value less what it would be on average of many such samples; 0 for other metrics. Clusters are 0…G−1."""
    if metric.family != "average-precision" or sample.target is None or sample.n > MOST:
        return 0.0
    if metric.argument is None and len(sample.labels) > 2 and sample.prob is not None:
        return float(np.mean([_of(c, sample.target == c, sample.prob[:, c], sample) for c in range(len(sample.labels))]))
    c = sample.labels.index(metric.argument) if metric.argument is not None else sample.positive
    if c is None:
        return 0.0
    scores = sample.score if sample.score is not None and c == sample.positive else None if sample.prob is None else sample.prob[:, c]
    return 0.0 if scores is None else _of(c, sample.target == c, scores, sample)


def _of(c: int, positive: Mask, scores: Floats, sample: Sample) -> float:
    """Of class c against the rest; where every row counts once, from the order that the metric itself was read from."""
    if sample.weight is None and sample.cluster is None:
        return _plain(sample.once(("standing", c), lambda: standing(scores, positive))) if positive.any() else 0.0
    return _weighted(positive, scores, sample)


def _plain(stand: Standing) -> float:
    """The same of rows that count once each: only the places of positives matter."""
    found, missed = stand.upto.astype(np.float64), stand.over.astype(np.float64)
    if stand.which is not None:  # a place for each of the positives that share a score
        found, missed = np.repeat(found, stand.here), np.repeat(missed, stand.here)
    seen = found + missed
    ones = float(stand.positives)
    left = (found - 1.0) * ones / (ones - 1.0) if stand.positives > 1 else np.zeros_like(found)
    others = left + missed  # of the others none is left out
    some = others > 1e-9 * seen
    more = found[some] / seen[some] - left[some] / others[some]
    return float(more.sum() / ones)


def _weighted(positive: Mask, scores: Floats, sample: Sample) -> float:
    order = np.argsort(-scores, kind="stable")
    weight = np.ones(sample.n) if sample.weight is None else sample.weight[order]
    ones = weight * positive[order]
    if not ones.any():
        return 0.0
    last = np.append(np.flatnonzero(np.diff(scores[order])), sample.n - 1)  # the place where each score ends
    end = last[np.searchsorted(last, np.arange(sample.n))]
    found, seen = np.cumsum(ones)[end], np.cumsum(weight)[end]
    zeros = weight - ones
    missed = seen - found
    if sample.cluster is None:
        parts, wholes = (ones, zeros), (ones, zeros)
    else:
        cluster = sample.cluster[order]
        parts = (_within(ones, cluster, end), _within(zeros, cluster, end))
        wholes = (summed(cluster, ones, int(cluster.max()) + 1)[cluster], summed(cluster, zeros, int(cluster.max()) + 1)[cluster])
    kept = [
        _kept(run - part, all_, whole)
        for run, part, all_, whole in zip((found, missed), parts, (ones.sum(), zeros.sum()), wholes, strict=True)
    ]
    others = kept[0] + kept[1]
    some = (ones > 0) & (others > 1e-9 * seen)
    more = found[some] / seen[some] - kept[0][some] / others[some]
    return float((more * ones[some]).sum() / ones.sum())


def _kept(without: Floats, all_: float, own: Floats) -> Floats:
    """A running sum without its own cluster, as large a share of all as it is of all others."""
    left = all_ - own
    return np.divide(np.maximum(without, 0.0) * all_, left, out=np.zeros_like(without), where=left > 1e-9 * all_)


def _within(values: Floats, cluster: Codes, end: npt.NDArray[np.intp]) -> Floats:
    """Running sums within each cluster, by place; of places that end together (n,), since their scores are equal, up to the last."""
    grouped = np.argsort(cluster, kind="stable")
    runs, codes, ends = np.cumsum(values[grouped]), cluster[grouped], end[grouped]
    last = np.append(np.flatnonzero((codes[1:] != codes[:-1]) | (ends[1:] != ends[:-1])), len(values) - 1)
    starts = np.append(0, np.flatnonzero(np.diff(codes)) + 1)
    before = np.append(0.0, runs)[starts]
    found = np.empty(len(values))
    found[grouped] = (runs - np.repeat(before, np.diff(np.append(starts, len(values)))))[np.repeat(last, np.diff(last, prepend=-1))]
    return found
