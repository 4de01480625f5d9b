"""One suite of predictions: which metrics are judged, on which rows, against which bounds. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mlops_toolkit.config import requests
from mlops_toolkit.config.requests import apart as columns_of
from mlops_toolkit.config.schema import Config, MetricRequest, SliceRequest, Suite
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.gate import discover, judge, nearly, redefined, regrouped, seeds, shown, unlike, unpaired
from mlops_toolkit.gate.align import aligned
from mlops_toolkit.gate.bounds import Bounds
from mlops_toolkit.gate.gaps import judge_gaps
from mlops_toolkit.gate.judge import Judged, Subject
from mlops_toolkit.gate.loaded import Answers, Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work, effective, warning
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import default, resolve
from mlops_toolkit.stats.paired import Paired

NEEDED = {
    "prediction": "columns `target` and `prediction`",
    "scores": "a column `score`, or a `prob:<label>` column for each class",
    "columns": "its column of numbers",
}


def judge_suite(
    work: Work, request: Request, name: str, table: Answers, baseline: Loaded | None, head: Loaded, *, same: bool, salt: str | None
) -> None:
    suite = suite_of(request.config, name)
    wanted = metric_requests(suite, request, name, table)
    columns = requests.read_by(wanted)
    base_table = baseline.tables.get(name) if baseline else None
    asked, kept = _slice_requests(work, request, name)
    salt = salt if baseline and name in baseline.hashed - head.hashed else None
    with _explained(kept):
        grouped = regrouped.asked(request, name, base_table, table, asked, columns)
        both = aligned(work, base_table, table, columns, asked, salt, grouped)
    both = nearly.allowed(request, name, regrouped.as_before(work, both, grouped), wanted)
    both = seeds.counted(request, name, both, baseline, head, columns, salt)
    metrics = [resolve(r, labels=both.labels, where=f"metrics of {name or 'evaluate'}") for r in wanted]
    for metric in metrics:
        if not both.has(metric):
            raise InvalidFile(
                "missing-column",
                f"{metric.name} needs {NEEDED[metric.reads]}",
                where=table.source,
                hint="write it into the predictions, or take the metric out",
            )
    with _explained(kept):
        rows: dict[str | None, Any] = {None: None, **dict(both.masks(asked))}
    beside = shown.Asked(
        discover.asked(work, request, suite, name, metrics, both, suites=len(head.tables)),
        hidden=_used(suite) | columns_of(request.config, name),
        charts=name == next(iter(head.tables)),
    )
    with shown.meanwhile(both) as start:
        rest = start(lambda what: shown.of(request, name, both, what), beside) if work.shows else shown.nothing
        measured = both.measured(metrics, rows, request.config.confidence)
    for metric, results in zip(metrics, measured, strict=True):
        full = f"{name}/{metric.name}" if name else metric.name
        nearly.noted(work, full, both, results[None])
        another = redefined.otherwise(request, baseline, head, name, metric, full)
        for slice_name, one in results.items():
            one = _recorded(work, request, baseline, head, name, metric, full, slice_name, one)
            # An evaluation that answers differently for one model is noise to be measured, not "no change".
            exact = same and (both.same_answers or (one.method == "unpaired" and one.change == 0))
            one = unlike.doubted(work, name, one, exact=exact) if another is None else redefined.uncompared(one, another)
            work.judged.extend(_checks(request, work, full, metric, one, slice_name, exact, both))
        judge_gaps(work, request, name, metric, both, exact=same and both.same_answers, another=another)
        suggested = both.margin(metric, results[None], request.config.confidence)
        if suggested is not None:
            work.proposals[full] = suggested
    rest().into(work, request)


def suite_of(config: Config, name: str) -> Suite:
    """The suite's configuration; an empty one where the configuration does not know it."""
    if config.evaluate is None:
        return Suite()
    return config.evaluate.suites.get(name, Suite()) if name else config.evaluate


def metric_requests(suite: Suite, request: Request, name: str, table: Answers) -> tuple[MetricRequest, ...]:
    """The metrics of a suite: those asked for, else the task's usual ones; with those that a gate names (the base's too)."""
    asked = suite.metrics
    if not asked and table.task in ("classification", "regression"):
        probs = any(column.startswith("prob:") for column in table.columns)
        asked = default(table.task, binary=table.positive is not None, scores="score" in table.columns or probs, probs=probs)  # type: ignore[arg-type]
    names = {r.name for r in asked}
    base_suite = suite_of(request.base_config, name) if request.base_config else Suite()
    extra = [r for r in base_suite.metrics if r.name not in names and _gated(request, name, r.name)]
    names |= {r.name for r in extra}
    for config in (request.config, request.base_config):
        for gated in config.gate if config else ():
            where, _, short = gated.rpartition("/")
            if where == name and short not in names and (made := _as_metric(short, table)) and not _is_measure(config, gated):
                extra.append(made)
                names.add(short)
    return tuple(one for one in (*asked, *extra) if not one.own)


def _gated(request: Request, suite: str, metric: str) -> bool:
    full = f"{suite}/{metric}" if suite else metric
    return request.base_config is not None and full in request.base_config.gate


def _as_metric(name: str, table: Answers) -> MetricRequest | None:
    """The metric of this name; `mean:latency-ms` may also be of a measure, and is where the predictions have no such column."""
    try:
        made = requests.metric(name)
    except UsageError:
        return None
    return None if made.family == "mean" and made.argument not in table.columns else made


def _is_measure(config: Config | None, name: str) -> bool:
    return config is not None and name in config.measures


def _slice_requests(work: Work, request: Request, name: str) -> tuple[tuple[SliceRequest, ...], list[SliceRequest]]:
    """The slices asked for, with those (the second list) that the base branch's gate judges and this one's `evaluate.slices` lets go."""
    wanted = {s.name: s for s in suite_of(request.config, name).slices}
    kept = [s for s in _gated_slices(request, name) if wanted.get(s.name) != s]
    if kept and not request.forks_gate:
        work.loosened.extend(f"slice {s.name} → {'defined otherwise' if s.name in wanted else 'not judged'}" for s in kept)
        kept = [] if request.lets_go else kept
    wanted |= {s.name: s for s in kept}
    return tuple(wanted.values()), kept


@contextlib.contextmanager
def _explained(kept: list[SliceRequest]) -> Iterator[None]:
    """What is wrong with a slice that only the base branch's gate asks for is said with the way out."""
    try:
        yield
    except UsageError as error:
        if any(error.where == f"slice {s.name}" for s in kept):
            error.hint = "the base branch's gate judges this slice; `accepted: [{check: gate, reason: …}]` lets it go"
        raise


def _gated_slices(request: Request, name: str) -> tuple[SliceRequest, ...]:
    """The slices of the base branch's suite, where its gate asks something of them."""
    base = request.base_config
    if base is None or not (request.forks_gate or any(rule.slices and key.rpartition("/")[0] == name for key, rule in base.gate.items())):
        return ()
    return suite_of(base, name).slices


def _used(suite: Suite) -> frozenset[str]:
    """Columns that are no previews: they are slices or metrics."""
    return frozenset([*(s.column for s in suite.slices if s.column), *(m.argument for m in suite.metrics if m.argument)])


def _recorded(
    work: Work,
    request: Request,
    baseline: Loaded | None,
    head: Loaded,
    suite: str,
    metric: Metric,
    full: str,
    slice_name: str | None,
    one: Paired,
) -> Paired:
    """A metric whose baseline has no predictions any more is held against what its record says."""
    old = unpaired.recorded(baseline, suite, full, slice_name)
    if old is None or baseline is None or one.baseline is not None:
        return one
    same = unpaired.same_data(baseline, head, suite)
    if not same:
        work.state = "data-changed"
    one = unpaired.against(metric, one, old, same=same, confidence=request.config.confidence)
    return seeds.recorded(request, suite, metric, slice_name, one, baseline, head)


def _checks(
    request: Request, work: Work, full: str, metric: Metric, one: Paired, slice_name: str | None, same: bool, both: Sides
) -> list[Judged]:
    """The metric's own check, and that of what `warn:` asks beside it."""
    head_rule = request.config.gate.get(full)
    base_rule = request.base_config.gate.get(full) if request.base_config else None
    limits = effective(work, request, full, metric.direction, one.baseline, head_rule, base_rule, slice_name)
    made = [_one(request, work, full, metric, one, slice_name, same, both, limits)]
    beside = warning(work, request, full, metric.direction, one.baseline, head_rule, base_rule) if slice_name is None else None
    if beside is not None:
        made.append(judge.as_warning(_one(request, work, full, metric, one, None, same, both, beside)))
    return made


def _one(
    request: Request, work: Work, full: str, metric: Metric, one: Paired, slice_name: str | None, same: bool, both: Sides, limits: Bounds
) -> Judged:
    another = one.reason == "metric-redefined"
    undefined = both.had(metric) and one.baseline is None
    if limits.waiting and (
        both.refused or undefined or another
    ):  # there is a baseline: what cannot be held against it is in doubt, not new
        limits = limits.unanswered()
        if both.refused:
            what = "the labels are" if work.state == "labels-changed" else "the test set is"
            one = replace(one, reason=work.state, message=f"{what} not the baseline's: nothing was compared")
    judged = judge.measured(
        Subject(full, metric.direction, metric.signature, metric.unit),
        one,
        limits,
        slice_name=slice_name,
        confidence=request.config.confidence,
        same=same,
    )
    judged = redefined.doubted(judged, one) if another else judged
    return judge.new(judged) if both.compared else judged
