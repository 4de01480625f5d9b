"""A stranger's answers to the baseline's examples: only these are taken, each exactly once, from a file that is read elsewhere."""

from __future__ import annotations

import io
import re
from pathlib import Path

import polars as pl
import pytest

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.anonymous import anonymise
from mlops_toolkit.predictions.quarantine import ANOTHER, answers
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.system import proc

SALT = "ab" * 16


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def table(
    folder: Path, frame: pl.DataFrame, task: str | None = "classification", *, salt: str | None = None, keep: tuple[str, ...] = ()
) -> Table:
    """A baseline's table, as the history keeps it where there is a salt."""
    path = folder / "base.parquet"
    path.write_bytes(parquet(frame))
    made = read(path, task=task)
    if salt is None:
        return made
    path.write_bytes(anonymise(made, salt, keep))
    return read(path, task=task)


LABELS = pl.DataFrame({"id": ["a", "b", "c"], "target": ["x", "y", "x"], "prediction": ["x", "y", "y"], "weight": [1.0, 2.0, 3.0], "slice": ["s", "t", "s"]})  # fmt: skip


def test_everything_but_the_answers_is_the_baseline_s(tmp_path: Path) -> None:
    base = table(tmp_path, LABELS, salt=SALT, keep=("slice",))
    given = pl.DataFrame({"id": ["c", "a", "b"], "prediction": ["x", "y", "other"], "target": ["x", "y", "other"], "weight": [9.0] * 3, "slice": ["z"] * 3})  # fmt: skip
    made = answers(parquet(given), base, salt=SALT, name="theirs")
    told = dict(zip(made.frame["id"], made.frame["prediction"], strict=True))
    by_id = dict(zip(base.frame["id"], base.frame["target"], strict=True))
    assert sorted(told.values()) == sorted(["x", "y", ANOTHER])
    assert made.frame["target"].equals(base.frame["target"])
    assert made.frame["weight"].equals(base.frame["weight"])
    assert made.frame["slice"].equals(base.frame["slice"])
    assert by_id.keys() == told.keys()


def test_the_repeats_are_the_baseline_s(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "a", "b", "b"], "repeat": ["1", "2"] * 2, "target": ["x", "x", "y", "y"], "prediction": ["x"] * 4})
    base = table(tmp_path, frame, salt=SALT)
    made = answers(parquet(frame.with_columns(prediction=pl.lit("y")).sample(fraction=1, shuffle=True)), base, salt=SALT, name="theirs")
    assert made.frame["prediction"].to_list() == ["y"] * 4
    with pytest.raises(InvalidFile, match="2 of the baseline's 4 not answered, 2 answered that"):
        answers(parquet(frame.with_columns(repeat=pl.Series(["1", "3"] * 2))), base, salt=SALT, name="theirs")


def test_numbers_and_probabilities_are_checked_as_anybody_s(tmp_path: Path) -> None:
    numbers = pl.DataFrame({"id": ["a", "b"], "target": [1.5, 2.5], "prediction": [1.0, 2.0]})
    base = table(tmp_path, numbers, "regression")
    made = answers(parquet(pl.DataFrame({"id": ["b", "a"], "prediction": [20, 10]})), base, salt=None, name="theirs")
    assert made.frame["prediction"].to_list() == [10.0, 20.0]
    for bad in (float("nan"), float("inf"), None):
        with pytest.raises(InvalidFile):
            answers(parquet(pl.DataFrame({"id": ["b", "a"], "prediction": [1.0, bad]})), base, salt=None, name="theirs")
    shares = pl.DataFrame({"id": ["a", "b"], "target": ["x", "y"], "prediction": ["x", "y"], "prob:x": [0.9, 0.2], "prob:y": [0.1, 0.8]})
    base = table(tmp_path, shares)
    more = shares.with_columns(pl.lit(0.5).alias("prob:z"), pl.lit(1.0).alias("score"))
    assert answers(parquet(more), base, salt=None, name="theirs").frame.columns == base.frame.columns
    with pytest.raises(InvalidFile, match=r"sum to 1\.1"):
        answers(parquet(shares.with_columns(pl.Series("prob:x", [1.0, 0.2]))), base, salt=None, name="theirs")


def test_whole_numbers_as_labels_are_the_texts_that_they_are_written_as(tmp_path: Path) -> None:
    base = table(tmp_path, pl.DataFrame({"id": [1, 2], "target": [0, 1], "prediction": [0, 0]}))
    made = answers(parquet(pl.DataFrame({"id": [2, 1], "prediction": [1, 0]})), base, salt=None, name="theirs")
    assert made.frame["prediction"].to_list() == ["0", "1"]


def claiming(rows: int) -> bytes:
    """A file of one row whose footer says that it has so many. Thrift's compact form: a 64-bit number is 0x16 and a zigzag varint."""

    def varint(value: int) -> bytes:
        value, out = value * 2, b""
        while value > 0x7F:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    raw = parquet(pl.DataFrame({"id": ["a"], "prediction": ["x"]}))
    size = int.from_bytes(raw[-8:-4], "little")
    footer = raw[-8 - size : -8]
    assert footer.count(b"\x16\x02") >= 2
    footer = footer.replace(b"\x16\x02", b"\x16" + varint(rows))
    return raw[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def test_a_file_that_claims_a_thousand_million_rows_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=re.escape("it claims 1,000,000,000 rows")):
        answers(claiming(10**9), table(tmp_path, LABELS), salt=None, name="theirs")


@pytest.mark.parametrize("column", ["id", "prediction"])
def test_a_column_that_unfolds_to_gigabytes_ends_its_reader_and_not_us(tmp_path: Path, column: str) -> None:
    """A megabyte of file, more than a gigabyte of text: each cell a page long, all alike."""
    base = table(tmp_path, pl.DataFrame({"id": [str(i) for i in range(20_000)], "target": ["x"] * 20_000, "prediction": ["x"] * 20_000}))
    given = base.frame.with_columns(pl.lit("x" * 65_536).alias(column))
    raw = parquet(given)
    assert len(raw) < 5_000_000
    with pytest.raises(InvalidFile, match=f"its column {column} holds too much text"):
        answers(raw, base, salt=None, name="theirs")


def test_columns_that_unfold_to_gigabytes_together_end_their_reader_too(tmp_path: Path) -> None:
    """Each holds a quarter of what is read; a probability for each of a dozen labels."""
    labels = [f"label-{i}" for i in range(12)]
    ids = [str(i) for i in range(1_200)]
    known = {"id": ids, "target": [labels[i % 12] for i in range(1_200)], "prediction": ["label-1"] * 1_200}
    base = table(tmp_path, pl.DataFrame({**known, **{f"prob:{label}": [1 / 12] * 1_200 for label in labels}}))
    given = base.frame.with_columns([pl.lit("é" * 30_000).alias(f"prob:{label}") for label in labels])
    with pytest.raises(InvalidFile, match="its column prob:label-3 holds too much text"):
        answers(parquet(given), base, salt=None, name="theirs")


def test_the_reader_has_no_environment_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hostile file may make of it finds no secret there."""
    seen: dict[str, object] = {}
    real = proc.run

    def run(*args: object, **settings: object) -> proc.Completed:
        seen.update(settings)
        return real(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(proc, "run", run)
    monkeypatch.setenv("SECRET", "s3cret")
    answers(parquet(LABELS), table(tmp_path, LABELS), salt=None, name="theirs")
    assert set(seen["env"]) == {"POLARS_MAX_THREADS", "LC_ALL"}  # type: ignore[call-overload]
