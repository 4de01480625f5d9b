"""Shares from whole pods: never more for the new release, never fewer of the old one, the most that can be had."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.rollout.cluster_shares import divided
from mlops_toolkit.rollout.cluster_things import enough


@given(st.floats(0.001, 0.999), st.integers(1, 12), st.integers(1, 12), st.integers(1, 30))
def test_the_new_one_never_gets_more_than_asked(share: float, old: int, most_new: int, most: int) -> None:
    olds, news = divided(share, old, most_new, most)
    assert olds >= old
    assert 0 <= news <= most_new
    assert olds + news <= max(most, old + 1)
    assert news / (olds + news) <= share + 1e-6
    every = [new / (beside + new) for new in range(1, most_new + 1) for beside in range(old, max(most, old + 1) - new + 1)]
    assert news / (olds + news) == pytest.approx(max([part for part in every if part <= share + 1e-9], default=0.0))


@pytest.mark.parametrize(
    ("share", "old", "new", "most", "wanted"),
    [(0.5, 2, 2, 4, (2, 2)), (0.25, 2, 2, 4, (3, 1)), (0.05, 2, 2, 4, (2, 0)), (0.05, 2, 2, 20, (19, 1)), (0.9, 1, 3, 4, (1, 3))],
)
def test_as_people_would_count_it(share: float, old: int, new: int, most: int, wanted: tuple[int, int]) -> None:
    assert divided(share, old, new, most) == wanted


@pytest.mark.parametrize(("largest", "beside", "wanted"), [(None, 5, 2), (4, 0, 2), (4, 3, 3), (4, 9, 4)])
def test_a_release_takes_over_with_as_many_pods_as_its_autoscaler_would_have(largest: int | None, beside: int, wanted: int) -> None:
    """Where there is none, with those that it is to have."""
    scaler = {"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": largest}}
    assert enough({"replicas": 2, "shared": [{"kind": "Service"}, *([scaler] if largest else [])]}, beside) == wanted
