"""Which recorded run a model is compared with: one pure rule over the entries and a line of commits.

The rule walks first parents from the start that `lineage` found, to the nearest commit with an eligible run: of the same model, ended
well, with numbers, its gate not failed (unless accepted), not withdrawn, never from a fork, of a clean work tree, never the head itself.
A run belongs to a commit by its commit id, or by its tree, whatever event made it: a squash merge has the pull request's tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.errors import UsageError
from mlops_toolkit.history.base import Entry

RUNNING = "it is still running"
State = Literal["ok", "behind", "still-running", "first-run"]
PREFIX = re.compile(r"[0-9]{8}-[0-9]{1,6}(-[0-9a-f]{0,6})?")


@dataclass(frozen=True)
class Question:
    """Whose baseline is asked for: the section's key, and the head as far as it is known (its run is never its own baseline)."""

    key: str
    head: str | None = None
    run: str | None = None
    ci_run: str | None = None


@dataclass(frozen=True)
class Step:
    """A commit on the line: full ids, and the first line of its message."""

    commit: str
    tree: str
    subject: str = ""

    @property
    def line(self) -> str:
        """`a1b2c3d Fix the tokenizer`"""
        return f"{self.commit[:7]} {self.subject}".rstrip()


@dataclass(frozen=True)
class Lineage:
    """First parents from the start, newest first, and the reason of the start in words ("the test merge's first parent").

    label     what the baseline's column is called: main, v1.2
    released  only released runs count while there is one: a tag is compared with the previous release
    cut       why the line ends early (a shallow clone whose rest could not be fetched), None where it is whole
    """

    steps: tuple[Step, ...] = ()
    reason: str = ""
    label: str | None = None
    released: bool = False
    cut: str | None = None


@dataclass(frozen=True)
class Choice:
    """The baseline, or none and why. `behind`: commits of the line that the baseline lacks, `sha subject`, newest first.

    considered: (run id, why not) of the runs of this model that stand on the line and were passed over, nearest first.
    """

    entry: Entry | None
    state: State
    note: str
    behind: tuple[str, ...] = ()
    considered: tuple[tuple[str, str], ...] = ()
    label: str | None = None


def pick(question: Question, entries: Iterable[Entry], lineage: Lineage) -> Choice:
    """The nearest eligible run on the line."""
    mine = [entry for entry in entries if entry.key == question.key]
    refused: list[tuple[str, str]] = []
    if lineage.released:
        released = _walk(question, [e for e in mine if e.released], lineage, [])
        if released is not None:
            return _chosen(lineage, released, refused, None)
    found = _walk(question, mine, lineage, refused)
    running = next((run for run, why in refused if why == RUNNING), None)
    if found is not None:
        return _chosen(lineage, found, refused, running)
    return Choice(None, "first-run", _nothing(question, lineage, mine, refused, running), (), tuple(refused), lineage.label)


def _walk(question: Question, mine: Sequence[Entry], lineage: Lineage, refused: list[tuple[str, str]]) -> tuple[int, Entry] | None:
    for place, step in enumerate(lineage.steps):
        here = [entry for entry in mine if belongs(entry, step)]
        for entry in sorted(here, key=lambda e: (e.commit == step.commit, e.event != "laptop", e.id), reverse=True):
            why = objection(question, entry, step)
            if why is None:
                return place, entry
            if (entry.id, why) not in refused:
                refused.append((entry.id, why))
    return None


def belongs(entry: Entry, step: Step) -> bool:
    """Whether a run is of this commit: the same tree, or the same commit unless it is known to have tested another tree (a test merge)."""
    if entry.tree is not None:
        return entry.tree == step.tree
    return entry.commit == step.commit


def objection(question: Question, entry: Entry, step: Step) -> str | None:
    """Why a run that stands on the line is no baseline; None where it is one."""
    if entry.id == question.run or (entry.commit is not None and entry.commit == question.head and step.commit != question.head):
        return "it is the head itself"
    if entry.ci_run is not None and entry.ci_run == question.ci_run and entry.commit == question.head:
        return "it is of the same CI run"
    if entry.fork:
        return "it is of a fork"
    if entry.dirty:
        return "it was made with uncommitted changes"
    if entry.withdrawn:
        return "it was withdrawn"
    if entry.status == "running":
        return RUNNING
    if entry.status not in ("succeeded", "reused"):
        return (
            f"it was {entry.status}"
            if entry.status == "interrupted"
            else "it is a stranger's"
            if entry.status == "judged"
            else f"it {entry.status}"
        )
    if entry.gate == "failed" and not entry.accepted:
        return "its gate failed"
    if not entry.metrics:
        return "it has no metrics"
    return None


def usable(question: Question, entries: Iterable[Entry]) -> frozenset[str]:
    """Commits and trees that have a run which could be the baseline: where the line meets one of them it is long enough."""
    good = (e for e in entries if e.key == question.key and e.commit != question.head)
    good = (e for e in good if objection(question, e, Step(e.commit or "", e.tree or "")) is None)
    return frozenset(name for e in good for name in (e.commit, e.tree) if name)


def _chosen(lineage: Lineage, found: tuple[int, Entry], refused: list[tuple[str, str]], running: str | None) -> Choice:
    place, entry = found
    behind = tuple(step.line for step in lineage.steps[:place])
    step = lineage.steps[place]
    note = f"compared with run {entry.id} of {step.commit[:7]} ({lineage.reason})"
    if entry.commit != step.commit and entry.tree == step.tree:
        note += ", recorded for the same tree" + (f" by pull request #{entry.pull_request}" if entry.pull_request else "")
    if behind:
        nearer = {run: why for run, why in refused if why != RUNNING}
        note += f"; {len(behind)} {'commit' if len(behind) == 1 else 'commits'} behind"
        note += f" (nearer, but not used: {'; '.join(f'{run}: {why}' for run, why in list(nearer.items())[:3])})" if nearer else ""
    state: State = "still-running" if running else "behind" if behind else "ok"
    if running:
        note += f"; run {running} of a nearer commit is still running"
    return Choice(entry, state, note, behind, tuple(refused), lineage.label)


def _nothing(question: Question, lineage: Lineage, mine: Sequence[Entry], refused: list[tuple[str, str]], running: str | None) -> str:
    model = question.key.split("|")[1] if question.key.count("|") >= 2 else question.key
    if not lineage.steps:
        text = f"no commit to compare with: {lineage.cut or lineage.reason or 'there is no earlier commit'}"
    elif running:
        text = f"the first run of {model} on this line, {running}, is still running"
    elif refused:
        run, why = refused[0]
        text = f"no run of {model} to compare with was found ({lineage.reason}): {run}: {why}" + (
            f", and {len(refused) - 1} more" if refused[1:] else ""
        )
    elif others := sum(entry.id != question.run for entry in mine):  # the head's own run is news to nobody
        known = f"none of the {others} recorded runs of {model} is" if others > 1 else f"the recorded run of {model} is not"
        text = f"{known} of a commit on this line ({lineage.reason})"
    else:
        text = f"no run of {model} is recorded yet"
    return text + (f"; the line was cut off: {lineage.cut}" if lineage.cut and lineage.steps else "")


def named(text: str, entries: Iterable[Entry], key: str | None = None) -> Entry | None:
    """The run that `text` names by its id or the beginning of it; None where it does not look like a run id.

    UsageError `unknown-run` where it does and there is none, `ambiguous-run` where several begin so.
    """
    if not PREFIX.fullmatch(text):
        return None
    known = [e for e in entries if e.id.startswith(text)]
    fitting = [e for e in known if key is None or e.key == key] or known
    if not fitting:
        raise UsageError("unknown-run", f"no recorded run begins with {text}", hint="`mlops history list` shows them")
    if len({e.id for e in fitting}) > 1:
        ids = ", ".join(sorted(e.id for e in fitting)[:4])
        raise UsageError("ambiguous-run", f"{len(fitting)} runs begin with {text}: {ids}", hint="write more of the id")
    return fitting[0]


def as_asked(entry: Entry) -> Choice:
    """The choice of a run that was asked for by name: whatever its gate said, but it must have ended with numbers."""
    if entry.status not in ("succeeded", "reused") or not entry.metrics:
        why = (
            "is still running" if entry.status == "running" else f"{entry.status} and has no numbers" if not entry.metrics else entry.status
        )
        raise UsageError(
            "run-not-usable", f"run {entry.id} {why}: there is nothing to compare with", hint="`mlops history list` shows others"
        )
    label = entry.branch or (entry.commit or "")[:7] or entry.id
    return Choice(entry, "ok", f"run {entry.id}, as asked for", (), (), label)
