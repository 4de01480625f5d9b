"""The baseline's model on this run's examples: where the test set changed, the stored predictions of the baseline answer other questions.

The baseline's stored model is evaluated again, in a checkout of its own commit with this run's `evaluate.data` laid over it, since new
code often cannot load an old model; failing that, by this commit's evaluation in a checkout of its own. Where the model has answered
before it must answer the same again: that proves that the old model answered, and not, by some path, the new one (`proof`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit.config.read import parse
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import Cancelled, CommandFailed, EnvironmentFailure, InvalidFile, MlopsError
from mlops_toolkit.evaluate import outputs
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.evaluate.proof import doubt
from mlops_toolkit.history import baseline, lineage
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.models.open import fetch
from mlops_toolkit.predictions.anonymous import whole
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.score import suite_of
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Artifact, Run
from mlops_toolkit.system import supervise
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.system.git import Git

LOG = "log-baseline.txt"


def find(job: Job, record: Run, history: History) -> Run | None:
    """The run that compare will compare with; None where there is none, or none that can be had from here."""
    question = baseline.Question(
        key=key_of(record.config, record.model, record.matrix), head=record.commit, run=record.id, ci_run=record.ci.run
    )
    try:
        choice = lineage.choose(job.world.git, job.world.context, history, question)
        return history.run(choice.entry.id) if choice.entry else None
    except MlopsError:
        return None  # compare meets it too, and says so


def changed(record: Run, base: Run) -> tuple[str, ...]:
    """Suites whose examples are others than the baseline's. The same examples with new labels are not: compare scores them again."""

    def ids(run: Run, name: str) -> str | None:
        evaluation = run.evaluations.get(name)
        return evaluation.data.ids_digest if evaluation and evaluation.data else None

    return tuple(n for n in record.evaluations if ids(record, n) and ids(base, n) and ids(record, n) != ids(base, n))


def again(job: Job, record: Run, history: History, tables: Mapping[str, Table], env: Mapping[str, str]) -> Run:
    """The record with `baseline_predictions` of every suite whose examples changed, as far as they can be had; says why where not.

    env: what the evaluation's commands see. Nothing here fails the run, but a cancel.
    """
    base = find(job, record, history)
    suites = changed(record, base) if base else ()
    if base is None or not suites or job.world.git is None:
        return record
    for name in suites:
        if name not in tables:
            continue
        job.say(f"the examples of {name or 'the evaluation'} changed: the baseline's model (run {base.id}) is evaluated on the new ones")
        made, refusals = None, list[str]()
        for own_code in (True, False) if base.trained else (True,):
            try:
                made = _Checkout(job, record, base, name, own_code=own_code).evaluate(tables[name], history, env)
                break
            except Cancelled:
                raise
            except MlopsError as error:
                refusals.append(f"with {'its own' if own_code else 'this'} commit's code: {error.message}")
                if error.hint:
                    job.say(f"the baseline, {refusals[-1]}\n  " + error.hint.replace("\n", "\n  "))
        if made is None:
            job.say(f"the baseline could not be evaluated again ({'; '.join(refusals)}): only common examples will be compared")
            continue
        if refusals:
            job.say(f"the baseline was evaluated with this commit's code ({refusals[0]})")
        record = _recorded(job, record, base, name, made)
    return record


def _recorded(job: Job, record: Run, base: Run, name: str, made: Table) -> Run:
    folder, content = job.folder(record.id), whole(made)
    path = folder / "predictions" / f"baseline-{name or 'main'}.parquet"
    write_atomic(path, content)
    artifact = Artifact(path.relative_to(folder).as_posix(), hashlib.sha256(content).hexdigest(), len(content))
    evaluation = replace(record.evaluations[name], baseline_predictions=artifact, baseline_run=base.id)
    return replace(record, evaluations={**record.evaluations, name: evaluation})


@dataclass(frozen=True)
class _Checkout:
    """One way to evaluate the baseline's model: in its own commit's code, or in this one's."""

    job: Job
    record: Run
    base: Run
    suite: str
    own_code: bool

    @property
    def top(self) -> Path:
        return self.job.state / "cache" / "baseline"

    @property
    def folder(self) -> Path:
        """Of the mlops.yaml in the checkout."""
        git = self.job.world.git
        assert git is not None  # noqa: S101  # `again` has looked
        return self.top / "tree" / self.job.loaded.folder.resolve().relative_to(git.root.resolve())

    def evaluate(self, head: Table, history: History, env: Mapping[str, str]) -> Table:
        """The predictions of the baseline's model on the head's examples. Raises why there are none."""
        try:
            shutil.rmtree(self.top, ignore_errors=True)
            config = self._check_out()
            suite = self._suite(config)
            self._lay_over(self.job.suites[self.suite])
            table = self._run(suite, config, {**env, "MLOPS_MODEL": str(self._fetch(config))})
            if why := doubt(table, head, self._known(history), history.salt()):
                raise InvalidFile("other-model", why)
            return table
        except OSError as error:
            raise EnvironmentFailure("no-checkout", f"{error.strerror or error}") from error
        finally:
            shutil.rmtree(self.top, ignore_errors=True)

    def _check_out(self) -> Config:
        """The commit's files in a folder of ours: the user's clone, index and work tree are only read."""
        git, commit = self.job.world.git, self.base.commit if self.own_code else "HEAD"
        found = git.commit(commit) if git and commit else None
        if git is None or found is None:
            raise EnvironmentFailure("no-checkout", f"commit {(commit or 'unknown')[:7]} is not in this clone")
        tree = self.top / "tree"
        tree.mkdir(parents=True)
        ours = Git(git.root, {**git.env, "GIT_INDEX_FILE": str(self.top / "index")})
        ours("read-tree", found.sha)
        ours("checkout-index", "--all", "--force", f"--prefix={tree}/")
        if not self.own_code:
            return self.job.loaded.config
        path = self.folder / self.job.loaded.path.name
        if not path.is_file():
            raise CommandFailed("no-config", f"{found.sha[:7]} has no {self.job.loaded.where}")
        return parse(path.read_bytes(), where=f"{self.job.loaded.where} at {found.sha[:7]}", path=path, root=tree).config

    def _suite(self, config: Config) -> Suite:
        known = config.evaluate is not None and (self.suite in config.evaluate.suites if self.suite else not config.evaluate.suites)
        if not known:
            raise CommandFailed("no-suite", f"it has no evaluation {self.suite}".rstrip())
        suite = suite_of(config, self.suite)
        if not suite.run:
            raise CommandFailed("no-command", "its predictions are written by training")
        return suite

    def _inside(self, path: Path) -> bool:
        """Whether writing at `path` stays in the checkout: a link above it may lead to the user's own files."""
        return path.parent.resolve().is_relative_to((self.top / "tree").resolve())

    def _lay_over(self, suite: Suite) -> None:
        """This run's evaluation data in place of the old; as links, so that gigabytes are not copied."""
        here = self.job.loaded.folder
        for item in (item for item in suite.data if "://" not in item):
            for source in here.glob(item) if any(c in item for c in "*?[") else [here / item]:
                to = self.folder / source.relative_to(here)
                to.parent.mkdir(parents=True, exist_ok=True)
                if not source.exists() or not self._inside(to):
                    continue
                if to.is_dir() and not to.is_symlink():
                    shutil.rmtree(to)
                to.unlink(missing_ok=True)
                to.symlink_to(source.resolve(), target_is_directory=source.is_dir())

    def _fetch(self, config: Config) -> Path:
        """The baseline's model where its code expects it."""
        model = self.folder / (config.train.output if config.train else "model")
        if self.base.trained is not None:
            model.parent.mkdir(parents=True, exist_ok=True)
            if not self._inside(model):
                raise EnvironmentFailure("no-checkout", f"{config.train.output if config.train else model} leads out of the repository")
            fetch(self.base.trained, model, self.job.world.models, env=self.job.world.env, replace=True)
        return model

    def _run(self, suite: Suite, config: Config, env: Mapping[str, str]) -> Table:
        what = f"the baseline's {self.job.place(self.suite, 'run')}"
        places = outputs.places(suite, self.suite, folder=self.folder, run_dir=self.top)
        log = self.job.folder(self.record.id) / LOG
        # Packages installed in place (`pip install -e .`) are imported from the checkout, and git finds no repository around it.
        imports = [str(p) for p in (self.folder, self.top / "tree", self.folder / "src", self.top / "tree" / "src") if p.is_dir()]
        seen = {
            **env,
            "PYTHONPATH": ":".join(dict.fromkeys([*imports, *filter(None, env.get("PYTHONPATH", "").split(":"))])),
            "GIT_CEILING_DIRECTORIES": str(self.top),
            "MLOPS_RUN_DIR": str(self.top),
            "MLOPS_CHECKPOINTS": str(self.top / "checkpoints"),
            "MLOPS_PREDICTIONS": str(places.predictions.path),
            "MLOPS_MEASURES": str(places.measures.path),
        }
        (self.top / "checkpoints").mkdir()
        limit = suite.timeout.seconds if suite.timeout else None
        ended = supervise.run(suite.run or "", cwd=self.folder, env=seen, log=log, timeout_seconds=limit)
        if error := supervise.trouble(ended, what=what, log=Path(self.job.shown(log))):
            raise error
        table = outputs.collect(places, suite, config, what=what, ran=True, since=None).table
        if table is None:
            raise CommandFailed("no-predictions", f"{what} wrote no predictions")
        return table

    def _known(self, history: History) -> Table | None:
        """What the baseline's model answered when it was evaluated; None where that was not kept."""
        evaluation = self.base.evaluations[self.suite]
        kept, task = evaluation.predictions, evaluation.data.task if evaluation.data else None
        if kept is None:
            return None
        if ":" in kept.path:  # the address of a models store
            path = self._from_store(kept)
        else:
            path = history.file(self.base.id, kept.path)
        return None if path is None else read(path, task=task, positive=evaluation.positive, name=f"the predictions of run {self.base.id}")

    def _from_store(self, kept: Artifact) -> Path | None:
        path, store = self.top / "known.parquet", self.job.world.models(kept.path)
        if store is None:
            return None
        self.top.mkdir(parents=True, exist_ok=True)
        store.get(kept.path, f"sha256:{kept.sha256}", path)
        return path
