"""A GitHub to post to: an HTTP server on this machine with the repository of `github_repository.py` in memory.

Every request, and every answer of its own, is checked against GitHub's official OpenAPI description (`openapi.py`); what
does not hold is kept in `violations`, which the fixture in `tests/unit/forge` asserts empty. Faults are injected with
`fail`, a second writer with `meanwhile`. `calls` has every request with its bytes.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.world.github_repository import BOT, Answer, Repository, Token
from tests.world.listening import listening
from tests.world.openapi import CONTRADICTING, SLICE, checker, contradiction, description, example

__all__ = [
    "BOT",
    "CONTRADICTING",
    "SLICE",
    "UNICORN",
    "Answer",
    "Call",
    "FakeGitHub",
    "Fault",
    "Repository",
    "Token",
    "checker",
    "description",
    "example",
    "serving",
]

UNICORN = (
    "<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head><body>This page is taking too long to load.</body></html>"
)


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


@dataclass(frozen=True)
class Call:
    """One request and its answer. target: path and query; status 0: hung up; sent, received: bytes of head and body on the wire."""

    verb: str
    target: str
    status: int
    sent: int
    received: int

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)


@dataclass
class FakeGitHub(Repository):
    """The repository behind a socket. jitter_seconds: at most so much more latency, at random; checked: whether requests and
    answers are held against the description; given: the faults that came to pass."""

    requests: list[tuple[str, str, int]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    latency_seconds: float = 0.0
    jitter_seconds: float = 0.0
    checked: bool = True
    given: list[Fault] = field(default_factory=list)
    _faults: list[tuple[re.Pattern[str], Fault, int]] = field(default_factory=list)
    _meanwhile: list[tuple[re.Pattern[str], Callable[[], None]]] = field(default_factory=list)

    def fail(self, request: str, fault: Fault, times: int = 1) -> None:
        """Answer the next `times` requests matching the pattern (`PATCH .*/comments/`) with `fault`."""
        self._faults.append((re.compile(request), fault, times))

    def meanwhile(self, request: str, act: Callable[[], None]) -> None:
        """Just before the next request matching the pattern is performed, do `act` once: another writer was quicker."""
        self._meanwhile.append((re.compile(request), act))

    def take_fault(self, line: str) -> Fault | None:
        for place, (pattern, fault, times) in enumerate(self._faults):
            if pattern.search(line):
                if times > 1:
                    self._faults[place] = (pattern, fault, times - 1)
                else:
                    del self._faults[place]
                self.given.append(fault)
                return fault
        return None

    def take_meanwhile(self, line: str) -> None:
        for place, (pattern, act) in enumerate(self._meanwhile):
            if pattern.search(line):
                del self._meanwhile[place]
                act()
                return

    def handle(self, verb: str, target: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes, dict[str, str]] | None:
        """The answer (status, content type, body, headers), or None to hang up. An Enterprise server's paths are understood too."""
        target = target.removeprefix("/api/v3") if target.startswith("/api/v3/") else "/graphql" if target == "/api/graphql" else target
        if self.latency_seconds or self.jitter_seconds:
            time.sleep(self.latency_seconds + random.uniform(0, self.jitter_seconds))
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
        problem = contradiction(self.url, verb, target, headers.get("content-type", "application/json"), raw) if self.checked else None
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
        if self.checked and status < 300 and (problem := contradiction(self.url, verb, target, "application/json", raw, status, answer)):
            self.violations.append(problem)
        return status, answer


@contextmanager
def serving(fake: FakeGitHub | None = None) -> Iterator[FakeGitHub]:
    """The fake behind a socket of this machine, for as long as the block lasts."""
    github = fake or FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two packets: else the second waits 40 ms for the other side's word

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            sent = len(self.requestline) + 2 + sum(len(k) + len(v) + 4 for k, v in self.headers.items()) + 2 + len(raw)
            made = github.handle(self.command.lower(), self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            if made is None:
                github.calls.append(Call(self.command, self.path, 0, sent, 0))
                self.close_connection = True
                self.connection.close()
                return
            status, content_type, body, headers = made
            self.send_response(status)
            for key, value in {"content-type": content_type, "content-length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            head = len(b"".join(self._headers_buffer)) + 2  # type: ignore[attr-defined]
            github.calls.append(Call(self.command, self.path, status, sent, head + len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 (http.server calls them so)

        def log_message(self, *args: Any) -> None:
            """The requests are in `fake.requests`."""

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        github.url = f"http://127.0.0.1:{port}"
        yield github
