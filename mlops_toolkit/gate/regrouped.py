"""The columns by which examples fall into slices and groups, where this run writes something else there than the baseline has. Pure.

Which group an example belongs to is a fact about the example, as its weight is. A change that writes another group for it moves the examples
that got worse to where nobody sees them; so they are grouped as on the baseline until somebody says yes to a looser gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlops_toolkit.config.requests import apart
from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.gate.align import Both
from mlops_toolkit.gate.loaded import Answers
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work
from mlops_toolkit.predictions import slices
from mlops_toolkit.predictions.groups import Grouped, as_now
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.predictions.table import PROB, RESERVED


def asked(
    request: Request, suite: str, baseline: Answers | None, head: Answers, wanted: tuple[SliceRequest, ...], read: tuple[str, ...]
) -> Grouped:
    """The columns by which examples are grouped, and which of those are held to the baseline's.

    read: the columns that metrics read, which a model may well change. Without a base branch (two files, a laptop's own question) this
    run's count.
    """
    by = dict.fromkeys(
        column for config in (request.config, request.base_config) if config is not None for column in sorted(apart(config, suite))
    )
    there = baseline.columns if baseline is not None else []
    known = [c for c in head.columns if c in there and c not in RESERVED and not c.startswith(PROB) and c not in read]
    used = {*slices.columns(wanted, known), *by}
    held = request.base_config is not None and not request.lets_go
    return Grouped(tuple(by), tuple(c for c in known if c in used), held=held)


def as_before(work: Work, both: Sides, grouped: Grouped) -> Sides:
    """The sides with the baseline's groups, and in `work` what differs; sides in blocks have seen to it themselves."""
    if not isinstance(both, Both) or both.before is None:
        return both
    frame, differ = both.frame, dict[str, int]()
    for column in grouped.compared:
        before, differ[column] = as_now(frame[column], both.before[column])
        frame = frame.with_columns(before.alias(column)) if differ[column] and grouped.held else frame
    noted(work, grouped, differ)
    return both if frame is both.frame else replace(both, frame=frame)


def noted(work: Work, grouped: Grouped, differ: Mapping[str, int]) -> None:
    """Says in `work` of how many examples each column differs, and whose values count."""
    whose = "the baseline's values count" if grouped.held else "this run's values count"
    for column, many in differ.items():
        if many:
            work.notes.append(
                f"the column {shown(column)} of {many:,} examples is not what it was on the baseline: {whose} for slices and gaps"
            )
