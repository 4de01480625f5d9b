"""The groups of a column: found once, and of the targets' codes the same as of their texts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mlops_toolkit.predictions import groups
from mlops_toolkit.predictions.groups import Grouping


@pytest.mark.parametrize("kinds", [1, 2, 7, 50, 51, 70])
def test_codes_of_the_targets_tell_the_groups_that_their_texts_do(kinds: int) -> None:
    labels = tuple(sorted(f"{number / 4:g}" for number in range(90)))
    codes = np.random.default_rng(kinds).permutation(90)[:kinds].repeat(3).astype(np.int32)
    target = pl.Series("target", [labels[code] for code in codes.tolist()])
    by_code, by_text = Grouping(target.to_frame(), labels, codes).of("target"), groups.of(target)
    assert (by_code is None) == (by_text is None)
    if by_code is not None and by_text is not None:
        assert (by_code.names, by_code.ranges) == (by_text.names, by_text.ranges)
        assert np.array_equal(by_code.codes, by_text.codes)


def test_a_column_is_grouped_once_and_one_that_cannot_be_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def of(column: pl.Series) -> groups.Groups | None:
        asked.append(column.name)
        return real(column)

    real = groups.of
    monkeypatch.setattr(groups, "of", of)
    grouping = Grouping(pl.DataFrame({"part": ["a", "b"] * 60, "text": [f"t{number}" for number in range(120)]}))
    for _ in range(2):
        part = grouping.of("part")
        assert part is not None
        assert part.names == ("a", "b")
        assert grouping.of("text") is None
    assert asked == ["part", "text"]
