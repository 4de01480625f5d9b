"""What starts the workflows, and with whose code: events that are missing, filters that leave a check waiting, heads that are not to be trusted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.workflow.flow import JUDGES, TRAINS, Event, Flow, Job

ASKED = frozenset({"pull_request", "pull_request_target"})
TRUSTED = frozenset({"pull_request_target", "workflow_run"})
HEAD = re.compile(
    r"github\.event\.pull_request\.(head|merge_commit_sha|number)\b|github\.head_ref|refs/pull/|github\.event\.workflow_run\.(head_|pull_requests)"
    r"|github\.event\.(issue\.)?number|gh\s+pr\s+checkout",
)
TOLD = re.compile(r"\b(needs|steps)\.[\w-]+\.outputs\.")
FETCHES = re.compile(r"\bgit\s+(?:-\S+\s+)*(fetch|checkout|switch|pull|clone|worktree)\b|\bgh\s+pr\s+checkout\b")
PATHS = ("paths", "paths-ignore")


def reviewing(flows: Sequence[Flow], branch: str | None = None) -> list[Flow]:
    """The workflows that judge each push to a pull request (into `branch`)."""
    return [flow for flow in flows if _judges(flow) and any(_each_push(flow.events[name], branch) for name in ASKED & set(flow.events))]


def queued(flows: Sequence[Flow]) -> bool:
    """Whether some workflow judges in a merge queue."""
    return any(_judges(flow) and "merge_group" in flow.events for flow in flows)


def filtered(flow: Flow) -> tuple[str, int] | None:
    """The path filter of a workflow's pull request event, as `paths`, with its line."""
    for name in sorted(ASKED & set(flow.events)):
        event = flow.events[name]
        for key in PATHS:
            if key in event.filters:
                return key, event.line
    return None


def findings(flows: Sequence[Flow], branch: str) -> Iterator[Finding]:
    """Of all workflows that use our actions together, then of each. branch: what pull requests go to."""
    mine = [flow for flow in flows if flow.ours]
    # The others publish, deploy or watch what was made and judged.
    making = [flow for flow in mine if any(job.actions & (TRAINS | JUDGES) for job in flow.jobs)]
    judging = [flow for flow in making if _judges(flow)]
    asked = reviewing(making, branch)
    first = (judging or making)[0] if making else None
    if first and not judging:
        yield Finding(
            "note", "models are trained and nothing compares them: no workflow uses compare-to-main or the root action", where=first.path
        )
    elif first and not asked and not any({"workflow_run", "workflow_call", "issue_comment"} & set(flow.events) for flow in judging):
        hint = "on:\n  pull_request:\n  push:\n    branches: [" + branch + "]"
        yield Finding("note", "no workflow reviews pull requests: none that compares starts with each push to one", hint, where=first.path)
    if asked and not any(on_branch(flow, branch) for flow in making):
        hint = f"on:\n  push:\n    branches: [{branch}]"
        message = f"no run of {branch} itself is recorded: only a pull request that was merged as it was judged becomes a baseline"
        yield Finding("note", message, hint, where=asked[0].path)
    names = {flow.name for flow in flows}
    for flow in mine:
        yield from _unknown_source(flow, names)
        if flow in asked:
            yield from _skips(flow)
        yield from _filtered(flow)
        yield from untrusted(flow)


def _judges(flow: Flow) -> bool:
    return any(job.actions & JUDGES for job in flow.jobs)


def _each_push(event: Event, branch: str | None) -> bool:
    types, branches = event.filters.get("types", ()), event.filters.get("branches", ())
    here = branch is None or not branches or any(fnmatchcase(branch, pattern) for pattern in branches)
    return here and (not types or "synchronize" in types)


def on_branch(flow: Flow, branch: str) -> bool:
    """Whether it runs on the branch itself: after a merge, in the queue before it, or by the clock."""
    if {"merge_group", "schedule"} & set(flow.events):
        return True
    push = flow.events.get("push")
    if push is None or "branches" in push.filters:
        return push is not None and any(fnmatchcase(branch, pattern) for pattern in push.filters["branches"])
    return not {"tags", "tags-ignore"} & set(push.filters)


def _unknown_source(flow: Flow, names: set[str]) -> Iterator[Finding]:
    event = flow.events.get("workflow_run")
    if event is None:
        return
    wanted = event.filters.get("workflows", ())
    unknown = [name for name in wanted if name not in names and "*" not in name]
    if unknown and len(unknown) == len(wanted):
        known = ", ".join(sorted(f'"{name}"' for name in names if name != flow.name)[:10])
        message = f'it waits for the workflow "{unknown[0]}", and none is called that: it never starts'
        yield Finding("problem", message, f"the workflows here are called {known}" if known else None, where=f"{flow.path}:{event.line}")


def _skips(flow: Flow) -> Iterator[Finding]:
    """Only functions of the run's own course (`!cancelled()`) leave a job to run whatever the pull request is."""
    for job in flow.ours:
        if job.actions & JUDGES and not re.fullmatch(r"\s*(!\s*cancelled|always|success)\s*\(\s*\)\s*|", job.condition):
            yield Finding(
                "note",
                f"the job {job.id} is skipped where its `if:` says so, and a skipped job counts as passed",
                "require the check mlops/NAME in the branch's rules, and not the job",
                where=job.at,
            )


def _filtered(flow: Flow) -> Iterator[Finding]:
    found = filtered(flow) if _judges(flow) else None
    if found:
        yield Finding(
            "note",
            f"`{found[0]}:` keeps the workflow from starting: a check that a merge waits for would be waited for forever",
            "leave the filter away: where nothing that decides the model changed, `mlops` answers at once and trains nothing",
            where=f"{flow.path}:{found[1]}",
        )


def untrusted(flow: Flow) -> Iterator[Finding]:
    """The head's code beside a token that may write: whoever opens a pull request could use it."""
    for job in flow.jobs:
        runs_it = bool(job.actions & TRAINS)
        events = (TRUSTED | {"issue_comment"} if runs_it else TRUSTED) & set(flow.events)
        line = _takes_head(job, told=runs_it) if events and job.rights.writes else None
        if line is not None:
            runs = "and runs its code" if runs_it else "where anything in it may run"
            yield Finding(
                "problem",
                f"the job {job.id} checks out a pull request's head {runs}, started by {' and '.join(sorted(events))} with a token that may write",
                "take the pair of workflows of workflows-templates/ instead: the one that runs the head's code on `pull_request` with "
                "`contents: read`, the one that posts on `workflow_run` without checking it out",
                where=f"{job.where}:{line}",
            )


def _takes_head(job: Job, *, told: bool) -> int | None:
    """The line of the step that brings a pull request's head. told: a commit that an earlier step or job names counts as one."""
    for step in job.steps:
        if step.uses.startswith("actions/checkout@"):
            asked = [step.given.get(key, "") for key in ("ref", "repository")]
            if (
                any(map(HEAD.search, asked))
                or (told and any(map(TOLD.search, asked)))
                or step.given.get("allow-unsafe-pr-checkout") == "true"
            ):
                return step.line
        elif FETCHES.search(step.run) and HEAD.search(step.run):
            return step.line
    return None
