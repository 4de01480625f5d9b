"""A metric over time: the recorded values of one model's main line, for the chart in the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops_toolkit.history.base import Entry
from mlops_toolkit.records.result import Point

MOST = 60  # points a picture of 600 pixels can show


def points(entries: Iterable[Entry], *, key: str, names: Iterable[str]) -> Mapping[str, tuple[Point, ...]]:
    """Metric -> its latest points, oldest first: runs of this model outside of pull requests and forks that ended well.

    A metric with fewer than two points has no course and is left out.
    """
    mine = [
        e
        for e in entries
        if e.key == key and e.status in ("succeeded", "reused") and e.pull_request is None and not (e.fork or e.dirty or e.withdrawn)
    ]
    course = {name: tuple(Point(e.id, e.commit, e.started, e.metrics[name]) for e in mine if name in e.metrics)[-MOST:] for name in names}
    return {name: line for name, line in course.items() if len(line) > 1}
