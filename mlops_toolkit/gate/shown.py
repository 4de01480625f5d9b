"""What is shown of a suite beside its metrics, and hangs on none of their values: slices found, examples that changed, charts. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from mlops_toolkit.gate import discover
from mlops_toolkit.gate.align import Both
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work
from mlops_toolkit.records.result import Charts, Examples, Search
from mlops_toolkit.stats.chunks import Start, beside


@dataclass(frozen=True)
class Asked:
    """slices: what is searched for, None: nothing; hidden: columns that are no previews of examples; charts: whether there are any."""

    slices: discover.Asked | None
    hidden: frozenset[str]
    charts: bool


@dataclass(frozen=True)
class Shown:
    """Each is None where it is not shown."""

    found: Search | None = None
    changed: Examples | None = None
    charts: Charts | None = None

    def into(self, work: Work, request: Request) -> None:
        """Takes all of it into `work`, in which the suite's metrics are judged already."""
        if self.found is not None:
            discover.noted(work, request, self.found)
        if self.changed is not None:
            work.examples.append(self.changed)
        if self.charts is not None:
            work.charts = self.charts


def of(request: Request, name: str, both: Sides, asked: Asked) -> Shown:
    """Of one suite."""
    names = (request.baseline.label or "baseline", request.head.label or "this run")
    return Shown(
        None if asked.slices is None else both.searched(asked.slices),
        both.changed(asked.hidden, name) if both.compared else None,
        both.charts(names) if asked.charts else None,
    )


def nothing() -> Shown:
    """Where only the metrics are asked for."""
    return Shown()


@contextlib.contextmanager
def meanwhile(both: Sides) -> Iterator[Start]:
    """Has it found while metrics are computed (see `chunks.beside`); of sides read in blocks, which note what they leave out, afterwards."""
    if not isinstance(both, Both):
        yield lambda work, item: lambda: work(item)
        return
    with beside(both.head.n) as start:
        yield start
