"""A record may come from a job that ran anybody's code: what is read can be written again, and what is refused is refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.records import run as records

RECORD = {
    "schema": 1,
    "id": "20261124-092057-3f9a1c",
    "model": "spam",
    "metrics": {"accuracy": {"value": 1.0, "n": 1, "signature": "", "direction": "higher"}},
    "measures": {"size": {"values": [1.0]}},
    "params": {"depth": 1},
}
TEXT = json.dumps(RECORD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace('"value": 1.0', '"value": 1e999'),
        TEXT.replace('"value": 1.0', f'"value": {"1" * 400}'),
        TEXT.replace('"value": 1.0', f'"value": {"1" * 5000}'),
        TEXT.replace('"depth": 1', '"depth": -1e999'),
        TEXT.replace('"depth": 1', '"depth": ' + "[" * 900 + "]" * 900),
        TEXT.replace('"depth": 1', '"depth": ' + '{"a":' * 60 + "1" + "}" * 60),
        TEXT.replace('"depth": 1', '"depth": "\\ud800"'),
        TEXT.replace('"depth": 1', '"\\udfff": 1'),
        TEXT.replace('"spam"', '"\\ud83d"'),
        TEXT.replace('"accuracy"', '"\\ud83d"'),
        TEXT.replace('"higher"', '"\\ud83d"'),
        "[" * 1_000_000 + "]" * 1_000_000,
        TEXT.replace("1.0", "NaN"),
        TEXT.replace('"schema": 1', '"schema": 1e300'),
    ],
)
def test_what_cannot_be_written_again_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        records.loads(text, where="run.json")
    caught.value.message.encode()


def test_what_a_person_nests_is_read() -> None:
    text = TEXT.replace('"depth": 1', '"depth": ' + '{"a": [' * 10 + '"é\\ud83d\\ude00"' + "]}" * 10)
    assert records.loads(records.dumps(records.loads(text, where="")), where="").params == json.loads(text)["params"]


def test_a_refusal_is_one_line_whatever_the_record_calls_things() -> None:
    text = TEXT.replace('"size"', '"x\\n::error::owned \\u001b[2J"').replace("[1.0]", '"\\u2028\\n"')
    with pytest.raises(InvalidFile) as caught:
        records.loads(text, where="run.json")
    assert "measures.x?::error::owned ?[2J.values should be" in caught.value.message
    assert caught.value.message.isprintable()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**350)
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(RECORD)) | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([*RECORD, "evaluations", "ci", "trained-model", "artifacts", "matrix", "gate"]), JSON)
def test_any_json_in_any_place_is_read_or_refused(key: str, value: object) -> None:
    """And what is read is written the same again."""
    text = json.dumps({**RECORD, key: value})
    refused, read = "", None
    try:
        read = records.loads(text, where="run.json")
    except InvalidFile as error:
        refused = error.message
    assert read is not None or (refused and refused.isprintable())
    assert read is None or records.loads(records.dumps(read).encode(), where="again") == read
