"""Influences are what they say they are: slopes of the metric by a row's weight, and so the bootstrap's standard error without its noise.

Every family of the table is drawn from; a metric that is added without being named here fails the first test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.stats.covariance import covariance
from mlops_toolkit.stats.metric import Measured, Metric
from mlops_toolkit.stats.metrics import TABLE
from mlops_toolkit.stats.paired import paired, paired_many
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.single import standard_error
from tests.unit.stats.samples import CLASSES, COLUMNS, LABELS, NUMBERS, PROBS, SCORES, SMOOTH, make, named, sample_for

EVERY = CLASSES + SCORES + PROBS + NUMBERS + COLUMNS


def drawn(name: str, seed: int, n: int, *, weighted: bool = False, spiky: bool = False, clusters: int | None = None) -> Sample:
    rng = np.random.default_rng(seed)
    sample = sample_for(name, make(rng, n, (3, 3), weighted=weighted, spiky=spiky, labels=LABELS))
    return sample if clusters is None else replace(sample, cluster=rng.integers(0, clusters, n).astype(np.int32))


def influence(name: str, sample: Sample) -> Floats:
    found = named(name).measure(sample).influence
    assert found is not None
    return found


def test_every_metric_of_the_table_is_among_those_that_are_tried() -> None:
    assert {name.partition(":")[0] for name in EVERY} == set(TABLE)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spiky", [False, True])
def test_every_row_pulls_as_finite_differences_say(name: str, weighted: bool, spiky: bool) -> None:
    sample = drawn(name, 21, 40, weighted=weighted, spiky=spiky)
    mine, weight, h = influence(name, sample), np.ones(40) if sample.weight is None else sample.weight, 1e-4

    def at(row: int, by: float) -> float:
        value = named(name).measure(replace(sample, weight=np.where(np.arange(40) == row, weight * by, weight))).value
        assert value is not None
        return value

    slopes = np.array([(at(row, 1 + h) - at(row, 1 - h)) / (2 * h) for row in range(40)])
    assert mine == pytest.approx(slopes, rel=1e-5, abs=1e-6 * max(1.0, float(np.abs(slopes).max())))


@pytest.mark.parametrize("name", SMOOTH)
def test_a_cluster_pulls_as_its_rows_together(name: str) -> None:
    sample, h = drawn(name, 22, 60, weighted=True, clusters=12), 1e-4
    assert sample.cluster is not None
    assert sample.weight is not None
    sums = np.bincount(sample.cluster, weights=influence(name, sample), minlength=12)
    for cluster in range(12):
        sides = [replace(sample, weight=np.where(sample.cluster == cluster, sample.weight * by, sample.weight)) for by in (1 + h, 1 - h)]
        ahead, behind = (named(name).measure(side).value for side in sides)
        assert ahead is not None
        assert behind is not None
        assert sums[cluster] == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=1e-6 * max(1.0, float(np.abs(sums).max())))
    assert standard_error(named(name).measure(sample), sample.cluster) == pytest.approx(np.sqrt(12 / 11 * (sums**2).sum()), rel=1e-12)


def bootstrapped(name: str, base: Sample, head: Sample, resamples: int) -> float:
    """The standard deviation of the change over resampled rows, or clusters."""
    rng, metric, changes = np.random.default_rng(3), named(name), []
    units = np.arange(base.n) if base.cluster is None else base.cluster
    by_unit = [np.flatnonzero(units == unit) for unit in range(int(units.max()) + 1)] if base.cluster is not None else None
    for _ in range(resamples):
        picked = rng.integers(0, int(units.max()) + 1, int(units.max()) + 1)
        rows = picked if by_unit is None else np.concatenate([by_unit[unit] for unit in picked])
        before, after = (metric.measure(side.take(rows)).value for side in (base, head))
        assert before is not None
        assert after is not None
        changes.append(after - before)
    return float(np.std(changes, ddof=1))


@pytest.mark.parametrize("clusters", [None, 300])
@pytest.mark.parametrize(
    "name", [name for name in SMOOTH if name not in ("recall-micro", "precision-micro", "f1-micro", "recall-weighted")]
)
def test_the_standard_error_of_a_change_is_the_bootstraps_within_its_noise(name: str, clusters: int | None) -> None:
    base = drawn(name, 23, 1500, clusters=clusters)
    other = drawn(name, 24, 1500)
    some = np.random.default_rng(25).random(1500) < 0.3
    mixed = {"judge": np.where(some, other.columns["judge"], base.columns["judge"])}
    head = replace(base, columns=mixed)
    if base.prediction is not None and other.prediction is not None:
        head = replace(head, prediction=np.where(some, other.prediction, base.prediction))
    if base.prob is not None and other.prob is not None:
        head = replace(head, prob=np.where(some[:, None], other.prob, base.prob))
    if name == "mape":  # a mean that a few targets next to 0 decide has no standard error to speak of
        base, head = (replace(side, target=np.abs(side.target) + 1) for side in (base, head))
    metric, resamples = named(name), 400
    as_rows = replace(metric, slope=None, rowwise=False)
    ours = paired(as_rows, base, head).standard_error
    assert ours is not None
    # four times the noise of a standard deviation of 400 numbers, and 3 % for the curvature that no standard error sees at n = 1,500
    assert ours == pytest.approx(bootstrapped(name, base, head, resamples), rel=4 / np.sqrt(2 * resamples) + 0.03)


@pytest.mark.parametrize("clusters", [None, 40])
def test_the_covariance_of_several_metrics(clusters: int | None) -> None:
    names = ["accuracy", "f1-macro", "roc-auc", "log-loss", "mean:judge"]
    sample = drawn("accuracy", 26, 800, weighted=True, clusters=clusters)
    both = np.stack([influence(name, sample) for name in names], axis=1)
    found = covariance(both, sample.cluster)
    assert np.array_equal(found, found.T)
    for i, name in enumerate(names):
        assert np.sqrt(found[i, i]) == pytest.approx(standard_error(named(name).measure(sample), sample.cluster), rel=1e-12)
    units = both if sample.cluster is None else np.stack([np.bincount(sample.cluster, weights=x) for x in both.T], axis=1)
    assert found == pytest.approx(np.cov(units.T) * len(units), rel=1e-9)
    part = np.array([1.0, -1.0, 0.5, 0.0, 2.0])  # the variance of a sum of metrics
    spread = standard_error(Measured(0.0, both @ part), sample.cluster)
    assert spread == pytest.approx(np.sqrt(part @ found @ part), rel=1e-9)
    with pytest.raises(ValueError, match="two rows"):
        covariance(both[:1])


def test_a_metric_needs_nothing_but_its_value_and_its_influence() -> None:
    """The geometric mean of a column: intervals, slices, clusters and covariance follow."""

    def measure(sample: Sample) -> Measured:
        weight = np.ones(sample.n) if sample.weight is None else sample.weight
        logs = np.log(sample.columns["cost"])
        middle = float((weight * logs).sum() / weight.sum())
        value = float(np.exp(middle))
        return Measured(value, value * weight * (logs - middle) / weight.sum())

    metric = Metric("geometric", "geometric", "lower", "geometric/1", measure, argument="cost", reads="columns")
    rng = np.random.default_rng(27)
    cost, cluster, half = rng.lognormal(size=2000), (np.arange(2000) // 10).astype(np.int32), np.arange(2000) % 2 == 0
    base = Sample(2000, columns={"cost": cost})
    head = Sample(2000, columns={"cost": cost * np.exp(0.05 * rng.normal(size=2000) + 0.02)})
    got = paired_many([metric], base, head, rows_by_slice={"": None, "half": half})
    whole = got[""][0]
    assert whole.change == pytest.approx(measure(base).value - measure(head).value)  # type: ignore[operator]
    assert whole.low is not None
    assert whole.high is not None
    assert whole.low < whole.change < whole.high < 0  # type: ignore[operator]
    assert got["half"][0] == paired(metric, base.take(half), head.take(half))
    clustered = paired(metric, *(replace(side, cluster=cluster) for side in (base, head)))
    assert (clustered.method, clustered.clusters) == ("clusters", 200)
    pulls = np.stack([influence_of(metric, side) for side in (base, head)], axis=1)
    difference = np.array([1.0, -1.0])
    assert np.sqrt(difference @ covariance(pulls) @ difference) == pytest.approx(whole.standard_error, rel=1e-9)


def influence_of(metric: Metric, sample: Sample) -> Floats:
    found = metric.measure(sample).influence
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), weighted=st.booleans(), kind=st.sampled_from(["ties", "near", "plain"]))
def test_an_order_is_counted_pair_by_pair(name: str, seed: int, n: int, weighted: bool, kind: str) -> None:
    """Against the definition, written as a loop: ties, −0.0, infinities, scores that differ in their last digit only."""
    rng = np.random.default_rng(seed)
    levels = [-np.inf, -1.0, -0.0, 0.0, 5e-324, 1.0, np.nextafter(1.0, 2.0), np.inf]
    score = {"ties": rng.choice(levels, n), "near": 1 - 1e-15 * rng.integers(0, 9, n), "plain": rng.normal(size=n)}[kind]
    target = (rng.random(n) < 0.5).astype(np.int32)
    target[:2] = 0, 1
    weight = rng.choice([0.25, 1.0, 3.0], n) if weighted else None
    got = named(name).measure(Sample(n, target, None, ("no", "yes"), score=score, weight=weight, positive=1)).value
    w = np.ones(n) if weight is None else weight
    ones, zeros = np.flatnonzero(target == 1), np.flatnonzero(target == 0)
    if name == "roc-auc":
        right = sum(w[i] * w[j] * (float(score[i] > score[j]) + 0.5 * float(score[i] == score[j])) for i in ones for j in zeros)
        expected = right / (w[ones].sum() * w[zeros].sum())
    else:
        precision = [w[ones][score[ones] >= score[i]].sum() / w[score >= score[i]].sum() for i in ones]
        expected = float((w[ones] * precision).sum() / w[ones].sum())
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_the_variance_of_a_change_of_roc_auc_is_delongs(ties: bool) -> None:
    """The 1988 formula, from the matrix of all pairs; ours has n/(n − 1) where it has m/(m − 1) for each class by itself."""
    rng = np.random.default_rng(29)
    target = (rng.random(400) < 0.3).astype(np.int32)
    scores = [rng.normal(size=400) + target for _ in range(2)]
    scores[1] = 0.7 * scores[0] + 0.3 * scores[1]
    scores = [np.round(one, 1) for one in scores] if ties else scores
    sides = [Sample(400, target, None, ("no", "yes"), score=one, positive=1) for one in scores]
    placed = []
    for one in scores:
        gap = one[target == 1][:, None] - one[target == 0][None, :]
        placed.append((gap > 0) + 0.5 * (gap == 0))
    by_positive, by_negative = (np.stack([one.mean(axis=axis) for one in placed]) for axis in (1, 0))
    m, n = by_positive.shape[1], by_negative.shape[1]
    delong = np.cov(by_positive) / m + np.cov(by_negative) / n
    pull = influence("roc-auc", sides[1]) - influence("roc-auc", sides[0])
    ours = m / (m - 1) * (pull[target == 1] ** 2).sum() + n / (n - 1) * (pull[target == 0] ** 2).sum()
    assert ours == pytest.approx(delong[0, 0] + delong[1, 1] - 2 * delong[0, 1], rel=1e-10)
    got = paired(named("roc-auc"), *sides)
    assert (got.baseline, got.head) == pytest.approx([one.mean() for one in placed], rel=1e-12)
    assert got.standard_error == pytest.approx(np.sqrt(ours), rel=1 / m)


@pytest.mark.parametrize("name", ["roc-auc", "average-precision"])
def test_a_million_identical_scores(name: str) -> None:
    n = 1_000_000
    target = (np.arange(n) % 4 == 0).astype(np.int32)
    sample = Sample(n, target, None, ("no", "yes"), score=np.full(n, 0.1), positive=1)
    assert named(name).measure(sample).value == pytest.approx({"roc-auc": 0.5, "average-precision": 0.25}[name], rel=1e-12)
    assert named(name).measure(replace(sample, score=np.where(np.arange(n) == 5, np.nan, 0.1))).state == "not-finite"


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_large_numbers_lose_nothing_that_their_differences_hold(offset: float) -> None:
    """Chunks, weights and an offset against the plain formulas on numbers near 0, which are the same up to the offset's own rounding."""
    rng = np.random.default_rng(28)
    n = 300_000
    y, noise, extra = (rng.integers(-4096, 4096, n) / 64.0 for _ in range(3))  # exact at any of these offsets
    weight = rng.choice([0.5, 1.0, 2.0], n)
    near = [Sample(n, y, y + e, weight=weight) for e in (noise, noise + extra / 64)]
    far = [replace(side, target=side.target + offset, prediction=np.round(side.prediction * 4096) / 4096 + offset) for side in near]
    near = [replace(side, prediction=np.round(side.prediction * 4096) / 4096) for side in near]
    for name in ("mae", "rmse", "r2", "pinball:0.9"):
        one, other = paired(named(name), *near), paired(named(name), *far)
        tight = 1e-9 if abs(offset) < 1e10 else 1e-5
        assert other.head == pytest.approx(one.head, rel=tight)
        assert (other.change, other.standard_error) == (pytest.approx(one.change, rel=tight), pytest.approx(one.standard_error, rel=tight))
        assert one.standard_error == pytest.approx(_plain_error(name, near, weight), rel=1e-9)


def _plain_error(name: str, sides: list[Sample], weight: Floats) -> float:
    difference = influence(name, sides[1]) - influence(name, sides[0])
    return float(np.sqrt(len(weight) / (len(weight) - 1) * (difference**2).sum()))
