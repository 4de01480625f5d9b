"""The run of this checkout: the one asked for, else the last one here if it is this checkout's, else the one recorded for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlops_toolkit._version import __version__
from mlops_toolkit.ci import Context
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.history.handed import Found, Handed
from mlops_toolkit.records import run as record
from mlops_toolkit.records.run import Job, Run
from mlops_toolkit.system.clock import Clock, iso
from mlops_toolkit.system.git import Git


def fresh(git: Git | None, context: Context, clock: Clock, *, model: str, config: str) -> Run:
    """A new record of this checkout: where it is, which CI job, and nothing done yet.

    commit: what is judged (a pull request's head), tree: what is checked out (its test merge's), as a squash merge will have it.
    """
    here = git.commit("HEAD") if git else None
    return Run(
        id=record.new_id(clock),
        model=model,
        commit=context.head or (here.sha if here else None),
        tree=here.tree if here else None,
        dirty=git.dirty() if git and here else False,
        branch=context.branch or (git.branch() if git else None),
        base_branch=context.base_branch,
        pull_request=context.pull_request,
        fork=context.fork,
        event=context.event,
        config=config,
        matrix=context.matrix,
        ci=Job(provider=context.provider, run=context.run, attempt=context.attempt, job=context.job, url=context.url),
        started=iso(clock.now()),
        tool=__version__,
    )


def mismatch(run: Run, *, git: Git | None, context: Context, key: str) -> str | None:
    """Why a record is not this checkout's, as the end of a sentence; None if it is."""
    if key_of(run.config, run.model, run.matrix) != key:
        return f"is of {run.model} ({run.config})"
    here = git.commit("HEAD") if git else None
    if here is not None and run.tree != here.tree:
        return f"is of {_short(run)}, not of what is checked out"
    if context.ci and run.ci.run != context.run:
        return f"is of another CI run ({(run.ci.run or 'none')[:20]})"
    if context.ci and context.head and run.commit != context.head:
        return f"is of {_short(run)}, not of {context.head[:7]}"
    return None


def _short(run: Run) -> str:
    return f"commit {run.commit[:7]}" if run.commit else "no commit"


def _witnessed(run: Run, context: Context) -> Run:
    """A record of this CI run with what the CI itself says: the job that wrote it may have run anybody's code, and a record that
    calls itself main's would be the baseline of others."""
    if not context.ci:
        return run
    told = {"pull_request": context.pull_request, "fork": context.fork, "event": context.event, "base_branch": context.base_branch}
    return replace(run, **told, branch=context.branch or run.branch, withdrawn=None, released=None)  # type: ignore[arg-type]


def find(given: str, *, state: Path, history: History, git: Git | None, context: Context, key: str) -> Run:
    """The run to go on with.

    given: a run.json or a run id, "" for this checkout's; in a CI it is of this checkout too. UsageErrors: `no-run` where there is none, `stale-run` where the last
    one here is of another checkout, `other-model`, `unknown-run`, `ambiguous-run`.
    """
    run = _find(given, state, history, git, context, key)
    if given and context.ci:
        run = _of_checkout(run, given, git, context)
    if key_of(run.config, run.model, run.matrix) != key:
        where, name, _ = key.split("|", 2)
        raise UsageError("other-model", f"run {run.id} is of {run.model[:80]} ({run.config[:80]}), not of {name} ({where})", where="run")
    return run


def _of_checkout(run: Run, given: str, git: Git | None, context: Context) -> Run:
    """A run that a CI was told to go on with: its verdict becomes the check of this commit, so it is of that, or of the same tree."""
    here = git.commit("HEAD") if git else None
    head = context.head or (here.sha if here else None)
    if here is not None and run.commit != head and run.tree != here.tree:
        raise UsageError(
            "stale-run",
            f"the run that was asked for is of {_short(run)}, not of {(head or '')[:7]}",
            where=given[:100],
            hint="hand over the run of this very checkout",
        )
    return _witnessed(run, context) if given.endswith(".json") else run


def _find(given: str, state: Path, history: History, git: Git | None, context: Context, key: str) -> Run:
    if given:
        return _given(given, state, history, key)
    path = state / "run.json"
    stale = None
    if path.is_file():
        run = record.loads(path.read_bytes(), where=str(path))
        stale = mismatch(run, git=git, context=context, key=key)
        if stale is None:
            return _witnessed(run, context)
    for entry in reversed(history.entries()):
        if entry.key == key and context.ci and entry.ci_run == context.run and entry.commit == context.head:
            found = history.run(entry.id)
            if found is not None and mismatch(found, git=git, context=context, key=key) is None:
                return _witnessed(found, context)
    if stale is not None:
        raise UsageError(
            "stale-run", f"the run here {stale}", where=str(path), hint="run `mlops review` (or train and evaluate) again for this checkout"
        )
    raise UsageError(
        "no-run",
        "there is no run of this checkout",
        where=str(path),
        hint="run `mlops review`, or `mlops train` and `mlops evaluate`, first",
    )


def _given(given: str, state: Path, history: History, key: str) -> Run:
    path = Path(given) if Path(given).suffix == ".json" else state / "runs" / given / "run.json"
    if path.is_file():
        return record.loads(path.read_bytes(), where=str(path))
    entry = baseline.named(given, history.entries(), key)
    run = history.run(entry.id) if entry else None
    if run is None:
        raise UsageError(
            "unknown-run", f'"{given[:80]}" is no run of this repository', where="run", hint="give a run id or the path of a run.json"
        )
    return run


def handed_over(found: Found, *, history: History, git: Git | None, context: Context, config: str, model: str, state: Path) -> list[Run]:
    """The runs of a model that another job handed over, one a leg of a matrix, their files copied into our own `.mlops` folder.

    They must be this checkout's as one that lies here must be. UsageErrors: `no-run` where none is of this model, `stale-run`
    where none is of this checkout; InvalidFile `changed-file` or `id-taken`.
    """
    mine = [one for one in found.runs if (one.run.config, one.run.model) == (config, model)]
    mine = [one for one in mine if context.matrix in (None, one.run.matrix)]
    if not mine:
        passed = f": {'; '.join(found.refused[:3])}" if found.refused else ""
        message = f"no run of {model} was handed over{passed}"
        raise UsageError(
            "no-run", message, where="run", hint="does the job that trains upload .mlops, hidden files included, also when it fails?"
        )
    reasons = {one.run.id: mismatch(one.run, git=git, context=context, key=key_of(config, model, one.run.matrix)) for one in mine}
    fitting = [one for one in mine if reasons[one.run.id] is None]
    if not fitting:
        raise UsageError(
            "stale-run",
            f"the run handed over {reasons[mine[-1].run.id]}",
            where=mine[-1].where,
            hint="hand over the run of this very checkout",
        )
    latest: dict[str | None, Handed] = {}
    for one in sorted(fitting, key=lambda one: (one.run.ci.attempt, one.run.id)):
        _refuse_two(latest.get(one.run.matrix), one)
        latest[one.run.matrix] = one
    for one in latest.values():
        known = next((entry for entry in history.entries() if entry.id == one.run.id), None)
        if known is not None and (known.key, known.commit) != (key_of(config, model, one.run.matrix), one.run.commit):
            raise InvalidFile("id-taken", f"another run is recorded by the id {one.run.id}", where=one.where)
        one.take(state)
    return [_witnessed(latest[leg].run, context) for leg in sorted(latest, key=lambda leg: leg or "")]


def _refuse_two(other: Handed | None, one: Handed) -> None:
    """Two jobs of one attempt that both made this run: whichever were judged, the other's model would pass unseen."""
    if other is None or other.run.ci.attempt != one.run.ci.attempt or other.top == one.top:
        return
    if {other.run.status, one.run.status} <= {"succeeded", "reused"}:
        raise UsageError(
            "several-runs",
            f"two jobs handed over a run of {one.run.model}: {other.where} and {one.where}",
            where="run",
            hint="name the legs of a matrix at train, evaluate and compare-to-main: matrix: ${{ matrix.NAME }}",
        )
