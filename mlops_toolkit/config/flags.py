"""What mlops.yaml says, said on the command line: `--metric`, `--slice`, `--gate`, each repeatable, with the same errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mlops_toolkit.config import requests
from mlops_toolkit.config.check import check
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config, Evaluate, MetricRequest, SliceRequest, Task
from mlops_toolkit.config.shape import WRONG, Reader
from mlops_toolkit.config.yaml_text import Scalar, Table, shown
from mlops_toolkit.errors import ConfigErrors, Problem, UsageError

T = TypeVar("T")
_OPTION = re.compile(r"\s+(better|q|name|unit)=(\S*)\s*$")
_FLAGS = {"gate": "--gate", "evaluate.metrics": "--metric", "evaluate.slices": "--slice", "evaluate.positive": "--positive"}


def read(
    *,
    metric: Sequence[str] = (),
    slices: Sequence[str] = (),
    gate: Sequence[str] = (),
    task: Task | None = None,
    positive: str | None = None,
    name: str = "model",
) -> Config:
    """A configuration from the command line alone. What is gated is computed too. All errors at once, as ConfigErrors."""
    problems: list[Problem] = []
    rules: dict[str, Rule] = {}
    for text in gate:
        rules.update(_collect(problems, "--gate", text, gate_flag) or {})
    asked = [one for text in metric if (one := _collect(problems, "--metric", text, metric_flag))]
    cut = [part for text in slices if (part := _collect(problems, "--slice", text, slice_flag))]
    if asked:
        named = {request.name for request in asked}
        asked += [requests.metric(key) for key in rules if key not in named and _computed(key)]
    config = Config(name, evaluate=Evaluate(task=task, metrics=tuple(asked), slices=tuple(cut), positive=positive), gate=rules)
    if not problems:
        for key, problem in check(config):
            flag = next((flag for start, flag in _FLAGS.items() if key.startswith(start)), None)
            if flag is not None:
                problems.append(Problem(problem.name, problem.message, flag, problem.hint))
    if problems:
        raise ConfigErrors(problems)
    return config


def metric_flag(text: str) -> MetricRequest:
    """`accuracy`, `recall:spam`, `mean:judge_score better=higher`, `quantile:latency q=0.95 better=lower unit=ms`."""
    options = {}
    while found := _OPTION.search(text):
        options[found[1]] = found[2]
        text = text[: found.start()]
    return requests.metric(text.strip(), options=options)


def slice_flag(text: str) -> SliceRequest:
    """`COLUMN` (each value is a slice) or `NAME=CONDITION`, like `long=length > 512`."""
    name, equals, condition = text.partition("=")
    if re.search(r"[<>!=]", name) or condition.startswith("="):
        raise UsageError("wrong-value", f"the condition {shown(text)} has no name", hint=f"give it one: --slice {shown('some=' + text)}")
    return requests.slice_where(name.strip(), condition.strip()) if equals else requests.slice_column(text.strip())


def gate_flag(text: str) -> dict[str, Rule]:
    """`METRIC:KEY=VALUE[,KEY=VALUE…]`, like `accuracy:max-drop=1pp,min=0.8,slices.max-drop=3pp`; a dot goes one key deeper."""
    head, equals, _ = text.partition("=")
    name, colon, _ = head.rpartition(":")
    if not (equals and colon and name):
        raise UsageError(
            "wrong-value", f"{shown(text)} is not a rule", hint="write accuracy:max-drop=1pp, or accuracy:max-drop=1pp,min=0.8"
        )
    entries: dict[str, Any] = {}
    for part in text[len(name) + 1 :].split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise UsageError("wrong-value", f"{shown(part)} is not KEY=VALUE", hint="like max-drop=1pp")
        into, last = _inside(entries, key, text)
        if last in into:
            raise UsageError("wrong-value", f"{shown(key)} stands twice in {shown(text)}", hint="keep one")
        into[last] = value
    reader = Reader("--gate", None)
    rule = reader.value(Rule, _table(entries), f"gate.{requests.check_name(name, 'gate')}", {})
    if reader.problems or rule is WRONG:
        raise ConfigErrors(problem for _, problem in reader.problems)
    return {name: rule}


def _inside(entries: dict[str, Any], key: str, text: str) -> tuple[dict[str, Any], str]:
    """The mapping that a dotted key stands in, made where it is not there yet, and its last part: `gap.sex.max` is three deep."""
    first, _, rest = key.partition(".")
    middle, _, last = rest.rpartition(".")
    for part in (first, middle) if rest else ():
        if part:
            entries = entries.setdefault(part, {})
            if not isinstance(entries, dict):
                raise UsageError("wrong-value", f"{shown(part)} has a value and keys below it in {shown(text)}", hint="keep one")
    return entries, last if rest else key


def _table(entries: dict[str, Any]) -> Table:
    return Table({key: (0, _table(value) if isinstance(value, dict) else Scalar(value, 0)) for key, value in entries.items()}, 0)


def _collect(problems: list[Problem], flag: str, text: str, parse: Callable[[str], T]) -> T | None:
    """What `parse` makes of a flag's text; its errors are noted with the flag as their place."""
    try:
        return parse(text)
    except ConfigErrors as errors:
        problems += errors.problems
    except UsageError as error:
        problems.append(Problem(error.name, error.message, flag, error.hint))
    return None


def _computed(name: str) -> bool:
    """Whether a gate's key is a metric that can be asked for by its name alone."""
    family, _, argument = name.partition(":")
    row = FAMILIES.get(family)
    return row is not None and row.argument != "column" and bool(argument or row.argument in ("none", "class?"))
