"""Quantiles: how sure their density is, by how much one example moves them, and how often a change on the margin passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.metrics.quantiles import around, certainty
from mlops_toolkit.stats.paired import Paired, paired
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.spread import Spread
from tests.unit.stats.simulate import at_most, verdicts

Rng = np.random.Generator


def quantile(q: float) -> Metric:
    return resolve(MetricRequest("p", "quantile", argument="ms", better="lower", q=q))


@pytest.mark.parametrize(("q", "n"), [(0.5, 200), (0.5, 2000), (0.9, 1000)])
def test_the_density_is_as_sure_as_a_variance_of_so_many_degrees_of_freedom(q: float, n: int) -> None:
    rng, (low, high) = np.random.default_rng(2), around(q, n)
    drawn = rng.random((4000, n))
    width = np.quantile(drawn, high, axis=1) - np.quantile(drawn, low, axis=1)
    assert np.var(width**2) / np.mean(width**2) ** 2 == pytest.approx(2 / certainty(q, n), rel=0.2)


def test_weights_and_clusters_make_the_density_less_sure() -> None:
    rng = np.random.default_rng(4)
    plain = Sample(1000, columns={"ms": rng.random(1000)})
    known = [
        quantile(0.5).measure(one).df or 0
        for one in (
            plain,
            replace(plain, weight=rng.lognormal(0, 1, 1000)),
            replace(plain, cluster=np.repeat(np.arange(100), 10).astype(np.int32)),
        )
    ]
    assert known[0] == certainty(0.5, 1000)
    assert known[0] > known[1] > known[2] == certainty(0.5, 100)


@pytest.mark.parametrize("q", [0.3, 0.5, 0.9])
def test_an_example_that_crosses_moves_a_quantile_by_the_jump_of_the_influence(q: float) -> None:
    values = np.linspace(0, 7, 2001)
    crossed = values.copy()
    crossed[0] = 100.0
    before, after = (quantile(q).measure(Sample(2001, columns={"ms": one})) for one in (values, crossed))
    assert before.influence is not None
    assert (after.value or 0) - (before.value or 0) == pytest.approx(Spread.of(before.influence).range, rel=1e-2)


def lognormal(rng: Rng, n: int) -> Floats:
    return rng.lognormal(0, 1, n)


def long(rng: Rng, n: int) -> Floats:
    return rng.lognormal(0, 2, n)


def normal(rng: Rng, n: int) -> Floats:
    return np.abs(rng.normal(size=n))


@pytest.mark.parametrize(
    ("values", "q", "n", "share", "grow"),
    [(long, 0.5, 300, 0.1, 0.5), (lognormal, 0.9, 300, 0.1, 0.5), (normal, 0.9, 1000, 0.05, 1.5), (long, 0.5, 300, 1.0, 0.0)],
)
def test_a_quantile_that_fell_by_the_margin_seldom_passes(
    values: Callable[[Rng, int], Floats], q: float, n: int, share: float, grow: float
) -> None:
    rng, size, times, metric = np.random.default_rng(11), 60_000, 600, quantile(q)
    before = values(rng, size)
    worse = before * (1 + rng.exponential(grow, size)) if grow else 1.1 * values(rng, size)
    after = np.where(rng.random(size) < share, worse, before)

    def draw() -> Paired:
        rows = rng.integers(0, size, n)
        return paired(metric, Sample(n, columns={"ms": before[rows]}), Sample(n, columns={"ms": after[rows]}))

    margin = float(np.quantile(after, q) - np.quantile(before, q))
    found = verdicts(draw, margin, times)
    assert found["pass"] <= at_most(0.03, times)
    assert found["fail"] <= at_most(0.03, times)
    assert math.isclose(sum(found.values()), 1)
