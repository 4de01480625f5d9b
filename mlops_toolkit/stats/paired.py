"""The difference of a metric between two models on the same examples, with the interval that decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.sample import Sample


@dataclass(frozen=True)
class Paired:
    """A metric on two models, same rows.

    change, low, high   oriented (+ is better), in the metric's unit; low/high None where no interval may decide (then `reason`)
    method              tango | influence | clusters | exact (the change is exactly 0 because all rows agree and no sampling can show
                        otherwise is NOT exact: zero broken rows still have an interval)
    reason              too-few (positives, contributing rows or clusters), or the state of an undefined side; None if the interval may decide
    standard_error      of the change
    disagree/better/worse  rows that contribute; of them better and worse on the head (rowwise metrics; else by the sign of the contribution)
    head_low/head_high  interval of the head's own value, for min and max
    baseline_state/head_state  as Measured.state
    """

    metric: str
    n: int
    baseline: float | None
    head: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    method: str | None = None
    reason: str | None = None
    message: str | None = None
    clusters: int | None = None
    disagree: int = 0
    better: int = 0
    worse: int = 0
    head_low: float | None = None
    head_high: float | None = None
    baseline_state: str = "ok"
    head_state: str = "ok"


def paired(metric: Metric, baseline: Sample, head: Sample, *, confidence: float = 0.95, rows: npt.NDArray[Any] | None = None) -> Paired:
    """Compare `metric` on two aligned Samples (on the subset `rows` if given)."""
    raise NotImplementedError
