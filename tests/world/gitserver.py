"""The git side of a forge: repositories over smart HTTP by git's own `http-backend`, with tokens, counted calls and faults.

It answers as GitHub does: 401 for a token that it does not know, 403 for a push without the right to, and 400 where a request
carries two Authorization headers, as it does when a checkout left one behind and somebody adds another.
"""

from __future__ import annotations

import base64
import binascii
import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.world.listening import listening

READ, WRITE = frozenset({"read"}), frozenset({"read", "write"})


@dataclass(frozen=True)
class GitCall:
    """One request: `fetch` or `push`, whether it was the first (what refs are there), its status (0: hung up), bytes of both bodies."""

    service: str
    asks: bool
    status: int
    sent: int
    received: int


@dataclass(frozen=True)
class Broken:
    """An answer instead of the real one. drop: hang up without one; half: hang up in the middle of the real one, which was performed."""

    status: int = 500
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    half: bool = False


@dataclass
class GitServer:
    """One repository, reached as /OWNER/NAME and /OWNER/NAME.git. tokens: what each may; a private one shows nothing without.

    fault   (number of the call from 0) -> an answer instead, None for the real one
    """

    bare: Path
    repository: str = "acme/models"
    tokens: dict[str, frozenset[str]] = field(default_factory=dict)
    private: bool = True
    url: str = ""
    calls: list[GitCall] = field(default_factory=list)
    authorizations: list[tuple[str, ...]] = field(default_factory=list)
    fault: Callable[[int], Broken | None] = lambda number: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        """What a checkout has as its origin."""
        return f"{self.url}/{self.repository}"

    def refusal(self, headers: list[str], service: str) -> Broken | None:
        """Why a request is not let through, as GitHub says it."""
        if len(headers) > 1:
            return Broken(400, b"Duplicate header: Authorization\n")
        may = self.tokens.get(_token(headers[0])) if headers else None if self.private else READ
        if may is None:
            return Broken(401, b"", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if service == "push" and "write" not in may:
            return Broken(403, b"Permission to %s.git denied to github-actions[bot].\n" % self.repository.encode())
        return None


def _token(header: str) -> str:
    try:
        return base64.b64decode(header.partition(" ")[2]).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


class Handler(http.server.BaseHTTPRequestHandler):
    """One request, handed to `git http-backend`."""

    git: GitServer

    def log_message(self, *_: object) -> None:
        """The calls are in `GitServer.calls`."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self._body()
        asks = parts.path.endswith("/info/refs")
        named = parse_qs(parts.query).get("service", [""])[0] if asks else parts.path.rpartition("/")[2]
        service = "push" if named == "git-receive-pack" else "fetch"
        headers = self.headers.get_all("Authorization") or []
        with self.git._lock:
            number = len(self.git.calls)
            self.git.calls.append(GitCall(service, asks, 0, len(body), 0))
            self.git.authorizations.append(tuple(headers))
            broken = self.git.fault(number) or self.git.refusal(headers, service)
        inner = next((parts.path.removeprefix(p) for p in self._names() if parts.path.startswith(p + "/")), None)
        if broken is None and inner is None:
            broken = Broken(404, b"Repository not found.\n")
        if broken and not broken.half:
            status, lines, content = broken.status, list(broken.headers.items()), broken.body
        else:
            status, lines, content = self._backend(inner or "", parts.query, body)
        if broken and (broken.drop or broken.half):
            self._hang_up(status, lines, content if broken.half else b"")
            return
        self.git.calls[number] = GitCall(service, asks, status, len(body), len(content))
        self.send_response(status)
        for name, value in [*lines, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _names(self) -> tuple[str, str]:
        return f"/{self.git.repository}.git", f"/{self.git.repository}"

    def _hang_up(self, status: int, lines: list[tuple[str, str]], content: bytes) -> None:
        """Close the line: at once, or with half of what was promised."""
        if content:
            self.send_response(status)
            for name, value in [*lines, ("Content-Length", str(len(content)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
        self.close_connection = True

    def _backend(self, path: str, query: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        env = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            # The forge's own files may belong to another user than the one that serves them.
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "http.receivepack",
            "GIT_CONFIG_VALUE_1": "true",
            "GIT_PROJECT_ROOT": str(self.git.bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": f"/{self.git.bare.name}{path}",
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "ci",
            "REMOTE_ADDR": "127.0.0.1",
        }
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        lines = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n") if line)]
        status = next((value for name, value in lines if name == "Status"), "200 OK")
        return int(status.split()[0]), [(name, value) for name, value in lines if name != "Status"], content

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_POST = _serve  # noqa: N815 — names that http.server looks for


@contextmanager
def serving(git: GitServer) -> Iterator[GitServer]:
    """The repository behind a socket of this machine, for as long as the block lasts."""
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        subprocess.run(["git", "-C", git.bare, "config", key, "true"], check=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"git": git}))
    with listening(server) as port:
        git.url = f"http://127.0.0.1:{port}"
        yield git
