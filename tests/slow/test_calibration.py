"""The rule is wrong as seldom as it says, for every metric: a part of benchmarks/calibration.py, with seeds of its own."""

from __future__ import annotations

import pytest

from benchmarks.calibration import Cell, cells, simulate, wrong

PART = {
    "3 classes, 2% disagree": 200,
    "3 classes, 6% disagree": 200,
    "3 classes, nearly always right": 200,
    "rare: 90, 7, 3 %": 1000,
    "rare: 95, 5 %": 200,
    "log-normal weights": 200,
    "clusters of 6, uneven": 120,
    "numbers, t3 errors, 5% differ": 300,
    "numbers, lognormal errors, 100% differ": 300,
    "numbers, normal errors, 100% differ": 100,
    "numbers, lognormal errors, 5% differ": 300,
    "numbers, normal errors, a few grow": 1000,
    "numbers, t3 errors, a few grow": 1000,
}


@pytest.mark.slow
@pytest.mark.parametrize("cell", [cell for cell in cells() if cell.name in PART], ids=lambda cell: cell.name)
def test_changes_at_the_margin_pass_and_fail_as_seldom_as_is_said_and_intervals_hold(cell: Cell) -> None:
    times = 500
    found = simulate(cell, PART[cell.name], times, seed=20_250)
    assert {metric: off for metric, one in found.items() if (off := wrong(one, times))} == {}


def test_the_part_is_one_of_the_whole() -> None:
    assert set(PART) <= {cell.name for cell in cells()}
