"""The actions: what each is for, what it puts out, and its inputs read from the JSON of `toJSON(inputs)`.

A misspelt input fails, where GitHub would only warn and go on without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.config.step_inputs import Inputs
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import ConfigErrors, Problem, UsageError
from mlops_toolkit.plug import did_you_mean


@dataclass(frozen=True)
class Action:
    """An action: `verb` is what `mlops` is called with; the permissions are what its job needs at most."""

    name: str
    verb: str
    folder: str
    doc: str
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """A step output, always text; empty where there is nothing to say."""

    name: str
    doc: str
    actions: tuple[str, ...]


_POSTS = ("contents: write", "pull-requests: write", "statuses: write")
ACTIONS: Mapping[str, Action] = {
    row.name: row
    for row in (
        Action(
            "train", "train", "actions/train", "Train the model, or reuse the run of the same inputs, and record it.", ("contents: read",)
        ),
        Action(
            "evaluate", "evaluate", "actions/evaluate", "Evaluate the model of a run: predictions, metrics, measures.", ("contents: read",)
        ),
        Action(
            "compare-to-main",
            "compare",
            "actions/compare-to-main",
            "Compare the run with main's, post one comment, and fail where the model is worse than allowed.",
            _POSTS,
        ),
        Action(
            "plan",
            "plan",
            "actions/plan",
            "Say which models must be trained or evaluated, without a GPU or data, and mark their checks as pending.",
            ("contents: read", "pull-requests: read", "statuses: write"),
        ),
        Action(
            "report",
            "report",
            "actions/report",
            "Write the last result again, or close what a cancelled or lost job left pending.",
            ("contents: read", "pull-requests: write", "statuses: write"),
        ),
        Action(
            "publish-image",
            "publish",
            "actions/publish-image",
            "Publish the recorded model of a release tag as an image that serves it, if its gate let it through.",
            ("contents: write", "packages: write", "statuses: read"),
        ),
        Action(
            "deploy",
            "deploy",
            "actions/deploy",
            "Let a published release take over in an environment, watch it, and take it back where it is worse; or go back to an earlier one.",
            ("contents: write", "deployments: write", "pull-requests: write", "packages: read"),
        ),
        Action(
            "monitor",
            "monitor",
            "actions/monitor",
            "Keep one issue open for as long as an alarm of a model in production rings, and train again where features drifted.",
            ("contents: read", "issues: write", "actions: write"),
        ),
        Action("review", "review", "", "Pull requests for models: train, evaluate, compare with main, block or let through.", _POSTS),
    )
}

_ALL = tuple(ACTIONS)
_RUNS = ("train", "evaluate", "compare-to-main", "review")
_VERDICT = ("compare-to-main", "review")
OUTPUTS: tuple[Output, ...] = (
    Output(
        "run", "The run as the input `run` of a later step takes it; one a line where there are several models.", (*_RUNS, "publish-image")
    ),
    Output("run-id", "The id that the run is recorded by; one a line where there are several models.", (*_RUNS, "publish-image")),
    Output(
        "image", "Where the image is, without tag and digest: REGISTRY/REPOSITORY, as actions/attest takes it.", ("publish-image", "deploy")
    ),
    Output("digest", "The image's digest, sha256:…: what to deploy.", ("publish-image", "deploy")),
    Output("result", "deployed, same (it was live already), proposed, rolled-back or refused; empty after an error.", ("deploy",)),
    Output("environment", "The environment, as mlops.yaml names it.", ("deploy",)),
    Output("release", "What is live now, VERSION (ID).", ("deploy",)),
    Output("previous", "What was live before.", ("deploy",)),
    Output("url", "Where people find it; of a proposal the pull request.", ("deploy",)),
    Output("tags", "The tags that point at it, one a line, the release's own first.", ("publish-image",)),
    Output("release-url", "The address of the release's page; empty where there is none.", ("publish-image",)),
    Output(
        "models",
        'The models to train or evaluate as a matrix takes them, [{"name": …, "config": …, "id": …, "reason": …}], `id` being safe in the name of an artifact; `[]` where there is none.',
        ("plan",),
    ),
    Output("head", "The commit that is to be judged: check this one out.", ("plan",)),
    Output("metrics", 'The metrics as a JSON object, like {"accuracy": 0.97}.', ("evaluate", *_VERDICT)),
    Output("verdict", "pass, fail, inconclusive or ungated, of several models the worst; empty after an error.", _VERDICT),
    Output("gate", "passed, failed, undecided or none.", _VERDICT),
    Output("report", "The path of report.json: the whole result, or the error.", (*_RUNS, "report")),
    Output("comment-url", "The address of the pull request's comment; empty where there is none.", _VERDICT),
    Output("issue-url", "The address of the one issue about alarms; empty where none rings.", ("monitor",)),
    Output("firing", "How many alarms ring.", ("monitor",)),
    Output("exit", "The exit code, as docs/reference/exit-codes.md lists them.", _ALL),
)


def fields_of(action: str) -> tuple[dataclasses.Field[Any], ...]:
    """The inputs that an action has, in the order of the schema."""
    return tuple(f for f in dataclasses.fields(Inputs) if f.metadata["actions"] == "all" or action in f.metadata["actions"].split())


def read(text: str, action: str) -> Inputs:
    """The inputs of `action`. Empty text is the default; all that is wrong is told at once, and the token is never shown."""
    given = _object(text, f"action {action}")
    token = given.get("token")
    known = {field.name: field for field in fields_of(action)}
    problems = [_unknown(key, action, list(known)) for key in given if key not in known]
    values: dict[str, str] = {}
    for name, field in known.items():
        value = _text(given.get(name))
        wrong = "a text" if value is None else _wrong(field, value)
        if wrong:
            secret = name == "token" or (isinstance(token, str) and token.strip() and token.strip() in (value or ""))
            told = f"{shown(value)} is not {wrong}" if value is not None and not secret else f"what was given is not {wrong}"
            problems.append(
                Problem("wrong-input", told, f"input {name}", f"leave it out for the default, {field.default}" if field.default else None)
            )
        elif value:
            values[name] = value
    if problems:
        raise ConfigErrors(problems)
    return Inputs(**values)


def token(text: str) -> str | None:
    """The token among inputs of which others are wrong."""
    with contextlib.suppress(UsageError):
        given = _object(text, "").get("token")
        return given.strip() or None if isinstance(given, str) else None
    return None


def _object(text: str, where: str) -> dict[str, Any]:
    """The JSON object, its keys casefolded as GitHub compares them. Errors quote nothing of it: it holds the token."""
    hint = "the step sets MLOPS_INPUTS: ${{ toJSON(inputs) }}"
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise UsageError("invalid-inputs", "the action's inputs are not JSON", where=where, hint=hint) from error
    if not isinstance(given, dict):
        raise UsageError("invalid-inputs", "the action's inputs are not a JSON object", where=where, hint=hint)
    return {key.casefold(): value for key, value in given.items()}


def _unknown(key: str, action: str, known: list[str]) -> Problem:
    elsewhere = next((f.metadata["actions"] for f in dataclasses.fields(Inputs) if f.name == key), None)
    hint = f"it is an input of {' and '.join(elsewhere.split())}" if elsewhere else did_you_mean(key, known)
    return Problem("unknown-input", f"there is no input {shown(key)}", f"action {action}", hint)


def _text(value: object) -> str | None:
    """An input as text; None where it is a list or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value).strip()
    return "" if value is None else None


def _wrong(field: dataclasses.Field[Any], value: str) -> str | None:
    """What the value should be and is not."""
    choices = field.metadata.get("one_of")
    if value and choices and value not in choices:
        return " or ".join(choices)
    if not value.isprintable() or len(value) > 10_000:
        return "one line of printable characters"
    if value.startswith("-") and field.name != "token":
        return f"a value for {field.name}: it begins with a hyphen"
    return None
