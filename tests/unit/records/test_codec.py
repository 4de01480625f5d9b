"""Records to JSON and back: what is written is read back the same, and nothing that is no record is taken for one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mlops_toolkit.errors import Defect, InvalidFile
from mlops_toolkit.records import codec, result, run
from mlops_toolkit.records.run import Run
from tests.unit.report import results

SCHEMAS = Path(__file__).resolve().parents[3] / "schema"


@dataclass(frozen=True)
class Inner:
    name: str
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Outer:
    kind: str
    inner: Inner | None = None
    table: dict[str, Inner] = field(default_factory=dict)
    flag: bool = False
    renamed: int = field(default=0, metadata={"key": "other-name"})


finite = st.floats(allow_nan=False, allow_infinity=False)
inner = st.builds(Inner, st.text(), st.lists(finite).map(tuple))
outer = st.builds(
    Outer, st.text(), st.none() | inner, st.dictionaries(st.text(), inner, max_size=3), st.booleans(), st.integers(-(2**53), 2**53)
)


@settings(max_examples=100, deadline=None)
@given(outer)
def test_what_is_written_is_read_back_the_same(value: Outer) -> None:
    text = codec.dumps(value)
    assert codec.from_json(Outer, codec.loads(text, where="x"), where="x") == value
    assert codec.dumps(codec.from_json(Outer, codec.loads(text, where="x"), where="x")) == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_never_leaves(number: float) -> None:
    with pytest.raises(Defect):
        codec.dumps(Inner("x", (number,)))


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1, "a": 2}', "{", "", "[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_refused_by_name(text: str | bytes) -> None:
    with pytest.raises(InvalidFile) as caught:
        codec.loads(text, where="run.json")
    assert caught.value.name == "not-json"
    assert caught.value.where == "run.json"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"kind": 1}, "kind"),
        ({"kind": "x", "inner": {"name": "y", "numbers": ["z"]}}, "inner.numbers[0]"),
        ({"kind": "x", "inner": {"name": "y", "numbers": [True]}}, "inner.numbers[0]"),
        ({"kind": "x", "table": {"k": []}}, "table.k"),
        ({"kind": "x", "flag": 1}, "flag"),
        ({"kind": "x", "other-name": 1.5}, "other-name"),
        ({}, "kind"),
        ([], "the document"),
    ],
)
def test_what_has_another_shape_is_refused_at_its_path(data: Any, path: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        codec.from_json(Outer, data, where="run.json")
    assert path in caught.value.message


def test_what_a_newer_version_adds_is_passed_over() -> None:
    assert codec.from_json(Inner, {"name": "x", "added-later": 1}, where="x") == Inner("x")


@pytest.mark.parametrize("version", [0, -1, 2**40, "1", None, True, 1.5])
def test_a_record_of_no_version_we_know_is_refused(version: object) -> None:
    for loads in (run.loads, result.loads):
        with pytest.raises(InvalidFile):
            loads(json.dumps({"schema": version, "id": "x", "model": "m"}), where="x")


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_records_fit_the_published_schema() -> None:
    check = validator("run.schema.json")
    check.validate(codec.to_json(Run(id="20261124-000000-aaaaaa", model="m")))
    assert not check.is_valid({"id": 1, "model": "m"})


@pytest.mark.parametrize("name", sorted(results.ALL))
def test_results_fit_the_published_schema(name: str) -> None:
    validator("result.schema.json").validate(codec.to_json(results.ALL[name]()))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_text_is_what_the_standard_library_writes(value: Any) -> None:
    expected = json.dumps(codec.to_json(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    assert codec.dumps(value) == expected
