"""The numbers behind the charts, of predictions that come in blocks: confusion counts, and curves through bins of the score. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_toolkit.gate.curves import BINS, confusion_of, thin
from mlops_toolkit.predictions.stream.blocks import Blocks
from mlops_toolkit.records.result import Charts, Curve
from mlops_toolkit.stats.layout import Layout
from mlops_toolkit.stats.metrics.ranking import class_scores
from mlops_toolkit.stats.sample import Sample

_FINE = 1 << 12  # bins: a chart has a few hundred points


@dataclass
class _Curves:
    """Of one model: by bin of the score the positives, the others, and the sum of the scores."""

    layout: Layout
    ones: npt.NDArray[np.float64]
    others: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    least: float = np.inf
    most: float = -np.inf

    @classmethod
    def of(cls, some: Sample | None) -> _Curves | None:
        if some is None or some.positive is None or (scores := class_scores(some, some.positive)) is None:
            return None
        layout = Layout.of(scores, _FINE)
        return cls(layout, np.zeros(layout.bins), np.zeros(layout.bins), np.zeros(layout.bins))

    def see(self, sample: Sample) -> None:
        scores = None if sample.positive is None else class_scores(sample, sample.positive)
        if scores is None or sample.target is None or not sample.n:
            return
        place, truth = self.layout.place(scores), sample.target == sample.positive
        self.ones += np.bincount(place[truth], minlength=self.layout.bins)
        self.others += np.bincount(place[~truth], minlength=self.layout.bins)
        self.sums += np.bincount(place, weights=scores, minlength=self.layout.bins)
        self.least, self.most = min(self.least, float(scores.min())), max(self.most, float(scores.max()))

    def drawn(self, name: str) -> tuple[Curve, Curve, Curve | None] | None:
        """ROC, precision–recall and calibration curves; None where there is one class."""
        held = np.flatnonzero(self.ones + self.others)[::-1]
        true, false = np.cumsum(self.ones[held]), np.cumsum(self.others[held])
        if not len(held) or not true[-1] or not false[-1]:
            return None
        roc = Curve(name, *thin(np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])))
        pr = Curve(name, *thin(true / true[-1], true / (true + false)))
        return roc, pr, self._calibration(name) if self.least >= 0 and self.most <= 1 else None

    def _calibration(self, name: str) -> Curve:
        """The mean score against the share that is positive, of bins put together to ten of about equal mass."""
        mass = self.ones + self.others
        ends = np.cumsum(mass)
        group = np.minimum((BINS * (ends - mass / 2) / ends[-1]).astype(np.intp), BINS - 1)
        held, ones, sums = (np.bincount(group, weights=one, minlength=BINS) for one in (mass, self.ones, self.sums))
        there = held > 0
        return Curve(
            name,
            tuple(round(float(v), 5) for v in sums[there] / held[there]),
            tuple(round(float(v), 5) for v in ones[there] / held[there]),
        )


def charts(blocks: Blocks, names: tuple[str, str]) -> Charts:
    """Charts of one suite. names: what the two sides are called."""
    some = blocks.some()
    curves = [(names[0], _Curves.of(some.baseline)), (names[1], _Curves.of(some.head))]
    k = len(blocks.labels)
    compared = blocks.aligned.baseline is not None and k > 0
    tables = [np.zeros(k * k, np.int64), np.zeros(k * k, np.int64)]
    for block in blocks:
        for (_, curve), sample in zip(curves, (block.baseline, block.head), strict=True):
            if curve is not None and sample is not None:
                curve.see(sample)
        if compared and block.baseline is not None:
            for table, sample in zip(tables, (block.baseline, block.head), strict=True):
                if sample.target is not None and sample.prediction is not None:
                    table += np.bincount(sample.target.astype(np.int64) * k + sample.prediction, minlength=k * k)
    drawn = [made for name, curve in curves if curve is not None and (made := curve.drawn(name)) is not None]
    confusion = confusion_of(blocks.labels, tables[0].reshape(k, k), tables[1].reshape(k, k)) if compared else None
    return Charts(
        confusion=confusion,
        roc=tuple(one[0] for one in drawn),
        pr=tuple(one[1] for one in drawn),
        calibration=tuple(one[2] for one in drawn if one[2] is not None),
    )
