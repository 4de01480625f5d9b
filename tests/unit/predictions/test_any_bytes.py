"""Whatever a file holds, reading it ends in a Table or in a named error."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.predictions.digest import digests
from mlops_toolkit.predictions.metrics_file import read_metrics
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.table import Table

FREE = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
CELLS = st.sampled_from(["1", "a", "", '"', "0.5", "nan", "\n", "é", "1,5", "x" * 30, " ", "-1", "true", "\r\n", "\0", ";", "{", "[1]"])
HEADERS = st.sampled_from(["id", "target", "prediction", "score", "weight", "cluster", "repeat", "prob:a", "prob:1", "x", "", "Id"])


def ends_well(path: Path, content: bytes, *, careful: bool = False) -> None:
    path.write_bytes(content)
    made = refused = None
    try:
        made = read(path, careful=careful)
    except MlopsError as error:
        refused = error
    if refused is not None:
        assert refused.name
        assert refused.code in (2, 5)
        return
    assert isinstance(made, Table)
    assert made.n > 0
    digests(made)
    assert sample(made).n == made.n


@FREE
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    ends_well(tmp_path / "p", content)


@FREE
@given(st.lists(HEADERS, min_size=1, max_size=6), st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=6), st.sampled_from(",;\t"))
def test_any_table_of_cells(tmp_path: Path, header: list[str], rows: list[list[str]], separator: str) -> None:
    ends_well(tmp_path / "p", "\n".join(separator.join(cells) for cells in [header, *rows]).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@FREE
@given(st.lists(st.dictionaries(HEADERS, JSON, max_size=6), max_size=5), st.booleans())
def test_any_json_rows(tmp_path: Path, rows: list[dict[str, object]], lines: bool) -> None:
    import json

    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows)
    ends_well(tmp_path / "p", text.encode())


COLUMNS = st.sampled_from(
    [
        pl.Series(["a", "b"]),
        pl.Series([1, 2]),
        pl.Series([0.5, float("nan")]),
        pl.Series([True, None]),
        pl.Series([None, None]),
        pl.Series([[1], [2]]),
        pl.Series([b"x", b"\xff"]),
        pl.Series([1, 2]).cast(pl.Date),
        pl.Series([1, 2]).cast(pl.Duration("ms")),
        pl.Series(["a", "b"]).cast(pl.Categorical),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([2**63, 2**64 - 1], dtype=pl.UInt64),
        pl.Series(["1.50", "2.25"]).cast(pl.Decimal(10, 2)),
    ]
)


@FREE
@given(st.dictionaries(HEADERS, COLUMNS, min_size=1, max_size=6))
def test_any_types_of_parquet_columns(tmp_path: Path, columns: dict[str, pl.Series]) -> None:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    ends_well(tmp_path / "p", out.getvalue())


@pytest.fixture(scope="module")
def parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"id": ["1", "2", "3"], "target": ["a", "b", "a"], "prediction": ["a", "a", "a"]}).write_parquet(out)
    return out.getvalue()


@settings(FREE, max_examples=10)
@given(st.data())
def test_a_parquet_file_with_flipped_bytes(tmp_path: Path, parquet: bytes, data: st.DataObject) -> None:
    content = bytearray(parquet)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    ends_well(tmp_path / "p", bytes(content), careful=True)


@FREE
@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,\"'abc-.01 \n&*!|>#", max_size=80).map(str.encode))
def test_any_bytes_as_a_metrics_file(content: bytes) -> None:
    refused = None
    try:
        assert read_metrics(content, "metrics.json")
    except MlopsError as error:
        refused = error
    assert refused is None or refused.code == 5
