"""What else a gate is held against, besides the baseline: the last release of the model, or a run, tag, commit or branch that is pinned.

`release` is the newest released run, not withdrawn, on the line of first parents that the baseline is looked for on. A pinned name means
what it means to `mlops compare NAME`: that very run, or the nearest one on the line of that commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import UsageError
from mlops_toolkit.history import baseline, lineage
from mlops_toolkit.history.base import Entry, History
from mlops_toolkit.history.baseline import Choice, Lineage, Question
from mlops_toolkit.system.git import Git

MAIN, RELEASE = "main", "release"


def asked(*lists: Sequence[str]) -> tuple[str, ...]:
    """The names of several `against:`, each once, without the baseline, which is always held against."""
    return tuple(dict.fromkeys(name for names in lists for name in names if name != MAIN))


def find(
    names: Iterable[str], git: Git | None, context: Context, history: History, questions: Sequence[Question], line: Lineage | None = None
) -> Mapping[str, Choice]:
    """name -> the run that it means; a `release` that there is not yet has no entry.

    questions: the head's, as its model is called, and as it was called before its configuration moved. line: of the baseline, where it is
    known. UsageErrors `unknown-run`, `ambiguous-run`, `unknown-base`, `run-not-usable`, `nothing-pinned`; EnvironmentFailure
    `history-unreadable`.
    """
    return {
        name: _release(git, context, history, questions, line) if name == RELEASE else _pinned(name, git, context, history, questions)
        for name in names
    }


def _release(git: Git | None, context: Context, history: History, questions: Sequence[Question], line: Lineage | None) -> Choice:
    released = [entry for entry in history.entries() if entry.released]
    known = _known(questions, released)
    if not known:
        return Choice(None, "first-run", "no release yet")
    if line is None or not any(step.commit in known or step.tree in known for step in line.steps):
        line = lineage.find(git, context, history.ancestry, known=known)
    return _first(questions, released, line) or Choice(None, "first-run", f"no release on this line yet ({line.reason})")


def _pinned(name: str, git: Git | None, context: Context, history: History, questions: Sequence[Question]) -> Choice:
    entries, keys = history.entries(), [question.key for question in questions]
    where = f"against: {name[:80]}"
    try:
        run = baseline.named(
            name, entries, next((key for key in keys if any(e.key == key and e.id.startswith(name) for e in entries)), None)
        )
        if run is not None:
            return _as_pinned(run, keys, where)
        line = lineage.find(git, context, history.ancestry, base=name, known=_known(questions, entries))
    except UsageError as error:
        error.where = where
        raise
    found = _first(questions, entries, line)
    if found is None:
        why = baseline.pick(questions[0], entries, line).note
        raise UsageError("nothing-pinned", f"nothing can be held against {name[:80]}: {why}", where=where, hint=_PIN)
    return replace(found, label=name)


_PIN = "pin a run (`mlops history list` shows them), or a tag or commit that has one; or take the name off the list"


def _as_pinned(run: Entry, keys: Sequence[str], where: str) -> Choice:
    if run.key not in keys:
        path, model, leg = run.key.split("|", 2)
        what = f"run {run.id} is of {model}{f' ({leg})' if leg else ''} ({path})"
        raise UsageError("other-model", what, where=where, hint="a tag or commit pins every model and leg that has a run there")
    if run.withdrawn:
        raise UsageError("run-not-usable", f"run {run.id} was withdrawn", where=where, hint=_PIN)
    return replace(baseline.as_asked(run), label=run.id)


def _first(questions: Sequence[Question], entries: Sequence[Entry], line: Lineage) -> Choice | None:
    """By the first of the model's names that has one."""
    line = replace(line, released=False)
    found = (baseline.pick(question, entries, line) for question in questions)
    return next((choice for choice in found if choice.entry is not None), None)


def _known(questions: Sequence[Question], entries: Sequence[Entry]) -> frozenset[str]:
    return frozenset().union(*(baseline.usable(question, entries) for question in questions))
