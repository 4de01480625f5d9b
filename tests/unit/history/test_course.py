"""A metric over time: the main line's runs, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.course import MOST, points


def entry(n: int, value: float = 0.9, **more: object) -> Entry:
    made = Entry(
        f"20261124-{n:06d}-aaaaaa", "k", f"{n:040x}", None, "succeeded", "2026-11-24T00:00:00Z", branch="main", metrics={"accuracy": value}
    )
    return replace(made, **more)  # type: ignore[arg-type]


def course(*entries: Entry, run: str | None = None) -> list[float]:
    found = points(entries, key="k", names=["accuracy", "f1"], branch="main", run=run)
    return [point.value for point in found.get("accuracy", ())]


def test_the_runs_of_the_line_in_their_order() -> None:
    assert course(entry(1, 0.8), entry(2, 0.85), entry(3, 0.9)) == [0.8, 0.85, 0.9]


@pytest.mark.parametrize(
    "other",
    [
        {"branch": "feature"},
        {"pull_request": 7},
        {"fork": True},
        {"dirty": True},
        {"withdrawn": True},
        {"status": "failed"},
        {"key": "another"},
        {"metrics": {}},
    ],
    ids=str,
)
def test_no_other_run_is_part_of_it(other: dict[str, object]) -> None:
    assert course(entry(1, 0.8), entry(2, 0.1, **other), entry(3, 0.9)) == [0.8, 0.9]


def test_the_run_that_is_judged_is_no_part_of_its_own_past() -> None:
    last = entry(3, 0.1)
    assert course(entry(1, 0.8), entry(2, 0.9), last, run=last.id) == [0.8, 0.9]


def test_one_point_is_no_course_and_many_are_the_latest() -> None:
    assert course(entry(1)) == []
    assert course(*(entry(n, n / 1000) for n in range(100)))[0] == (100 - MOST) / 1000
