"""What two models' influences come to: the sums of any pieces are those of the whole, and what is rounding is not counted."""

from __future__ import annotations

import numpy as np
import pytest

from mlops_toolkit.stats import chunks
from mlops_toolkit.stats.contrast import Contrast, Moved, Room
from mlops_toolkit.stats.paired import Paired, paired_many
from mlops_toolkit.stats.sample import Floats, Sample
from tests.unit.stats.samples import named

TRIO = ["mae", "rmse", "r2"]


def numbers(n: int, *, weighted: bool = False) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(5)
    target = 1e9 + 3 * rng.normal(size=n)
    before = target + rng.normal(size=n)
    after = np.where(rng.random(n) < 0.3, target + 1.1 * rng.normal(size=n), before)
    weight = rng.choice([0.5, 1.0, 4.0], n) if weighted else None
    return Sample(n, target, before, weight=weight), Sample(n, target, after, weight=weight)


def compared(sides: tuple[Sample, Sample]) -> tuple[Paired, ...]:
    return paired_many([named(name) for name in TRIO], *sides)[""]


@pytest.mark.parametrize("weighted", [False, True])
def test_how_many_threads_there_are_changes_no_bit(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = numbers(700_001, weighted=weighted)
    several = compared(sides)
    for many in (1, 5):
        monkeypatch.setattr(chunks, "_ROOMS", many)
        assert compared(sides) == several


def test_what_an_array_held_before_is_in_no_answer() -> None:
    rng = np.random.default_rng(6)
    room, sums = Room(1000), []
    for scale in (1e6, 1.0, 1e-90, 1.0):  # the third beyond what can be squared
        x: Floats = np.random.default_rng(7).normal(size=800) * scale
        moved = Moved(0.01 * scale, None, rng.random(800) < 2)
        sums.append((Contrast.of(x, x[::-1].copy(), moved, room), Contrast.of(x, x[::-1].copy(), moved)))
    for used, fresh in sums:
        assert used == fresh
    assert sums[1][0] == sums[3][0]
    assert sums[0][0].better == sums[1][0].better == sums[2][0].better > 0


def test_better_and_worse_are_the_signs_of_the_steps_of_rows_that_differ() -> None:
    rng = np.random.default_rng(8)
    difference, share = rng.normal(size=5000), 0.1
    differs, weight = rng.random(5000) < 0.3, rng.choice([0.25, 1.0], 5000)
    for heavy in (None, weight):
        step = difference + (share if heavy is None else share * heavy)
        made = Contrast.of(difference, difference, Moved(share, heavy, differs))
        assert (made.better, made.worse) == (np.count_nonzero(step[differs] > 0), np.count_nonzero(step[differs] < 0))
    assert Contrast.of(difference, difference, None).better == 0


def test_errors_of_the_same_size_the_other_way_are_no_change() -> None:
    rng = np.random.default_rng(9)
    target = rng.normal(size=10_000)
    error = rng.normal(size=10_000)
    got = paired_many([named("mae")], Sample(10_000, target, target + error), Sample(10_000, target, target - error))[""][0]
    assert got.disagree == 0, "what is left of |error| − |−error| is rounding"
    some = rng.random(10_000) < 0.1
    after = target - error * np.where(some, 1.5, 1.0)
    got = paired_many([named("mae")], Sample(10_000, target, target + error), Sample(10_000, target, after))[""][0]
    assert (got.better, got.worse) == (0, np.count_nonzero(some))


def test_one_number_beyond_all_others_hides_no_change_of_the_others() -> None:
    rng = np.random.default_rng(10)
    target = np.zeros(100_000)
    before = rng.normal(size=100_000)
    before[-1] = 1e9
    after = before.copy()
    after[:30_000] *= 1.1
    got = paired_many([named("mae")], Sample(100_000, target, before), Sample(100_000, target, after))[""][0]
    assert (got.better, got.worse) == (0, 30_000)
