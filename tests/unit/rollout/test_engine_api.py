"""What the Docker engine answers, read: versions, streams with an error in them, refusals, and an engine that is not there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import docker_images
from mlops_toolkit.rollout.driver import ReleaseFailure
from mlops_toolkit.rollout.engine_api import Engine, EngineRefusal
from mlops_toolkit.rollout.order import Release

RELEASE = Release("a" * 12, f"registry/m@sha256:{'a' * 64}")


@contextlib.contextmanager
def engine(answers: dict[str, tuple[int, bytes]], version: str = "1.41") -> Iterator[tuple[Engine, list[tuple[str, str | None]]]]:
    """One that gives these answers by the path behind its version; what it was asked, with the login that came."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            asked.append((self.path, self.headers.get("X-Registry-Auth")))
            status, body = (
                (200, json.dumps({"ApiVersion": version}).encode()) if path == "/version" else (404, b'{"message": "no such thing"}')
            )
            for end, one in answers.items():
                if path.endswith(end):
                    status, body = one
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def address_string(self) -> str:
            return ""

        def log_message(self, *_: object) -> None:
            pass

    folder = Path(tempfile.mkdtemp(prefix="e"))
    with socketserver.ThreadingUnixStreamServer(str(folder / "s"), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Engine(str(folder / "s")), asked
        finally:
            server.shutdown()
            shutil.rmtree(folder)


@pytest.mark.parametrize(("theirs", "ours"), [("1.41", "v1.41"), ("1.99", "v1.43"), ("1.40", "v1.40")])
def test_the_newest_version_that_both_speak_is_spoken(theirs: str, ours: str) -> None:
    with engine({"/info": (200, b'{"ID": "x"}')}, theirs) as (one, asked):
        assert one.call("GET", "/info") == {"ID": "x"}
        assert one.call("GET", "/nothing", fine=(404,)) is None
        assert [path for path, _ in asked][1] == f"/{ours}/info"


def test_one_that_is_too_old_or_no_engine_is_named(tmp_path: Path) -> None:
    with engine({}, "1.39") as (one, _), pytest.raises(EnvironmentFailure) as caught:
        one.call("GET", "/info")
    assert caught.value.name == "docker-too-old"
    with engine({"/version": (200, b"<html>")}) as (one, _), pytest.raises(EnvironmentFailure) as caught:
        one.call("GET", "/info")
    assert caught.value.name == "no-docker"
    with pytest.raises(EnvironmentFailure) as caught:
        Engine(str(tmp_path / "none")).call("GET", "/info")
    assert caught.value.name == "no-docker"


@pytest.mark.parametrize(
    ("status", "said", "kind", "name"),
    [
        (404, b'{"message": "manifest unknown: manifest unknown"}', ReleaseFailure, "image-gone"),
        (500, b'{"message": "unauthorized: authentication required"}', ReleaseFailure, "image-denied"),
        (500, b'{"message": "dial tcp 127.0.0.1:1: connect: connection refused"}', EnvironmentFailure, "registry-unreachable"),
        (200, b'{"status": "Pulling"}\n{"error": "write /x: no space left on device"}\n', EnvironmentFailure, "disk-full"),
        (200, b'{"status": "Pulling"}\nno json\n{"error": "manifest for it not found"}\n', ReleaseFailure, "image-gone"),
        (200, b'{"status": "done"}\n', EnvironmentFailure, "registry-unreachable"),
    ],
)
def test_a_pull_that_fails_has_a_name_wherever_it_says_so(status: int, said: bytes, kind: type[Exception], name: str) -> None:
    with engine({"/images/create": (status, said)}) as (one, _), pytest.raises(kind) as caught:
        docker_images.bring(one, "spam", RELEASE)
    assert caught.value.name == name  # type: ignore[attr-defined]


def test_a_login_goes_with_the_one_pull() -> None:
    with engine({"/images/create": (200, b"")}) as (one, asked):
        one.pull(RELEASE.image, ("me", "hush"))
        one.call("GET", "/nothing", fine=(404,))
    assert [bool(login) for _, login in asked] == [False, True, False]
    assert "hush" not in str([path for path, _ in asked])


def test_two_streams_are_parted_and_terminals_are_not_moved() -> None:
    frames = b"".join(
        bytes([kind, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for kind, text in ((1, b"out\n"), (2, b"\x1b[2Jerr\n"), (1, b"more"))
    )
    with engine(
        {"/exec": (201, b'{"Id": "e"}'), "/start": (200, frames), "/exec/e/json": (200, b'{"ExitCode": 3}'), "/logs": (200, frames)}
    ) as (one, _):
        assert one.run("c", ["true"]) == (3, "out\nmore", "\x1b[2Jerr\n")
    with engine({"/info": (409, b"\x1b{")}) as (one, _), pytest.raises(EngineRefusal) as caught:
        one.call("GET", "/info")
    assert (caught.value.status, caught.value.words) == (409, " {")


def test_a_container_that_outlived_its_engine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket that it was given is no file any more, so that nobody will ever answer there."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "socket"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(place))
        with pytest.raises(EnvironmentFailure) as caught:
            Engine(str(place)).call("GET", "/info")
        assert caught.value.name == "no-docker"
        about = list(place.stat())
        about[3] = 0  # st_nlink: as a mounted file has it that was removed
        monkeypatch.setattr(Path, "stat", lambda _: os.stat_result(about))
        with pytest.raises(EnvironmentFailure) as caught:
            Engine(str(place)).call("GET", "/info")
        assert caught.value.name == "engine-moved"
