"""Gaps between groups of predictions in blocks are those in memory: the same values, intervals and verdicts, of any metric."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.result import Result
from tests.unit.gate.test_streamed import outcome, same
from tests.unit.gate.test_streamed_groups import outcome as outcome_of_gate
from tests.unit.predictions.stream import small

METRICS = [
    "accuracy",
    "f1-macro",
    "recall:spam",
    "brier",
    "{quantile: ms, q: 0.9, better: lower, name: slow}",
    "{mean: ms, better: lower, name: cost}",
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with small.blocks(monkeypatch, 100, 400):
        yield


def frames(*, drop: float = 0.0, clusters: int = 0, spread: bool = False, n: int = 2400, seed: int = 4) -> list[pl.DataFrame]:
    """Two models on three groups, the last of which has 20 examples; the second model is worse on women by `drop`."""
    rng = np.random.default_rng(seed)
    sex = np.where(np.arange(n) < 20, "other", rng.choice(["f", "m"], n))
    target = rng.integers(0, 2, n)
    made = []
    for worse in (0.0, drop):
        right = rng.random(n) < np.where(sex == "f", 0.85 - worse, 0.9)
        odds = np.clip(np.where(right, target, 1 - target) * 0.6 + 0.2 + rng.normal(0, 0.05, n), 0.01, 0.99)
        columns: dict[str, Any] = {
            "id": np.arange(n),
            "target": np.where(target == 1, "spam", "ham"),
            "prediction": np.where(right == (target == 1), "spam", "ham"),
            "prob:spam": odds,
            "ms": rng.gamma(2, np.where(sex == "f", 4 + 20 * worse, 3)),
            "sex": sex,
        }
        made.append(pl.DataFrame(columns))
    if clusters:
        of = np.random.default_rng(seed).integers(0, clusters, n)
        names = [f"c{c}" if spread else f"{s}{c}" for c, s in zip(of, sex, strict=True)]
        made = [frame.with_columns(pl.Series("cluster", names)) for frame in made]
    return made


def written(tmp_path: Path, both: list[pl.DataFrame]) -> list[Path]:
    files = [tmp_path / "main.parquet", tmp_path / "mine.parquet"]
    for file, frame in zip(files, both, strict=True):
        frame.write_parquet(file)
    return files


def asked(limits: str = "{max: 6pp, max-rise: 2pp}") -> str:
    def gate(name: str) -> str:
        return f"{name}: {{gap: {{sex: {limits.replace('pp', '') if name in ('slow', 'mean:ms') else limits}}}}}"

    names = ["accuracy", "f1-macro", "recall:spam", "brier", "slow", "cost"]
    return (
        f"evaluate: {{run: x, task: classification, metrics: [{', '.join(METRICS)}]}}\ngate: {{{', '.join(gate(name) for name in names)}}}"
    )


@pytest.mark.parametrize("clusters", [0, 300])
@pytest.mark.parametrize("drop", [0.0, 0.2])
def test_gaps_are_those_in_memory(tmp_path: Path, drop: float, clusters: int) -> None:
    files = written(tmp_path, frames(drop=drop, clusters=clusters))
    about: dict[str, Any] = {"task": "classification", "positive": "spam"}
    found = [outcome(files, how, asked(), **about) for how in (Table, Stream)]
    same(*found)
    assert isinstance(found[1], Result)
    gap = next(c for c in found[1].checks if c.metric == "accuracy gap [sex]")
    assert gap.head_low is not None
    if not clusters:
        assert gap.verdict == ("fail" if drop else "inconclusive")
        assert gap.groups == ("m", "f")
        assert "left out: other (20 examples are too few for an interval)" in (gap.message or "")
    same(*(outcome([None, files[1]], how, asked(), **about) for how in (Table, Stream)))  # of a head alone


def test_the_gap_of_what_is_counted_by_bins_is_never_surer(tmp_path: Path) -> None:
    files = written(tmp_path, frames(drop=0.1))
    text = "evaluate: {run: x, task: classification, metrics: ['roc-auc:spam']}\ngate: {'roc-auc:spam': {gap: {sex: {max: 6pp, max-rise: 2pp}}}}"
    whole, blocks = (outcome(files, how, text, task="classification", positive="spam") for how in (Table, Stream))
    assert isinstance(whole, Result)
    assert isinstance(blocks, Result)
    one, other = (next(c for c in result.checks if c.metric.endswith("[sex]")) for result in (whole, blocks))
    assert other.head == pytest.approx(one.head, abs=2e-3)
    assert None not in (one.head_low, one.head_high, other.head_low, other.head_high, one.low, one.high, other.low, other.high)
    assert other.head_low <= one.head_low + 1e-9  # type: ignore[operator]
    assert other.head_high >= one.head_high - 1e-9  # type: ignore[operator]
    assert other.low <= one.low + 1e-9  # type: ignore[operator]
    assert other.high >= one.high - 1e-9  # type: ignore[operator]


def test_clusters_that_lie_in_several_groups_are_not_decided(tmp_path: Path) -> None:
    files = written(tmp_path, frames(clusters=300, spread=True))
    found = outcome(files, Stream, asked(), task="classification", positive="spam")
    assert isinstance(found, Result)
    gaps = [c for c in found.checks if c.metric.endswith("[sex]")]
    assert {c.verdict for c in gaps} == {"inconclusive"}
    assert all("its clusters lie in other groups too" in (c.message or "") for c in gaps)
    assert found.gate != "passed"


def test_groups_of_a_gap_are_the_baselines(tmp_path: Path) -> None:
    """Errors that are moved to another group are seen where they were."""
    base, head = frames(drop=0.3)
    wrong = head["prediction"] != head["target"]
    head = head.with_columns(pl.when(wrong).then(pl.lit("m")).otherwise(pl.col("sex")).alias("sex"))
    files = written(tmp_path, [base, head])
    text = "evaluate: {run: x, task: classification, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 50%, gap: {sex: {max: 10pp}}}}\n"
    found = [outcome_of_gate(files, how, text, text) for how in (Table, Stream)]
    same(*found, hidden=["sex"])
    assert isinstance(found[1], Result)
    assert next(c for c in found[1].checks if c.metric == "accuracy gap [sex]").verdict == "fail"
    assert found[1].exit == 1


def test_a_gap_by_no_column_of_groups_is_refused_alike(tmp_path: Path) -> None:
    both = [frame.with_columns(("n" + pl.col("id").cast(pl.String)).alias("name")) for frame in frames(n=6000)]
    files = written(tmp_path, both)
    for column in ("nowhere", "name"):
        text = (
            f"evaluate: {{run: x, task: classification, metrics: [accuracy]}}\ngate: {{accuracy: {{gap: {{{column}: {{max: 10pp}}}}}}}}\n"
        )
        found = [outcome(files, how, text, task="classification") for how in (Table, Stream)]
        assert len({tuple(str(one).split()[:2]) for one in found}) == 1
        assert str(found[1]).startswith("UsageError unknown-column" if column == "nowhere" else "UsageError too-many-slices")
