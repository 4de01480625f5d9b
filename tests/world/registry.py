"""Debian's docker-registry on loopback: open, behind a password, or behind a token server; started once for all tests that ask."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from mlops_toolkit.oci.auth import Login
from tests.needs import require

USER, PASSWORD = "me", "correct horse"


@dataclass(frozen=True)
class Running:
    """A registry: HOST:PORT, where its blobs lie, and how to get in."""

    host: str
    folder: Path
    login: Login | None = None

    def blobs(self) -> list[Path]:
        """The files of all blobs and manifests."""
        return sorted(self.folder.glob("docker/registry/v2/blobs/sha256/*/*/data"))

    def docker_config(self, folder: Path) -> dict[str, str]:
        """The environment of somebody who did `docker login` there, its file kept in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        entry = {"auth": self.login.basic.removeprefix("Basic ")} if self.login else {}
        (folder / "config.json").write_text(json.dumps({"auths": {self.host: entry}}))
        return {"DOCKER_CONFIG": str(folder)}


@contextlib.contextmanager
def running(folder: Path, *, password: bool = False, auth: dict[str, Any] | None = None) -> Iterator[Running]:
    """A registry whose data lies in the folder. password: USER and PASSWORD are asked for. auth: its own `auth` configuration."""
    programs = require("registry", "docker-registry", *(["htpasswd"] if password else []))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": host},
    }
    if password:
        made = subprocess.run([programs["htpasswd"], "-Bbn", "-C", "4", USER, PASSWORD], capture_output=True, check=True).stdout
        (folder / "htpasswd").write_bytes(made)
        auth = {"htpasswd": {"realm": "models", "path": str(folder / "htpasswd")}}
    if auth:
        config["auth"] = auth
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([programs["docker-registry"], "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        for _ in range(500):
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"http://{host}/v2/", timeout=5).close()
                break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield Running(host, folder / "data", Login(USER, PASSWORD) if password else None)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry that lets everybody in; use a repository name of your own."""
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="session")
def locked_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry that wants USER and PASSWORD."""
    with running(tmp_path_factory.mktemp("locked"), password=True) as found:
        yield found
