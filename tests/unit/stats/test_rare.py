"""The own value of a metric of scores where positives are rare: its interval is of use, and holds the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import interval
from tests.unit.stats.samples import named

Rng = np.random.Generator


def normal(rng: Rng, n: int) -> Floats:
    return rng.normal(size=n)


def long(rng: Rng, n: int) -> Floats:
    return 0.7 * rng.standard_t(3, size=n)


def drawn(rng: Rng, n: int, share: float, apart: float, noise: Callable[[Rng, int], Floats]) -> Sample:
    target = (rng.random(n) < share).astype(np.int32)
    score = noise(rng, n) + apart * target
    return Sample(n, target, (score > 2).astype(np.int32), ("no", "yes"), score=score, positive=1)


@pytest.mark.parametrize(("n", "share", "area", "noise"), [(1000, 0.05, 0.9, normal), (2000, 0.02, 0.7, long), (3000, 0.02, 0.97, normal)])
def test_of_rare_positives_the_interval_is_of_use_and_holds_the_value(
    n: int, share: float, area: float, noise: Callable[[Rng, int], Floats]
) -> None:
    rng, times, apart = np.random.default_rng(8), 250, math.sqrt(2) * NormalDist().inv_cdf(area)
    metrics = [named("roc-auc"), named("average-precision")]
    population = drawn(rng, 600_000, share, apart, noise)
    truth, samples = (
        [metric.measure(population).value or 0 for metric in metrics],
        [drawn(rng, n, share, apart, noise) for _ in range(times)],
    )
    for metric, value, widest in zip(metrics, truth, (0.25, 0.5), strict=True):
        found = [interval(metric, sample) for sample in samples if int(sample.target.sum()) >= 25]  # type: ignore[union-attr]
        ends = np.array([one for one in found if one is not None])
        assert len(ends) == len(found) > 0.9 * times
        held = float(np.mean((ends[:, 0] <= value) & (value <= ends[:, 1])))
        assert held >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / len(ends)), metric.name
        assert np.median(ends[:, 1] - ends[:, 0]) <= widest, metric.name
