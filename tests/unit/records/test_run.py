"""What a run is called."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from mlops_toolkit.records.run import RUN_ID, new_id
from mlops_toolkit.system.clock import FixedClock


def test_runs_are_sorted_by_when_they_began_within_a_second_too() -> None:
    """Quick trainings take less than a second: which one was first is counted in the comment."""
    begun = datetime(2026, 11, 24, 9, 20, 57, 3_000, tzinfo=timezone(timedelta(hours=2)))
    ids = [new_id(FixedClock(begun + timedelta(milliseconds=5 * number))) for number in range(400)]
    assert ids == sorted(ids)
    assert all(RUN_ID.fullmatch(one) for one in ids)
    assert ids[0].startswith("20261124-072057-00")
    assert ids[199].startswith("20261124-072057-ff")
    assert ids[200].startswith("20261124-072058-00")


def test_two_at_once_differ() -> None:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=timezone.utc))
    assert len({new_id(clock) for _ in range(20)}) > 15  # of 65,536
