"""A metric that is not what it was on the baseline: the same name for another number. Nothing is compared then. Pure."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.config.schema import Config, MetricRequest, Suite
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired


def otherwise(request: Request, baseline: Loaded | None, head: Loaded, suite: str, metric: Metric, full: str) -> str | None:
    """How the metric was defined on the baseline and is now, in words; None where that is the same, or nothing is known of it."""
    found = _positive(baseline, head, suite, metric)
    old = baseline.run.metrics.get(full) if baseline is not None and baseline.run is not None else None
    if found is None and old is not None and old.signature and _definition(old.signature) != _definition(metric.signature):
        found = f"{old.signature} → {metric.signature}"
    if found is None and old is not None and old.direction != metric.direction:
        found = f"better: {old.direction} → {metric.direction}"
    return found or _asked(request, suite, metric)


def _definition(signature: str) -> str:
    """A signature without the version of our code: from predictions both sides are computed by the same one."""
    return signature.rpartition("/")[0] or signature


def _positive(baseline: Loaded | None, head: Loaded, suite: str, metric: Metric) -> str | None:
    """Another positive class turns a metric of that class, and the meaning of `score`, into another one."""
    sides = [side.tables.get(suite) for side in (baseline, head) if side is not None]
    if len(sides) < 2 or metric.argument is not None or not ("class=positive" in metric.signature or metric.reads == "scores"):
        return None
    before, after = (table.positive if table is not None else None for table in sides)
    return None if before is None or after is None or before == after else f"positive: {shown(before)} → {shown(after)}"


def _asked(request: Request, suite: str, metric: Metric) -> str | None:
    """Whether the base branch means something else by the name that its gate speaks of."""
    mine, base = (_named(config, suite, metric.name) for config in (request.config, request.base_config))
    if mine is None or base is None or _meaning(mine) == _meaning(base):
        return None
    return f"{_written(base)} → {_written(mine)}"


def _named(config: Config | None, suite: str, name: str) -> MetricRequest | None:
    if config is None or config.evaluate is None:
        return None
    found = config.evaluate.suites.get(suite, Suite()) if suite else config.evaluate
    return next((one for one in found.metrics if one.name == name), None)


def _meaning(one: MetricRequest) -> tuple[object, ...]:
    return one.family, one.argument, one.better, one.q


def _written(one: MetricRequest) -> str:
    q = f" q={one.q:g}" if one.q is not None else ""
    return f"{one.family}{f':{one.argument}' if one.argument else ''}{q}{f' better={one.better}' if one.better else ''}"


def uncompared(one: Paired, how: str) -> Paired:
    """The head's value alone: what the baseline has under that name is no baseline of it."""
    return replace(
        one,
        baseline=None,
        change=None,
        low=None,
        high=None,
        standard_error=None,
        better=0,
        worse=0,
        disagree=0,
        reason="metric-redefined",
        message=f"defined differently on the baseline ({how}): nothing was compared",
    )


def doubted(judged: Judged, one: Paired) -> Judged:
    """Nor do `min` and `max` pass: they were asked of another number."""
    if judged.check.verdict != "pass":
        return judged
    return Judged(replace(judged.check, verdict="inconclusive", leaning="beyond", reason=one.reason, message=one.message))
