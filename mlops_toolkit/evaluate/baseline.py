"""The baseline's model, measured as this run's is: where the test set or the evaluation changed, its stored answers are to other questions.

The baseline's stored model is evaluated again: in a checkout of its own commit, since new code often cannot load an old model, with this
run's `evaluate.data` laid over it and, where the evaluation changed, its command and the inputs that it alone reads; failing that, with
this commit's code. The answers count where it is shown that the old model gave them, and not, by some path, the new one (`proof`).
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit import answer
from mlops_toolkit.config.read import parse
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import Cancelled, CommandFailed, EnvironmentFailure, InvalidFile, MlopsError
from mlops_toolkit.evaluate import outputs
from mlops_toolkit.evaluate.checkout import Checkout
from mlops_toolkit.evaluate.job import Job
from mlops_toolkit.evaluate.proof import doubt
from mlops_toolkit.evaluate.witness import CACHES, Seen, witness
from mlops_toolkit.history import baseline, others
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.history.before import baseline_of
from mlops_toolkit.home import predictions_path
from mlops_toolkit.models import evaluation
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.evaluation import Change
from mlops_toolkit.models.fingerprint import CODE, Fingerprint
from mlops_toolkit.models.open import fetch
from mlops_toolkit.models.patterns import compile_patterns, select
from mlops_toolkit.models.worktree import base_of, read_git
from mlops_toolkit.predictions.anonymous import whole
from mlops_toolkit.predictions.read import read
from mlops_toolkit.predictions.score import suite_of
from mlops_toolkit.predictions.table import Table
from mlops_toolkit.records.run import Again, Artifact, Run
from mlops_toolkit.system import supervise
from mlops_toolkit.system.files import write_atomic

LOG = "log-baseline.txt"
BASELINE = "the baseline"


def find(job: Job, record: Run, history: History) -> Run | None:
    """The run that compare will compare with; None where there is none, or none that can be had from here."""
    return baseline_of(record, job.world.git, job.world.context, history)


def _question(record: Run) -> baseline.Question:
    key = key_of(record.config, record.model, record.matrix)
    return baseline.Question(key=key, head=record.commit, run=record.id, ci_run=record.ci.run)


def also(job: Job, record: Run, history: History) -> list[Run]:
    """What else the gate will be held against: the runs that `against:` names besides the baseline, as far as they can be had from here."""
    found = (_also(name, job, record, history) for name in others.asked(job.loaded.config.against))
    return [run for run in found if run is not None]


def _also(name: str, job: Job, record: Run, history: History) -> Run | None:
    try:
        choice = others.find([name], job.world.git, job.world.context, history, [_question(record)])[name]
        return history.run(choice.entry.id) if choice.entry else None
    except MlopsError:
        return None  # compare meets it too, and says so


def again(
    job: Job, record: Run, history: History, tables: Mapping[str, Table], env: Mapping[str, str], prints: Mapping[str, Fingerprint]
) -> Run:
    """The record with what the baseline's model answers now, of every suite that it was not measured by; or with the reason why not.

    env: what the evaluation's commands see. prints: of the suites. Nothing here fails the run, but a cancel.
    """
    base = find(job, record, history)
    earlier = {run.id: run for run in ([base] if base else []) + also(job, record, history)}
    for run in earlier.values():
        for name, change in evaluation.changed(run, record, job.world.git).items():
            if (name not in tables and not _in_blocks(record, name, tables)) or not change.again:
                continue
            if (change.measuring or change.contents) and not change.examples and not _apart(run):
                continue  # its code is the model: what changed is what this run is about
            called = BASELINE if base is not None and run.id == base.id else "what the gate is held against too"
            one = _Earlier(run, called)
            try:
                head = tables[name] if name in tables else _whole(job, record, name)
            except MlopsError as error:
                job.say(f"{called} was not evaluated again: {error.message}")
                record = _noted(record, one, name, error.message)
                continue
            record = _asked(job, record, one, name, change, history, head, env, prints)
    return record


def _in_blocks(record: Run, name: str, tables: Mapping[str, Table]) -> bool:
    """Whether a suite has predictions of a size that is only read in blocks."""
    return name not in tables and name in record.evaluations and record.evaluations[name].predictions is not None


def _whole(job: Job, record: Run, name: str) -> Table:
    """Such predictions, in memory all the same. EnvironmentFailure `no-memory` where there is no room for both models' answers."""
    from mlops_toolkit.predictions.stream.whole import fits

    one, path = record.evaluations[name], predictions_path(job.folder(record.id), name)
    fits(path, job.shown(path), why="asking another model again", times=2)
    return read(path, task=one.data.task if one.data else None, positive=one.positive)


@dataclass(frozen=True)
class _Earlier:
    """A run that this one will be held against, and what to call it."""

    run: Run
    called: str


def _apart(run: Run) -> bool:
    """Whether a run's model is something else than the code that evaluates it."""
    return run.trained is not None or run.elsewhere is not None


def _asked(
    job: Job,
    record: Run,
    earlier: _Earlier,
    name: str,
    change: Change,
    history: History,
    head: Table,
    env: Mapping[str, str],
    prints: Mapping[str, Fingerprint],
) -> Run:
    """The record with one suite's new answers, or the reason why there are none."""
    base, called = earlier.run, earlier.called
    what, why = name or "the evaluation", ", ".join([*change.measuring, *change.contents]) or "the examples changed"
    if _same_model(base, record):
        job.say(f"{what}: {why}; {called} (run {base.id}) is of the same model, so its answers are this run's")
        return _recorded(job, record, earlier, name, head, "it is the same model, which answers the same")
    job.say(f"{what}: {why}; the model of {called} (run {base.id}) is evaluated {'on the new ones' if change.examples else 'again'}")
    refusals = list[str]()
    for own_code in (True, False) if base.trained else (True,):
        attempt = _Attempt(job, record, base, name, change, prints[name], own_code=own_code)
        try:
            made = attempt.evaluate(head, history, env)
        except Cancelled:
            raise
        except MlopsError as error:
            if error.name == "model-unreachable":
                refusals = [error.message]  # whatever code asks for it
                break
            refusals.append(f"with {'its own' if own_code else 'this'} commit's code: {error.message}")
            if error.hint:
                job.say(f"{called}, {refusals[-1]}\n  " + error.hint.replace("\n", "\n  "))
        else:
            if refusals:
                job.say(f"{called} was evaluated with this commit's code ({refusals[0]})")
            return _recorded(job, record, earlier, name, made, attempt.how)
    left = "nothing is decided by it" if change.measuring or change.contents else "only common examples will be compared"
    job.say(f"{called} could not be evaluated again ({'; '.join(refusals)}): {left}")
    return _noted(record, earlier, name, "; ".join(refusals))


def _same_model(base: Run, record: Run) -> bool:
    """Whether both runs are of one model, with the code that it came with."""
    if base.trained is None or record.trained is None:
        return base.elsewhere is not None and base.elsewhere == record.elsewhere
    known = base.fingerprints.train is not None or base.elsewhere is not None
    alike = base.fingerprints.train == record.fingerprints.train and _prompts(base) == _prompts(record)
    return base.trained.digest == record.trained.digest and known and alike


def _prompts(run: Run) -> Mapping[str, str] | None:
    return run.elsewhere.prompts if run.elsewhere else None


def _recorded(job: Job, record: Run, earlier: _Earlier, name: str, made: Table, how: str) -> Run:
    folder, content = job.folder(record.id), whole(made)
    whose = "baseline" if earlier.called == BASELINE else earlier.run.id
    path = folder / "predictions" / f"{whose}-{name or 'main'}.parquet"
    try:
        write_atomic(path, content)
    except OSError as error:
        return _noted(record, earlier, name, f"its answers cannot be kept: {error.strerror}")
    artifact = Artifact(path.relative_to(folder).as_posix(), hashlib.sha256(content).hexdigest(), len(content))
    return _noted(record, earlier, name, how, artifact)


def _noted(record: Run, earlier: _Earlier, name: str, note: str, artifact: Artifact | None = None) -> Run:
    one = record.evaluations[name]
    if earlier.called == BASELINE:
        one = replace(one, baseline_predictions=artifact, baseline_run=earlier.run.id, baseline_note=note)
    else:
        one = replace(one, also={**one.also, earlier.run.id: Again(artifact, note)})
    return replace(record, evaluations={**record.evaluations, name: one})


@dataclass(frozen=True)
class _Attempt:
    """One way to evaluate the baseline's model: in its own commit's code, or in this one's."""

    job: Job
    record: Run
    base: Run
    name: str
    change: Change
    print: Fingerprint
    own_code: bool

    @property
    def top(self) -> Path:
        return self.job.state / "cache" / "baseline"

    @property
    def suite(self) -> Suite:
        """This run's."""
        return self.job.suites[self.name]

    @property
    def how(self) -> str:
        """What was done, as a clause behind "evaluated again"."""
        return f"in a checkout of its own commit {(self.base.commit or '')[:7]}" if self.own_code else "with this commit's code"

    def evaluate(self, head: Table, history: History, env: Mapping[str, str]) -> Table:
        """The predictions of the baseline's model on the head's examples. Raises why there are none, or none that can be trusted."""
        git = self.job.world.git
        if git is None:
            raise EnvironmentFailure("no-checkout", "there is no git repository here")
        shutil.rmtree(self.top, ignore_errors=True)
        place = Checkout(self.top, git, self.job.loaded)
        try:
            config = self._fill(place, history)
            suite, commands = self._suites(config)
            self._lay_over(place)
            model = self._fetch(place, config)
            table, seen = self._run(place, suite, commands, config, {**env, "MLOPS_MODEL": str(model)})
            changed = bool(self.change.measuring or self.change.contents)
            one = (
                self.base.trained is not None and self.record.trained is not None and self.base.trained.digest == self.record.trained.digest
            )
            if why := doubt(table, head, self._known(history), history.salt(), seen=seen, changed=changed, one_model=one):
                raise InvalidFile("other-model", why)
            return table
        except OSError as error:
            raise EnvironmentFailure("no-checkout", f"{error.strerror or error}") from error
        except MlopsError as error:
            if place.absent and not isinstance(error, Cancelled):
                error.message += f" ({'; '.join(place.absent[:3])})"
            raise
        finally:
            shutil.rmtree(self.top, ignore_errors=True)

    def _fill(self, place: Checkout, history: History) -> Config:
        """The commit's files, and the configuration there."""
        loaded, git = self.job.loaded, place.git
        if not self.own_code:
            place.fill("HEAD", history)
            untracked = git.names("ls-files", "-o", "-z", "--exclude-standard", "--full-name", ":/")
            changed = git.names("diff", "--name-only", "--no-ext-diff", "-z", "HEAD")
            place.carry([*changed, *select(untracked, compile_patterns(CODE))])
            return loaded.config
        if self.base.commit is None:
            raise EnvironmentFailure("no-checkout", "its commit is not known")
        place.fill(self.base.commit, history)
        path = place.folder / loaded.path.name
        at = f"{loaded.where} at {self.base.commit[:7]}"
        if not path.is_file():
            raise CommandFailed("no-config", f"{self.base.commit[:7]} has no {loaded.where}")
        return parse(path.read_bytes(), where=at, path=path, root=place.tree).config

    def _suites(self, config: Config) -> tuple[Suite, list[str]]:
        """How this suite is evaluated, and the commands to run for it: its own, or (where another's writes its predictions) theirs."""
        if not self.change.measuring:
            evaluate = config.evaluate
            if evaluate is None or not (self.name in evaluate.suites if self.name else not evaluate.suites):
                raise CommandFailed("no-suite", f"it has no evaluation {self.name}".rstrip())
            theirs = suite_of(config, self.name)
            suite, every = replace(theirs, task=self.suite.task, positive=self.suite.positive), list(evaluate.suites.values())
        else:
            suite, every = self.suite, list(self.job.suites.values())
        commands = [suite.run] if suite.run else list(dict.fromkeys(one.run for one in every if one.run))
        if not commands:
            raise CommandFailed("no-command", "its predictions are written by training")
        return suite, commands

    def _lay_over(self, place: Checkout) -> None:
        """This run's examples; and where it is measured otherwise, what the evaluation alone reads."""
        if self.change.measuring and self.own_code:
            place.carry(self._inputs(place))
        place.link(self.suite.data)

    def _inputs(self, place: Checkout) -> list[str]:
        """The files that the evaluation alone reads, of this run and (to be removed) of the old commit; not declared, those its command names."""
        loaded, git = self.job.loaded, place.git
        base = base_of(git.root, loaded.folder)
        if not self.suite.inputs:
            named = [Path(base, word).as_posix() for word in _words(self.suite.run or "")]
            here = set(git.names("ls-files", "-z", "--full-name", ":/"))
            return [name for name in named if name in here]
        mine = [name.partition(":")[2] for name in self.print.parts if name.startswith("file:") and CACHES not in name.split("/")]
        there = [path.relative_to(place.tree).as_posix() for path in place.tree.rglob("*") if path.is_file() or path.is_symlink()]
        gone = [name for name in select(there, compile_patterns(self.suite.inputs, base=base)) if name not in set(mine)]
        mine += [name for name in gone if not (git.root / name).exists()]
        if any((git.root / name).is_symlink() for name in mine):
            tree = read_git(git, loaded.folder)
            mine += [one for name in mine for one in tree.behind(name) if not one.startswith("/")]
        kept = set(evaluation.owned(loaded, git, mine))
        return [name for name in mine if name not in kept]

    def _fetch(self, place: Checkout, config: Config) -> Path | str:
        """The baseline's model where its code expects it; a vendor's address."""
        base = self.base
        if base.trained is None:
            return base.elsewhere.uri if base.elsewhere else place.folder / (config.train.output if config.train else "model")
        model = place.room(config.train.output if config.train else base.trained.path)
        fetch(base.trained, model, self.job.world.models, env=self.job.world.env, replace=True)
        return model

    def _run(self, place: Checkout, suite: Suite, commands: list[str], config: Config, env: Mapping[str, str]) -> tuple[Table, Seen]:
        what = f"the baseline's {self.job.place(self.name, 'run')}"
        places = outputs.places(suite, self.name, folder=place.folder, run_dir=self.top)
        log = self.job.folder(self.record.id) / LOG
        seed = config.train.first_seed if config.train else None
        seen = {
            **env,
            "PYTHONPATH": ":".join([*place.imports(), *filter(None, env.get("PYTHONPATH", "").split(":"))]),
            "GIT_CEILING_DIRECTORIES": str(self.top),
            "MLOPS_RUN_DIR": str(self.top),
            "MLOPS_SEED": str(seed or 0),
            "MLOPS_CHECKPOINTS": str(self.top / "checkpoints"),
            "MLOPS_PREDICTIONS": str(places.predictions.path),
            "MLOPS_MEASURES": str(places.measures.path),
        }
        (self.top / "checkpoints").mkdir(exist_ok=True)
        model = Path(env["MLOPS_MODEL"])
        limit = suite.timeout.seconds if suite.timeout else None
        theirs = [model] if self.base.trained else self._prompts(place)
        with witness(theirs=theirs, git=place.git, models=self._own_models(), code=self.own_code, allowed=self._allowed(place)) as tell:
            for command in commands:
                ended = supervise.run(command, cwd=place.folder, env=seen, log=log, timeout_seconds=limit)
                if error := supervise.trouble(ended, what=what, log=Path(self.job.shown(log))):
                    raise error
            found = tell()
        table = outputs.collect(places, suite, config, what=what, ran=True, since=None).table
        if table is None:
            raise CommandFailed("no-predictions", f"{what} wrote no predictions")
        if self.base.trained and digest(model, cache=Cache.of(self.job.world.env)).digest != self.base.trained.digest:
            raise InvalidFile("other-model", f"{what} changed the model that it was given")
        return table, found

    def _prompts(self, place: Checkout) -> list[Path] | None:
        """What stands for a vendor's model on disk; None where the code is the model."""
        return [place.folder / name for name in self.base.elsewhere.prompts] if self.base.elsewhere else None

    def _own_models(self) -> list[Path]:
        folder, train, trained = self.job.loaded.folder, self.job.loaded.config.train, self.record.trained
        return [folder / name for name in (train.output if train else None, trained.path if trained else None) if name]

    def _allowed(self, place: Checkout) -> Callable[[str], bool]:
        """What of this checkout may be read: its examples, and what was laid over."""
        base = base_of(place.git.root, self.job.loaded.folder)
        data = compile_patterns([f"/{item}" for item in self.suite.data if "://" not in item and not item.startswith("/")], base=base)
        return lambda name: name in place.carried or bool(select([name], data))

    def _known(self, history: History) -> Table | None:
        """What the baseline's model answered when it was evaluated; None where that was not kept."""
        kept = self.base.evaluations[self.name]
        if kept.predictions is None:
            return None
        path = answer.files_of(history, self.job.state, self.job.world.models)(self.base.id, kept.predictions.path)
        task = kept.data.task if kept.data else None
        return None if path is None else read(path, task=task, positive=kept.positive, name=f"the predictions of run {self.base.id}")


def _words(command: str) -> list[str]:
    try:
        return [word.removeprefix("./") for word in shlex.split(command)]
    except ValueError:
        return command.split()
