"""Finite populations of examples of which the true change of every metric is known, and samples drawn from them.

A population is a large table of two aligned models. Its metrics are computed on all of it: that is the truth. A sample takes rows (or
whole clusters) of it with replacement, so that the truth is exact for every metric, with weights, clusters, rare classes and long tails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.sample import Codes, Floats, Sample

Rng = np.random.Generator
Indices = npt.NDArray[np.intp]

SIZE = 60_000  # examples of a population


@dataclass(frozen=True)
class Population:
    """Two aligned models on all the examples there are."""

    baseline: Sample
    head: Sample

    def drop(self, metric: Metric) -> float:
        """How much worse the head truly is, + is worse, in the metric's unit."""
        before, after = metric.measure(self.baseline).value, metric.measure(self.head).value
        if before is None or after is None:
            raise ValueError(f"{metric.name} is undefined on the whole population")
        return (before - after) * (1 if metric.direction == "higher" else -1)

    @cached_property
    def _by_cluster(self) -> tuple[Indices, Indices, Indices]:
        """The rows in order of their clusters; where every cluster starts and how many rows it has."""
        cluster = self.baseline.cluster
        if cluster is None:
            raise ValueError("the population has no clusters")
        order, sizes = np.argsort(cluster, kind="stable"), np.bincount(cluster)
        return order, np.cumsum(sizes) - sizes, sizes

    def draw(self, rng: Rng, n: int) -> tuple[Sample, Sample]:
        """n examples with replacement; where there are clusters, as many whole ones as have about n examples."""
        if self.baseline.cluster is None:
            rows = rng.integers(0, self.baseline.n, n)
            return self.baseline.take(rows), self.head.take(rows)
        order, start, sizes = self._by_cluster
        taken = rng.integers(0, len(sizes), max(2, round(n / float(sizes.mean()))))
        lengths = sizes[taken]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = order[np.repeat(start[taken], lengths) + within]
        again = np.repeat(np.arange(len(taken)), lengths).astype(np.int32)  # a cluster drawn twice is two clusters
        return replace(self.baseline.take(rows), cluster=again), replace(self.head.take(rows), cluster=again)

    def weighted(self, rng: Rng, spread: float) -> Population:
        """The same with log-normal weights."""
        weight = rng.lognormal(0, spread, self.baseline.n)
        return Population(replace(self.baseline, weight=weight), replace(self.head, weight=weight))


def clusters(rng: Rng, size: int, mean: float, uneven: float) -> Codes:
    """Cluster codes of about `size` rows: log-normal numbers of rows around `mean`, at least one each."""
    sizes = np.maximum(1, rng.poisson(mean * rng.lognormal(-uneven * uneven / 2, uneven, max(2, round(size / mean)))))
    return np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)


def _common(rng: Rng, cluster: Codes | None, shape: tuple[int, ...], share: float) -> Floats:
    """Standard normal numbers of which `share` of the variance is common to a cluster's rows."""
    own = rng.normal(size=shape)
    if cluster is None:
        return own
    common = rng.normal(size=(int(cluster.max()) + 1, *shape[1:]))[cluster]
    mixed: Floats = np.sqrt(1 - share) * own + np.sqrt(share) * common
    return mixed


def classes(
    rng: Rng,
    *,
    prior: tuple[float, ...] = (0.5, 0.3, 0.2),
    skill: float = 2.6,
    disagree: float = 0.06,
    harm: float = 0.3,
    jitter: float = 0.0,
    cluster: Codes | None = None,
    size: int = SIZE,
) -> Population:
    """Two classifiers with calibrated probabilities that answer about `disagree` of the examples differently.

    The head sees some examples afresh, with `harm` (0 to 1, or more) of the skill gone; in the others its probabilities move by `jitter`.
    """
    size = size if cluster is None else len(cluster)
    target = np.asarray(rng.choice(len(prior), size, p=prior), dtype=np.int32)
    signal = skill * np.eye(len(prior))[target]
    seen = signal + _common(rng, cluster, (size, len(prior)), 0.3)
    afresh = signal * (1 - harm) + rng.normal(size=(size, len(prior)))
    logits = np.log(prior) + skill * seen
    other = np.log(prior) + skill * afresh
    differ = float((logits.argmax(1) != other.argmax(1)).mean())
    touched = _common(rng, cluster, (size,), 0.5)
    fresh = touched <= np.quantile(touched, min(1.0, disagree / max(differ, 1e-9)))
    moved = np.where(fresh[:, None], other, logits + jitter * rng.normal(size=logits.shape))
    labels = tuple("abcdefghij"[: len(prior)])
    sides = [_of_logits(target, values, labels, cluster) for values in (logits, moved)]
    return Population(*sides)


def _of_logits(target: Codes, logits: Floats, labels: tuple[str, ...], cluster: Codes | None) -> Sample:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    prob = raised / raised.sum(axis=1, keepdims=True)
    return Sample(
        len(target),
        target,
        prob.argmax(axis=1).astype(np.int32),
        labels,
        score=prob[:, 1],
        prob=prob,
        cluster=cluster,
        positive=1 if len(labels) == 2 else None,
    )


def numbers(
    rng: Rng,
    *,
    tail: str = "normal",
    disagree: float = 1.0,
    harm: float = 0.1,
    grow: float = 0.0,
    cluster: Codes | None = None,
    size: int = SIZE,
) -> Population:
    """Two regressions; the head errs afresh, by `harm` more, on `disagree` of the examples. tail: normal, t3, lognormal.

    grow: instead, the errors there become 1 + an exponential number of this mean times as large.
    """
    size = size if cluster is None else len(cluster)
    target = rng.normal(size=size) + 5.0
    error = _errors(rng, tail, cluster, size)
    again = (1 + harm) * (0.7 * error + np.sqrt(1 - 0.49) * _errors(rng, tail, cluster, size))
    if grow:
        again = error * (1 + rng.exponential(grow, size))
    fresh = rng.random(size) < disagree
    sides = [
        Sample(size, target, target + values, cluster=cluster, columns={"judge": np.abs(values)})
        for values in (error, np.where(fresh, again, error))
    ]
    return Population(*sides)


def _errors(rng: Rng, tail: str, cluster: Codes | None, size: int) -> Floats:
    normal = 0.5 * _common(rng, cluster, (size,), 0.3)
    if tail == "lognormal":
        return np.exp(2 * normal)  # σ = 1
    return normal / np.sqrt(rng.chisquare(3, size) / 3) if tail == "t3" else normal
