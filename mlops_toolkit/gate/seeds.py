"""Whether the very model is judged or the way it is made, and the sides of a suite where several trainings of each count. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.gate import held
from mlops_toolkit.gate.align import Both, available
from mlops_toolkit.gate.discover import Asked
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.predictions.pair import pair
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.spread import alike
from mlops_toolkit.predictions.table import PROB, Table
from mlops_toolkit.records.result import Charts, Examples, Search, Training
from mlops_toolkit.records.run import MetricValue, Run
from mlops_toolkit.stats import seeds as several
from mlops_toolkit.stats.gaps import Group
from mlops_toolkit.stats.luck import Spread
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.sample import Sample


def training(request: Request, baseline: Loaded | None, head: Loaded) -> Training:
    """How the luck of training was counted, over all suites. The request is one that is `held`."""
    scope: Literal["artifact", "recipe"] = "recipe" if held.scope(request.config) == "recipe" else "artifact"
    theirs, ours = (_trained(side) if side else () for side in (baseline, head))
    if scope == "artifact":
        return Training(scope, (theirs[:1], ours[:1]))
    if baseline is not None and _one_training(baseline, head, theirs, ours):
        return Training(scope, (theirs[:1], ours[:1]))
    chosen = several.choose(theirs, ours)
    if len(theirs) > 1 or len(ours) > 1:
        left = tuple(sorted({*theirs, *ours} - {*chosen.baseline, *chosen.head}))
        return Training(scope, (chosen.baseline, chosen.head), chosen.paired, left, "seeds", alike=_alike(baseline, head))
    known = _known(request, baseline, head)
    return Training(scope, (theirs, ours), source="history" if known else None, run=" and ".join(run.id for run in known) or None)


def same(request: Request, baseline: Loaded | None, head: Loaded) -> bool:
    """Whether nothing changed at all: both sides are one model, and where a recipe is judged by several trainings of each, in all of those."""
    if baseline is None or not baseline.same_model(head):
        return False
    theirs, ours = _trained(baseline), _trained(head)
    if held.scope(request.config) == "artifact" or min(len(theirs), len(ours)) == 1:
        return True
    chosen = several.choose(theirs, ours)
    models = [{one.seed: one.model.digest for one in side.run.seeds if one.model} if side.run else {} for side in (baseline, head)]
    return chosen.paired and all(seed in models[0] and models[0][seed] == models[1].get(seed) for seed in chosen.head)


def _one_training(baseline: Loaded, head: Loaded, theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    """Whether one side has a single training and the other one's first is the very model: then nothing changed but how much is known of luck."""
    return min(len(theirs), len(ours)) == 1 and baseline.same_model(head)


def _known(request: Request, baseline: Loaded | None, head: Loaded) -> tuple[Run, ...]:
    """The records that tell how far the luck of training moves a metric: of the two sides, else of the newest run on the baseline's line."""
    own = [side.run for side in (baseline, head) if side is not None and side.run is not None]
    told = [run for run in own if any(value.training is not None for value in run.metrics.values())]
    return tuple({run.id: run for run in told}.values()) or ((request.spread,) if request.spread is not None else ())


def _alike(baseline: Loaded | None, head: Loaded) -> tuple[Literal["baseline", "head"], ...]:
    """The sides that were trained several times and answered the same each time: luck that is 0, or that nobody drew."""

    def same(side: Loaded) -> bool:
        others = [(side.tables[suite], table) for one in side.seeds.values() for suite, table in one.items()]
        own = [(first, other) for first, other in others if isinstance(first, Table)]
        return bool(own) and all(first.labels == other.labels and _answers(first).equals(_answers(other)) for first, other in own)

    found: list[Literal["baseline", "head"]] = []
    if baseline is not None and same(baseline):
        found.append("baseline")
    return (*found, "head") if same(head) else tuple(found)


def _answers(table: Table) -> Any:
    """What the model says, without what the examples are."""
    return table.frame.select(sorted(c for c in table.frame.columns if c in ("prediction", "score") or c.startswith(PROB)))


def recorded(
    request: Request, suite: str, metric: Metric, slice_name: str | None, one: Paired, baseline: Loaded | None, head: Loaded
) -> Paired:
    """A comparison that has no answers of further seeds to read, with the luck of training as the records tell it, where it counts."""
    if held.scope(request.config) == "artifact":
        return one
    return _Stored(_known(request, baseline, head), suite)(metric, slice_name, None, one, request.config.confidence)


def _trained(side: Loaded, suite: str | None = None) -> tuple[int, ...]:
    """The seeds whose predictions are here, of every suite in memory or of one; the first one first."""
    wanted = {name for name, one in side.tables.items() if isinstance(one, Table)} if suite is None else {suite}
    return (side.first, *(seed for seed, one in side.seeds.items() if seed != side.first and wanted <= set(one)))


def counted(
    request: Request, suite: str, one: Sides, baseline: Loaded | None, head: Loaded, columns: tuple[str, ...], salt: str | None
) -> Sides:
    """The sides of a suite with what is known of the luck of training, where it counts; as they are where it does not.

    one: of the first seeds. columns: the numeric ones that metrics read. salt: the baseline's ids are hashes made with it.
    """
    if held.scope(request.config) == "artifact" or one.refused:
        return one
    theirs = _trained(baseline, suite) if baseline is not None and one.compared else ()
    ours = _trained(head, suite)
    if baseline is not None and _one_training(baseline, head, theirs, ours):
        return one
    if isinstance(one, Both) and (len(theirs) > 1 or len(ours) > 1):
        base = baseline if theirs else None
        return Lucky(one, _Trained(*_samples(suite, base, head, columns, salt)))
    known = _known(request, baseline, head)
    return Lucky(one, _Stored(known, suite)) if known else one


class Count(Protocol):
    """From a comparison of one training a side to one in which the luck of training counts."""

    def __call__(self, metric: Metric, slice_name: str | None, rows: Any, one: Paired, confidence: float) -> Paired: ...


@dataclass(frozen=True)
class Lucky:
    """Sides whose numbers are `count`ed otherwise; groups (of gaps), discovered slices, examples and charts are those of the first seeds."""

    sides: Sides
    count: Count

    @property
    def labels(self) -> tuple[str, ...]:
        return self.sides.labels

    @property
    def refused(self) -> bool:
        return self.sides.refused

    @property
    def compared(self) -> bool:
        return self.sides.compared

    @property
    def same_answers(self) -> bool:
        return self.sides.same_answers

    def has(self, metric: Metric) -> bool:
        return self.sides.has(metric)

    def had(self, metric: Metric) -> bool:
        return self.sides.had(metric)

    def masks(self, requests: tuple[SliceRequest, ...]) -> list[tuple[str, Any]]:
        return self.sides.masks(requests)

    def measured(self, metrics: Sequence[Metric], rows: Mapping[str | None, Any], confidence: float) -> list[dict[str | None, Paired]]:
        found = self.sides.measured(metrics, rows, confidence)
        return [
            {name: self.count(metric, name, rows[name], one, confidence) for name, one in by_slice.items()}
            for metric, by_slice in zip(metrics, found, strict=True)
        ]

    def groups(self, metric: Metric, column: str, least: int) -> tuple[Sequence[Group] | None, Sequence[Group]]:
        return self.sides.groups(metric, column, least)

    def searched(self, asked: Asked) -> Search:
        return self.sides.searched(asked)

    def margin(self, metric: Metric, one: Paired, confidence: float) -> float | None:
        return self.sides.margin(metric, one, confidence)

    def changed(self, hidden: frozenset[str], suite: str) -> Examples:
        return self.sides.changed(hidden, suite)

    def charts(self, names: tuple[str, str]) -> Charts:
        return self.sides.charts(names)


@dataclass(frozen=True)
class _Trained:
    """Counts all trainings, by seed, rows as those of the sides."""

    baselines: Mapping[int, Sample]
    heads: Mapping[int, Sample]

    def __call__(self, metric: Metric, slice_name: str | None, rows: Any, one: Paired, confidence: float) -> Paired:
        if not all(available(metric, side) for side in self.heads.values()):
            return one
        if self.baselines and all(available(metric, side) for side in self.baselines.values()):
            return several.compare(metric, one, self.baselines, self.heads, confidence=confidence, rows=rows)
        return several.alone(metric, one, self.heads, confidence=confidence, rows=rows) if len(self.heads) > 1 else one


@dataclass(frozen=True)
class _Stored:
    """Counts the spreads that are recorded: each of the two trainings has that of its own recipe; what only one run tells counts for both."""

    runs: tuple[Run, ...]
    suite: str

    def __call__(self, metric: Metric, slice_name: str | None, rows: Any, one: Paired, confidence: float) -> Paired:
        found = [spread for run in self.runs if (spread := self._told(run, metric, slice_name)) is not None]
        if not found:
            return one
        return several.stored(one, found, confidence=confidence, metric=metric)

    def _told(self, run: Run, metric: Metric, slice_name: str | None) -> Spread | None:
        values: Mapping[str, MetricValue] = run.metrics if slice_name is None else run.slices.get(slice_name, {})
        known = values.get(f"{self.suite}/{metric.name}" if self.suite else metric.name)
        if known is None or known.training is None or known.signature != metric.signature:
            return None
        return Spread(known.training.seeds, known.training.variance, known.training.explained)


def _samples(
    suite: str, baseline: Loaded | None, head: Loaded, columns: tuple[str, ...], salt: str | None
) -> tuple[dict[int, Sample], dict[int, Sample]]:
    """Every training's answers to the same examples, in the order of the first ones'."""
    ours = _tables(head, suite, columns)
    theirs = _tables(baseline, suite, columns) if baseline is not None else {}
    tables = alike([*theirs.values(), *ours.values()])
    theirs, ours = dict(zip(theirs, tables, strict=False)), dict(zip(ours, tables[len(theirs) :], strict=True))
    if baseline is None:
        return {}, {seed: sample(table, columns) for seed, table in ours.items()}
    first_base, first_head = theirs[baseline.first], ours[head.first]
    common = tuple(c for c in columns if c in first_base.frame.columns)
    return (
        {seed: pair(table, first_head, salt=salt, columns=common).baseline for seed, table in theirs.items()},
        {seed: pair(first_base, table, salt=salt, columns=common).head for seed, table in ours.items()},
    )


def _tables(side: Loaded, suite: str, columns: tuple[str, ...]) -> dict[int, Table]:
    """The first seed's examples with every seed's answers: ids, targets, weights, clusters and slices are of the first."""
    first = side.tables[suite]
    assert isinstance(first, Table)  # noqa: S101 -- sides in memory have tables in memory
    made = {side.first: first}
    for seed in _trained(side, suite)[1:]:
        other = side.seeds[seed][suite]
        own = [c for c in other.frame.columns if c in ("prediction", "score", *columns) or c.startswith(PROB)]
        made[seed] = replace(first, frame=first.frame.with_columns([other.frame[c] for c in own]), labels=other.labels)
    return made
