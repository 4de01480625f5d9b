"""Whether an evaluation must run: not where the model was not trained again and an equal evaluation of it is on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.evaluate import own_metrics
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.history.base import Entry, History, key_of, same_digest
from mlops_toolkit.home import predictions_path
from mlops_toolkit.models import evaluation, prints
from mlops_toolkit.models.fingerprint import Fingerprint
from mlops_toolkit.predictions import sized
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Fingerprints, Run, SeedRun
from mlops_toolkit.system.files import sha256

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream


@dataclass(frozen=True)
class Earlier:
    """A run whose evaluation is this one's: its record and its predictions by suite, plain; seeds: those of each further seed."""

    run: Run
    tables: dict[str, Table | Stream]
    seeds: Mapping[int, Mapping[str, Table]] = field(default_factory=dict)


def fingerprints_of(job: Job, known: Fingerprints, suites: Mapping[str, Fingerprint]) -> Fingerprints:
    """Of a run that is evaluated now; `known` are those that its training recorded, `suites` those of its evaluations."""
    git, env = job.world.git, job.world.env
    tracked = known.tracked or prints.tracked(job.loaded, git, env)
    return replace(known, evaluate=prints.of_suites(suites), tracked=tracked)


def earlier(job: Job, record: Run, history: History, *, again: bool) -> Earlier | None:
    """An equal evaluation of the same model, if it was not trained now; None where the command must run.

    A schedule looks for new data: without declared `data` it never reuses.
    """
    declared = all(suite.data for suite in job.suites.values())
    settled = record.status == "reused" and record.trained is not None
    if again or not (settled or record.elsewhere) or (job.world.context.event == "schedule" and not declared):
        return None
    for entry in reversed(_equal(record, history.entries())):
        run = history.run(entry.id)
        if run is None or run.self_reported or _model(run) != _model(record) or _models(run) != _models(record):
            continue
        if any(name in job.suites and evaluation.other_answers(one, job.suites[name]) for name, one in run.evaluations.items()):
            continue
        if run.fingerprints.evaluate == record.fingerprints.evaluate and (tables := _tables(job, run)) is not None:
            seeds = {one.seed: found for one in run.seeds[1:] if (found := _seed_tables(job, run, one)) is not None}
            if len(seeds) == len(record.seeds[1:]):
                return Earlier(run, tables, seeds)
    return None


def _models(run: Run) -> list[tuple[int, str | None]]:
    return [(one.seed, one.model.digest if one.model else None) for one in run.seeds]


def _seed_tables(job: Job, run: Run, one: SeedRun) -> dict[str, Table] | None:
    """A further seed's predictions where all of them lie here as they were written."""
    tables = {}
    for name, kept in one.predictions.items():
        path, evaluation = job.folder(run.id) / kept.path, run.evaluations.get(name)
        if evaluation is None or evaluation.data is None or not path.is_file() or sha256(path) != kept.sha256:
            return None
        try:
            tables[name] = read(path, task=evaluation.data.task, positive=evaluation.positive)
        except MlopsError:
            return None
    return tables if tables else None


def _model(run: Run) -> str | None:
    """What tells the model: its digest, or the address of one whose bytes nobody here has."""
    return run.trained.digest if run.trained else run.elsewhere.uri if run.elsewhere else None


def _equal(record: Run, entries: object) -> list[Entry]:
    """Runs of this model's section that ended well with the same evaluation, oldest first; a fork's only for a fork."""
    found: list[Entry] = []
    for entry in entries:  # type: ignore[attr-defined]
        mine = entry.key == key_of(record.config, record.model, record.matrix) and entry.id != record.id
        well = entry.status in ("succeeded", "reused") and not entry.withdrawn and (record.fork or not entry.fork)
        if mine and well and same_digest(entry.evaluate, record.fingerprints.evaluate):
            found.append(entry)
    return found


def _tables(job: Job, run: Run) -> dict[str, Table | Stream] | None:
    """The run's predictions where all of them lie here as they were written; the history's hashed ones have lost their ids."""
    tables: dict[str, Table | Stream] = {}
    if set(run.evaluations) != set(job.suites):
        return None
    for name, kept in run.evaluations.items():
        if kept.data is None:
            continue
        path = predictions_path(job.folder(run.id), name)
        try:
            whole = own_metrics.whole(job.suites[name], len(run.seeds))
            tables[name] = sized.answers(path, task=kept.data.task, positive=kept.positive, whole=whole)
            if sized.digests(tables[name])[0] != kept.data.digest:
                return None
        except MlopsError:
            return None
    return tables
