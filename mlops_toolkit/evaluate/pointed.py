"""A model that was trained elsewhere: had by its pointer to be evaluated here, or taken with its numbers as they were recorded.

What is had is what the pointer's digest says, or an error; what cannot be had from here is a state: then the recorded numbers count,
marked, where `self-reported: allow`.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit import answer
from mlops_toolkit.config import pointer
from mlops_toolkit.config.pointer import Pointer
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, MlopsError, UsageError
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.history.base import History
from mlops_toolkit.models import prints
from mlops_toolkit.models.base import redacted, short
from mlops_toolkit.models.open import claim
from mlops_toolkit.models.pointed import WRONG, had, model_of
from mlops_toolkit.records.run import Elsewhere, Run
from mlops_toolkit.system.files import sha256

LOOKED_AT = 50  # later runs of a pointer whose recorded one is gone


@dataclass(frozen=True)
class Taken:
    """How a pointed model comes to its numbers: evaluated here, or (`source`) as a run recorded them; why: what forbids the first."""

    source: Run | None = None
    why: str | None = None


def evaluated_here(job: Job) -> bool:
    """Whether every evaluation has a command."""
    return all(suite.run for suite in job.suites.values())


def known(job: Job, record: Run, history: History) -> tuple[Pointer, Run]:
    """The pointer, and the record with the model that it names. UsageErrors `no-pointer`, `prompt-gone` and as of `pointer.read`."""
    found = pointer.read(job.loaded, job.world.root)
    prompts = prints.prompts(job.loaded, found)
    if gone := next((name for name, digest in prompts.items() if digest is None), None):
        hint = "bring it back, or record the model without it"
        raise UsageError("prompt-gone", f"the prompt {gone} that the pointer names is not there", where=job.loaded.config.model, hint=hint)
    elsewhere = Elsewhere(found.uri, {name: digest or "" for name, digest in prompts.items()}, found.tried, found.run)
    return found, replace(record, trained=model_of(found), elsewhere=elsewhere, params=params_of(found, history), self_reported=False)


def take(job: Job, found: Pointer, history: History) -> Taken:
    """The model for this machine's evaluation, or the recorded run.

    EnvironmentFailure `model-damaged` or `model-unreachable`, UsageErrors `wrong-model`, `self-reported`, `pointer-stale`, `not-recorded`.
    """
    why = None
    if evaluated_here(job):
        try:
            have(job, found)
            return Taken()
        except EnvironmentFailure as error:
            if error.name in WRONG:
                raise
            why = error
    if job.loaded.config.self_reported == "refuse":
        raise _refused(why)
    source = _recorded(job, found, history)
    if source is None:
        if why is not None:
            raise EnvironmentFailure(
                why.name,
                why.message,
                where=job.loaded.config.model,
                hint=f"nor are numbers of it in the history: run {found.run} recorded it",
            ) from why
        hint = "`mlops history push` on the machine where it was recorded, or record it again"
        raise UsageError(
            "not-recorded", f"run {found.run}, which recorded this model, is not in the history", where=job.loaded.config.model, hint=hint
        )
    _fresh(job, found)
    return Taken(source, why.message if why else None)


def _refused(why: MlopsError | None) -> MlopsError:
    message = "the numbers of this model are as they were recorded, and `self-reported: refuse`"
    if why is None:
        hint = "let them be computed here\nevaluate: {run: python evaluate.py}   # for the model at $MLOPS_MODEL\nor accept them\nself-reported: allow"
        return UsageError("self-reported", message, hint=hint)
    hint = "keep it where this machine reaches it (models: {store: s3://bucket/models}, and record it again)\nor accept them\nself-reported: allow"
    return EnvironmentFailure("self-reported", f"{message}; they cannot be computed here: {why.message}", hint=hint)


def _fresh(job: Job, found: Pointer) -> None:
    """Recorded numbers are of the prompts that were recorded."""
    now = prints.prompts(job.loaded, found)
    if changed := [name for name, digest in found.prompts.items() if now[name] != digest]:
        hint = "record the model again, with what it answers now"
        raise UsageError(
            "pointer-stale", f"{changed[0]} is not what it was when the model was recorded", where=job.loaded.config.model, hint=hint
        )
    if found.here:
        have(job, found)


def have(job: Job, found: Pointer) -> None:
    """The pointed model on this machine, verified. Errors as of `models.pointed.had`."""
    if had(found, job.loaded.folder, job.world.models, env=job.world.env, where=job.loaded.config.model):
        job.say(f"the model {short(found.digest or '')} was fetched from {redacted(found.uri)}")
    if model := model_of(found):
        claim(model, job.world.models, job.key)


def _recorded(job: Job, found: Pointer, history: History) -> Run | None:
    """The run that the pointer names; where it is gone, a later one that took its numbers over. UsageError `run-withdrawn`."""
    run = history.run(found.run)
    if run is not None and _fits(job, run, found):
        if run.withdrawn is not None:
            message = f"run {run.id}, which recorded this model, was withdrawn: {run.withdrawn[:200]}"
            raise UsageError("run-withdrawn", message, where=job.loaded.config.model, hint="record the model again")
        return run
    mine = [entry for entry in history.entries() if entry.key == job.key and entry.status == "reused" and not entry.withdrawn]
    for entry in reversed(mine[-LOOKED_AT:]):
        run = history.run(entry.id)
        if run is not None and run.source == found.run and run.self_reported and _fits(job, run, found):
            return run
    return None


def _fits(job: Job, run: Run, found: Pointer) -> bool:
    """Whether a run has numbers of the model that the pointer names, in this evaluation: one that was edited by hand borrows nobody's."""
    context = job.world.context
    mine = (run.config, run.model) == (job.loaded.where, job.loaded.config.name) and run.matrix in (None, context.matrix)
    well = run.status in ("succeeded", "reused") and bool(run.metrics or run.measures) and (context.fork or not run.fork)
    if run.elsewhere is None or not mine or not well or dict(run.elsewhere.prompts) != dict(found.prompts):
        return False
    return run.trained.digest == found.digest if run.trained else found.vendor and run.elsewhere.uri == found.uri


def numbers(job: Job, record: Run, taken: Taken, history: History) -> Run:
    """The record with the recorded numbers, and a copy of the predictions behind them as far as they are to be had."""
    source = taken.source
    assert source is not None  # noqa: S101  # the caller has looked
    file = answer.files_of(history, job.state, job.world.models)
    kept: dict[str, Path] = {}
    evaluations = {}
    for suite, one in source.evaluations.items():
        path = file(source.id, one.predictions.path) if one.predictions else None
        if path is not None and one.predictions is not None:
            if sha256(path) != one.predictions.sha256:
                message = f"the predictions of run {source.id} are not those that its record names: the sha256 differs"
                raise InvalidFile("changed-file", message, where=one.predictions.path, hint="record the model again")
            kept[suite] = path
        elif one.predictions is not None:
            job.say(f"the predictions of run {source.id} are not to be had here: its numbers are compared alone")
        evaluations[suite] = replace(one.without_again(), predictions=one.predictions and answer.beside(one.predictions))
    record = replace(
        record,
        source=source.source or source.id,
        reason=taken.why,
        self_reported=True,
        evaluations=evaluations,
        metrics=source.metrics,
        slices=source.slices,
        measures=source.measures,
        params=source.params,
    )
    return answer.take(record, kept, job.state)


def params_of(found: Pointer, history: History) -> dict[str, object]:
    """The parameters as recorded; where the run is not to be had, as the pointer shows them."""
    run = None
    with contextlib.suppress(MlopsError):
        run = history.run(found.run)
    if run is not None and run.elsewhere is not None:
        return dict(run.params)
    return {name: _typed(text) for name, text in found.params.items()}


def _typed(text: str) -> object:
    """`0.001` as the number it was; what JSON has no word for stays text."""
    try:
        value = json.loads(text, parse_constant=lambda word: word)
    except ValueError:
        return text
    return text if (isinstance(value, float) and not math.isfinite(value)) or isinstance(value, dict) else value
