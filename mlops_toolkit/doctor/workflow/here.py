"""Which of the workflows' jobs this process runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlops_toolkit.doctor.workflow.flow import Flow, Job

# OWNER/NAME/.github/workflows/model.yml@refs/heads/main
REFERENCE = re.compile(r"^[^/]+/[^/]+/(?P<path>\.github/workflows/[^@]+)@")


def flow(flows: Sequence[Flow], env: Mapping[str, str]) -> Flow | None:
    """The workflow that runs, by GITHUB_WORKFLOW_REF; None where it is not among these files, or not told."""
    match = REFERENCE.match(env.get("GITHUB_WORKFLOW_REF", ""))
    return next((each for each in flows if match and each.path == match["path"]), None)


def job(flows: Sequence[Flow], env: Mapping[str, str]) -> tuple[Job, Flow] | None:
    """The job that runs, by GITHUB_JOB, and its workflow. None where more than one, or none, could be meant."""
    running = flow(flows, env)
    if running is None:
        return None
    name = env.get("GITHUB_JOB", "")
    found = [each for each in running.ours if each.id == name or each.id.endswith(f" / {name}")]
    return (found[0], running) if len(found) == 1 else None
