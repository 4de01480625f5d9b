"""MAE, RMSE and R² of two models at once: what the general way finds of the influences of each metric, whatever the numbers are like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from mlops_toolkit.stats.of_errors import Linear
from mlops_toolkit.stats.paired import Paired, paired_many
from mlops_toolkit.stats.sample import Floats, Sample
from tests.unit.stats.samples import named

TRIO = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2_score}
Numbers = tuple[Floats, Floats, Floats]  # targets, and what both models say


def noisy(rng: np.random.Generator, n: int) -> Numbers:
    target = 1e9 + 3 * rng.normal(size=n)
    before = target + rng.normal(size=n)
    return target, before, np.where(rng.random(n) < 0.3, target + 1.1 * rng.normal(size=n), before)


def heavy(rng: np.random.Generator, n: int) -> Numbers:
    target = rng.standard_t(2, size=n)
    return target, target + rng.standard_t(3, size=n), target + 0.9 * rng.standard_t(3, size=n)


def counted(rng: np.random.Generator, n: int) -> Numbers:
    """Errors that are often as large as the mean: influences that are 0."""
    target = rng.integers(0, 3, n).astype(float)
    error = np.tile([0.0, 1.0, 1.0, 2.0], n // 4 + 1)[:n]
    return target, target + error, target + np.where(rng.random(n) < 0.1, 1.0, error)


def shifted(rng: np.random.Generator, n: int) -> Numbers:
    """Nearly the same everywhere: what differs is a millionth."""
    target = rng.normal(size=n)
    before = target + rng.normal(size=n)
    return target, before, before + 1e-6 * rng.normal(size=n)


def perfect(rng: np.random.Generator, n: int) -> Numbers:
    target = rng.normal(size=n)
    return target, target + rng.normal(size=n), target.copy()


def biased(rng: np.random.Generator, n: int) -> Numbers:
    target = rng.normal(size=n)
    return target, target + 1000 + rng.normal(size=n), target - 1000 + rng.normal(size=n)


def scaled(by: float) -> Callable[[np.random.Generator, int], Numbers]:
    def made(rng: np.random.Generator, n: int) -> Numbers:
        target = rng.normal(size=n)
        return target * by, (target + rng.normal(size=n)) * by, (target + rng.normal(size=n)) * by

    return made


def both_ways(numbers: Numbers, weight: Floats | None) -> tuple[tuple[Paired, ...], tuple[Paired, ...]]:
    """Together, and each metric by the influences (n,) of both models."""
    target, before, after = numbers
    sides = (Sample(len(target), target, before, weight=weight), Sample(len(target), target, after, weight=weight))
    metrics = [named(name) for name in TRIO]
    return paired_many(metrics, *sides)[""], paired_many([replace(metric, means=None) for metric in metrics], *sides)[""]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [7, 5000, 300_001])
@pytest.mark.parametrize(
    "made", [noisy, heavy, counted, shifted, perfect, biased, scaled(1e60), scaled(1e120), scaled(1e-60), scaled(1e-120)]
)
def test_what_is_found_together_is_what_each_finds(made: Callable[[np.random.Generator, int], Numbers], n: int, weighted: bool) -> None:
    rng = np.random.default_rng([n, weighted])
    weight = rng.choice([0.25, 1.0, 3.0], n) if weighted else None
    numbers = made(rng, n)
    together, apart = both_ways(numbers, weight)
    for one, other in zip(together, apart, strict=True):
        found, expected = asdict(one), asdict(other)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, float | tuple):
                # What is rounding is told beside the numbers of the same piece, and pieces are larger here: one row more or less may count.
                room = {"steps": 1e-6, "head_low": 1e-5, "head_high": 1e-5}.get(name, 1e-9)
                assert found[name] == pytest.approx(
                    value, rel=room, abs=1e-11 * (one.standard_error or 0.0) + 1e-15 * abs(one.head or 0.0)
                ), (one.metric, name)
            else:
                assert found[name] == value, (one.metric, name)
        if one.head is not None and 0 < abs(one.head) < 1e300 and np.all(np.abs(numbers[0]) < 1e100):
            assert one.head == pytest.approx(TRIO[one.metric](numbers[0], numbers[2], sample_weight=weight), rel=1e-12)


def test_numbers_beyond_all_that_can_be_squared_have_a_name_and_no_value() -> None:
    rng = np.random.default_rng(3)
    for by in (1e200, 1e307):
        for one in both_ways(scaled(by)(rng, 5000), None)[0]:
            assert one.low is None or one.metric == "mae", one
            assert one.head is None or np.isfinite(one.head)


def test_a_sum_of_multiples_begins_where_the_others_need_no_multiplication() -> None:
    rng = np.random.default_rng(4)
    columns: dict[tuple[str, int], Floats] = {("square", 0): rng.random(50), ("square", 1): rng.random(50), ("centred", 0): rng.random(50)}
    means = {key: float(column.mean()) for key, column in columns.items()}
    for slopes in ((0.5, -0.5, 3.0), (-0.5, 0.5, -3.0), (-1.0, -2.0, -3.0), (2.0, 0.0, 0.0), (0.0, 0.0, 0.0)):
        made = Linear.of_slopes(dict(zip(columns, slopes, strict=True)), means, 50.0)
        assert made.scale > 0
        expected = sum(slope * (column - means[key]) for slope, (key, column) in zip(slopes, columns.items(), strict=True))
        found = made.of(columns, None, np.empty(50), np.empty(50)) * made.scale * 50
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    first, second, _ = Linear.of_slopes(dict(zip(columns, (0.5, -0.5, 3.0), strict=True)), means, 50.0).factors.values()
    assert (first, second) == (1.0, -1.0)
