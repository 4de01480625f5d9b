"""What `mlops evaluate` prints: the metrics with their standard errors, the slices that stand out, the measures. Plain text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_toolkit.predictions.score import Scored
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Measure, MetricValue
from mlops_toolkit.report.escape import plain
from mlops_toolkit.report.words import count, value

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream

MOST_SLICES = 5


def suite(name: str, table: Table | Stream | None, scored: Scored, measures: Mapping[str, Measure]) -> str:
    """The lines about one suite, without a final newline."""
    lines = [_head(name, table)] if name or table is not None else []
    lines += _aligned([(plain(key, 60), *_number(metric, scored.units.get(key, ""))) for key, metric in scored.metrics.items()])
    lines += _worst(scored)
    lines += _aligned([(plain(key, 60), _mean(measure), _repeats(measure)) for key, measure in measures.items()])
    return "\n".join(lines)


def _head(name: str, table: Table | Stream | None) -> str:
    if table is None:
        return f"{name}:"
    task = table.task if table.task_has_target else "no targets"
    labels = f", {count(len(table.labels), 'label')}" if table.labels else ""
    inferred = " (told by the data; say `task:` if it is something else)" if table.inferred and table.task_has_target else ""
    return f"{name + ': ' if name else ''}{count(table.n, 'example')}, {task}{labels}{inferred}"


def _number(metric: MetricValue, unit: str) -> tuple[str, str]:
    """`0.9755`, `± 0.0036`; the digits that the error supports."""
    if metric.value is None:
        return "—", metric.state.replace("-", " ")
    error = metric.standard_error
    state = "" if metric.state == "ok" else f"  ({metric.state.replace('-', ' ')})"
    if not error:
        # No row contradicts: of n rows, 1/n is the finest step that could be told.
        step = 1 / metric.n if metric.n and unit == "fraction" else None
        ends = {} if step is None else {"low": metric.value - step, "high": metric.value + step}
        return value(metric.value, unit, **ends), state.strip()
    shown = value(metric.value, unit, low=metric.value - 2 * error, high=metric.value + 2 * error)
    decimals = len(shown.partition(" ")[0].partition(".")[2])
    rounded = f"{error:.{decimals}f}"
    if float(rounded) == 0:
        rounded = f"{error:.{decimals - math.floor(math.log10(error)) - decimals}f}"
    return shown, f"± {rounded}{state}"


def _worst(scored: Scored) -> list[str]:
    """The slices that stand out: the worst of the first metric."""
    if not scored.metrics:
        return []
    first = next(iter(scored.metrics))
    rows = [(name, values[first]) for name, values in scored.slices.items() if values[first].value is not None]
    if not rows:
        return []
    higher = scored.metrics[first].direction == "higher"
    rows.sort(key=lambda row: (row[1].value or 0.0) * (1 if higher else -1))
    few = rows[:MOST_SLICES]
    more = f", the {len(few)} worst of {len(scored.slices)}" if len(scored.slices) > len(few) else ""
    head = f"  {plain(first, 60)} by slice{more}:"
    unit = scored.units.get(first, "")
    return [head, *_aligned([(f"  {plain(name, 60)} ({metric.n:,})", *_number(metric, unit)) for name, metric in few])]


def _mean(measure: Measure) -> str:
    return value(sum(measure.values) / len(measure.values), measure.unit or "")


def _repeats(measure: Measure) -> str:
    return f"mean of {len(measure.values)}" if len(measure.values) > 1 else ""


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    wide = max((len(row[0]) for row in rows), default=0)
    number = max((len(row[1]) for row in rows), default=0)
    return [f"  {name:<{wide}}  {shown:>{number}}  {more}".rstrip() for name, shown, more in rows]
