"""The numbers behind the charts: confusion counts, ROC, precision–recall and calibration curves of both sides, thinned for drawing. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_toolkit.records.result import Charts, Confusion, Curve
from mlops_toolkit.stats.sample import Sample

POINTS = 200  # a curve in a 600-pixel picture has no use for more
LABELS = 60  # a larger confusion matrix cannot be read; the classes with most examples are kept
BINS = 10


def charts(baseline: Sample | None, head: Sample, names: tuple[str, str]) -> Charts:
    """Charts of one suite. names: what the two sides are called."""
    sides = [(name, side) for name, side in zip(names, (baseline, head), strict=True) if side is not None]
    confusion = _confusion(baseline, head) if baseline is not None and head.labels else None
    roc, pr, calibration = [], [], []
    if head.positive is not None:
        for name, side in sides:
            score = side.score if side.score is not None else None if side.prob is None else side.prob[:, head.positive]
            if score is None or side.target is None:
                continue
            truth = side.target == head.positive
            if truth.all() or not truth.any():
                continue
            roc.append(_roc(name, truth, score))
            pr.append(_pr(name, truth, score))
            if score.min() >= 0 and score.max() <= 1:
                calibration.append(_calibration(name, truth, score))
    return Charts(confusion=confusion, roc=tuple(roc), pr=tuple(pr), calibration=tuple(calibration))


def _confusion(baseline: Sample, head: Sample) -> Confusion | None:
    if head.target is None or head.prediction is None or baseline.prediction is None or baseline.target is None:
        return None
    k = len(head.labels)

    def table(sample: Sample) -> Any:
        cells = np.asarray(sample.target, np.int64) * k + np.asarray(sample.prediction, np.int64)
        return np.bincount(cells, minlength=k * k).reshape(k, k)

    return confusion_of(head.labels, table(baseline), table(head))


def confusion_of(labels: tuple[str, ...], baseline: Any, head: Any) -> Confusion:
    """Of counts by target and prediction, (K, K) each."""
    order = np.arange(len(labels))
    if len(labels) > LABELS:
        order = np.sort(np.argsort(-head.sum(axis=1), kind="stable")[:LABELS])

    def cut(table: Any) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(int(v) for v in row) for row in table[np.ix_(order, order)])

    return Confusion(tuple(labels[i] for i in order.tolist()), cut(baseline), cut(head))


def thin(x: Any, y: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """As many points of a curve as can be told apart."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(POINTS, len(x))).round().astype(int))
    return tuple(round(float(v), 5) for v in x[keep]), tuple(round(float(v), 5) for v in y[keep])


def _steps(truth: Any, score: Any) -> tuple[Any, Any]:
    """Cumulative true and false positives at each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], truth[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    positives = np.cumsum(hits)[ends]
    return positives, ends + 1 - positives


def _roc(name: str, truth: Any, score: Any) -> Curve:
    tp, fp = _steps(truth, score)
    x, y = np.append(0.0, fp / fp[-1]), np.append(0.0, tp / tp[-1])
    return Curve(name, *thin(x, y))


def _pr(name: str, truth: Any, score: Any) -> Curve:
    tp, fp = _steps(truth, score)
    return Curve(name, *thin(tp / tp[-1], tp / (tp + fp)))


def _calibration(name: str, truth: Any, score: Any) -> Curve:
    """Equal-mass bins: the mean score against the share that is positive."""
    order = np.argsort(score, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    return Curve(name, tuple(round(float(score[b].mean()), 5) for b in bins), tuple(round(float(truth[b].mean()), 5) for b in bins))
