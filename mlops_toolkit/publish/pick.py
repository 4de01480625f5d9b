"""Which recorded run a commit publishes: exactly the model that was judged there, or a word for why there is none. Pure.

A run belongs to a commit by its commit, or by its tree, whatever event made it: the merge of a pull request has the tree that was judged.
Of several runs of one model the one of this very CI run goes first, then the newest of the commit, then the newest of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.errors import MlopsError, UsageError
from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Step
from mlops_toolkit.publish import tags

# ok: of this commit · same-tree: of another commit with the same files · named: asked for by its id · still-running: wait for it ·
# no-run: nothing is recorded · no-usable-run: what is recorded cannot be published · several-models: one must be chosen
State = Literal["ok", "same-tree", "named", "still-running", "no-run", "no-usable-run", "several-models"]
MOST = 6  # runs that a message lists


@dataclass(frozen=True)
class Asked:
    """What is to be published.

    at      the commit, with its tree
    models  key of history -> the model's name as people write it, with its leg of a matrix in brackets
    run     a run's id, or its beginning; model: a model's name: whoever asked may say one or both
    tag     git's tag that is published, which may name a model (`spam-filter/v1.2`)
    ci_run  the CI run that we are part of
    remote  only what is recorded for all counts, as in a CI: what lies in a checkout may be anybody's
    pending models (by key) whose check still says that it runs
    """

    at: Step
    models: Mapping[str, str]
    run: str = ""
    model: str = ""
    tag: str | None = None
    ci_run: str | None = None
    remote: bool = False
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Choice:
    """The run, or none and why. note: how it was found, or what is in the way; among: (model, run, why not) of the others that were looked at."""

    entry: Entry | None
    state: State
    note: str
    among: tuple[tuple[str, str, str], ...] = ()


def pick(asked: Asked, entries: Iterable[Entry]) -> Choice:
    """The run to publish. UsageErrors `unknown-run`, `ambiguous-run`, `other-commit`, `other-model`, `run-not-usable`, `unknown-model-name`."""
    mine = [entry for entry in entries if entry.key in asked.models]
    if asked.run:
        return _named(asked, mine)
    keys = wanted(asked)
    here = {key: _ordered(asked, [entry for entry in mine if entry.key == key and baseline.belongs(entry, asked.at)]) for key in keys}
    found = {key: one for key in keys if (one := _first(asked, key, here[key])) is not None}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        among = tuple((asked.models[key], one.entry.id if one.entry else "", one.note) for key, one in found.items())
        note = f"{len(found)} models were recorded at {asked.at.commit[:7]}: {', '.join(sorted(name for name, _, _ in among))}"
        return Choice(None, "several-models", note, among)
    refused = tuple((asked.models[key], entry.id, why) for key in keys for entry in here[key] if (why := _objection(asked, entry)))
    which = f" of {next(iter(keys.values()))}" if len(keys) == 1 else ""
    if refused:
        return Choice(None, "no-usable-run", f"no run{which} at {asked.at.commit[:7]} can be published", refused)
    return Choice(None, "no-run", f"no run{which} is recorded at {asked.at.commit[:7]}, nor one of the same files", ())


def _named(asked: Asked, mine: Sequence[Entry]) -> Choice:
    entry = baseline.named(asked.run.strip(), mine)
    if entry is None:
        raise UsageError("unknown-run", f'"{asked.run[:60]}" is no run id', where="run", hint="`mlops history list` shows them")
    if asked.model and entry.key not in wanted(asked):
        raise UsageError("other-model", f"run {entry.id} is of {asked.models[entry.key]}, not of {asked.model[:60]}", where="run")
    if not baseline.belongs(entry, asked.at):
        of = (entry.commit or "no commit")[:7]
        hint = f"tag {of} and publish that, or leave `run` out: the run of {asked.at.commit[:7]} is found by itself"
        raise UsageError("other-commit", f"run {entry.id} is of {of}, and {asked.at.commit[:7]} is to be published", where="run", hint=hint)
    why = _objection(asked, entry)
    if why == baseline.RUNNING:
        return Choice(entry, "still-running", f"run {entry.id} is still running")
    if why is not None and not entry.withdrawn:  # of one that was withdrawn the policy decides
        raise UsageError("run-not-usable", f"run {entry.id} cannot be published: {why}", hint="`mlops history list` shows others")
    return Choice(entry, "named", f"run {entry.id}, as asked for")


def wanted(asked: Asked) -> Mapping[str, str]:
    """The models that may be meant: the one that is named, or that the tag names; else all."""
    if asked.model:
        chosen = {key: name for key, name in asked.models.items() if asked.model in (name, _bare(name))}
        if not chosen:
            known = ", ".join(sorted(asked.models.values()))
            raise UsageError("unknown-model-name", f'no model is called "{asked.model[:80]}"', where="model", hint=f"known: {known}")
        return chosen
    if asked.tag:
        named = {key: name for key, name in asked.models.items() if tags.without_model(asked.tag, _bare(name))}
        # `spam-filter-large/v1` begins with `spam-filter`, too: the longest name is the one that is meant
        longest = max((len(_bare(name)) for name in named.values()), default=0)
        return {key: name for key, name in named.items() if len(_bare(name)) == longest} or asked.models
    return asked.models


def _bare(name: str) -> str:
    return name.partition(" (")[0]


def _ordered(asked: Asked, here: Sequence[Entry]) -> list[Entry]:
    def rank(entry: Entry) -> tuple[bool, bool, bool, str]:
        own = asked.ci_run is not None and entry.ci_run == asked.ci_run
        return own, entry.commit == asked.at.commit, entry.event != "laptop", entry.id

    return sorted(here, key=rank, reverse=True)


def _first(asked: Asked, key: str, here: Sequence[Entry]) -> Choice | None:
    """The choice among one model's runs; None where none can be published or waited for."""
    best = next((entry for entry in here if _objection(asked, entry) is None), None)
    running = next((entry for entry in here if entry.status == "running" and not entry.fork), None)
    if running is not None and (best is None or running.id > best.id):
        return Choice(running, "still-running", f"run {running.id} is still running")
    if best is None:
        waiting = key in asked.pending
        return Choice(None, "still-running", f"{asked.models[key]} is still being judged at {asked.at.commit[:7]}") if waiting else None
    if best.commit == asked.at.commit:
        return Choice(best, "ok", f"run {best.id} of {asked.at.commit[:7]}")
    by = f" by pull request #{best.pull_request}" if best.pull_request else ""
    return Choice(best, "same-tree", f"run {best.id}, recorded{by} for the same files as {asked.at.commit[:7]}")


def _objection(asked: Asked, entry: Entry) -> str | None:
    """Why a run cannot be published, whatever its gate said; None where it can."""
    if entry.fork:
        return "it is of a fork: a stranger's code made it"
    if entry.dirty:
        return "it was made with uncommitted changes: no commit says what made it"
    if entry.status == "running":
        return baseline.RUNNING
    if entry.status == "judged":
        return "it is a stranger's, of which only the verdict was kept"
    if entry.status not in ("succeeded", "reused"):
        return f"it {'was ' if entry.status == 'interrupted' else ''}{entry.status}"
    if entry.withdrawn:
        return "it was withdrawn"
    if asked.remote and entry.where != "recorded":
        return "it is not on the history's branch, and what lies in a job's folder may be anybody's"
    return None


def refusal(choice: Choice, *, waited: str = "") -> MlopsError:
    """The error for a choice without a run that can be published. waited: how long, where one was waited for."""
    listed = "\n".join(f"{model}: {f'run {run}: ' if run else ''}{why}" for model, run, why in choice.among[:MOST])
    more = f"\nand {len(choice.among) - MOST} more" if len(choice.among) > MOST else ""
    if choice.state == "several-models":
        hint = f"{listed}{more}\nchoose one: --model NAME, the input `run: ID`, a tag like NAME/v1.2.3, or the line `mlops-run: ID` in the tag's message"
        return UsageError("several-models", choice.note, hint=hint)
    if choice.state == "no-usable-run":
        return UsageError("run-not-usable", choice.note, hint=f"{listed}{more}")
    if choice.state == "still-running":
        return UsageError(
            "still-running", f"{choice.note}, after {waited}", hint="publish again when it has ended; `publish.wait` says how long to wait"
        )
    hint = "let the commit be judged first (train, evaluate, compare-to-main on the branch it is on), and publish then"
    return UsageError("not-recorded", choice.note, hint=hint)
