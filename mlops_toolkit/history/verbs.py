"""`mlops history`: list, show, push, prune, forget, withdraw, release."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from mlops_toolkit.ci import Context
from mlops_toolkit.config import read
from mlops_toolkit.config.schema import HistoryOptions
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import baseline, upkeep
from mlops_toolkit.history.base import Entry, History, Recorded
from mlops_toolkit.history.branch import GitHistory
from mlops_toolkit.history.lineage import LIMIT
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.history.page import model
from mlops_toolkit.records import codec
from mlops_toolkit.system.git import Git

STATE = ".mlops"
LONGEST = 40  # of a release's name


class Outside(Protocol):
    """What this verb needs of the World, which stands above the history."""

    @property
    def cwd(self) -> Path: ...
    @property
    def root(self) -> Path: ...
    @property
    def git(self) -> Git | None: ...
    @property
    def context(self) -> Context: ...
    @property
    def forge(self) -> Any: ...
    @property
    def history(self) -> Callable[[Path, str], History]: ...
    @property
    def out(self) -> TextIO: ...
    @property
    def err(self) -> TextIO: ...


def run(args: argparse.Namespace, world: Outside) -> int:
    """Run `mlops history ACTION`; 0, or an error raised."""
    history = _open(getattr(args, "config", ""), world)
    actions = {
        "list": _list,
        "show": _show,
        "push": _push,
        "prune": _prune,
        "forget": _forget,
        "withdraw": _withdraw,
        "release": _release,
    }
    actions[getattr(args, "action", None) or "list"](history, args, world)
    for note in history.notes:
        print(f"mlops history: {note}", file=world.err)
    return 0


def _open(config: str, world: Outside) -> LocalHistory:
    try:
        path = read.discover(config, cwd=world.cwd, root=world.root)[0]
    except UsageError as error:
        if error.name != "no-config":
            raise
        made = world.history(world.cwd / STATE, HistoryOptions().at)  # without a configuration, as `compare --metrics` records
    else:
        loaded = read.load(path, root=world.root)
        made = world.history(loaded.folder / STATE, loaded.config.history.at)
    assert isinstance(made, LocalHistory)  # noqa: S101 — open_history makes no other
    return made


def _list(history: LocalHistory, args: argparse.Namespace, world: Outside) -> None:
    entries = tuple(reversed(history.entries()))
    if getattr(args, "json", False):
        world.out.write(codec.dumps({"schema": 1, "runs": list(entries), "notes": list(history.notes)}))
        return
    if not entries:
        print("no run is recorded yet", file=world.err)
        return
    rows = [("RUN", "WHEN (UTC)", "MODEL", "OF", "COMMIT", "GATE", "KEPT", "METRICS"), *map(_row, entries)]
    world.out.write(table(rows))


def _row(entry: Entry) -> tuple[str, ...]:
    of = f"#{entry.pull_request}" if entry.pull_request else entry.branch or "-"
    commit = (entry.commit or "-")[:7] + ("+" if entry.dirty else "")
    judged = "withdrawn" if entry.withdrawn else "released" if entry.released else "accepted" if entry.accepted else str(entry.gate or "-")
    gate = judged if entry.status in ("succeeded", "reused", "judged") else entry.status
    numbers = "  ".join(f"{name} {value:.4g}" for name, value in list(entry.metrics.items())[:4])
    return entry.id, entry.started[:16].replace("T", " "), model(entry), of, commit, gate, entry.where, numbers


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as aligned columns; nothing in a cell can move the cursor or break the line."""
    shown = [[_safe(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in shown)


def _safe(text: str) -> str:
    flat = "".join(c if c.isprintable() else "?" for c in text)
    return flat if len(flat) <= 120 else flat[:119] + "…"


def _the(history: LocalHistory, args: argparse.Namespace) -> Entry:
    entry = baseline.named(args.id, history.entries())
    if entry is None:
        raise UsageError("unknown-run", f'"{_safe(args.id)}" is no run id', hint="`mlops history list` shows them")
    return entry


def _show(history: LocalHistory, args: argparse.Namespace, world: Outside) -> None:
    entry = _the(history, args)
    run, result = history.run(entry.id), history.result(entry.id)
    if run is None:
        raise EnvironmentFailure(
            "history-unreadable", f"the record of run {entry.id} is not there", hint="it may have been pruned meanwhile"
        )
    if getattr(args, "json", False):
        world.out.write(codec.dumps({"run": run, "report": result}))
        return
    lines = [
        ("run", run.id),
        ("model", model(entry)),
        ("when", f"{run.started} to {run.ended or '…'}"),
        ("of", f"pull request #{run.pull_request}" if run.pull_request else run.branch or "-"),
        ("commit", (run.commit or "-") + (" with uncommitted changes" if run.dirty else "")),
        ("status", run.status + (f": {run.reason}" if run.reason else "")),
        ("gate", entry.gate or "-"),
        ("said", run.gate.sentence if run.gate else "-"),
        *(("accepted", said) for said in (run.gate.said_yes if run.gate else ())),
        ("withdrawn", run.withdrawn or "no"),
        *((("released", run.released),) if run.released else ()),
        ("kept", entry.where),
        *((name, f"{value.value:.6g} (n {value.n})" if value.value is not None else value.state) for name, value in run.metrics.items()),
        *((name, ", ".join(f"{v:.6g}" for v in measure.values[:5])) for name, measure in run.measures.items()),
    ]
    world.out.write(table(lines))


def _on_branch(history: LocalHistory) -> GitHistory:
    if not isinstance(history, GitHistory):
        raise UsageError(
            "no-remote",
            "there is no remote repository that runs are recorded in",
            hint="`git remote add origin …`, or set history.at in mlops.yaml",
        )
    return history


def _push(history: LocalHistory, _args: argparse.Namespace, world: Outside) -> None:
    """What waits, and the clean finished runs of this machine: a laptop writes to the remote when told, and this is how it is told."""
    there = _on_branch(history)
    mine = upkeep.offer(there)
    waiting = len(there.outbox.load())
    said = f"{_runs(waiting)} recorded" if waiting else "nothing waits"
    _done(
        there.push(), said + (f"; of {len(mine)} of them the numbers alone: their predictions stay on this machine" if mine else ""), world
    )


def _runs(count: int) -> str:
    return f"{count} {'run' if count == 1 else 'runs'}"


def _prune(history: LocalHistory, args: argparse.Namespace, world: Outside) -> None:
    there = _on_branch(history)
    days = getattr(args, "days", 90)
    if days < 0:
        raise UsageError("bad-days", f"{days} days are no age", where="--days")
    main = _main_line(there, world)
    done, what = upkeep.prune(there, days=days, main=main, is_open=_is_open(world))
    _done(
        done,
        f"{_runs(len(what.dropped))} dropped, {_runs(len(what.stripped))} of closed pull requests left without their predictions",
        world,
    )


def _main_line(history: GitHistory, world: Outside) -> frozenset[str]:
    """Commits and trees of the default branch; nothing is pruned where it cannot be read."""
    names = [world.context.default_branch] if world.context.default_branch else _default_branches(world.git)
    for name in names:
        line = history.ancestry(f"refs/heads/{name}", LIMIT)
        if line:
            return frozenset(x for commit in line for x in (commit.sha, commit.tree))
    raise EnvironmentFailure(
        "history-unreadable", f"the main branch ({', '.join(names)}) cannot be read from the remote", hint="nothing was pruned"
    )


def _default_branches(git: Git | None) -> list[str]:
    known = git.lines("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD") if git else []
    return [name.removeprefix("origin/") for name in known] or ["main", "master"]


def _is_open(world: Outside) -> Callable[[int], bool]:
    known: dict[int, bool] = {}

    def ask(number: int) -> bool:
        if number not in known:
            found = world.forge.pull_request(number)
            known[number] = found is None or bool(found.open)
        return known[number]

    return ask


def _forget(history: LocalHistory, args: argparse.Namespace, world: Outside) -> None:
    entry = _the(history, args)
    run = history.run(entry.id)
    done = upkeep.forget(history, entry.id)
    said = f"run {entry.id} is gone from the branch and from this machine (the server may keep unreachable objects for a while)"
    places = "".join(f"\n  {place}" for place in upkeep.elsewhere(run)) if run else ""
    _done(done, said + (f"; its examples may still stand in{places}" if places else ""), world)


def _withdraw(history: LocalHistory, args: argparse.Namespace, world: Outside) -> None:
    if not args.reason.strip():
        raise UsageError(
            "no-reason", "a run is withdrawn for a reason that others can read", where="--reason", hint='--reason "labels were shifted"'
        )
    entry = _the(history, args)
    _done(upkeep.withdraw(history, entry, args.reason.strip()), f"run {entry.id} is withdrawn: it is no baseline any more", world)


def _release(history: LocalHistory, args: argparse.Namespace, world: Outside) -> None:
    entry, name = _the(history, args), args.name.strip()
    if not name or not name.isprintable() or len(name) > LONGEST:
        raise UsageError(
            "invalid-name",
            f'"{_safe(name)}" is no name for a release: one line of at most {LONGEST} printable characters',
            where="--as",
            hint=f"mlops history release {entry.id} --as v1.2",
        )
    if entry.status not in ("succeeded", "reused") or entry.fork or entry.dirty or entry.withdrawn:
        why = "it was withdrawn" if entry.withdrawn else "it is of a fork" if entry.fork else "it was made with uncommitted changes"
        why = why if entry.status in ("succeeded", "reused") else f"it {entry.status}"
        raise UsageError("run-not-usable", f"run {entry.id} cannot be a release: {why}", hint="`mlops history list` shows others")
    others = [one for one in history.entries() if one.released and not one.withdrawn and one.key == entry.key and one.id != entry.id]
    names = {one.id: run.released for one in others if (run := history.run(one.id)) is not None}
    _done(upkeep.release(history, entry, name), f"run {entry.id} is released as {name}", world)
    for one in (one for one in others if names.get(one.id) == name):
        _done(upkeep.take_back(history, one), f"run {one.id}, which had that name, is no release any more", world)
    newer = max(
        (one for one in others if names.get(one.id) != name and one.started > entry.started), key=lambda one: one.started, default=None
    )
    on = f" of {entry.branch}" if entry.branch else ""
    print(
        f"run {newer.id} ({names.get(newer.id) or 'released'}) is newer: where a line has both, `against: release` means that one"
        if newer is not None
        else f"`against: release` means it now, for every change that starts from it or from later on the line{on}",
        file=world.out,
    )


def _done(recorded: Recorded, sentence: str, world: Outside) -> None:
    if not recorded.pushed:
        raise EnvironmentFailure("history-not-written", f"the remote did not take it: {recorded.reason}", hint="nothing is lost: try again")
    print(sentence, file=world.out)
