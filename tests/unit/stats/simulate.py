"""Populations whose true difference in a metric is known, and how often the rule passes or fails samples of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired, paired
from mlops_toolkit.stats.rule import decide
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.tally import Slope, tally
from tests.unit.stats.samples import LABELS

K = len(LABELS)
TARGET, BASE, HEAD = (codes.ravel().astype(np.int32) for codes in np.meshgrid(range(K), range(K), range(K), indexing="ij"))
PRIOR = np.array([0.5, 0.3, 0.2])


def population(accuracy: float, churn: float, damage: float) -> Floats:
    """The probability of every (target, baseline, head): the head answers a `churn` of rows afresh and gets `damage` of its right ones wrong."""
    wrong = (1 - accuracy) / (K - 1)
    base = np.where(BASE == TARGET, accuracy, wrong)
    fresh = np.where(HEAD == TARGET, accuracy, wrong)
    head = (1 - churn) * (HEAD == BASE) + churn * fresh
    cube = (PRIOR[TARGET] * base * head).reshape(K, K, K)
    for t in range(K):
        lost = cube[t, :, t] * damage
        cube[t, :, t] -= lost
        for h in range(K):
            if h != t:
                cube[t, :, h] += lost / (K - 1)
    return cube.ravel()


def true_drop(metric: Metric, probability: Floats) -> float:
    """How much worse the head is in the population itself."""
    whole = Sample(len(TARGET), TARGET, None, LABELS, weight=probability, positive=1)
    before, after = (value(metric.slope(tally(TARGET, side, whole))) for side in (BASE, HEAD) if metric.slope)
    return before - after


def value(slope: Slope) -> float:
    assert slope.value is not None
    return slope.value


def rates(metric: Metric, probability: Floats, n: int, margin: float, times: int, seed: int = 0) -> dict[str, float]:
    """The share of samples of n rows that pass, fail, and are inconclusive."""
    rng = np.random.default_rng(seed)

    def draw() -> Paired:
        counts = rng.multinomial(n, probability)
        target, base, head = (np.repeat(codes, counts) for codes in (TARGET, BASE, HEAD))
        return paired(metric, Sample(n, target, base, LABELS, positive=1), Sample(n, target, head, LABELS, positive=1))

    return verdicts(draw, margin, times)


def verdicts(draw: Callable[[], Paired], margin: float, times: int) -> dict[str, float]:
    """The share of each verdict over `times` draws."""
    found = Counter(decide(got.change, got.low, got.high, margin).verdict for got in (draw() for _ in range(times)))
    return {verdict: found[verdict] / times for verdict in ("pass", "fail", "inconclusive")}


def at_most(nominal: float, times: int) -> float:
    """The nominal rate and three standard errors of counting it in so many draws."""
    return nominal + 3 * float(np.sqrt(nominal * (1 - nominal) / times))
