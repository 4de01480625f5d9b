"""GitHub Actions: its environment and webhook payload as a Context."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlops_toolkit.ci.context import Context, Event

QUEUE_REF = re.compile(r"^refs/heads/gh-readonly-queue/(?P<base>.+)/pr-(?P<number>\d+)-(?P<sha>[0-9a-f]{40})$")
EVENTS: dict[str, Event] = {
    "pull_request": "pull_request",
    "pull_request_target": "pull_request",
    "push": "push",
    "merge_group": "merge_group",
    "schedule": "schedule",
    "workflow_dispatch": "dispatch",
    "repository_dispatch": "dispatch",
}


def _dig(payload: Mapping[str, Any], *path: str) -> Any:
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def context(env: Mapping[str, str], event: Mapping[str, Any]) -> Context:
    """The Context of a GitHub Actions job. env: GITHUB_* variables; event: the payload of GITHUB_EVENT_PATH."""
    name = env.get("GITHUB_EVENT_NAME", "")
    kind: Event = EVENTS.get(name, "other")
    sha = env.get("GITHUB_SHA") or None
    server = (env.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    slug = env.get("GITHUB_REPOSITORY") or None
    run, attempt = env.get("GITHUB_RUN_ID") or None, int(env.get("GITHUB_RUN_ATTEMPT") or 1)
    url = f"{server}/{slug}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt > 1 else "") if slug and run else None
    head, base, branch = sha, None, env.get("GITHUB_REF_NAME") or None
    base_branch, tag, number, fork = env.get("GITHUB_BASE_REF") or None, None, None, False
    if kind == "pull_request":
        head = _dig(event, "pull_request", "head", "sha") or sha
        number = _dig(event, "pull_request", "number") or _dig(event, "number")
        branch = env.get("GITHUB_HEAD_REF") or _dig(event, "pull_request", "head", "ref")
        base_branch = base_branch or _dig(event, "pull_request", "base", "ref")
        theirs, ours = _dig(event, "pull_request", "head", "repo", "full_name"), _dig(event, "pull_request", "base", "repo", "full_name")
        fork = theirs != ours  # a deleted fork has no repository at all: still not ours
    elif kind == "merge_group":
        base, head = _dig(event, "merge_group", "base_sha"), _dig(event, "merge_group", "head_sha") or sha
        match = QUEUE_REF.match(_dig(event, "merge_group", "head_ref") or env.get("GITHUB_REF", ""))
        if match:
            base_branch, number = match["base"], int(match["number"])
    elif env.get("GITHUB_REF_TYPE") == "tag":
        kind, tag, branch = "tag", env.get("GITHUB_REF_NAME") or None, None
    actor = env.get("GITHUB_ACTOR") or None
    return Context(
        provider="github",
        event=kind,
        repository=slug,
        head=head,
        checkout=sha,
        base=base,
        branch=branch,
        base_branch=base_branch,
        default_branch=_dig(event, "repository", "default_branch"),
        tag=tag,
        pull_request=int(number) if number else None,
        fork=fork,
        private=_dig(event, "repository", "private"),
        read_only_token=kind == "pull_request"
        and (fork or _dig(event, "pull_request", "user", "login") == "dependabot[bot]" or actor == "dependabot[bot]"),
        actor=actor,
        run=run,
        attempt=attempt,
        job=env.get("GITHUB_JOB") or None,
        url=url,
        server_url=server,
        api_url=(env.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/"),
        self_hosted=env.get("RUNNER_ENVIRONMENT") == "self-hosted",
    )
