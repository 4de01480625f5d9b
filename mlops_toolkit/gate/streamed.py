"""The two sides of a suite whose predictions are too large for memory, as the gate asks them (see `sides`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.gate import align, changed_rows, counted_curves, nearly, regrouped
from mlops_toolkit.gate.discover import Asked as Searched
from mlops_toolkit.gate.loaded import Answers
from mlops_toolkit.gate.work import Work
from mlops_toolkit.predictions.stream.admit import Stream, admit
from mlops_toolkit.predictions.stream.align import align as aligned
from mlops_toolkit.predictions.stream.blocks import Blocks
from mlops_toolkit.predictions.stream.extras import Extras, Part, sliceable
from mlops_toolkit.predictions.stream.source import of_frame
from mlops_toolkit.predictions.table import PROB, RESERVED, Table
from mlops_toolkit.records.result import Charts, Examples, Search
from mlops_toolkit.stats import power
from mlops_toolkit.stats.gaps import Group
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.streamed.groups import groups
from mlops_toolkit.stats.streamed.measure import Asked, measured

UNSEARCHED = "slices that nobody declared were not searched: the examples are too many for memory"


@dataclass(frozen=True)
class Streamed:
    """Both sides of one suite, aligned on disk; `blocks` are of the head alone where there is no baseline, or none that may be compared."""

    work: Work
    blocks: Blocks
    refused: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return self.blocks.labels

    @property
    def compared(self) -> bool:
        return self.blocks.aligned.baseline is not None

    @property
    def same_answers(self) -> bool:
        return self.compared and self.blocks.facts.same_answers

    def has(self, metric: Metric) -> bool:
        return align.available(metric, self.blocks.shape.head)

    def had(self, metric: Metric) -> bool:
        other = self.blocks.shape.baseline
        return other is not None and align.available(metric, other)

    def masks(self, requests: tuple[SliceRequest, ...]) -> list[tuple[str, Part]]:
        """`requests` are those that the sides were brought together for."""
        if requests != self.blocks.aligned.extras.requests:
            raise ValueError("the rows were aligned for other slices")
        return [(part.name, part) for part in self.blocks.parts()]

    def measured(self, metrics: Sequence[Metric], rows: Mapping[str | None, Any], confidence: float) -> list[dict[str | None, Paired]]:
        with_baseline = tuple(metric for metric in metrics if self.had(metric))
        asked = Asked(
            metrics=with_baseline,
            lonely=tuple(metric for metric in metrics if metric not in with_baseline),
            subsets=rows,
            clusters=self.blocks.clusters,
            some=self.blocks.some(),
        )
        found, off = measured(self.blocks, asked, confidence)
        for name, most in off.items():
            self.work.notes.append(nearly.said(name, most))
        return [found[metric.name] for metric in metrics]

    def groups(self, metric: Metric, column: str, least: int) -> tuple[Sequence[Group] | None, Sequence[Group]]:
        extras, head = self.blocks.aligned.extras, self.blocks.aligned.head
        sliceable(column, head, head.opened.schema)
        parts = {part.name: part for part in extras.groups(column, self.blocks.facts.counts)}
        return groups(self.blocks, metric, parts, self.blocks.some(), self.blocks.clusters, least=least, had=self.had(metric))

    def searched(self, asked: Searched) -> Search:
        self.work.notes.append(UNSEARCHED)
        return Search()

    def margin(self, metric: Metric, one: Paired, confidence: float) -> float | None:
        if one.head is None or (one.reason and one.baseline is not None):
            return None
        if one.baseline is not None:
            return power.suggest_margin(one, confidence=confidence)
        return power.proposal_of(metric, one, confidence=confidence)

    def changed(self, hidden: frozenset[str], suite: str) -> Examples:
        head = self.blocks.aligned.head
        extras = self.blocks.aligned.extras
        no = {name for name, kind in head.opened.schema.items() if kind.is_nested()} | hidden
        no |= {name for name, many in extras.differ.items() if many and extras.grouped.held}  # the file says another value than counts
        previews = [c for c in head.columns if c not in RESERVED and not c.startswith(PROB) and c not in no]
        return changed_rows.changed(self.blocks, previews, suite=suite)

    def charts(self, names: tuple[str, str]) -> Charts:
        return counted_curves.charts(self.blocks, names)


def bring_together(
    work: Work,
    base: Answers | None,
    head: Answers,
    extras: Extras,
    salt: str | None,
) -> Streamed:
    """The two streams aligned, and in `work` what the reader must know of how they differ."""
    head = _stream(head)
    base = None if base is None else _stream(base)
    extras.check(head)
    if base is None:
        return Streamed(work, Blocks(aligned(None, head, extras.alone())))
    both = Blocks(aligned(base, head, extras, salt=salt))
    if not align.compatible(work, both.differences):
        return Streamed(work, Blocks(aligned(None, head, extras.alone())), refused=True)
    regrouped.noted(work, extras.grouped, extras.differ)
    return Streamed(work, both)


def _stream(side: Answers) -> Stream:
    """A side that does fit into memory is read as the other one is."""
    return admit(of_frame(side.frame, side.source), task=side.task, positive=side.positive) if isinstance(side, Table) else side
