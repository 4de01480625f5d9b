"""The interval of a metric that is only known as a program: from its values without each group of examples.

The examples fall into G groups; the metric is computed on all of them and G times without one. How far those values lie apart is how far
one group pulls: −(G−1)/G of a group's departure from their mean stands for the group's influence, so that all that holds for influences
(Student's t, skewness, least counts; see `spread`) holds here too. The standard error is √((G−1)/G · Σ (value without g − their mean)²)
(Tukey 1958; for groups Shao & Wu 1989, who show that leaving out more than one at a time is right for quantiles too). Of two models the
groups are the same, so it is the differences of their values without each group that count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlops_toolkit.stats.conclude import Paired, too_few
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.metric import Direction
from mlops_toolkit.stats.sample import Floats
from mlops_toolkit.stats.spread import FEWEST_ACTIVE, FEWEST_CLUSTERS, Spread, distance, guarded

Left = Sequence[float | None]


def spread_of(left_out: Floats) -> Spread:
    """Of the values without each group (G,)."""
    groups = len(left_out)
    return Spread.of((left_out.mean() - left_out) * (groups - 1) / groups)


def error(left_out: Left) -> float | None:
    """The standard error of the value; None where it is undefined without one of the groups."""
    values = _numbers(left_out)
    return spread_of(values).error if values is not None and len(values) > 1 else None


def own_interval(value: float | None, left_out: Left, confidence: float) -> tuple[float, float] | None:
    """The interval of one model's value, under the least counts of every other metric; None where they are not met."""
    values = _numbers(left_out)
    if value is None or values is None or len(values) < FEWEST_CLUSTERS:
        return None
    spread = spread_of(values)
    if spread.error is None or spread.flat(value) or spread.active < FEWEST_ACTIVE:
        return None
    t = critical(confidence, spread.df)
    down, up = (distance(t, spread.error, step) for step in spread.steps)
    return value - down, value + up


def paired(
    name: str, n: int, baseline: float | None, head: float | None, left: tuple[Left, Left], *, direction: Direction, confidence: float
) -> Paired:
    """The change between two models. left: the values without each group, of the baseline and of the head, of the same groups."""
    if baseline is None or head is None:
        side = "the baseline" if baseline is None else "this run"
        return Paired(name, n, baseline, head, reason="undefined", message=f"{name} has no value for {side}", head_state="undefined")
    sign = 1.0 if direction == "higher" else -1.0
    change = sign * (head - baseline) + 0.0
    own = own_interval(head, left[1], confidence)
    made = Paired(name, n, baseline, head, change, head_low=own[0] if own else None, head_high=own[1] if own else None)
    old, new = _numbers(left[0]), _numbers(left[1])
    if old is None or new is None or len(old) != len(new):
        return too_few(made, f"{name} has no value without some of the groups of examples")
    if len(new) < FEWEST_CLUSTERS:
        return too_few(made, f"{len(new)} groups of examples are too few for an interval (at least {FEWEST_CLUSTERS})")
    moved = sign * (new - old)
    size = max(abs(baseline), abs(head))
    spread = spread_of(moved)
    active = int(np.count_nonzero(np.abs(moved - change) > 1e-12 * size))
    if active < FEWEST_ACTIVE or spread.flat(size):
        return too_few(made, f"only {active} of {len(new)} groups of examples tell the two models apart (at least {FEWEST_ACTIVE})")
    assert spread.error is not None  # noqa: S101  # it is not flat
    df = min(spread.df, active - 1)
    # a group of the head's pulls so much at most: how long a step may be that none of those that differ has shown
    steps = guarded(replace(spread, active=active).steps, spread.error, (spread_of(new).longest,) * 2)
    down, up = (distance(critical(confidence, df), spread.error, step) for step in steps)
    return Paired(
        name,
        n,
        baseline,
        head,
        change,
        change - down,
        change + up,
        standard_error=spread.error,
        method="jackknife",
        head_low=made.head_low,
        head_high=made.head_high,
        clusters=len(new),
        df=df,
        steps=steps,
    )


def _numbers(left_out: Left) -> Floats | None:
    values = [one for one in left_out if one is not None]
    return np.array(values, dtype=np.float64) if values and len(values) == len(left_out) else None
