"""Whether the workflow files let the actions do their work: rights, events, what is handed over, and whose code runs."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.workflow import course, habits, handover, legs, rights
from mlops_toolkit.doctor.workflow.flow import Flow


def check(patient: Patient) -> Iterator[Finding]:
    """Every workflow of .github/workflows that uses an action of ours, in one way or another."""
    root = patient.world.root
    flows, unread = patient.workflows
    for path, error in unread.items():
        yield Finding("note", f"a workflow that cannot be read: {error.message}", where=error.where or path)
    mine = [flow for flow in flows if flow.ours]
    if not mine:
        if (root / ".github").is_dir() or patient.world.context.provider == "github":
            yield Finding("note", "no workflow uses these actions", "`mlops init` writes one")
        return
    problems = list(judged(flows, patient.world.default_branch()))
    yield from problems
    broken = {(finding.where or "").partition(":")[0] for finding in problems if finding.level == "problem"}
    for flow in mine:
        if flow.path not in broken:
            jobs = [f"{job.id} ({', '.join(sorted(job.actions))})" for job in flow.ours]
            yield Finding("fine", f"{', '.join(jobs)}", where=flow.path)


def judged(flows: tuple[Flow, ...], branch: str) -> Iterator[Finding]:
    """What is to be said of workflows, the problems of each first."""
    yield from course.findings(flows, branch)
    for flow in flows:
        if not flow.ours:
            continue
        for job in flow.ours:
            yield from rights.findings(
                job, flow, watched="schedule" in flow.events or ("push" in flow.events and course.on_branch(flow, branch))
            )
            yield from legs.findings(job)
        yield from handover.findings(flow)
        yield from habits.findings(flow)
