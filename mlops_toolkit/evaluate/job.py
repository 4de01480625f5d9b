"""One model to evaluate: what is configured, which run it is, where its files lie."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.schema import Evaluate, Suite
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Run
from mlops_toolkit.system.files import locked, write_atomic
from mlops_toolkit.world import World


@dataclass(frozen=True)
class Job:
    """A configuration with an `evaluate:`, and the world it is evaluated in."""

    loaded: Loaded
    config: Evaluate
    world: World

    @property
    def state(self) -> Path:
        return self.loaded.folder / ".mlops"

    @property
    def suites(self) -> Mapping[str, Suite]:
        """Suite by name; the only one's name is ""."""
        return self.config.suites or {"": self.config}

    def key(self, suite: str, key: str = "") -> str:
        """The dotted key of a suite's setting: `evaluate.run`, `evaluate.suites.safety.data[0]`."""
        return ".".join(part for part in (f"evaluate.suites.{suite}" if suite else "evaluate", key) if part)

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
            raise EnvironmentFailure("not-recorded", f"the run cannot be recorded: {error.strerror}", where=str(self.state)) from error
        return record


@contextlib.contextmanager
def alone(job: Job) -> Iterator[None]:
    """Nobody else trains or evaluates in this folder while it holds. EnvironmentFailure `already-evaluating`."""
    try:
        prepare(job.state)
        # The lock that `mlops train` holds: it closes runs that say `running` while nobody holds it.
        holding = locked(job.state / "train.lock", wait=False)
        holding.__enter__()
    except BlockingIOError as error:
        raise EnvironmentFailure(
            "already-evaluating",
            f"another `mlops train` or `mlops evaluate` is at work in {job.loaded.folder}",
            hint="wait for it, or use another checkout",
        ) from error
    except OSError as error:
        raise EnvironmentFailure("not-recorded", f"cannot write here: {error.strerror}", where=str(job.state)) from error
    try:
        yield
    finally:
        holding.__exit__(None, None, None)
