"""Action inputs become arguments, and the token leaves the environment for good."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from mlops_toolkit.arguments import parser
from mlops_toolkit.build import take_inputs
from mlops_toolkit.errors import UsageError

TOKEN = "ghs_0123456789abcdef"


def given(verb: str, inputs: dict[str, str] | None, **env: str) -> tuple[argparse.Namespace, dict[str, str], str | None]:
    args = parser().parse_args([verb])
    variables: dict[str, Any] = {"PATH": "/bin", **env}
    if inputs is not None:
        variables["MLOPS_INPUTS"] = json.dumps(inputs)
    token = take_inputs(args, variables)
    return args, variables, token


def test_inputs_become_arguments() -> None:
    args, _, token = given("compare", {"config": "models/*.yaml", "metrics": "m.json", "base": "v1", "token": TOKEN}, GITHUB_ACTIONS="true")
    assert (args.config, args.metrics, args.base, token) == ("models/*.yaml", "m.json", "v1", TOKEN)


def test_no_trace_of_the_token_or_the_inputs_is_left_in_the_environment() -> None:
    _, env, token = given("train", {"token": TOKEN}, GITHUB_ACTIONS="true", GITHUB_TOKEN=TOKEN, GH_TOKEN=TOKEN, MINE="kept")
    assert token == TOKEN
    assert env == {"PATH": "/bin", "GITHUB_ACTIONS": "true", "MINE": "kept"}


def test_another_token_of_the_job_is_the_users_own_and_stays() -> None:
    _, env, _ = given("train", {"token": TOKEN}, GITHUB_ACTIONS="true", HF_TOKEN="hf_other")
    assert env["HF_TOKEN"] == "hf_other"


def test_a_laptops_variables_are_left_alone() -> None:
    _, env, token = given("train", None, GITHUB_TOKEN=TOKEN)
    assert token == TOKEN
    assert env["GITHUB_TOKEN"] == TOKEN


def test_a_misspelt_input_fails_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        given("train", {"confg": "x.yaml", "token": TOKEN})
    assert "config" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_again_and_comment_are_switches() -> None:
    assert given("train", {"again": "true"})[0].again is True
    assert given("review", {"comment": "false"})[0].comment is False
