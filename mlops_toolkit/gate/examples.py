"""The examples that changed: fixed and broken ones of a classification, the most changed ones of a regression. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.records.result import Example, Examples
from mlops_toolkit.stats.sample import Sample

# The record keeps this many of each side; the page browses them, the comment shows a few.
KEPT = 1000
LONGEST = 2000  # characters of a preview: enough to read, and a result of 2,000 examples stays a file one can open


def changed(baseline: Sample, head: Sample, ids: Any, previews: dict[str, Any], *, suite: str = "", kept: int = KEPT) -> Examples:
    """Fixed and broken examples of two aligned samples.

    ids: n texts; previews: column name -> n values, polars Series all. Broken ones first by how sure the head is of its
    wrong answer where it gives probabilities, else in the order of ids; of a regression, by how much the error grew.
    """
    if head.target is None or head.prediction is None or baseline.prediction is None:
        return Examples()
    if head.labels:
        was, now = baseline.prediction == baseline.target, head.prediction == head.target
        fixed, broken = np.flatnonzero(~was & now), np.flatnonzero(was & ~now)
        weight = None
        if head.prob is not None:
            fixed, broken = (some[np.argsort(-head.prob[some, head.prediction[some]], kind="stable")] for some in (fixed, broken))
    else:
        grew = np.abs(head.prediction - head.target) - np.abs(baseline.prediction - baseline.target)
        weight = grew
        broken = np.flatnonzero(grew > 0)
        broken = broken[np.argsort(-grew[broken], kind="stable")]
        fixed = np.flatnonzero(grew < 0)
        fixed = fixed[np.argsort(grew[fixed], kind="stable")]

    def rows(chosen: npt.NDArray[np.intp]) -> tuple[Example, ...]:
        chosen = chosen[:kept]
        shown = {name: values[chosen].to_list() for name, values in previews.items()}  # a column at a time: cell by cell takes far longer
        return tuple(
            example(
                str(name),
                head.labels,
                [values[i] for values in (head.target, baseline.prediction, head.prediction) if values is not None],
                {column: values[at] for column, values in shown.items()},
                suite=suite,
                weight=None if weight is None else float(weight[i]),
            )
            for at, (i, name) in enumerate(zip(chosen.tolist(), ids[chosen].to_list(), strict=True))
        )

    return Examples(fixed=rows(fixed), broken=rows(broken), fixed_total=len(fixed), broken_total=len(broken))


def example(
    name: str, labels: tuple[str, ...], answers: Sequence[float], previews: Mapping[str, Any], *, suite: str, weight: float | None
) -> Example:
    """One of them. answers: target, the baseline's and the head's prediction, as codes of `labels` or numbers."""
    target, before, after = (labels[int(value)] if labels else f"{float(value):.6g}" for value in answers)
    shown = {column: _cut(str(value)) for column, value in previews.items() if value is not None}
    return Example(id=name, target=target, baseline=before, head=after, preview=shown, suite=suite, weight=weight)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def merged(parts: list[Examples]) -> Examples:
    """Those of several suites as one."""
    return Examples(
        fixed=tuple(e for part in parts for e in part.fixed),
        broken=tuple(e for part in parts for e in part.broken),
        fixed_total=sum(part.fixed_total for part in parts),
        broken_total=sum(part.broken_total for part in parts),
    )
