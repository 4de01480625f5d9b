"""Evaluating the models of several seeds: every suite once a seed, and how its metrics spread. The first seed's is the run's own evaluation."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.evaluate import outputs
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.models.open import fetch
from mlops_toolkit.models.seats import Seats
from mlops_toolkit.models.tree import remove
from mlops_toolkit.predictions.anonymous import whole
from mlops_toolkit.predictions.score import score
from mlops_toolkit.predictions.spread import ordered, spreads
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Artifact, MetricValue, Run, SeedRun, Spread
from mlops_toolkit.system.files import write_atomic

Tables = Mapping[str, Table]
Ask = Callable[[int, Path], Tables]  # (seed, a folder of its own) -> the answers of the model that stands at the output, by suite


def seats(job: Job, record: Run) -> Seats | None:
    """Where the models of several seeds lie; None of a run with one."""
    train = job.loaded.config.train
    if len(record.seeds) < 2 or train is None:
        return None
    name, print_ = job.loaded.config.name, record.fingerprints.train or record.id
    return Seats.of(job.state, name, print_, record.matrix, job.loaded.folder / train.output, job.world.env)


def settle(job: Job, record: Run) -> None:
    """The first seed's model in its place, whatever a kill left there."""
    if place := seats(job, record):
        place.settle({one.seed: one.model for one in record.seeds if one.model}, record.seeds[0].seed)


def evaluate(job: Job, now: Callable[[], Run], first: Tables, earlier: Mapping[int, Tables] | None, ask: Ask) -> Run:
    """The record with every seed's predictions and values, and with the spread of each metric.

    now: the record, in which `ask` notes what it ran. first: the first seed's tables. earlier: those of an equal evaluation, by seed.
    """
    record = now()
    place = seats(job, record)
    if place is None:
        return record
    own, others = record.seeds[0], record.seeds[1:]
    made, tables = [replace(own, metrics={name: value.value for name, value in record.metrics.items()})], [first]
    for one in others:
        folder = job.folder(record.id) / f"seed-{one.seed}"
        try:
            answered = earlier[one.seed] if earlier is not None else _asked(job, place, one, own.seed, folder, ask)
            answered = {name: ordered(table, first[name], one.seed) for name, table in answered.items() if name in first}
            made.append(_kept(job, record.id, one, answered))
        except MlopsError as error:
            if f"seed {one.seed}" not in error.message:
                error.message += f" (seed {one.seed})"
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        tables.append(answered)
    _tell_alike(job, made)
    return _spread(job, replace(now(), seeds=tuple(made)), tables)


def over(job: Job, record: Run) -> None:
    """What is in a store need not lie here any longer."""
    if place := seats(job, record):
        for one in record.seeds[1:]:
            if one.model is not None and one.model.stores:
                remove(place.folder / str(one.seed))


def _asked(job: Job, place: Seats, one: SeedRun, first: int, folder: Path, ask: Ask) -> Tables:
    if one.model is None:
        raise EnvironmentFailure(
            "model-unreachable", f"the model of seed {one.seed} is not recorded", hint="train again: mlops train --again"
        )
    fetch(one.model, place.place(one.seed), job.world.models, env=job.world.env, replace=True)
    job.say(f"seed {one.seed}: evaluating")
    with place.taken(one.seed, first):
        return ask(one.seed, folder)


def _kept(job: Job, run: str, one: SeedRun, tables: Tables) -> SeedRun:
    """Its predictions beside the run's own."""
    predictions, values = {}, dict[str, float | None]()
    for name, table in tables.items():
        path, content = job.folder(run) / "predictions" / f"seed-{one.seed}" / f"{name or 'main'}.parquet", whole(table)
        try:
            write_atomic(path, content)
        except OSError as error:
            raise EnvironmentFailure("not-recorded", f"the predictions cannot be kept: {error.strerror}", where=str(path)) from error
        relative = path.relative_to(job.folder(run)).as_posix()
        predictions[name] = Artifact(relative, hashlib.sha256(content).hexdigest(), len(content))
        values |= {full: value.value for full, value in score(table, job.loaded.config, name).metrics.items()}
    return replace(one, predictions=predictions, metrics=values)


def _tell_alike(job: Job, seeds: list[SeedRun]) -> None:
    """Trainings that all made one model say nothing of luck: perhaps nobody reads MLOPS_SEED."""
    if len({one.model.digest for one in seeds if one.model}) == 1:
        job.say(f"all {len(seeds)} seeds made the very same model: does the training read $MLOPS_SEED?")


def _spread(job: Job, record: Run, tables: list[Tables]) -> Run:
    metrics, slices = dict(record.metrics), {label: dict(values) for label, values in record.slices.items()}
    for name in tables[0]:
        overall, by_slice = spreads([one[name] for one in tables if name in one], job.loaded.config, name)
        _add(metrics, overall)
        for label, found in by_slice.items():
            _add(slices.get(label, {}), found)
    return replace(record, metrics=metrics, slices=slices)


def _add(values: dict[str, MetricValue], found: Mapping[str, Spread]) -> None:
    for full, spread in found.items():
        if full in values:
            values[full] = replace(values[full], training=spread)


def answers(job: Job, folder: Path, run: Callable[[str, outputs.Places], None], since: float | None) -> Tables:
    """Every suite's answers, its command run by `run`; what it says of measures is the first seed's to say."""
    found = {}
    for name, suite in job.suites.items():
        places = outputs.places(suite, name, folder=job.loaded.folder, run_dir=folder)
        run(name, places)
        written = outputs.collect(places, suite, job.loaded.config, what=job.place(name, "run"), ran=bool(suite.run), since=since)
        if written.table is not None:
            found[name] = written.table
    return found
