"""The table (target, baseline, head) added up block by block: all that metrics of labels depend on, as the `Cells` that `Joint` makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.sample import Codes, Floats, Sample
from mlops_toolkit.stats.tally import Cells, Clustered

_DENSE = 1 << 20  # keys up to which there is a slot a possible cell
_HELD = 1 << 22  # (cluster, cell) pairs that are held before equal ones are joined

Keys = npt.NDArray[Any]


@dataclass
class Sums:
    """Sums by key of one column or several, joined from time to time: room for the different keys alone."""

    keys: list[Keys] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)  # (keys, columns) each
    _held: int = 0

    def add(self, key: Keys, columns: list[Floats | None]) -> None:
        """Add rows (n,); a column that is None counts them."""
        different, at = np.unique(key, return_inverse=True)
        self.keys.append(different)
        self.values.append(np.stack([np.bincount(at, weights=one, minlength=len(different)) for one in columns], axis=1).astype(np.float64))
        self._held += len(different)
        if self._held > _HELD:
            self.joined()
            self._held = 2 * len(self.keys[0]) if len(self.keys[0]) > _HELD // 2 else len(self.keys[0])

    def joined(self) -> tuple[Keys, Floats]:
        """All different keys in order and their sums."""
        if len(self.keys) > 1:
            different, at = np.unique(np.concatenate(self.keys), return_inverse=True)
            held = np.concatenate(self.values)
            sums = [np.bincount(at, weights=held[:, i], minlength=len(different)) for i in range(held.shape[1])]
            self.keys, self.values = [different], [np.stack(sums, axis=1)]
        return (self.keys[0], self.values[0]) if self.keys else (np.zeros(0, np.int64), np.zeros((0, 1)))


@dataclass
class Table:
    """Counts and sums of the first four powers of the weights, by cell; where rows are clustered also by cluster and cell."""

    labels: tuple[str, ...]
    positive: int | None
    _dense: Floats | None = None
    _sparse: Sums = field(default_factory=Sums)
    _pairs: Sums = field(default_factory=Sums)

    @property
    def cells_possible(self) -> int:
        return len(self.labels) ** 3

    def add(self, target: Codes, baseline: Codes, head: Codes, sample: Sample) -> None:
        """Rows (n,) of these codes; the weights and clusters of `sample` are theirs."""
        k = len(self.labels)
        key = target.astype(np.int64)
        key *= k
        key += baseline
        key *= k
        key += head
        weight = sample.weight
        powers = [None] if weight is None else [None, weight, weight**2, weight**3, weight**4]
        if self.cells_possible > _DENSE:
            self._sparse.add(key, list(powers))
        else:
            sums = np.stack([np.bincount(key, weights=one, minlength=self.cells_possible) for one in powers])
            self._dense = sums.astype(np.float64) if self._dense is None else self._dense + sums
        if sample.cluster is not None:
            self._pairs.add(sample.cluster.astype(np.int64) * self.cells_possible + key, [None, *([weight] if weight is not None else [])])

    def cells(self, *, even: bool, heaviest: float, clustered: bool) -> Cells:
        """What has been added up. even: all weights are equal; heaviest: the largest; clustered: rows share clusters."""
        if self._dense is not None:
            occupied = np.flatnonzero(self._dense[0])
            sums = self._dense[:, occupied]
        else:
            occupied, by_key = self._sparse.joined()
            sums = by_key.T
        count = np.rint(sums[0]).astype(np.int64) if len(sums) else np.zeros(0, np.int64)
        plain = even or len(sums) < 5
        powers = [sums[0].astype(np.float64)] * 4 if plain else [sums[i] / heaviest**i for i in (1, 2, 3, 4)]
        k = len(self.labels)
        return Cells(
            sample=Sample(0, labels=self.labels, positive=self.positive),
            target=(occupied // (k * k)).astype(np.int32),
            baseline=(occupied // k % k).astype(np.int32),
            head=(occupied % k).astype(np.int32),
            count=count,
            weight=powers[0],
            squares=powers[1],
            cubes=powers[2],
            fourths=powers[3],
            uniform=plain,
            clustered=self._clustered(occupied, heaviest, even=plain) if clustered else None,
        )

    def _clustered(self, occupied: Keys, heaviest: float, *, even: bool) -> Clustered:
        """A row for each pair of a cluster and a cell, as heavy as all of its rows."""
        keys, sums = self._pairs.joined()
        cluster = np.unique(keys // self.cells_possible, return_inverse=True)[1].astype(np.int32)
        weight = sums[:, 0] if even else sums[:, 1] / heaviest
        return Clustered(np.searchsorted(occupied, keys % self.cells_possible), cluster, weight)
