"""Samples for tests: small ones by hand, random ones by hypothesis, with the awkward values that real files hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.sample import Floats, Sample

LABELS = ("ham", "spam", "eggs")

CLASSES = [
    "accuracy",
    "balanced-accuracy",
    *(f"{kind}{rest}" for kind in ("precision", "recall", "f1") for rest in (":spam", "-macro", "-micro", "-weighted")),
    "mcc",
    "kappa",
]
SCORES = ["roc-auc:spam", "average-precision:spam", "roc-auc", "average-precision"]
PROBS = ["log-loss", "brier"]
NUMBERS = ["mae", "rmse", "r2", "mape", "pinball:0.9", "median-absolute-error"]
COLUMNS = ["mean:judge", "quantile:judge"]
SMOOTH = [name for name in CLASSES + SCORES + PROBS + NUMBERS + COLUMNS if name not in ("median-absolute-error", "quantile:judge")]


def named(name: str) -> Metric:
    """The metric as a person writes it: `f1:spam`, `mean:judge`."""
    family, _, argument = name.partition(":")
    q = 0.9 if family == "quantile" else None
    better = "higher" if family in ("mean", "quantile") else None
    return resolve(MetricRequest(name=name, family=family, argument=argument or None, better=better, q=q))


def sample_for(name: str, sample: dict[str, Sample]) -> Sample:
    """The kind of sample a metric reads."""
    return sample["numbers" if name in NUMBERS else "classes"]


# few distinct values, so that ties, zeros of both signs and missing classes are common
LEVELS = [-1.5, -0.0, 0.0, 1e-9, 0.25, 0.5, 3.0]


@st.composite
def samples(draw: st.DrawFn, classes: int = 3, least: int = 1, most: int = 40) -> dict[str, Sample]:
    """A classification and a regression sample of the same size, maybe weighted: {"classes": …, "numbers": …}."""
    n = draw(st.integers(least, most))
    seed = draw(st.integers(0, 2**32 - 1))
    weighted, spiky = draw(st.booleans()), draw(st.booleans())
    kinds = draw(st.integers(1, classes)), draw(st.integers(1, classes))
    return make(np.random.default_rng(seed), n, kinds, weighted=weighted, spiky=spiky, labels=LABELS[:classes])


def make(
    rng: np.random.Generator, n: int, kinds: tuple[int, int], *, weighted: bool, spiky: bool, labels: tuple[str, ...]
) -> dict[str, Sample]:
    k = len(labels)
    weight: Floats | None = rng.choice([0.25, 1.0, 2.0, 7.5], n) if weighted else None
    some = rng.permutation(k)
    target = some[rng.integers(0, kinds[0], n)].astype(np.int32)
    prediction = np.where(rng.random(n) < 0.6, target, some[rng.integers(0, kinds[1], n)]).astype(np.int32)
    raw = rng.choice([0.0, 0.1, 0.5, 1.0], (n, k)) + 0.05 if spiky else rng.random((n, k)) + 1e-3
    prob = raw / raw.sum(axis=1, keepdims=True)
    score = rng.choice(LEVELS, n) if spiky else rng.normal(size=n)
    judge = rng.choice(LEVELS, n) if spiky else rng.normal(size=n)
    classes = Sample(
        n, target, prediction, labels, score=score, prob=prob, weight=weight, positive=1 if k == 2 else None, columns={"judge": judge}
    )
    numbers = rng.choice(LEVELS, n) if spiky else rng.normal(size=n)
    guesses = rng.choice(LEVELS, n) if spiky else numbers + rng.normal(size=n)
    return {"classes": classes, "numbers": Sample(n, numbers, guesses, weight=weight, columns={"judge": judge})}


def reweighted(sample: Sample, row: int, by: float) -> Sample:
    """The sample with one row's weight multiplied."""
    weight = np.ones(sample.n) if sample.weight is None else sample.weight.copy()
    weight[row] *= by
    return replace(sample, weight=weight)
