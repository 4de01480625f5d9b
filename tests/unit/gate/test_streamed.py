"""Predictions that are read in blocks are judged as those in memory are: the same checks, the same notes, the same refusals."""

from __future__ import annotations

import dataclasses
import math
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Answers, Loaded
from mlops_toolkit.gate.nearly import up
from mlops_toolkit.gate.streamed import UNSEARCHED
from mlops_toolkit.predictions import read, sized
from mlops_toolkit.predictions.anonymous import anonymise
from mlops_toolkit.predictions.stream import admit, source
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.result import Check, Result
from tests.unit.gate.drawn import request
from tests.unit.predictions.stream import small

RANKED = ("roc-auc", "average-precision")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with small.blocks(monkeypatch, 64, 100):
        yield


def loaded(file: Path, *, label: str, how: type[Table] | type[Stream], hashed: bool = False, **about: Any) -> Loaded:
    made: Answers = (
        read.read(file, name=f"{label}.file", **about) if how is Table else admit.read_stream(file, name=f"{label}.file", **about)
    )
    return Loaded(label, tables={"": made}, hashed=frozenset({""} if hashed else ()))


def outcome(
    files: Sequence[Path | None], how: type[Table] | type[Stream], asked: str, *, salt: str | None = None, **about: Any
) -> Result | str:
    """The result of a comparison, or how it was refused."""
    wanted = request(asked)
    try:
        base = None if files[0] is None else loaded(files[0], label="main", how=how, hashed=salt is not None, **about)
        head = loaded(files[1], label="mine", how=how, **about)  # type: ignore[arg-type]
        return assemble(wanted, base, head, salt=salt)
    except MlopsError as error:
        return f"{type(error).__name__} {error.name} {error}"


def same(one: Result | str, other: Result | str, *, hidden: Sequence[str] = ()) -> None:
    """Every check is equal: counts exactly, numbers to 1e-9; what is counted by bins within what its note says.

    hidden: columns that are not shown beside examples in blocks, as the head's file has other values than those that count.
    """
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    own = [note for note in other.notes if "bins of the score" in note or note == UNSEARCHED]
    bounds = {note.rpartition(": so many")[0]: _bound(note) for note in own}
    assert [n for n in other.notes if n not in own] == list(one.notes)
    assert len(one.checks) == len(other.checks)
    key = {(c.metric, c.slice): c for c in other.checks}
    for check in one.checks:
        _same(check, key[check.metric, check.slice], bounds.get(check.metric, 0.0))
    assert one.baseline == other.baseline
    assert one.charts.confusion == other.charts.confusion
    assert (one.examples.fixed_total, one.examples.broken_total) == (other.examples.fixed_total, other.examples.broken_total)
    for mine, theirs in ((one.examples.broken, other.examples.broken), (one.examples.fixed, other.examples.fixed)):
        shown = [dataclasses.replace(e, preview={k: v for k, v in e.preview.items() if k not in hidden}) for e in mine]
        assert shown == list(theirs)


def _bound(note: str) -> float:
    """By how much the note says that values may be off."""
    found = re.search(r"within ±([\d.e-]+)", note)
    return float(found[1]) if found else 0.0


def _same(one: Check, other: Check, bound: float) -> None:
    if one.metric.partition(":")[0] in RANKED:
        for name in ("baseline", "head", "n"):
            mine, theirs = getattr(one, name), getattr(other, name)
            assert (mine is None) == (theirs is None), (name, one, other)
            assert mine is None or math.isclose(mine, theirs, rel_tol=0, abs_tol=bound + 1e-9), (name, one, other)
        for name, sign in (("low", 1), ("high", -1)):  # never surer than what is sorted
            mine, theirs = getattr(one, name), getattr(other, name)
            assert theirs is None or (mine is not None and sign * theirs <= sign * mine + 1e-9), (name, one, other)
        return
    if one.baseline is None and one.head_low is not None:
        # of a head alone with weights, how far one row stands out is known by cell, not by row: the interval is not narrower
        assert other.head_low is not None, (one, other)
        assert other.head_low <= one.head_low + 1e-9, (one, other)
    for field in dataclasses.fields(Check):
        if one.baseline is None and field.name in ("head_low", "head_high", "suggested"):
            continue
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, float) and isinstance(theirs, float):
            assert math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9), (field.name, one, other)
        else:
            assert mine == theirs, (field.name, one, other)


# --- random tables with every optional column


@dataclasses.dataclass(frozen=True)
class Case:
    seed: int
    n: int
    labels: int
    weights: bool
    clusters: bool
    repeats: bool
    order: str  # of the head's rows: same, shuffled, sorted
    lost: int  # rows that only one side has
    probabilities: bool
    ids: str


CASES = st.builds(
    Case,
    seed=st.integers(0, 10**6),
    n=st.integers(30, 400),
    labels=st.sampled_from([1, 2, 3, 5]),
    weights=st.booleans(),
    clusters=st.booleans(),
    repeats=st.booleans(),
    order=st.sampled_from(["same", "shuffled", "sorted"]),
    lost=st.sampled_from([0, 0, 1, 5]),
    probabilities=st.booleans(),
    ids=st.sampled_from(["text", "numbers"]),
)


def frames(case: Case) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(case.seed)
    n, k = case.n, case.labels
    labels = np.array(["ham", "spam", "eggs", "ß", "0"])[:k]
    target = rng.integers(0, k, n)
    keys = rng.permutation(10 * n)[:n]
    ids = keys.astype(np.int64) if case.ids == "numbers" else np.array([f"e{i}" for i in keys])
    common: dict[str, Any] = {"id": ids, "target": labels[target]}
    if case.repeats:
        common["id"], common["repeat"] = ids[rng.integers(0, n // 2 + 1, n)], np.arange(n).astype(str)
    if case.weights:
        common["weight"] = rng.choice([0.5, 1.0, 3.0], n) if case.seed % 4 else np.full(n, 2.5)  # equal ones say nothing
    if case.clusters:
        by = {key: f"c{rng.integers(0, n // 3 + 2)}" for key in dict.fromkeys(common["id"].tolist())}
        common["cluster"] = [by[key] for key in common["id"].tolist()]
    common["part"] = rng.choice(["x", "y", "", "z"], n)
    common["length"] = rng.integers(0, 100, n)
    made = []
    for side in range(2):
        guess = np.where(rng.random(n) < 0.8, target, rng.integers(0, k, n))
        own = {"prediction": labels[guess], "ms": rng.gamma(2, 3, n).round(3), "flag": rng.integers(0, 2, n)}
        if case.probabilities and k > 1:
            odds = rng.gamma(1, 1, (n, k)) + 3 * np.eye(k)[guess]
            own |= {f"prob:{label}": column for label, column in zip(labels, (odds / odds.sum(1, keepdims=True)).T, strict=True)}
        frame = pl.DataFrame({**common, **own})
        if side == 1 and case.order != "same":
            frame = frame.sample(fraction=1, shuffle=True, seed=case.seed)
        frame = frame.sort("id") if case.order == "sorted" else frame
        made.append(frame.head(n - case.lost) if side == 0 else frame)
    return made[0], made[1]


@given(CASES, st.sampled_from(["parquet", "csv"]))
@settings(
    max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_streamed_is_whole(case: Case, kind: str) -> None:
    base, head = frames(case)
    metrics = ["accuracy", "f1-macro", "kappa", "{mean: ms, better: lower}", "{mean: flag, better: higher}"]
    if case.probabilities and case.labels > 1:
        metrics += ["log-loss", "brier", "roc-auc:spam", "average-precision:spam"]
    if not case.weights:
        metrics += ["{quantile: ms, q: 0.9, better: lower}", "{quantile: flag, q: 0.5, better: lower}"]
    asked = (
        f'evaluate: {{run: x, task: classification, metrics: [{", ".join(metrics)}], slices: [part, {{long: "length > 50"}}]}}\n'
        "gate: {accuracy: {max-drop: 1pp, slices: {max-drop: 5pp}}, f1-macro: {max-drop: 2%, min: 0.5}}"
    )
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, frame in (("main", base), ("mine", head)):
            files.append(Path(folder) / f"{name}.{kind}")
            if kind == "csv":
                frame.write_csv(files[-1])
            else:
                frame.write_parquet(files[-1], row_group_size=random.Random(case.seed).choice([1, 17, 1000]))
        same(*(outcome(files, how, asked, task="classification") for how in (Table, Stream)))
        same(*(outcome([None, files[1]], how, asked, task="classification") for how in (Table, Stream)))


def test_a_regression_is_the_same_and_so_is_its_inferred_task(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    n = 500
    target, part = 1e6 + rng.normal(size=n), rng.integers(0, 3, n)
    files = []
    for name in ("main", "mine"):
        files.append(tmp_path / f"{name}.parquet")
        frame = pl.DataFrame({"id": np.arange(n), "target": target, "prediction": target + rng.normal(size=n), "part": part})
        frame.write_parquet(files[-1])
    asked = "evaluate: {run: x, metrics: [mae, rmse, r2, mape, pinball:0.9, median-absolute-error], slices: [part]}\ngate: {mae: {max-rise: 10%}}"
    same(outcome(files, Table, asked), outcome(files, Stream, asked))


def test_hashed_ids_of_a_baseline_meet_plain_ones(tmp_path: Path) -> None:
    base, head = frames(Case(3, 300, 3, True, True, True, "shuffled", 3, True, "text"))
    plain, mine, stored = tmp_path / "plain.parquet", tmp_path / "mine.parquet", tmp_path / "main.parquet"
    base.write_parquet(plain)
    head.write_parquet(mine)
    stored.write_bytes(anonymise(read.read(plain, task="classification"), "salt", ["ms", "part", "length"]))
    asked = "evaluate: {run: x, metrics: [accuracy, {mean: ms, better: lower}], slices: [part]}\ngate: {accuracy: {max-drop: 1pp}}"
    same(*(outcome([stored, mine], how, asked, salt="salt", task="classification") for how in (Table, Stream)))


def test_equal_weights_do_not_narrow_an_interval(tmp_path: Path) -> None:
    found = []
    for weight in (None, 2.5):
        files = []
        for name, frame in zip(("main", "mine"), frames(Case(8, 400, 2, False, False, False, "same", 0, True, "text")), strict=True):
            files.append(tmp_path / f"{name}-{weight}.parquet")
            (frame if weight is None else frame.with_columns(pl.lit(weight).alias("weight"))).write_parquet(files[-1])
        asked = "evaluate: {run: x, metrics: ['roc-auc:spam', brier, {mean: ms, better: lower}]}"
        found.append(outcome(files, Stream, asked, task="classification"))
    plain, weighted = ([(c.low, c.high) for c in one.checks] for one in found if isinstance(one, Result))
    assert len(plain) == 3
    for one, other in zip(plain, weighted, strict=True):
        assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize(("bound", "said"), [(1.4e-4, 2e-4), (9.6e-5, 1e-4), (3e-5, 3e-5), (9.4e-5, 1e-4)])
def test_a_bound_is_never_said_to_be_less_than_it_is(bound: float, said: float) -> None:
    assert float(up(bound)) == said


def test_an_id_that_stands_twice_is_named_as_the_file_has_it(tmp_path: Path) -> None:
    base, head = frames(Case(4, 200, 2, False, False, False, "same", 0, False, "text"))
    plain, mine, stored = tmp_path / "plain.parquet", tmp_path / "mine.parquet", tmp_path / "main.parquet"
    base.write_parquet(plain)
    pl.concat([head, head.head(1)]).write_parquet(mine)
    stored.write_bytes(anonymise(read.read(plain, task="classification"), "salt", []))
    found = [
        outcome([stored, mine], how, "gate: {accuracy: {max-drop: 1pp}}", salt="salt", task="classification") for how in (Table, Stream)
    ]
    assert found[0] == found[1]
    assert f'the id "{head["id"][0]}"' in str(found[0])


def test_labels_weights_and_clusters_that_changed_are_said(tmp_path: Path) -> None:
    base, head = frames(Case(5, 200, 2, True, True, False, "same", 0, False, "text"))
    head = head.with_columns(
        pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("ham")).otherwise(pl.col("target")).alias("target"),
        pl.col("weight") * 2,
        pl.col("cluster") + "!",
    )
    files = [tmp_path / "main.parquet", tmp_path / "mine.parquet"]
    base.write_parquet(files[0])
    head.write_parquet(files[1])
    found = [outcome(files, how, "gate: {accuracy: {max-drop: 1pp}}", task="classification") for how in (Table, Stream)]
    same(*found)
    assert isinstance(found[1], Result)
    assert sum("weights differ" in note or "clusters differ" in note or "labels of" in note for note in found[1].notes) == 3


def test_a_side_that_fits_into_memory_is_read_as_the_other_is(tmp_path: Path) -> None:
    base, head = frames(Case(9, 250, 2, False, False, False, "shuffled", 0, False, "numbers"))
    files = [tmp_path / "main.parquet", tmp_path / "mine.parquet"]
    base.write_parquet(files[0])
    head.write_parquet(files[1])
    asked = "gate: {accuracy: {max-drop: 1pp}}"
    mixed = assemble(
        request(asked),
        loaded(files[0], label="main", how=Table, task="classification"),
        loaded(files[1], label="mine", how=Stream, task="classification"),
    )
    same(outcome(files, Table, asked, task="classification"), mixed)


def test_which_way_is_taken_is_a_matter_of_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, _ = frames(Case(1, 100, 2, False, False, False, "same", 0, False, "text"))
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    about: dict[str, Any] = {"task": None, "positive": None, "name": "a"}
    assert all(isinstance(sized.answers(tmp_path / name, **about), Table) for name in ("a.parquet", "a.csv"))
    monkeypatch.setattr(source, "ROWS", 100)
    monkeypatch.setattr(source, "BYTES", 1000)
    assert all(isinstance(sized.answers(tmp_path / name, **about), Stream) for name in ("a.parquet", "a.csv"))
