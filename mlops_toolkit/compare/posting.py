"""Telling people of comparisons: what the forge is told, annotations and the job's summary. Nothing here changes a verdict."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_toolkit.announce import Ending, Trouble, announce, say
from mlops_toolkit.compare.called import key
from mlops_toolkit.compare.gather import Job
from mlops_toolkit.forge.base import Annotation
from mlops_toolkit.records.result import Result
from mlops_toolkit.report import comment
from mlops_toolkit.world import World


@dataclass(frozen=True)
class Report:
    """One model's outcome as it is told. troubles: what could not be kept of it."""

    job: Job
    result: Result
    text: comment.Comment
    troubles: tuple[Trouble, ...] = ()

    @property
    def ending(self) -> Ending:
        run, result = self.job.run, self.result
        return Ending(
            model=result.model,
            matrix=run.matrix if run else None,
            key=key(run) if run else result.model,
            state="success" if result.exit == 0 else "failure",
            sentence=result.sentence,
            line=self.text.verdict_line,
            blocks=self.text.blocks,
            renew=self.job.request.config.comment.when_worse == "new",
        )


def post(reports: Sequence[Report], args: argparse.Namespace, world: World) -> str | None:
    """The comment, and of each the status, the annotations and the summary, which also says what of it was refused; the comment's address."""
    if not world.context.ci:
        say([trouble for report in reports for trouble in report.troubles], "compare", world)
        return None
    from mlops_toolkit.report import annotations as lines
    from mlops_toolkit.report.summary import summary

    url, refused = announce([report.ending for report in reports], world, comment=getattr(args, "comment", True))
    said: list[Trouble] = []
    for report, more in zip(reports, refused, strict=True):
        troubles = [*report.troubles, *more]
        world.forge.annotate(tuple(Annotation(a.level, a.message, a.title, a.file, a.line) for a in lines.annotations(report.result)))
        written = world.forge.summary(summary(report.result, troubles=[(reason, hint) for reason, hint in troubles if reason]))
        said += [*troubles, (written.reason, written.hint)]
    say(said, "compare", world)
    return url
