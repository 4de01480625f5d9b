"""Whether what one job trains reaches the job that compares: the artifact, its hidden folder, and what happens after a failure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.workflow.flow import JUDGES, TRAINS, Flow, Job, Step

UPLOAD, DOWNLOAD = (re.compile(rf"(^|/){name}-artifact(/[\w-]+)?@") for name in ("upload", "download"))  # of a mirror, too
STATE = re.compile(r"(^|/)\.mlops(/|$)")
GOES_ON = re.compile(r"always\s*\(\s*\)|!\s*cancelled\s*\(\s*\)|failure\s*\(\s*\)")
LINES = """\
      - if: ${{ !cancelled() }}
        uses: actions/upload-artifact@v4   # or the commit that you pin
        with:
          name: mlops-run
          path: |
            .mlops/run.json
            .mlops/runs/
          include-hidden-files: true
and in the job that compares, before compare-to-main:
      - uses: actions/download-artifact@v4
        with: {name: mlops-run, path: .mlops}"""


def findings(flow: Flow) -> Iterator[Finding]:
    """Of each job that trains or evaluates, and of each that compares what another made."""
    for job in flow.jobs:
        if job.actions & TRAINS:
            yield from _hidden(job)
    for job in flow.jobs:
        if not job.actions & JUDGES or job.actions & TRAINS:
            continue
        makers = [each for each in flow.before(job) if each.actions & TRAINS]
        if makers:
            yield from _handed(job, makers)
            yield from _skipped(job, makers)


def _hidden(job: Job) -> Iterator[Finding]:
    for step in job.steps:
        if _uses(step, UPLOAD) and _holds_state(step) and step.given.get("include-hidden-files") != "true":
            yield Finding(
                "problem",
                f"the job {job.id} uploads .mlops, which is a hidden folder: the artifact would be empty",
                "        with:\n          include-hidden-files: true",
                where=f"{job.where}:{step.line}",
            )


def _handed(job: Job, makers: Sequence[Job]) -> Iterator[Finding]:
    if all(maker.rights.allows("contents: write") or not maker.rights.stated for maker in makers):
        return  # they record their runs themselves, and the job that compares finds them
    last = makers[0]
    uploads = [step for maker in makers for step in maker.steps if _uses(step, UPLOAD)]
    if not any(_holds_state(step) or "${{" in step.given.get("path", "") for step in uploads):
        if any(_otherwise(maker.steps) for maker in makers):
            return
        yield Finding(
            "problem", f"the job {last.id} may not record its run and hands nothing over: {job.id} finds no run", LINES, where=last.at
        )
    elif not any(_uses(step, DOWNLOAD) or "gh run download" in step.run for step in job.steps) and not _otherwise(job.steps):
        yield Finding("problem", f"the job {job.id} does not download the run that {last.id} hands over", LINES, where=job.at)
    elif not any(GOES_ON.search(step.condition) for step in uploads):
        step = uploads[0]
        message = "what a failed evaluation left is not handed over: the job that compares cannot say why"
        yield Finding("note", message, "        if: ${{ !cancelled() }}", where=f"{last.where}:{step.line}")


def _skipped(job: Job, makers: Sequence[Job]) -> Iterator[Finding]:
    if GOES_ON.search(job.condition):
        return
    kept = f" && ({job.condition})" if job.condition else ""
    yield Finding(
        "problem",
        f"the job {job.id} is skipped where {makers[0].id} fails: nobody is told, and a skipped job counts as passed",
        f"jobs:\n  {job.id}:\n    if: ${{{{ !cancelled(){kept} }}}}",
        where=job.at,
    )


def _uses(step: Step, action: re.Pattern[str]) -> bool:
    return action.search(step.uses) is not None


def _otherwise(steps: Iterable[Step]) -> bool:
    """Whether some other step takes .mlops somewhere or brings it: a bucket, a cache, a shared disk."""
    others = (step for step in steps if not (step.action or _uses(step, UPLOAD) or _uses(step, DOWNLOAD)))
    texts = (text for step in others for text in (step.run, *step.given.values()))
    return any(".mlops" in text for text in texts)


def _holds_state(step: Step) -> bool:
    return any(STATE.search(line.strip()) for line in step.given.get("path", "").splitlines() if not line.strip().startswith("!"))
