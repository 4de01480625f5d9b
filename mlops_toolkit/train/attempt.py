"""Executing a training and recording how it ended, whatever the end."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.errors import Cancelled, MlopsError
from mlops_toolkit.models.base import Nowhere, Offered, Store
from mlops_toolkit.models.fingerprint import Fingerprint
from mlops_toolkit.models.open import keep, look_after
from mlops_toolkit.models.parameters import built_in
from mlops_toolkit.records.run import Command, Model, Run, Status
from mlops_toolkit.system.clock import iso
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.train import environment, say, seeds, turn
from mlops_toolkit.train.job import Job
from mlops_toolkit.train.launchers import Launcher
from mlops_toolkit.train.turn import Ended, Turn

PARTS = "fingerprint-train.json"


def execute(job: Job, record: Run, found: Fingerprint, launcher: Launcher, store: Store | None, taken: Mapping[int, Model]) -> Run:
    """Run the command, once a seed; what it made is digested and kept. Raises how it ended, after the record says so.

    taken: the models of those of several seeds that need not be trained.
    """
    command, world = job.config.run, job.world
    described = environment.describe(command, world.env, job.loaded.folder, host=socket.gethostname())
    record = replace(record, status="running", commands=(Command("train", command),), environment=replace(described, lock=found.of_locks()))
    write_atomic(job.folder(record.id) / PARTS, json.dumps(dict(found.parts), indent=1, ensure_ascii=True) + "\n")
    job.save(record)
    device, kept = "cuda" if described.gpu else "cpu", checkpoints(job, record)
    try:
        if several := len(job.config.seeds) > 1:
            record, model = seeds.train(job, record, found, taken, launcher, store, device=device, kept=kept)
        else:
            record, model = _one(job, record, launcher, store, device, kept)
    except Ended as stopped:
        _finish(job, stopped.record, "interrupted" if isinstance(stopped.error, Cancelled) else "failed", stopped.error.message)
        raise stopped.error from stopped
    except Cancelled as error:
        _finish(job, record, "interrupted", error.message)
        raise
    except MlopsError as error:
        _finish(job, record, "failed", error.message)
        raise
    record = replace(record, trained=model)
    record = _finish(job, replace(record, built_in=built_in(record, job.output)), "succeeded")
    if several:
        seeds.over(seeds.seats(job, record))
    shutil.rmtree(checkpoints(job, record), ignore_errors=True)  # only an interrupted training is continued
    job.say(say.took(record.resources))
    job.say(say.left(model))
    if isinstance(store, Nowhere | Offered) and store.hint and not model.stores:
        job.say(f"to keep it: {store.hint}")
    try:
        look_after(store, job.state / "run.json", job.loaded.config.models.keep, world.clock.now())
    except MlopsError as error:
        job.say(f"old models could not be removed: {error.message}")
    return record


def _one(job: Job, record: Run, launcher: Launcher, store: Store | None, device: str, kept: Path) -> tuple[Run, Model]:
    """A single training."""
    before = turn.stamp(job.output)
    record = turn.execute(job, record, Turn(job.config.first_seed or 0, job.output, kept), launcher, device)
    try:
        turn.check(job, before)
        record = turn.measures(job, record, Turn(job.config.first_seed or 0, job.output, kept))
        return record, keep(job.output, store, shown=job.config.output, env=job.world.env)
    except MlopsError as error:
        raise Ended(record, error) from error


def _finish(job: Job, record: Run, status: Status, reason: str | None = None) -> Run:
    return job.save(replace(record, status=status, reason=reason, ended=iso(job.world.clock.now())))


def checkpoints(job: Job, record: Run) -> Path:
    """A folder that an interrupted training of the same inputs finds again, and no other training does."""
    name = (record.fingerprints.train or record.id).rpartition(":")[2][:16]
    leg = f"-{hashlib.sha256(record.matrix.encode()).hexdigest()[:8]}" if record.matrix else ""  # its inputs are those of the others
    return job.state / "checkpoints" / f"{job.loaded.config.name}-{name}{leg}"
