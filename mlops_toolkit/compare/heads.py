"""Finding what is judged: the run of this checkout, one that was asked for, or a file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mlops_toolkit import answer
from mlops_toolkit.compare import sides
from mlops_toolkit.config import read
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import UsageError
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.history import baseline, current, handed
from mlops_toolkit.history.base import Entry, History, key_of
from mlops_toolkit.records.run import Run
from mlops_toolkit.system.clock import iso
from mlops_toolkit.world import World

Find = Callable[[], tuple[Loaded, "Run | None"]]


def find(args: argparse.Namespace, world: World, loaded: read.Loaded, history: History, state: Path) -> list[tuple[str | None, Find]]:
    """The heads to compare, one a leg of a matrix: the leg, and what loads it and its record (a bare file has none) or raises why not."""
    leg = world.context.matrix
    if args.head:
        kind = sides.kind_of(args.head, cwd=world.cwd)
        if kind != "name":
            made = bare(kind, args.head, args, world, loaded.config)
            return [(leg, lambda: (made, made.run))]
        return [(leg, lambda: judged(_named_run(args.head, world, history, loaded), world, history, state))]
    if args.metrics:
        return [(leg, lambda: _metrics(args, world, loaded))]
    given = _given(args.run, loaded, world)
    try:
        runs = _of_checkout(given, world, loaded, history, state)
    except UsageError as error:
        if error.name not in ("no-run", "stale-run"):
            raise
        return [(leg, partial(recorded, error, world, loaded, history, state))]
    return [(run.matrix, partial(judged, run, world, history, state)) for run in runs]


def _metrics(args: argparse.Namespace, world: World, loaded: read.Loaded) -> tuple[Loaded, Run]:
    """A metrics file of the work tree as this checkout's run."""
    run = current.fresh(world.git, world.context, world.clock, model=loaded.config.name, config=loaded.where)
    made = sides.from_metrics(world.cwd / args.metrics, None, label="this run", name=args.metrics)
    run = replace(run, metrics=dict(made.scalars), status="succeeded")
    return replace(made, run=run), run


def _of_checkout(given: str, world: World, loaded: read.Loaded, history: History, state: Path) -> list[Run]:
    """What ran for this checkout: in a folder that another job handed over, a run that was named, or the one here."""
    name, context = loaded.config.name, world.context
    if given and _folder(given, world):
        found = handed.find(world.cwd / given)
        return current.handed_over(found, history=history, git=world.git, context=context, config=loaded.where, model=name, state=state)
    key = key_of(loaded.where, name, context.matrix)
    return [current.find(given, state=state, history=history, git=world.git, context=context, key=key)]


def _folder(given: str, world: World) -> bool:
    """Whether a folder is meant. In a CI also one that is not there: where no artifact was downloaded it was never made, and holds no run."""
    place = world.cwd / given
    return place.is_dir() or (world.context.ci and not (place.exists() or place.suffix == ".json" or baseline.PREFIX.fullmatch(given)))


def _given(text: str, loaded: read.Loaded, world: World) -> str:
    """The run asked for; of several (one a line, as the other verbs put them out), the one of this configuration."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return text.strip()
    state = (loaded.folder / ".mlops").resolve()
    return next((line for line in lines if (world.cwd / line).resolve().parent == state), "")


def judged(run: Run, world: World, history: History, state: Path) -> tuple[Loaded, Run]:
    """A run that has something to compare, with its files."""
    if run.status not in ("succeeded", "reused") or not (run.metrics or run.evaluations or run.measures):
        raise UsageError(
            "run-not-evaluated",
            f"run {run.id} {_how(run)}",
            where=str(state / "run.json"),
            hint="run `mlops evaluate` first, or `mlops review` for all of it",
        )
    return sides.from_run(run, label="this run", file=answer.files_of(history, state, world.models)), run


def recorded(error: UsageError, world: World, loaded: read.Loaded, history: History, state: Path) -> tuple[Loaded, Run]:
    """Where nothing was trained for this checkout: the run that answers for it all the same, else the error that there is none."""
    found = answer.find(loaded, world, history)
    if found.source is None:
        raise UsageError(error.name, f"{error.message}; {found.reason}", where=error.where, hint=error.hint) from error
    fresh = current.fresh(world.git, world.context, world.clock, model=loaded.config.name, config=loaded.where)
    run = answer.reused(fresh, found, iso(world.clock.now()))
    file, kept = answer.files_of(history, state, world.models), {}
    for suite, evaluation in found.source.evaluations.items():
        path = file(found.source.id, evaluation.predictions.path) if evaluation.predictions else None
        if path is not None and run.evaluations[suite].predictions is not None:
            kept[suite] = path
    made = answer.take_seeds(answer.take(run, kept, state), found.source, file, state)
    note = f"nothing was trained or evaluated: {loaded.config.name} is {found.reason}"
    head = sides.from_run(made, label="this run", file=file)
    return replace(head, notes=(*head.notes, note)), made


def _how(run: Run) -> str:
    """Why there is nothing to compare: whoever reads this sees neither the command's output nor the job that it ran in."""
    if run.status == "failed":
        return f"failed: {run.reason[:200]}" if run.reason else "failed"
    return {"running": "is still running", "interrupted": "was interrupted"}.get(run.status, "has no metrics yet")


def _named_run(word: str, world: World, history: History, loaded: read.Loaded) -> Run:
    key = key_of(loaded.where, loaded.config.name, world.context.matrix)
    entry = baseline.named(word, history.entries(), key) or _at_commit(word, world, history, key)
    run = history.run(entry.id)
    if run is None:
        raise UsageError("unknown-run", f"the record of run {entry.id} is not to be had", hint="`mlops history list` shows the others")
    return run


def _at_commit(word: str, world: World, history: History, key: str) -> Entry:
    commit = world.git.commit(word) if world.git and word.isprintable() and not word.startswith("-") else None
    if commit is None:
        raise UsageError("unknown-head", f'"{word[:80]}" is no run, commit, branch or file', hint="`mlops history list` shows the runs")
    found = [e for e in history.entries() if e.key == key and commit.sha == e.commit and e.status in ("succeeded", "reused")]
    found = found or [e for e in history.entries() if e.key == key and commit.tree == e.tree and e.status in ("succeeded", "reused")]
    if not found:
        raise UsageError(
            "no-run",
            f"no run of {commit.sha[:7]} is recorded",
            hint=f"check it out and run `mlops review`: git switch --detach {commit.sha[:7]}",
        )
    return found[-1]


def bare(kind: str, word: str, args: argparse.Namespace, world: World, config: Config) -> Loaded:
    """A file given on the command line: predictions, metrics or a run.json."""
    path = world.cwd / word
    if kind == "predictions":
        evaluate = config.evaluate
        return sides.from_predictions(
            path,
            label=word,
            task=args.task or (evaluate.task if evaluate else None),
            positive=args.positive or (evaluate.positive if evaluate else None),
        )
    if kind == "metrics":
        return sides.from_metrics(path, None, label=word, name=word)
    return sides.from_record(path, label=word)
