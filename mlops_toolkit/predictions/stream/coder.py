"""Texts as small whole numbers, the same text the same number in every block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Codes = npt.NDArray[Any]
_DENSE = 1 << 16  # whole numbers whose span is below this are coded by a table, not by their text


@dataclass
class Coder:
    """Codes in the order in which the texts came; their number is all that grows with the data."""

    texts: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)
    _categories: pl.Categories = field(default_factory=pl.Categories.random)
    _alive: pl.Series | None = None  # polars forgets the numbers when no series of theirs is left
    _of_category: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))

    def code(self, text: str) -> int:
        """Of one text, which is known from now on."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = len(self.texts)
            self.texts.append(text)
        return found

    def codes(self, column: pl.Series) -> Codes:
        """(n,) of a column without nulls: text, or anything whose text is what polars writes for it."""
        if column.dtype == pl.Boolean:
            pair = np.array([self.code("false"), self.code("true")], np.uint32) if len(column) else np.zeros(2, np.uint32)
            codes: Codes = pair[column.to_numpy().astype(np.intp)]
            return codes
        if column.dtype.is_integer() and (coded := self._whole(column)) is not None:
            return coded
        text = column if column.dtype == pl.String else column.cast(pl.String)
        coded_text = text.cast(pl.Categorical(self._categories))
        self._alive = coded_text[:0] if self._alive is None else self._alive
        physical = coded_text.to_physical().to_numpy()
        if len(physical) and int(physical.max()) >= len(self._of_category):
            self._learn(coded_text, physical)
        coded_all: Codes = self._of_category[physical]
        return coded_all

    def _learn(self, coded: pl.Series, physical: Codes) -> None:
        """Number the texts that no block had before."""
        new = coded.filter(pl.Series(physical >= len(self._of_category))).unique()
        grown = np.zeros(int(physical.max()) + 1, np.uint32)
        grown[: len(self._of_category)] = self._of_category
        order = np.argsort(new.to_physical().to_numpy())
        for text, place in zip(new.cast(pl.String)[order], new.to_physical()[order], strict=True):
            grown[place] = self.code(text)
        self._of_category = grown

    def _whole(self, column: pl.Series) -> Codes | None:
        values = column.to_numpy()
        if not len(values):
            return np.zeros(0, np.uint32)
        low, high = int(values.min()), int(values.max())
        if high - low >= _DENSE:
            return None
        at = (values - values.dtype.type(low)).astype(np.intp)
        table = np.zeros(high - low + 1, np.uint32)
        for offset in np.flatnonzero(np.bincount(at, minlength=len(table))).tolist():
            table[offset] = self.code(str(low + offset))
        codes: Codes = table[at]
        return codes
