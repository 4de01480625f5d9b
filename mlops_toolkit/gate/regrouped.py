"""The columns by which examples fall into slices and groups, where this run writes something else there than the baseline has. Pure.

Which group an example belongs to is a fact about the example, as its weight is. A change that writes another group for it moves the examples
that got worse to where nobody sees them; so they are grouped as on the baseline until somebody says yes to a looser gate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlops_toolkit.config.requests import apart
from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.gate.align import Both
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work
from mlops_toolkit.predictions import slices
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.predictions.table import PROB, RESERVED


def as_before(work: Work, request: Request, suite: str, both: Sides, asked: tuple[SliceRequest, ...], read: tuple[str, ...]) -> Sides:
    """The sides with the baseline's groups, and in `work` what differs. read: the columns that metrics read, which a model may well change.

    Without a base branch (two files, a laptop's own question) this run's count. Sides in blocks are left as they are.
    """
    if not isinstance(both, Both) or both.before is None:
        return both
    there = both.before.columns
    known = [c for c in both.frame.columns if c in there and c not in RESERVED and not c.startswith(PROB) and c not in read]
    configs = [config for config in (request.config, request.base_config) if config is not None]
    used = {*slices.columns(asked, known), *(column for config in configs for column in apart(config, suite))}
    held = request.base_config is not None and not request.lets_go
    frame = both.frame
    for column in (c for c in known if c in used):
        before, many = _differing(frame[column], both.before[column])
        if not many:
            continue
        whose = "the baseline's values count" if held else "this run's values count"
        work.notes.append(
            f"the column {shown(column)} of {many:,} examples is not what it was on the baseline: {whose} for slices and gaps"
        )
        frame = frame.with_columns(before.alias(column)) if held else frame
    return both if frame is both.frame else replace(both, frame=frame)


def _differing(now: Any, before: Any) -> tuple[Any, int]:
    """The baseline's column as this run writes it, and how many values of it are others; written otherwise (`1` and `1.0`) is no other."""
    if now.dtype != before.dtype:
        alike = before.cast(now.dtype, strict=False)
        before = alike if alike.null_count() == before.null_count() else before.cast(str, strict=False)
    other = now if now.dtype == before.dtype else now.cast(str, strict=False)
    return before, int((~other.eq_missing(before)).sum())
