"""docs/watch.md: its queries and rules are valid, its metrics are those of a real server, and that server's lines and page are as it says."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.check import ROOT
from tests.needs import require
from tests.unit.formats.saved import save
from tests.unit.report.browser import browser
from tests.unit.serve.test_logs import of_schema

PAGE = (ROOT / "docs/watch.md").read_text(encoding="utf-8")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def blocks(kind: str) -> list[str]:
    """Code of a kind in the page."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Running:
    """A server that runs: its address, and what it wrote."""

    address: str
    log: Path

    def get(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and text."""
        request = urllib.request.Request(self.address + path, body, {"content-type": "application/json", "traceparent": TRACE})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=20) as got:  # noqa: S310
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The image's entry point, with a model that was saved with 400 rows, and asked 120 times what it was never shown."""
    root = tmp_path_factory.mktemp("serving")
    example = {"x": np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)}
    save(root, example=example).rename(root / "yesno")
    (root / "models").mkdir()
    (root / "yesno").rename(root / "models/yesno")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLOPS_SERVE_GRACE": "0", "MLOPS_SERVE_HOST": "127.0.0.1", "MLOPS_SERVE_PORT": str(port)}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "mlops_toolkit.serve", str(root / "models")], env=env, stdout=log, stderr=log)
        made = Running(f"http://127.0.0.1:{port}", root / "log")
        try:
            end = time.monotonic() + 60
            while not _answers(made):
                assert time.monotonic() < end
                assert process.poll() is None, (root / "log").read_text()
                time.sleep(0.1)
            for _ in range(120):
                assert made.get("/predict", b'{"rows": [[9, 9, 9, 9]]}')[0] == 200
            made.get("/predict", b'{"rows": [[9, 9]]}')
            made.get("/nothing%0a%7B")
            yield made
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def _answers(made: Running) -> bool:
    try:
        return made.get("/v2/health/ready")[0] == 200
    except OSError:
        return False


def test_a_real_servers_metrics_pass_and_are_those_of_the_page(running: Running) -> None:
    promtool = require("programs", "promtool")["promtool"]
    end = time.monotonic() + 20
    while "mlops_prediction_drifted{" not in (text := running.get("/metrics")[1]):  # counted a little later
        assert time.monotonic() < end, text
        time.sleep(0.2)
    done = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    drifted = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("mlops_input_drifted{")]
    assert drifted == ["1.0"] * 4
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE mlops_")}
    told = set(re.findall(r"mlops_[a-z_]+[a-z]", PAGE))
    short = {"mlops_prediction_drift"}  # and what follows it
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told}
    assert plain - families == set()
    assert {name for name in families if name not in told and not name.startswith(tuple(short))} == set()


def test_its_queries_and_rules_are_valid(tmp_path: Path) -> None:
    promtool = require("programs", "promtool")["promtool"]
    queries = [line for block in blocks("promql") for line in block.splitlines() if line and not line.startswith("#")]
    assert len(queries) >= 7
    recorded = [{"record": f"query:{place}", "expr": query} for place, query in enumerate(queries)]
    (tmp_path / "queries.yaml").write_text(json.dumps({"groups": [{"name": "queries", "rules": recorded}]}))
    (rules,) = blocks("yaml")
    (tmp_path / "rules.yaml").write_text(rules)
    for name, count in (("queries", len(queries)), ("rules", 4)):
        done = subprocess.run(
            [promtool, "check", "rules", str(tmp_path / f"{name}.yaml")], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{count} rules found" in done.stdout


def test_a_real_servers_log_is_of_the_schema_a_line_an_event(running: Running) -> None:
    (shown,) = blocks("json")
    of_schema(json.loads(shown))
    time.sleep(0.3)  # lines are gathered for a moment
    events = [json.loads(line) for line in running.log.read_text().splitlines()]
    for event in events:
        of_schema(event)
    asked = [event for event in events if event.get("event.dataset") == "mlops.access"]
    assert [event["http.response.status_code"] for event in asked if event["url.path"] == "/predict"] == [200] * 120 + [400]
    assert not any("content" in name for event in events for name in event)
    assert not any("trace.id" in event for event in events)  # no collector is named
    assert len({event["http.request.id"] for event in asked}) == len(asked)
    assert any(event.get("labels.model") == "yesno" and "answers after" in event["message"] for event in events)


@pytest.mark.browser
def test_the_page_of_a_real_server_asks_it(running: Running) -> None:
    with browser() as opened:
        opened.visit(running.address + "/")
        opened.value("document.querySelector('.main').click()")
        end = time.monotonic() + 20
        while "answered in" not in (said := str(opened.value("document.querySelector('.answer').innerText"))):
            assert time.monotonic() < end, said
            time.sleep(0.05)
        assert re.search(r"label\s+(yes|no)\s", said)
        assert opened.problems == []
