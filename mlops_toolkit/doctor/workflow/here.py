"""Which of the workflows' jobs this process runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlops_toolkit.doctor.workflow.flow import Flow, Job

# OWNER/NAME/.github/workflows/model.yml@refs/heads/main
REFERENCE = re.compile(r"^[^/]+/[^/]+/(?P<path>\.github/workflows/[^@]+)@")


def flow(flows: Sequence[Flow], env: Mapping[str, str]) -> Flow | None:
    """The workflow that runs, by GITHUB_WORKFLOW_REF or its name; None where it is not among these files, or not told."""
    match = REFERENCE.match(env.get("GITHUB_WORKFLOW_REF", ""))
    if match:
        return next((each for each in flows if each.path == match["path"]), None)
    named = [each for each in flows if each.name == env.get("GITHUB_WORKFLOW")]
    return named[0] if len(named) == 1 else None


def judges_of(running: Flow, flows: Sequence[Flow]) -> tuple[Flow, ...]:
    """The workflow itself, and those that start when it ends."""
    after = [
        each for each in flows if "workflow_run" in each.events and running.name in each.events["workflow_run"].filters.get("workflows", ())
    ]
    return (running, *after)


def job(flows: Sequence[Flow], env: Mapping[str, str]) -> tuple[Job, Flow] | None:
    """The job that runs, by GITHUB_JOB, and its workflow. None where more than one, or none, could be meant."""
    running = flow(flows, env)
    if running is None:
        return None
    name = env.get("GITHUB_JOB", "")
    found = [each for each in running.ours if each.id == name or each.id.endswith(f" / {name}")]
    return (found[0], running) if len(found) == 1 else None
