"""A metric over time: the recorded values of one model's main line, for the chart in the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops_toolkit.history.base import Entry
from mlops_toolkit.records.result import Point

MOST = 60  # points a picture of 600 pixels can show


def points(
    entries: Iterable[Entry], *, key: str, names: Iterable[str], branch: str | None, run: str | None
) -> Mapping[str, tuple[Point, ...]]:
    """Metric -> its latest points, oldest first: runs of this model on `branch`, outside of pull requests, that ended well.

    run: the run that is judged; it is no part of its own past. A metric with fewer than two points has no course and is left out.
    """
    mine = [e for e in entries if e.key == key and e.branch == branch and e.id != run and _stands(e)]
    course = {name: tuple(Point(e.id, e.commit, e.started, e.metrics[name]) for e in mine if name in e.metrics)[-MOST:] for name in names}
    return {name: line for name, line in course.items() if len(line) > 1}


def _stands(entry: Entry) -> bool:
    ended_well = entry.status in ("succeeded", "reused")
    return ended_well and entry.pull_request is None and not (entry.fork or entry.dirty or entry.withdrawn)
