"""From a commit to the run that is published, with everything that is recorded of it: asked of the histories, and asked again while one still runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from mlops_toolkit.ci import Context
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.forge.base import check_name
from mlops_toolkit.history import baseline, lineage
from mlops_toolkit.history.base import Entry, History, key_of
from mlops_toolkit.publish import pick
from mlops_toolkit.publish.card import Previous
from mlops_toolkit.publish.pick import Asked, Choice
from mlops_toolkit.publish.policy import Judged, judged
from mlops_toolkit.publish.target import Target
from mlops_toolkit.records.run import Run
from mlops_toolkit.report import words
from mlops_toolkit.system.clock import looks
from mlops_toolkit.world import World


@dataclass(frozen=True)
class Found:
    """The run, its configuration and history, and how it was chosen."""

    loaded: Loaded
    history: History
    choice: Choice
    judged: Judged

    @property
    def entry(self) -> Entry:
        assert self.choice.entry is not None  # noqa: S101 -- `find` raises where there is none
        return self.choice.entry

    @property
    def run(self) -> Run:
        return self.judged.run


def find(target: Target, configurations: Sequence[Loaded], run: str, model: str, world: World, say: Callable[[str], None]) -> Found:
    """The run to publish. run, model: as asked for. Errors as `pick` has them, and EnvironmentFailure `history-unreadable`."""
    longest = max(loaded.config.publish.wait.seconds for loaded in configurations)
    for waited in looks(world.clock, longest):
        opened = [(loaded, world.history(loaded.folder / ".mlops", loaded.config.history.at)) for loaded in configurations]
        entries = [(entry, loaded, history) for loaded, history in opened for entry in _mine(loaded, history, world.context)]
        asked = _asked(target, configurations, [entry for entry, _, _ in entries], run, model, world)
        choice = pick.pick(asked, [entry for entry, _, _ in entries])
        if choice.state != "still-running":
            break
        if not waited:
            say(f"{choice.note}: waiting for it, {words.seconds(longest)} at most")
    else:
        raise pick.refusal(choice, waited=words.seconds(waited))
    if choice.entry is None:
        raise pick.refusal(choice)
    loaded, history = next((loaded, history) for entry, loaded, history in entries if entry is choice.entry)
    return Found(loaded, history, choice, _judged(choice.entry, history))


def _mine(loaded: Loaded, history: History, context: Context) -> list[Entry]:
    """The entries of one configuration's model, of all legs of a matrix unless one is named."""
    key = key_of(loaded.where, loaded.config.name, context.matrix)
    return [entry for entry in history.entries() if (entry.key.startswith(key) if context.matrix is None else entry.key == key)]


def _asked(target: Target, configurations: Sequence[Loaded], entries: Sequence[Entry], run: str, model: str, world: World) -> Asked:
    """The question, and which models' checks still wait at the commit: of those that have nothing recorded yet, which only a CI can ask."""
    models = {entry.key: _name(entry.key) for entry in entries}
    leg = world.context.matrix
    for loaded in configurations:
        models.setdefault(key_of(loaded.where, loaded.config.name, leg), check_name(loaded.config.name, leg))
    asked = Asked(
        target.at,
        models,
        run=run,
        model=model,
        tag=target.tag,
        ci_run=world.context.run,
        remote=world.context.ci,
        pending=_pending(target, models, world),
    )
    return asked if run else replace(asked, run=_of_message(target.runs, entries, asked))


def _name(key: str) -> str:
    _, model, leg = key.split("|", 2)
    return check_name(model, leg or None)


def _pending(target: Target, models: Mapping[str, str], world: World) -> frozenset[str]:
    checks = world.forge.checks(target.at.commit) if world.context.ci else None
    waiting = {check.name for check in checks or () if check.state == "pending"}
    return frozenset(key for key, name in models.items() if name in waiting)


def _of_message(runs: Sequence[str], entries: Sequence[Entry], asked: Asked) -> str:
    """The run that the tag's message names; of several lines the one of the model that is asked for."""
    if len(runs) < 2:
        return runs[0] if runs else ""
    wanted = pick.wanted(asked)
    fitting = [entry.id for entry in entries if entry.id in runs and entry.key in wanted]
    return fitting[0] if len(fitting) == 1 else ""


def _judged(entry: Entry, history: History) -> Judged:
    run = history.run(entry.id)
    if run is None:
        raise EnvironmentFailure(
            "history-unreadable", f"the record of run {entry.id} is not there", hint="it may have been pruned meanwhile: name another run"
        )
    if run.gate is None and run.status == "reused" and run.source:
        return judged(run, history.result(run.id), history.run(run.source), history.result(run.source))
    return judged(run, history.result(run.id))


def previous(found: Found, target: Target, world: World, repository: str | None) -> Previous | None:
    """The release before it: the newest released run on the line of commits, of another model than this one. None where there is none."""
    own = found.run.trained.digest if found.run.trained else None
    mine = [entry for entry in found.history.entries() if entry.key == found.entry.key and entry.id != found.run.id]
    released = [entry for entry in mine if entry.released and not entry.withdrawn]
    if not released or world.git is None:
        return None
    known = frozenset(name for entry in released for name in (entry.commit, entry.tree) if name)
    steps, _ = lineage.walk(world.git, target.at.commit, found.history.ancestry, known)
    for step in steps:
        for entry in sorted((one for one in released if baseline.belongs(one, step)), key=lambda one: one.id, reverse=True):
            run = found.history.run(entry.id)
            # A release of this very model is no step back.
            if run is not None and (run.trained is None or run.trained.digest != own):
                url = f"{repository}/releases/tag/{quote(run.released, safe='')}" if repository and run.released else None
                return Previous(run, run.released or run.id, url)
    return None
