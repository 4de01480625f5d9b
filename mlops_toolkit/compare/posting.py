"""Telling people: the comment, the status, the issue, annotations and the job's summary. Nothing here changes a verdict."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlops_toolkit.compare.gather import Job, key
from mlops_toolkit.forge.base import Annotation, Section, State, check_name
from mlops_toolkit.records.result import Result
from mlops_toolkit.report import comment
from mlops_toolkit.world import World

Trouble = tuple[str | None, str | None]  # what was refused, and the way out


def post(
    job: Job, result: Result, text: comment.Comment, troubles: Sequence[Trouble], args: argparse.Namespace, world: World
) -> str | None:
    """The comment, the status, the annotations and the summary, which also says what of it was refused; the comment's address."""
    context, forge = world.context, world.forge
    if not context.ci:
        _say(troubles, world)
        return None
    from mlops_toolkit.report import annotations as lines
    from mlops_toolkit.report.summary import summary

    number, attempt = context.age
    section = Section(
        key=key(job.run) if job.run else result.model,
        verdict_line=text.verdict_line,
        body=text.blocks,
        commit=context.head,
        run=number,
        attempt=attempt,
    )
    troubles, url = list(troubles), None
    if context.pull_request is not None and getattr(args, "comment", True):
        posted = forge.comment(context.pull_request, section, renew=job.request.config.comment.when_worse == "new")
        troubles.append((posted.reason, posted.hint))
        url = posted.url
    if context.head:
        state: State = "success" if result.exit == 0 else "failure"
        posted = forge.status(
            context.head, check_name(result.model, job.run.matrix if job.run else None), state, result.sentence, context.url
        )
        troubles.append((posted.reason, posted.hint))
    forge.annotate(tuple(Annotation(a.level, a.message, a.title, a.file, a.line) for a in lines.annotations(result)))
    written = forge.summary(summary(result, troubles=[(reason, hint) for reason, hint in troubles if reason]))
    _say([*troubles, (written.reason, written.hint)], world)
    return url


def _say(troubles: Sequence[Trouble], world: World) -> None:
    """On standard error; a way out that serves several is printed once."""
    for reason in [reason for reason, _ in troubles if reason]:
        print(f"mlops compare: {reason}", file=world.err)
    for hint in dict.fromkeys(hint for _, hint in troubles if hint):
        print("  " + hint.replace("\n", "\n  "), file=world.err)
