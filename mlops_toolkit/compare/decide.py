"""A job to its complete Result."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.compare import called
from mlops_toolkit.compare.gather import Job
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.history.course import points
from mlops_toolkit.records.result import Result
from mlops_toolkit.report.sentence import verdict_sentence
from mlops_toolkit.world import World


def decide(job: Job, world: World) -> Result:
    """The complete Result of a job: pure but for reading the metric's course from the history."""
    made = assemble(job.request, job.baseline, job.head, salt=job.salt, others=job.others)
    context = world.context
    made = replace(
        made,
        config=job.where or made.config,
        matrix=job.run.matrix if job.run else None,
        ci_run=context.run,
        attempt=context.attempt,
        url=context.url,
    )
    if job.history is not None and job.run is not None:
        names = [check.metric for check in made.checks if check.slice is None and check.against is None]
        line = job.request.baseline.label
        course = points(job.history.entries(), key=called.key(job.run), names=names, branch=line, run=job.run.id)
        made = replace(made, charts=replace(made.charts, history=course))
    return replace(made, sentence=verdict_sentence(made))
