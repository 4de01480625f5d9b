"""A real server process for tests, and clients that see every byte and every connection."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.check import ROOT


@dataclass
class Process:
    """A server that runs, and what it said."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """Its log, parsed."""
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    def ask(self, method: str, path: str, body: bytes | str = b"", headers: str = "", *, timeout: float = 10.0) -> Answer:
        """One request on a connection of its own."""
        with Connection(self.port, timeout=timeout) as connection:
            return connection.ask(method, path, body, headers)

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def memory(self) -> int:
        """Resident bytes."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.popen.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def until(self, text: str, seconds: float = 10.0) -> None:
        """Wait for something in its log."""
        end = time.monotonic() + seconds
        while text not in self.said():
            assert time.monotonic() < end, f"{text!r} was not said:\n{self.said()[-3000:]}"
            assert self.popen.poll() is None, self.said()[-3000:]
            time.sleep(0.02)


@contextlib.contextmanager
def serving(*folders: Path, options: tuple[str, ...] = (), env: dict[str, str] | None = None, ready: bool = True) -> Iterator[Process]:
    """A server of these folders on a port of its own; ended at the end, where the test did not."""
    words = ("mlops_toolkit.serve", *map(str, folders), "--port", "0", "--host", "127.0.0.1", "--grace", "0s", *options)
    with running(*words, env=env) as process:
        if ready:
            process.until(" answers after ", 20)
        yield process


@contextlib.contextmanager
def running(*words: str, env: dict[str, str] | None = None) -> Iterator[Process]:
    """A module of ours as a process that listens on this machine; ended at the end, where the test did not."""
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary) / "log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        with log.open("wb") as out:
            popen = subprocess.Popen([sys.executable, "-m", *words], stdout=out, stderr=subprocess.STDOUT, env=environment)
        process = Process(popen, 0, log)
        try:
            process.until("listening on http", 20)
            found = re.search(r"listening on https?://127\.0\.0\.1:(\d+)", process.said())
            assert found
            process.port = int(found[1])
            yield process
        finally:
            if popen.poll() is None:
                popen.send_signal(signal.SIGINT)
                try:
                    popen.wait(5)
                except subprocess.TimeoutExpired:
                    popen.kill()
            popen.wait()


@dataclass
class Answer:
    """A whole answer; `status` 0 where the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float = 0.0

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """A TCP connection, and what HTTP/1.1 is on it, by hand."""

    def __init__(self, port: int, *, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def ask(self, method: str, path: str, body: bytes | str = b"", headers: str = "") -> Answer:
        self.send(request(method, path, body, headers))
        return self.answer(bodiless=method == "HEAD")

    def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer, without one status 0: the connection was ended or reset."""
        begun = time.perf_counter()
        try:
            while b"\r\n\r\n" not in self.rest:
                more = self.socket.recv(1 << 20)
                if not more:
                    return Answer(0, {}, self.rest, time.perf_counter() - begun)
                self.rest += more
            head, _, rest = self.rest.partition(b"\r\n\r\n")
            first, *others = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in others)}
            length = 0 if bodiless else int(headers["content-length"])
            while len(rest) < length:
                more = self.socket.recv(1 << 20)
                if not more:
                    return Answer(0, headers, rest, time.perf_counter() - begun)
                rest += more
        except (ConnectionResetError, BrokenPipeError):
            return Answer(0, {}, self.rest, time.perf_counter() - begun)
        self.rest = rest[length:]
        return Answer(int(first.split()[1]), headers, rest[:length], time.perf_counter() - begun)

    def closed(self) -> bool:
        """Whether the server ended it (waits for that)."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def request(method: str, path: str, body: bytes | str = b"", headers: str = "") -> bytes:
    """A request's bytes; headers as lines, each with its end."""
    raw = body.encode() if isinstance(body, str) else body
    length = f"content-length: {len(raw)}\r\n" if raw or method in ("POST", "PUT") else ""
    return f"{method} {path} HTTP/1.1\r\nhost: test\r\n{length}{headers}\r\n".encode("latin-1") + raw


@dataclass
class Load:
    """Clients that ask over and over, each on its own connection; what became of every request."""

    port: int
    raw: bytes
    clients: int
    fresh: bool = False  # a new connection for each request
    answers: list[Answer] = field(default_factory=list)
    refused: int = 0  # connections that were never there
    dropped: list[str] = field(default_factory=list)  # requests that were sent, and had no answer
    pause: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._client) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        connection: Connection | None = None
        while not self._stop.is_set():
            if connection is None:
                try:
                    connection = Connection(self.port)
                except OSError:  # nobody listens any more: that is a refusal which the client sees before it asks
                    self.refused += 1
                    time.sleep(0.01)
                    continue
            begun = time.perf_counter()
            try:
                connection.send(self.raw)
                answer = connection.answer()
            except OSError as error:
                answer = Answer(0, {}, repr(error).encode())
            answer.seconds = time.perf_counter() - begun
            if answer.status:
                self.answers.append(answer)
            else:
                self.dropped.append(repr(answer.body))
            if self.fresh or not answer.status or answer.headers.get("connection") == "close":
                connection.socket.close()
                connection = None
            if self.pause:
                time.sleep(self.pause)
        if connection is not None:
            connection.socket.close()
