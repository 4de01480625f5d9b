"""Slices that nobody declared and on which this run got worse: searched over the columns there are, shown, and never decided by. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_toolkit.config.schema import MetricRequest, Suite
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions import groups, numbers
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.predictions.table import PROB, RESERVED
from mlops_toolkit.records.result import Discovered, Search
from mlops_toolkit.stats import search
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Floats, Sample

if TYPE_CHECKING:
    from mlops_toolkit.gate.request import Request
    from mlops_toolkit.gate.sides import Sides
    from mlops_toolkit.gate.work import Work

MEANS = ("accuracy", "mean", "mae", "mape", "pinball", "log-loss", "brier")  # values that are a mean of one number a row
MOST_COLUMNS = 30  # that are searched without being named: 465 pairs


@dataclass(frozen=True)
class Asked:
    """What is searched for.

    metrics   in the order in which one is chosen: those that are gated, then the others
    columns   as named under `evaluate.discover`; empty: every column that can be
    hidden    columns that say how the model did, and not what the example is: those that metrics read
    declared  columns whose values are slices anyway
    most      how many are given; suites: how many are searched, which share the rate of false ones
    least     rows of a slice
    """

    metrics: Sequence[Metric]
    columns: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    most: int = 5
    suite: str = ""
    suites: int = 1
    least: int = search.LEAST
    confidence: float = 0.95


def asked(work: Work, request: Request, suite: Suite, name: str, metrics: Sequence[Metric], both: Sides, *, suites: int) -> Asked | None:
    """What is searched for in one suite; None where the two sides were measured otherwise, since that may have made any difference."""
    if not both.compared or both.same_answers or name in work.unlike or request.config.comment.discovered == 0:
        return None
    gate = request.config.gate
    order = [key.rpartition("/")[2] for key in gate if key.rpartition("/")[0] == name]
    chosen = sorted(metrics, key=lambda metric: order.index(metric.name) if metric.name in order else len(order))
    rule = gate.get(f"{name}/{chosen[0].name}" if name else chosen[0].name) if chosen else None
    return Asked(
        metrics=chosen,
        columns=suite.discover,
        hidden=frozenset(metric.argument for metric in metrics if metric.reads == "columns" and metric.argument),
        declared=frozenset(one.column for one in suite.slices if one.column),
        most=request.config.comment.discovered,
        suite=name,
        suites=suites,
        least=max(search.LEAST, (rule.slices.min_examples or 0) if rule and rule.slices else 0),
        confidence=request.config.confidence,
    )


def noted(work: Work, request: Request, found: Search) -> None:
    """Takes what was found in one suite into `work`, in which the declared slices are judged already."""
    found = _news(work, found)
    if not request.forks_gate:  # there only the columns that the history keeps are to be had
        work.notes.extend(f"evaluate.discover: {said}" for said in found.passed)
    before = work.discovered
    work.discovered = replace(
        before,
        looked_at=before.looked_at + found.looked_at,
        columns=tuple(dict.fromkeys([*before.columns, *found.columns])),
        found=tuple(sorted([*before.found, *found.found], key=_worst)[: request.config.comment.discovered]),
        passed=(),
    )


def _news(work: Work, found: Search) -> Search:
    """Without the slices whose very rows are declared as a condition: those have a row already, which is judged."""
    told = {(c.metric, c.n, c.baseline, c.head) for c in (one.check for one in work.judged) if c.slice is not None}
    return replace(found, found=tuple(one for one in found.found if (one.metric, one.n, one.baseline, one.head) not in told))


def _worst(one: Discovered) -> tuple[float, float]:
    """Ordered by what each is shown to have lost at least."""
    return (one.change if one.high is None else one.high), one.change


def searched(asked: Asked, baseline: Sample, head: Sample, grouping: groups.Grouping, before: Any) -> Search:
    """The slices found. grouping, before: by the head's rows; the baseline's rows, aligned, all columns."""
    if (chosen := _metric(asked.metrics, head)) is None or asked.most == 0:
        return Search()
    metric, rows = chosen
    parts, passed = _named(asked, grouping) if asked.columns else (_columns(asked, grouping, before, head), ())
    change = _change(metric, baseline, head, rows)
    if not parts or change is None:
        return Search(passed=passed)
    mine = head if rows is None else head.take(rows)
    columns = [search.Column(part.codes if rows is None else part.codes[rows], len(part.names)) for part in parts.values()]
    looked, found = search.search(
        columns, change, weight=mine.weight, cluster=mine.cluster, least=asked.least, rate=search.RATE / asked.suites, most=asked.most
    )
    named = [(tuple(parts)[column], part) for column, part in enumerate(parts.values())]
    made = [
        _discovered(asked, metric, baseline, head, one, {named[c][0]: named[c][1].names[code] for c, code in one.where}, columns, rows)
        for one in found
        if not (len(one.where) == 1 and named[one.where[0][0]][0] in asked.declared)
    ]
    return Search(looked, tuple(parts), tuple(sorted(made, key=_worst)[: asked.most]), passed)


# --- what is compared


def _metric(metrics: Sequence[Metric], head: Sample) -> tuple[Metric, Any] | None:
    """The first metric that is a mean over rows, or over those of one class (then their mask); else accuracy, or the mean absolute error."""
    for metric in metrics:
        if metric.family in MEANS and (metric.reads != "columns" or metric.argument in head.columns):
            return metric, None
        if metric.rowwise and (only := metric.only(head)) is not None and head.target is not None:
            return metric, head.target == only
    if head.target is None:
        return None
    family = "accuracy" if head.labels else "mae"
    return resolve(MetricRequest(family, family)), None


def _change(metric: Metric, baseline: Sample, head: Sample, rows: Any) -> Floats | None:
    """What each row's own number changed by, + for better; None where the metric is undefined on one side."""
    if metric.rowwise and head.target is not None and baseline.prediction is not None and head.prediction is not None:
        right: Floats = (head.prediction == head.target).astype(np.float64) - (baseline.prediction == head.target)
        return right if rows is None else right[rows]
    sides = [_own(metric, side) for side in (baseline, head)]
    if sides[0] is None or sides[1] is None:
        return None
    change: Floats = (sides[1] - sides[0]) * (1.0 if metric.direction == "higher" else -1.0)
    return change


def _own(metric: Metric, side: Sample) -> Floats | None:
    """The number of every row that the metric is the mean of: its value, and what the row pulls it by."""
    measured = metric.measure(side)
    if measured.value is None or measured.influence is None:
        return None
    share = side.n if side.weight is None else side.weight.sum() / side.weight
    own: Floats = measured.value + measured.influence * share
    return own


def _discovered(
    asked: Asked,
    metric: Metric,
    baseline: Sample,
    head: Sample,
    one: search.Slice,
    where: dict[str, str],
    columns: Sequence[search.Column],
    rows: Any,
) -> Discovered:
    inside = np.ones(len(columns[0].codes), dtype=bool)
    for column, code in one.where:
        inside &= columns[column].codes == code
    at = np.flatnonzero(inside) if rows is None else np.flatnonzero(rows)[inside]
    found = paired(metric, baseline, head, confidence=asked.confidence, rows=at)
    return Discovered(
        metric=f"{asked.suite}/{metric.name}" if asked.suite else metric.name,
        where=where,
        n=one.n,
        baseline=found.baseline,
        head=found.head,
        change=found.change or 0.0,
        low=found.low,
        high=found.high,
        p=one.p,
        q=min(1.0, one.q * asked.suites),
        suite=asked.suite,
        unit=metric.unit,
        direction=metric.direction,
    )


# --- where it is looked


def _columns(asked: Asked, grouping: groups.Grouping, before: Any, head: Sample) -> dict[str, groups.Groups]:
    """The columns that say what an example is, by name."""
    found, frame = dict[str, groups.Groups](), grouping.frame
    for name in frame.columns:
        own = (name in RESERVED and name != "target") or name.startswith(PROB) or name in asked.hidden
        if own or numbers.wordless(frame[name].dtype) or len(found) == MOST_COLUMNS:
            continue
        known = name in before.columns
        if known and name != "target" and not frame[name].equals(before[name]):
            continue  # it is not the same for both models, so it is an answer and no property of the example
        parts = grouping.of(name)
        if parts is None or len(parts.names) < 2 or (not known and (parts.ranges or _tells(parts, head))):
            continue
        found[name] = parts
    return found


def _tells(parts: groups.Groups, head: Sample) -> bool:
    """Whether a column that only this run has follows from what the model answered: right or wrong, or the answer itself by another name.

    Where the baseline lacks the column, that cannot be seen from its values; to slice by it would be to choose the rows by their outcome.
    """
    if head.prediction is None or not head.labels:
        return False
    for outcome in (head.prediction == head.target, head.prediction):
        both = np.unique(parts.codes * (len(head.labels) + 2) + outcome)
        if len(np.unique(outcome)) > 1 and len(both) in (len(parts.names), len(np.unique(outcome))):
            return True
    return False


def _named(asked: Asked, grouping: groups.Grouping) -> tuple[dict[str, groups.Groups], tuple[str, ...]]:
    """The columns that are named, and why those that cannot be searched are not: they decide nothing, so that is no error."""
    found, passed, frame = dict[str, groups.Groups](), list[str](), grouping.frame
    known = [c for c in frame.columns if c not in RESERVED or c == "target"]
    for name in asked.columns:
        parts = None
        if name not in known:
            passed.append(f"there is no column {shown(name)} ({did_you_mean(name, known)})")
        elif numbers.wordless(frame[name].dtype):
            passed.append(f"a {frame[name].dtype} column cannot be sliced by: {shown(name)}")
        elif (parts := grouping.of(name)) is None:
            passed.append(f"the column {shown(name)} has {frame[name].n_unique():,} values, at most {groups.MOST} can be slices")
        if parts is not None:
            found[name] = parts
    return found, tuple(passed)
