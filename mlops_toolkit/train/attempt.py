"""Executing a training and recording how it ended, whatever the end."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.errors import Cancelled, CommandFailed, MlopsError
from mlops_toolkit.models.base import Nowhere, Offered, Store
from mlops_toolkit.models.fingerprint import Fingerprint
from mlops_toolkit.models.open import keep, look_after
from mlops_toolkit.models.parameters import built_in
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.records.run import Command, Model, Run, Status
from mlops_toolkit.system import supervise
from mlops_toolkit.system.clock import iso
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.train import environment, say
from mlops_toolkit.train.job import Job
from mlops_toolkit.train.launchers import Launch, Launcher

PARTS = "fingerprint-train.json"


def execute(job: Job, record: Run, found: Fingerprint, launcher: Launcher, store: Store | None) -> Run:
    """Run the command; its model is digested and kept. Raises how it ended, after the record says so."""
    command, world = job.config.run, job.world
    described = environment.describe(command, world.env, job.loaded.folder, host=socket.gethostname())
    record = replace(record, status="running", commands=(Command("train", command),), environment=replace(described, lock=found.of_locks()))
    write_atomic(job.folder(record.id) / PARTS, json.dumps(dict(found.parts), indent=1, ensure_ascii=True) + "\n")
    job.save(record)
    before = stamp(job.output)
    try:
        record, model = _attempt(job, record, launcher, store, before, device="cuda" if described.gpu else "cpu")
    except _Ended as stopped:
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


class _Ended(Exception):
    """The command ended otherwise than well: the error it is, and the record that knows what it took."""

    def __init__(self, record: Run, error: MlopsError) -> None:
        super().__init__(error.message)
        self.record, self.error = record, error


def _attempt(
    job: Job, record: Run, launcher: Launcher, store: Store | None, before: Mapping[str, object], *, device: str
) -> tuple[Run, Model]:
    command = job.config.run
    log = job.folder(record.id) / "log-train.txt"
    limit = job.config.timeout.seconds if job.config.timeout else None
    launch = Launch(command, job.loaded.folder, _environment(job, record, device), log, limit, job.config.gpus)
    ended = launcher(launch, echo=job.world.err)
    if ended.open_line:
        print(file=job.world.err)
    after = Command("train", command, ended.exit, ended.signal, ended.seconds, ended.ended)
    record = replace(record, commands=(after,), resources=ended.resources)
    try:
        error = supervise.trouble(ended, what="train.run", log=Path(job.shown(log)), where=job.loaded.at("train.run"))
        if error:
            raise error
        _check(job, before)
        measures = job.folder(record.id) / "measures-train.json"
        if measures.exists():
            record = replace(record, measures=read_measures(measures, name=job.shown(measures), config=job.loaded.config))
        return record, keep(job.output, store, shown=job.config.output, env=job.world.env)
    except MlopsError as error:
        raise _Ended(record, error) from error


def _finish(job: Job, record: Run, status: Status, reason: str | None = None) -> Run:
    return job.save(replace(record, status=status, reason=reason, ended=iso(job.world.clock.now())))


def _environment(job: Job, record: Run, device: str) -> dict[str, str]:
    """What the command sees: its own environment, and ours by name."""
    kept = checkpoints(job, record)
    kept.mkdir(parents=True, exist_ok=True)
    return {
        **job.world.env,
        "MLOPS_RUN_DIR": str(job.folder(record.id)),
        "MLOPS_MODEL": str(job.output),
        "MLOPS_MEASURES": str(job.folder(record.id) / "measures-train.json"),
        "MLOPS_CHECKPOINTS": str(kept),
        "MLOPS_SEED": str(job.config.seed or 0),
        "MLOPS_DEVICE": device,
    }


def checkpoints(job: Job, record: Run) -> Path:
    """A folder that an interrupted training of the same inputs finds again, and no other training does."""
    name = (record.fingerprints.train or record.id).rpartition(":")[2][:16]
    leg = f"-{hashlib.sha256(record.matrix.encode()).hexdigest()[:8]}" if record.matrix else ""  # its inputs are those of the others
    return job.state / "checkpoints" / f"{job.loaded.config.name}-{name}{leg}"


def stamp(path: Path) -> dict[str, object]:
    """What tells whether a model was written: inode, size and times of each of its files."""
    found: dict[str, object] = {}
    places = [path] if not path.is_dir() else [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    for place in places:
        try:
            status = place.stat()
        except OSError:
            continue
        found[str(place)] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def _check(job: Job, before: Mapping[str, object]) -> None:
    where, output = job.loaded.at("train.output"), job.config.output
    if not job.output.exists():
        hint = "`train.output` is the file or folder that the command writes; it is also in $MLOPS_MODEL"
        raise CommandFailed("no-model", f"train.run ended well, but there is no {output}", where=where, hint=hint)
    if before and stamp(job.output) == before:
        hint = "the command writes somewhere else, or stopped early; it finds the right place in $MLOPS_MODEL"
        raise CommandFailed(
            "stale-model", f"train.run ended well, but did not touch {output}, which was there before", where=where, hint=hint
        )
