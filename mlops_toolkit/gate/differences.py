"""What else differs between two runs: the model's address, parameters, environment, commands, cost. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Literal

from mlops_toolkit.models.base import redacted
from mlops_toolkit.records.result import Difference
from mlops_toolkit.records.run import Run
from mlops_toolkit.report import words

Section = Literal["model", "params", "environment", "data", "command", "gate", "cost"]


def between(baseline: Run, head: Run) -> tuple[Difference, ...]:
    """Differences in reading order; equal things are left out."""
    reused = "reused" in (baseline.status, head.status)  # it took nothing that could be compared
    return (
        *_rows("model", _model(baseline), _model(head)),
        *_rows("params", {k: _text(v) for k, v in baseline.params.items()}, {k: _text(v) for k, v in head.params.items()}),
        *_rows("command", _commands(baseline), _commands(head)),
        *_rows("environment", _environment(baseline), _environment(head)),
        *_rows("data", _data(baseline), _data(head)),
        *_rows("cost", *({} if reused else _cost(run) for run in (baseline, head))),
    )


def _rows(section: Section, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for name in (*old, *(name for name in new if name not in old)):
        if old.get(name) != new.get(name):
            yield Difference(section, name, old.get(name), new.get(name))


def _model(run: Run) -> dict[str, str]:
    """A model from elsewhere by its address, and the prompts that are part of it."""
    if run.elsewhere is None:
        return {}
    return {
        "model": redacted(run.elsewhere.uri),
        **{name: digest.removeprefix("sha256:")[:12] for name, digest in run.elsewhere.prompts.items()},
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _commands(run: Run) -> dict[str, str]:
    return {command.phase: command.run for command in run.commands}


def _environment(run: Run) -> dict[str, str]:
    known = {
        "python": run.environment.python,
        "gpu": run.environment.gpu,
        "driver": run.environment.driver,
        "platform": run.environment.platform,
    }
    return {**{k: v for k, v in known.items() if v}, **dict(run.environment.versions)}


def _data(run: Run) -> dict[str, str]:
    made = {}
    for suite, evaluation in run.evaluations.items():
        if evaluation.data:
            made[suite or "examples"] = f"{evaluation.data.n:,} examples, {evaluation.data.digest.removeprefix('sha256:')[:12]}"
    return made


def _cost(run: Run) -> dict[str, str]:
    """What training took besides the time, memory and size that stand among the measures."""
    made = {}
    if run.resources.gpu_seconds:
        made["GPU time"] = words.seconds(run.resources.gpu_seconds)
    if run.resources.energy_joules:
        made["energy"] = f"{run.resources.energy_joules / 3.6e6:.3g} kWh"
    return made
