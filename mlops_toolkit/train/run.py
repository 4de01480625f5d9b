"""`mlops train`: decide whether to train, then do it or take the equal run's model; either way there is a record."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace

from mlops_toolkit import plug
from mlops_toolkit.announce import begin
from mlops_toolkit.config import params, read
from mlops_toolkit.config.forks import refuse_fork
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history.base import Entry, History, key_of
from mlops_toolkit.history.current import fresh
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.models import prints
from mlops_toolkit.models.fingerprint import Fingerprint, changes
from mlops_toolkit.models.open import claim, fetch, for_model, reachable
from mlops_toolkit.models.retention import expired
from mlops_toolkit.records.run import Command, Fingerprints, Model, Run, SeedRun
from mlops_toolkit.system.clock import iso
from mlops_toolkit.train import say, seeds
from mlops_toolkit.train.attempt import PARTS, execute
from mlops_toolkit.train.job import Job
from mlops_toolkit.train.launchers import LAUNCHERS, Launcher
from mlops_toolkit.train.plan import Reuse, Train, decide
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """Train every configured model, one after another; 0 where each has a run now. Raises the MlopsError that ended it.

    args: config (path or glob), again (train even if an equal run is recorded).
    """
    done = []
    found = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    if not getattr(args, "marked", False):
        begin([loaded.config.name for loaded in found], world, "training")
    for loaded in found:
        if loaded.config.train is None:
            why = f"it was trained elsewhere ({loaded.config.model})" if loaded.config.model else f"{loaded.where} has no `train:`"
            print(f"{loaded.config.name}: {why}: there is nothing to train", file=world.err)
            continue
        job = Job(loaded, world, loaded.config.train)
        done.append((job.shown(job.state / "run.json"), _train(job, again=bool(getattr(args, "again", False))).id))
    if done:
        world.forge.output({"run": "\n".join(path for path, _ in done), "run-id": "\n".join(run_id for _, run_id in done), "exit": "0"})
    return 0


def _train(job: Job, *, again: bool) -> Run:
    world, config = job.world, job.loaded.config
    refuse_fork(world.context, world.git, job.loaded, world.forge.may_write)
    _check_output(job)
    launcher: Launcher = plug.load("launcher", LAUNCHERS, job.config.launcher, where=job.loaded.at("train.launcher"))
    expired((), config.models.keep, world.clock.now())  # a mistake in it must not come up after hours of training
    store = for_model(world.models(config.models.store), job.key)
    with job.alone():
        found = prints.train(job.loaded, world.git, world.env)
        assert found is not None  # noqa: S101 -- there is a `train:`
        record = replace(
            fresh(world.git, world.context, world.clock, model=config.name, config=job.loaded.where),
            fingerprints=Fingerprints(train=found.digest, tracked=prints.tracked(job.loaded, world.git, world.env)),
            params=params.read(job.loaded.folder / job.config.params, where=job.loaded.at("train.params")) if job.config.params else {},
            seed=job.config.first_seed,
        )
        plan, history = _plan(job, record, again=again)
        if isinstance(plan, Reuse):
            record = _reuse(job, record, plan)
        else:
            job.say(say.because(plan.reason, *_changed(job, found, history)) if not again else say.because(plan.reason, (), None))
            several = len(job.config.seeds) > 1
            taken = seeds.known(job, found, history) if several and not again else {}
            record = execute(job, replace(record, trainings=plan.trainings), found, launcher, store, taken)
        job.say(f"run {record.id} is in {job.shown(job.state / 'run.json')}")
        return record


def _check_output(job: Job) -> None:
    """A model has a place of its own: it is replaced as a whole, and everything in it is the model."""
    if job.loaded.folder.resolve().is_relative_to(job.output.resolve()):
        hint = "name a folder (or file) that holds the model and nothing else, for instance `output: model/`"
        raise UsageError(
            "output-too-wide",
            f'train.output "{job.config.output}" holds the configuration itself',
            where=job.loaded.at("train.output"),
            hint=hint,
        )


def _plan(job: Job, record: Run, *, again: bool) -> tuple[Reuse | Train, History]:
    world = job.world
    history = world.history(job.state, job.loaded.config.history.at)
    try:
        entries = history.entries()
    except EnvironmentFailure as error:
        job.say(f"the history cannot be read ({error.message}): only runs on this machine can be reused")
        history = LocalHistory(job.state)
        entries = history.entries()
    plan = decide(
        key=key_of(record.config, record.model, record.matrix),
        fingerprint=record.fingerprints.train or "",
        entries=entries,
        run=history.run,
        reachable=lambda model: reachable(model, world.models, here=job.output, env=world.env) or _seated(job, record, model),
        again=again,
        scheduled=world.context.event == "schedule",
        data_declared=bool(job.config.data),
        fork=world.context.fork,
    )
    return plan, history


def _seated(job: Job, record: Run, model: Model) -> bool:
    """Whether it lies in one of the places of several seeds."""
    seats = seeds.seats(job, record)
    return any(seats.holds(seats.place(seed), model) for seed in job.config.seeds[1:])


def _reuse(job: Job, record: Run, plan: Reuse) -> Run:
    """A complete record of a training that was not needed; where another model stands in its place, this one takes it."""
    source, world = plan.source, job.world
    assert source.trained is not None  # noqa: S101 -- `decide` reuses nothing else
    if several := {one.seed: one.model for one in source.seeds if one.model is not None}:
        seeds.seats(job, record).settle(several, source.seeds[0].seed)
    if job.output.exists():
        fetch(source.trained, job.output, world.models, env=world.env, replace=True)
    claim(source.trained, world.models, job.key)
    job.say(say.reused(source))
    job.say(say.left(source.trained))
    seconds = next((command.seconds for command in source.commands if command.phase == "train"), None)
    return job.save(
        replace(
            record,
            status="reused",
            source=source.id,
            trained=source.trained,
            seeds=tuple(SeedRun(one.seed, one.model, one.fingerprint) for one in source.seeds),
            trainings=source.trainings,
            environment=source.environment,
            commands=(Command("train", job.config.run, exit=0, seconds=seconds, ended="reused"),),
            measures=source.measures,
            built_in=source.built_in,
            ended=iso(world.clock.now()),
        )
    )


def _changed(job: Job, found: Fingerprint, history: History) -> tuple[Sequence[str], str | None]:
    """What differs from the last training here, where its parts are still on this machine."""
    for entry in reversed(_of(job, history.entries())):
        path = job.folder(entry.id) / PARTS
        if path.is_file():
            try:
                return changes(json.loads(path.read_bytes()), found.parts), entry.id
            except (ValueError, AttributeError):
                break
    return (), None


def _of(job: Job, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.key == job.key]
