"""What GitHub does when it is asked: one repository with pull requests, comments, issues, statuses, people and rules, in memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.world.github_contents import Contents
from tests.world.github_deployments import Deployments
from tests.world.github_releases import BOT, REPOSITORY, Answer, Releases, Token, may, page
from tests.world.openapi import example


def invalid(message: str, resource: str = "IssueComment", name: str = "data") -> Answer:
    """422 as GitHub says it."""
    errors = [{"resource": resource, "code": "unprocessable", "field": name, "message": message}]
    return Answer(422, "Validation Failed", errors=errors)


@dataclass
class Repository:
    """`acme/models`. Times are counted in requests, so that nothing depends on a clock."""

    repository: str = "acme/models"
    tokens: dict[str, Token] = field(default_factory=lambda: {"ghs_job": Token()})
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=lambda: {"octocat": "admin"})
    branch_rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    branches: dict[str, dict[str, Any] | None] = field(default_factory=lambda: {"main": None})
    locked: set[int] = field(default_factory=set)
    has_issues: bool = True
    releases: Releases = field(default_factory=Releases)
    deployments: Deployments = field(default_factory=Deployments)
    workflows: dict[str, bool] = field(default_factory=dict)  # a workflow's file -> whether it has `workflow_dispatch`
    dispatched: list[tuple[str, str]] = field(default_factory=list)
    contents: Contents = field(default_factory=Contents)
    violations: list[str] = field(default_factory=list)
    url: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _next: int = 1000

    # ── what a test does ──────────────────────────────────────────────
    def add_comment(self, number: int, body: str, author: str = "octocat") -> dict[str, Any]:
        with self._lock:
            self._next += 1
            made: dict[str, Any] = example("post", f"{REPOSITORY}/issues/{{issue_number}}/comments", 201)
            made |= {
                "id": self._next,
                "body": body,
                "url": f"{self.url}/repos/{self.repository}/issues/comments/{self._next}",
                "html_url": f"https://github.com/{self.repository}/pull/{number}#issuecomment-{self._next}",
                "issue_url": f"{self.url}/repos/{self.repository}/issues/{number}",
            }
            made["user"] |= {"login": author, "type": "Bot" if author.endswith("[bot]") else "User"}
            self.comments.setdefault(number, []).append(made)
            return made

    def add_issue(self, title: str, body: str | None = None, author: str = "octocat", labels: Sequence[str] = ()) -> dict[str, Any]:
        with self._lock:
            self._next += 1
            made: dict[str, Any] = example("post", f"{REPOSITORY}/issues", 201)
            label = made["labels"][0]
            made |= {
                "id": self._next + 500_000,
                "number": self._next,
                "title": title,
                "body": body,
                "state": "open",
                "labels": [label | {"id": i, "name": name} for i, name in enumerate(labels)],
                "url": f"{self.url}/repos/{self.repository}/issues/{self._next}",
                "html_url": f"https://github.com/{self.repository}/issues/{self._next}",
            }
            made |= {"state_reason": None}
            made.pop("pull_request", None)
            made["user"] |= {"login": author, "type": "Bot" if author.endswith("[bot]") else "User"}
            self.issues[self._next] = made
            return made

    def add_pull(
        self,
        number: int,
        *,
        head: str,
        head_branch: str = "feature",
        fork: bool = False,
        state: str = "open",
        base_branch: str = "main",
        owner: str | None = None,
        labels: Sequence[str] = (),
        deleted: bool = False,
        merged: str | None = None,
    ) -> None:
        """A pull request; of a fork the head's repository is OWNER/models (someone/models), or deleted. merged: the commit that it came with."""
        made = example("get", f"{REPOSITORY}/pulls/{{pull_number}}", 200)
        theirs = f"{owner or 'someone'}/models" if fork else self.repository
        made |= {"number": number, "state": state, "requested_teams": [], "title": "A change"}
        made["labels"] = [made["labels"][0] | {"name": name} for name in labels]
        made["base"] |= {"ref": base_branch}
        made["base"]["repo"]["full_name"] = self.repository
        made["head"] |= {"ref": head_branch, "sha": head, "label": f"{theirs.partition('/')[0]}:{head_branch}"}
        made["head"]["repo"]["full_name"] = theirs
        if deleted:
            made["head"]["repo"] = None
        made |= {"merge_commit_sha": merged, "merged_at": "2026-01-02T03:04:05Z" if merged else None}
        self.pulls[number] = made

    def bodies(self, number: int, author: str = BOT) -> list[str]:
        return [c["body"] for c in self.comments.get(number, []) if c["user"]["login"] == author]

    def open_issues(self, author: str = BOT) -> list[dict[str, Any]]:
        return [i for i in self.issues.values() if i["state"] == "open" and i["user"]["login"] == author]

    # ── what GitHub does ──────────────────────────────────────────────
    def perform(self, verb: str, path: str, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if path == "/user":
            return self._user(token)
        if path == "/graphql":
            return self._graphql(body, token)
        prefix = f"/repos/{self.repository}/"
        if f"{path}/" == prefix:
            made = {
                key: value
                for key, value in example("get", REPOSITORY, 200).items()
                if key not in ("template_repository", "parent", "source")
            }
            return 200, made | {"full_name": self.repository, "default_branch": "main", "language": None}
        if not path.startswith(prefix):
            raise Answer(404, "Not Found")
        routes: list[tuple[str, Callable[..., tuple[int, Any]]]] = [
            (r"issues", lambda: self._issues(verb, query, body, token)),
            (r"issues/(\d+)", lambda n: self._issue(verb, int(n), body, token)),
            (r"issues/(\d+)/comments", lambda n: self._thread(verb, int(n), query, body, token)),
            (r"issues/comments/(\d+)", lambda n: self._one(verb, int(n), body, token)),
            (r"statuses/([0-9a-f]+)", lambda sha: self._status(sha, body, token)),
            (r"commits/([0-9a-f]+)/statuses", lambda sha: (200, page(self._statuses(sha, token), query))),
            (r"commits/([0-9a-f]+)/status", lambda sha: self._combined(sha, query, token)),
            (r"commits/([0-9a-f]+)/pulls", lambda sha: self._pulls_of(sha, query, token)),
            (r"pulls", lambda: self._propose(body, token) if verb == "post" else self._pulls(query, token)),
            (r"pulls/(\d+)", lambda n: self._pull(int(n), token, body if verb == "patch" else {})),
            (r"contents/(.+)", lambda name: self.contents.file(verb, name, query, body, token)),
            (r"git/matching-refs/(.+)", self.contents.refs),
            (r"git/ref/(.+)", self.contents.ref),
            (r"git/refs", lambda: self.contents.branch(body, token)),
            (r"collaborators/([^/]+)/permission", self._permission),
            (r"branches/(.+)/protection", lambda name: self._protection(name, token)),
            (r"branches/(.+)", lambda name: self._branch(name, token)),
            (r"releases", lambda: self.releases.all(verb, query, body, token, self.repository)),
            (r"releases/tags/(.+)", self.releases.of),
            (r"releases/(\d+)", lambda n: self.releases.one(verb, int(n), body, token)),
            (r"actions/workflows/([^/]+)/dispatches", lambda name: self._dispatch(name, body, token)),
            (r"deployments", lambda: self.deployments.all(verb, query, body, token)),
            (r"deployments/(\d+)/statuses", lambda n: self.deployments.of(verb, int(n), query, body, token)),
            (r"rules/branches/(.+)", lambda name: (200, page(self.branch_rules.get(name, []), query))),
        ]
        for pattern, act in routes:
            if found := re.fullmatch(pattern, path[len(prefix) :]):
                return act(*found.groups())
        raise Answer(404, "Not Found")

    def _user(self, token: Token) -> tuple[int, Any]:
        if token.login is None:
            raise Answer(403, "Resource not accessible by integration")
        return 200, example("get", "/user", 200) | {"login": token.login, "user_view_type": "private"}

    def _graphql(self, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if "".join(body.get("query", "").split()) != "{viewer{login}}":
            self.violations.append(f"a GraphQL query that is not answered here: {body}")
        return 200, {"data": {"viewer": {"login": token.author}}}

    # ── comments ──
    def _thread(self, verb: str, number: int, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if verb == "get":
            return 200, page(self.comments.get(number, []), query)
        may(token, "pull-requests" if number in self.pulls or number not in self.issues else "issues")
        if number in self.locked:
            raise Answer(403, "Unable to create comment because issue is locked.")
        if not body["body"].strip():
            raise invalid("Body cannot be blank")
        fits(body["body"])
        return 201, self.add_comment(number, body["body"], token.author)

    def _one(self, verb: str, number: int, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        for thread in self.comments.values():
            for comment in thread:
                if comment["id"] != number:
                    continue
                if verb == "get":
                    return 200, comment
                may(token, "pull-requests")
                if verb == "delete":
                    thread.remove(comment)
                    return 204, None
                fits(body["body"])
                comment["body"] = body["body"]
                return 200, comment
        raise Answer(404, "Not Found")

    # ── issues ──
    def _issues(self, verb: str, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if verb == "get":
            may_read(token, "issues")
            return 200, page(self._chosen(query), query)
        may(token, "issues")
        if not self.has_issues:
            raise Answer(410, "Issues has been disabled in this repository.")
        if not str(body["title"]).strip():
            raise invalid("title can't be blank", "Issue", "title")
        fits(body.get("body") or "", "Issue")
        return 201, self.add_issue(str(body["title"]), body.get("body"), token.author, body.get("labels", []) if token.labels else [])

    def _chosen(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Issues and, as GitHub has it, pull requests, newest first."""
        if query.get("sort", "created") != "created" or query.get("direction", "desc") != "desc":
            self.violations.append(f"an order of issues that is not made here: {query}")
        of_pulls = []
        for number, pull in self.pulls.items():
            made = example("post", f"{REPOSITORY}/issues", 201) | {"number": number, "state": pull["state"], "title": pull["title"]}
            made["user"] |= {"login": pull["user"]["login"]}
            made["pull_request"] = dict.fromkeys(("url", "html_url", "diff_url", "patch_url"), f"https://api.github.com/{number}")
            of_pulls.append(made)
        wanted, creator = query.get("state", "open"), query.get("creator")
        labels = [name for name in query.get("labels", "").split(",") if name]
        return [
            each
            for each in sorted([*self.issues.values(), *of_pulls], key=lambda i: -int(i["number"]))
            if wanted in ("all", each["state"])
            and creator in (None, each["user"]["login"])
            and set(labels) <= {label["name"] for label in each["labels"]}
        ]

    def _issue(self, verb: str, number: int, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if number not in self.issues:
            raise Answer(404, "Not Found")
        if verb == "get":
            may_read(token, "issues")
            return 200, self.issues[number]
        may(token, "issues")
        fits(body.get("body") or "", "Issue")
        issue = self.issues[number]
        if "state" in body and body["state"] != issue["state"]:
            issue["state_reason"] = body.get("state_reason") or ("completed" if body["state"] == "closed" else "reopened")
        issue |= {key: body[key] for key in ("title", "body", "state") if key in body}
        return 200, issue

    # ── workflows ──
    def _dispatch(self, name: str, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        may(token, "actions")
        if name not in self.workflows:
            raise Answer(404, "Not Found")
        if not self.workflows[name]:
            raise Answer(422, "Workflow does not have 'workflow_dispatch' trigger")
        if body["ref"] not in self.branches:
            raise Answer(422, f"No ref found for: {body['ref']}")
        self.dispatched.append((name, body["ref"]))
        return 204, None

    # ── statuses ──
    def _status(self, sha: str, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        may(token, "statuses")
        if not sha.strip("0"):
            raise Answer(422, f"No commit found for SHA: {sha}")
        if len(body.get("description") or "") > 140:
            raise invalid("description is too long (maximum is 140 characters)", "Status", "description")
        made = example("post", f"{REPOSITORY}/statuses/{{sha}}", 201)
        made |= {
            "state": body["state"],
            "context": body.get("context", "default"),
            "description": body.get("description"),
            "target_url": body.get("target_url"),
        }
        self.statuses.setdefault(sha, []).append(made)
        return 201, made

    def _statuses(self, sha: str, token: Token) -> list[dict[str, Any]]:
        may_read(token, "statuses")
        return list(reversed(self.statuses.get(sha, [])))

    def _combined(self, sha: str, query: dict[str, str], token: Token) -> tuple[int, Any]:
        latest = {each["context"]: each for each in reversed(self._statuses(sha, token))}
        made = example("get", f"{REPOSITORY}/commits/{{ref}}/status", 200)
        blank = made["statuses"][0]
        simple = [blank | {key: each[key] for key in ("state", "context", "description", "target_url")} for each in latest.values()]
        states = {each["state"] for each in simple}
        whole = "failure" if states & {"failure", "error"} else "pending" if "pending" in states or not states else "success"
        return 200, made | {"state": whole, "sha": sha, "total_count": len(simple), "statuses": page(simple, query)}

    # ── pull requests ──
    def _simple(self, number: int) -> dict[str, Any]:
        made: dict[str, Any] = example("get", f"{REPOSITORY}/pulls", 200)[0]
        return made | {key: value for key, value in self.pulls[number].items() if key in made}

    def _pull(self, number: int, token: Token, change: dict[str, Any]) -> tuple[int, Any]:
        may_read(token, "pull-requests")
        if number not in self.pulls:
            raise Answer(404, "Not Found")
        if change:
            may(token, "pull-requests")
            self.pulls[number] |= {key: change[key] for key in ("title", "body") if key in change}
        return 200, self.pulls[number]

    def _propose(self, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        may(token, "pull-requests")
        if body["head"] not in self.contents.files or any(
            pull["head"]["ref"] == body["head"] and pull["state"] == "open" for pull in self.pulls.values()
        ):
            raise Answer(422, "Validation Failed", errors=[{"resource": "PullRequest", "field": "head", "code": "invalid"}])
        self._next += 1
        self.add_pull(self._next, head="a" * 40, head_branch=body["head"], base_branch=body["base"])
        self.pulls[self._next] |= {"title": body["title"], "body": body["body"]}
        return 201, self.pulls[self._next]

    def _pulls(self, query: dict[str, str], token: Token) -> tuple[int, Any]:
        """A `head` without an owner is no filter at all, as on GitHub."""
        may_read(token, "pull-requests")
        wanted, head, base = query.get("state", "open"), query.get("head", ""), query.get("base")
        chosen = [
            number
            for number, pull in sorted(self.pulls.items(), reverse=True)
            if wanted in ("all", pull["state"])
            and (":" not in head or pull["head"]["label"] == head)
            and base in (None, pull["base"]["ref"])
        ]
        return 200, [self._simple(number) for number in page(chosen, query)]

    def _pulls_of(self, sha: str, query: dict[str, str], token: Token) -> tuple[int, Any]:
        may_read(token, "pull-requests")
        chosen = [number for number, pull in sorted(self.pulls.items()) if sha in (pull["head"]["sha"], pull["merge_commit_sha"])]
        return 200, [self._simple(number) for number in page(chosen, query)]

    # ── people, branches ──
    def _permission(self, login: str) -> tuple[int, Any]:
        if login not in self.people:
            raise Answer(404, f"{login} is not a user")
        role = self.people[login]
        made = example("get", f"{REPOSITORY}/collaborators/{{username}}/permission", 200)
        made["user"] |= {"login": login, "role_name": role}
        return 200, made | {"permission": {"maintain": "write", "triage": "read"}.get(role, role), "role_name": role}

    def _branch(self, name: str, token: Token) -> tuple[int, Any]:
        may_read(token, "contents")
        if name not in self.branches:
            raise Answer(404, "Branch not found")
        made = example("get", f"{REPOSITORY}/branches/{{branch}}", 200)
        protection = self.branches[name]
        checks = (protection or {}).get("required_status_checks") or {"contexts": [], "checks": []}
        made |= {"name": name, "protected": protection is not None}
        made["protection"] = {"enabled": protection is not None, "required_status_checks": {"enforcement_level": "off", **checks}}
        return 200, made

    def _protection(self, name: str, token: Token) -> tuple[int, Any]:
        if "administration" not in token.may_read:
            raise Answer(403, "Resource not accessible by integration")
        protection = self.branches.get(name)
        if protection is None:
            raise Answer(404, "Branch not protected")
        return 200, {"url": f"{self.url}/repos/{self.repository}/branches/{quote(name)}/protection", **protection}


def may_read(token: Token, permission: str) -> None:
    if permission not in token.may_read:
        raise Answer(403, "Resource not accessible by integration")


def fits(body: str, resource: str = "IssueComment") -> None:
    if len(body) > 65_536 or len(body.encode()) > 262_144:
        raise invalid("Body is too long (maximum is 65536 characters)", resource)
