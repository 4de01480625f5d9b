"""Two runs of which only one has its predictions: the other's recorded value and standard error, as of an independent sample. Pure.

The same examples make both values rise and fall together, so this interval is wider than a paired one: it says less, and never more.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.records.run import MetricValue
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired


def recorded(baseline: Loaded | None, suite: str, metric: str, slice_name: str | None) -> MetricValue | None:
    """What the baseline's record says of a metric (by its full name) of a suite whose predictions it has no more; None where it says nothing."""
    if baseline is None or baseline.run is None or suite in baseline.tables:
        return None
    values = baseline.run.metrics if slice_name is None else baseline.run.slices.get(slice_name, {})
    return values.get(metric)


def same_data(baseline: Loaded, head: Loaded, suite: str) -> bool:
    """Whether both records are of the same examples and labels, as far as they tell."""
    data = [side.run.evaluations[suite].data if side.run and suite in side.run.evaluations else None for side in (baseline, head)]
    return any(one is None for one in data) or len({one.digest for one in data if one}) == 1


def against(metric: Metric, one: Paired, old: MetricValue, *, same: bool, confidence: float) -> Paired:
    """The head's own value, as measured, against the recorded one. one.standard_error: of the head's value."""
    sign = 1.0 if metric.direction == "higher" else -1.0
    change = None if one.head is None or old.value is None else sign * (one.head - old.value)
    made = replace(
        one, baseline=old.value, change=change, method="unpaired", standard_error=None, trials=None, steps=(0.0, 0.0), bias=0.0, luck=None
    )
    if old.signature and old.signature != metric.signature:
        return replace(made, change=None, reason="metric-redefined", message=f"defined differently on the baseline ({old.signature})")
    if not same:
        return replace(made, change=None, reason="data-changed", message="the test set is not the baseline's: nothing was compared")
    if change is None or one.head_low is None or not one.standard_error or not old.standard_error:
        return replace(
            made, reason=made.reason or "no-interval", message=made.message or "without the baseline's predictions there is no interval"
        )
    error = math.hypot(one.standard_error, old.standard_error)
    freedom = max(1, min(one.n, old.n or one.n) - 1)
    reach = critical(confidence, freedom) * error
    return replace(made, standard_error=error, df=freedom, low=change - reach, high=change + reach, reason=None, message=None)
