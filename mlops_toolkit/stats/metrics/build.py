"""From a request and a formula to a Metric: the parts that every family shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.stats.metric import Level, Means, Measured, Metric
from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.tally import Slope, Tally, distinct, tally

Reads = Literal["prediction", "scores", "columns"]


def metric(
    request: MetricRequest, signature: str, measure: Callable[[Sample], Measured], *, where: str | None, reads: Reads = "prediction"
) -> Metric:
    """The Metric of a formula over examples. Empty samples and numbers too large to hold become named states here, for all."""
    family = FAMILIES[request.family]
    direction = request.better or family.better
    if direction is None:
        raise UsageError(
            "needs-direction",
            f"{request.name}: is higher or lower better?",
            where=where,
            hint=f"write {{{request.family}: {request.argument or 'COLUMN'}, better: higher}} or better: lower",
        )

    def guarded(sample: Sample) -> Measured:
        if sample.n == 0:
            return Measured(None, state="empty")
        check_task(request, sample, where)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            measured = measure(sample)
        if measured.value is None:
            return measured
        if not np.isfinite(measured.value) or (measured.influence is not None and not np.isfinite(measured.influence).all()):
            return Measured(None, state="not-finite")
        return measured

    return Metric(
        name=request.name,
        family=request.family,
        direction=direction,
        signature=signature,
        measure=guarded,
        unit=request.unit or family.unit,
        bounds=family.bounds,
        argument=request.argument,
        reads=reads,
    )


def from_slope(
    request: MetricRequest,
    signature: str,
    slope: Callable[[Tally], Slope],
    *,
    where: str | None,
    rowwise: bool = False,
    only: Callable[[Sample], int | None] = lambda sample: None,
) -> Metric:
    """The Metric of a formula over a Tally; rowwise and only as in `Metric`."""

    def finite(sums: Tally) -> Slope:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = slope(sums)
        return found if found.value is None or np.isfinite(found.value) else Slope(None, "not-finite")

    def measure(sample: Sample) -> Measured:
        if sample.target is None or sample.prediction is None:
            return Measured(None, state="no-predictions")
        found = finite(tally(sample.target, sample.prediction, sample))
        if found.value is None:
            return Measured(None, state=found.state, support=found.support, rare=found.rare)
        influence = weighted(found.at(sample.target, sample.prediction), sample)
        return Measured(found.value, influence, found.state, found.support, found.rare)

    return replace(metric(request, signature, measure, where=where), slope=finite, rowwise=rowwise, only=only)


def from_means(request: MetricRequest, signature: str, means: Means, *, where: str | None, reads: Reads = "prediction") -> Metric:
    """The Metric of a function of means."""

    def measure(sample: Sample) -> Measured:
        about = means.about(sample)
        if isinstance(about, Measured):
            return about
        numbers = means.numbers(sample, about[1])
        mean = tuple(average(x, sample) for x in numbers)
        level = means.at(mean)
        if level.value is None:
            return Measured(None, state=level.state)
        pull = sum_of(slope * (x - m) for slope, x, m in zip(level.slopes, numbers, mean, strict=True))
        return Measured(level.value, weighted(pull, sample) / total(sample), about[0])

    def about(sample: Sample) -> tuple[str, float] | Measured:
        check_task(request, sample, where)
        return means.about(sample)

    return replace(metric(request, signature, measure, where=where, reads=reads), means=replace(means, about=about))


def plain_mean(x: tuple[float, ...]) -> Level:
    """A mean itself, as a function of it."""
    return Level(x[0], (1.0,))


def sum_of(parts: Iterable[Floats]) -> Floats:
    """The sum of arrays (n,), of which there is one at least."""
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def check_task(request: MetricRequest, sample: Sample, where: str | None) -> None:
    """UsageError `wrong-task` where a metric of classes is asked of numbers, or the other way round."""
    task = "classification" if sample.labels else "regression"
    if sample.target is not None and task not in FAMILIES[request.family].tasks:
        needs, has = ("classes", "numbers") if task == "regression" else ("numbers", "classes")
        raise UsageError(
            "wrong-task",
            f"{request.name} needs {needs}, and the targets of these predictions are {has}",
            where=where,
            hint="set `task: classification` or `task: regression`, or ask for a metric of this task",
        )


def weighted(per_weight: Floats, sample: Sample) -> Floats:
    """w_j times a derivative by w_j."""
    return per_weight if sample.weight is None else sample.weight * per_weight


def total(sample: Sample) -> float:
    """Σ w."""
    return float(sample.n) if sample.weight is None else float(sample.weight.sum())


def average(values: Floats, sample: Sample) -> float:
    """Σ w·x / Σ w."""
    return float(weighted(values, sample).sum() / total(sample))


def independent(rows: npt.NDArray[np.bool_], sample: Sample) -> int:
    """How many of the rows (n,) of a mask are independent: rows, or the clusters they lie in."""
    return int(np.count_nonzero(rows)) if sample.cluster is None else distinct(sample.cluster[rows])


def label_index(label: str, labels: tuple[str, ...], where: str | None) -> int:
    """Where a class stands among the labels of these predictions; UsageError `unknown-class`."""
    if label not in labels:
        raise UsageError("unknown-class", f'there is no class "{label}" in the predictions', where=where, hint=did_you_mean(label, labels))
    return labels.index(label)


def needs_class(family: str, labels: tuple[str, ...], where: str | None) -> UsageError:
    """That a bare `f1` says nothing where no class is the positive one."""
    shown = ", ".join(f"{family}:{label}" for label in labels[:4]) + (", …" if len(labels) > 4 else "")
    averages = "" if family in ("roc-auc", "average-precision") else f", {family}-macro, {family}-micro or {family}-weighted"
    return UsageError(
        "needs-class",
        f"{family} of which class? None of them is known to be the positive one",
        where=where,
        hint=f"write {shown}{averages}, or say which class is `positive:`",
    )


def positive_class(family: str, argument: str | None, labels: tuple[str, ...], positive: int | None, where: str | None) -> int:
    """The index of the class a metric is about: the one named, or the positive one; UsageError `unknown-class`, `needs-class`."""
    if argument is not None:
        return label_index(argument, labels, where)
    if positive is None:
        raise needs_class(family, labels, where)
    return positive


def rows_of(label: str) -> str:
    """The words for the examples of a class."""
    return f'examples of class "{label}"'


def rarer(positives: int, others: int, label: str) -> tuple[int, str]:
    """How many there are of the rarer of a class and the rest, and the words for them."""
    return (others, f'examples not of class "{label}"') if others < positives else (positives, rows_of(label))


def numbers(values: npt.NDArray[Any] | None) -> Floats | None:
    """A column as float64, None as it is."""
    return None if values is None else np.asarray(values, dtype=np.float64)
