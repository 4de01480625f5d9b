"""Two tables of predictions as samples of the same examples, and what the reader must know of how they differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.gate import curves, discover, examples, proposal
from mlops_toolkit.gate.discover import Asked
from mlops_toolkit.gate.loaded import Answers
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work
from mlops_toolkit.predictions.groups import Grouped, Grouping
from mlops_toolkit.predictions.pair import COMMON, Differences, Pair, pair
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.slices import by_value, masks
from mlops_toolkit.predictions.table import PROB, RESERVED, Table
from mlops_toolkit.records.result import Charts, Examples, Search
from mlops_toolkit.stats import gaps, single
from mlops_toolkit.stats.conclude import of_head
from mlops_toolkit.stats.gaps import Group
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired, paired_many
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.tally import dense, uneven


@dataclass(frozen=True)
class Both:
    """Both sides of one suite, aligned; `baseline` None where there is none, or none that may be compared (then `refused`).

    frame, before: the rows of the head and of the baseline, all columns. tolerance: by how much the changes of metrics, by name, on all
    rows may be off (see `nearly`).
    """

    head: Sample
    frame: Any
    baseline: Sample | None = None
    missing: frozenset[str] = frozenset()
    refused: bool = False
    before: Any = None
    tolerance: Mapping[str, float] = field(default_factory=dict)

    @property
    def ids(self) -> Any:
        return self.frame["id"]

    @cached_property
    def grouping(self) -> Grouping:
        """By the values of the head's columns."""
        return Grouping(self.frame, self.head.labels, self.head.target)

    @property
    def same_answers(self) -> bool:
        """Whether every prediction is the same on both sides."""
        one, other = self.baseline, self.head
        return one is not None and all(
            (a is None) == (b is None) and (a is None or bool((a == b).all()))
            for a, b in ((one.prediction, other.prediction), (one.score, other.score), (one.prob, other.prob))
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return self.head.labels

    @property
    def compared(self) -> bool:
        return self.baseline is not None

    def has(self, metric: Metric) -> bool:
        return available(metric, self.head)

    def had(self, metric: Metric) -> bool:
        return self.baseline is not None and available(metric, self.baseline)

    def masks(self, requests: tuple[SliceRequest, ...]) -> list[tuple[str, Any]]:
        return list(masks(self.frame, requests, self.grouping))

    def measured(self, metrics: Sequence[Metric], rows: Mapping[str | None, Any], confidence: float) -> list[dict[str | None, Paired]]:
        comparable = [m for m in metrics if self.had(m)]
        lonely = [m for m in metrics if m not in comparable]
        done: dict[str, dict[str | None, Paired]] = {}
        if comparable and self.baseline is not None:
            # "" cannot be a slice's name, so it stands for all rows
            by_name = {k or "": v for k, v in rows.items()}
            found = paired_many(
                comparable, self.baseline, self.head, confidence=confidence, rows_by_slice=by_name, tolerance=self.tolerance
            )
            done |= {m.name: {k: found[k or ""][i] for k in rows} for i, m in enumerate(comparable)}
        done |= {m.name: {k: alone(m, self.head, v, confidence) for k, v in rows.items()} for m in lonely}
        return [done[m.name] for m in metrics]

    def groups(self, metric: Metric, column: str, least: int) -> tuple[Sequence[Group] | None, Sequence[Group]]:
        parts = by_value(self.grouping, column)
        before = gaps.groups(metric, self.baseline, parts.codes, parts.names) if self.baseline is not None and self.had(metric) else None
        return before, gaps.groups(metric, self.head, parts.codes, parts.names, least=least)

    def searched(self, asked: Asked) -> Search:
        return Search() if self.baseline is None else discover.searched(asked, self.baseline, self.head, self.grouping, self.before)

    def margin(self, metric: Metric, one: Paired, confidence: float) -> float | None:
        return proposal.margin(metric, one, self.head, confidence)

    def changed(self, hidden: frozenset[str], suite: str) -> Examples:
        if self.baseline is None:
            return Examples()
        return examples.changed(self.baseline, self.head, self.ids, self.previews(hidden), suite=suite)

    def charts(self, names: tuple[str, str]) -> Charts:
        return curves.charts(self.baseline, self.head, names)

    def previews(self, hidden: frozenset[str]) -> dict[str, Any]:
        """The user's own columns that a person may want to see beside an example."""
        frame = self.frame
        shown = [
            c for c in frame.columns if c not in RESERVED and not c.startswith(PROB) and c not in hidden and not frame[c].dtype.is_nested()
        ]
        return {c: frame[c] for c in shown}


def aligned(
    work: Work,
    base: Answers | None,
    head: Answers,
    columns: tuple[str, ...],
    slices: tuple[SliceRequest, ...],
    salt: str | None,
    grouped: Grouped,
) -> Sides:
    """The two sides with the same rows, and in `work` what the reader must know of how they differ."""
    if not isinstance(head, Table) or not (base is None or isinstance(base, Table)):
        from mlops_toolkit.gate import streamed  # few comparisons need it
        from mlops_toolkit.predictions.stream.extras import Extras

        return streamed.bring_together(work, base, head, Extras(columns, slices, grouped), salt)
    if base is None:
        return Both(sample(head, columns), head.frame)
    common = tuple(c for c in columns if c in base.frame.columns)
    both = pair(base, head, salt=salt, columns=common)
    if not compatible(work, both):
        return Both(sample(head, columns), head.frame, refused=True)
    whole_head = both.head
    if common != columns:
        extra = sample(replace(head, frame=both.frame), columns)
        whole_head = replace(both.head, columns=extra.columns)
    return Both(whole_head, both.frame, both.baseline, frozenset(columns) - frozenset(common), before=both.before)


def available(metric: Metric, side: Sample) -> bool:
    """Whether a side has what the metric reads."""
    if metric.reads == "columns":
        return metric.argument in side.columns
    return (side.score is not None or side.prob is not None) if metric.reads == "scores" else side.prediction is not None


def alone(metric: Metric, head: Sample, rows: Any, confidence: float) -> Paired:
    """The head's own value and interval, where there is nothing to compare it with."""
    part = head if rows is None else head.take(rows)
    value = metric.measure(part)
    own = single.interval(metric, part, confidence)
    cluster = dense(part.cluster)
    clusters = None if cluster is None or not part.n else int(cluster.max()) + 1
    share = single.share_of(metric, part) if cluster is None and uneven(part.weight) is None else None
    trials = share[1] if share is not None else None
    return of_head(metric, part.n, value, own, single.standard_error(value, part.cluster), trials, clusters)


def compatible(work: Work, both: Pair | Differences) -> bool:
    """Whether the two test sets may be compared row by row; says what differs."""
    if both.renamed:
        theirs, ours = (shown(label) for label in both.renamed)
        work.notes.append(f"the labels are written otherwise: {theirs} on the baseline, {ours} in this run; nothing was compared")
        work.state = "labels-changed"
        return False
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
