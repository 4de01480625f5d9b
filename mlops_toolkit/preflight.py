"""Before a CI trains: what would surely fail it stops it at once, and what would keep its outcome from being told is warned of.

Quick: files and git of this machine, and at most two questions to the forge that nobody waits long for.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import NoReturn

from mlops_toolkit.announce import annotation
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.doctor.checks import commands, credentials, disk, git, gitignore, gpu, network
from mlops_toolkit.doctor.checks.rules import history
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.run import patient_of
from mlops_toolkit.doctor.workflow import course, handover, here, legs, rights
from mlops_toolkit.doctor.workflow.flow import JUDGES
from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.forge.base import Forge
from mlops_toolkit.history.base import key_of
from mlops_toolkit.history.lineage import no_repository
from mlops_toolkit.models import prints
from mlops_toolkit.models.open import reachable
from mlops_toolkit.system.clock import Clock
from mlops_toolkit.train.plan import Train, decide
from mlops_toolkit.world import World

VERBS = ("train", "review")
SHOWN = 6
PATIENCE_SECONDS = 5.0


def before(args: argparse.Namespace, world: World) -> None:
    """Raises the EnvironmentFailure that every run here would end in; anything else at most writes warnings, and keeps nobody."""
    if not world.context.ci or args.verb not in VERBS:
        return
    if world.git is None:
        raise no_repository(None)
    patient = patient_of(args.config, world)
    for check, found in (("git", git.program(patient)), ("disk", disk.check(patient))):
        for finding in found:
            if finding.sure:
                _stop(check, finding)
    _gpus(patient, again=bool(getattr(args, "again", False)))
    warnings: list[Finding] = []
    for part in (_machine, _workflow, _forge):
        try:
            warnings += [finding for finding in part(patient) if finding.level == "problem"]
        except Exception:  # noqa: BLE001, S112, PERF203 -- whatever a look ahead meets, the verb is not held up by it
            continue
    world.forge.annotate(tuple(annotation("warning", each.message, each.where, each.hint) for each in warnings[:SHOWN]))


def _stop(check: str, finding: Finding) -> NoReturn:
    if check == "git":
        raise EnvironmentFailure("git-too-old", finding.message, where=finding.where, hint=finding.hint)
    raise EnvironmentFailure("disk-full", finding.message, where=finding.where, hint=finding.hint)


def _gpus(patient: Patient, *, again: bool) -> None:
    """A GPU that the last of several models lacks is missed before the first is trained; but one that need not train needs none.

    Of a model that is alone the launcher says it, as soon as it is clear that it must train.
    """
    found = [finding for finding in gpu.check(patient) if finding.level == "problem"] if len(patient.configs) > 1 else []
    for loaded in patient.configs if found else ():
        if loaded.config.train and loaded.config.train.gpus and (again or _must_train(loaded, patient.world)):
            raise EnvironmentFailure("no-gpu", found[0].message, where=loaded.at("train.gpus"), hint=found[0].hint)


def _must_train(loaded: Loaded, world: World) -> bool:
    """Whether no equal training is recorded; False too where that cannot be told."""
    train, context = loaded.config.train, world.context
    with contextlib.suppress(MlopsError):
        history = world.history(loaded.folder / ".mlops", loaded.config.history.at)
        made = prints.train(loaded, world.git, world.env)
        assert train is not None  # noqa: S101 -- it asks for a GPU
        assert made is not None  # noqa: S101
        plan = decide(
            key=key_of(loaded.where, loaded.config.name, context.matrix),
            fingerprint=made.digest,
            entries=history.entries(),
            run=history.run,
            reachable=lambda model: reachable(model, world.models, here=loaded.folder / train.output, env=world.env),
            scheduled=context.event == "schedule",
            data_declared=bool(train.data),
            fork=context.fork,
        )
        return isinstance(plan, Train)
    return False


def _machine(patient: Patient) -> Iterator[Finding]:
    """What this checkout and this machine lack."""
    yield from disk.check(patient)
    if patient.world.git is not None:
        yield from git.absent(patient, patient.world.git)
    yield from gitignore.check(patient)
    yield from credentials.check(patient)
    yield from commands.later(patient)


def _workflow(patient: Patient) -> Iterator[Finding]:
    """What the running workflow's file says, and those that start when it ends. Another job may post what this one may not."""
    world = patient.world
    flows, _ = patient.workflows
    running = here.flow(flows, world.env)
    for flow in here.judges_of(running, flows) if running else ():
        for job in flow.ours:
            if not (world.context.read_only_token and flow is running):
                yield from rights.findings(job, flow)
            yield from legs.findings(job)
        yield from handover.findings(flow)
        yield from course.untrusted(flow)


def _forge(patient: Patient) -> Iterator[Finding]:
    """What the forge says; where it says nothing, what stands between."""
    world = patient.world
    if world.context.read_only_token:
        return
    try:
        yield from _asked(patient)
    except _Enough:
        yield from network.check(patient, PATIENCE_SECONDS)


def _asked(patient: Patient) -> Iterator[Finding]:
    """Two questions at most: what the token may, where the file does not tell; else whether a rule refuses the history's branch."""
    world = patient.world
    flows, _ = patient.workflows
    found = here.job(flows, world.env)
    asked = hasty(world.forge, world.clock)
    if found and not found[0].rights.stated and found[0].actions & JUDGES:
        wanted = [each for each in rights.needed(*found) if each.startswith(("statuses", "pull-requests: write"))]
        refused = asked.lacks(tuple(wanted)) or ()
        if refused:
            yield Finding(
                "problem",
                f"the token may not do this: {', '.join(refused)}",
                rights.lines(found[0], rights.needed(*found)),
                where=found[0].at,
            )
    elif len({loaded.config.history.at for loaded in patient.configs}) == 1:
        yield from history(asked, patient)


def hasty(forge: Forge, clock: Clock) -> Forge:
    """The same forge, which gives up where it would wait to ask again."""
    if is_dataclass(forge) and not isinstance(forge, type) and any(field.name == "clock" for field in fields(forge)):
        return replace(forge, clock=_Hasty(clock))
    return forge


class _Enough(Exception):
    """The forge asked for patience."""


class _Hasty:
    """A clock that nobody sleeps by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        raise _Enough
