"""What the user's own metrics say of an earlier run's answers, where the program, the labels or the examples are not what they were.

Built-in metrics are computed again by whoever compares, from stored answers. A user's program runs in `evaluate` alone, so it is asked here:
this run's program about the earlier run's answers to this run's examples; and where the program changed, the earlier run's own program, from
a checkout of its commit, about both. That one counts if its files are, to the byte, those that the earlier run was measured with.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from mlops_toolkit import answer
from mlops_toolkit.config.read import parse
from mlops_toolkit.config.schema import MetricRequest
from mlops_toolkit.errors import Cancelled, EnvironmentFailure, InvalidFile, MlopsError
from mlops_toolkit.evaluate import baseline, own_metrics
from mlops_toolkit.evaluate.checkout import Checkout
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.evaluate.own_metrics import Found, Place, Slices, Values, full_name
from mlops_toolkit.history.base import History
from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.pair import COMMON
from mlops_toolkit.predictions.score import suite_of
from mlops_toolkit.predictions.stream import whole
from mlops_toolkit.predictions.table import GIVEN, Table
from mlops_toolkit.records.run import Evaluation, Rescored, Run

_WHY = "measuring an earlier run anew"


def add(job: Job, record: Run, history: History, tables: Mapping[str, Table], env: Mapping[str, str]) -> Run:
    """The record with what this run's own metrics say of the runs that it will be held against. Nothing here fails the run, but a cancel."""
    suites = {name: own_metrics.asked(suite) for name, suite in job.suites.items() if name in tables}
    if not any(suites.values()):
        return record
    base = baseline.find(job, record, history)
    for earlier in {run.id: run for run in ([base] if base else []) + baseline.also(job, record, history)}.values():
        for name, wanted in suites.items():
            differing = [one for one in wanted if _differs(record, earlier, name, full_name(name, one))]
            if not differing:
                continue
            made = _Asked(job, record, earlier, name, differing, tables[name], history, env).made()
            kept = record.evaluations[name]
            kept = replace(kept, rescored={**kept.rescored, earlier.id: made})
            record = replace(record, evaluations={**record.evaluations, name: kept})
    return record


def _differs(record: Run, earlier: Run, suite: str, full: str) -> bool:
    """Whether the earlier run's number is of another program, of other examples, or of answers that were given anew since."""
    old, own = earlier.metrics.get(full), record.metrics[full]
    if old is None:
        return False
    return (old.signature, old.groups) != (own.signature, own.groups) or record.evaluations[suite].again(earlier.id).predictions is not None


@dataclass(frozen=True)
class _Asked:
    """One earlier run's answers of one suite, and the metrics to ask about them."""

    job: Job
    record: Run
    earlier: Run
    suite: str
    wanted: Sequence[MetricRequest]
    table: Table
    history: History
    env: Mapping[str, str]

    @property
    def evaluation(self) -> Evaluation:
        return self.record.evaluations[self.suite]

    @property
    def top(self) -> Path:
        return self.job.state / "cache" / "own-metric"

    def full(self, one: MetricRequest) -> str:
        return full_name(self.suite, one)

    def made(self) -> Rescored:
        """What could be found out, and why not the rest."""
        names = ", ".join(one.name for one in self.wanted)
        self.job.say(f"{names}: {self._why()}; run {self.earlier.id} is measured anew, from its stored answers")
        try:
            answers = self._answers()
            slices = own_metrics.slices_of(self.table, self.job.suites[self.suite])
            now = self._computed(self.wanted, answers, slices, own_metrics.here(self.job, self.env))
        except Cancelled:
            raise
        except (MlopsError, OSError) as error:
            return self._nothing(self.wanted, error, Rescored())
        found = Rescored(now=self._named(now.values))
        changed = self._changed()
        return self._by_theirs(changed, answers, slices, found) if changed else found

    def _changed(self) -> list[MetricRequest]:
        """The metrics whose program is not the earlier run's."""
        old, own = self.earlier.metrics, self.record.metrics
        return [one for one in self.wanted if old[self.full(one)].signature != own[self.full(one)].signature]

    def _why(self) -> str:
        return "the program changed" if self._changed() else "its examples, labels or answers are not what they were"

    def _nothing(self, wanted: Sequence[MetricRequest], error: MlopsError | OSError, found: Rescored) -> Rescored:
        why = error.message if isinstance(error, MlopsError) else str(error.strerror or error)
        lacking = [name for name in self.table.columns if name not in self._columns()] if "KeyError" in why else []
        why += f" (what is kept of its predictions has no {', '.join(lacking[:3])})" if lacking else ""
        self.job.say(f"{', '.join(one.name for one in wanted)} could not be computed anew: {why}")
        return replace(found, notes={**found.notes, **{self.full(one): why[:300] for one in wanted}})

    def _columns(self) -> list[str]:
        try:
            return self._stored().columns
        except (MlopsError, OSError):
            return self.table.columns

    def _named(self, values: Values) -> Values:
        return {self.full(one): values[one.name] for one in self.wanted if one.name in values}

    def _computed(self, wanted: Sequence[MetricRequest], table: Table, slices: Slices, place: Place) -> Found:
        data = self.evaluation.data.digest if self.evaluation.data else ""
        folder = self.job.folder(self.record.id)
        return own_metrics.computed(self.job, self.suite, wanted, (table, slices), place, run_dir=folder, data=data)

    def _by_theirs(self, changed: Sequence[MetricRequest], answers: Table, slices: Slices, found: Rescored) -> Rescored:
        shutil.rmtree(self.top, ignore_errors=True)
        try:
            place, theirs = self._checkout(changed)
            sides = []
            for table in (answers, self.table):
                made = self._computed(list(theirs.values()), table, slices, place)
                for full, one in theirs.items():
                    signatures = own_metrics.signature(one, made.made_of), _of_code(one, made.made_of)
                    if self.earlier.metrics[full].signature not in signatures:
                        raise InvalidFile("other-program", "what its commit has is not the program that it was measured with")
                sides.append(self._named(made.values))
            return replace(found, theirs=sides[0], mine=sides[1])
        except Cancelled:
            raise
        except (MlopsError, OSError) as error:
            return self._nothing(changed, error, found)
        finally:
            shutil.rmtree(self.top, ignore_errors=True)

    def _checkout(self, changed: Sequence[MetricRequest]) -> tuple[Place, dict[str, MetricRequest]]:
        """The earlier run's commit, and its metrics of those names; groups are this run's, so that both sides have the same."""
        git, loaded, commit = self.job.world.git, self.job.loaded, self.earlier.commit
        if git is None or commit is None:
            raise EnvironmentFailure("no-checkout", "its commit is not known" if git else "there is no git repository here")
        place = Checkout(self.top, git, loaded)
        place.fill(commit, self.history)
        path = place.folder / loaded.path.name
        if not path.is_file():
            raise EnvironmentFailure("no-checkout", f"{commit[:7]} has no {loaded.where}")
        config = parse(path.read_bytes(), where=f"{loaded.where} at {commit[:7]}", path=path, root=place.tree).config
        there = {one.name: one for one in own_metrics.asked(suite_of(config, self.suite))} if config.evaluate else {}
        if lost := [one.name for one in changed if one.name not in there]:
            raise EnvironmentFailure("no-checkout", f"{commit[:7]} has no {lost[0]}")
        files = frozenset(one.relative_to(place.tree).as_posix() for one in place.tree.rglob("*") if one.is_file())
        place.link(self.job.suites[self.suite].data)
        env = {**self.env, "PYTHONPATH": ":".join([*place.imports(), *filter(None, self.env.get("PYTHONPATH", "").split(":"))])}
        theirs = {self.full(one): replace(there[one.name], groups=one.groups) for one in changed}
        return Place(place.folder, place.tree, env, files), theirs

    def _stored(self) -> Table:
        """What the earlier run answered, as far as it was kept; what its model answers now, where it was asked again."""
        again, kept = self.evaluation.again(self.earlier.id).predictions, self.earlier.evaluations.get(self.suite, Evaluation())
        if again is not None:
            data, path = self.evaluation.data, self.job.folder(self.record.id) / again.path
            return whole.read(path, why=_WHY, task=data.task if data else None, positive=self.evaluation.positive)
        file = answer.files_of(self.history, self.job.state, self.job.world.models)
        found = file(self.earlier.id, kept.predictions.path) if kept.predictions else None
        if found is None:
            raise EnvironmentFailure("no-predictions", f"the predictions of run {self.earlier.id} were not kept")
        name = f"the predictions of run {self.earlier.id}"
        return whole.read(found, why=_WHY, task=kept.data.task if kept.data else None, positive=kept.positive, name=name)

    def _answers(self) -> Table:
        """This run's examples, row by row, with the earlier run's answers in place of this one's."""
        return beside(self.table, self._stored(), self.history.salt())


def _of_code(request: MetricRequest, made_of: Mapping[str, str]) -> str:
    """As records that know of no data files name it."""
    return own_metrics.signature(request, {path: sha for path, sha in made_of.items() if path.endswith(own_metrics.CODE)})


def beside(head: Table, stored: Table, salt: str) -> Table:
    """The head's examples in their order, answered as in `stored` (whose ids are plain, or hashed by `salt`).

    InvalidFile `other-examples` where it does not answer all of them, or where it had more than a few others.
    """
    keys = [name for name in ("id", "repeat") if name in head.columns]
    if not set(keys) <= set(stored.columns):
        raise InvalidFile("other-examples", "one side has repeats and the other has none")
    mine = head.frame.select(name for name in GIVEN if name in head.columns)
    theirs = stored.frame.select(*keys, *(name for name in stored.columns if name not in GIVEN)).with_columns(
        pl.lit(value=True).alias("\0")
    )
    made = mine.join(theirs, on=keys, how="left", maintain_order="left")
    if made["\0"].null_count() == made.height:
        hashed = mine.with_columns(hash_ids(mine["id"], salt).alias("\0id"))
        made = hashed.join(theirs.rename({"id": "\0id"}), on=["\0id", *keys[1:]], how="left", maintain_order="left").drop("\0id")
    missing = made["\0"].null_count()
    if missing:
        raise InvalidFile("other-examples", f"{missing:,} of {head.n:,} examples are not among those that run answered")
    if head.n < COMMON * stored.n:  # the two are not compared anyway
        raise InvalidFile("other-examples", f"it answered {stored.n - head.n:,} examples more than there are now")
    return replace(head, frame=made.drop("\0"), source=stored.source)
