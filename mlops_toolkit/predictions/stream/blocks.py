"""Aligned streams as Samples, a block of rows at a time, and what a first look over all of them tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl

from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.pair import Differences, differing, renamed
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.stream.align import Aligned
from mlops_toolkit.predictions.stream.extras import Part
from mlops_toolkit.predictions.stream.spool import Array, Arrays
from mlops_toolkit.predictions.table import PROB
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.streamed.block import Block


@dataclass(frozen=True)
class Facts:
    """What `Pair` says of two sides beside their rows; of a head alone nothing differs.

    same_answers  every prediction, score and probability is the same;  counts  of every slice column the rows of each code
    """

    labels_changed: int = 0
    renamed: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()
    same_answers: bool = True
    counts: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Blocks:
    """The Samples of aligned streams, as often as they are asked for."""

    aligned: Aligned

    @cached_property
    def labels(self) -> tuple[str, ...]:
        base = self.aligned.baseline
        return tuple(sorted({*self.aligned.head.labels, *(base.labels if base else ())}))

    @cached_property
    def positive(self) -> int | None:
        base = self.aligned.baseline
        known = self.aligned.head.positive or (base.positive if base else None)
        return self.labels.index(known) if known in self.labels else None

    @property
    def clusters(self) -> int:
        """How many codes of clusters there can be; 0 where rows are not clustered."""
        if "cluster" in self.aligned.head.columns:
            return len(self.aligned.head.clusters)
        return self.aligned.n if self.aligned.repeated else 0

    def __iter__(self) -> Iterator[Block]:
        return (self.block(index) for index in range(len(self.aligned.spool.blocks)))

    def block(self, index: int) -> Block:
        """One block of both sides."""
        arrays = self.aligned.spool.block(index)
        head = self._sample(self.aligned.head, _of("head", arrays))
        parts = {name: values for name, values in arrays.items() if name.startswith("slice:")}
        if self.aligned.baseline is None:
            return Block(head, None, parts)
        other = self._sample(self.aligned.baseline, _of("baseline", arrays))
        return Block(head, replace(other, target=head.target, weight=head.weight, cluster=head.cluster), parts)

    @cached_property
    def shape(self) -> Block:
        """No rows of either side, which shows what they have."""
        sides: list[Sample | None] = []
        for side in (self.aligned.head, self.aligned.baseline):
            if side is None:
                sides.append(None)
                continue
            arrays: dict[str, Array] = {name: np.zeros(0, np.float64) for name in side.spool.columns}
            arrays |= {f"column:{name}": np.zeros(0) for name in self.aligned.extras.numbers if name in side.columns}
            if side.task == "classification":
                arrays |= {name: np.zeros(0, np.intp) for name in ("target", "prediction")}
            sides.append(self._sample(side, arrays))
        assert sides[0] is not None  # noqa: S101  # there is a head
        return Block(sides[0], sides[1], {})

    def rows(self, index: int) -> Array:
        """Of each row of a block the place in the head's file."""
        held = self.aligned.spool.block(index, frozenset({"head:row"}))
        if "head:row" in held:
            return held["head:row"].astype(np.int64)
        start = sum(rows for rows, _ in self.aligned.spool.blocks[:index])
        return np.arange(start, start + self.aligned.spool.blocks[index][0])

    @property
    def differences(self) -> Differences:
        """Between the two sides."""
        aligned, facts = self.aligned, self.facts
        return Differences(
            n=aligned.n,
            only_baseline=aligned.only_baseline,
            only_baseline_count=aligned.only_baseline_count,
            only_head=aligned.only_head,
            only_head_count=aligned.only_head_count,
            labels_changed=facts.labels_changed,
            renamed=facts.renamed,
            common=aligned.common,
            notes=facts.notes,
        )

    def some(self) -> Block:
        """Scores of a few rows of each side, to lay out bins by. Nothing says which rows of the two belong together."""
        base = self.aligned.baseline
        sides = [None if side is None else self._sample(side, side.some) for side in (self.aligned.head, base)]
        assert sides[0] is not None  # noqa: S101  # there is a head
        return Block(sides[0], sides[1], {})

    def _sample(self, side: Stream, arrays: Arrays) -> Sample:
        n = next((len(values) for values in arrays.values()), 0)
        codes = self._codes(side)
        prob = self._prob(side, arrays, n)
        score = arrays.get("score")
        if score is None and prob is not None and self.positive is not None and len(self.labels) == 2:
            score = prob[:, self.positive]
        answers = [arrays.get(name) for name in ("target", "prediction")]
        if side.task == "classification":
            answers = [None if one is None else codes[one] for one in answers]
        cluster = arrays.get("cluster", arrays.get("run") if self.aligned.repeated else None)
        return Sample(
            n=n,
            target=answers[0],
            prediction=answers[1],
            labels=self.labels,
            score=None if score is None else score.astype(np.float64, copy=False),
            prob=prob,
            weight=None if "weight" not in arrays else arrays["weight"].astype(np.float64, copy=False),
            cluster=None if cluster is None else cluster.astype(np.int32),
            columns={name.removeprefix("column:"): values for name, values in arrays.items() if name.startswith("column:")},
            positive=self.positive,
        )

    def _codes(self, side: Stream) -> Array:
        place = {label: index for index, label in enumerate(self.labels)}
        return np.array([place.get(text, -1) for text in side.texts], dtype=np.int32)

    def _prob(self, side: Stream, arrays: Arrays, n: int) -> Array | None:
        """As `samples.arrays` makes it: (n, len(labels))."""
        given = [label for label in side.labels if PROB + label in arrays]
        if not given:
            return None
        prob = np.zeros((n, len(self.labels)))
        for label in given:
            prob[:, self.labels.index(label)] = arrays[PROB + label]
        if len(given) == 1 and len(side.labels) == 2:
            other = next(label for label in side.labels if label not in given)
            prob[:, self.labels.index(other)] = 1.0 - prob[:, self.labels.index(given[0])]
        return prob

    # --- what differs

    @cached_property
    def facts(self) -> Facts:
        """One look over all rows."""
        aligned, found = self.aligned, Facts()
        base, spool = aligned.baseline, aligned.spool
        changed, same = 0, True
        apart = {"weight": False, "cluster": False}
        renamed_clusters = self._baseline_clusters()
        for index in range(len(spool.blocks)):
            arrays = spool.block(index)
            for name, values in arrays.items():
                if name.startswith("slice:"):
                    _count(found.counts, name, values)
            if base is None:
                continue
            mine, other = _of("head", arrays), _of("baseline", arrays)
            ours, theirs = self._sample(aligned.head, mine), self._sample(base, other)
            if ours.target is not None and theirs.target is not None:
                changed += int(np.count_nonzero(ours.target != theirs.target))
            same = same and _alike(ours, theirs)
            apart["weight"] = apart["weight"] or _weights_differ(mine.get("weight"), other.get("weight"))
            apart["cluster"] = apart["cluster"] or _clusters_differ(mine.get("cluster"), other.get("cluster"), renamed_clusters)
        if base is None:
            return found
        names = renamed(base.labels, aligned.head.labels) if changed else None
        return replace(found, labels_changed=changed, renamed=names, notes=differing(apart), same_answers=same)

    def _baseline_clusters(self) -> Array:
        """For every cluster code of the baseline the head's code of the same cluster, −1 where it has none."""
        base, head = self.aligned.baseline, self.aligned.head
        names = list(head.clusters)
        if self.aligned.salt is not None and names:
            names = hash_ids(pl.Series("cluster", names), self.aligned.salt).to_list()
        place = {name: index for index, name in enumerate(names)}
        return np.array([place.get(name, -1) for name in (base.clusters if base else ())], dtype=np.int64)

    def parts(self) -> list[Part]:
        """The slices that were asked for."""
        return self.aligned.extras.parts(self.facts.counts)


def _of(whose: str, arrays: Arrays) -> dict[str, Array]:
    return {name[len(whose) + 1 :]: values for name, values in arrays.items() if name.startswith(f"{whose}:")}


def _count(counts: dict[str, Array], name: str, values: Array) -> None:
    more, held = np.bincount(values), counts.get(name, np.zeros(0, np.int64))
    grown = np.zeros(max(len(more), len(held)), np.int64)
    grown[: len(held)] += held
    grown[: len(more)] += more
    counts[name] = grown


def _alike(one: Sample, other: Sample) -> bool:
    pairs = ((one.prediction, other.prediction), (one.score, other.score), (one.prob, other.prob))
    return all((a is None) == (b is None) and (a is None or bool((a == b).all())) for a, b in pairs)


def _weights_differ(one: Array | None, other: Array | None) -> bool:
    """Weights that are all 1 count as none."""
    ours, theirs = (1.0 if values is None else values for values in (one, other))
    return bool(np.any(ours != theirs))


def _clusters_differ(one: Array | None, other: Array | None, renamed_clusters: Array) -> bool:
    if one is None or other is None:
        return (one is None) != (other is None)
    return bool(np.any(one != renamed_clusters[other]))
