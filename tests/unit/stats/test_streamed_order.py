"""Order statistics of rows in blocks are those that sorting puts there: of any floats, in any order, however many are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.streamed import order
from mlops_toolkit.stats.streamed.block import Block
from mlops_toolkit.stats.streamed.measure import Asked, measured

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.lists(FLOATS, min_size=1, max_size=50))
def test_keys_are_in_the_order_of_floats_and_lead_back(values: list[float]) -> None:
    given_ = np.array(values) + 0.0
    found = order.keys(given_)
    assert np.array_equal(order.floats(found), given_)
    assert np.array_equal(order.floats(np.sort(found)), np.sort(given_))


def shapes(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    near = 1.0 + rng.integers(0, 1 << 20, n) * 2.0**-52  # apart in their last bits alone: four passes
    return {
        "log-normal": rng.lognormal(0, 3, n),
        "either side of zero": rng.normal(0, 1e-3, n),
        "whole": rng.integers(-3, 4, n).astype(float),
        "near": near,
        "one value": np.full(n, 2.5),
        "huge and tiny": rng.choice([-1e300, -5e-324, -0.0, 0.0, 5e-324, 1e300], n),
    }


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_FEW", 100)


@pytest.mark.parametrize("name", list(shapes(np.random.default_rng(0), 1)))
@pytest.mark.parametrize("q", [0.001, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("clustered", [False, True])
def test_a_quantile_in_blocks_is_the_one_in_memory(name: str, q: float, clustered: bool) -> None:
    rng = np.random.default_rng(11)
    n = 20_000
    before = shapes(rng, n)[name]
    after = np.where(rng.random(n) < 0.1, shapes(rng, n)[name], before)
    cluster = rng.integers(0, 3000, n).astype(np.int32) if clustered else None
    base, head = (Sample(n, columns={"ms": values}, cluster=cluster) for values in (before, after))
    metric = resolve(MetricRequest("p", "quantile", argument="ms", q=q, better="lower"), labels=(), where=None)
    blocks = [Block(head.part(slice(i, min(i + 777, n))), base.part(slice(i, min(i + 777, n))), {}) for i in range(0, n, 777)]
    asked = Asked((metric,), (), {None: None}, 3000 if clustered else 0, blocks[0])
    streamed = measured(blocks, asked, 0.95)[0]["p"][None]
    whole = paired(metric, base, head)
    for field in ("baseline", "head", "change", "low", "high", "standard_error", "head_low", "head_high", "df"):
        mine, theirs = getattr(streamed, field), getattr(whole, field)
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-9, abs=1e-300)), field
    assert (streamed.support, streamed.disagree, streamed.reason) == (whole.support, whole.disagree, whole.reason)


def test_weights_are_refused_by_name() -> None:
    rng = np.random.default_rng(1)
    rows = Sample(500, columns={"ms": rng.random(500)}, weight=rng.choice([1.0, 2.0], 500))
    metric = resolve(MetricRequest("p", "quantile", argument="ms", q=0.5, better="lower"), labels=(), where=None)
    with pytest.raises(UsageError, match="p of weighted examples cannot be computed"):
        measured([Block(rows, rows, {})], Asked((metric,), (), {None: None}, 0, Block(rows, rows, {})), 0.95)
