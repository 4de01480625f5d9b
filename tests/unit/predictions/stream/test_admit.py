"""A file that is read in blocks is refused as one in memory is: the same names, the same places, the same sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.stream import parts, scratch, source, text
from mlops_toolkit.predictions.stream.admit import Stream, read_stream
from mlops_toolkit.predictions.stream.align import align
from mlops_toolkit.predictions.stream.extras import Extras
from tests.unit.predictions.test_refusals import REFUSALS


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(source.Opened.blocks, "__defaults__", (3,))
    monkeypatch.setattr(parts, "ROWS", 3)
    monkeypatch.setattr(text, "_LINES", 2)
    monkeypatch.setattr(text, "_PIECE", 16)
    yield
    scratch.clear()


def streamed(path: Path, *, task: str | None, name: str) -> Stream:
    side = read_stream(path, task=task, name=name)
    extras = Extras()
    align(None, side, extras)
    return side


def refusal(how: object, path: Path, task: str | None) -> str:
    try:
        how(path, task=task, name="preds.csv")  # type: ignore[operator]
    except MlopsError as error:
        return f"{type(error).__name__} {error.name}: {error}"
    return "taken"


def whole_only(raw: bytes) -> bool:
    """What never comes to be read in blocks: nothing at all, or one JSON document."""
    body = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    return not body or body.startswith((b"[", b"{\n")) or b"\n" not in body


@pytest.mark.parametrize("case", range(len(REFUSALS)))
def test_a_refusal_is_the_same(tmp_path: Path, case: int) -> None:
    raw = REFUSALS[case][1]
    raw = raw.encode() if isinstance(raw, str) else raw
    if whole_only(raw):
        return
    path = tmp_path / "preds"
    path.write_bytes(raw)
    expected = refusal(read, path, None if "task" in REFUSALS[case][0] else "classification")
    assert refusal(streamed, path, None if "task" in REFUSALS[case][0] else "classification") == expected


def test_ids_that_stand_twice_in_different_blocks_are_found_whatever_their_hash(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    ids = [f"e{i}" for i in (9, 3, 5, 1, 7, 2, 8, 4, 6, 0)]
    frame = pl.DataFrame({"id": [*ids, "e1"], "target": ["a"] * 11, "prediction": ["a"] * 11})
    frame.write_parquet(path, row_group_size=1)
    assert refusal(streamed, path, "classification") == refusal(read, path, "classification")
    assert "e1" in refusal(streamed, path, "classification")
    frame.head(10).write_parquet(path, row_group_size=1)
    assert refusal(streamed, path, "classification") == "taken"


def test_of_several_faults_the_one_is_named_that_is_found_first_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "preds"
    rows = ["id,target,prediction,score", "1,,b,0.5", *(f"{i},a,b,0.5" for i in range(2, 9)), "9,a,b,none", "10,a,b,0.5"]
    path.write_text("\n".join(rows) + "\n")
    assert refusal(streamed, path, "classification") == refusal(read, path, "classification")
    assert '"none" is not a number' in refusal(streamed, path, "classification")
