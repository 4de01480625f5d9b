"""What works and is worth a word: a token left lying about, jobs without an end, actions that others may change under us."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.workflow.flow import JUDGES, OURS, TRAINS, Flow

PINNED = re.compile(r"@[0-9a-f]{40}(?:[0-9a-f]{24})?$|@sha256:[0-9a-f]{64}$")
GROUP = """\
concurrency:
  group: model-${{ github.event.pull_request.number || github.sha }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}"""
CLOSE = """\
      - if: ${{ cancelled() }}   # the last step of the job, or of a job of its own with `needs:` and `if: ${{ always() }}`
        uses: org/mlops-actions/report@v1
        with: {close: true}"""


def findings(flow: Flow) -> Iterator[Finding]:
    """Notes about one workflow that uses our actions."""
    yield from _together(flow)
    yield from _left_behind(flow)
    if not flow.concurrency and not all(job.alone for job in flow.ours):
        yield Finding("note", "two runs of one pull request may go on at the same time: there is no `concurrency:`", GROUP, where=flow.path)
    endless = [job for job in flow.ours if not job.timeout]
    if endless:
        names = ", ".join(job.id for job in endless)
        yield Finding(
            "note",
            f"without `timeout-minutes:` a job that hangs runs for six hours: {names}",
            "    timeout-minutes: 60",
            where=endless[0].at,
        )
    yield from _loose(flow)
    cancels = flow.concurrency and flow.cancels not in ("", "false")
    closes = any(step.action == "report" and step.given.get("close") == "true" for job in flow.jobs for step in job.steps)
    if cancels and not closes and any(job.actions & JUDGES for job in flow.jobs):
        message = "a run that is cancelled before it compares may leave its check pending: no step closes it"
        yield Finding("note", message, CLOSE, where=flow.path)


def _together(flow: Flow) -> Iterator[Finding]:
    for job in flow.ours:
        if job.actions & TRAINS and job.actions & JUDGES and job.rights.writes:
            message = f"the job {job.id} runs your commands beside a token that may write; in two jobs the one that trains needs `contents: read` alone"
            yield Finding("note", message, "see workflows-templates/pull-request.yml", where=job.at)


def _left_behind(flow: Flow) -> Iterator[Finding]:
    for job in flow.ours:
        for step in job.steps:
            if job.actions & TRAINS and step.uses.startswith("actions/checkout@") and step.given.get("persist-credentials") != "false":
                yield Finding(
                    "note",
                    f"the checkout of the job {job.id} keeps its token where your commands can read it",
                    "        with:\n          persist-credentials: false",
                    where=f"{job.where}:{step.line}",
                )


def _loose(flow: Flow) -> Iterator[Finding]:
    """Tags and branches of others' actions may move: then what ran is no longer what is written."""
    loose = {
        step.uses: f"{job.where}:{step.line}"
        for job in reversed(flow.ours)
        for step in reversed(job.steps)
        if step.uses and not step.uses.startswith(("./", "$/")) and not PINNED.search(step.uses) and not OURS.match(step.uses)
    }
    if loose:
        named = sorted(loose, key=lambda uses: loose[uses])
        yield Finding(
            "note",
            f"not pinned to a commit: {', '.join(named[:6])}{' and more' if len(named) > 6 else ''}",
            "name the commit, with the version behind it: `uses: actions/checkout@<40 digits> # v5.0.0`",
            where=loose[named[0]],
        )
