"""`mlops evaluate`: find the run, run the evaluation, read, compute, record. The record says `running` first, so a kill leaves a readable state."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mlops_toolkit.config import read
from mlops_toolkit.config.forks import refuse_fork
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import Cancelled, InvalidFile, MlopsError, UsageError
from mlops_toolkit.evaluate import baseline, outputs, own_metrics, pointed, rescored, reuse, say, seeds
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.evaluate.outputs import Written
from mlops_toolkit.history import current
from mlops_toolkit.history.base import History
from mlops_toolkit.models import evaluation, made_of, prints
from mlops_toolkit.models.open import fetch
from mlops_toolkit.models.parameters import built_in
from mlops_toolkit.models.pointed import place_of
from mlops_toolkit.predictions.score import Scored, reported
from mlops_toolkit.predictions.sized import score
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Command, Environment, Run, Status
from mlops_toolkit.system import gpu, supervise
from mlops_toolkit.system.clock import iso
from mlops_toolkit.world import World

LOG = "log-evaluate.txt"
NOTHING = """add to mlops.yaml, for instance
evaluate:
  run: python evaluate.py   # writes one row per example to $MLOPS_PREDICTIONS
  metrics: [accuracy]"""


def run(args: argparse.Namespace, world: World) -> int:
    """Evaluate every configured model, one after another; 0 where each has its numbers. Raises the MlopsError that ended it."""
    found = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    jobs = [Job(loaded, world, loaded.config.evaluate) for loaded in found if loaded.config.evaluate]
    if not jobs:
        raise UsageError("nothing-to-evaluate", f"{found[0].where} has no `evaluate:`", hint=NOTHING)
    out = world.err if getattr(args, "json", False) else world.out
    done = []
    for job in jobs:
        record, text = _evaluate(job, _given(args.run, job), again=bool(getattr(args, "again", False)))
        print(f"{job.loaded.config.name} · {text}", file=out, flush=True)
        job.say(f"run {record.id} is in {job.shown(job.state / 'run.json')}")
        done.append(record)
    metrics = {name: metric.value for record in done for name, metric in record.metrics.items()}
    world.forge.output(
        {
            "run": "\n".join(job.shown(job.state / "run.json") for job in jobs),
            "run-id": "\n".join(record.id for record in done),
            "metrics": json.dumps(metrics if len(done) == 1 else {record.model: _values(record) for record in done}),
            "exit": "0",
        }
    )
    return 0


def _values(record: Run) -> dict[str, float | None]:
    return {name: metric.value for name, metric in record.metrics.items()}


def _given(text: str, job: Job) -> str:
    """The run asked for; of several (one a line, as `train` puts them out), the one of this configuration."""
    lines = text.split()
    if len(lines) < 2:
        return text.strip()
    return next((line for line in lines if (job.world.cwd / line).resolve().parent == job.state.resolve()), "")


def _evaluate(job: Job, given: str, *, again: bool) -> tuple[Run, str]:
    """The completed record of one model, and what to print of it."""
    world = job.world
    refuse_fork(world.context, world.git, job.loaded, world.forge.may_write)
    history = world.history(job.state, job.loaded.config.history.at)
    with job.alone():
        record = _record(job, given, history)
        found = None
        if job.loaded.config.model is not None:
            found, record = pointed.known(job, record, history)
        suites = prints.suites(job.loaded, world.git, world.env)
        record = replace(record, fingerprints=reuse.fingerprints_of(job, record.fingerprints, suites))
        earlier = reuse.earlier(job, record, history, again=again)
        taken = pointed.take(job, found, history) if found is not None and earlier is None else None
        source = taken.source if taken else None
        ends: Status = "reused" if record.status == "reused" or source else "succeeded"
        started = replace(record, status="running", reason=None, evaluations={}, metrics={}, slices={}, gate=None, ended=None)
        started = replace(started, commands=tuple(command for command in record.commands if command.phase == "train"))
        seeds.settle(job, record)
        if found is None and record.trained is not None and fetch(record.trained, _model(job, record), world.models, env=world.env):
            job.say(f"{record.trained.path} was fetched from {record.trained.stores[0].partition('sha256')[0]}")
        if started.trained is not None and not started.built_in:
            started = replace(started, built_in=built_in(started, _model(job, started)))
        job.save(started)
        reads = {name: evaluation.parts(job.loaded, world.git, name, one) for name, one in suites.items()}
        attempt = _Attempt(job, started, place_of(found, job.loaded.folder) if found else None, reads)
        try:
            if taken is not None and source is not None:
                text = attempt.report(taken, history)
            else:
                text = attempt.take(earlier) if earlier else attempt.execute()
                attempt.record = seeds.evaluate(
                    job, lambda: attempt.record, attempt.tables, earlier.seeds if earlier else None, attempt.ask
                )
            attempt.record = baseline.again(job, attempt.record, history, attempt.tables, attempt.environment(), suites)
            attempt.record = rescored.add(job, attempt.record, history, attempt.tables, attempt.environment())
            shutil.rmtree(attempt.checkpoints, ignore_errors=True)
            seeds.over(job, attempt.record)
        except BaseException as error:
            status: Status = "interrupted" if isinstance(error, Cancelled) else "failed"
            reason = error.message if isinstance(error, MlopsError) else type(error).__name__
            job.save(replace(attempt.record, status=status, reason=reason, ended=iso(world.clock.now())))
            raise
        return job.save(replace(attempt.record, status=ends, ended=iso(world.clock.now()))), text


def _record(job: Job, given: str, history: History) -> Run:
    """The run to complete: the trained one of this checkout, or a new one where nothing is trained."""
    world, name, where = job.world, job.loaded.config.name, job.loaded.where
    if not given and job.loaded.config.train is None:
        fresh = current.fresh(world.git, world.context, world.clock, model=name, config=where)
        return replace(fresh, environment=Environment(platform=sys.platform, host=socket.gethostname(), gpu=_gpu(world.env)))
    record = current.find(given, state=job.state, history=history, git=world.git, context=world.context, key=job.key)
    if any(command.phase == "train" and command.ended not in ("ok", "reused") for command in record.commands):
        raise UsageError(
            "run-not-trained",
            f"the training of run {record.id} {_how(record)}: there is nothing to evaluate",
            where=job.shown(job.state / "run.json"),
            hint="run `mlops train` again",
        )
    # A run that failed or was killed in an earlier evaluation is as good as trained.
    return replace(record, status="reused" if record.source else "succeeded")


def _how(record: Run) -> str:
    return "is still running" if record.status == "running" else "was interrupted" if record.status == "interrupted" else "failed"


def _model(job: Job, record: Run) -> Path:
    train = job.loaded.config.train
    return job.loaded.folder / (train.output if train else record.trained.path if record.trained else "model")


def _gpu(env: Mapping[str, str]) -> str | None:
    found = gpu.probe(env).names if shutil.which("nvidia-smi", path=env.get("PATH")) else ()
    return ", ".join(found) or None


def _scored(written: Written, config: Config, name: str) -> Scored:
    """The numbers of one suite."""
    return score(written.answers, config, name) if written.answers is not None else Scored({}, {}, {})


@dataclass
class _Attempt:
    """The evaluation of one run, its record growing as it goes."""

    job: Job
    record: Run
    model: str | None = None  # what MLOPS_MODEL says, of a model that was trained elsewhere
    reads: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.job.folder(self.record.id)

    @property
    def checkpoints(self) -> Path:
        """A folder that an interrupted evaluation of the same model finds again, and no other evaluation does."""
        model = self.record.trained.digest if self.record.trained else self.record.tree or self.record.id
        text = f"{self.record.fingerprints.evaluate} {model}{self.record.matrix or ''}"
        return self.job.state / "checkpoints" / f"{self.job.loaded.config.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def execute(self) -> str:
        """Run every suite's command, read and score what it wrote; what to print of it."""
        env = self.environment()
        texts = []
        for name, suite in self.job.suites.items():
            places = outputs.places(suite, name, folder=self.job.loaded.folder, run_dir=self.folder)
            what = self.job.place(name, "run")
            self._run(name, places, env)
            texts.append(self._keep(name, self._collect(places, suite, what)))
        shutil.rmtree(self.folder / "written", ignore_errors=True)
        return "\n".join(texts)

    def ask(self, seed: int, folder: Path) -> Mapping[str, Table]:
        """The answers of another seed's model, which stands at the output now; the command works in folders of that seed's own."""
        env = self.environment()
        own = {"MLOPS_SEED": str(seed), "MLOPS_RUN_DIR": str(folder), "MLOPS_CHECKPOINTS": str(self.checkpoints / f"seed-{seed}")}
        (self.checkpoints / f"seed-{seed}").mkdir(parents=True, exist_ok=True)
        return seeds.answers(self.job, folder, lambda name, places: self._run(name, places, {**env, **own}), self._since())

    def _run(self, name: str, places: outputs.Places, env: Mapping[str, str]) -> None:
        suite = self.job.suites[name]
        if suite.run:
            own = {"MLOPS_PREDICTIONS": str(places.predictions.path), "MLOPS_MEASURES": str(places.measures.path)}
            self._command(suite, {**env, **own}, self.job.place(name, "run"))

    def _collect(self, places: outputs.Places, suite: Suite, what: str) -> Written:
        try:
            whole, config = own_metrics.whole(suite, len(self.record.seeds)), self.job.loaded.config
            return outputs.collect(places, suite, config, what=what, ran=bool(suite.run), since=self._since(), whole=whole)
        except InvalidFile:
            kept = [self.job.shown(place.path) for place in (places.predictions, places.measures) if place.own and place.path.exists()]
            if kept:
                self.job.say(f"what {what} wrote is kept for you to look at: {', '.join(kept)}")
            raise

    def take(self, earlier: reuse.Earlier) -> str:
        """Take over an equal evaluation's predictions and numbers; metrics are computed anew, as mlops.yaml asks for them now."""
        source = earlier.run
        seconds = {command.run: command.seconds for command in source.commands if command.phase == "evaluate"}
        commands = tuple(
            Command("evaluate", suite.run, exit=0, seconds=seconds.get(suite.run), ended="reused")
            for suite in self.job.suites.values()
            if suite.run
        )
        self.record = replace(
            self.record, commands=(*self.record.commands, *commands), measures={**self.record.measures, **source.measures}
        )
        self.job.say(f"nothing to evaluate: run {source.id} evaluated the same")
        texts = []
        for name in self.job.suites:
            numbers = {key: metric for key, metric in source.metrics.items() if metric.n == 0}
            texts.append(self._keep(name, Written(earlier.tables.get(name))))
            self.record = replace(self.record, metrics={**numbers, **self.record.metrics})
        return "\n".join(texts)

    def report(self, taken: pointed.Taken, history: History) -> str:
        """Take over the numbers as they were recorded by whoever trained the model."""
        self.record = pointed.numbers(self.job, self.record, taken, history)
        if taken.why is not None:  # what could be computed was not: this run answers for no other
            self.record = replace(self.record, fingerprints=replace(self.record.fingerprints, evaluate=None))
            self.job.say(f"the model cannot be evaluated here: {taken.why}")
        said = say.suite("", None, Scored(self.record.metrics, self.record.slices, {}), self.record.measures)
        return f"as recorded by whoever trained it, not computed here (run {self.record.source})\n{said}"

    def environment(self) -> dict[str, str]:
        """What the commands see: their own environment, and ours by name."""
        job, train = self.job, self.job.loaded.config.train
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        return {
            **job.world.env,
            "MLOPS_RUN_DIR": str(self.folder),
            "MLOPS_MODEL": self.model or str(_model(job, self.record)),
            "MLOPS_CHECKPOINTS": str(self.checkpoints),
            "MLOPS_SEED": str((train.first_seed if train else None) or 0),
            "MLOPS_DEVICE": "cuda" if _gpu(job.world.env) else "cpu",
        }

    def _command(self, suite: Suite, env: Mapping[str, str], what: str) -> None:
        job, log, command = self.job, self.folder / LOG, suite.run or ""
        before = self.record.commands
        self.record = job.save(replace(self.record, commands=(*before, Command("evaluate", command))))
        limit = suite.timeout.seconds if suite.timeout else None
        ended = supervise.run(command, cwd=job.loaded.folder, env=env, log=log, timeout_seconds=limit, echo=job.world.err)
        if ended.open_line:
            print(file=job.world.err)
        after = Command("evaluate", command, ended.exit, ended.signal, ended.seconds, ended.ended)
        self.record = replace(self.record, commands=(*before, after))
        if error := supervise.trouble(ended, what=what, log=Path(job.shown(log)), where=job.loaded.at(what)):
            raise error

    def _since(self) -> float | None:
        """When this run began, in epoch seconds, where its training should have written what no evaluation command does."""
        if not any(command.phase == "train" for command in self.record.commands):
            return None
        return datetime.fromisoformat(self.record.started.replace("Z", "+00:00")).timestamp()

    def _keep(self, name: str, written: Written) -> str:
        """Score one suite, write its predictions into the run's folder and its numbers into the record; what to print of it."""
        config, record = self.job.loaded.config, self.record
        prefixed = {f"{name}/{key}" if name else key: measure for key, measure in written.measures.items()}
        numbers = reported(written.metrics, config, name)
        scored = _scored(written, config, name)
        if written.table is not None:
            self.tables[name] = written.table
        if twice := next((key for key in numbers if key in scored.metrics), None):
            raise UsageError(
                "duplicate-metric",
                f"{twice} is computed from the predictions and stands in the metrics file too",
                where=self.job.loaded.at(self.job.place(name, "metrics-file")),
                hint="drop it from the one or the other",
            )
        kept = replace(self.job.keep(record.id, name, written.answers, tuple(scored.slices)), reads=self.reads.get(name, {}))
        if written.table is not None and kept.data is not None:
            digest = kept.data.digest
            env = self.environment()
            scored, files = own_metrics.with_own(scored, self.job, name, written.table, run_dir=self.folder, env=env, data=digest)
            kept = replace(kept, reads={**kept.reads, **made_of.reads(files)})
        slices = {label: {**record.slices.get(label, {}), **values} for label, values in scored.slices.items()}
        self.record = replace(
            record,
            evaluations={**record.evaluations, name: kept},
            metrics={**record.metrics, **scored.metrics, **numbers},
            slices={**record.slices, **slices},
            measures={**record.measures, **prefixed},
        )
        return say.suite(name, written.answers, replace(scored, metrics={**scored.metrics, **numbers}), prefixed)
