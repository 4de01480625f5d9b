"""Finding the two sides of a comparison, and what is asked of it: the shell before the pure part."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_toolkit import answer
from mlops_toolkit.announce import Known, known
from mlops_toolkit.compare import called, heads, others, reported, ruling, sides, tries
from mlops_toolkit.config import flags, read
from mlops_toolkit.config.schema import Config, Evaluate, HistoryOptions
from mlops_toolkit.errors import Cancelled, Defect, MlopsError, UsageError, of_system
from mlops_toolkit.gate.loaded import Loaded, Other
from mlops_toolkit.gate.request import Request
from mlops_toolkit.history import baseline, current, lineage
from mlops_toolkit.history.base import History
from mlops_toolkit.models import evaluation
from mlops_toolkit.records.result import Side
from mlops_toolkit.records.run import Run
from mlops_toolkit.world import World

STATE = ".mlops"
Files = Callable[[str, str], Path | None]


@dataclass(frozen=True)
class Job:
    """One comparison to make: everything the pure part needs, and where its outcome goes.

    run     the head's record, None where the head is a bare file
    state   the `.mlops` folder; where: the configuration's path in the repository
    others  what else the gate is held against
    look    of a stranger's run, which is not kept: what is recorded so that this look counts; None where it is known already
    configuration  its file, where that does not stand beside the `.mlops` folder
    """

    request: Request
    baseline: Loaded | None
    head: Loaded
    state: Path
    where: str
    salt: str | None = None
    run: Run | None = None
    history: History | None = None
    keep: bool = False
    configuration: Path | None = None
    others: tuple[Other, ...] = ()
    look: Run | None = None

    @property
    def path(self) -> Path:
        """Of its configuration."""
        return self.configuration or self.state.parent / Path(self.where).name


@dataclass(frozen=True)
class Broken:
    """A model (or leg of a matrix) that cannot be compared, and why: the others still are. state: its `.mlops` folder."""

    error: MlopsError
    model: Known
    state: Path


def jobs(args: argparse.Namespace, world: World) -> Sequence[Job | Broken]:
    """What the command line asks for: two bare files, a metrics file alone, or a comparison for every configuration.

    Raises what is wrong with all of it: no configuration at all, two models of one name, a history that cannot be read, a cancel.
    """
    words = [word for word in (args.base, args.head) if word]
    kinds = [sides.kind_of(word, cwd=world.cwd) for word in words]
    if len(words) == 2 and all(kind in ("predictions", "metrics") for kind in kinds):
        return [_bare(args, world, kinds)]
    if world.apart is not None:
        from mlops_toolkit.compare import trusted

        return trusted.jobs(args, world)
    try:
        paths = read.discover(args.config, cwd=world.cwd, root=world.root)
    except UsageError as error:
        if error.name != "no-config" or not (args.metrics or words):
            raise
        if args.metrics:
            return [_metrics_alone(args, world)]
        if all(kind == "record" for kind in kinds) and len(words) == 2:
            return [_records(args, world)]
        raise _alone(error, words, kinds, world.cwd) from None
    return each(paths, world, lambda loaded: _configured(loaded, args, world))


def _alone(error: UsageError, words: Sequence[str], kinds: Sequence[str], cwd: Path) -> UsageError:
    """What is missing where files are named and there is no configuration to compare a run by."""
    for word, kind in zip(words, kinds, strict=True):
        if kind == "name" and (cwd / word).exists():
            what = "a folder" if (cwd / word).is_dir() else "no regular file"
            return UsageError("no-such-file", f"{word} is {what}", hint="give a file of predictions, as CSV, Parquet or JSON lines")
    if len(words) == 1 and kinds[0] in ("predictions", "metrics"):
        error.hint = f"to compare two files, name both: mlops compare {shlex.quote(words[0])} OTHER\n{error.hint}"
    return error


def each(paths: Sequence[Path], world: World, make: Callable[[read.Loaded], Sequence[Job | Broken]]) -> list[Job | Broken]:
    """The comparisons of every configuration, as `make` makes them; what is wrong with one of them stands in its place."""
    made: list[Job | Broken] = []
    readable = []
    for path in paths:
        with standing_in(made, path, world):
            read.load(path, root=world.root)
            readable.append(path)
    for loaded in read.load_all(readable, root=world.root):
        with standing_in(made, loaded.path, world):
            made += make(loaded)
    return made


@contextlib.contextmanager
def standing_in(made: list[Any], path: Path, world: World, matrix: str | None = None) -> Iterator[None]:
    """What is wrong with one model goes on the list, in its place."""
    leg = matrix or world.context.matrix
    try:
        yield
    except (Cancelled, Defect):
        raise
    except (MlopsError, OSError) as error:
        wrong = error if isinstance(error, MlopsError) else of_system(error)
        if wrong is None or wrong.name == "history-unreadable":
            raise  # a defect, or wrong for the others too
        made.append(Broken(wrong, known(path, world.root, leg) or Known(path.parent.name, matrix=leg), world.state(path.parent)))


def _flags(args: argparse.Namespace, *, name: str) -> Config:
    """A configuration from the command line alone."""
    return flags.read(metric=args.metric, slices=args.slice, gate=args.gate, task=args.task, positive=args.positive, name=_model_name(name))


def _overlaid(config: Config, args: argparse.Namespace) -> Config:
    """mlops.yaml with what the command line says instead."""
    if not (args.metric or args.slice or args.gate or args.task or args.positive):
        return config
    said = _flags(args, name=config.name)
    assert said.evaluate is not None  # noqa: S101  # flags.read always makes one
    given = {"metrics": said.evaluate.metrics, "slices": said.evaluate.slices, "task": args.task, "positive": args.positive}
    evaluate = replace(config.evaluate or Evaluate(), **{name: value for name, value in given.items() if value})
    return replace(config, evaluate=evaluate, gate={**config.gate, **said.gate})


def _bare(args: argparse.Namespace, world: World, kinds: Sequence[str]) -> Job:
    """Two files and nothing else: no configuration, no repository, no network."""
    config = _flags(args, name=Path(args.head).stem)
    if kinds[0] != kinds[1]:
        said = " and ".join(f"{word} ({kind})" for word, kind in zip((args.base, args.head), kinds, strict=True))
        raise UsageError("kinds-differ", f"{said} cannot be compared", hint="give two predictions files, or two metrics files")
    words = args.base, args.head
    if kinds[0] == "predictions":
        base, head = sides.both(lambda word: heads.bare("predictions", word, args, world, config), words)
    else:
        base, head = (heads.bare("metrics", word, args, world, config) for word in words)
    request = Request(
        config=config,
        baseline=Side(label=base.label),
        head=Side(label=head.label),
        today=world.clock.now().date(),
        configured=False,
    )
    return Job(request, base, head, world.cwd / STATE, "")


def _records(args: argparse.Namespace, world: World) -> Job:
    """Two run.json files without a configuration."""
    base, head = sides.both(lambda word: sides.from_record(world.cwd / word, label=word), (args.base, args.head))
    assert head.run is not None  # noqa: S101  # from_record always has one
    config = _flags(args, name=head.run.model)
    request = Request(config, _side(base.run, base.label, None), _side(head.run, head.label, None), world.clock.now().date())
    return Job(request, base, head, world.cwd / STATE, "", run=None)


def _side(run: Run | None, label: str | None, choice: baseline.Choice | None) -> Side:
    return Side(
        commit=run.commit if run else None,
        run=run.id if run else None,
        state=choice.state if choice else "ok",
        note=choice.note if choice else None,
        label=label,
        branch=run.branch if run else None,
        behind=choice.behind if choice else (),
        url=run.ci.url if run else None,
        started=run.started if run else None,
        self_reported=bool(run and run.self_reported),
    )


def _metrics_alone(args: argparse.Namespace, world: World) -> Job:
    """Zero configuration: a metrics file of the work tree against the history's, else the file at the base commit, else a first run."""
    name = (world.context.repository or world.root.name).rpartition("/")[2]
    config = _flags(args, name=name)
    path = world.cwd / args.metrics
    head = sides.from_metrics(path, None, label="this run", name=args.metrics)
    state = world.cwd / STATE
    history = world.history(state, HistoryOptions().at)
    where = (
        path.resolve().relative_to(world.root.resolve()).as_posix() if path.resolve().is_relative_to(world.root.resolve()) else args.metrics
    )
    run = current.fresh(world.git, world.context, world.clock, model=config.name, config=where)
    run = replace(run, metrics=dict(head.scalars), status="succeeded")
    known = baseline.usable(called.question(run), history.entries())
    line = lineage.find(world.git, world.context, history.ancestry, base=args.base or None, known=known)
    choice = baseline.pick(called.question(run), history.entries(), line)
    found: Loaded | None = None
    if choice.entry is not None and (recorded := history.run(choice.entry.id)) is not None:
        found = Loaded(label=choice.label or "main", run=recorded, scalars=recorded.metrics)
    elif world.git is not None and line.steps:
        content = lineage.content(world.git, history, line.steps[0].commit, where)
        if content is not None:
            found = sides.from_metrics(None, content, label=line.label or "main", name=f"{args.metrics} at {line.steps[0].commit[:7]}")
            choice = replace(choice, state="ok", note=f"{args.metrics} at {line.steps[0].commit[:7]}, {line.reason}", label=line.label)
    base_side = _side(found.run if found else None, choice.label, choice)
    if found and found.run is None:
        base_side = replace(base_side, commit=line.steps[0].commit)
    request = Request(
        config,
        base_side,
        _head_side(run, world, other=base_side.label),
        world.clock.now().date(),
        options=f" --metrics {shlex.quote(args.metrics)}",
    )
    return Job(request, found, replace(head, run=run), state, where, run=run, history=history, keep=True)


def _model_name(text: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in text if c.isascii()).lstrip("._-")
    return kept[:100] or "model"


def _head_side(run: Run | None, world: World, *, other: str | None) -> Side:
    """The head's column is "this PR" where there is one, else its branch, or "this run" where the baseline's is called that."""
    branch = run.branch if run and run.branch != other else None
    label = "this PR" if world.context.pull_request else branch or "this run"
    return _side(run, label, None)


def _configured(loaded: read.Loaded, args: argparse.Namespace, world: World) -> list[Job | Broken]:
    """The run of this checkout (or HEAD as asked for) against its baseline (or BASE as asked for), by mlops.yaml; one a leg of a matrix."""
    config = _overlaid(loaded.config, args)
    state = loaded.folder / STATE
    history = world.history(state, config.history.at)
    made: list[Job | Broken] = []
    for leg, find in heads.find(args, world, loaded, history, state):
        with standing_in(made, loaded.path, world, leg):
            head, run = find()
            made.append(against(replace(loaded, config=config), head, run, args, world, history))
    return made


def against(loaded: read.Loaded, head: Loaded, run: Run | None, args: argparse.Namespace, world: World, history: History) -> Job:
    """One head against its baseline. history: where the head's configuration keeps its runs.

    What it is compared with lies where the base branch keeps its own: a change that names another place would meet nothing there, and
    pass as a first run. A fork's is recorded there, too.
    """
    config, state = loaded.config, loaded.folder / STATE
    own = run or current.fresh(world.git, world.context, world.clock, model=config.name, config=loaded.where)
    base_kind = sides.kind_of(args.base, cwd=world.cwd) if args.base else "name"

    def followed(place: History) -> baseline.Lineage:
        asked = None if base_kind != "name" else called.commitish(args.base, place, own)
        known = frozenset().union(*(baseline.usable(called.question(one), place.entries()) for one in called.names(own, place, world)))
        return lineage.find(world.git, world.context, place.ancestry, base=asked, known=known)

    line = followed(history)
    base_config, notes = ruling.of_base(loaded, world, history, line, args, [one.config for one in called.names(own, history, world)])
    to = history
    if base_config is not None and base_config.history.at != config.history.at:
        history = world.history(state, base_config.history.at)
        line, to = followed(history), history if world.context.fork else to
    file = answer.files_of(history, state, world.models)
    if base_kind != "name":
        base: Loaded | None = heads.bare(base_kind, args.base, args, world, config)
        base_side = _side(base.run if base else None, args.base, None)
    else:
        choice, said = called.chosen(args.base, history, own, line, world)
        notes = (*notes, *said)
        base = _recorded(history, choice, file)
        if base is not None and run is not None:
            base = sides.renewed(base, run, file=file)
        base_side = _side(base.run if base else None, choice.label or "main", choice)
        if base is None and choice.entry is None:
            base_side = replace(base_side, commit=line.steps[0].commit if line.steps else None)
    found = others.find(own, run, world, history, line, (config, base_config), file) if base_kind == "name" else ()
    if refused := reported.refused(run, config, base_config, world.clock.now().date()):
        raise refused
    looks, look = tries.looks(history.entries(), own)
    from mlops_toolkit.gate.held import scope  # here: it loads numpy, and files are to be read before that is done

    lucky = "recipe" in (scope(config), scope(base_config or config))
    request = Request(
        config=config,
        baseline=base_side,
        head=_head_side(run, world, other=base_side.label) if run else Side(label=head.label),
        today=world.clock.now().date(),
        base_config=base_config,
        forks_gate=world.context.fork and base_config is not None,
        notes=(
            *notes,
            *reported.notes(run, base.run if base else None, config, base_config),
            *tries.trained_before(history.entries(), own),
        ),
        options="" if loaded.where == read.DEFAULT else f" --config {shlex.quote(loaded.where)}",
        looks=looks,
        look=look,
        spread=tries.spread(history, base.run if base else None, (base_side.label, base_side.branch)) if lucky else None,
        evaluation=evaluation.changed(base.run, run, world.git) if base is not None and base.run is not None and run is not None else {},
    )
    if base is not None and head.hashed - base.hashed:
        base = sides.hashed_like(base, head, history.salt())
    salt = history.salt() if base is not None and base.hashed - head.hashed else None
    found = others.hashed_alike(found, head, history)
    return Job(request, base, head, state, loaded.where, salt=salt, run=run, history=to, keep=run is not None, others=found)


def _recorded(history: History, choice: baseline.Choice, file: Files) -> Loaded | None:
    if choice.entry is None:
        return None
    run = history.run(choice.entry.id)
    return None if run is None else sides.from_run(run, label=choice.label or "main", file=file)
