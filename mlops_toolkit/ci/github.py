"""GitHub Actions: its environment and webhook payload as a Context.

What the payload says of a head is believed only as far as it says it: a head whose repository is not named is a fork's,
and so is one whose pull request an event brings along without being about it (a review, a review's comment).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlops_toolkit.ci.context import Context, Event, Source

QUEUE_REF = re.compile(r"^refs/heads/gh-readonly-queue/(?P<base>.+)/pr-(?P<number>\d+)-(?P<sha>[0-9a-f]{40})$")
EVENTS: dict[str, Event] = {
    "pull_request": "pull_request",
    "pull_request_target": "pull_request",
    "pull_request_review": "pull_request",
    "pull_request_review_comment": "pull_request",
    "push": "push",
    "merge_group": "merge_group",
    "schedule": "schedule",
    "workflow_dispatch": "dispatch",
    "repository_dispatch": "dispatch",
    "workflow_run": "workflow_run",
    "issue_comment": "comment",
}
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
DEPENDABOT = "dependabot[bot]"
PULLED = ("pull_request", "pull_request_target")


def _dig(payload: Mapping[str, Any], *path: str) -> Any:
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(payload: Mapping[str, Any], *path: str) -> str | None:
    value = _dig(payload, *path)
    return value if isinstance(value, str) and value else None


def _commit(payload: Mapping[str, Any], *path: str) -> str | None:
    value = _text(payload, *path)
    return value if value and COMMIT.fullmatch(value) else None


def _number(value: object) -> int | None:
    """A positive whole number, from a payload or a variable."""
    digits = str(value)
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits, re.ASCII) and int(digits) > 0 else None


def context(env: Mapping[str, str], event: Mapping[str, Any]) -> Context:
    """The Context of a GitHub Actions job. env: GITHUB_* variables; event: the payload of GITHUB_EVENT_PATH.

    What a payload does not hold, or not as it should, is None; a pull request of which it cannot be told whether it
    comes from a fork counts as one.
    """
    kind: Event = EVENTS.get(env.get("GITHUB_EVENT_NAME", ""), "other")
    if kind == "other" and "pull_request" in event:
        kind = "pull_request"
    sha = env.get("GITHUB_SHA") or None
    server = (env.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    slug = env.get("GITHUB_REPOSITORY") or None
    run, attempt = env.get("GITHUB_RUN_ID") or None, _number(env.get("GITHUB_RUN_ATTEMPT")) or 1
    url = f"{server}/{slug}/actions/runs/{run}" + (f"/attempts/{attempt}" if attempt > 1 else "") if slug and run else None
    actor = env.get("GITHUB_ACTOR") or None
    at = Context(
        provider="github",
        event=kind,
        repository=slug,
        head=sha,
        checkout=sha,
        branch=env.get("GITHUB_REF_NAME") or None,
        base_branch=env.get("GITHUB_BASE_REF") or None,
        default_branch=_text(event, "repository", "default_branch"),
        private=_flag(event, "repository", "private"),
        actor=actor,
        run=run,
        attempt=attempt,
        job=env.get("GITHUB_JOB") or None,
        url=url,
        server_url=server,
        api_url=(env.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/"),
        self_hosted=_self_hosted(env, server),
    )
    if kind == "pull_request":
        return _pull_request(at, env, event)
    if kind == "merge_group":
        return _merge_group(at, env, event)
    if kind == "workflow_run":
        return _workflow_run(at, event)
    if kind == "comment":
        return _comment(at, event)
    if env.get("GITHUB_REF_TYPE") == "tag":  # of a tag that is an object of its own, the commit behind it
        return replace(at, event="tag", tag=at.branch, branch=None, head=_commit(event, "head_commit", "id") or sha)
    if kind == "push" and actor == DEPENDABOT and (at.branch or "").startswith("dependabot"):
        return replace(at, dependabot=True, read_only_token=True)
    return at


def _self_hosted(env: Mapping[str, str], server: str) -> bool:
    """Whose machine the runner says it is on; one too old to say so is GitHub's own only for github.com, which renews its runners."""
    said = env.get("RUNNER_ENVIRONMENT")
    return said == "self-hosted" if said is not None else server != "https://github.com"


def _pull_request(at: Context, env: Mapping[str, str], event: Mapping[str, Any]) -> Context:
    theirs, ours = _text(event, "pull_request", "head", "repo", "full_name"), _text(event, "pull_request", "base", "repo", "full_name")
    fork = theirs is None or theirs != ours  # a deleted fork has no repository at all: still not ours
    dependabot = DEPENDABOT in (_text(event, "pull_request", "user", "login"), at.actor)
    trusted = env.get("GITHUB_EVENT_NAME") == "pull_request_target"  # runs the base branch's workflow, with a token that may write
    labelled = _text(event, "label", "name") if _text(event, "action") == "labeled" else None
    return replace(
        at,
        head=_commit(event, "pull_request", "head", "sha") or at.head,
        branch=env.get("GITHUB_HEAD_REF") or _text(event, "pull_request", "head", "ref"),
        base_branch=at.base_branch or _text(event, "pull_request", "base", "ref"),
        pull_request=_number(_dig(event, "pull_request", "number") or _dig(event, "number")),
        fork=fork,
        dependabot=dependabot,
        read_only_token=(fork or dependabot) and not trusted,
        asked_by=_text(event, "sender", "login") if labelled and trusted else None,
        request=labelled if trusted else None,
        asked_at=_text(event, "pull_request", "updated_at") if labelled and trusted else None,
    )


def _workflow_run(at: Context, event: Mapping[str, Any]) -> Context:
    """What ended: its head is judged, by the default branch's code. Which pull request that is, the payload tells of our own branches alone."""
    theirs, ours = _text(event, "workflow_run", "head_repository", "full_name"), _text(event, "workflow_run", "repository", "full_name")
    people = [_text(event, "workflow_run", key, "login") for key in ("actor", "triggering_actor")]
    started_by, branch = _text(event, "workflow_run", "event"), _text(event, "workflow_run", "head_branch")
    head = _commit(event, "workflow_run", "head_sha")
    # A branch that is proposed to a parent repository, too, lists that one's pull request: its number means nothing here.
    pulls = [
        pull
        for pull in _list(event, "workflow_run", "pull_requests")
        if _ours(pull, event) and _commit(pull, "head", "sha") in (None, head)
    ]
    numbers = [number for pull in pulls if (number := _number(_dig(pull, "number")))]
    # A tag's run has the tag for its branch, and only some payloads say of which kind it is.
    of_tag = started_by == "release" or (_text(event, "workflow_run", "path") or "").endswith(f"@refs/tags/{branch}")
    tag = branch if of_tag else None
    return replace(
        at,
        head=head,
        branch=None if tag else branch,
        tag=tag,
        pull_request=numbers[0] if len(numbers) == 1 and started_by in PULLED else None,
        fork=theirs is None or theirs != (ours or at.repository),
        dependabot=DEPENDABOT in people,
        source=Source(
            run=str(_number(_dig(event, "workflow_run", "id")) or "") or None,
            attempt=_number(_dig(event, "workflow_run", "run_attempt")) or 1,
            event=started_by,
            concluded=_text(event, "workflow_run", "conclusion"),
            owner=_text(event, "workflow_run", "head_repository", "owner", "login"),
        ),
    )


def _ours(pull: Any, event: Mapping[str, Any]) -> bool:
    """Whether a pull request that is listed is one of this repository, as far as both say it."""
    base, here = _dig(pull, "base", "repo", "id"), _dig(event, "repository", "id")
    return isinstance(pull, Mapping) and (base is None or here is None or base == here)


def _comment(at: Context, event: Mapping[str, Any]) -> Context:
    """A comment on a pull request. Its head is whatever the workflow checked out (`build` asks git); until it is known, it is a stranger's.

    Only who writes a comment asks for something: one that is edited or deleted may be so by somebody else.
    """
    if not isinstance(_dig(event, "issue", "pull_request"), Mapping):
        return at
    said = (_text(event, "comment", "body") or "").strip().partition("\n")[0].strip()
    written = _text(event, "action") == "created"
    return replace(
        at,
        head=None,
        branch=None,
        pull_request=_number(_dig(event, "issue", "number")),
        fork=True,
        asked_by=_text(event, "comment", "user", "login") if written else None,
        request=(said[:200] or None) if written else None,
        asked_at=_text(event, "comment", "created_at") if written else None,
    )


def _merge_group(at: Context, env: Mapping[str, str], event: Mapping[str, Any]) -> Context:
    match = QUEUE_REF.match(_text(event, "merge_group", "head_ref") or env.get("GITHUB_REF", ""))
    into = (_text(event, "merge_group", "base_ref") or "").removeprefix("refs/heads/") or at.base_branch
    return replace(
        at,
        head=_commit(event, "merge_group", "head_sha") or at.head,
        base=_commit(event, "merge_group", "base_sha"),
        base_branch=match["base"] if match else into,
        pull_request=_number(match["number"]) if match else None,
    )


def _flag(payload: Mapping[str, Any], *path: str) -> bool | None:
    value = _dig(payload, *path)
    return value if isinstance(value, bool) else None


def _list(payload: Mapping[str, Any], *path: str) -> list[Any]:
    value = _dig(payload, *path)
    return value if isinstance(value, list) else []
