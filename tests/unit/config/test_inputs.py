"""An action's inputs: everything misspelt fails, and the token is never shown."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.inputs import ACTIONS, fields_of, read
from mlops_toolkit.config.step_inputs import Inputs
from mlops_toolkit.errors import ConfigErrors, UsageError

TOKEN = "ghs_0123456789abcdef"


def test_empty_inputs_are_the_defaults() -> None:
    assert read("", "train") == Inputs()
    assert read("{}", "train") == Inputs()
    assert read(json.dumps({field.name: "" for field in fields_of("review")}), "review") == Inputs()


def test_inputs_are_read_whatever_their_case_is() -> None:
    read_back = read(json.dumps({"Config": "models/*/mlops.yaml", "TOKEN": TOKEN, "again": "true", "base": None}), "review")
    assert (read_back.config, read_back.token, read_back.again) == ("models/*/mlops.yaml", TOKEN, "true")


@pytest.mark.parametrize("word", ["True", "TRUE", "yes", "on", "1", "ture", " x"])
def test_a_boolean_is_exactly_true_or_false(word: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(json.dumps({"comment": word}), "review")
    assert str(caught.value) == f'input comment: "{word.strip()}" is not true or false\n  leave it out for the default, true'


@pytest.mark.parametrize(
    ("action", "key", "error"),
    [
        ("train", "comfig", 'action train: there is no input "comfig"\n  did you mean "config"?'),
        ("train", "metrics", 'action train: there is no input "metrics"\n  it is an input of compare-to-main'),
        ("train", "a\x1bb", 'action train: there is no input "a\\u001bb"\n  known: config, token, again, matrix, python'),
    ],
)
def test_an_unknown_input_fails_and_says_what_was_meant(action: str, key: str, error: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(json.dumps({key: "x"}), action)
    assert str(caught.value) == error


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(json.dumps({"comfig": "a", "again": "yes", "config": "a\nb", "base": "--exec=x", "python": ["x"]}), "review")
    assert [p.where for p in caught.value.problems] == ["action review", "input config", "input base", "input again", "input python"]


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "null", "1", '{"token": "' + TOKEN, "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, "train")
    assert caught.value.name == "invalid-inputs"
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_the_token_is_in_no_repr() -> None:
    inputs = read(json.dumps({"token": TOKEN}), "train")
    assert inputs.token == TOKEN
    assert TOKEN not in repr(inputs)
    assert TOKEN not in f"{inputs}"


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(sorted(ACTIONS)),
    st.dictionaries(
        st.sampled_from(["again", "comment", "config", "base", "tokn", "python", "x"]),
        st.sampled_from([TOKEN, f"a{TOKEN}b", f"-{TOKEN}", f"{TOKEN}\n{TOKEN}", "x"]),
    ),
)
def test_the_token_is_in_no_error_wherever_it_was_pasted(action: str, given_inputs: dict[str, str]) -> None:
    try:
        read(json.dumps({**given_inputs, "token": TOKEN}), action)
    except UsageError as error:
        assert TOKEN not in "".join(traceback.format_exception(error))  # noqa: PT017
