"""A real server that really drifts, a real Prometheus with our rules, a real Alertmanager with our routing, and the issue on a GitHub."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_toolkit.config.read import parse
from mlops_toolkit.monitor import render, written
from mlops_toolkit.monitor.wanted import wanted
from tests.check import ROOT
from tests.needs import require
from tests.unit.formats.saved import save
from tests.world.github import FakeGitHub, Token
from tests.world.github import serving as github
from tests.world.listening import listening
from tests.world.serving import Process, serving

SECONDS = 90.0


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(*words: str, port: int, log: Path) -> Iterator[str]:
    """A program that answers at a port; its address."""
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out)
    try:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/-/ready", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert time.monotonic() < end, log.read_text()
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, queue.Queue[bytes]]]:
    """Where Alertmanager posts to, and what it posted."""
    told: queue.Queue[bytes] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/", told


def quick(folder: Path, alertmanager: int) -> None:
    """The same files with seconds for minutes and hours: nothing else is changed."""
    path = folder / "prometheus/prometheus.yml"
    path.write_text(path.read_text().replace("15s", "1s").replace("alertmanager:9093", f"127.0.0.1:{alertmanager}"))
    path = folder / "prometheus/rules/mlops.yml"
    path.write_text(re.sub(r"for: (1h|\d+m)", "for: 1s", path.read_text()))
    path = folder / "alertmanager/alertmanager.yml"
    text = path.read_text().replace("group_wait: 30s", "group_wait: 1s").replace("group_interval: 5m", "group_interval: 1s")
    path.write_text(text)


def issue(told: bytes, fake: FakeGitHub, folder: Path) -> subprocess.CompletedProcess[str]:
    """`mlops monitor issue` with Alertmanager's body, in a job of GitHub's."""
    (folder / "event.json").write_text(json.dumps({"repository": {"default_branch": "main"}}))
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    said = {
        "ACTIONS": "true",
        "REPOSITORY": fake.repository,
        "API_URL": fake.url,
        "TOKEN": "ghs_job",
        "EVENT_NAME": "schedule",
        "EVENT_PATH": str(folder / "event.json"),
    }
    env = {**kept, "PYTHONPATH": str(ROOT), **{f"GITHUB_{name}": value for name, value in said.items()}}
    command = [sys.executable, "-m", "mlops_toolkit", "monitor", "issue", "--dispatch", "model.yml"]
    return subprocess.run(command, cwd=folder, env=env, input=told.decode(), capture_output=True, text=True, timeout=SECONDS, check=False)


def rows(seed: int) -> np.ndarray[Any, Any]:
    """As the model was shown them."""
    return np.random.default_rng(seed).normal(size=(50, 4)).astype(np.float32)


def ask(server: Process, asked: np.ndarray[Any, Any]) -> None:
    answer = server.ask("POST", "/predict", json.dumps({"rows": asked.tolist()}), "content-type: application/json\r\n")
    assert answer.status == 200, answer.body


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the model `spam`, saved with 400 rows."""
    example = {"x": np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)}
    (tmp_path / "models").mkdir()
    made: Path = save(tmp_path, example=example).rename(tmp_path / "models/spam")
    return made.parent


def test_what_drifts_is_an_issue_that_starts_a_training_and_is_closed_when_it_is_over(model: Path, tmp_path: Path) -> None:
    programs = require("programs", "prometheus", "prometheus-alertmanager")
    fake = FakeGitHub(workflows={"model.yml": True}, tokens={"ghs_job": Token(may=frozenset({"issues", "actions"}))})
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(model, options=("--drift-window", "200")))
        hook, told = stack.enter_context(webhook())
        stack.enter_context(github(fake))
        text = f"name: spam\nmonitor: {{scrape: ['127.0.0.1:{server.port}'], webhook: '{hook}'}}\n"
        folder = tmp_path / "set"
        written.put(
            folder,
            render.files(
                wanted([parse(text, where="mlops.yaml", path=tmp_path / "mlops.yaml")], environment="production", target="docker")
            ),
        )
        ports = free(), free()
        quick(folder, ports[1])
        listen = [f"--web.listen-address=127.0.0.1:{port}" for port in ports]
        stack.enter_context(
            running(
                programs["prometheus-alertmanager"],
                f"--config.file={folder}/alertmanager/alertmanager.yml",
                f"--storage.path={tmp_path}/am",
                "--cluster.listen-address=",
                listen[1],
                port=ports[1],
                log=tmp_path / "alertmanager.log",
            )
        )
        stack.enter_context(
            running(
                programs["prometheus"],
                f"--config.file={folder}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                listen[0],
                port=ports[0],
                log=tmp_path / "prometheus.log",
            )
        )
        for seed in range(20, 24):
            ask(server, rows(seed) + np.array([0, 3, 0, 0], np.float32))
        body = told.get(timeout=SECONDS)
        said = json.loads(body)
        assert {alarm["labels"]["alertname"] for alarm in said["alerts"]} <= {"InputsDrifted", "PredictionsDrifted"}
        drifted = {alarm["labels"]["feature"] for alarm in said["alerts"] if alarm["labels"]["alertname"] == "InputsDrifted"}
        assert [re.sub(r"\D", "", feature) for feature in drifted] == ["1"], "the one column that moved"
        done = issue(body, fake, tmp_path)
        assert done.returncode == 0, done.stderr
        (made,) = fake.open_issues()
        assert done.stdout.strip() == made["html_url"]
        assert made["title"] == "🔔 spam in production"
        assert "What is asked has drifted in" in made["body"]
        assert fake.dispatched == [("model.yml", "main")]

        for seed in range(2, 10):  # what it was shown comes again
            ask(server, rows(seed))
        end = time.monotonic() + SECONDS
        while fake.open_issues():
            assert time.monotonic() < end, made["body"]
            done = issue(told.get(timeout=SECONDS), fake, tmp_path)
            assert done.returncode == 0, done.stderr
        assert made["state"] == "closed"
        assert fake.dispatched == [("model.yml", "main")]
    assert fake.violations == []
