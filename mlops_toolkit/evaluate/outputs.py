"""What an evaluation command leaves behind: where it is told to write, whether it did, and reading it.

A file that lay there before is never taken for the command's work: our own places are empty when it starts, and the user's
(`predictions: out/preds.csv`) must have changed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.predictions import sized
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.predictions.metrics_file import read_metrics
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Measure

if TYPE_CHECKING:
    from mlops_toolkit.predictions.stream.admit import Stream

EXAMPLE = """the evaluation writes one row per example, for instance
  import csv, os
  with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="") as file:
      csv.writer(file).writerows([["id", "target", "prediction"], *zip(ids, targets, predictions)])"""

Seen = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True)
class Place:
    """A file that the command may write. `own` are ours (given by an environment variable), the others are named in mlops.yaml."""

    path: Path
    shown: str
    own: bool
    before: Seen = ()

    @property
    def written(self) -> bool:
        """Whether it is there and is not what was there before."""
        now = _seen(self.path)
        return bool(now) and now != self.before


@dataclass(frozen=True)
class Places:
    """Where one suite's command writes."""

    predictions: Place
    measures: Place
    metrics: Place | None


@dataclass(frozen=True)
class Written:
    """What it wrote, read and checked. answers: the predictions, in memory, or of a size that is only ever read in blocks."""

    answers: Table | Stream | None = None
    measures: Mapping[str, Measure] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def table(self) -> Table | None:
        """The predictions where they are in memory."""
        return self.answers if isinstance(self.answers, Table) else None


def places(suite: Suite, name: str, *, folder: Path, run_dir: Path) -> Places:
    """The places of a suite, ours emptied, the user's as they are now remembered.

    folder: of the mlops.yaml. run_dir: the run's own folder.
    """
    own = run_dir / "written" / (name or "main")
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)

    def place(named: str | None, variable: str, default: str) -> Place:
        if named is None:
            return Place(own / default, f"${variable}", own=True)
        path = folder / named
        return Place(path, named, own=False, before=_seen(path))

    metrics = suite.metrics_file
    return Places(
        predictions=place(suite.predictions, "MLOPS_PREDICTIONS", "predictions"),
        measures=place(suite.measures, "MLOPS_MEASURES", "measures.json"),
        metrics=place(metrics, "", "") if metrics is not None else None,
    )


def _seen(path: Path) -> Seen:
    """What identifies the state of a file, or of all files of a folder; () where there is nothing."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []
    seen = []
    for file in files:
        with contextlib.suppress(OSError):
            status = file.stat()
            seen.append((os.fspath(file), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(seen)


def collect(
    found: Places, suite: Suite, config: Config, *, what: str, ran: bool, since: float | None, whole: str | None = "evaluating again"
) -> Written:
    """Read what a suite's command wrote.

    what   names the command in errors: `evaluate.run`
    ran    whether a command ran; without one, the files of training are taken
    since  epoch seconds: without a command, a file older than this is left from before; None: any age will do
    whole  what needs all predictions in memory; None: nothing does, and large ones are read in blocks
    CommandFailed `no-predictions`, `no-measures`, `no-metrics-file`, `stale-file`; InvalidFile for what cannot be read;
    EnvironmentFailure `no-memory`.
    """
    answers = measures = metrics = None
    if _there(found.predictions, ran=ran, since=since, what=what):
        place = found.predictions
        answers = sized.answers(place.path, task=suite.task, positive=suite.positive, name=place.shown, careful=True, whole=whole)
    if _there(found.measures, ran=ran, since=since, what=what):
        measures = read_measures(found.measures.path, name=found.measures.shown, config=config)
    elif not found.measures.own:
        raise CommandFailed("no-measures", f"{what} did not write {found.measures.shown}", hint="or remove `measures:`")
    if found.metrics is not None:
        if not _there(found.metrics, ran=ran, since=since, what=what):
            raise CommandFailed("no-metrics-file", f"{what} did not write {found.metrics.shown}", hint="or remove `metrics-file:`")
        metrics = read_metrics(found.metrics.path, found.metrics.shown)
    if answers is None and (not found.predictions.own or suite.metrics or suite.slices or not (measures or metrics)):
        raise CommandFailed("no-predictions", f"{what} ended well but wrote no predictions to {found.predictions.shown}", hint=EXAMPLE)
    return Written(answers, measures or {}, metrics or {})


def _there(place: Place, *, ran: bool, since: float | None, what: str) -> bool:
    """Whether a file is there and is the work of this run."""
    if ran:
        if place.own or place.written or not place.before:
            return place.path.exists()
        raise CommandFailed(
            "stale-file",
            f"{what} did not write {place.shown}: what lies there was there before",
            hint="the command must write it anew each time",
        )
    if place.own or not place.path.exists():
        return False
    newest = max((entry[3] for entry in _seen(place.path)), default=0) / 1e9
    if since is not None and newest < since:
        raise CommandFailed(
            "stale-file",
            f"the training of this run did not write {place.shown}: what lies there is older",
            hint="if `train.run` writes it, `mlops review --again` makes it anew; else give `evaluate.run` a command that does",
        )
    return True
