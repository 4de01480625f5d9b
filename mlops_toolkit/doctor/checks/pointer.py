"""Whether the pointer to a model that was trained elsewhere is there, and still says what is so."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.config import pointer
from mlops_toolkit.config.pointer import Pointer
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.models import prints
from mlops_toolkit.models.base import redacted, short
from mlops_toolkit.models.open import reachable
from mlops_toolkit.models.pointed import model_of

AGAIN = "record it again: mlops record URI --predictions FILE"


def check(patient: Patient) -> Iterator[Finding]:
    """Of each configuration with `model:` the pointer, its prompts, the model and the run that recorded it."""
    for loaded in patient.configs:
        if loaded.config.model is None:
            continue
        try:
            found = pointer.read(loaded, patient.world.root)
        except MlopsError as error:
            yield Finding("problem", str(error).split("\n  ")[0], error.hint, error.code)
            continue
        told = [*_prompts(loaded, found), *_model(loaded, found, patient), *_run(loaded, found, patient)]
        yield from told or [Finding("fine", f"{loaded.config.name}: {loaded.config.model} points to {redacted(found.uri)}")]


def _here(loaded: Loaded) -> bool:
    """Whether an evaluation computes the numbers."""
    return all(suite.run for suite in prints.suites_of(loaded).values())


def _prompts(loaded: Loaded, found: Pointer) -> Iterator[Finding]:
    for name, now in prints.prompts(loaded, found).items():
        if now is None:
            yield Finding("problem", f"{loaded.config.name}: the prompt {name} that {loaded.config.model} names is not there", AGAIN, 2)
        elif now != found.prompts[name]:
            stale = f"{loaded.config.name}: {name} changed since the model was recorded"
            if _here(loaded):
                yield Finding("note", f"{stale}: it is evaluated as it is now")
            else:
                yield Finding("problem", f"{stale}, and its recorded numbers are of the old one", AGAIN, 2)


def _model(loaded: Loaded, found: Pointer, patient: Patient) -> Iterator[Finding]:
    model, world = model_of(found), patient.world
    if model is None:
        return
    name = loaded.config.name
    if reachable(model, world.models, here=loaded.folder / model.path, env=world.env):
        return
    if found.here:
        yield Finding("problem", f"{name}: {model.path} is not the model {short(model.digest)} that was recorded", AGAIN, 2)
    elif _here(loaded):
        said = f"{name}: the model cannot be had from here ({redacted(found.uri)})"
        if loaded.config.self_reported == "refuse":
            yield Finding(
                "problem",
                f"{said}, and `self-reported: refuse`",
                "keep it where this machine reaches it: models: {store: s3://bucket/models}",
            )
        else:
            yield Finding("note", f"{said}: its numbers will be those that were recorded")


def _run(loaded: Loaded, found: Pointer, patient: Patient) -> Iterator[Finding]:
    if _here(loaded):
        return
    if loaded.config.self_reported == "refuse":
        hint = "evaluate: {run: python evaluate.py}   # for the model at $MLOPS_MODEL"
        yield Finding("problem", f"{loaded.config.name}: nothing computes its numbers, and `self-reported: refuse`", hint, 2)
        return
    history = patient.world.history(loaded.folder / ".mlops", loaded.config.history.at)
    if history.run(found.run) is None:
        hint = f"`mlops history push` on the machine where it was recorded, or {AGAIN}"
        yield Finding("problem", f"{loaded.config.name}: run {found.run}, which recorded its numbers, is not in the history", hint, 2)
