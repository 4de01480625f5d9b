"""The token reaches the CI's own server in that one process's environment, and nothing and nobody else: over real HTTP."""

from __future__ import annotations

import base64
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.branch import GitHistory, open_history
from mlops_toolkit.system.clock import FixedClock
from mlops_toolkit.system.git import Git
from tests.unit.history.repositories import ENV, NOW, bare_remote, bundle, draw, git, record

TOKEN = "ghs_SECRETsecretSECRET"
BASIC = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class Server(http.server.ThreadingHTTPServer):
    """Git over HTTP as a forge serves it, by git's own http-backend; remembers every Authorization header."""

    daemon_threads = True

    def __init__(self, top: Path, *, needs_token: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.top, self.needs_token, self.seen = top, needs_token, list[str]()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request, handed to `git http-backend`."""

    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        headers = self.headers.get_all("Authorization") or []
        self.server.seen += headers or ["-"]
        if self.server.needs_token and headers != [f"basic {BASIC}"]:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self._body()
        env = {
            **ENV,
            "GIT_PROJECT_ROOT": str(self.server.top),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
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
        lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
        status = next((value for name, _, value in lines if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A forge that wants our token, with one repository."""
    yield from _serving(tmp_path / "forge", needs_token=True)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Server]:
    """Another server, which would take anything."""
    yield from _serving(tmp_path / "stranger", needs_token=False)


def _serving(top: Path, *, needs_token: bool) -> Iterator[Server]:
    remote = bare_remote(top / "o" / "r.git")
    git(remote, "config", "http.receivepack", "true")
    draw(remote, "main:")
    server = Server(top, needs_token=needs_token)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def opened(folder: Path, origin: str, server: str, *, at: str = "mlops-history", env: dict[str, str] | None = None) -> GitHistory:
    """The history in a checkout whose origin is `origin`, in a CI of `server`."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", origin)
    context = Context("github", "push", server_url=server)
    made = open_history(
        folder / ".mlops", at, git=Git(folder, {**ENV, **(env or {})}), context=context, token=lambda: TOKEN, clock=FixedClock(NOW)
    )
    assert isinstance(made, GitHistory)
    return made


@pytest.fixture
def watcher(tmp_path: Path) -> Path:
    """A git on PATH that writes down the arguments of every git we start, and whether it was given the token."""
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    script = f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{tmp_path}/argv"\nenv | grep -c "{BASIC}" >> "{tmp_path}/given"\nexec "{real}" "$@"\n'
    (tmp_path / "bin" / "git").write_text(script)
    (tmp_path / "bin" / "git").chmod(0o755)
    return tmp_path


def test_it_is_sent_to_the_cis_own_server_and_is_in_no_argument_and_no_file(served: Server, watcher: Path) -> None:
    env = {"PATH": f"{watcher / 'bin'}:{ENV['PATH']}", "GIT_TRACE_CURL": str(watcher / "trace"), "GIT_TRACE_REDACT": "0"}
    past = opened(watcher / "work", f"{served.address}/o/r", served.address, env=env)
    done = past.record(bundle(1, {"charts/change-0a1b.png": b"png"}), remote=True)
    assert done.pushed, done.reason
    assert [e.id for e in past.entries()] == [record(1).id]
    assert set(served.seen) == {f"basic {BASIC}"}
    calls, given = (watcher / "argv").read_text().splitlines(), (watcher / "given").read_text().split()
    assert len(calls) == len(given)
    for call, times in zip(calls, given, strict=True):
        assert (times != "0") == any(f" {verb} " in f" {call} " for verb in ("ls-remote --", "fetch", "push")), call
    everything = b"".join(p.read_bytes() for p in watcher.rglob("*") if p.is_file() and p.parent.name != "bin")
    for secret in (TOKEN, BASIC):
        assert secret.encode() not in everything
    assert done.urls == {
        "charts/change-0a1b.png": f"{served.address}/o/r/raw/mlops-history/runs/2026-01/{record(1).id}/charts/change-0a1b.png"
    }


def test_an_authorization_that_a_checkout_left_behind_is_replaced_not_added(served: Server, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(f'[http "{served.address}/"]\n\textraheader = AUTHORIZATION: basic b2xkOm9sZA==\n')
    past = opened(tmp_path / "work", f"{served.address}/o/r", served.address, env={"HOME": str(tmp_path / "home")})
    assert past.record(bundle(1), remote=True).pushed
    assert set(served.seen) == {f"basic {BASIC}"}


def test_no_other_server_ever_sees_it(served: Server, stranger: Server, tmp_path: Path) -> None:
    past = opened(tmp_path / "work", f"{served.address}/o/r", served.address, at=f"{stranger.address}/o/r#mlops-history")
    assert past.record(bundle(1), remote=True).pushed
    assert set(stranger.seen) == {"-"}


def test_a_refused_token_is_said_without_showing_it(served: Server, tmp_path: Path) -> None:
    past = opened(tmp_path / "work", f"{served.address.replace('//', '//me:hunter2@')}/o/r", served.address)
    past.remote = past.bare.remote = type(past.remote)(past.remote.url, past.remote.server, lambda: "expired")
    with pytest.raises(EnvironmentFailure) as error:
        past.entries()
    assert error.value.name == "history-unreadable"
    assert "credentials" in str(error.value)
    for secret in ("expired", "hunter2"):
        assert secret not in str(error.value)
    done = past.record(bundle(1), remote=True)
    assert not done.pushed
    assert "hunter2" not in (done.reason or "")


def test_our_own_environment_is_left_as_it_was(served: Server, tmp_path: Path) -> None:
    before = dict(os.environ)
    opened(tmp_path / "work", f"{served.address}/o/r", served.address).entries()
    assert dict(os.environ) == before
