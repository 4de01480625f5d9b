"""Tidying the history: what prune drops, how a run is forgotten for good, withdrawn as a baseline or marked as released, which local runs can be sent.

What is dropped really leaves the branch: it is replaced by one commit without parents, unless somebody recorded meanwhile (then again).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.history import page
from mlops_toolkit.history.base import Bundle, Entry, Recorded
from mlops_toolkit.history.branch import GitHistory, without_examples
from mlops_toolkit.history.entry import of_run
from mlops_toolkit.history.local import LocalHistory, bundle_files
from mlops_toolkit.history.snapshot import Snapshot, folder
from mlops_toolkit.history.stream import Draft
from mlops_toolkit.records import run as record
from mlops_toolkit.records.publication import Deployed
from mlops_toolkit.records.run import Publication, Run
from mlops_toolkit.system.clock import iso

REPORTS = ("comment.md", "report.html", "junit.xml")  # beside report.json, from the same result


@dataclass(frozen=True)
class Pruning:
    """Ids of runs that go, and of runs that only lose their predictions (their pull request is closed)."""

    dropped: tuple[str, ...] = ()
    stripped: tuple[str, ...] = ()


def plan(entries: Iterable[Entry], *, now: datetime, days: int, main: frozenset[str], is_open: Callable[[int], bool]) -> Pruning:
    """What prune does. Released runs, runs on main's line (by commit or tree) and those of open pull requests stay, the young ones too.

    main     commits and trees of main's first-parent line
    is_open  whether a pull request is open; True also where that cannot be known
    """
    oldest = iso(now.astimezone(timezone.utc) - timedelta(days=days))
    dropped, stripped = [], []
    for entry in entries:
        if entry.released or entry.commit in main or entry.tree in main:
            continue
        if entry.pull_request is not None and is_open(entry.pull_request):
            continue
        if entry.started < oldest:
            dropped.append(entry.id)
        elif entry.pull_request is not None:
            stripped.append(entry.id)
    return Pruning(tuple(dropped), tuple(stripped))


def prune(history: GitHistory, *, days: int, main: frozenset[str], is_open: Callable[[int], bool]) -> tuple[Recorded, Pruning]:
    """Rewrite the branch without what `plan` drops."""
    done = Pruning()

    def draft(now: Snapshot) -> Draft | None:
        nonlocal done
        done = plan(now.index.entries.values(), now=history.clock.now(), days=days, main=main, is_open=is_open)
        done = Pruning(done.dropped, tuple(history.reader.holding(now, done.stripped, "predictions")))
        if not done.dropped and not done.stripped:
            return None
        index = now.index.without(done.dropped)
        gone = [folder(run) for run in done.dropped] + [f"{folder(run)}/predictions" for run in done.stripped]
        message = f"Prune {len(done.dropped)} runs, and the predictions of {len(done.stripped)}"
        return Draft(message, {**page.files(index, history.remote.page()), "index.jsonl": index.dump()}, gone)

    return history.publish(draft, anew=True), done


def offer(history: GitHistory) -> list[str]:
    """Put the clean finished runs that only this machine knows into the outbox, numbers without predictions; their ids."""
    offered = []
    for entry in history.entries():
        if entry.where != "here" or entry.dirty or entry.commit is None or entry.status not in ("succeeded", "reused"):
            continue
        run = history.run(entry.id)
        if run is not None:
            bare = {
                suite: dataclasses.replace(e, predictions=None, baseline_predictions=None, also={}, rescored={})
                for suite, e in run.evaluations.items()
            }
            seeds = tuple(dataclasses.replace(one, predictions={}) for one in run.seeds)
            public = dataclasses.replace(run, evaluations=bare, seeds=seeds, artifacts={}, self_reported=True)
            history.outbox.put(entry.id, bundle_files(without_examples(Bundle(public, history.result(entry.id)))), history.salt())
            offered.append(entry.id)
    return offered


def forget(history: LocalHistory, run_id: str) -> Recorded:
    """Remove a run everywhere we can: record, predictions, pictures, from the branch with all its earlier commits, and from this machine
    with the reports that speak of it."""
    done = Recorded(True)
    if isinstance(history, GitHistory):
        remote = history.remote.page()

        def draft(now: Snapshot) -> Draft | None:
            if run_id not in now.index.lines:
                return None
            index = now.index.without([run_id])
            return Draft("Forget a run", {**page.files(index, remote), "index.jsonl": index.dump()}, [folder(run_id)])

        done = history.publish(draft, anew=True)
        if not done.pushed:
            return done
    last = history.state / "run.json"
    if last.is_file() and _id_of(last.read_bytes()) == run_id:
        last.unlink()
    for path in (f"runs/{run_id}", f"outbox/{run_id}", "cache/files", "cache/history.git", "cache/predictions"):
        shutil.rmtree(history.state / path, ignore_errors=True)
    for report in (history.state / "report.json", *(history.state / "runs").glob("*/report.json")):
        if report.is_file() and run_id.encode() in report.read_bytes():
            report.unlink()
            if report.parent == history.state:
                for name in REPORTS:
                    (history.state / name).unlink(missing_ok=True)
                shutil.rmtree(history.state / "charts", ignore_errors=True)
    return done


def elsewhere(run: Run) -> list[str]:
    """Where a run's examples may still be seen that is not ours to empty."""
    places = [f"the comment of pull request #{run.pull_request}"] if run.pull_request else []
    places += [f"the summary and artifacts of {run.ci.url or f'CI run {run.ci.run}'}"] if run.ci.run else []
    return [*places, "the reports of runs that were compared with it"]


def _id_of(raw: bytes) -> str | None:
    try:
        return record.loads(raw, where="run.json").id
    except InvalidFile:
        return None


def withdraw(history: LocalHistory, entry: Entry, reason: str) -> Recorded:
    """Keep a run, but never again as a baseline."""
    return _marked(history, entry, f"Withdraw {entry.id}", withdrawn=reason)


def release(history: LocalHistory, entry: Entry, name: str) -> Recorded:
    """Say of a run that its model was released under a name; of the released runs of a line `against: release` means the newest one."""
    return _marked(history, entry, f"Release {entry.id}", released=name)


def published(history: LocalHistory, entry: Entry, what: Publication, name: str | None) -> Recorded:
    """Say of a run where its model was published, once an image. name: what it is released as by it, None where that is no release."""
    tell = f"Publish {entry.id}" if name is None else f"Release {entry.id}"
    return _changed(history, entry, tell, lambda run: with_publication(run, what, name))


def with_publication(run: Run, what: Publication, name: str | None) -> Run:
    """The record with a publication; of one image there is one, with all the tags that it ever got, and when it first was. Pure."""
    same = [one for one in run.published if (one.image, one.digest) == (what.image, what.digest)]
    if same:
        tags = tuple(dict.fromkeys((*same[0].tags, *what.tags)))
        what = dataclasses.replace(what, tags=tags, at=same[0].at or what.at)
    others = tuple(one for one in run.published if (one.image, one.digest) != (what.image, what.digest))
    return dataclasses.replace(run, published=(*others, what), released=run.released if name is None else name)


def deployed(history: LocalHistory, entry: Entry, what: Deployed) -> Recorded:
    """Say of a run that a release of its model has the traffic of an environment now; one that was withdrawn is good again by that."""
    return _changed(history, entry, f"Deploy {entry.id} to {what.environment}", lambda run: with_deployment(run, what))


def replaced(history: LocalHistory, entry: Entry, environment: str, name: str, until: str, *, withdrawn: str | None = None) -> Recorded:
    """Say of a run that its model has no traffic of an environment any more. withdrawn: why it was taken back, where it was."""
    tell = f"{'Withdraw' if withdrawn else 'Replace'} {entry.id} in {environment}"
    return _changed(history, entry, tell, lambda run: without_deployment(run, environment, name, until, withdrawn))


def with_deployment(run: Run, what: Deployed) -> Run:
    """The record with a deployment, once: the same one that is told again keeps when it began. Pure."""
    lasting = [one for one in run.deployed if _same_place(one, what.environment, what.name) and one.until is None]
    if any(one.digest == what.digest for one in lasting):
        return dataclasses.replace(run, withdrawn=None)
    ended = tuple(dataclasses.replace(one, until=what.at) if one in lasting else one for one in run.deployed)
    return dataclasses.replace(run, deployed=(*ended, what), withdrawn=None)


def without_deployment(run: Run, environment: str, name: str, until: str, withdrawn: str | None = None) -> Run:
    """The record with what lasted there ended, and withdrawn where there is a reason. Pure."""
    deployed = tuple(
        dataclasses.replace(one, until=until) if _same_place(one, environment, name) and one.until is None else one for one in run.deployed
    )
    return dataclasses.replace(run, deployed=deployed, withdrawn=withdrawn or run.withdrawn)


def _same_place(one: Deployed, environment: str, name: str) -> bool:
    return (one.environment, one.name) == (environment, name)


def take_back(history: LocalHistory, entry: Entry) -> Recorded:
    """Say of a run that its model was not released after all: its name is another run's now. It stays a baseline."""
    return _marked(history, entry, f"{entry.id} is no release", released=None)


def _marked(history: LocalHistory, entry: Entry, message: str, **changes: str | None) -> Recorded:
    return _changed(history, entry, message, lambda run: dataclasses.replace(run, **changes))  # type: ignore[arg-type]


def _changed(history: LocalHistory, entry: Entry, message: str, change: Callable[[Run], Run]) -> Recorded:
    """The run with its record changed, wherever it is kept: on the branch, in the outbox, on this machine."""
    done = Recorded(True)

    def changed(raw: bytes) -> Run:
        return change(record.loads(raw, where="run.json"))

    if isinstance(history, GitHistory) and entry.where == "recorded":
        remote = history.remote.page()

        def draft(now: Snapshot) -> Draft | None:
            path = history.fetched(now, entry.id, "run.json")
            if path is None:
                return None
            raw = path.read_bytes()
            run = changed(raw)
            if record.dumps(run).encode() == raw:
                return None
            index = now.index.with_entries([of_run(run)])
            files = {f"{folder(entry.id)}/run.json": record.dumps(run).encode(), **page.files(index, remote), "index.jsonl": index.dump()}
            return Draft(message, files)

        done = history.publish(draft)
    if isinstance(history, GitHistory):
        for waiting in history.outbox.load():
            if waiting.id == entry.id:
                kept = record.dumps(changed(waiting.files["run.json"])).encode()
                history.outbox.put(entry.id, {**waiting.files, "run.json": kept}, waiting.salt)
    here = history.state / "runs" / entry.id / "run.json"
    if here.is_file():
        history.keep({"run.json": record.dumps(changed(here.read_bytes())).encode()}, entry.id)
    return done
