"""Whether a job's token may do what the actions in it do, and the lines to paste where it may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlops_toolkit.config.inputs import ACTIONS
from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.workflow.flow import JUDGES, LEVELS, Flow, Job, Step

PULL_REQUESTS = frozenset({"pull_request", "pull_request_target", "workflow_run", "issue_comment"})
OWN_REGISTRY = {"packages: write": "ghcr.io takes no image from it", "packages: read": "ghcr.io gives it no image"}
WHY = {
    "contents: read": "the code, and the recorded runs that may be reused",
    "contents: write": "the recorded runs, on the history's branch",
    "pull-requests: read": "which pull request is judged",
    "pull-requests: write": "the comment",
    "statuses: write": "the check to require: mlops/NAME",
    "issues: write": "the issue about what fails on the main branch",
    "packages: write": "the image, in this repository's registry",
    "statuses: read": "whether a run of the commit is still going",
    "actions: read": "the artifact of another run",
}


def needed(job: Job, flow: Flow) -> tuple[str, ...]:
    """What the steps of a job need at most, `contents: write` before `statuses: write`; what only pull requests need, where there are any."""
    asked: dict[str, str] = {}
    for action, each in ((step.action, each) for step in job.steps for each in _wanted(step)):
        scope, _, level = each.partition(": ")
        # A deployment tells the pull requests that it contains, whatever event it is of.
        if scope == "pull-requests" and action != "deploy" and not PULL_REQUESTS & set(flow.events):
            continue
        if LEVELS[level] > LEVELS.get(asked.get(scope, ""), 0):
            asked[scope] = level
    return tuple(f"{scope}: {level}" for scope, level in asked.items())


def _wanted(step: Step) -> Iterator[str]:
    if step.uses.startswith("actions/download-artifact@") and step.given.get("run-id"):
        yield "actions: read"
    closes = step.action == "report" and step.given.get("close") == "true"
    for each in ACTIONS[step.action].permissions if step.action else ():
        silent = each.startswith("pull-requests") and step.given.get("comment") == "false"
        asks_nobody = (
            step.action == "deploy" and not {"rollback", "status"}.isdisjoint(step.given) and each.startswith("packages")
        )  # the target keeps what it goes back to
        if not silent and not asks_nobody and (not closes or each.startswith("statuses")):
            yield each


def lacking(job: Job, flow: Flow) -> tuple[str, ...]:
    """What of it the `permissions:` do not allow; nothing where none are stated."""
    return tuple(each for each in needed(job, flow) if job.rights.stated and not job.rights.allows(each))


def findings(job: Job, flow: Flow, *, watched: bool = False) -> Iterator[Finding]:
    """A problem where the file takes a right away, a note where it says nothing and the repository's setting decides.

    watched: it runs on the main branch or by the clock, where a failure is told in an issue.
    """
    wanted = needed(job, flow)
    if not job.rights.stated and any(each.endswith("write") for each in wanted):
        message = f"nothing says what the token of the job {job.id} may do: the repository's setting decides, which is to read only unless somebody changed it"
        yield Finding("note", message, lines(job, wanted), where=job.at)
    missing = lacking(job, flow)
    if watched and job.actions & JUDGES and job.rights.stated and not job.rights.allows("issues: write"):
        message = f"the job {job.id} may open no issue: a failure on the main branch, or in the night, is told to nobody"
        yield Finding("note", message, lines(job, (*wanted, "issues: write")), where=job.at)
    if len(missing) == 1 and missing[0] in OWN_REGISTRY:  # another registry has a login of its own, and asks nothing of this token
        message = f"the job {job.id} lacks `{missing[0]}`: {OWN_REGISTRY[missing[0]]}"
        yield Finding("note", message, lines(job, wanted), where=job.at)
    elif missing:
        yield Finding(
            "problem", f"the job {job.id} lacks {' and '.join(f'`{each}`' for each in missing)}", lines(job, wanted), where=job.at
        )


def lines(job: Job, wanted: Iterable[str]) -> str:
    """The `permissions:` block to paste: what the job says already, and what it needs."""
    levels = dict(job.rights.levels)
    for each in wanted:
        scope, _, level = each.partition(": ")
        if LEVELS[level] > LEVELS.get(levels.get(scope, job.rights.every), 0):
            levels[scope] = level
    stated = [f"{scope}: {level}" for scope, level in levels.items()]
    width = max(map(len, stated), default=0)
    rows = [f"      {each:<{width}}  # {WHY[each]}" if each in WHY else f"      {each}" for each in stated]
    caller, called, _ = job.id.partition(" / ")
    also = f"\nand the same at the job {caller} that calls it" if called else ""
    if job.rights.every == "read":
        rows.append("      # and whatever else of `read-all` the job needs")
    return "\n".join(["jobs:", f"  {job.id.rpartition(' / ')[2]}:", "    permissions:", *rows]) + also
