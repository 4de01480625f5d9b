"""What GitHub knows and we ask before or after a run: pull requests, people, checks, permissions. What is not as its API says is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mlops_toolkit.forge.base import Check, PullRequest, State
from mlops_toolkit.forge.board import Refused, persist
from mlops_toolkit.forge.rest import PAGE, PAGES, Rest
from mlops_toolkit.forge.thread import text

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

T = TypeVar("T")
STATES = ("pending", "success", "failure", "error")
PREFIX = "mlops/"
NOBODY = "0" * 40
WRITERS = ("admin", "write", "maintain")
READERS = ("triage", "read", "none")


class Unknown(Exception):
    """An answer that is not what the API says."""


def pull_request(forge: GitHub, rest: Rest, number: int) -> PullRequest:
    """One by its number. Raises Refused, Unknown."""
    return made_of(persist(forge.clock, lambda: rest.get(forge.path("pulls", number))))


def find_pull_request(forge: GitHub, rest: Rest, head: str, branch: str | None, owner: str | None) -> PullRequest | None:
    """The open one whose head is this commit, None where it is not exactly one. Raises Refused, Unknown."""
    if branch and owner:
        path, of = forge.path("pulls"), f"{owner}:{branch}"
        found = _open_at(head, persist(forge.clock, lambda: rest.pages(path, state="open", head=of)))
        if found:
            return found[0] if len(found) == 1 else None
    path = forge.path("commits", head, "pulls")
    found = _open_at(head, persist(forge.clock, lambda: rest.pages(path)))
    return found[0] if len(found) == 1 else None


def merged_by(forge: GitHub, rest: Rest, commit: str) -> tuple[int, ...]:
    """The merged pull requests that hold a commit, by number. Raises Refused, Unknown."""
    listed = persist(forge.clock, lambda: rest.pages(forge.path("commits", commit, "pulls"), needs="pull-requests: read"))
    return tuple(sorted(made_of(each).number for each in listed if text(each.get("merged_at"))))


def _open_at(head: str, listed: list[dict[str, Any]]) -> list[PullRequest]:
    """A list of pull requests holds also those whose head has moved on."""
    return [pull for pull in map(made_of, listed) if pull.open and pull.head == head]


def made_of(data: Mapping[str, Any]) -> PullRequest:
    """A pull request as GitHub describes it. One whose head's repository is gone, or is not told, is a fork's. Raises Unknown."""
    head, base = _mapping(data, "head"), _mapping(data, "base")
    theirs, ours = head.get("repo"), base.get("repo")
    known = isinstance(theirs, Mapping) and isinstance(ours, Mapping) and text(theirs.get("full_name"))
    labels = data.get("labels")
    names = [text(each.get("name")) for each in labels if isinstance(each, Mapping)] if isinstance(labels, list) else []
    number = data.get("number")
    if not isinstance(number, int) or isinstance(number, bool):
        raise Unknown("a pull request without a number")
    return PullRequest(
        number=number,
        head=_said(head, "sha"),
        base_branch=_said(base, "ref"),
        head_branch=_said(head, "ref"),
        pushed_at=text(theirs.get("pushed_at")) if isinstance(theirs, Mapping) else None,
        open=_said(data, "state") == "open",
        fork=not known or theirs["full_name"] != ours.get("full_name"),  # type: ignore[index, union-attr]
        title=text(data.get("title")) or "",
        labels=tuple(each for each in names if each),
    )


def may_write(forge: GitHub, rest: Rest, login: str) -> bool:
    """Whether a person may push; one that GitHub does not know here may not. Raises Refused, Unknown."""
    try:
        data = persist(forge.clock, lambda: rest.get(forge.path("collaborators", login, "permission")))
    except Refused as refused:
        if refused.status == 404:
            return False
        raise
    user = data.get("user")
    about = text(user.get("login")) if isinstance(user, Mapping) else None
    if about is None or about.casefold() != login.casefold():
        raise Unknown("an answer about somebody else")
    permission = _said(data, "permission")
    if permission not in (*WRITERS, *READERS):
        raise Unknown(f"a permission that is not known here: {permission}")
    return permission in WRITERS


def checks(forge: GitHub, rest: Rest, commit: str) -> tuple[Check, ...]:
    """The latest of each status of ours. Raises Refused, Unknown."""
    found: dict[str, Check] = {}
    for each in persist(forge.clock, lambda: _statuses(forge, rest, commit)):
        name = text(each.get("context")) or ""
        if name.startswith(PREFIX):
            state = _said(each, "state")
            if state not in STATES:
                raise Unknown(f"a state that is not known here: {state}")
            said = Check(name.removeprefix(PREFIX), cast(State, state), text(each.get("description")) or "", text(each.get("target_url")))
            found.setdefault(said.name, said)
    return tuple(found.values())


def _statuses(forge: GitHub, rest: Rest, commit: str) -> list[Mapping[str, Any]]:
    """The combined status holds one of each name, the latest; its pages are objects around a list."""
    found: list[Mapping[str, Any]] = []
    for page in range(1, PAGES + 1):
        data = rest.get(forge.path("commits", commit, "status"), per_page=PAGE, page=page)
        statuses = data.get("statuses")
        if data.get("sha") != commit or not isinstance(statuses, list):
            raise Unknown("an answer about another commit")
        found += [each for each in statuses if isinstance(each, Mapping)]
        if len(statuses) < PAGE:
            break
    return found


def lacks(forge: GitHub, rest: Rest, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
    """Those that the token was refused. Each is tried with a request that GitHub cannot fulfil: a status of no commit, an empty comment,
    an issue without a title. Who may ask is told what is wrong with it (422), who may not is told that (403). None where neither was said."""
    answers = {each: _refused(forge, rest, each) for each in permissions}
    refused = tuple(each for each, was in answers.items() if was)
    return None if not refused and None in answers.values() else refused


def _refused(forge: GitHub, rest: Rest, permission: str) -> bool | None:
    """Whether the token was refused; None where that cannot be told."""
    number = forge.context.pull_request
    probes: dict[str, Callable[[], object]] = {
        "statuses: write": lambda: rest.send("POST", forge.path("statuses", NOBODY), state="error", context="mlops/permission"),
        "issues: write": lambda: rest.send("POST", forge.path("issues"), title=""),
    }
    if number is not None:
        probes["pull-requests: write"] = lambda: rest.send("POST", forge.path("issues", number, "comments"), body="")
    probe = probes.get(permission)
    if probe is None:
        return None
    try:
        persist(forge.clock, probe)
    except Refused as refused:
        return {403: True, 422: False}.get(refused.status or 0) if not refused.again else None
    return False


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if not isinstance(value, Mapping):
        raise Unknown(f"an answer without {key}")
    return value


def _said(data: Mapping[str, Any], key: str) -> str:
    value = text(data.get(key))
    if not value:
        raise Unknown(f"an answer without {key}")
    return value
