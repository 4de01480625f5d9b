"""Whether a recorded run already answers for this checkout: plan, which then starts nothing, and compare, which judges it, ask the same.

run             nothing recorded answers: it must be trained or evaluated
recorded        a run of the same inputs is recorded
untouched       its data cannot be seen from here, and nothing else that it reads differs from the baseline, or from this pull request's last run
nothing-to-run  there is nothing to train or evaluate
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import baseline, lineage, others
from mlops_toolkit.history.base import Entry, History, key_of, same_digest
from mlops_toolkit.models import evaluation, made_of, prints
from mlops_toolkit.models.base import Store
from mlops_toolkit.records.run import Artifact, Fingerprints, Run, artifacts
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

Kind = Literal["run", "recorded", "untouched", "nothing-to-run"]
WITHOUT_DATA = (
    "pull_request",
    "merge_group",
)  # events on which data that cannot be seen may count as unchanged: the change did not touch it


@dataclass(frozen=True)
class Answer:
    """What is to be done about a model and why, as a clause; source: the recorded run that answers; prints: this checkout's."""

    kind: Kind
    reason: str
    source: Run | None = None
    prints: Fingerprints = field(default_factory=Fingerprints)


@dataclass(frozen=True)
class Question:
    """A model in this checkout.

    undeclared  what is trained or evaluated without declared data, so that a schedule could not see it change ("train.data")
    open        what is trained or evaluated without declared inputs, so that any tracked file counts ("train", "evaluate")
    idle        there is nothing to train or evaluate
    fork        whether the head is a fork's: only such a one takes a fork's run
    """

    key: str
    seen: prints.Seen
    event: str
    pull_request: int | None = None
    fork: bool = False
    undeclared: str | None = None
    open: tuple[str, ...] = ()
    idle: bool = False


def decide(
    asked: Question,
    entries: Sequence[Entry],
    *,
    run: Callable[[str], Run | None],
    lacks: Callable[[Run], str | None],
    base: Callable[[], Entry | None],
    apart: Callable[[Run, Run], str | None] = lambda base, source: None,
    also: Callable[[], Sequence[Entry]] = lambda: (),
) -> Answer:
    """The answer, from what is recorded (oldest first).

    run: a record by id. lacks: what a record's kept predictions lack of what is asked for now, as a clause. base: the baseline of this
    head. apart: how the baseline was measured otherwise than a record was, as a clause: what its model answers now is not kept with runs.
    also: what else the gate is held against, whose models are asked again for the same reasons.
    """
    made = asked.seen.prints

    def must(reason: str) -> Answer:
        return Answer("run", reason, prints=made)

    if asked.idle:
        return Answer("nothing-to-run", "there is nothing to train or evaluate", prints=made)
    if asked.event == "schedule" and asked.undeclared:
        return must(f"a schedule looks for new data, and {asked.undeclared} declares none")
    mine = [entry for entry in entries if entry.key == asked.key]
    told = asked.seen.untold is None
    equal = [e for e in mine if _same(e.train, made.train) and _same(e.evaluate, made.evaluate)] if told else []
    if not told and asked.event in WITHOUT_DATA and made.tracked is not None:
        equal = [e for e in (_last(mine, asked.pull_request), base()) if e is not None]
    trouble = None
    for entry in reversed(equal) if told else equal:
        why, source = _usable(entry, asked, run, lacks)
        trouble = trouble or why  # the likeliest one's
        if source is None:
            continue
        its = source.fingerprints
        if told and (its.train, its.evaluate) != (made.train, made.evaluate):
            continue
        if not told and not (its.tracked == made.tracked and made.train in (None, its.train)):
            continue
        if changed := _apart(source, mine, run, base, also, apart):
            trouble = f"run {source.id} is equal, but {changed}"
            break
        if told:
            return Answer("recorded", f"unchanged since {shown(source)}", source, made)
        return Answer("untouched", f"untouched since {shown(source)}; {asked.seen.untold}", source, replace(its, tracked=made.tracked))
    return must(_why(asked, mine, equal, trouble))


def _same(known: str | None, wanted: str | None) -> bool:
    """Whether a fingerprint is the wanted one; without a training (or evaluation) there is none on either side."""
    return known is None if wanted is None else same_digest(known, wanted)


def _last(mine: Sequence[Entry], pull_request: int | None) -> Entry | None:
    """This pull request's own latest run that ended well."""
    own = [e for e in mine if pull_request is not None and e.pull_request == pull_request and _objection(e, fork=True) is None]
    return own[-1] if own else None


def _objection(entry: Entry, *, fork: bool) -> str | None:
    """Why a run answers for no other, as a clause."""
    if entry.withdrawn:
        return f"run {entry.id} was withdrawn"
    if entry.fork and not fork:
        return f"run {entry.id} is of a fork"
    if entry.status not in ("succeeded", "reused") or not entry.metrics:
        return f"run {entry.id} {'has no metrics' if entry.status in ('succeeded', 'reused') else _ended(entry.status)}"
    return None


def _ended(status: str) -> str:
    return {"running": "is still running", "interrupted": "was interrupted"}.get(status, status)


def _usable(
    entry: Entry, asked: Question, run: Callable[[str], Run | None], lacks: Callable[[Run], str | None]
) -> tuple[str | None, Run | None]:
    """The entry's record where it answers; else why not."""
    why = _objection(entry, fork=asked.fork)
    source = run(entry.id) if why is None else None
    if why is None and source is None:
        why = f"the record of run {entry.id} is not to be had"
    if source is not None and (missing := lacks(source)):
        why = f"run {source.id} is equal, but {missing}"
    return why, source if why is None else None


def _apart(
    source: Run,
    mine: Sequence[Entry],
    run: Callable[[str], Run | None],
    base: Callable[[], Entry | None],
    also: Callable[[], Sequence[Entry]],
    apart: Callable[[Run, Run], str | None],
) -> str | None:
    """How what it is held against was measured otherwise than a run that answers; that is only looked for where one can have been."""
    own = made_of.own(source)  # programs that the evaluation's fingerprint knows nothing of
    if not own and all(same_digest(entry.evaluate, source.fingerprints.evaluate) for entry in mine if entry.metrics):
        return None
    known = [("the baseline", base()), *((f"run {entry.id}, which the gate is held against too,", entry) for entry in also())]
    for what, entry in known:
        if entry is None:
            continue
        other = run(entry.id) if own or not same_digest(entry.evaluate, source.fingerprints.evaluate) else None
        if other and (changed := apart(other, source)):
            return f"{what} has to be evaluated again: {changed}"
    return None


def _why(asked: Question, mine: Sequence[Entry], equal: Sequence[Entry], trouble: str | None) -> str:
    """Why it must run."""
    made = asked.seen.prints
    if not mine:
        return "it is the first run here"
    if asked.seen.untold is not None and (asked.event not in WITHOUT_DATA or not equal):
        return f"whether it changed cannot be told here: {asked.seen.untold}"
    if trouble:
        return trouble
    if asked.seen.untold is not None:
        return "what it reads changed"
    trained = made.train is None or any(_same(e.train, made.train) for e in mine)
    what, whole = ("evaluation", "evaluate") if trained else ("training", "train")
    anything = f" ({whole}.inputs is not set: every tracked file counts)" if whole in asked.open else ""
    return f"its {what} reads something new{anything}"


def shown(run: Run) -> str:
    """`run 20261124-092057-3f9a1c (main a1b2c3d)`"""
    place = " ".join(word for word in (run.branch, (run.commit or "")[:7]) if word)
    return f"run {run.id}" + (f" ({place})" if place else "")


def _question(loaded: Loaded, world: World) -> Question:
    """What is asked about a configuration in this checkout."""
    context, train, suites = world.context, loaded.config.train, prints.suites_of(loaded)
    made = [("train", train), *((f"evaluate {name}".rstrip(), suite) for name, suite in suites.items())]
    undeclared = next((f"{name}.data" for name, one in made if one and not one.data), None)
    kinds = (("train", [train]), ("evaluate", suites.values()))
    return Question(
        key=key_of(loaded.where, loaded.config.name, context.matrix),
        seen=prints.seen(loaded, world.git, world.env),
        event=context.event,
        pull_request=context.pull_request,
        fork=context.fork,
        undeclared=undeclared,
        open=tuple(name for name, ones in kinds if any(one and not one.inputs for one in ones)),
        idle=train is None and not suites,
    )


def find(loaded: Loaded, world: World, history: History) -> Answer:
    """The answer for a configuration in this checkout. Raises what is wrong everywhere: a file that cannot be read, an unreadable history."""
    context, suites = world.context, prints.suites_of(loaded)
    asked = _question(loaded, world)
    here = world.git.commit("HEAD") if world.git else None
    question = baseline.Question(key=asked.key, head=context.head or (here.sha if here else None), ci_run=context.run)
    file = files_of(history, loaded.folder / ".mlops", world.models)

    @functools.cache
    def base() -> Entry | None:
        return lineage.choose(world.git, context, history, question).entry

    def also() -> Sequence[Entry]:
        names = others.asked(loaded.config.against)
        found = others.find(names, world.git, context, history, [question]).values()
        return [choice.entry for choice in found if choice.entry]

    def apart(base: Run, source: Run) -> str | None:
        """Without a model that could be asked again, or code of another kind, running it would change nothing."""
        found = evaluation.changed(base, source, world.git).items()
        asks = [(name, c) for name, c in found if c.again and (c.examples or base.trained is not None or base.elsewhere is not None)]
        said = [", ".join((*c.measuring, *c.contents)) or f"the examples {f'of {n} ' if n else ''}changed" for n, c in asks]
        return "; ".join([*said, *made_of.redefined(base, source)]) or None

    # What lies in a CI's checkout may have been handed over by anybody: only what is on the branch answers for others there.
    entries = [entry for entry in history.entries() if not context.ci or entry.where == "recorded"]

    def lacks(run: Run) -> str | None:
        return lacking(run, loaded.config, suites, file) or made_of.lacking(run, suites, world.root)

    found = decide(asked, entries, run=history.run, lacks=lacks, base=base, apart=apart, also=also)
    chosen = prints.tried(loaded)
    if found.source is None or found.source.elsewhere is None or chosen is None:
        return found
    # The same model may be said to be the best of more by now: that is no reason to evaluate it again, but to say so.
    return replace(found, source=replace(found.source, elsewhere=replace(found.source.elsewhere, tried=chosen)))


def reused(fresh: Run, found: Answer, now: str) -> Run:
    """A complete record of this checkout whose training and evaluation were not needed. Its files are the source's: see `take`."""
    source = found.source
    assert source is not None  # noqa: S101 -- somebody answers, or nothing is reused
    commands = tuple(replace(command, exit=0, ended="reused") for command in source.commands)
    return replace(
        fresh,
        status="reused",
        source=source.source if source.status == "reused" and source.source else source.id,
        trainings=source.trainings,
        commands=commands,
        params=source.params,
        seed=source.seed,
        seeds=tuple(
            replace(one, predictions={suite: beside(kept, one.seed) for suite, kept in one.predictions.items()}) for one in source.seeds
        ),
        fingerprints=found.prints,
        environment=source.environment,
        trained=source.trained,
        evaluations={
            suite: replace(one.without_again(), predictions=one.predictions and beside(one.predictions))
            for suite, one in source.evaluations.items()
        },
        metrics=source.metrics,
        measures=source.measures,
        built_in=source.built_in,
        slices=source.slices,
        self_reported=source.self_reported,
        elsewhere=source.elsewhere,
        ended=now,
    )


def beside(kept: Artifact, seed: int | None = None) -> Artifact:
    """A file of a run (of one of its further seeds) as another run keeps it: never by the address of a store."""
    folder = "predictions" if seed is None else f"predictions/seed-{seed}"
    return replace(kept, path=f"{folder}/{Path(kept.path.rpartition('#')[2]).name}")


def take_seeds(run: Run, source: Run, file: Callable[[str, str], Path | None], state: Path) -> Run:
    """The record with a copy of the source's predictions of further seeds in its own folder; what is not here it has not."""
    made = []
    for one, its in zip(run.seeds, source.seeds, strict=True):
        here = {suite: file(source.id, kept.path) for suite, kept in its.predictions.items()}
        for suite, path in here.items():
            if path is not None:
                write_atomic(state / "runs" / run.id / one.predictions[suite].path, path.read_bytes())
        made.append(replace(one, predictions={suite: kept for suite, kept in one.predictions.items() if here.get(suite) is not None}))
    return replace(run, seeds=tuple(made))


def take(run: Run, files: Mapping[str, Path], state: Path) -> Run:
    """The record with a copy of the source's predictions (suite -> file) in its own folder; suites whose file is not here have none."""
    evaluations = dict(run.evaluations)
    for suite, one in run.evaluations.items():
        if one.predictions is None:
            continue
        if suite in files:
            write_atomic(state / "runs" / run.id / one.predictions.path, files[suite].read_bytes())
        else:
            evaluations[suite] = replace(one, predictions=None)
    return replace(run, evaluations=evaluations)


def lacking(run: Run, config: Config, suites: Mapping[str, Suite], file: Callable[[str, str], Path | None]) -> str | None:
    """What a run's kept predictions lack of what mlops.yaml asks for now, as a clause; None where nothing."""
    if run.self_reported and (config.self_reported == "refuse" or any(suite.run for suite in suites.values())):
        return "its numbers were reported by whoever trained it"
    for name, suite in suites.items():
        what = f"its predictions of {name}" if name else "its predictions"
        kept = run.evaluations.get(name)
        if kept is None:
            return f"{what} are none"
        if evaluation.other_answers(kept, suite):
            return f"{what} were read from another file"
        if kept.data is None:
            continue  # numbers alone
        path = file(run.id, kept.predictions.path) if kept.predictions else None
        if path is None and not (config.history.predictions == "none" and not suite.slices):
            return f"{what} were not kept"
        if path is not None and (column := _missing(path, suite, config, name)):
            return f"{what} were kept without {column}"
    return None


def _missing(path: Path, suite: Suite, config: Config, name: str) -> str | None:
    """A column that a slice or metric reads and that a file of predictions does not have."""
    import polars as pl

    from mlops_toolkit.config import requests
    from mlops_toolkit.predictions.conditions import mask

    try:
        frame = pl.DataFrame(schema=pl.read_parquet_schema(path))
    except (OSError, pl.exceptions.PolarsError):
        return "a readable file"
    for column in (*(s.column for s in suite.slices), *requests.columns(config, name, suite)):
        if column is not None and column not in frame.columns:
            return f"the column {column}"
    try:
        for slice_ in suite.slices:
            mask(frame, slice_.where or "TRUE", slice_.name)
    except UsageError as error:
        return f"what a slice reads: {error.message}"
    return None


def files_of(history: History, state: Path, models: Callable[[str], Store]) -> Callable[[str, str], Path | None]:
    """How a run's files are had: from the history, or, where predictions were too large for it, from the models store by digest.

    Such an artifact's path is `ADDRESS#NAME`. One that is not to be had from here is None, as one that was never kept.
    """

    def file(run_id: str, path: str) -> Path | None:
        address, mark, name = path.rpartition("#")
        if not mark:
            return history.file(run_id, path)
        # Only the history speaks of stores: the record of a run that is here has its files beside it, whoever wrote it.
        run = None if (state / "runs" / run_id / "run.json").is_file() else history.run(run_id)
        known = [one for one in artifacts(run).values() if one.path == path] if run else []
        if not known:
            return None
        kept = state / "cache" / "predictions" / known[0].sha256 / Path(name).name
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            try:
                models(address).get(address, f"sha256:{known[0].sha256}", kept)
            except EnvironmentFailure:
                return None
        return kept

    return file
