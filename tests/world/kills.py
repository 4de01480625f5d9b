"""A gate before a registry that kills whoever talks through it at its n-th request: before it arrives, in its middle, or before its answer.

`every(upstream, push, check)` does so at each request in turn: `push(host)` is called in this process, and from the n-th request on the
registry is not to be reached any more, so that it is left as a kill would leave it. `kill(upstream, start, at, moment)` kills a real process,
for what a kill leaves on the disk.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from mlops_toolkit.errors import EnvironmentFailure
from tests.world.listening import listening

Moment = Literal["before", "during", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
END_TO_END = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Gate:
    """Requests go through to `upstream` (HOST:PORT) until the n-th; then `end` is called, and nothing goes through any more."""

    def __init__(self, upstream: str, at: int = 0, moment: Moment = "before", end: Callable[[], None] | None = None) -> None:
        self.upstream, self.at, self.moment, self.end = upstream, at, moment, end
        self.host = ""
        self.requests: list[str] = []
        self.shut = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(self) -> Iterator[Gate]:
        """While it stands, at `host`."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gate": self}))
        server.handle_error = lambda *_: None  # type: ignore[method-assign] -- broken lines are what it makes
        with listening(server) as port:
            self.host = f"127.0.0.1:{port}"
            yield self

    def comes(self, line: str) -> Literal["through", "shut", "now"]:
        """What becomes of the next request."""
        with self._lock:
            if self.shut:
                return "shut"
            self.requests.append(line)
            self.shut = len(self.requests) == self.at
            return "now" if self.shut else "through"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        gate = self.gate
        fate = gate.comes(f"{self.command} {self.path}")
        if fate == "through":
            self.pass_on(self.rfile.read(int(self.headers.get("Content-Length") or 0)), answer=True)
            return
        if fate == "now":
            if gate.moment != "before":
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.pass_on(body, answer=False, half=gate.moment == "during")
            if gate.end is not None:
                gate.end()
        self.close_connection = True
        self.connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 -- the names http.server looks for

    def pass_on(self, body: bytes, *, answer: bool, half: bool = False) -> None:
        upstream = http.client.HTTPConnection(self.gate.upstream, timeout=60)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders()
            upstream.send(body[: len(body) // 2] if half else body)
            if half:
                return  # the line breaks, as it does when its sender dies
            got = upstream.getresponse()
            content = got.read()
            if not answer:
                return
            self.send_response(got.status)
            for name, value in got.getheaders():
                if name.lower() not in END_TO_END:
                    self.send_header(name, value)
            self.send_header("Content-Length", got.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content)))
            self.end_headers()
            self.wfile.write(content)


def every(
    upstream: str,
    push: Callable[[str], object],
    check: Callable[[int, Moment], object],
    *,
    moments: tuple[Moment, ...] = MOMENTS,
    reset: Callable[[], object] = lambda: None,
) -> int:
    """Call `push(host)`, cut off at its first, second, … request, until it gets through; returns how many requests it needed.

    check  looks at what the registry holds after each cut: (the request's number, the moment)
    reset  brings the registry back to what it was, before each try
    """
    for at in itertools.count(1):
        for moment in moments:
            reset()
            with Gate(upstream, at, moment).open() as gate:
                try:
                    push(gate.host)
                except EnvironmentFailure:
                    assert gate.shut, gate.requests
                check(at, moment)
            if not gate.shut:
                return at - 1
    raise AssertionError("unreachable")


def kill(
    upstream: str, start: Callable[[str], subprocess.Popen[bytes]], at: int, moment: Moment = "before", *, seconds: float = 120
) -> bool:
    """Start a process that talks to the registry at the address it is given and kill it (SIGKILL) at its n-th request; whether it lived so long."""
    started: list[subprocess.Popen[bytes]] = []
    ready = threading.Event()

    def end() -> None:
        assert ready.wait(10)
        started[0].kill()
        started[0].wait()

    with Gate(upstream, at, moment, end).open() as gate:
        started.append(start(gate.host))
        ready.set()
        started[0].communicate(timeout=seconds)
        return gate.shut
