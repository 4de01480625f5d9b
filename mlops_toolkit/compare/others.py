"""What else the gate is held against, loaded: the last release and what is pinned, with what their models answer now where that was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.compare import called, sides
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.gate.acceptance import accepts_gate
from mlops_toolkit.gate.loaded import Loaded, Other
from mlops_toolkit.history import others
from mlops_toolkit.history.base import History
from mlops_toolkit.history.baseline import Choice, Lineage
from mlops_toolkit.models import evaluation
from mlops_toolkit.records.result import Side
from mlops_toolkit.records.run import Run
from mlops_toolkit.world import World

LONGEST = 40
LET_GO = "the base branch's list counts; `accepted: [{check: gate, reason: …}]` lets it go"


def find(
    own: Run,
    run: Run | None,
    world: World,
    history: History,
    line: Lineage,
    configs: tuple[Config, Config | None],
    file: Callable[[str, str], Path | None],
) -> tuple[Other, ...]:
    """Everything that the two configurations (the head's, and the base branch's whose list counts too) name besides the baseline.

    own: the head, or what stands for it; run: its record, where there is one. Raises what `history.others.find` does.
    """
    config, base = configs
    mine = config.against if base is None or not world.context.fork else ()
    let_go = not world.context.fork and accepts_gate(config.accepted, world.clock.now().date(), base.accepted if base is not None else ())
    held = () if base is None or let_go else base.against
    questions = [called.question(one) for one in called.names(own, history, world)]
    made = []
    for name in others.asked(held, mine):
        try:
            [choice] = others.find([name], world.git, world.context, history, questions, line).values()
        except UsageError as error:
            if name not in mine and not world.context.fork:
                error.hint = LET_GO
            raise
        made.append(_loaded(name, choice, history, run, world, file))
    return tuple(made)


def _loaded(name: str, choice: Choice, history: History, head: Run | None, world: World, file: Callable[[str, str], Path | None]) -> Other:
    if choice.entry is None:
        return Other(name, Side(state=choice.state, note=choice.note, label=name))
    run = history.run(choice.entry.id)
    if run is None:
        what = f"the record of run {choice.entry.id}, which `against: {name}` means, is not to be had"
        raise EnvironmentFailure("history-unreadable", what, hint="try again; `mlops history list` shows the runs that are")
    label = label_of(name, run)
    loaded = sides.from_run(run, label=label, file=file)
    if head is not None:
        loaded = sides.renewed(loaded, head, file=file)
    return Other(
        name,
        Side(
            commit=run.commit,
            run=run.id,
            note=f"held against run {run.id} too: {_what(name, run, choice)}",
            label=label,
            branch=run.branch,
            url=run.ci.url,
            started=run.started,
            self_reported=run.self_reported,
        ),
        loaded,
        evaluation=evaluation.changed(run, head, world.git) if head is not None else {},
    )


def label_of(name: str, run: Run) -> str:
    """`v1.2` of a release that says what it was released as, else the name in `against:`; a run's id is shortened to its day and time."""
    released = run.released if name == others.RELEASE and run.released and run.released.isprintable() else None
    return (released if released and len(released) <= LONGEST else name)[:LONGEST]


def _what(name: str, run: Run, choice: Choice) -> str:
    if name == others.RELEASE:
        return f"the last release{f', {run.released[:LONGEST]}' if run.released else ''}"
    behind = f", {len(choice.behind)} commit{'s' if len(choice.behind) > 1 else ''} before it" if choice.behind else ""
    return f"{name[:LONGEST]}, as `against:` says{behind}"


def hashed_alike(found: Sequence[Other], head: Loaded, history: History) -> tuple[Other, ...]:
    """Each with its ids hashed where the head's are, or with the salt to hash the head's with where only its own are."""
    made = []
    for one in found:
        base = one.baseline
        if base is not None and head.hashed - base.hashed:
            base = sides.hashed_like(base, head, history.salt())
        made.append(replace(one, baseline=base, salt=history.salt() if base is not None and base.hashed - head.hashed else None))
    return tuple(made)
