"""Slices that are searched: nothing is said of equal models, what is planted is found, and of those that say the same only one is given."""

from __future__ import annotations

import numpy as np
import pytest

from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.search import Column, Slice, search
from tests.unit.stats.simulate import at_most

Made = tuple[list[Column], Floats]


def columns(rng: np.random.Generator, n: int, many: int = 5, values: int = 6) -> list[Column]:
    return [Column(rng.integers(0, values, n), values) for _ in range(many)]


def signs(rng: np.random.Generator, n: int, churn: float = 0.08) -> Floats:
    """Rows that got better (+1) or worse (−1), as many of either."""
    return np.where(rng.random(n) < churn, rng.choice([-1.0, 1.0], n), 0.0)


def names(found: tuple[Slice, ...]) -> list[dict[int, int]]:
    return [dict(one.where) for one in found]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["signs", "few", "tails", "weights", "clusters", "correlated"])
def test_of_two_equal_models_nothing_is_said_19_times_in_20(kind: str) -> None:
    rng, times, n = np.random.default_rng(17), 250, 2500
    said = 0
    for _ in range(times):
        cut, weight, cluster = columns(rng, n), None, None
        change = signs(rng, n, 0.02 if kind == "few" else 0.08)
        if kind == "tails":
            change = rng.standard_t(3, n) * (rng.random(n) < 0.5)
        elif kind == "weights":
            weight = rng.choice([0.25, 1.0, 7.5], n)
        elif kind == "clusters":
            cluster = np.repeat(np.arange(n // 5), 5).astype(np.int32)
            change = np.repeat(signs(rng, n // 5, 0.3), 5)
        elif kind == "correlated":
            cut = [Column(np.where(rng.random(n) < 0.7, cut[0].codes, one.codes), one.values) for one in cut]
        said += bool(search(cut, change, weight=weight, cluster=cluster)[1])
    assert said / times <= at_most(0.05, times)


def test_what_is_planted_is_found_and_said_once() -> None:
    rng = np.random.default_rng(18)
    alone = 0
    for _ in range(20):
        cut, change = columns(rng, 6000), signs(rng, 6000, 0.04)
        inside = (cut[0].codes == 1) & (cut[3].codes == 2)
        change[inside & (rng.random(6000) < 0.25)] = -1.0
        looked, found = search(cut, change)
        assert looked == 5 * 6 + 10 * 36
        assert {0: 1, 3: 2} in names(found)
        alone += len(found) == 1
        surest = next(one for one in found if dict(one.where) == {0: 1, 3: 2})
        assert surest.n == int(inside.sum())
        assert surest.p <= surest.q <= 0.05
    assert alone >= 16


def test_a_loss_of_one_column_is_not_told_again_for_each_value_of_another() -> None:
    rng = np.random.default_rng(19)
    cut, change = columns(rng, 6000), signs(rng, 6000, 0.04)
    change[(cut[2].codes == 4) & (rng.random(6000) < 0.2)] = -1.0
    assert names(search(cut, change)[1])[:1] == [{2: 4}]
    assert len(search(cut, change)[1]) <= 2


def test_where_all_of_a_loss_lies_in_a_part_that_is_named() -> None:
    """Though the whole is surer, since a little was lost everywhere."""
    rng = np.random.default_rng(24)
    cut, change = columns(rng, 12_000, values=3), signs(rng, 12_000, 0.01)
    change[rng.random(12_000) < 0.015] = -1.0
    change[(cut[0].codes == 1) & (cut[3].codes == 2) & (rng.random(12_000) < 0.25)] = -1.0
    assert names(search(cut, change)[1])[0] == {0: 1, 3: 2}


def test_a_loss_everywhere_is_no_slice() -> None:
    rng = np.random.default_rng(20)
    cut, change = columns(rng, 6000), signs(rng, 6000, 0.04)
    change[rng.random(6000) < 0.1] = -1.0
    assert len(search(cut, change)[1]) <= 1


def test_two_columns_that_say_the_same_are_one_slice() -> None:
    rng = np.random.default_rng(21)
    cut, change = columns(rng, 6000, many=3), signs(rng, 6000, 0.04)
    cut.append(Column(cut[0].codes.copy(), 6))
    change[(cut[0].codes == 1) & (rng.random(6000) < 0.3)] = -1.0
    looked, found = search(cut, change)
    assert looked == 4 * 6 + 5 * 36, "a value beside itself is no other slice"
    assert names(found) == [{0: 1}]


def test_a_gain_is_not_what_is_looked_for() -> None:
    rng = np.random.default_rng(22)
    cut, change = columns(rng, 3000), signs(rng, 3000, 0.04)
    change[cut[0].codes == 1] = 1.0
    assert not [one for one in search(cut, change)[1] if (0, 1) in one.where]


def test_small_slices_are_not_looked_at() -> None:
    codes = np.repeat([0, 1], [29, 400])
    change = np.where(codes == 0, -1.0, 0.0)
    assert search([Column(codes, 2)], change) == (1, ())
    assert search([Column(codes, 2)], change, least=29)[0] == 2
    assert names(search([Column(codes, 2)], change, least=29)[1]) == [{0: 0}]


def test_the_same_rows_in_another_order_give_the_same() -> None:
    rng = np.random.default_rng(23)
    cut, change = columns(rng, 4000), signs(rng, 4000, 0.1)
    change[cut[0].codes == 1] -= 0.5
    order = rng.permutation(4000)
    turned = [Column(one.codes[order], one.values) for one in cut]
    assert names(search(turned, change[order])[1]) == names(search(cut, change)[1])


def test_nothing_changed_or_nothing_to_search_by() -> None:
    assert search([Column(np.zeros(100, dtype=np.intp), 1)], np.zeros(100)) == (1, ())
    assert search([], np.ones(100)) == (0, ())
    assert search([Column(np.zeros(0, dtype=np.intp), 1)], np.zeros(0)) == (0, ())
