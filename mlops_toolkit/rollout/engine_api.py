"""The Docker engine's own interface over its socket: what a rollout needs of it, with Python's own library.

Not the package `docker`: whatever runs here travels in one file to a host that has none of our packages.
API: docs.docker.com/reference/api/engine, versions 1.40 (Docker 19.03) to the one that is asked for at most (`NEWEST`).
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.unix_http import UnixConnection

SOCKET = "/var/run/docker.sock"
OLDEST, NEWEST = (1, 40), (1, 43)
PULL_SECONDS, SECONDS = 1800.0, 60.0  # a pull is silent for as long as a large layer is unpacked
MOST = 64 << 20  # bytes of an answer
_FULL = ("no space left on device", "disk quota exceeded")


class EngineRefusal(EnvironmentFailure):
    """The engine answered, and refused. status: HTTP's, 0 where the error came in the middle of a stream; words: its own."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__("docker-refused", f"the Docker engine refuses: {words}")
        self.status, self.words = status, words


@dataclass
class Engine:
    """A Docker engine behind a socket. Every call raises EnvironmentFailure `no-docker` where it does not answer (or `no-docker-right`: it may
    not be spoken to; `engine-moved`: not through this socket ever again), `disk-full` where it has no room; EngineRefusal for what it refuses; and may be repeated.
    """

    path: str = SOCKET
    version: str | None = None

    def call(
        self,
        method: str,
        where: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, object] | None = None,
        fine: Sequence[int] = (),
        seconds: float = SECONDS,
    ) -> Any:
        """What it answers, read as JSON where it is that; None for a status that is listed in `fine` (404: not there, 304: nothing to do)."""
        with self._asked(method, where, body, query, {}, seconds) as answer:
            raw = answer.read(MOST)
            if answer.status in fine:
                return None
            if answer.status >= 400:
                raise self._refused(answer.status, raw)
            return json.loads(raw) if raw.strip() and "json" in (answer.getheader("Content-Type") or "") else raw

    def pull(self, image: str, login: tuple[str, str] | None = None) -> None:
        """Have this image (NAME@sha256:…) from its registry. login: user and password, for this one pull: the engine forgets them."""
        name, _, digest = image.partition("@")
        extra = {}
        if login is not None:
            said = {"username": login[0], "password": login[1], "serveraddress": name.split("/", 1)[0]}
            extra["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
        query = {"fromImage": name, "tag": digest}
        with self._asked("POST", "/images/create", None, query, extra, PULL_SECONDS) as answer:
            if answer.status >= 400:
                raise self._refused(answer.status, answer.read(MOST))
            wrong = None
            for line in _lines(answer):  # to its end; what went wrong stands in the stream, after a status of 200
                wrong = wrong or line.get("error")
        if wrong:
            raise self._refused(0, json.dumps({"message": str(wrong)}).encode())

    def run(self, container: str, words: Sequence[str], *, seconds: float = SECONDS) -> tuple[int, str, str]:
        """Run a program in a container that runs: exit status, output, errors. EngineRefusal 409 where the container does not run."""
        asked = {"Cmd": list(words), "AttachStdout": True, "AttachStderr": True}
        made = self.call("POST", f"/containers/{container}/exec", asked)
        with self._asked("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False}, None, {}, seconds) as answer:
            raw = answer.read(MOST)
            if answer.status >= 400:
                raise self._refused(answer.status, raw)
        out, errors = _parted(raw)
        status = self.call("GET", f"/exec/{made['Id']}/json")["ExitCode"]
        return (1 if status is None else int(status)), out, errors

    def logs(self, container: str, lines: int = 20) -> list[str]:
        """The last lines that it said, on both streams, without what moves a terminal."""
        query = {"stdout": 1, "stderr": 1, "tail": lines}
        raw = self.call("GET", f"/containers/{container}/logs", query=query, fine=(404, 409))
        out, errors = _parted(raw if isinstance(raw, bytes) else b"")
        return ["".join(c if c.isprintable() else " " for c in line)[:4000] for line in (out + errors).splitlines() if line.strip()][
            -lines:
        ]

    @contextmanager
    def _asked(
        self,
        method: str,
        where: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, object] | None,
        extra: Mapping[str, str],
        seconds: float,
    ) -> Iterator[http.client.HTTPResponse]:
        if self.version is None:
            self.version = self._negotiated()
        with closing(UnixConnection(self.path, seconds)) as connection:
            raw = None if body is None else json.dumps(body).encode()
            headers = {**extra, **({"Content-Type": "application/json"} if raw is not None else {})}
            told = "?" + urllib.parse.urlencode(query) if query else ""
            try:
                connection.request(method, f"/v{self.version}{where}{told}", raw, headers)
                with closing(connection.getresponse()) as answer:
                    yield answer
            except (OSError, http.client.HTTPException) as error:
                raise self._silent(error) from error

    def _negotiated(self) -> str:
        with closing(UnixConnection(self.path, SECONDS)) as connection:
            try:
                connection.request("GET", "/version")
                with closing(connection.getresponse()) as answer:
                    said = json.loads(answer.read(MOST))
                newest = _number(said["ApiVersion"])
                oldest = _number(said.get("MinAPIVersion") or "1.24")
            except (OSError, http.client.HTTPException) as error:
                raise self._silent(error) from error
            except (ValueError, KeyError, TypeError) as error:
                raise EnvironmentFailure("no-docker", "what answers there is no Docker engine", where=self.path) from error
        if newest < OLDEST:
            raise EnvironmentFailure(
                "docker-too-old", f"the Docker engine speaks version {said['ApiVersion']} of its interface, 1.40 is needed", where=self.path,
                hint="Docker 19.03 and newer have it",
            )  # fmt: skip
        chosen = max(min(newest, NEWEST), oldest)
        return f"{chosen[0]}.{chosen[1]}"

    def _silent(self, error: Exception) -> EnvironmentFailure:
        if isinstance(error, PermissionError):
            return EnvironmentFailure(
                "no-docker-right", "this user may not speak to the Docker engine", where=self.path, hint="add the user to the group docker"
            )
        if isinstance(error, ConnectionRefusedError) and self._moved():
            return EnvironmentFailure("engine-moved", "Docker was started anew, and its socket with it: this container has the old one", where=self.path, hint="Docker starts it again with the new one")  # fmt: skip
        return EnvironmentFailure("no-docker", f"the Docker engine does not answer: {error or type(error).__name__}", where=self.path, hint="is it started?")  # fmt: skip

    def _moved(self) -> bool:
        """Whether the socket that we see is no file any more: a container that outlives its engine keeps the one that it was given."""
        try:
            return Path(self.path).stat().st_nlink == 0
        except OSError:
            return False

    def _refused(self, status: int, raw: bytes) -> EnvironmentFailure:
        try:
            words = str(json.loads(raw)["message"])
        except (ValueError, KeyError, TypeError):
            words = raw[:300].decode("utf-8", "replace")
        words = "".join(c if c.isprintable() else " " for c in words)[:500]
        if any(one in words for one in _FULL):
            hint = "make room there: `docker system df` shows what takes it"
            return EnvironmentFailure("disk-full", f"the Docker host has no room: {words}", hint=hint)
        return EngineRefusal(status, words)


def _lines(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := answer.readline(1 << 20):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield said


def _parted(raw: bytes) -> tuple[str, str]:
    """The two streams of a container without a terminal: frames of a kind (1 output, 2 errors), three zeros, a length of four bytes, and data."""
    parts: dict[int, list[bytes]] = {1: [], 2: []}
    at = 0
    while at + 8 <= len(raw):
        size = int.from_bytes(raw[at + 4 : at + 8], "big")
        parts.setdefault(raw[at], []).append(raw[at + 8 : at + 8 + size])
        at += 8 + size
    return (b"".join(parts[1]).decode("utf-8", "replace"), b"".join(parts[2]).decode("utf-8", "replace"))


def _number(text: str) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    return int(major), int(minor)
