"""Scores of very many examples are counted by bins where a margin allows it: said, with room in the interval, and never where it matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlops_toolkit.gate import nearly
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.records.result import Check, Result
from tests.unit.gate.drawn import request, side

N = 40_000


def sides(*, drop: float = 0.0) -> tuple[Loaded, Loaded]:
    """Two models of two classes; the head's scores are noisier by `drop`."""
    rng = np.random.default_rng(3)
    target = rng.random(N) < 0.3
    before = rng.normal(size=N) + 1.5 * target
    after = before + (0.05 + drop) * rng.normal(size=N)
    common: dict[str, Any] = {"target": ["yes" if one else "no" for one in target], "prediction": ["no"] * N}
    common["lang"] = ["de" if i % 3 else "en" for i in range(N)]
    made = [{**common, "score": (1 / (1 + np.exp(-one))).tolist()} for one in (before, after)]
    return side(made[0], positive="yes"), side(made[1], label="this PR", positive="yes")


EVALUATE = "evaluate: {predictions: p.parquet, task: classification, positive: yes, metrics: [roc-auc, accuracy], slices: [lang]}\n"


def judged(two: tuple[Loaded, Loaded], gate: str, *, base: str | None = None) -> Result:
    asked = request(f"{EVALUATE}{gate}", base=None if base is None else f"{EVALUATE}{base}")
    return assemble(asked, *two)


def auc(result: Result, part: str | None = None) -> Check:
    return next(check for check in result.checks if check.metric == "roc-auc" and check.slice == part)


def test_values_are_near_the_exact_ones_and_the_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    two = sides()
    exact = judged(two, "gate: {roc-auc: {max-drop: 1pp}}")
    monkeypatch.setattr(nearly, "MANY", N)
    got = judged(two, "gate: {roc-auc: {max-drop: 1pp}}")
    note = next(note for note in got.notes if note.startswith("roc-auc:"))
    off = float(note.partition("±")[2].partition(",")[0])
    assert 0 < off <= 1e-4
    assert not any("sorted" in note for note in exact.notes)
    one, other = auc(got), auc(exact)
    assert None not in (one.head, one.change, one.low, one.high, other.head, other.change, other.low, other.high)
    assert 0 < abs(one.head - other.head) <= off  # type: ignore[operator]
    assert abs(one.change - other.change) <= off  # type: ignore[operator]
    assert one.low < other.low < other.high < one.high  # type: ignore[operator]
    assert (one.verdict, got.verdict) == (other.verdict, exact.verdict) == ("pass", "pass")
    assert auc(got, "lang=de") == auc(exact, "lang=de"), "of slices the examples are sorted"


@pytest.mark.parametrize(
    ("gate", "base"),
    [
        ("gate: {roc-auc: {max-drop: 1%}}", None),
        ("gate: {roc-auc: {max-drop: 0}}", None),
        ("gate: {roc-auc: {max-drop: 1pp, max-gain: 0.0001pp}}", None),
        ("gate: {roc-auc: {max-drop: 1pp, warn: {max-drop: 0}}}", None),
        ("gate: {roc-auc: {max-drop: 5pp}}", "gate: {roc-auc: {max-drop: 0.0001pp}}"),
        ("against: [release]\ngate: {roc-auc: {max-drop: 1pp, against: {release: {max-drop: 0}}}}", None),
    ],
)
def test_where_the_smallest_margin_does_not_allow_it_all_are_sorted(gate: str, base: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    two = sides()
    exact = judged(two, gate, base=base)
    monkeypatch.setattr(nearly, "MANY", N)
    assert judged(two, gate, base=base) == exact


def test_a_loss_is_failed_as_where_it_is_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    two = sides(drop=0.8)
    exact = judged(two, "gate: {roc-auc: {max-drop: 1pp}}")
    monkeypatch.setattr(nearly, "MANY", N)
    got = judged(two, "gate: {roc-auc: {max-drop: 1pp}}")
    assert auc(got).verdict == auc(exact).verdict == "fail"
    assert auc(got) != auc(exact)


def test_a_bound_is_rounded_up() -> None:
    assert [nearly.up(bound) for bound in (1.66e-5, 2e-5, 9.5e-5)] == ["2e-05", "2e-05", "0.0001"]
