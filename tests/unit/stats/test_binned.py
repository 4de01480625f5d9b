"""Counting by bins: the true value and influences lie within what is certified, wherever the bins and however the scores lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.stats.binned import Counted, Curve
from mlops_toolkit.stats.layout import Layout
from mlops_toolkit.stats.metrics.ranking import AVERAGE_PRECISION, ROC_AUC, exact
from mlops_toolkit.stats.sample import Floats

EXACT = {"roc-auc": ROC_AUC, "average-precision": AVERAGE_PRECISION}
CURVES: dict[str, Callable[[Counted], Curve]] = {"roc-auc": Counted.roc_auc, "average-precision": Counted.average_precision}
AWKWARD = [-np.inf, -1.5, -0.0, 0.0, 1e-300, 1e-9, 0.25, 0.5, np.nextafter(0.5, 1), 1 - 1e-9, 1.0, 3.0, 1e300, np.inf]

SHAPES: dict[str, Callable[[Floats], Floats]] = {
    "logits": lambda z: z,
    "single precision": lambda z: z.astype(np.float32),
    "probabilities": lambda z: 1 / (1 + np.exp(-3 * z)),
    "sure of itself": lambda z: 1 / (1 + np.exp(-12 * z - 8)),
    "saturated": lambda z: np.where(z > 1, 1.0, np.where(z < -1, 0.0, 1 / (1 + np.exp(-z)))),
    "rounded": lambda z: np.round(1 / (1 + np.exp(-z)), 2),
    "right or wrong": lambda z: (z > 0.5).astype(np.float64),
    "far from nought": lambda z: 1e9 + z,
    "tiny": lambda z: z * 1e-30,
}


def counted(layout: Layout, scores: Floats, positive: np.ndarray, weight: Floats | None, step: int) -> Counted:
    """The counts of chunks of `step` rows, added from both ends to two that are merged."""
    halves = Counted(layout), Counted(layout)
    for i, start in enumerate(range(0, len(scores), step)):
        rows = slice(start, start + step)
        halves[i % 2].add(scores[rows], positive[rows], None if weight is None else weight[rows])
    halves[0].merge(halves[1])
    return halves[0]


def held(name: str, layout: Layout, scores: Floats, positive: np.ndarray, weight: Floats | None, step: int) -> tuple[Curve, float]:
    """The curve of the counts, after its promises have been checked; and the standard error."""
    bins = layout.place(scores)
    assert bins.min() >= 0
    assert bins.max() < layout.bins
    assert np.all(np.diff(bins[np.argsort(scores, kind="stable")]) >= 0), "a bin never falls while the score rises"
    for alone in np.flatnonzero(layout.single):
        assert len(np.unique(scores[bins == alone])) <= 1
    got = CURVES[name](counted(layout, scores, positive, weight, step))
    value, influence = exact(EXACT[name], scores, positive, weight)
    mine = got.influence(scores, positive, weight)
    error = float(np.sqrt((influence**2).sum()))
    assert abs(got.value - value) <= got.bound + 1e-12
    assert np.sqrt(((mine - influence) ** 2).sum()) <= got.slack + 1e-12 * error + 1e-14
    return got, error


@pytest.mark.parametrize("name", sorted(EXACT))
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_what_is_certified_holds_for_any_scores_and_any_bins(name: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    draw = {"few": lambda: rng.choice(AWKWARD, n), "many": lambda: rng.normal(size=n), "within": lambda: rng.random(n)}
    kinds = st.sampled_from(sorted(draw))
    scores, seen = draw[data.draw(kinds)](), draw[data.draw(kinds)]()
    positive = rng.random(n) < 0.5
    positive[:2] = True, False
    weight = rng.choice([1e-3, 0.25, 1.0, 7.5], n) if data.draw(st.booleans()) else None
    with np.errstate(invalid="ignore"):
        layout = Layout.of(seen, aim=data.draw(st.sampled_from([1, 4, 64, 1 << 17])))
        held(name, layout, scores, positive, weight, step=data.draw(st.integers(1, n)))


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("name", sorted(EXACT))
def test_the_bound_is_small_where_scores_are_as_models_write_them(name: str, shape: str) -> None:
    rng = np.random.default_rng(5)
    n = 50_000
    positive = rng.random(n) < 0.2
    scores = SHAPES[shape](rng.normal(size=n) + 1.5 * positive)
    got, error = held(name, Layout.of(scores), scores, positive, None, 7_001)
    assert got.bound <= {"roc-auc": 5e-6, "average-precision": 2e-4}[name]
    assert got.slack <= {"roc-auc": 1e-3, "average-precision": 0.2}[name] * error


def test_a_score_that_many_share_is_a_tie_and_no_doubt() -> None:
    rng = np.random.default_rng(6)
    positive = rng.random(30_000) < 0.5
    scores = np.where(rng.random(30_000) < 0.4, 0.7, rng.random(30_000))
    layout = Layout.of(scores)
    assert layout.single.sum() >= 1
    assert held("roc-auc", layout, scores, positive, None, 10_000)[0].bound < 1e-5
    blind = Layout.of(rng.random(30_000))  # bins that were laid without having seen it: the bound says what that costs
    assert held("roc-auc", blind, scores, positive, None, 10_000)[0].bound > 0.01


def test_a_million_identical_scores() -> None:
    positive = np.arange(1_000_000) % 3 == 0
    scores = np.full(1_000_000, 0.1)
    auc, _ = held("roc-auc", Layout.of(scores), scores, positive, None, 1 << 16)
    assert (auc.value, auc.bound, auc.slack) == (0.5, 0.0, 0.0)


def test_the_order_of_chunks_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    scores, positive = rng.normal(size=10_000), rng.random(10_000) < 0.3
    layout = Layout.of(scores)
    one, other = counted(layout, scores, positive, None, 10_000), counted(layout, scores[::-1], positive[::-1], None, 17)
    assert one.roc_auc().value == other.roc_auc().value
    assert np.array_equal(one.ones, other.ones)
    assert (one.positives, one.negatives) == (other.positives, other.negatives) == (positive.sum(), (~positive).sum())


def test_nothing_that_is_no_number_is_ever_placed() -> None:
    layout = Layout.of(np.array([0.1, 0.9]))
    with pytest.raises(ValueError, match="a score is NaN"):
        Counted(layout).add(np.array([0.5, np.nan, 0.1]), np.array([True, False, True]))
    Counted(layout).add(np.zeros(0), np.zeros(0, dtype=bool))
    assert Layout.of(np.zeros(0)).bins == 1
