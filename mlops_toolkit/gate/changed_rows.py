"""The examples that changed, of predictions that come in blocks: as `examples.changed` chooses them, read from the head's file. Pure but for that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.gate.examples import KEPT, example
from mlops_toolkit.predictions.stream.blocks import Blocks
from mlops_toolkit.records.result import Example, Examples
from mlops_toolkit.stats.sample import Sample

Places = npt.NDArray[np.int64]
_MOST = 400 * KEPT  # candidates among which the order of ids decides


@dataclass
class _Kept:
    """The rows to be shown of one kind, the most telling first: place in the head's file, and what is shown of it.

    key  by what rows are ordered; None: by their ids, of which every block has only its first
    """

    total: int = 0
    key: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    row: Places = field(default_factory=lambda: np.zeros(0, np.int64))
    answers: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))

    def add(self, key: npt.NDArray[np.float64] | None, row: Places, answers: npt.NDArray[np.float64]) -> None:
        self.total += len(row)
        most = KEPT
        if key is None:
            key, row, answers, most = np.zeros(min(len(row), KEPT)), row[:KEPT], answers[:KEPT], _MOST
        key = np.concatenate([self.key, key])
        order = np.argsort(key, kind="stable")[:most]
        self.key, self.row = key[order], np.concatenate([self.row, row])[order]
        self.answers = np.concatenate([self.answers, answers])[order]

    def first_by(self, ids: dict[int, str]) -> None:
        """Order by (key, id), and keep what is shown."""
        order = sorted(range(len(self.row)), key=lambda i: (self.key[i], ids[int(self.row[i])]))[:KEPT]
        self.key, self.row, self.answers = self.key[order], self.row[order], self.answers[order]


def changed(blocks: Blocks, previews: list[str], *, suite: str = "") -> Examples:
    """Fixed and broken examples; without probabilities in the order of ids."""
    fixed, broken = _Kept(), _Kept()
    for index, block in enumerate(blocks):
        base, head = block.baseline, block.head
        if base is None or head.target is None or head.prediction is None or base.prediction is None:
            return Examples()
        _choose(blocks.rows(index), base, head, fixed, broken)
    places = np.concatenate([fixed.row, broken.row])
    ids = _cells(blocks, places, [])
    for kept in (fixed, broken):
        kept.first_by({place: cells["id"] for place, cells in ids.items()})
    shown = _cells(blocks, np.concatenate([fixed.row, broken.row]), previews)
    weighty = not blocks.labels
    return Examples(
        fixed=_examples(blocks, fixed, shown, suite, weighty=weighty),
        broken=_examples(blocks, broken, shown, suite, weighty=weighty),
        fixed_total=fixed.total,
        broken_total=broken.total,
    )


def _choose(row: Places, base: Sample, head: Sample, fixed: _Kept, broken: _Kept) -> None:
    """Take what changed in one block."""
    assert head.target is not None and head.prediction is not None and base.prediction is not None  # noqa: S101, PT018  # the caller has looked
    key: Any = None
    if head.labels:
        was, now = base.prediction == head.target, head.prediction == head.target
        better, worse = ~was & now, was & ~now
        grew = np.zeros(head.n)
        if head.prob is not None:
            key = -head.prob[np.arange(head.n), head.prediction]
    else:
        grew = np.abs(head.prediction - head.target) - np.abs(base.prediction - head.target)
        better, worse = grew < 0, grew > 0
        key = -np.abs(grew)
    answers = np.stack([head.target, base.prediction, head.prediction, grew], axis=1).astype(np.float64)
    for kept, chosen in ((fixed, better), (broken, worse)):
        kept.add(None if key is None else key[chosen], row[chosen], answers[chosen])


def _cells(blocks: Blocks, places: Places, columns: list[str]) -> dict[int, dict[str, Any]]:
    """Of rows of the head's file the id and these columns."""
    if not len(places):
        return {}
    opened = blocks.aligned.head.opened
    rows = opened.lazy().select(["id", *columns]).with_row_index("\0at").head(int(places.max()) + 1)
    wanted = pl.Series("\0wanted", np.unique(places), dtype=pl.get_index_type())
    found = opened.collect(rows.filter(pl.col("\0at").is_in(wanted.implode())))
    found = found.with_columns(pl.col("id").cast(pl.String))
    return {int(cells.pop("\0at")): cells for cells in found.iter_rows(named=True)}


def _examples(blocks: Blocks, kept: _Kept, cells: dict[int, dict[str, Any]], suite: str, *, weighty: bool) -> tuple[Example, ...]:
    return tuple(
        example(
            cells[int(row)]["id"],
            blocks.labels,
            answers[:3].tolist(),
            {name: value for name, value in cells[int(row)].items() if name != "id"},
            suite=suite,
            weight=float(answers[3]) if weighty else None,
        )
        for row, answers in zip(kept.row, kept.answers, strict=True)
    )
