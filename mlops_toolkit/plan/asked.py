"""Whether a person who asked for a run of a pull request gets it: by the comment `/evaluate [SHA]`, or by the label `evaluate`. Pure.

The run executes the pull request's code, so it is for those who may write here, and of a commit that they can have seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from mlops_toolkit.ci import Context
from mlops_toolkit.config.forks import COMMAND, LABEL
from mlops_toolkit.forge.base import PullRequest

SHA = re.compile(r"[0-9a-f]{7,64}")
PINNED = 16  # digits: fewer are found again for another commit, seven within minutes, twelve within hours


@dataclass(frozen=True)
class Allowed:
    """Run this commit, for this person."""

    head: str
    by: str


@dataclass(frozen=True)
class Refused:
    """Run nothing, and say why."""

    reason: str


@dataclass(frozen=True)
class NotAsked:
    """Nobody asked for a run."""

    reason: str


def wanted(context: Context) -> bool:
    """Whether this event runs only what a person asks for: a comment, or an event that gives a stranger's pull request a token that may write."""
    return context.event == "comment" or context.asked_by is not None or (context.stranger and _trusted(context))


def _trusted(context: Context) -> bool:
    return context.event == "pull_request" and not context.read_only_token


def ask(context: Context, may_write: bool | None, pull: PullRequest | None) -> Allowed | Refused | NotAsked:
    """The answer. may_write: whether `context.asked_by` may push here (None: not known, so no); pull: the pull request as it is now."""
    asks = named(context)
    if not isinstance(asks, str):
        return asks
    who = context.asked_by
    if who is None or may_write is None:
        return Refused(f"whether {who or 'whoever asked'} may write to this repository could not be learnt: ask again")
    if not may_write:
        return Refused(f"{who} may not write to this repository: a maintainer can ask")
    if pull is None:
        return Refused("the pull request cannot be read: the job needs `permissions: {pull-requests: read}`")
    if not pull.open:
        return Refused(f"pull request #{pull.number} is closed")
    look = f"look again, then comment {COMMAND} {pull.head}"
    if asks and not pull.head.startswith(asks):
        return Refused(f"the pull request's head is {pull.head[:12]} now, not {asks[:12]}: {look}")
    if len(asks) < PINNED and pull.fork and not _before(pull.pushed_at, context.asked_at):
        return Refused(f"something was pushed to the fork since {COMMAND} was asked, or it cannot be told whether: {look}")
    return Allowed(pull.head, who)


def named(context: Context) -> str | NotAsked | Refused:
    """The commit that was asked for, "" where none was named; or why nothing was asked for."""
    if context.event == "comment":
        words = (context.request or "").split()
        if not words or words[0] != COMMAND:
            return NotAsked(f"the comment does not begin with {COMMAND}")
        if len(words) == 1:
            return ""
        if len(words) == 2 and SHA.fullmatch(words[1].lower()):
            return words[1].lower()
        return Refused(f"write {COMMAND}, or {COMMAND} and a commit of at least seven digits")
    if context.event != "pull_request" or context.request != LABEL:
        return NotAsked(f"nobody set the label {LABEL}")
    # The label was set when this was the head: nothing that came later is run.
    return context.head or Refused("the event does not say which commit was labelled")


def _before(pushed: str | None, asked: str | None) -> bool:
    """Whether the last push is known to be older than the request."""
    try:
        return bool(pushed and asked) and _time(pushed) < _time(asked)
    except (ValueError, TypeError):
        return False


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat((text or "").replace("Z", "+00:00"))
