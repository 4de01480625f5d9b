"""Where one model's runs live on this machine: the `.mlops` folder beside its mlops.yaml, its records, and who may work there."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.config import read
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.schema import MODEL_NAME
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, UsageError
from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import key_of
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Artifact, Data, Evaluation, Model, Run
from mlops_toolkit.report.escape import plain
from mlops_toolkit.system.clock import iso
from mlops_toolkit.system.files import locked, sweep, write_atomic
from mlops_toolkit.world import World

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream
    from mlops_toolkit.predictions.table import Table


ROOMS = ("baseline", "measure", "own-metric")  # below cache/: where another commit's files or model stand while somebody works with them
FULL = "make room, or give this user leave to write there, and run it again"


def predictions_path(folder: Path, suite: str) -> Path:
    """Where a run's folder keeps a suite's predictions as they were written."""
    return folder / "predictions" / f"{suite or 'main'}.parquet"


def recorded(text: str, config: str, world: World, *, instead: str) -> tuple[Run, Model]:
    """The run that `text` names by its id, or the beginning of it, and its model as it is on record.

    config: path of the mlops.yaml beside which its history lies. instead: what else the text could have named.
    UsageError `no-such-model` where it does not look like an id, else as `baseline.named`; EnvironmentFailure `no-model`;
    InvalidFile `wrong-shape` where the record calls its model by what is no name.
    """
    nothing = UsageError(
        "no-such-model", f"{plain(text, 200)} is neither {instead} here nor the id of a run", hint="`mlops history list` shows the runs"
    )
    try:
        loaded = read.load(read.discover(config, cwd=world.cwd, root=world.root)[0], root=world.root)
    except UsageError as error:
        raise nothing if error.name == "no-config" else error from error
    history = world.history(Home(loaded, world).state, loaded.config.history.at)
    entry = baseline.named(text, history.entries())
    if entry is None:
        raise nothing
    run = history.run(entry.id)
    if run is None or run.trained is None:
        raise EnvironmentFailure("no-model", f"run {entry.id} has no model on record", hint="name another run, or a path")
    if not re.fullmatch(MODEL_NAME, run.model):  # a record may come from a job that ran somebody's code, and a folder be called so
        raise InvalidFile("wrong-shape", f"{plain(run.model, 100)!r} is no name of a model", where=f"run {run.id}")
    return run, run.trained


@dataclass(frozen=True)
class Home:
    """A configuration, and the world its model is worked on in."""

    loaded: Loaded
    world: World

    @property
    def state(self) -> Path:
        return self.loaded.folder / ".mlops"

    @property
    def key(self) -> str:
        """What this model's runs, baselines and sections are keyed by (in this leg of a matrix)."""
        return key_of(self.loaded.where, self.loaded.config.name, self.world.context.matrix)

    def folder(self, run_id: str) -> Path:
        """Where a run keeps its files."""
        return self.state / "runs" / run_id

    def shown(self, path: Path) -> str:
        """A path as people see it from where they are."""
        return path.relative_to(self.world.cwd).as_posix() if path.is_relative_to(self.world.cwd) else str(path)

    def say(self, sentence: str) -> None:
        print(f"{self.loaded.config.name}: {sentence}", file=self.world.err, flush=True)

    def save(self, record: Run) -> Run:
        """Both copies, each whole at every instant; the run's own first, so that run.json never names a run without a folder."""
        text = records.dumps(record)
        try:
            write_atomic(self.folder(record.id) / "run.json", text)
            write_atomic(self.state / "run.json", text)
        except OSError as error:
            said = f"the run cannot be recorded: {error.strerror}"
            raise EnvironmentFailure("not-recorded", said, where=str(self.state), hint=FULL) from error
        return record

    def keep(self, run_id: str, suite: str, answers: Table | Stream | None, slices: tuple[str, ...] = ()) -> Evaluation:
        """Write a suite's predictions, whole, into the run's folder; what the record says of them. EnvironmentFailure `not-recorded`."""
        from mlops_toolkit.predictions import sized  # here: most verbs that know a home keep none

        if answers is None:
            return Evaluation()
        folder = self.folder(run_id)
        path = predictions_path(folder, suite)
        try:
            digest, size = sized.keep(answers, path)
        except OSError as error:
            said = f"the predictions cannot be kept: {error.strerror}"
            raise EnvironmentFailure("not-recorded", said, where=str(path), hint=FULL) from error
        data, ids = sized.digests(answers)
        return Evaluation(
            predictions=Artifact(path.relative_to(folder).as_posix(), digest, size),
            data=Data(data, answers.n, answers.task, answers.labels, ids),
            positive=answers.positive,
            slices=slices,
        )

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else trains or evaluates here while it holds; what a killed process left open is closed.

        EnvironmentFailure `already-at-work`, or `not-recorded` where nothing can be written.
        """
        try:
            prepare(self.state)
            holding = locked(self.state / "train.lock", wait=False)
            holding.__enter__()
        except BlockingIOError as error:
            raise EnvironmentFailure(
                "already-at-work",
                f"another `mlops train` or `mlops evaluate` is at work in {self.loaded.folder}",
                hint="wait for it, or use another checkout",
            ) from error
        except OSError as error:
            raise EnvironmentFailure("not-recorded", f"cannot write here: {error.strerror}", where=str(self.state)) from error
        try:
            self._close()
            yield
        finally:
            holding.__exit__(None, None, None)

    def _close(self) -> None:
        """A run that is still `running` while nobody holds the lock was killed: its record says so from now on, and its rooms go."""
        for room in ROOMS:
            shutil.rmtree(self.state / "cache" / room, ignore_errors=True)
        for folder in (self.state, *(self.state / "runs").glob("*"), *(self.state / "runs").glob("*/predictions")):
            sweep(folder)
        for path in sorted((self.state / "runs").glob("*/run.json")):
            try:
                record = records.loads(path.read_bytes(), where=str(path)) if b'"running"' in path.read_bytes() else None
            except (OSError, InvalidFile):
                continue
            if record is None or record.status != "running":
                continue
            commands = tuple(replace(c, ended="interrupted") if c.ended == "running" else c for c in record.commands)
            closed = replace(
                record, status="interrupted", reason="killed before it could say so", ended=iso(self.world.clock.now()), commands=commands
            )
            write_atomic(path, records.dumps(closed))
            with contextlib.suppress(OSError, InvalidFile):
                latest = self.state / "run.json"
                if records.loads(latest.read_bytes(), where=str(latest)).id == record.id:
                    write_atomic(latest, records.dumps(closed))
            self.say(f"run {record.id} was killed; it is recorded as interrupted")
