"""Where examples stand by their scores, found by sorting whole numbers: equal to counting every pair, whatever the scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.stats.paired import paired, paired_many
from mlops_toolkit.stats.ranks import ranking, standing
from mlops_toolkit.stats.sample import Floats, Sample
from tests.unit.stats.samples import named

KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "ties": lambda rng, n: rng.choice([-np.inf, -1.5, -0.0, 0.0, 5e-324, 1.0, np.inf], n),
    "neighbours": lambda rng, n: (np.int64(0x3FE0000000000000) + rng.integers(0, 4 * n, n)).view(np.float64),
    "some neighbours and ties": lambda rng, n: -((np.int64(0x3FE0000000000000) + rng.integers(0, 1 + n // 2, n)).view(np.float64)),
    "all one": lambda rng, n: np.full(n, 0.25),
    "spread": lambda rng, n: rng.normal(size=n),
    "none negative": lambda rng, n: rng.choice([-0.0, 0.0, 5e-324, 0.5, 1.0], n),
    "probabilities": lambda rng, n: rng.random(n),
    "single precision": lambda rng, n: rng.normal(size=n).astype(np.float32),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_where_rows_stand_is_what_counting_says(kind: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = KINDS[kind](rng, n), rng.random(n) < rng.random()
    stand = standing(scores, positive)
    higher, same = scores[None, :] > scores[:, None], scores[None, :] == scores[:, None]
    assert (stand.positives, stand.others) == (positive.sum(), (~positive).sum())
    assert np.array_equal(stand.above, (higher & positive).sum(axis=1))
    assert set(stand.rows.tolist()) == set(np.flatnonzero((same & positive).any(axis=1)).tolist())
    assert len(set(stand.rows.tolist())) == len(stand.rows)
    which = np.arange(len(stand.rows)) if stand.which is None else stand.which
    mine = np.ones(len(stand.rows), bool) if stand.kind is None else stand.kind
    assert np.array_equal(positive[stand.rows], mine)
    for of, row in zip(which, stand.rows, strict=True):
        counted = [(same[row] & positive).sum(), (same[row] & ~positive).sum()]
        assert [stand.here[of], stand.there[of]] == counted
        assert [stand.upto[of], stand.over[of]] == [((same | higher)[row] & one).sum() for one in (positive, ~positive)]
    order = ranking(scores)
    assert np.array_equal(order.rows, np.lexsort((np.arange(n), -scores)))


def test_a_score_that_is_no_number_is_refused() -> None:
    scores = np.array([0.1, np.nan, 0.3])
    with pytest.raises(ValueError, match="NaN"):
        standing(scores, scores > 0.2)
    with pytest.raises(ValueError, match="NaN"):
        ranking(scores)


def drawn(n: int, *, weighted: bool = False, clustered: bool = False) -> tuple[Sample, Sample]:
    """Two models of four classes with probabilities."""
    rng = np.random.default_rng(7)
    target = rng.integers(0, 4, n).astype(np.int32)
    logit = rng.normal(size=(n, 4))
    logit[np.arange(n), target] += 1.5
    made = []
    for moved in (0.0, 0.3):
        prob = np.exp(logit + moved * rng.normal(size=logit.shape) * (rng.random((n, 1)) < 0.2))
        prob = np.asfortranarray(prob / prob.sum(axis=1, keepdims=True))
        weight = np.random.default_rng(1).random(n) + 0.1 if weighted else None
        cluster = np.random.default_rng(2).integers(0, n // 5, n).astype(np.int32) if clustered else None
        guess = prob.argmax(axis=1).astype(np.int32)
        made.append(Sample(n, target, guess, ("a", "b", "c", "d"), prob=prob, weight=weight, cluster=cluster))
    return made[0], made[1]


@pytest.mark.parametrize(("weighted", "clustered"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("batch", [1, 9_000, 1 << 30])
def test_slices_that_are_read_together_by_several_threads_are_each_as_if_alone(
    monkeypatch: pytest.MonkeyPatch, batch: int, weighted: bool, clustered: bool
) -> None:
    """Overlapping, as masks and as indices, with and without the comparison of all rows that they look things up in."""
    n = 20_000
    monkeypatch.setattr("mlops_toolkit.stats.paired._BATCH", batch)
    monkeypatch.setattr("mlops_toolkit.stats.chunks._WORTHWHILE", 1)
    base, head = drawn(n, weighted=weighted, clustered=clustered)
    metrics = [named(name) for name in ("roc-auc", "accuracy", "log-loss", "average-precision", "brier", "roc-auc:b", "f1-macro")]
    part = np.arange(n) % 3
    slices = {f"part={i}": part == i for i in range(3)} | {"late": np.arange(n // 2, n), "few": np.arange(5, 400, 3)}
    expected = {name: tuple(paired(metric, base.take(rows), head.take(rows)) for metric in metrics) for name, rows in slices.items()}
    for rows in ({**slices, "": None}, slices, {"": None, **slices}):
        found = paired_many(metrics, base, head, rows_by_slice=rows)
        assert list(found) == list(rows)
        for name, wanted in expected.items():
            for got, one in zip(found[name], wanted, strict=True):
                assert got == one
    assert not base.memory
    assert not head.memory
