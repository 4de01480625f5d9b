"""What a run is called, and was called where its configuration stood before it moved; and its baseline by either name."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.records.run import Run
from mlops_toolkit.world import World


def key(run: Run) -> str:
    """What the run's section, baseline and history are keyed by."""
    return key_of(run.config, run.model, run.matrix)


def question(run: Run) -> baseline.Question:
    """What is asked of the history on behalf of a run."""
    return baseline.Question(key=key(run), head=run.commit, run=run.id, ci_run=run.ci.run)


def commitish(base: str, history: History, run: Run) -> str | None:
    """BASE if it is a commit or branch; None if it names a run or was not given."""
    if not base or baseline.named(base, history.entries(), key(run)) is not None:
        return None
    return base


def names(run: Run, history: History, world: World) -> list[Run]:
    """The run as it is called, and as it was called where its configuration stood before it moved: a folder's new name is no new model.

    Of the places that other runs of a model of this name have, those that this checkout lacks; the latest.
    """
    others = [e.key.split("|")[0] for e in history.entries() if e.key.split("|")[1:] == [run.model, run.matrix or ""]]
    gone = [path for path in others if path != run.config and not (world.root / path).is_file()]
    return [run, *(replace(run, config=path) for path in gone[-1:])]


def chosen(base: str, history: History, run: Run, line: baseline.Lineage, world: World) -> tuple[baseline.Choice, tuple[str, ...]]:
    """The baseline; where there is none, that of the configuration's earlier place, and a sentence of it."""
    first, *before = names(run, history, world)
    choice = _choice(base, history, first, line)
    for former in before if choice.entry is None else ():
        found = _choice(base, history, former, line)
        if found.entry is not None:
            return found, (f"the configuration moved: on the baseline it is {former.config}",)
    return choice, ()


def _choice(base: str, history: History, run: Run, line: baseline.Lineage) -> baseline.Choice:
    asked = question(run)
    named = baseline.named(base, history.entries(), asked.key) if base else None
    return baseline.as_asked(named) if named is not None else baseline.pick(asked, history.entries(), line)
