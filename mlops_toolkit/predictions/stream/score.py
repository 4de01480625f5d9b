"""The numbers of a record from predictions of any size: what `predictions.score` says of those in memory."""

from __future__ import annotations

from mlops_toolkit.config.requests import read_by
from mlops_toolkit.config.schema import Config
from mlops_toolkit.predictions.score import FEW, Scored, suite_of, wanted_metrics
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.stream.align import align
from mlops_toolkit.predictions.stream.blocks import Blocks
from mlops_toolkit.predictions.stream.extras import Extras
from mlops_toolkit.records.run import MetricValue
from mlops_toolkit.stats.conclude import Paired
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.streamed.measure import Asked, added


def score(side: Stream, config: Config, name: str = "") -> Scored:
    """Every metric of the suite, overall and on its slices. Refuses what `predictions.score.score` does, ids that stand twice, and
    UsageError `not-in-blocks` for a metric that cannot be added up."""
    suite, where = suite_of(config, name), f"metrics of {name}" if name else "evaluate.metrics"
    wanted = wanted_metrics(config, name, side)
    columns = read_by(wanted)
    extras = Extras(columns, suite.slices)
    extras.check(side)
    blocks = Blocks(align(None, side, extras))
    metrics = tuple(resolve(request, labels=blocks.labels, where=where) for request in wanted)
    parts = {part.name: part for part in blocks.parts()}
    found = added(blocks, Asked((), metrics, {None: None, **parts}, blocks.clusters, blocks.some())).answers(0.95)

    def values(subset: str | None) -> dict[str, MetricValue]:
        return {f"{name}/{m.name}" if name else m.name: _value(m, found[m.name][subset]) for m in metrics}

    return Scored(
        metrics=values(None),
        slices={part: values(part) for part in parts},
        units={f"{name}/{m.name}" if name else m.name: m.unit for m in metrics},
    )


def _value(metric: Metric, one: Paired) -> MetricValue:
    error = one.standard_error if one.n >= FEW and one.head is not None else None
    return MetricValue(one.head, one.n, metric.signature, metric.direction, error, one.head_state)
