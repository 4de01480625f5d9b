"""Telling the forge how one model's run ended: its section of the comment, its check, and the issue about what fails on main.

Nothing here raises for a refusal, and nothing changes an exit code: what could not be posted comes back as sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import ConfigErrors, MlopsError
from mlops_toolkit.forge.base import Annotation, Posted, Section, State, check_name
from mlops_toolkit.history.base import key_of
from mlops_toolkit.records.result import Failure, Result
from mlops_toolkit.world import World

Trouble = tuple[str | None, str | None]  # what was refused, and the way out
NAME = re.compile(r"^name:[ \t]*([A-Za-z0-9][A-Za-z0-9._-]{0,99})[ \t]*(?:#.*)?\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Known:
    """A model as far as its configuration can be read: its name, where that stands, its leg of a matrix, whether a worse verdict is a new comment."""

    name: str
    where: str | None = None
    renew: bool = False
    matrix: str | None = None


@dataclass(frozen=True)
class Ending:
    """How it ended for one model (in one leg of a matrix).

    key       what its section is found by (`history.base.key_of`); None: no section, as where no configuration is known
    line, blocks  the section's Markdown; sentence: the same in plain text, for the check
    renew     a verdict that is worse than the one that stands is a new comment
    """

    model: str
    matrix: str | None
    key: str | None
    state: State
    sentence: str
    line: str
    blocks: tuple[str, ...] = ()
    renew: bool = False


def announce(endings: Sequence[Ending], world: World, *, comment: bool = True) -> tuple[str | None, list[list[Trouble]]]:
    """Post them; the comment's address, and what was refused of each. comment: whether the pull request's comment is wanted.

    The comment is written once for all of them: a forge counts what is written in a minute, and refuses a monorepo's thirty edits.
    """
    context, forge = world.context, world.forge
    sections = [_section(ending, context) for ending in endings]
    known = [section for section in sections if section is not None]
    posted = Posted()
    if known and context.pull_request is not None and comment:
        posted = forge.comment(context.pull_request, *known, renew=any(ending.renew for ending in endings))
    troubles = []
    for ending, section in zip(endings, sections, strict=True):
        told: list[Trouble] = [(posted.reason, posted.hint)] if section is not None else []
        told += _check_and_issue(ending, section, world)
        troubles.append(told)
    return posted.url, troubles


def _check_and_issue(ending: Ending, section: Section | None, world: World) -> list[Trouble]:
    context, forge = world.context, world.forge
    troubles: list[Trouble] = []
    if context.head:
        posted = forge.status(context.head, check_name(ending.model, ending.matrix), ending.state, ending.sentence, context.url)
        troubles.append((posted.reason, posted.hint))
    if section is not None and watched(context):
        failing = ending.state != "success"
        posted = forge.issue(section, failing=failing)
        if failing:  # that a good run could not look for an issue is nobody's trouble
            troubles.append((posted.reason, posted.hint))
    return troubles


def _section(ending: Ending, context: Context) -> Section | None:
    if ending.key is None:
        return None
    run, attempt = context.age
    return Section(key=ending.key, verdict_line=ending.line, body=ending.blocks, commit=context.head, run=run, attempt=attempt)


def watched(context: Context) -> bool:
    """Whether a failure is told in an issue: nobody looks at a run of main, or of the night, that no pull request waits for."""
    event = (context.source.event if context.source else None) if context.event == "workflow_run" else context.event
    on_main = context.branch is not None and context.branch == context.default_branch
    return event == "schedule" or (event in ("push", "dispatch", "workflow_dispatch") and on_main)


def begin(models: Sequence[str], world: World, doing: str) -> None:
    """Mark the checks of these models as pending, where the token may: the job that only reads leaves that to another, and says nothing."""
    context = world.context
    if not (context.ci and context.head) or context.read_only_token:
        return
    for model in models:
        world.forge.status(context.head, check_name(model, context.matrix), "pending", doing, context.url)


def known(path: Path, root: Path, matrix: str | None = None) -> Known | None:
    """What a configuration calls its model; of one that cannot be read, the line that says so: the check that a merge waits for has that name."""
    from mlops_toolkit.config import read

    try:
        loaded = read.load(path, root=root)
        return Known(loaded.config.name, loaded.where, loaded.config.comment.when_worse == "new", matrix)
    except MlopsError:
        pass
    try:
        with path.open("rb") as source:
            line = NAME.search(source.read(1 << 18).decode("utf-8", "replace"))
        return Known(line[1], path.resolve().relative_to(root.resolve()).as_posix(), matrix=matrix) if line else None
    except (OSError, ValueError):
        return None


def without_verdict(error: MlopsError, model: Known, context: Context, *, config: str) -> Result:
    """The result of a model that an error kept from having one. config: how the configuration is called where it is not known."""
    return Result(
        model=model.name,
        verdict=None,
        gate="none",
        sentence=f"no verdict: {error.message}",
        exit=error.code,
        config=model.where or config,
        matrix=model.matrix,
        ci_run=context.run,
        attempt=context.attempt,
        url=context.url,
        # Not its hint: that may quote what the user's command printed last.
        error=Failure(error.name, f"{error.where}: {error.message}" if error.where else error.message),
    )


def announce_error(result: Result, model: Known, world: World, *, comment: bool) -> list[Trouble]:
    """The check, the comment and the issue of a result without a verdict: else the pull request would go on showing an earlier push's."""
    from mlops_toolkit.report.comment import comment as written

    text = written(result)
    ending = Ending(
        model=model.name,
        matrix=model.matrix,
        key=key_of(model.where, model.name, model.matrix) if model.where else None,
        state="error",
        sentence=result.sentence,
        line=text.verdict_line,
        blocks=text.blocks,
        renew=model.renew,
    )
    return announce([ending], world, comment=comment and not world.context.read_only_token)[1][0]


def say(troubles: Iterable[Trouble], verb: str, world: World) -> None:
    """What was refused, on standard error, each once; the way out behind all that it helps."""
    ways: dict[str | None, dict[str, None]] = {}
    for reason, hint in troubles:
        if reason:
            ways.setdefault(hint, {})[reason] = None
    for hint, reasons in ways.items():
        for reason in reasons:
            print(f"mlops {verb}: {reason}", file=world.err)
        if hint:
            print("  " + hint.replace("\n", "\n  "), file=world.err)


def annotated(error: MlopsError) -> tuple[Annotation, ...]:
    """An error in the CI's log and diff view, each of its problems at its place."""
    problems = error.problems if isinstance(error, ConfigErrors) else (error,)
    return tuple(annotation("error", problem.message, problem.where, problem.hint) for problem in problems)


def annotation(level: Literal["error", "warning"], message: str, where: str | None, hint: str | None) -> Annotation:
    """A sentence at its place, where that is FILE:LINE; else behind it."""
    file, _, line = (where or "").rpartition(":")
    place = (file, int(line)) if file and line.isdigit() else (None, None)
    text = "\n".join(part for part in (f"{where}: {message}" if where and place[0] is None else message, hint) if part)
    return Annotation(level, text, "mlops", place[0], place[1])
