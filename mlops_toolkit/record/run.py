"""`mlops record`: take a model and its answers from where they were made, keep both as a run, and write the pointer to be committed.

The pointer is written last: killed at any instant, the one that stood there stands, and names a run that is whole.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlops_toolkit import public
from mlops_toolkit.config import params, pointer, read
from mlops_toolkit.config.pointer import Pointer
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.history.base import Bundle, History
from mlops_toolkit.history.current import fresh
from mlops_toolkit.history.local import prepare
from mlops_toolkit.home import Home
from mlops_toolkit.models.base import short
from mlops_toolkit.models.digest import digest
from mlops_toolkit.record import answers, model
from mlops_toolkit.record.answers import Answers
from mlops_toolkit.records.run import Elsewhere, Model, Run
from mlops_toolkit.report.escape import plain
from mlops_toolkit.report.words import size
from mlops_toolkit.system.clock import iso
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """Record one model; 0, or an error raised. What is cheap to refuse is refused before the model is read."""
    home = Home(_only(args.config, world), world)
    loaded = home.loaded
    path = pointer.place_of(loaded)
    if path is None:
        raise pointer.no_key(loaded)
    if args.tried < 1:
        raise UsageError(
            "bad-tried", f"a model cannot be chosen from {args.tried} candidates", where="--tried", hint="write how many were tried: 50"
        )
    given = answers.gather(args, home)
    prompts = {name: digest(file).digest for name, file in answers.prompts(args.prompt, home).items()}
    trained_with = params.read(world.cwd / args.params, where="--params") if args.params else {}
    record = _of(args.commit, fresh(world.git, world.context, world.clock, model=loaded.config.name, config=loaded.where), world)
    uri, found = model.find(args.uri, home)
    record = replace(
        record,
        status="succeeded",
        dirty=True,  # the pointer that this writes is in no commit yet: its numbers are the baseline of none
        self_reported=True,
        trained=found,
        elsewhere=Elsewhere(uri, prompts, args.tried, record.id),
        params=trained_with,
        ended=iso(world.clock.now()),
    )
    history = world.history(home.state, loaded.config.history.at)
    record = _keep(home, history, record, given)
    trouble = _send(home, history, record, given)
    _write(home, _pointer(record, uri, found), record)
    if trouble is not None:
        raise trouble
    return 0


def _only(pattern: str, world: World) -> read.Loaded:
    found = read.load_all(read.discover(pattern, cwd=world.cwd, root=world.root), root=world.root)
    if len(found) > 1:
        names = ", ".join(loaded.where for loaded in found[:5])
        raise UsageError(
            "several-models",
            f"one model is recorded at a time, and {pattern} names {names}",
            where="--config",
            hint=f"say --config {found[0].where}",
        )
    return found[0]


def _of(commit: str, record: Run, world: World) -> Run:
    """The record at the commit whose code trained the model; a full id counts also where the commit is not in this clone."""
    name = commit.strip()
    if not name:
        return record
    found = world.git.commit(name) if world.git and name.isprintable() and not name.startswith("-") else None
    if found is not None:
        return replace(record, commit=found.sha, tree=found.tree)
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        raise UsageError(
            "unknown-commit", f"{shown(name)} is no commit", where="--commit", hint="write its full id where it is not in this clone"
        )
    return replace(record, commit=name, tree=None)


def _keep(home: Home, history: History, record: Run, given: Answers) -> Run:
    """The run, whole, on this machine."""
    prepare(home.state)
    kept = {suite: home.keep(record.id, suite, table, given.sliced[suite]) for suite, table in given.tables.items()}
    record = replace(record, evaluations=kept, metrics=given.metrics, slices=given.slices, measures=given.measures)
    history.record(Bundle(record), remote=False)
    model.hold(home, record.trained, record.id)
    return record


def _send(home: Home, history: History, record: Run, given: Answers) -> MlopsError | None:
    """The run as others may see it, on its way to them: sent from a CI, waiting on a laptop until it is told. What kept it from that."""
    world = home.world
    try:
        seen, files = public.of(record, given.tables, home.loaded.config, history, home.state, world)
        bundle = Bundle(seen, None, files)
        if world.context.ci:
            sent = history.record(bundle, remote=True)
            hint = "it waits in .mlops/outbox: `mlops history push` from here, or record it again"
            return (
                EnvironmentFailure("history-not-written", f"run {record.id} was not sent: {sent.reason}", hint=hint)
                if sent.reason
                else None
            )
        if history.wait(bundle):
            home.say("`mlops history push` sends the run to where a review finds it")
    except MlopsError as error:
        return error
    for note in history.notes:
        home.say(note)
    if history.notes and any(public.HASHED in name for name in files):
        home.say("ids may be hashed otherwise than the remote's: record again where that can be read, or the predictions stay here")
    return None


def _pointer(record: Run, uri: str, found: Model | None) -> Pointer:
    texts, numbers = pointer.for_reading(record.params, {name: metric.value for name, metric in record.metrics.items()})
    assert record.elsewhere is not None  # noqa: S101  # just made
    return Pointer(
        uri=uri,
        run=record.id,
        digest=found.digest if found else None,
        size=found.size if found else None,
        kind=found.kind if found else None,
        name=pointer.name_of(found.path) if found and found.stores else None,
        tried=record.elsewhere.tried,
        recorded=record.started,
        prompts=dict(sorted(record.elsewhere.prompts.items())),
        params=dict(sorted(texts.items())),
        metrics=numbers,
    )


def _write(home: Home, made: Pointer, record: Run) -> None:
    """The pointer in its place, and what to do with it."""
    path, world = pointer.place_of(home.loaded), home.world
    assert path is not None  # noqa: S101  # run() has looked
    if not path.resolve().is_relative_to(world.root.resolve()):
        raise UsageError("outside-repository", f"{path} leads out of the repository", where=home.loaded.at("model"))
    try:
        write_atomic(path.resolve(), pointer.dumps(made, as_json=path.suffix == ".json"))
    except OSError as error:
        raise EnvironmentFailure("not-recorded", f"the pointer cannot be written: {error.strerror}", where=str(path)) from error
    what = f"{short(made.digest)}, {size(made.size)}" if made.digest and made.size is not None else "kept by its vendor"
    best = f", chosen from {made.tried:,}" if made.tried > 1 else ""
    print(f"{record.model} · {plain(made.uri, 200)} ({what}{best})", file=world.out)
    for name, metric in record.metrics.items():
        number = "—" if metric.value is None else f"{metric.value:.6g}"
        print(f"  {plain(name, 60)}  {number}{f' ± {metric.standard_error:.2g}' if metric.standard_error else ''}", file=world.out)
    home.say(f"recorded as run {record.id}; {home.shown(path)} points to it")
    _to_commit(home, [path, *(home.loaded.folder / name for name in made.prompts)])


def _to_commit(home: Home, paths: Sequence[Path]) -> None:
    """What a review elsewhere will look for, and whether git takes it."""
    git = home.world.git
    shown = [home.shown(path) for path in paths]
    home.say(f"to be committed: {', '.join(shown)}")
    for path, name in zip(paths, shown, strict=True):
        if git is not None and git("check-ignore", "--quiet", "--", str(path), check=False).status == 0:
            home.say(f"git ignores {name}: `git add --force {shlex.quote(name)}`, or let .gitignore spare it (`!{path.name}`)")
