"""Two real releases behind the relay that compares them: clients get the live one's answers and nothing else, whatever the other one does."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.scenario.test_serve import INFER, ROW, model, rows
from tests.world.serving import Connection, Load, Process, request, running, serving
from tests.world.waiting import wait_for

PREDICT = json.dumps({"x": [1, 2, 3, 4]})
MANY = json.dumps({"rows": [{"x": [1, 2, 3, 4]}, {"x": [4, 3, 2, 1]}]})


@contextlib.contextmanager
def shadowing(live: int, beside: int, *options: str, env: dict[str, str] | None = None) -> Iterator[Process]:
    """The relay as a process, which ends well."""
    urls = ("--live", f"http://127.0.0.1:{live}", "--beside", f"http://127.0.0.1:{beside}")
    here = {"MLOPS_SERVE_HOST": "127.0.0.1", "MLOPS_SERVE_GRACE": "200ms", "MLOPS_SERVE_TIME_LIMIT": "2s"}
    with running("mlops_toolkit.serve.shadow", "--port", "0", *urls, *options, env={**here, **(env or {})}) as process:
        yield process
        process.signal(signal.SIGTERM)
        assert process.popen.wait(10) == 0, process.said()
        assert "Traceback" not in process.said()


def told(relay: Process, until: str = "", count: float = 0, seconds: float = 10.0) -> dict[str, float]:
    """Its counters, once `until` is at `count`."""

    def found() -> dict[str, float] | None:
        answer = relay.ask("GET", "/metrics")
        assert answer.status == 200
        text = answer.body.decode()
        said = {name: float(value) for name, value in re.findall(r"^mlops_shadow_([^\s]+) ([0-9.e+-]+)$", text, re.MULTILINE)}
        return said if not until or said.get(until, 0) >= count else None

    made: dict[str, float] = wait_for(found, seconds)
    return made


def test_the_live_answer_comes_back_byte_for_byte_and_differences_are_counted(tmp_path: Path) -> None:
    """Pages, refusals, JSON, binary tensors, plain rows: as if nobody stood between. Of what models answered, each pair is held together."""
    model(tmp_path / "live", version="1")
    model(tmp_path / "beside", "[1, 2, -1, 0.75]", version="2")
    raw = np.array([[1, 2, 3, 4]], np.float32).tobytes()
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}]}).encode()
    binary = f"inference-header-content-length: {len(head)}\r\n"
    asked: list[tuple[str, str, bytes | str, str]] = [
        ("GET", "/", b"", ""),
        ("HEAD", "/openapi.json", b"", ""),
        ("GET", "/v2/models/m", b"", "X-Twice: a\r\nX-Twice: b\r\n"),
        ("GET", "/nowhere", b"", ""),
        ("POST", INFER, "{", ""),
        ("POST", INFER, ROW, ""),
        ("POST", "/v2/models/m/versions/1/infer", ROW, ""),
        ("POST", INFER, head + raw, binary),
        ("POST", "/predict", PREDICT, "content-type: application/json\r\n"),
        ("POST", "/predict/m", MANY, "content-type: application/json\r\n"),
        ("POST", INFER, rows(*[0] * 20_000), ""),
    ]
    with (
        serving(tmp_path / "live") as live,
        serving(tmp_path / "beside") as beside,
        shadowing(live.port, beside.port, "--most-load", "1") as relay,
        Connection(relay.port) as kept,
    ):
        for number, (method, path, body, headers) in enumerate(asked):
            headers += f"x-request-id: {number}\r\n"
            straight = live.ask(method, path, body, headers)
            through = kept.ask(method, path, body, headers)
            assert (through.status, through.body) == (straight.status, straight.body), path
            assert {**through.headers, "date": ""} == {**straight.headers, "date": ""}, path
        found = told(relay, "compared_total", 7)
        assert found["compared_total"] == 7  # two refused alike or equal in all: {, and rows of nothing but zeros
        assert found["agreed_total"] == 2
        assert found['differing_total{kind="number"}'] == 5
        assert found["largest_difference"] == pytest.approx(1.0)
        assert found["rows_total"] == 20_006
        assert found["rows_other_label_total"] == 0
        assert found['seconds_count{release="beside"}'] == 7
        assert not [name for name in found if name.startswith(("failed", "dropped"))]
        assert "mlops_shadow" not in live.ask("GET", "/metrics").body.decode()


@contextlib.contextmanager
def bad(kind: str) -> Iterator[int]:
    """A release that takes connections and says nothing, or half of an answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        held: list[socket.socket] = []

        def run() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                held.append(one)
                if kind == "half":
                    one.recv(65_536)
                    one.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
                    one.close()

        threading.Thread(target=run, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()


def test_a_broken_release_changes_nothing_for_clients(tmp_path: Path) -> None:
    """Under load every request is answered by the live release; ending the relay loses none; what the other one did is counted."""
    model(tmp_path / "live")
    with serving(tmp_path / "live") as live:
        for kind in ("silent", "half", "nobody"):
            counted = 'dropped_total{reason="queue"}' if kind == "silent" else 'failed_total{reason="no-answer"}'
            with (
                bad(kind) as port,
                shadowing(live.port, 1 if kind == "nobody" else port) as relay,
                Load(relay.port, request("POST", INFER, ROW), clients=6) as load,
            ):
                wait_for(lambda load=load: len(load.answers) > 50)
                found = told(relay, counted, 1, 30)
                relay.signal(signal.SIGTERM)
                assert relay.popen.wait(10) == 0
            assert load.dropped == [], kind
            assert len(load.answers) > 50
            assert {(one.status, one.json()["outputs"][0]["data"][0]) for one in load.answers} == {(200, 4.0)}
            assert found["compared_total"] == 0


def test_no_more_is_compared_than_there_is_time_for(tmp_path: Path) -> None:
    """A tenth of the requests where that is asked; where copies would cost more than their part of a processor they are dropped. A live release
    that is gone is an error that says so; the server's token keeps strangers from the numbers."""
    model(tmp_path / "live")
    with serving(tmp_path / "live", env={"MLOPS_SERVE_TOKEN": "t"}) as live:
        env = {"MLOPS_SERVE_TOKEN": "t"}
        token = "authorization: Bearer t\r\n"
        with shadowing(live.port, live.port, "--share", "0.1", "--most-load", "1", env=env) as relay:
            assert relay.ask("GET", "/metrics").status == 401
            with Connection(relay.port) as connection:
                for _ in range(50):
                    assert connection.ask("POST", INFER, ROW, token).status == 200
            wait_for(lambda: "mlops_shadow_agreed_total 5.0" in relay.ask("GET", "/metrics", headers=token).body.decode(), 5)
        with shadowing(live.port, live.port, "--most-load", "0.001", env={"MLOPS_SERVE_OPEN": "health,metrics"}) as relay:
            with Connection(relay.port) as connection:
                for _ in range(60):
                    assert connection.ask("POST", INFER, rows(*[1] * 2000), token).status == 200
            assert told(relay, 'dropped_total{reason="load"}', 1)['dropped_total{reason="load"}'] > 20
            live.signal(signal.SIGINT)
            live.popen.wait(10)
            answer = relay.ask("POST", INFER, ROW, token)
            assert (answer.status, answer.json()["name"]) == (502, "not-ready")
            assert "does not answer" in answer.json()["error"]
