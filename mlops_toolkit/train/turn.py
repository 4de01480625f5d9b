"""One execution of the training command: what it is given, and what it left. Several seeds are several turns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit.errors import CommandFailed, MlopsError
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.records.run import Command, Run
from mlops_toolkit.system import supervise
from mlops_toolkit.train.job import Job
from mlops_toolkit.train.launchers import Launch, Launcher


@dataclass(frozen=True)
class Turn:
    """A training with one seed.

    model        where the command is told to leave it
    checkpoints  a folder that an interrupted training of the same inputs with the same seed finds again, and no other does
    several      there are other seeds: its log and measures are named by the seed
    """

    seed: int
    model: Path
    checkpoints: Path
    several: bool = False

    def named(self, name: str) -> str:
        """`log-train.txt`, `log-train-seed-1.txt`."""
        stem, dot, ending = name.rpartition(".")
        return f"{stem}-seed-{self.seed}{dot}{ending}" if self.several else name


class Ended(Exception):
    """The command ended otherwise than well: the error it is, and the record that knows what it took."""

    def __init__(self, record: Run, error: MlopsError) -> None:
        super().__init__(error.message)
        self.record, self.error = record, error


def execute(job: Job, record: Run, turn: Turn, launcher: Launcher, device: str) -> Run:
    """Run it: the record with this command and what it took added to those before. Raises `Ended`; whether a model is there is not asked."""
    command, before = job.config.run, over(record)
    if turn.several:
        record = job.save(replace(record, commands=(*before, Command("train", command))))
    log = job.folder(record.id) / turn.named("log-train.txt")
    limit = job.config.timeout.seconds if job.config.timeout else None
    turn.checkpoints.mkdir(parents=True, exist_ok=True)
    turn.model.parent.mkdir(parents=True, exist_ok=True)
    launch = Launch(command, job.loaded.folder, environment(job, record, turn, device), log, limit, job.config.gpus)
    ended = launcher(launch, echo=job.world.err)
    if ended.open_line:
        print(file=job.world.err)
    after = Command("train", command, ended.exit, ended.signal, ended.seconds, ended.ended)
    record = replace(record, commands=(*before, after), resources=record.resources + ended.resources)
    what = f"train.run (seed {turn.seed})" if turn.several else "train.run"
    try:
        error = supervise.trouble(ended, what=what, log=Path(job.shown(log)), where=job.loaded.at("train.run"))
    except MlopsError as raised:
        raise Ended(record, raised) from raised
    if error:
        raise Ended(record, error)
    return record


def over(record: Run) -> tuple[Command, ...]:
    """Its commands that have ended."""
    return tuple(command for command in record.commands if command.ended != "running")


def measures(job: Job, record: Run, turn: Turn) -> Run:
    """The record with the measures that the training wrote, if it wrote any. InvalidFile."""
    path = job.folder(record.id) / turn.named("measures-train.json")
    if not path.exists():
        return record
    return replace(record, measures=read_measures(path, name=job.shown(path), config=job.loaded.config))


def environment(job: Job, record: Run, turn: Turn, device: str) -> dict[str, str]:
    """What the command sees: its own environment, and ours by name."""
    return {
        **job.world.env,
        "MLOPS_RUN_DIR": str(job.folder(record.id)),
        "MLOPS_MODEL": str(turn.model),
        "MLOPS_MEASURES": str(job.folder(record.id) / turn.named("measures-train.json")),
        "MLOPS_CHECKPOINTS": str(turn.checkpoints),
        "MLOPS_SEED": str(turn.seed),
        "MLOPS_DEVICE": device,
    }


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


def check(job: Job, before: Mapping[str, object]) -> None:
    """CommandFailed `no-model`, `stale-model` where the command left none at the output, or the one that was there before."""
    where, output = job.loaded.at("train.output"), job.config.output
    if not job.output.exists():
        hint = "`train.output` is the file or folder that the command writes; it is also in $MLOPS_MODEL"
        raise CommandFailed("no-model", f"train.run ended well, but there is no {output}", where=where, hint=hint)
    if before and stamp(job.output) == before:
        hint = "the command writes somewhere else, or stopped early; it finds the right place in $MLOPS_MODEL"
        raise CommandFailed(
            "stale-model", f"train.run ended well, but did not touch {output}, which was there before", where=where, hint=hint
        )
