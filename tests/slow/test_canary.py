"""A harmless release is seldom sent back, and one that fails much more often never gets through: the rollouts of benchmarks/canary.py, other draws."""

from __future__ import annotations

import pytest

from benchmarks import canary
from mlops_toolkit.rollout import intervals


@pytest.mark.slow
def test_a_harmless_release_goes_back_in_at_most_one_of_a_hundred_rollouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three standard errors are left for chance."""
    monkeypatch.setattr(intervals, "share", canary.quick)
    for traffic, p in ((1, 0.02), (20, 0.001), (50, 0.02), (300, 0.0), (300, 0.1)):
        ends = canary.cell(traffic, 60.0, p, p, 300, 77)
        back = sum(one.at != "" for one in ends)
        assert back <= 0.01 * len(ends) + 3 * (0.01 * len(ends)) ** 0.5, (traffic, p)


@pytest.mark.slow
def test_one_that_fails_much_more_often_does_not_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """At ten requests a second, two percentage points above the half that is allowed, in the canary already."""
    monkeypatch.setattr(intervals, "share", canary.quick)
    ends = canary.cell(10, 120.0, 0.026, 0.001, 100, 78)
    assert sum(one.at == "canary" for one in ends) >= 95
    assert all(one.at for one in ends)
