"""A GitHub to post to: an HTTP server on this machine with pull requests, comments and statuses in memory.

Every request, and every answer of its own, is checked against GitHub's official OpenAPI description (a slice of it, see
`slice_openapi.py`); what does not hold is kept in `violations`, which the fixture in `tests/unit/forge` asserts empty.
Faults are injected with `fail`, a second writer with `meanwhile`.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SLICE = Path(__file__).parent / "github-openapi.json.gz"
# Examples of the description that contradict their own schema, with what is wrong in them; our answers mend it.
CONTRADICTING = {
    ("get", "/repos/{owner}/{repo}/pulls/{pull_number}"): "requested_teams[0] has no `type`",
    ("get", "/user"): "no `user_view_type`, so it is a private and a public user at once",
}
BOT = "github-actions[bot]"
UNICORN = (
    "<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head><body>This page is taking too long to load.</body></html>"
)


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    """The slice of GitHub's OpenAPI description."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(SLICE.read_bytes()))
    return loaded


def example(verb: str, path: str, status: int) -> Any:
    """A fresh copy of the description's first example of an answer."""
    content = description()["paths"][path][verb]["responses"][str(status)]["content"]["application/json"]
    node = next(iter(content["examples"].values()))
    if "$ref" in node:
        node = description()["components"]["examples"][node["$ref"].rsplit("/", 1)[1]]
    return copy.deepcopy(node["value"])


@lru_cache(maxsize=1)
def checker() -> Any:
    """openapi-core over the slice."""
    from openapi_core import OpenAPI

    return OpenAPI.from_dict(description())


@dataclass(frozen=True)
class Fault:
    """An answer instead of the real one. drop: hang up without one; performed: but do first what was asked."""

    status: int = 500
    body: str = UNICORN
    content_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    performed: bool = False

    @classmethod
    def message(cls, status: int, text: str, **headers: str) -> Fault:
        body = json.dumps({"message": text, "documentation_url": "https://docs.github.com/rest", "status": str(status)})
        return cls(status, body, "application/json", {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class Token:
    """login None: an app's token, which may not ask /user and acts as `bot`."""

    login: str | None = None
    bot: str = BOT
    may: frozenset[str] = frozenset({"pull-requests", "statuses"})

    @property
    def author(self) -> str:
        return self.login or self.bot


class Answer(Exception):
    """An early answer with a status and a message."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, {"message": message, "documentation_url": "https://docs.github.com/rest", **more}


@dataclass
class FakeGitHub:
    """One repository, `acme/models`. Times are counted in requests, so that nothing depends on a clock."""

    repository: str = "acme/models"
    tokens: dict[str, Token] = field(default_factory=lambda: {"ghs_job": Token()})
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    latency_seconds: float = 0.0
    url: str = ""
    _faults: list[tuple[re.Pattern[str], Fault, int]] = field(default_factory=list)
    _meanwhile: list[tuple[re.Pattern[str], Callable[[], None]]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _next: int = 1000

    # ── what a test does ──────────────────────────────────────────────
    def fail(self, request: str, fault: Fault, times: int = 1) -> None:
        """Answer the next `times` requests matching the pattern (`PATCH .*/comments/`) with `fault`."""
        self._faults.append((re.compile(request), fault, times))

    def meanwhile(self, request: str, act: Callable[[], None]) -> None:
        """Just before the next request matching the pattern is performed, do `act` once: another writer was quicker."""
        self._meanwhile.append((re.compile(request), act))

    def add_comment(self, number: int, body: str, author: str = "octocat") -> dict[str, Any]:
        with self._lock:
            self._next += 1
            made = example("post", "/repos/{owner}/{repo}/issues/{issue_number}/comments", 201)
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

    def add_pull(self, number: int, *, head: str, head_branch: str = "feature", fork: bool = False, state: str = "open") -> None:
        made = example("get", "/repos/{owner}/{repo}/pulls/{pull_number}", 200)
        made |= {"number": number, "state": state, "requested_teams": [], "title": "A change"}
        made["base"] |= {"ref": "main"}
        made["base"]["repo"]["full_name"] = self.repository
        made["head"] |= {"ref": head_branch, "sha": head}
        made["head"]["repo"]["full_name"] = "someone/models" if fork else self.repository
        self.pulls[number] = made

    def bodies(self, number: int, author: str = BOT) -> list[str]:
        return [c["body"] for c in self.comments.get(number, []) if c["user"]["login"] == author]

    # ── what GitHub does ──────────────────────────────────────────────
    def perform(self, verb: str, path: str, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if path == "/user":
            return self._user(token)
        if path == "/graphql":
            return self._graphql(body, token)
        prefix = f"/repos/{self.repository}/"
        if not path.startswith(prefix):
            raise Answer(404, "Not Found")
        rest = path[len(prefix) :]
        if found := re.fullmatch(r"issues/(\d+)/comments", rest):
            return self._thread(verb, int(found[1]), query, body, token)
        if found := re.fullmatch(r"issues/comments/(\d+)", rest):
            return self._one(verb, int(found[1]), body, token)
        if found := re.fullmatch(r"statuses/([0-9a-f]+)", rest):
            return self._status(found[1], body, token)
        if found := re.fullmatch(r"commits/([0-9a-f]+)/statuses", rest):
            return 200, list(reversed(self.statuses.get(found[1], [])))
        if (found := re.fullmatch(r"pulls/(\d+)", rest)) and int(found[1]) in self.pulls:
            return 200, self.pulls[int(found[1])]
        raise Answer(404, "Not Found")

    def _user(self, token: Token) -> tuple[int, Any]:
        if token.login is None:
            raise Answer(403, "Resource not accessible by integration")
        return 200, example("get", "/user", 200) | {"login": token.login, "user_view_type": "private"}

    def _graphql(self, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if "".join(body.get("query", "").split()) != "{viewer{login}}":
            self.violations.append(f"a GraphQL query that is not answered here: {body}")
        return 200, {"data": {"viewer": {"login": token.author}}}

    def _thread(self, verb: str, number: int, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if verb == "get":
            size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
            return 200, self.comments.get(number, [])[(page - 1) * size : page * size]
        self._may(token, "pull-requests")
        if number in self.locked:
            raise Answer(403, "Unable to create comment because issue is locked.")
        self._fits(body["body"])
        return 201, self.add_comment(number, body["body"], token.author)

    def _one(self, verb: str, number: int, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        for thread in self.comments.values():
            for comment in thread:
                if comment["id"] != number:
                    continue
                if verb == "get":
                    return 200, comment
                self._may(token, "pull-requests")
                if verb == "delete":
                    thread.remove(comment)
                    return 204, None
                self._fits(body["body"])
                comment["body"] = body["body"]
                return 200, comment
        raise Answer(404, "Not Found")

    def _status(self, sha: str, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        self._may(token, "statuses")
        if len(body.get("description") or "") > 140:
            raise Answer(
                422, "Validation Failed", errors=[{"code": "custom", "message": "description is too long (maximum is 140 characters)"}]
            )
        made = example("post", "/repos/{owner}/{repo}/statuses/{sha}", 201)
        made |= {
            "state": body["state"],
            "context": body.get("context", "default"),
            "description": body.get("description"),
            "target_url": body.get("target_url"),
        }
        self.statuses.setdefault(sha, []).append(made)
        return 201, made

    @staticmethod
    def _may(token: Token, permission: str) -> None:
        if permission not in token.may:
            raise Answer(403, "Resource not accessible by integration")

    @staticmethod
    def _fits(body: str) -> None:
        if len(body) > 65_536 or len(body.encode()) > 262_144:
            raise Answer(
                422,
                "Validation Failed",
                errors=[
                    {
                        "resource": "IssueComment",
                        "code": "unprocessable",
                        "field": "data",
                        "message": "Body is too long (maximum is 65536 characters)",
                    }
                ],
            )

    # ── how it is asked ───────────────────────────────────────────────
    def take_fault(self, line: str) -> Fault | None:
        for place, (pattern, fault, times) in enumerate(self._faults):
            if pattern.search(line):
                if times > 1:
                    self._faults[place] = (pattern, fault, times - 1)
                else:
                    del self._faults[place]
                return fault
        return None

    def take_meanwhile(self, line: str) -> None:
        for place, (pattern, act) in enumerate(self._meanwhile):
            if pattern.search(line):
                del self._meanwhile[place]
                act()
                return

    def check(self, verb: str, target: str, content_type: str, raw: bytes, status: int | None = None, answer: bytes = b"") -> str | None:
        """What contradicts the description in a request (or, with `status`, in our answer to it), None where all is well."""
        from openapi_core.testing import MockRequest, MockResponse

        parts = urlsplit(target)
        if parts.path == "/graphql":
            return None  # not part of the REST description
        request = MockRequest(self.url, verb, parts.path, args=dict(parse_qsl(parts.query)), data=raw or None, content_type=content_type)
        try:
            if status is None:
                checker().validate_request(request)
            else:
                checker().validate_response(request, MockResponse(answer, status))
        except Exception as error:  # noqa: BLE001 (whatever openapi-core raises is the finding)
            cause = error.__cause__ or error
            found = "; ".join(e.message[:200] for e in getattr(cause, "schema_errors", [])) or str(cause) or type(cause).__name__
            return f"{verb.upper()} {target} {status or ''}: {found}"
        return None

    def handle(self, verb: str, target: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes, dict[str, str]] | None:
        """The answer (status, content type, body, headers), or None to hang up. An Enterprise server's paths are understood too."""
        target = target.removeprefix("/api/v3") if target.startswith("/api/v3/") else "/graphql" if target == "/api/graphql" else target
        if self.latency_seconds:
            time.sleep(self.latency_seconds)
        with self._lock:
            line = f"{verb.upper()} {target}"
            self.take_meanwhile(line)
            fault = self.take_fault(line)
            if fault and not fault.performed:
                return self._faulty(verb, target, fault)
            status, answer = self._answer(verb, target, headers, raw)
            self.requests.append((verb.upper(), unquote(urlsplit(target).path), status))
            if fault:
                return self._faulty(verb, target, fault)
            return status, "application/json; charset=utf-8", answer, {"x-github-media-type": "github.v3"}

    def _faulty(self, verb: str, target: str, fault: Fault) -> tuple[int, str, bytes, dict[str, str]] | None:
        self.requests.append((verb.upper(), unquote(urlsplit(target).path), 0 if fault.drop else fault.status))
        return None if fault.drop else (fault.status, fault.content_type, fault.body.encode(), fault.headers)

    def _answer(self, verb: str, target: str, headers: dict[str, str], raw: bytes) -> tuple[int, bytes]:
        problem = self.check(verb, target, headers.get("content-type", "application/json"), raw)
        if problem:
            self.violations.append(problem)
            return 400, json.dumps({"message": problem}).encode()
        token = self.tokens.get(headers.get("authorization", "").partition(" ")[2])
        if token is None:
            return 401, b'{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest"}'
        parts = urlsplit(target)
        try:
            status, data = self.perform(verb, unquote(parts.path), dict(parse_qsl(parts.query)), json.loads(raw or b"{}"), token)
        except Answer as early:
            status, data = early.status, early.body
        answer = b"" if data is None else json.dumps(data).encode()
        if status < 300 and (problem := self.check(verb, target, "application/json", raw, status, answer)):
            self.violations.append(problem)
        return status, answer


@contextmanager
def serving(fake: FakeGitHub | None = None) -> Iterator[FakeGitHub]:
    """The fake behind a socket of this machine, for as long as the block lasts."""
    fake = fake or FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            made = fake.handle(self.command.lower(), self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            if made is None:
                self.close_connection = True
                self.connection.close()
                return
            status, content_type, body, headers = made
            self.send_response(status)
            for key, value in {"content-type": content_type, "content-length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 (http.server calls them so)

        def log_message(self, *args: Any) -> None:
            """The requests are in `fake.requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
