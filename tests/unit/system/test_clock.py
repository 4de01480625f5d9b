"""Time as it is waited for."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from mlops_toolkit.system.clock import FixedClock, looks


@pytest.mark.parametrize(
    ("seconds", "takes", "wanted"),
    [(40.0, 0.0, [0.0, 15.0, 30.0, 40.0]), (40.0, 20.0, [0.0, 35.0, 55.0]), (0.0, 0.0, [0.0]), (10.0, 60.0, [0.0, 60.0])],
)
def test_it_is_looked_at_now_and_a_last_time_when_the_time_is_over(seconds: float, takes: float, wanted: list[float]) -> None:
    """takes: how long a look itself does; only the first one is at 0."""
    clock, found = FixedClock(datetime(2026, 11, 24, tzinfo=timezone.utc)), []
    for waited in looks(clock, seconds):
        found.append(waited)
        clock.seconds += takes
    assert found == wanted
