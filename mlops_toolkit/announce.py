"""Telling the forge how one model's run ended: its section of the comment, its check, and the issue about what fails on main.

Nothing here raises for a refusal, and nothing changes an exit code: what could not be posted comes back as sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_toolkit.ci import Context
from mlops_toolkit.forge.base import Section, State, check_name
from mlops_toolkit.world import World

Trouble = tuple[str | None, str | None]  # what was refused, and the way out


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


def announce(ending: Ending, world: World, *, comment: bool = True) -> tuple[str | None, list[Trouble]]:
    """Post it; the comment's address, and what was refused. comment: whether the pull request's comment is wanted."""
    context, forge = world.context, world.forge
    troubles: list[Trouble] = []
    url = None
    section = _section(ending, context)
    if section is not None and context.pull_request is not None and comment:
        posted = forge.comment(context.pull_request, section, renew=ending.renew)
        troubles.append((posted.reason, posted.hint))
        url = posted.url
    if context.head:
        posted = forge.status(context.head, check_name(ending.model, ending.matrix), ending.state, ending.sentence, context.url)
        troubles.append((posted.reason, posted.hint))
    if section is not None and watched(context):
        failing = ending.state != "success"
        posted = forge.issue(section, failing=failing)
        if failing:  # that a good run could not look for an issue is nobody's trouble
            troubles.append((posted.reason, posted.hint))
    return url, troubles


def _section(ending: Ending, context: Context) -> Section | None:
    if ending.key is None:
        return None
    run, attempt = context.age
    return Section(key=ending.key, verdict_line=ending.line, body=ending.blocks, commit=context.head, run=run, attempt=attempt)


def watched(context: Context) -> bool:
    """Whether a failure is told in an issue: nobody looks at a run of main, or of the night, that no pull request waits for."""
    on_main = context.branch is not None and context.branch == context.default_branch
    return context.event == "schedule" or (context.event in ("push", "dispatch") and on_main)


def begin(models: Sequence[str], world: World, doing: str) -> None:
    """Mark the checks of these models as pending, where the token may: the job that only reads leaves that to another, and says nothing."""
    context = world.context
    if not (context.ci and context.head) or context.read_only_token:
        return
    for model in models:
        world.forge.status(context.head, check_name(model, context.matrix), "pending", doing, context.url)
