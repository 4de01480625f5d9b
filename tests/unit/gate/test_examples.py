"""The examples that changed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from mlops_toolkit.gate.examples import changed
from mlops_toolkit.stats.sample import Sample


def texts(values: Iterable[str]) -> pl.Series:
    return pl.Series(list(values))


def classified(*predictions: int, prob: list[list[float]] | None = None) -> Sample:
    codes = np.array(predictions, dtype=np.int32)
    made = None if prob is None else np.array(prob)
    return Sample(len(codes), target=np.zeros(len(codes), dtype=np.int32), prediction=codes, labels=("right", "wrong"), prob=made)


def test_fixed_and_broken_are_counted_and_the_rest_is_left_out() -> None:
    found = changed(classified(0, 1, 0, 1), classified(0, 0, 1, 1), texts("abcd"), {})
    assert ([e.id for e in found.fixed], [e.id for e in found.broken]) == (["b"], ["c"])
    assert (found.broken[0].target, found.broken[0].baseline, found.broken[0].head) == ("right", "right", "wrong")


def test_the_surest_mistakes_come_first() -> None:
    head = classified(1, 1, 1, prob=[[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])
    assert [e.id for e in changed(classified(0, 0, 0), head, texts("abc"), {}).broken] == ["b", "c", "a"]


def test_of_a_regression_the_error_that_grew_most_comes_first() -> None:
    target = np.array([0.0, 0.0, 0.0, 0.0])
    base = Sample(4, target=target, prediction=np.array([1.0, 1.0, 1.0, 1.0]))
    head = Sample(4, target=target, prediction=np.array([1.0, -3.0, 0.5, 2.0]))
    found = changed(base, head, texts("abcd"), {})
    assert [(e.id, e.weight) for e in found.broken] == [("b", 2.0), ("d", 1.0)]
    assert [(e.id, e.weight) for e in found.fixed] == [("c", -0.5)]


def test_lists_are_capped_and_totals_are_not() -> None:
    found = changed(classified(*[0] * 50), classified(*[1] * 50), texts(map(str, range(50))), {}, kept=10)
    assert (len(found.broken), found.broken_total) == (10, 50)


def test_a_preview_of_ten_million_characters_is_cut() -> None:
    found = changed(classified(0), classified(1), texts("a"), {"text": texts(["x" * 10_000_000]), "none": pl.Series([None])})
    assert len(found.broken[0].preview["text"]) == 2000
    assert "none" not in found.broken[0].preview
