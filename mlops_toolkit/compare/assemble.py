"""From two loaded sides and what is allowed to a Result: which metrics are judged, on which rows, against which bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from mlops_toolkit.compare import bounds as bounds_of
from mlops_toolkit.compare import curves, differences, examples, judge, proposal, whole
from mlops_toolkit.compare.judge import Judged, Subject
from mlops_toolkit.compare.sides import Loaded
from mlops_toolkit.config import measures as known
from mlops_toolkit.config import requests
from mlops_toolkit.config.schema import Better, Config, MetricRequest, Rule, Suite
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.predictions.pair import Pair, pair
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.slices import masks
from mlops_toolkit.predictions.table import PROB, RESERVED, Table
from mlops_toolkit.records.result import Charts, Examples, MeasureRow, Result, Side
from mlops_toolkit.records.run import Measure
from mlops_toolkit.stats import single
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import default, resolve
from mlops_toolkit.stats.paired import Paired, paired_many
from mlops_toolkit.stats.sample import Sample

NEEDED = {
    "prediction": "columns `target` and `prediction`",
    "score": "a column `score`, or `prob:<label>` columns",
    "prob": "a `prob:<label>` column for each class",
    "columns": "its column of numbers",
}
# Below this share of common rows of either side, two test sets are not the same.
COMMON = 0.95


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison, besides the two sides.

    base_config  the base branch's configuration, whose gate counts where the head's is looser; None: the head's alone
    forks_gate   only the base branch's gate counts (the head comes from a fork)
    side         the baseline as found: commit, run, state, note; `state` is one of DESIGN's names
    """

    config: Config
    baseline: Side
    head: Side
    today: date
    base_config: Config | None = None
    forks_gate: bool = False
    notes: tuple[str, ...] = ()
    looks: int = 1


@dataclass
class _Work:
    """What grows while the suites are gone through."""

    judged: list[Judged] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    charts: Charts = field(default_factory=Charts)
    notes: list[str] = field(default_factory=list)
    loosened: list[str] = field(default_factory=list)
    proposals: dict[str, float] = field(default_factory=dict)
    state: str | None = None


def assemble(request: Request, baseline: Loaded | None, head: Loaded, *, salt: str | None = None) -> Result:
    """The Result, complete but for its sentence and what only the shell knows (urls, CI run)."""
    work = _Work(notes=[*request.notes, *(baseline.notes if baseline else ()), *head.notes])
    state = _state(request, baseline, head)
    if baseline is not None and baseline.again:
        work.state = "data-changed"
    for suite, table in head.tables.items():
        _suite(work, request, suite, table, baseline, head, state=state, salt=salt)
    _scalars(work, request, baseline, head)
    _measures(work, request, baseline, head)
    _gone(work, request)
    settled = whole.settle(
        work.judged,
        policy=_policy(request),
        confidence=request.config.confidence,
        accepted=() if request.forks_gate else request.config.accepted,
        today=request.today,
    )
    checks = tuple(
        replace(check, suggested=work.proposals.get(check.metric)) if check.slice is None and check.metric in work.proposals else check
        for check in settled.checks
    )
    result = Result(
        model=request.config.name,
        verdict=settled.verdict,
        gate=settled.gate,
        sentence="",
        baseline=replace(request.baseline, state=work.state or state)
        if request.baseline.state in ("ok", "same-model")
        else request.baseline,
        head=request.head,
        checks=checks,
        examples=examples.merged(work.examples),
        measures=_measure_rows(request.config, baseline, head),
        differences=differences.between(baseline.run, head.run) if baseline and baseline.run and head.run else (),
        notes=tuple(dict.fromkeys([*_loosened(work), *work.notes])),
        charts=work.charts,
        blocks=settled.blocks,
        exit=settled.exit,
        policy=_policy(request),
        looks=request.looks,
    )
    return replace(result, next=proposal.next_steps(result, request.config, request.today))


def _policy(request: Request) -> Any:
    """The stricter of the two sides' policies for doubt, unless a looser one was accepted."""
    rank = {"warn": 0, "ask": 1, "fail": 2}
    mine, base = request.config.when_uncertain, request.base_config.when_uncertain if request.base_config else None
    if base is None:
        return mine
    if request.forks_gate:
        return base
    return mine if rank[mine] >= rank[base] or whole.accepts_gate(request.config.accepted, request.today) else base


def _state(request: Request, baseline: Loaded | None, head: Loaded) -> str:
    """`same-model` where both runs are of the same model by digest; else the state that was found when the baseline was picked."""
    if baseline is not None and baseline.model is not None and baseline.model == head.model and request.baseline.state == "ok":
        return "same-model"
    return request.baseline.state


def _suite(
    work: _Work, request: Request, name: str, table: Table, baseline: Loaded | None, head: Loaded, *, state: str, salt: str | None
) -> None:
    suite = suite_of(request.config, name)
    wanted = metric_requests(suite, request, name, table)
    columns = tuple(dict.fromkeys(r.argument for r in wanted if r.family in ("mean", "quantile") and r.argument))
    base_table = baseline.tables.get(name) if baseline else None
    both = _aligned(work, base_table, table, columns, salt if baseline and name in baseline.hashed else None)
    if state == "same-model" and not both.same_answers:
        state = "ok"  # an evaluation that answers differently for one model is noise to be measured, not "no change"
    metrics = [resolve(r, labels=both.head.labels, where=f"metrics of {name or 'evaluate'}") for r in wanted]
    for metric in metrics:
        if not _available(metric, both.head):
            raise InvalidFile(
                "missing-column",
                f"{metric.name} needs {NEEDED[metric.reads]}",
                where=table.source,
                hint="write it into the predictions, or take the metric out",
            )
    slices = _slices(suite, request, both)
    rows: dict[str | None, Any] = {None: None, **dict(slices)}
    for metric, results in zip(metrics, _measure(metrics, both, rows, request.config.confidence), strict=True):
        full = f"{name}/{metric.name}" if name else metric.name
        for slice_name, one in results.items():
            work.judged.append(_one(request, work, full, metric, one, slice_name, state, both))
        suggested = proposal.margin(metric, results[None], both.head, request.config.confidence)
        if suggested is not None:
            work.proposals[full] = suggested
    if both.baseline is not None:
        previews = both.previews(hidden=_used(suite))
        work.examples.append(examples.changed(both.baseline, both.head, both.ids, previews, suite=name))
    if name == next(iter(head.tables)):
        labels = (request.baseline.label or "baseline", request.head.label or "this run")
        work.charts = curves.charts(both.baseline, both.head, labels)


@dataclass(frozen=True)
class _Both:
    """Both sides of one suite, aligned; `baseline` None where there is none, or none that may be compared (then `refused`)."""

    head: Sample
    frame: Any
    baseline: Sample | None = None
    missing: frozenset[str] = frozenset()
    refused: bool = False

    @property
    def ids(self) -> Any:
        return self.frame["id"]

    @property
    def same_answers(self) -> bool:
        """Whether every prediction is the same on both sides."""
        one, other = self.baseline, self.head
        return one is not None and all(
            (a is None) == (b is None) and (a is None or bool((a == b).all()))
            for a, b in ((one.prediction, other.prediction), (one.score, other.score), (one.prob, other.prob))
        )

    def previews(self, hidden: frozenset[str]) -> dict[str, Any]:
        """The user's own columns that a person may want to see beside an example."""
        frame = self.frame
        shown = [
            c for c in frame.columns if c not in RESERVED and not c.startswith(PROB) and c not in hidden and not frame[c].dtype.is_nested()
        ]
        return {c: frame[c] for c in shown}


def _aligned(work: _Work, base: Table | None, head: Table, columns: tuple[str, ...], salt: str | None) -> _Both:
    """The two tables as samples of the same rows, and in `work` what the reader must know of how they differ."""
    if base is None:
        return _Both(sample(head, columns), head.frame)
    common = tuple(c for c in columns if c in base.frame.columns)
    both = pair(base, head, salt=salt, columns=common)
    if not _compatible(work, both):
        return _Both(sample(head, columns), head.frame, refused=True)
    whole_head = both.head
    if common != columns:
        extra = sample(replace(head, frame=both.frame), columns)
        whole_head = replace(both.head, columns=extra.columns)
    return _Both(whole_head, both.frame, both.baseline, frozenset(columns) - frozenset(common))


def _available(metric: Metric, side: Sample) -> bool:
    """Whether a side has what the metric reads."""
    if metric.reads == "columns":
        return metric.argument in side.columns
    return getattr(side, metric.reads) is not None


def suite_of(config: Config, name: str) -> Suite:
    """The suite's configuration; an empty one where the configuration does not know it."""
    if config.evaluate is None:
        return Suite()
    return config.evaluate.suites.get(name, Suite()) if name else config.evaluate


def metric_requests(suite: Suite, request: Request, name: str, table: Table) -> tuple[MetricRequest, ...]:
    """The metrics of a suite: those asked for, else the task's usual ones; with those that a gate names (the base's too)."""
    asked = suite.metrics
    if not asked and table.task in ("classification", "regression"):
        probs = any(column.startswith("prob:") for column in table.frame.columns)
        asked = default(table.task, binary=table.positive is not None, scores="score" in table.frame.columns or probs, probs=probs)  # type: ignore[arg-type]
    names = {r.name for r in asked}
    base_suite = suite_of(request.base_config, name) if request.base_config else Suite()
    extra = [r for r in base_suite.metrics if r.name not in names and _gated(request, name, r.name)]
    names |= {r.name for r in extra}
    for config in (request.config, request.base_config):
        for gated in config.gate if config else ():
            where, _, short = gated.rpartition("/")
            if where == name and short not in names and (made := _as_metric(short)) and not _is_measure(config, gated):
                extra.append(made)
                names.add(short)
    return (*asked, *extra)


def _gated(request: Request, suite: str, metric: str) -> bool:
    full = f"{suite}/{metric}" if suite else metric
    return request.base_config is not None and full in request.base_config.gate


def _as_metric(name: str) -> MetricRequest | None:
    try:
        return requests.metric(name)
    except UsageError:
        return None


def _is_measure(config: Config | None, name: str) -> bool:
    return config is not None and name in config.measures


def _compatible(work: _Work, both: Pair) -> bool:
    """Whether the two test sets may be compared row by row; says what differs."""
    if both.labels_changed:
        many = f"the labels of {both.labels_changed:,} examples changed"
        work.notes.append(f"{many}: the baseline's predictions were scored again with the new ones")
        work.state = "labels-changed"
    work.notes.extend(both.notes)
    if not (both.only_baseline_count or both.only_head_count):
        return True
    work.state = "data-changed"
    gone = f"{both.only_baseline_count:,} only the baseline has{_few(both.only_baseline)}"
    new = f"{both.only_head_count:,} only this run has{_few(both.only_head)}"
    verdict = "these are compared" if both.common >= COMMON else "too few to compare"
    work.notes.append(f"the test set changed: {both.n:,} examples in common ({verdict}), {gone}, {new}")
    return both.common >= COMMON


def _few(ids: tuple[str, ...]) -> str:
    return f" ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})" if ids else ""


def _slices(suite: Suite, request: Request, both: _Both) -> list[tuple[str, Any]]:
    base = suite_of(request.base_config, "") if request.base_config else Suite()
    wanted = {s.name: s for s in (*base.slices, *suite.slices) if suite.slices or request.forks_gate}
    return masks(both.frame, tuple(wanted.values())) if wanted else []


def _used(suite: Suite) -> frozenset[str]:
    """Columns that are no previews: they are slices or metrics."""
    return frozenset([*(s.column for s in suite.slices if s.column), *(m.argument for m in suite.metrics if m.argument)])


def _measure(metrics: list[Metric], both: _Both, rows: Mapping[str | None, Any], confidence: float) -> list[dict[str | None, Paired]]:
    """Every metric on every set of rows; against the baseline where it can be computed there, else of the head alone."""
    comparable = [m for m in metrics if both.baseline is not None and _available(m, both.baseline)]
    lonely = [m for m in metrics if m not in comparable]
    done: dict[str, dict[str | None, Paired]] = {}
    if comparable and both.baseline is not None:
        # "" cannot be a slice's name, so it stands for all rows
        found = paired_many(
            comparable, both.baseline, both.head, confidence=confidence, rows_by_slice={k or "": v for k, v in rows.items()}
        )
        done |= {m.name: {k: found[k or ""][i] for k in rows} for i, m in enumerate(comparable)}
    done |= {m.name: {k: _alone(m, both.head, v, confidence) for k, v in rows.items()} for m in lonely}
    return [done[m.name] for m in metrics]


def _alone(metric: Metric, head: Sample, rows: Any, confidence: float) -> Paired:
    """The head's own value and interval, where there is nothing to compare it with."""
    part = head if rows is None else head.take(rows)
    value = metric.measure(part)
    own = single.interval(metric, part, confidence)
    return Paired(
        metric=metric.name,
        n=part.n,
        baseline=None,
        head=value.value,
        reason=None if value.value is not None else value.state,
        message=None if value.value is not None else f"{metric.name} is undefined: {value.state.replace('-', ' ')}",
        head_low=own[0] if own else None,
        head_high=own[1] if own else None,
        head_state=value.state,
        support=value.support,
    )


def _one(request: Request, work: _Work, full: str, metric: Metric, one: Paired, slice_name: str | None, state: str, both: _Both) -> Judged:
    head_rule = request.config.gate.get(full)
    base_rule = request.base_config.gate.get(full) if request.base_config else None
    limits = _bounds(work, request, full, metric.direction, one.baseline, head_rule, base_rule, slice_name)
    if limits.waiting and both.refused:
        limits = replace(limits, waiting=False, margin=limits.margin or 0.0)
        one = replace(one, reason="data-changed", message="the test set is not the baseline's: nothing was compared")
    judged = judge.measured(
        Subject(full, metric.direction, metric.signature, metric.unit),
        one,
        limits,
        slice_name=slice_name,
        confidence=request.config.confidence,
        state=state,
    )
    if limits.waiting and both.baseline is not None:
        check = replace(judged.check, reason="metric-new", message="the baseline does not have it: its margin waits")
        judged = replace(judged, check=check)
    return judged


def _bounds(
    work: _Work,
    request: Request,
    full: str,
    direction: Better,
    baseline: float | None,
    head_rule: Rule | None,
    base_rule: Rule | None,
    slice_name: str | None,
) -> bounds_of.Bounds:
    def made(rule: Rule | None) -> bounds_of.Bounds:
        inner = rule.slices if rule and slice_name else rule
        return bounds_of.resolve(full, inner, direction=direction, baseline=baseline, severity=rule.severity if rule else "gate")

    mine = made(head_rule)
    if request.base_config is None:
        return mine
    theirs = made(base_rule)
    if request.forks_gate:
        return theirs
    strict, loosened = bounds_of.stricter(theirs, mine)
    if not loosened:
        return mine
    said = f"{full}{' slices' if slice_name else ''} {bounds_of.shown(theirs)} → {bounds_of.shown(mine)}"
    if said not in work.loosened:
        work.loosened.append(said)
    return mine if whole.accepts_gate(request.config.accepted, request.today) else strict


def _loosened(work: _Work) -> list[str]:
    return [f"gate loosened: {'; '.join(work.loosened)}"] if work.loosened else []


def _scalars(work: _Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    """Metrics that came as numbers, without examples."""
    done = {one.check.metric for one in work.judged}
    for name, value in head.scalars.items():
        if name in done:
            continue
        old = baseline.scalars.get(name) if baseline else None
        if old is None and baseline and baseline.run:
            old = baseline.run.metrics.get(name)
        direction = _direction(request, name)
        number = old.value if old else None
        if direction is None:
            if name in request.config.gate:
                raise UsageError(
                    "direction-unknown",
                    f"nobody said whether a higher or a lower {name} is better",
                    where=f"gate: {name}",
                    hint=f"write `measures: {{{name}: higher}}` (or lower) in mlops.yaml",
                )
            work.notes.append(f"{name}: nobody said whether higher or lower is better; shown, not judged")
        limits = _bounds(
            work,
            request,
            name,
            direction or "higher",
            number,
            request.config.gate.get(name),
            request.base_config.gate.get(name) if request.base_config else None,
            None,
        )
        unit = "fraction" if known.bounded_fraction(name) and _looks_like_share(number, value.value) else ""
        one = judge.scalar(
            name, baseline=number, head=value.value, bounds=limits, direction=direction or "higher", unit=unit, signature=value.signature
        )
        if old and old.signature and value.signature and old.signature != value.signature:
            check = replace(
                one.check, verdict="inconclusive" if limits.asked else "ungated", reason="metric-redefined", leaning="beyond", change=None
            )
            one = Judged(replace(check, message=f"defined differently on the baseline ({old.signature})"))
        work.judged.append(one)
    if head.scalars and any(one.check.method == "threshold" for one in work.judged):
        work.notes.append("noise not tested: these numbers came without predictions, so any change counts as real")


def _looks_like_share(*values: float | None) -> bool:
    """A metric file's "accuracy: 97.2" is in percent already: only what lies within ±1 is shown in points."""
    return all(value is None or -1 <= value <= 1 for value in values)


def _direction(request: Request, name: str) -> Better | None:
    return known.direction(name, request.config) or (known.direction(name, request.base_config) if request.base_config else None)


def _measures(work: _Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    same = _same_hardware(baseline, head)
    for name, measure in head.measures.items():
        old = baseline.measures.get(name) if baseline else None
        direction = measure.better or _direction(request, name)
        base_rule = request.base_config.gate.get(name) if request.base_config else None
        head_rule = request.config.gate.get(name)
        if direction is None:
            if head_rule or base_rule:
                raise UsageError(
                    "direction-unknown",
                    f"nobody said whether a higher or a lower {name} is better",
                    where=f"gate: {name}",
                    hint=f"write `measures: {{{name}: lower}}` (or higher) in mlops.yaml",
                )
            continue  # shown in the table of measures, not judged
        mean = sum(old.values) / len(old.values) if old and old.values else None
        limits = _bounds(work, request, name, direction, mean, head_rule, base_rule, None)
        if not limits.asked and mean is None:
            continue
        work.judged.append(_measure_check(request, name, measure, old, limits, direction, same))


def _measure_check(
    request: Request, name: str, measure: Measure, old: Measure | None, limits: bounds_of.Bounds, direction: Better, same_hardware: bool
) -> Judged:
    unit = measure.unit or _unit(name)
    if old and len(old.values) > 1 and len(measure.values) > 1 and measure.noisy:
        return judge.repeated(
            name,
            baseline=old.values,
            head=measure.values,
            bounds=limits,
            direction=direction,
            unit=unit,
            confidence=request.config.confidence,
            same_hardware=same_hardware,
        )
    note = "a measurement, not repeated on both sides: its change never blocks, only min and max do" if measure.noisy else None
    return judge.scalar(
        name,
        baseline=sum(old.values) / len(old.values) if old and old.values else None,
        head=sum(measure.values) / len(measure.values),
        bounds=limits,
        direction=direction,
        unit=unit,
        kind="measure",
        blocks_on_change=not measure.noisy,
        note=note or "a count, compared exactly",
    )


def _unit(name: str) -> str:
    tail = name.rpartition("-")[2].rpartition("_")[2].casefold()
    return {"ms": "ms", "s": "s", "seconds": "s", "mb": "MB", "gb": "GB", "bytes": "bytes", "usd": "USD", "us": "µs"}.get(tail, "")


def _same_hardware(baseline: Loaded | None, head: Loaded) -> bool:
    if baseline is None or baseline.run is None or head.run is None:
        return True
    one, other = baseline.run.environment, head.run.environment
    return (one.gpu, one.host) == (other.gpu, other.host)


def _measure_rows(config: Config, baseline: Loaded | None, head: Loaded) -> dict[str, MeasureRow]:
    rows = {}
    for name in (*head.measures, *(n for n in (baseline.measures if baseline else ()) if n not in head.measures)):
        new, old = head.measures.get(name), baseline.measures.get(name) if baseline else None
        better = (new.better if new else None) or (old.better if old else None) or known.direction(name, config)
        rows[name] = MeasureRow(_mean(old), _mean(new), better, (new or old).unit or _unit(name) or None)  # type: ignore[union-attr]
    return rows


def _mean(measure: Measure | None) -> float | None:
    return sum(measure.values) / len(measure.values) if measure and measure.values else None


def _gone(work: _Work, request: Request) -> None:
    """A gated metric or measure that nobody computed is an error, never a pass."""
    done = {one.check.metric for one in work.judged}
    for config, whose in ((request.config, "mlops.yaml"), (request.base_config, "mlops.yaml of the base branch")):
        for name in config.gate if config else ():
            if name in done:
                continue
            if whose != "mlops.yaml" and whole.accepts_gate(request.config.accepted, request.today):
                continue
            raise InvalidFile(
                "metric-gone",
                f"{name} is gated, but this run does not have it",
                where=f"gate of {whose}",
                hint=f"have: {', '.join(sorted(done)) or 'none'}. A metric is computed when it stands under evaluate.metrics, a measure when the evaluation writes it to $MLOPS_MEASURES",
            )
