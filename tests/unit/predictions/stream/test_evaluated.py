"""What a run keeps and records of predictions in blocks is what it does of those in memory: numbers, digests, rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.predictions import digest
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.score import score
from mlops_toolkit.predictions.stream import admit, keep, source, whole
from mlops_toolkit.predictions.stream.score import score as in_blocks
from mlops_toolkit.system import memory
from tests.unit.gate.drawn import config
from tests.unit.predictions.stream import small

ASKED = """evaluate:
  run: x
  task: classification
  metrics: [accuracy, f1-macro, kappa, log-loss, {mean: ms, better: lower}, {quantile: ms, q: 0.9, better: lower, name: slow}]
  slices: [part, {long: "length > 50"}]
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(keep, "ROWS", 100)
    with small.blocks(monkeypatch, 64, 100):
        yield


def frame(seed: int, *, repeats: bool = False, clusters: bool = False, weights: float | None = None, words: bool = False) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    n = 700
    keys = rng.permutation(3 * n)[:n]
    target = rng.integers(0, 2, n)
    guess = np.where(rng.random(n) < 0.8, target, 1 - target)
    odds = np.clip(guess * 0.6 + 0.2 + rng.normal(0, 0.05, n), 0.01, 0.99)
    made: dict[str, Any] = {
        "id": [f"é{k}" for k in keys] if words else keys,
        "target": target.astype(str),
        "prediction": guess.astype(str),
        "prob:1": odds,
        "ms": rng.gamma(2, 3, n).round(3),
        "part": rng.choice(["x", "y", ""], n),
        "length": rng.integers(0, 100, n),
        "text": [f"a, {k}" for k in keys],
    }
    if repeats:
        made["id"] = keys // 3
        made["repeat"] = np.arange(n)
    if clusters:
        made["cluster"] = [f"c{k // 3 % 40}" for k in keys]
    if weights is not None:
        made["weight"] = np.full(n, weights)
    return pl.DataFrame(made)


CASES: list[dict[str, Any]] = [
    {},
    {"words": True},
    {"clusters": True},
    {"repeats": True},
    {"weights": 1.0},
    {"weights": 2.5},
    {"repeats": True, "clusters": True},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "+".join(case) or "plain")
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_numbers_digests_and_rows_are_those_in_memory(tmp_path: Path, case: dict[str, Any], kind: str) -> None:
    path = tmp_path / f"preds.{kind}"
    made = frame(3, **case)
    made.write_parquet(path) if kind == "parquet" else made.write_csv(path)
    table, side = read(path, task="classification"), admit.read_stream(path, task="classification")
    one, other = score(table, config(ASKED)), in_blocks(side, config(ASKED))
    assert list(one.metrics) == list(other.metrics)
    assert list(one.slices) == list(other.slices)
    assert one.units == other.units
    for before, after in ((one.metrics, other.metrics), *((one.slices[part], other.slices[part]) for part in one.slices)):
        for name, value in before.items():
            theirs = after[name]
            assert (value.n, value.signature, value.direction, value.state) == (theirs.n, theirs.signature, theirs.direction, theirs.state)
            for mine, new in ((value.value, theirs.value), (value.standard_error, theirs.standard_error)):
                assert new == (None if mine is None else pytest.approx(mine, rel=1e-9, abs=1e-12)), (name, value, theirs)
    assert keep.digests(side) == digest.digests(table)
    kept = tmp_path / "kept.parquet"
    keep.keep(side, kept)
    again = read(kept, task="classification")
    assert again.frame.select(sorted(again.columns)).equals(table.frame.select(sorted(table.columns)))
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_refusals_are_those_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "preds.parquet"
    twice = pl.concat([frame(1), frame(1).head(1)])
    for made, text in ((twice, ASKED), (frame(1), ASKED.replace("ms", "nowhere")), (frame(1), ASKED.replace("[part,", "[nothing,"))):
        made.write_parquet(path)
        said = []
        for how in (
            lambda text=text: score(read(path, task="classification"), config(text)),
            lambda text=text: in_blocks(admit.read_stream(path, task="classification"), config(text)),
        ):
            with pytest.raises(MlopsError) as error:
                how()
            said.append((error.value.name, str(error.value)))
        assert said[0] == said[1]


def test_what_needs_all_of_a_large_file_is_refused_before_memory_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "preds.parquet"
    frame(1).write_parquet(path)
    whole.fits(path, "preds.parquet", why="a metric of your own")  # a small file is nobody's trouble
    monkeypatch.setattr(source, "ROWS", 100)
    monkeypatch.setattr(memory, "available", lambda: 700 * 300 - 1)
    with pytest.raises(EnvironmentFailure, match="a metric of your own needs all predictions in memory") as error:
        whole.fits(path, "preds.parquet", why="a metric of your own")
    assert error.value.name == "no-memory"
    monkeypatch.setattr(memory, "available", lambda: 700 * 300)
    whole.fits(path, "preds.parquet", why="a metric of your own")


def test_what_is_left_of_memory_is_the_least_of_machine_and_containers(tmp_path: Path) -> None:
    def put(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert memory.available(tmp_path) is None
    put("proc/meminfo", "MemTotal: 16000 kB\nMemAvailable: 8000 kB\n")
    assert memory.available(tmp_path) == 8000 * 1024
    put("proc/self/cgroup", "0::/job/step\n")
    put("sys/fs/cgroup/job/memory.max", "5000000\n")
    put("sys/fs/cgroup/job/memory.current", "4000000\n")
    put("sys/fs/cgroup/job/memory.stat", "anon 1000000\ninactive_file 2500000\nactive_file 500000\n")
    put("sys/fs/cgroup/job/step/memory.max", "max\n")
    assert memory.available(tmp_path) == 4_000_000  # copies of files give way
    assert memory.available() is None or (memory.available() or 0) > 0
