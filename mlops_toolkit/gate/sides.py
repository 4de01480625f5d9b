"""The two sides of a suite, brought together, as the gate asks them: in memory (`align.Both`) or read in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mlops_toolkit.config.schema import SliceRequest
from mlops_toolkit.gate.discover import Asked
from mlops_toolkit.records.result import Charts, Examples, Search
from mlops_toolkit.stats.gaps import Group
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired


class Sides(Protocol):
    """What can be known of two runs' answers to the same examples, of however many.

    labels     of a classification, of both sides
    refused    there is a baseline, and it may not be compared with
    compared   there is a baseline, and it is
    same_answers  every prediction is the same on both sides
    """

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def refused(self) -> bool: ...
    @property
    def compared(self) -> bool: ...
    @property
    def same_answers(self) -> bool: ...

    def has(self, metric: Metric) -> bool:
        """Whether this run has what the metric reads."""

    def had(self, metric: Metric) -> bool:
        """Whether there is a baseline that has it, too."""

    def masks(self, requests: tuple[SliceRequest, ...]) -> list[tuple[str, Any]]:
        """The slices asked for, and the rows of each as `measured` takes them."""

    def measured(self, metrics: Sequence[Metric], rows: Mapping[str | None, Any], confidence: float) -> list[dict[str | None, Paired]]:
        """Every metric on every set of rows (None: all): against the baseline where it can be computed there, else of the head alone."""

    def groups(self, metric: Metric, column: str, least: int) -> tuple[Sequence[Group] | None, Sequence[Group]]:
        """The groups of a column on both sides (None: nothing to compare with), those of fewer than `least` examples left out."""

    def searched(self, asked: Asked) -> Search:
        """The slices that nobody declared and on which this run got worse; nothing where it cannot be searched."""

    def margin(self, metric: Metric, one: Paired, confidence: float) -> float | None:
        """The margin to propose for a metric, whose comparison on all rows is `one`."""

    def changed(self, hidden: frozenset[str], suite: str) -> Examples:
        """The examples that changed. hidden: columns that need not be shown beside them."""

    def charts(self, names: tuple[str, str]) -> Charts:
        """The numbers behind the charts. names: what the two sides are called."""
