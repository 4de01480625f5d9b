"""`mlops compare`: gather, decide, perform. The exit code is the worst of all models'."""

from __future__ import annotations

import argparse
from dataclasses import replace

from mlops_toolkit.compare import gather, perform
from mlops_toolkit.compare.assemble import assemble
from mlops_toolkit.compare.gather import Job
from mlops_toolkit.errors import GATE_FAILED, PASSED, UNDECIDED
from mlops_toolkit.history.course import points
from mlops_toolkit.records.result import Result
from mlops_toolkit.report.sentence import verdict_sentence
from mlops_toolkit.world import World

# DESIGN's precedence among what a comparison can answer.
PRECEDENCE = (GATE_FAILED, UNDECIDED, PASSED)


def run(args: argparse.Namespace, world: World) -> int:
    """Compare every model asked for; 0 passed, 1 a gate failed, 3 undecided and the policy asks."""
    outcomes = [(job, decide(job, world)) for job in gather.jobs(args, world)]
    perform.perform(outcomes, args, world)
    for note in dict.fromkeys(note for job, _ in outcomes if job.history is not None for note in job.history.notes):
        print(f"mlops compare: {note}", file=world.err)
    return min((result.exit for _, result in outcomes), key=PRECEDENCE.index)


def decide(job: Job, world: World) -> Result:
    """The complete Result of a job: pure but for reading the metric's course from the history."""
    made = assemble(job.request, job.baseline, job.head, salt=job.salt)
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
        course = points(job.history.entries(), key=gather.key(job.run), names=[c.metric for c in made.checks if c.slice is None])
        made = replace(made, charts=replace(made.charts, history=course))
    return replace(made, sentence=verdict_sentence(made))
