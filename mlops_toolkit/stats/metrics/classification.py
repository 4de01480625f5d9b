"""Metrics of right and wrong labels: formulas over a Tally, with their slopes.

Averages run over the classes that occur in target or prediction, as in scikit-learn; a class without predictions has
precision 0 and one without examples recall 0 there, and the state says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics.build import from_slope, positive_class, rows_of
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.tally import Counts, Slope, Tally, thin

Mask = npt.NDArray[np.bool_]


def accuracy(request: MetricRequest, where: str | None) -> Metric:
    """Σ w·[right] / Σ w."""
    return from_slope(request, "accuracy/1", _accuracy, where=where, rowwise=True)


def _accuracy(tally: Tally) -> Slope:
    weight = float(tally.true.sum())
    value = float(tally.hit.sum()) / weight
    k = len(tally.true)
    return Slope(value, true=np.full(k, -value / weight), predicted=np.zeros(k), hit=np.full(k, 1 / weight))


def _recall_weighted(tally: Tally) -> Slope:
    without = np.any((tally.true_rows == 0) & (tally.predicted_rows > 0))
    return replace(_accuracy(tally), state="class-without-examples" if without else "ok")


def balanced_accuracy(request: MetricRequest, where: str | None) -> Metric:
    """The mean recall of the classes that occur in the target."""
    return from_slope(request, "balanced-accuracy/1", _balanced_accuracy, where=where)


def _balanced_accuracy(tally: Tally) -> Slope:
    present = tally.true_rows > 0
    if np.any(~present & (tally.predicted_rows > 0)):
        state = "class-without-examples"
    else:
        state = "one-class" if present.sum() == 1 else "ok"
    support, rare = _rarest(tally.true_rows, present, tally.labels)
    found = _mean(_ratios(tally, _KINDS["recall"]), present.astype(np.float64) / present.sum(), state, support, rare)
    return replace(found, thin=thin(tally.true_rows[present]))


# --- precision, recall, F1


@dataclass(frozen=True)
class _Kind:
    """top·hit / (true·`true` + predicted·`predicted`), a class at a time."""

    top: float
    true: float
    predicted: float


_KINDS = {"precision": _Kind(1, 0, 1), "recall": _Kind(1, 1, 0), "f1": _Kind(2, 1, 1)}


@dataclass(frozen=True)
class _Ratios:
    """Every class's ratio and its derivatives by that class's own sums, (K,) each; 0 where the ratio is 0/0."""

    value: Floats
    true: Floats
    predicted: Floats
    hit: Floats


def _ratios(tally: Tally, kind: _Kind) -> _Ratios:
    bottom = kind.true * tally.true + kind.predicted * tally.predicted
    inverse, value = (np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0) for top in (1.0, kind.top * tally.hit))
    fall = -value * inverse
    return _Ratios(value, kind.true * fall, kind.predicted * fall, kind.top * inverse)


def _mean(ratios: _Ratios, share: Floats, state: str, support: int | None, rare: str | None) -> Slope:
    """Σ share·ratio with constant shares."""
    value = float((ratios.value * share).sum())
    return Slope(value, state, support, rare, ratios.true * share, ratios.predicted * share, ratios.hit * share)


def by_class(request: MetricRequest, where: str | None) -> Metric:
    """precision, recall, f1: of a class (bare: of the positive one), `-macro`, `-weighted`; `-micro` is the accuracy."""
    name, _, averaging = request.family.partition("-")
    if averaging:
        equal_to_accuracy = averaging == "micro" or request.family == "recall-weighted"
        slopes = {"micro": _accuracy, "macro": _macro(name), "weighted": _recall_weighted if name == "recall" else _weighted(name)}
        return from_slope(
            request, f"{name} averaging={averaging} zero-division=0/1", slopes[averaging], where=where, rowwise=equal_to_accuracy
        )
    slope, signature = _one_class(name, request.argument, where), f"{name} class={request.argument or 'positive'} zero-division=0/1"
    if name != "recall":
        return from_slope(request, signature, slope, where=where)

    def only(sample: Sample) -> int:
        return positive_class(name, request.argument, sample.labels, sample.positive, where)

    return from_slope(request, signature, slope, where=where, rowwise=True, only=only)


def _one_class(name: str, argument: str | None, where: str | None) -> Callable[[Tally], Slope]:
    def slope(tally: Tally) -> Slope:
        c = positive_class(name, argument, tally.labels, tally.positive, where)
        true, predicted = int(tally.true_rows[c]), int(tally.predicted_rows[c])
        rows = predicted if name == "precision" else true
        rare = f'predictions of class "{tally.labels[c]}"' if name == "precision" else rows_of(tally.labels[c])
        if true == 0 and (name == "recall" or predicted == 0):
            return Slope(None, "no-positives", rows, rare)
        state = "no-predicted-positives" if predicted == 0 and name != "recall" else "ok"
        share = np.zeros(len(tally.labels))
        share[c] = 1.0
        return _mean(_ratios(tally, _KINDS[name]), share, state, rows, rare)

    return slope


def _macro(name: str) -> Callable[[Tally], Slope]:
    def slope(tally: Tally) -> Slope:
        present = (tally.true_rows > 0) | (tally.predicted_rows > 0)
        state, support, rare = _gaps(name, tally, present)
        found = _mean(_ratios(tally, _KINDS[name]), present / present.sum(), state, support, rare)
        return replace(found, thin=thin(tally.true_rows[present]))

    return slope


def _weighted(name: str) -> Callable[[Tally], Slope]:
    def slope(tally: Tally) -> Slope:
        weight = float(tally.true.sum())
        state, support, rare = _gaps(name, tally, tally.true_rows > 0)
        ratios = _ratios(tally, _KINDS[name])
        share = tally.true / weight
        value = float((ratios.value * share).sum())
        by_size = (ratios.value - value) / weight  # the shares grow with the class, too
        few = thin(tally.true_rows[tally.true_rows > 0])
        return Slope(value, state, support, rare, ratios.true * share + by_size, ratios.predicted * share, ratios.hit * share, few)

    return slope


def _gaps(name: str, tally: Tally, present: Mask) -> tuple[str, int, str]:
    """The state, support and its words of an average over the present classes."""
    if name != "recall" and np.any(present & (tally.predicted_rows == 0)):
        state = "no-predicted-positives"
    elif name != "precision" and np.any(present & (tally.true_rows == 0)):
        state = "class-without-examples"
    else:
        state = "ok"
    rows = tally.predicted_rows if name == "precision" else tally.true_rows
    return (state, *_rarest(rows, present, tally.labels, "predictions of" if name == "precision" else "examples of"))


def _rarest(
    rows: Counts,
    present: Mask,
    labels: tuple[str, ...],
    what: str = "examples of",
) -> tuple[int, str]:
    among = np.flatnonzero(present)
    rarest = int(among[np.argmin(rows[among])])
    return int(rows[rarest]), f'{what} class "{labels[rarest]}"'


# --- agreement beyond chance, over shares of the whole weight


def mcc(request: MetricRequest, where: str | None) -> Metric:
    """Matthews' correlation for any number of classes: (Σhit − Σ t·p) / √((1 − Σp²)(1 − Σt²)) over shares (Gorodkin 2004)."""
    return from_slope(request, "mcc/1", _mcc, where=where)


def _mcc(tally: Tally) -> Slope:
    present = tally.true_rows > 0
    support, rare = _rarest(tally.true_rows, present, tally.labels)
    if present.sum() < 2:
        return Slope(None, "one-class", support, rare)
    if (tally.predicted_rows > 0).sum() < 2:
        zero = np.zeros(len(tally.labels))
        return Slope(0.0, "constant-prediction", support, rare, zero, zero, zero)
    weight = float(tally.true.sum())
    t, p, h = tally.true / weight, tally.predicted / weight, tally.hit / weight
    spread_t, spread_p = 1 - float((t * t).sum()), 1 - float((p * p).sum())
    scale = float(np.sqrt(spread_t * spread_p))
    if not scale > 0:  # all but 1e-16 of the weight is one class's
        return Slope(None, "one-class", support, rare)
    value = (float(h.sum()) - float((t * p).sum())) / scale
    true = -p / scale + value * t / spread_t
    predicted = -t / scale + value * p / spread_p
    return _of_shares(value, support, rare, weight, (t, true), (p, predicted), (h, np.full(len(t), 1 / scale)))


def kappa(request: MetricRequest, where: str | None) -> Metric:
    """Cohen's kappa: (Σhit − e)/(1 − e) with e = Σ t·p, over shares."""
    return from_slope(request, "kappa/1", _kappa, where=where)


def _kappa(tally: Tally) -> Slope:
    present = tally.true_rows > 0
    support, rare = _rarest(tally.true_rows, present, tally.labels)
    if present.sum() < 2:
        return Slope(None, "one-class", support, rare)
    weight = float(tally.true.sum())
    t, p, h = tally.true / weight, tally.predicted / weight, tally.hit / weight
    chance, observed = float((t * p).sum()), float(h.sum())
    if not chance < 1:  # all but 1e-16 of the weight is one class's
        return Slope(None, "one-class", support, rare)
    value = (observed - chance) / (1 - chance)
    by_chance = -(1 - observed) / (1 - chance) ** 2
    return _of_shares(value, support, rare, weight, (t, by_chance * p), (p, by_chance * t), (h, np.full(len(t), 1 / (1 - chance))))


def _of_shares(
    value: float,
    support: int,
    rare: str,
    weight: float,
    true: tuple[Floats, Floats],
    predicted: tuple[Floats, Floats],
    hit: tuple[Floats, Floats],
) -> Slope:
    """From derivatives by shares to derivatives by sums: each part comes as (shares, derivatives)."""
    mean = sum(float((shares * slopes).sum()) for shares, slopes in (true, predicted, hit))
    return Slope(value, "ok", support, rare, (true[1] - mean) / weight, predicted[1] / weight, hit[1] / weight)
