"""One side of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, Union

from mlops_toolkit.models.evaluation import Change
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.result import Side
from mlops_toolkit.records.run import Measure, MetricValue, Run

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream

Answers: TypeAlias = Union[Table, "Stream"]  # of one suite: in memory, or of a size that is read in blocks


@dataclass(frozen=True)
class Loaded:
    """One side.

    tables   suite -> its predictions; hashed: the suites whose ids are salted hashes
    scalars  metric -> value, for metrics that have no examples behind them
    first    the seed of the training that `tables` are of
    seeds    of several trainings: further seed -> suite -> its predictions, rows as in `tables`
    again    the suites that its model was evaluated on again, because the test set or the evaluation changed
    """

    label: str
    run: Run | None = None
    tables: Mapping[str, Answers] = field(default_factory=dict)
    hashed: frozenset[str] = frozenset()
    scalars: Mapping[str, MetricValue] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    first: int = 0
    seeds: Mapping[int, Mapping[str, Table]] = field(default_factory=dict)
    again: frozenset[str] = frozenset()

    @property
    def model(self) -> str | None:
        """The digest of its model, None where not known."""
        return self.run.trained.digest if self.run and self.run.trained else None

    def same_model(self, other: Loaded) -> bool:
        """Whether both are known to be of the same model, by digest."""
        return self.model is not None and self.model == other.model


@dataclass(frozen=True)
class Other:
    """What else the gate is held against, besides the baseline: the last release, or a run that was pinned.

    name        as in `against:`; side: what was found
    baseline    its run, None where there is nothing to be held against (no release yet)
    salt        the ids of its predictions are hashed with it, and the head's are not
    evaluation  by suite, what of the evaluation changed since that run
    """

    name: str
    side: Side
    baseline: Loaded | None = None
    salt: str | None = None
    evaluation: Mapping[str, Change] = field(default_factory=dict)


def scalars(values: Mapping[str, float]) -> dict[str, MetricValue]:
    """Numbers of a metrics file as metric values; direction by the tables of known names, `higher` is never guessed: see direction_of."""
    return {name: MetricValue(value=value, n=0, signature="", direction="higher") for name, value in values.items()}
