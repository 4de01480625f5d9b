"""Telling people of one comparison: what the forge is told, annotations and the job's summary. Nothing here changes a verdict."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlops_toolkit.announce import Ending, Trouble, announce
from mlops_toolkit.compare.gather import Job, key
from mlops_toolkit.forge.base import Annotation
from mlops_toolkit.records.result import Result
from mlops_toolkit.report import comment
from mlops_toolkit.world import World


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

    run = job.run
    ending = Ending(
        model=result.model,
        matrix=run.matrix if run else None,
        key=key(run) if run else result.model,
        state="success" if result.exit == 0 else "failure",
        sentence=result.sentence,
        line=text.verdict_line,
        blocks=text.blocks,
        renew=job.request.config.comment.when_worse == "new",
    )
    url, refused = announce(ending, world, comment=getattr(args, "comment", True))
    troubles = [*troubles, *refused]
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
