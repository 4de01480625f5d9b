"""What is supposed of a planned comparison, from assumptions, records and predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlops_toolkit.config import requests
from mlops_toolkit.errors import UsageError
from mlops_toolkit.power import answer, plan
from mlops_toolkit.records.result import Check
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired
from mlops_toolkit.stats.sample import Sample
from mlops_toolkit.stats.sizes import Means, Shares

SAID = {"disagree": None, "accuracy": None, "classes": None, "confidence": 0.95, "clusters": None, "alike": None}


def assumed(metric: str, **more: object) -> plan.Plan:
    return plan.assumed(metric, **{**SAID, **more})  # type: ignore[arg-type]


def test_shares_are_written_as_people_write_them() -> None:
    assert [plan.share(text, "x") for text in ("4%", "0.04", " 4 % ", ".04", "4pp")] == [pytest.approx(0.04)] * 5
    for text in ("4", "0", "-1%", "x", "100%", "1e9"):
        with pytest.raises(UsageError):
            plan.share(text, "x")


def test_f1_as_assumed_agrees_with_drawing_such_models() -> None:
    design = assumed("f1-macro", disagree=0.06, accuracy=0.9, classes="a=0.2,b=0.3,c=0.5").design
    assert isinstance(design, Means)
    rng, n, shares = np.random.default_rng(3), 3000, np.array([0.2, 0.3, 0.5])
    metric = resolve(requests.metric("f1-macro"), labels=("a", "b", "c"), where=None)
    changes = []
    for _ in range(300):
        target = rng.choice(3, n, p=shares).astype(np.int32)
        others = np.array([[0, 0.3, 0.5], [0.2, 0, 0.5], [0.2, 0.3, 0]])
        odds = others[target] / others[target].sum(axis=1, keepdims=True)
        wrong = (rng.random(n)[:, None] > odds.cumsum(axis=1)).sum(axis=1).astype(np.int32)
        place = rng.random(n)
        base = np.where(place < 0.9, target, wrong).astype(np.int32)
        head = np.where(((place < 0.9) & (place >= 0.03)) | ((place >= 0.9) & (place < 0.93)), target, wrong).astype(np.int32)
        one, two = (Sample(n, target, p, ("a", "b", "c")) for p in (base, head))
        changes.append(paired(metric, one, two).change)
    spread = float(np.std(np.array(changes, dtype=float))) * math.sqrt(n)
    assert design.spread == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize(
    ("metric", "more"),
    [
        ("accuracy", {}),
        ("f1-macro", {"disagree": 0.04}),
        ("rmse", {"disagree": 0.04}),
        ("roc-auc", {"disagree": 0.04}),
        ("f1-macro", {"disagree": 0.3, "accuracy": 0.95, "classes": "0.5,0.5"}),
        ("f1-macro", {"disagree": 0.04, "accuracy": 0.9, "classes": "0.5,0.2"}),
        ("accuracy", {"disagree": 0.04, "clusters": 9}),
    ],
)
def test_what_does_not_follow_from_the_assumptions_is_refused(metric: str, more: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        assumed(metric, **more)


def check(disagree: int, n: int = 2000, **more: object) -> Check:
    return Check("accuracy", baseline=0.9, head=0.9, change=0.0, low=-0.01, high=0.01, n=n, method="tango", disagree=disagree, **more)  # type: ignore[arg-type]


def test_the_history_tells_how_much_two_models_differ() -> None:
    made = plan.recorded("accuracy", [check(79), check(39), check(119), check(500, slice="de")], 0.95)
    assert made.design == Shares(0.04)
    assert (made.n, made.value) == (2000, 0.9)
    other = plan.recorded("rmse", [Check("rmse", baseline=1.0, change=0.0, low=-0.1, high=0.1, n=10_000, method="influence")], 0.95)
    assert isinstance(other.design, Means)
    assert other.design.spread == pytest.approx(0.1 / 1.96 * 100, rel=1e-3)
    with pytest.raises(UsageError, match="no comparison of f1"):
        plan.recorded("f1", [check(79)], 0.95)


def test_the_words_name_the_number_the_chances_and_draw_it() -> None:
    said = answer.words(answer.answer(assumed("accuracy", disagree=0.04), 0.01, None, 0.8))
    assert "3,230 examples decide a margin of 1 pp" in said
    assert "merges unseen in" in said
    assert "●" in said
    none = answer.words(answer.answer(assumed("accuracy", disagree=0.04, clusters=50), 0.01, None, 0.8))
    assert "at least 314 clusters do" in none
