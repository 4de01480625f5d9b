"""Parameters as records keep them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_toolkit.config import params
from mlops_toolkit.errors import UsageError
from mlops_toolkit.records import codec


def read(tmp_path: Path, text: str | bytes, name: str = "params.yaml") -> dict[str, object]:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return params.read(tmp_path / name, where="mlops.yaml:6")


def test_they_are_flat(tmp_path: Path) -> None:
    text = "optimizer: {lr: 0.001, betas: [0.9, 0.999]}\nlayers:\n  - {size: 3}\nepochs: 5\nname: a\non: true\nempty: {}\nnothing:\n"
    assert read(tmp_path, text) == {
        "optimizer.lr": 0.001, "optimizer.betas": [0.9, 0.999], "layers": "[{'size': 3}]", "epochs": 5, "name": "a", "True": True, "empty": "{}",
        "nothing": None,
    }  # fmt: skip


def test_json_is_read_too_and_nothing_is_an_empty_file(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": {"b": 1}}', "params.json") == {"a.b": 1}
    assert read(tmp_path, "") == {}


def test_what_json_has_no_word_for_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, "a: .nan\nb: 2026-11-24\nc: !!binary aGk=\n") == {"a": "nan", "b": "2026-11-24", "c": "b'hi'"}


@pytest.mark.parametrize(
    "text", ["a: [", "- 1\n- 2\n", "just words", b"\xff\xfe\x00", "a: !!python/object/apply:os.system ['true']", "\t- x", "[" * 3000]
)
def test_what_are_no_parameters_is_refused_with_its_line(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert (caught.value.name, caught.value.where) == ("invalid-params", "mlops.yaml:6")


def test_a_slip_is_told_with_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, '{\n "rounds": 3\n "depth": 2}', "params.json")
    assert caught.value.message == (
        "params.json line 3 cannot be read as YAML or JSON: expected ',' or '}', but got ':' while parsing a flow mapping"
    )


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no params\.yaml"):
        params.read(tmp_path / "params.yaml", where="mlops.yaml:6")


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ).map(lambda v: json.dumps(v).encode())
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_parameters_or_a_named_error(tmp_path: Path, raw: bytes) -> None:
    """And what is read can be written into a record."""
    try:
        found = read(tmp_path, raw)
    except UsageError as error:
        if error.name != "invalid-params":
            raise
    else:
        codec.dumps(found)
