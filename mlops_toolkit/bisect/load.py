"""The values of one metric over the runs of a walk, on the same examples with the same labels, and how each example pulled on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.bisect.walk import Walk
from mlops_toolkit.config.schema import MetricRequest, SliceRequest
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.samples import arrays
from mlops_toolkit.predictions.slices import masks
from mlops_toolkit.predictions.stream import whole
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Run
from mlops_toolkit.stats import single
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.moves import Contrast, Influences, Series
from mlops_toolkit.stats.paired import Paired, paired
from mlops_toolkit.stats.sample import Codes, Sample
from mlops_toolkit.stats.tally import dense
from mlops_toolkit.system.files import sha256

HASHED = ".hashed.parquet"


@dataclass(frozen=True)
class Asked:
    """One metric of one suite, on all examples or on one slice. slices: what mlops.yaml declares, of which `slice` is one."""

    request: MetricRequest
    suite: str = ""
    slice: str | None = None
    slices: tuple[SliceRequest, ...] = ()
    confidence: float = 0.95


@dataclass(frozen=True)
class Course:
    """What was measured. values: as the metric has them; series: oriented; own: the interval of each value, None where there is none."""

    walk: Walk
    metric: Metric
    values: tuple[float, ...]
    own: tuple[tuple[float, float] | None, ...]
    series: Series
    steps: tuple[Contrast, ...]
    n: int
    relabelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Point:
    """One run's value, its own interval, its influences; the paired comparison with the next newer run, None of the newest."""

    value: float
    own: tuple[float, float] | None
    influence: Influences
    relabelled: bool
    newer: Paired | None = None


def course(asked: Asked, walk: Walk, runs: Mapping[str, Run], file: Callable[[str, str], Path | None], salt: Callable[[], str]) -> Course:
    """One run after the other is read, the newest first; of each only its values and influences are kept, in single precision.

    UsageErrors `unknown-slice`, `too-few-runs` and what a metric refuses; InvalidFile `changed-file`, or what is wrong with a file.
    """
    paths = {visit.entry.id: _path(runs[visit.entry.id], asked.suite, file) for visit in walk.visits}
    refused = {run: "its predictions are not to be had from here" for run, path in paths.items() if path is None}
    there = [(visit, path) for visit in walk.visits if (path := paths[visit.entry.id]) is not None]
    labels = tuple(sorted({label for visit, _ in there for label in _labels(runs[visit.entry.id], asked.suite)}))
    reading = _Reading(asked, labels, salt() if any(path.name.endswith(HASHED) for _, path in there) else None)
    points: list[_Point] = []
    for visit, path in reversed(there):
        found = reading.point(runs[visit.entry.id], path)
        if isinstance(found, str):
            refused[visit.entry.id] = found
        else:
            points.insert(0, found)
    return _joined(asked, reading, walk.without(refused), points)


def _joined(asked: Asked, reading: _Reading, walk: Walk, points: Sequence[_Point]) -> Course:
    if reading.metric is None or len(points) < 2:
        raise too_few(walk)
    sign = 1.0 if reading.metric.direction == "higher" else -1.0
    influence = np.stack([point.influence for point in points])
    if sign < 0:
        np.negative(influence, out=influence)
    series = Series(np.array([sign * point.value for point in points]), influence, reading.cluster)
    steps = []
    for place, point in enumerate(points[:-1]):
        if point.newer is not None:
            steps.append(_step(series, place, point.newer, asked.confidence))
    relabelled = tuple(visit.entry.id for visit, point in zip(walk.visits, points, strict=True) if point.relabelled)
    values, own = tuple(point.value for point in points), tuple(point.own for point in points)
    return Course(walk, reading.metric, values, own, series, tuple(steps), influence.shape[1], relabelled)


def _step(series: Series, place: int, one: Paired, confidence: float) -> Contrast:
    """By the metric's own comparison: exact where it is a share of rows, none where that may not decide."""
    if one.reason is not None or one.low is None or one.high is None or one.change is None:
        return Contrast(place, place + 1, place + 1, one.change or 0.0, None, None, 1.0)
    if one.trials is not None and one.p_same is not None:
        return Contrast(place, place + 1, place + 1, one.change, one.low, one.high, one.p_same)
    return replace(series.contrast(place, place + 1, place + 1, confidence), low=one.low, high=one.high)


def too_few(walk: Walk) -> UsageError:
    """The error where there are not two runs to tell apart."""
    why = "; ".join(f"run {run}: {reason}" for run, reason in walk.passed[-3:])
    have = f"{len(walk.visits)} run{'' if len(walk.visits) == 1 else 's'} of this line can be walked over, and a move needs two"
    hint = "`mlops history list` shows what is recorded; every review on the base branch records a run"
    return UsageError("too-few-runs", have + (f" ({why})" if why else ""), hint=hint)


class _Reading:
    """Reads runs, the newest first: its examples, sorted, are those that all the others must have, and its labels count for all."""

    def __init__(self, asked: Asked, labels: tuple[str, ...], salt: str | None) -> None:
        self.asked, self.labels, self.salt = asked, labels, salt
        self.metric: Metric | None = None
        self.cluster: Codes | None = None
        self._keys: pl.DataFrame | None = None
        self._all: Sample | None = None
        self._rows: npt.NDArray[Any] | None = None
        self._newer: Sample | None = None

    def point(self, run: Run, path: Path) -> _Point | str:
        """One run's; or why it is passed over."""
        table = self._read(run, path)
        keys = ["id", "repeat"] if "repeat" in table.frame.columns else ["id"]
        frame = self._alike(table.frame, path).sort(keys)
        columns = (self.asked.request.argument or "",) if self.asked.request.family in ("mean", "quantile") else ()
        whole = arrays(table, frame, self.labels, columns)
        if self._all is None or self._keys is None:
            self._first(table, frame, keys, whole)
        elif not frame.select(keys).equals(self._keys):
            return "it was measured on other examples"
        reference = self._all or whole
        relabelled = whole.target is not None and reference.target is not None and bool((whole.target != reference.target).any())
        sample = replace(whole, target=reference.target, weight=reference.weight, cluster=reference.cluster)
        sample = sample if self._rows is None else sample.take(self._rows)
        assert self.metric is not None  # noqa: S101  # made with the first
        measured = self.metric.measure(sample)
        if measured.value is None or measured.influence is None:
            return f"its {self.metric.name} is undefined: {measured.state.replace('-', ' ')}"
        newer = None if self._newer is None else paired(self.metric, sample, self._newer, confidence=self.asked.confidence)
        self._newer = sample
        own = single.interval(self.metric, sample, self.asked.confidence)
        return _Point(measured.value, own, measured.influence.astype(np.float32), relabelled, newer)

    def _read(self, run: Run, path: Path) -> Table:
        kept = run.evaluations[self.asked.suite]
        if kept.predictions is not None and sha256(path) != kept.predictions.sha256:
            what = f"the predictions of run {run.id} are not those that its record names: the sha256 differs"
            raise InvalidFile("changed-file", what, where=kept.predictions.path, hint="`mlops history withdraw` takes the run off the line")
        task = kept.data.task if kept.data else None
        name = f"the predictions of run {run.id}"
        return whole.read(path, why="mlops bisect", times=2, task=task, positive=kept.positive, name=name)  # beside those of the next run

    def _alike(self, frame: pl.DataFrame, path: Path) -> pl.DataFrame:
        """With its ids and clusters hashed where any run's are."""
        if self.salt is None or path.name.endswith(HASHED):
            return frame
        return frame.with_columns([hash_ids(frame[column], self.salt) for column in ("id", "cluster") if column in frame.columns])

    def _first(self, table: Table, frame: pl.DataFrame, keys: list[str], whole: Sample) -> None:
        self._keys, self._all = frame.select(keys), whole
        self.metric = resolve(self.asked.request, labels=self.labels, where="METRIC")
        if self.asked.slice is not None:
            found = dict(masks(frame, self.asked.slices))
            if self.asked.slice not in found:
                what = f'there is no slice "{self.asked.slice[:80]}"'
                raise UsageError("unknown-slice", what, where="--slice", hint=did_you_mean(self.asked.slice, found))
            self._rows = found[self.asked.slice]
        cluster = whole.cluster if self._rows is None or whole.cluster is None else whole.cluster[self._rows]
        self.cluster = dense(cluster)


def _path(run: Run, suite: str, file: Callable[[str, str], Path | None]) -> Path | None:
    kept = run.evaluations.get(suite)
    return file(run.id, kept.predictions.path) if kept is not None and kept.predictions is not None else None


def _labels(run: Run, suite: str) -> tuple[str, ...]:
    data = run.evaluations[suite].data
    return data.labels if data is not None else ()
