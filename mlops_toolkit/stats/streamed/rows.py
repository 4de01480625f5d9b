"""What the rows of a subset come to beside any metric, counted in the first pass: how many, how heavy, of which labels and clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops_toolkit.stats.sample import Sample


@dataclass
class Rows:
    """What is known of the rows of a subset after the first pass.

    ranked     whether a metric asks for the sizes of classes (`size`, `support`), which take room by cluster and label
    n, heavy   how many rows and Σ w;  lightest, heaviest  of the weights
    labels     (K,) rows of each label;  masses  (K,) their Σ w, and  peaks  (K,) the heaviest of them
    runs       (G,) rows of each cluster;  mass  (G,) their Σ w;  pairs  (G, K) the Σ w of each label within it
    """

    ranked: bool = False
    n: int = 0
    heavy: float = 0.0
    lightest: float = math.inf
    heaviest: float = 0.0
    labels: Any = None
    masses: Any = None
    peaks: Any = None
    runs: Any = None
    mass: Any = None
    pairs: Any = None

    def see(self, sample: Sample, clusters: int) -> None:
        self.n += sample.n
        weight, many = sample.weight, len(sample.labels)
        if weight is not None and sample.n:
            self.heavy += float(weight.sum())
            self.lightest = min(self.lightest, float(weight.min()))
            self.heaviest = max(self.heaviest, float(weight.max()))
        if sample.cluster is not None:
            self.runs = _more(self.runs, np.bincount(sample.cluster, minlength=clusters))
            if weight is not None:
                self.mass = _more(self.mass, np.bincount(sample.cluster, weights=weight, minlength=clusters))
        if not many or sample.target is None:
            return
        self.labels = _more(self.labels, np.bincount(sample.target, minlength=many))
        if not self.ranked:
            return
        if weight is not None:
            self.masses = _more(self.masses, np.bincount(sample.target, weights=weight, minlength=many))
            self.peaks = np.zeros(many) if self.peaks is None else self.peaks
            np.maximum.at(self.peaks, sample.target, weight)
        if sample.cluster is not None:
            self.pairs = np.zeros((clusters, many)) if self.pairs is None else self.pairs
            np.add.at(self.pairs, (sample.cluster, sample.target), 1.0 if weight is None else weight)

    @property
    def there(self) -> Any:
        """(G,) which clusters occur."""
        return None if self.runs is None else self.runs > 0

    @property
    def even(self) -> bool:
        return self.lightest >= self.heaviest

    @property
    def clustered(self) -> bool:
        return self.runs is not None and int(np.count_nonzero(self.runs)) != self.n

    @property
    def units(self) -> float:
        """How many independent rows of equal weight weigh as much (Kish 1965), which all rows are taken to be: (Σ m)²/Σ m² of m rows a cluster."""
        if not self.clustered:
            return float(self.n)
        runs = self.runs.astype(np.float64)
        return float(runs.sum() ** 2 / (runs**2).sum())

    @property
    def longest_run(self) -> int:
        """The most rows of a cluster."""
        return int(self.runs.max(initial=1)) if self.clustered else 1

    def support(self, label: int) -> tuple[int, int]:
        """How many independent rows are of a label, and how many of others: rows, or clusters that hold one."""
        if self.clustered and self.pairs is not None:
            others = (np.delete(self.pairs, label, axis=1) > 0).any(axis=1)
            return int(np.count_nonzero(self.pairs[:, label])), int(np.count_nonzero(others))
        count = 0 if self.labels is None else int(self.labels[label])
        return count, self.n - count

    def all_rows(self) -> float:
        """As how many of the heaviest row (cluster) all rows weigh."""
        if self.clustered:
            mass = self.runs if self.mass is None else self.mass
            return float(mass.sum() / mass.max())
        return float(self.n) if self.even else self.heavy / self.heaviest

    def size(self, label: int) -> tuple[float, float]:
        """The same of the rows of a label, and of all others, each by the heaviest of their own."""
        if self.clustered and self.pairs is not None:
            both = self.pairs[:, label], np.delete(self.pairs, label, axis=1).sum(axis=1)
            return _by_heaviest(float(both[0].sum()), float(both[0].max())), _by_heaviest(float(both[1].sum()), float(both[1].max()))
        if self.even or self.masses is None:
            count = self.support(label)
            return float(count[0]), float(count[1])
        others = np.delete(self.masses, label), np.delete(self.peaks, label)
        return (
            _by_heaviest(float(self.masses[label]), float(self.peaks[label])),
            _by_heaviest(float(others[0].sum()), float(others[1].max(initial=0.0))),
        )

    def plain(self, sample: Sample) -> Sample:
        """A block without clusters that say nothing, nor weights: but equal ones that are not 1 are part of what has been added up."""
        ones = self.even and self.heaviest in (0.0, 1.0)
        return replace(sample, weight=None if ones else sample.weight, cluster=sample.cluster if self.clustered else None)


def _more(held: Any, values: Any) -> Any:
    return values if held is None else np.add(held, values, out=held)


def _by_heaviest(mass: float, heaviest: float) -> float:
    return mass / heaviest if heaviest > 0 else 0.0
