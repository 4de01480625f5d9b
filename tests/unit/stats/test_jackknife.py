"""The interval of a metric known only as a program: as wide as the influence's where there is one, and right at the margin."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from mlops_toolkit.config import requests
from mlops_toolkit.stats import jackknife
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired as by_influence
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.single import standard_error

Values = npt.NDArray[np.float64]
Program = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], float]


def accuracy(target: Values, prediction: Values) -> float:
    return float((target == prediction).mean())


def f1(target: Values, prediction: Values) -> float:
    hits = float(((target == 1) & (prediction == 1)).sum())
    return 2 * hits / float((target == 1).sum() + (prediction == 1).sum())


def rmse(target: Values, prediction: Values) -> float:
    return math.sqrt(float(((target - prediction) ** 2).mean()))


def left_out(program: Program, target: Values, prediction: Values, groups: npt.NDArray[np.int64], count: int = 100) -> tuple[float, ...]:
    return tuple(program(target[groups != g], prediction[groups != g]) for g in range(count))


def two_models(rng: np.random.Generator, n: int, name: str) -> tuple[Values, Values, Values]:
    if name == "rmse":
        target = rng.normal(0, 3, n)
        shared = rng.normal(0, 1, n)
        return target, target + shared + rng.normal(0, 0.4, n), target + shared + rng.normal(0, 0.5, n)
    target = (rng.random(n) < 0.3).astype(float)
    base = np.where(rng.random(n) < 0.9, target, 1 - target)
    head = np.where(rng.random(n) < 0.06, 1 - base, base)
    return target, base, head


def sample(name: str, target: Values, prediction: Values) -> Sample:
    if name == "rmse":
        return Sample(len(target), target, prediction)
    return Sample(len(target), target.astype(np.int32), prediction.astype(np.int32), ("no", "yes"), positive=1)


@pytest.mark.parametrize(("name", "program"), [("accuracy", accuracy), ("f1", f1), ("rmse", rmse)])
def test_its_standard_error_is_the_influences(name: str, program: Program) -> None:
    rng, n = np.random.default_rng(4), 8000
    target, base, head = two_models(rng, n, name)
    metric = resolve(requests.metric(name), labels=() if name == "rmse" else ("no", "yes"), where=None)
    one, two = sample(name, target, base), sample(name, target, head)
    known = by_influence(metric, one, two)
    ratios, own = [], []
    for _ in range(12):  # other groups of the same examples: their spread is the estimate's own
        groups = rng.permutation(n) % 100
        left = tuple(left_out(program, target, p, groups) for p in (base, head))
        found = jackknife.paired(name, n, program(target, base), program(target, head), left, direction=metric.direction, confidence=0.95)  # type: ignore[arg-type]
        assert found.change == pytest.approx(known.change, abs=1e-12)
        spread = jackknife.spread_of(np.array(left[1]) - np.array(left[0])).error
        assert spread is not None
        ratios.append(spread / math.sqrt(n / (n - 1) * float(((metric.measure(two).influence - metric.measure(one).influence) ** 2).sum())))  # type: ignore[operator]
        own.append((jackknife.error(left[1]) or 0) / (standard_error(metric.measure(two)) or 1))
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)
    assert np.mean(own) == pytest.approx(1, abs=0.08)


def test_too_few_groups_or_differences_are_no_interval() -> None:
    def found(base: list[float | None], head: list[float | None]) -> jackknife.Paired:
        return jackknife.paired("x", 100, 1.0, 2.0, (base, head), direction="higher", confidence=0.95)

    assert (found([1.0] * 9, [2.0] * 9).reason, found([1.0] * 50, [2.0] * 50).reason) == ("too-few", "too-few")
    few = found([1.0] * 50, [2.0] * 45 + [2.1, 1.9, 2.2, 1.8, 2.0])
    assert "only 4 of 50 groups" in (few.message or "")
    assert found([None, *[1.0] * 49], [2.0] * 50).low is None
    assert jackknife.paired("x", 1, None, 1.0, ((), ()), direction="higher", confidence=0.95).reason == "undefined"


def test_lower_is_better_turns_the_interval_over() -> None:
    rng = np.random.default_rng(2)
    left = tuple(tuple(1 + 0.01 * rng.standard_normal(40)) for _ in range(2))
    higher, lower = (jackknife.paired("x", 400, 1.0, 1.1, left, direction=d, confidence=0.95) for d in ("higher", "lower"))  # type: ignore[arg-type]
    assert (lower.change, lower.low, lower.high) == (
        pytest.approx(-0.1),
        pytest.approx(-(higher.high or 0)),
        pytest.approx(-(higher.low or 0)),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("n", "disagree"), [(300, 0.2), (1000, 0.05), (1000, 0.2), (4000, 0.04)])
def test_at_the_margin_it_passes_and_fails_as_seldom_as_it_should(n: int, disagree: float) -> None:
    """A share of right rows as a program, truly worse by just the margin; where a model is compared at all."""
    rng, draws, margin = np.random.default_rng(8), 1500, disagree / 4
    worse = (disagree + margin) / 2
    groups = np.arange(n) % 100
    passed = failed = 0
    for _ in range(draws):
        place = rng.random(n)
        gained = (place < disagree - worse).astype(float) - ((place >= disagree - worse) & (place < disagree))
        sums, total = np.bincount(groups, gained, 100), gained.sum()
        counts = np.bincount(groups, minlength=100)
        head = tuple((total - sums) / (n - counts))
        found = jackknife.paired("x", n, 0.0, float(total / n), ((0.0,) * 100, head), direction="higher", confidence=0.95)
        passed += found.low is not None and found.low > -margin
        failed += found.high is not None and found.high < -margin
    most = 0.03 + 3 * math.sqrt(0.03 * 0.97 / draws)
    assert passed / draws <= most
    assert failed / draws <= most


def test_a_few_errors_that_grew_do_not_pass_since_few_groups_have_shown_how_much() -> None:
    rng, n, count, draws = np.random.default_rng(11), 400, 40, 300
    size = 40_000
    target = rng.normal(0, 3, size)
    error = rng.normal(0, 1, size)
    grown = np.where(rng.random(size) < 0.05, error * (1 + rng.exponential(1.5, size)), error)
    margin = rmse(target, target + grown) - rmse(target, target + error)
    passed = 0
    for _ in range(draws):
        rows, groups = rng.integers(0, size, n), rng.permutation(n) % count
        sides = [(target[rows], target[rows] + errors[rows]) for errors in (error, grown)]
        left = [left_out(rmse, *side, groups, count) for side in sides]
        got = jackknife.paired("cost", n, *(rmse(*side) for side in sides), (left[0], left[1]), direction="lower", confidence=0.95)
        passed += got.low is not None and got.low > -margin
    assert passed / draws <= 0.03 + 3 * math.sqrt(0.03 * 0.97 / draws)
