"""Which group an example of large predictions belongs to is the baseline's to say, as of those in memory: nobody moves errors out of sight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.predictions import read
from mlops_toolkit.predictions.anonymous import anonymise
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.result import Result
from tests.unit.gate.drawn import request
from tests.unit.gate.test_streamed import loaded, same
from tests.unit.predictions.stream import small

SLICES = "slices: [language, {long: \"length > 50 AND kind = 'a'\"}]"
ASKED = f"evaluate: {{run: x, task: classification, metrics: [accuracy], {SLICES}}}\ngate: {{accuracy: {{max-drop: 5pp, slices: {{max-drop: 3pp}}}}}}\n"
YES = "accepted: [{check: gate, reason: regrouped}]\n"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with small.blocks(monkeypatch, 64, 200):
        yield


def answers(*, broken: int, moved: bool, kind: str = "a") -> pl.DataFrame:
    """1,200 examples, 300 of them German; `broken` of those are answered wrong, and `moved` says that these are English and short."""
    n = 1200
    rng = np.random.default_rng(3)
    target = rng.integers(0, 2, n)
    wrong = np.arange(n) < broken
    language = np.where(np.arange(n) < 300, "de", "en")
    length = np.where(np.arange(n) < 300, 80, 20)
    return pl.DataFrame(
        {
            "id": [f"e{i:05}" for i in range(n)],
            "target": target.astype(str),
            "prediction": np.where(wrong, 1 - target, target).astype(str),
            "language": np.where(wrong & moved, "en", language),
            "length": np.where(wrong & moved, 20, length),
            "kind": [kind] * n,
        }
    )


def outcome(files: list[Path], how: Any, asked: str = ASKED, base: str | None = ASKED, salt: str | None = None) -> Result | str:
    try:
        sides = (
            loaded(file, label=name, how=how, task="classification", hashed=salt is not None and name == "main")
            for name, file in zip(("main", "mine"), files, strict=True)
        )
        return assemble(request(asked, base=base), *sides, salt=salt)
    except MlopsError as error:
        return f"{error.name} {error}"


def written(tmp_path: Path, *frames: pl.DataFrame, kind: str = "parquet") -> list[Path]:
    files = [tmp_path / f"{name}.{kind}" for name, _ in zip(("main", "mine"), frames, strict=True)]
    for file, frame in zip(files, frames, strict=True):
        frame.write_parquet(file) if kind == "parquet" else frame.write_csv(file)
    return files


def verdicts(result: Result | str) -> dict[str | None, str | None]:
    assert isinstance(result, Result), result
    return {check.slice: check.verdict for check in result.checks}


@pytest.mark.parametrize("order", ["same", "shuffled"])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_errors_that_are_moved_to_another_slice_are_seen_where_they_were(tmp_path: Path, order: str, kind: str) -> None:
    head = answers(broken=40, moved=True)
    head = head.sample(fraction=1, shuffle=True, seed=1) if order == "shuffled" else head
    files = written(tmp_path, answers(broken=0, moved=False), head, kind=kind)
    found = [outcome(files, how) for how in (Table, Stream)]
    same(*found, hidden=["length"])
    assert verdicts(found[1]) == {None: "pass", "language=de": "fail", "language=en": "pass", "long": "fail"}
    assert isinstance(found[1], Result)
    assert (found[1].gate, found[1].exit) == ("failed", 1)
    held = "of 40 examples is not what it was on the baseline: the baseline's values count for slices and gaps"
    assert [note for note in found[1].notes if held in note] == [f'the column "language" {held}', f'the column "length" {held}']


def test_a_yes_to_a_looser_gate_lets_examples_move(tmp_path: Path) -> None:
    files = written(tmp_path, answers(broken=0, moved=False), answers(broken=40, moved=True))
    found = [outcome(files, how, ASKED + YES) for how in (Table, Stream)]
    same(*found)
    assert verdicts(found[1])["language=de"] == "pass"
    alone = [outcome(files, how, base=None) for how in (Table, Stream)]  # two files on a laptop: nobody's gate is evaded
    same(*alone)
    assert verdicts(alone[1])["language=de"] == "pass"


def test_what_the_baseline_does_not_have_is_this_runs_to_say(tmp_path: Path) -> None:
    """A condition over one column that both have and one that is new; ids hashed in the baseline; another type of column."""
    base, head = answers(broken=0, moved=False), answers(broken=40, moved=True)
    stored = tmp_path / "main.parquet"
    plain = tmp_path / "plain.parquet"
    base.with_columns(pl.col("length").cast(pl.String) + ".0").write_parquet(plain)
    stored.write_bytes(anonymise(read.read(plain, task="classification"), "salt", ["language", "length"]))
    mine = tmp_path / "mine.parquet"
    head.write_parquet(mine)
    found = [outcome([stored, mine], how, salt="salt") for how in (Table, Stream)]
    same(*found, hidden=["length"])
    assert verdicts(found[1])["long"] == "fail"
