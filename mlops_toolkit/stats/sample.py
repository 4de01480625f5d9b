"""The arrays that metrics are computed from: n examples of one model, numpy only."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.chunks import in_order

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sample:
    """n examples. Of two Samples that are compared, row i is the same example and `labels` are the same.

    target       classification: codes into `labels` (int32); regression: float64; None where there is none (means only)
    prediction   as target
    score        (n,) float64, larger = more likely `positive`; None without
    prob         (n, len(labels)) float64 in the order of `labels`, best column by column (order="F"); None without
    weight       (n,) float64 > 0; None = all 1
    cluster      (n,) int32 codes; None = every row its own cluster
    columns      numeric columns by name, float64, for means and quantiles
    positive     index into `labels` of the positive class; None where not binary or unknown
    memory       what was computed of these very arrays and several metrics ask for; a changed copy starts without it, but for what is
                 True: true of all rows, it is true of some
    """

    n: int
    target: npt.NDArray[Any] | None = None
    prediction: npt.NDArray[Any] | None = None
    labels: tuple[str, ...] = ()
    score: Floats | None = None
    prob: Floats | None = None
    weight: Floats | None = None
    cluster: Codes | None = None
    columns: Mapping[str, Floats] = field(default_factory=dict)
    positive: int | None = None
    memory: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def once(self, what: Hashable, compute: Callable[[], Any]) -> Any:
        """What is computed of these rows, the first time that it is asked for."""
        if what not in self.memory:
            self.memory[what] = compute()
        return self.memory[what]

    def knowing(self, other: Sample) -> None:
        """Remember what the other one does that hangs on the targets and weights alone, if they are the same."""
        if self.target is other.target and self.weight is other.weight:
            self.memory.update({what: known for what, known in other.memory.items() if isinstance(what, tuple) and what[0] == "of targets"})

    def counted(self, weight: Floats | None, cluster: Codes | None) -> Sample:
        """The same rows counting the same, otherwise written: what is remembered of them holds."""
        made = replace(self, weight=weight, cluster=cluster)
        made.memory.update(self.memory)
        return made

    def lighter(self) -> Sample:
        """Without what is remembered of it, but for what slices may ask again: orders are large."""
        made = replace(self)
        made.memory.update(self._lasting())
        return made

    def _lasting(self) -> dict[Any, Any]:
        return {what: known for what, known in self.memory.items() if known is True}

    def take(self, rows: npt.NDArray[Any]) -> Sample:
        """The rows given by a boolean mask or indices, labels unchanged."""
        return self._cut(rows, int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows))

    def part(self, rows: slice) -> Sample:
        """Some neighbouring rows, nothing copied."""
        return self if rows.stop - rows.start == self.n else self._cut(rows, rows.stop - rows.start)

    def _cut(self, rows: Any, n: int) -> Sample:
        def cut(values: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
            return None if values is None else values[rows]

        made = replace(
            self,
            n=n,
            target=cut(self.target),
            prediction=cut(self.prediction),
            score=cut(self.score),
            prob=self._columns(rows, n),
            weight=cut(self.weight),
            cluster=cut(self.cluster),
            columns={name: values[rows] for name, values in self.columns.items()},
        )
        made.memory.update(self._lasting())
        return made

    def _columns(self, rows: Any, n: int) -> Floats | None:
        """`prob` of some rows, each class's numbers side by side as in the whole: metrics read one class after the other."""
        if self.prob is None or isinstance(rows, slice):
            return None if self.prob is None else self.prob[rows]
        prob, part = self.prob, np.empty((n, self.prob.shape[1]), order="F")
        at = np.flatnonzero(rows) if rows.dtype == bool else rows

        def column(c: int) -> None:
            np.take(prob[:, c], at, out=part[:, c], mode="wrap")  # "raise" would write to a copy first, in case it has to

        for _ in in_order(range(prob.shape[1]), column, rows=n):
            pass
        return part
