"""A server as its clients meet it: real sockets, real models, and everything that a client can do wrong."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mlops_toolkit as mlops
from tests.unit.formats import saved
from tests.world.serving import Answer, Connection, Load, Process, request, serving

INFER = "/v2/models/m/infer"
ROW = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]})

# What a request asks for by its first number: 666 an exception, 667 the thread's end, 668 a long time, 669 rows that are not there.
CODE = """
import json, time

class Model:
    def load(self, folder):
        self.weights = json.loads((folder / "weights.json").read_text())

    def predict(self, inputs):
        x = inputs["x"]
        first = set(x[:, 0].tolist())
        time.sleep(SLEEP * len(x))
        if 666 in first:
            raise ValueError("cannot do 666")
        if 667 in first:
            raise SystemExit("the end")
        if 668 in first:
            time.sleep(1.0)
        scores = x @ self.weights
        if 669 in first:
            scores = scores[:0]
        return {"score": scores}
"""


def model(folder: Path, weights: str = "[1, 2, -1, 0.5]", sleep: float = 0.0, version: str = "") -> Path:
    """A model `m` below `folder` (or a version of it), whose answer is x · weights; it takes `sleep` seconds a row."""
    work = folder.parent / f"{folder.name}-work"
    code = saved.write(work / "code", CODE.replace("SLEEP", repr(sleep)), weights)
    made = mlops.save(code, work / "model", example={"x": saved.EXAMPLE["x"][:3]}, files=[work / "code" / "weights.json"])
    place = folder / "m" / version
    place.parent.mkdir(exist_ok=True, parents=True)
    if place.exists():  # as anybody swaps a folder: the old one aside, the new one in its place
        place.rename(work / "old")
    made.rename(place)
    shutil.rmtree(work)
    return place


def rows(*values: float) -> str:
    """A request of rows that begin with these values."""
    data = [[value, 0, 0, 0] for value in values]
    return json.dumps({"inputs": [{"name": "x", "shape": [len(data), 4], "datatype": "FP32", "data": data}]})


def score(answer: Answer) -> list[float]:
    assert answer.status == 200, answer
    found: list[float] = answer.json()["outputs"][0]["data"]
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with tight limits, that many tests ask, and that lives at the end."""
    folder = tmp_path_factory.mktemp("models")
    model(folder)
    options = ("--max-body", "1MB", "--header-timeout", "500ms", "--min-rate", "100kB", "--time-limit", "400ms", "--max-connections", "40")
    with serving(folder, options=(*options, "--keep-alive", "2s")) as process:
        yield process
        assert process.popen.poll() is None
        assert score(process.ask("POST", INFER, ROW)) == [4.0]
        assert not [line for line in process.lines() if "uncaught" in line["message"] or "defect" in line["message"]]


def test_what_the_protocol_asks_for(one: Process) -> None:
    """The requests of the Open Inference Protocol, version 2, and what it says of their answers."""
    assert one.ask("GET", "/v2/health/live").status == 200
    assert one.ask("GET", "/v2/health/ready").status == 200
    server = one.ask("GET", "/v2").json()
    assert {"name", "version", "extensions"} <= set(server)
    assert {"binary_tensor_data", "model_repository"} <= set(server["extensions"])
    told = one.ask("GET", "/v2/models/m").json()
    version = told["versions"][0]
    assert told["name"] == "m"
    assert told["inputs"][0] | {"name": "x", "datatype": "FP32", "shape": [-1, 4]} == told["inputs"][0]
    assert one.ask("GET", f"/v2/models/m/versions/{version}").json()["versions"] == [version]
    assert one.ask("GET", "/v2/models/m/ready").status == 200
    assert one.ask("GET", f"/v2/models/m/versions/{version}/ready").status == 200
    asked = json.loads(ROW) | {"id": "my-id"}
    answer = one.ask("POST", f"/v2/models/m/versions/{version}/infer", json.dumps(asked)).json()
    assert answer["model_name"] == "m"
    assert answer["model_version"] == version
    assert answer["id"] == "my-id"
    assert answer["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [1], "data": [4.0]}]
    index = one.ask("POST", "/v2/repository/index", "{}").json()
    assert index == [{"name": "m", "version": version, "state": "READY", "reason": ""}]
    assert one.ask("GET", "/v2/models").json() == {"models": ["m"]}


def test_binary_tensors_in_and_out(one: Process) -> None:
    head = json.dumps(
        {
            "inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP32", "parameters": {"binary_data_size": 32}}],
            "outputs": [{"name": "score", "parameters": {"binary_data": True}}],
        }
    ).encode()
    raw = np.array([[1, 2, 3, 4], [0, 0, 0, 1]], "<f4").tobytes()
    answer = one.ask("POST", INFER, head + raw, f"inference-header-content-length: {len(head)}\r\n")
    assert answer.status == 200
    at = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.body[at:], "<f8").tolist() == [4.0, 0.5]


def test_people_ask_plainly(one: Process) -> None:
    """Also as curl sends what is given by -d."""
    for headers in ("content-type: application/json\r\n", "content-type: application/x-www-form-urlencoded\r\n", ""):
        assert one.ask("POST", "/predict", '{"x": [1, 2, 3, 4]}', headers).json() == {"score": 4.0}
    assert one.ask("POST", "/predict/m", '[{"x": [1, 2, 3, 4]}]').json() == [{"score": 4.0}]


def test_paths_methods_and_models_that_there_are_not(one: Process) -> None:
    assert one.ask("GET", "/nope").json()["name"] == "unknown-path"
    assert one.ask("GET", "/v2/models/nope").json()["name"] == "unknown-model"
    assert one.ask("POST", "/v2/models/nope/infer", ROW).status == 404
    assert one.ask("POST", "/v2/models/m/versions/7/infer", ROW).json()["name"] == "unknown-version"
    wrong = one.ask("DELETE", "/v2")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert one.ask("GET", INFER).headers["allow"] == "POST"
    head = one.ask("HEAD", "/v2/health/ready")
    assert (head.status, head.body) == (200, b"")
    assert one.ask("POST", "/v2/repository/models/m/unload").json()["name"] == "not-allowed"
    assert one.ask("POST", INFER, b"x", "content-encoding: gzip\r\n").status == 415


def test_every_answer_has_an_id(one: Process) -> None:
    """The client's own where it is one, else ours; and the log has it."""
    assert one.ask("GET", "/nope", headers="x-request-id: abc-123\r\n").headers["x-request-id"] == "abc-123"
    hostile = one.ask("GET", "/nope", headers="x-request-id: a b\r\n").headers["x-request-id"]
    assert hostile != "a b"
    one.until(hostile)
    one.until("abc-123")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("", "bad-json"),
        ("{", "bad-json"),
        ("[]", "bad-request"),
        ("{}", "missing-input"),
        ('{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, NaN]}]}', "bad-json"),
        ('{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}]}', "wrong-type"),
        ('{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}', "wrong-shape"),
        ('{"inputs": [{"name": "x", "shape": [9223372036854775807, 4], "datatype": "FP32", "data": [1]}]}', "wrong-shape"),
        ('{"inputs": [{"name": "y", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}', "unknown-input"),
    ],
)
def test_malformed_tensors_are_refused(one: Process, body: str, name: str) -> None:
    answer = one.ask("POST", INFER, body)
    assert answer.status == 400
    assert answer.json()["name"] == name


def test_bytes_that_are_no_http(one: Process) -> None:
    """Whatever comes over a socket, the server answers 400 or ends the connection, and lives."""
    chance = np.random.default_rng(0)
    for raw in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS greeting
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST " + INFER.encode() + b" HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        *(chance.bytes(200) + b"\r\n\r\n" for _ in range(10)),
    ):
        with Connection(one.port) as connection:
            connection.send(raw)
            assert connection.answer().status in (0, 400, 413)


def test_bodies_that_are_too_large(one: Process) -> None:
    """Said at once where the length was announced, and as soon as it shows where it was not; the sender can read why."""
    with Connection(one.port) as connection:
        connection.send(f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000000\r\n\r\n".encode())
        assert connection.answer().json()["name"] == "too-large"
    with Connection(one.port) as connection:
        connection.send(f"POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(20):
            connection.send(chunk)
        assert connection.answer().status == 413
        assert connection.closed()
    with Connection(one.port) as connection:
        connection.send(f"POST {INFER} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2000000\r\n\r\n".encode())
        assert connection.answer().status == 413
    with Connection(one.port) as connection:
        connection.send(f"POST {INFER} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {len(ROW)}\r\n\r\n".encode())
        assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(ROW.encode())
        assert score(connection.answer()) == [4.0]
    with Connection(one.port) as connection:
        connection.send(b"GET /v2 HTTP/1.1\r\n" + b"x: " + b"y" * 200_000)
        assert connection.answer().status in (431, 400)


def test_clients_that_are_too_slow(one: Process) -> None:
    """Headers that never end, a body that drips, a connection that says nothing: each is ended in its time, and others do not wait."""
    slow = [Connection(one.port) for _ in range(20)]
    for place, connection in enumerate(slow):
        if place % 2:
            connection.send(b"GET /v2 HTTP/1.1\r\nhost: x\r\n")
        else:
            connection.send(f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n".encode() + b"x" * 1000)
    silent = Connection(one.port)
    assert one.ask("POST", INFER, ROW).seconds < 0.5
    for connection in slow:
        answer = connection.answer()
        assert (answer.status, answer.json()["name"]) == (408, "too-slow-request")
        connection.socket.close()
    assert silent.closed()
    silent.socket.close()


def test_one_connection_too_many(one: Process) -> None:
    others = [Connection(one.port) for _ in range(40)]
    for connection in others:  # all of them are taken before the next one comes
        assert connection.ask("GET", "/v2/health/live").status in (200, 503)
    answer = one.ask("GET", "/v2")
    assert (answer.status, answer.json()["name"], answer.headers["connection"]) == (503, "too-busy", "close")
    for connection in others:
        connection.socket.close()
    end = time.monotonic() + 5
    while one.ask("GET", "/v2").status != 200:
        assert time.monotonic() < end


def test_requests_on_one_connection(one: Process) -> None:
    """One after the other, and several sent at once: answered in their order, each its own; a large one among them is refused and ends it."""
    with Connection(one.port) as connection:
        for value in (1, 2, 3):
            assert score(connection.ask("POST", INFER, rows(value))) == [value]
        connection.send(b"".join(request("POST", INFER, rows(value, value)) for value in range(50)))
        for value in range(50):
            assert score(connection.answer()) == [value, value]
        connection.send(request("POST", INFER, rows(7)) + b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n")
        assert score(connection.answer()) == [7]
        assert connection.answer().status in (405, 404, 413)
    with Connection(one.port) as connection:  # an older client, and one that ends its side before it reads
        connection.send(request("POST", INFER, rows(1)).replace(b"HTTP/1.1", b"HTTP/1.0"))
        connection.socket.shutdown(socket.SHUT_WR)
        assert score(connection.answer()) == [1]
        assert connection.closed()
    with Connection(one.port) as connection:  # the same with several requests: each is answered before the end
        connection.send(b"".join(request("POST", INFER, rows(value)) for value in (1, 2, 3)))
        connection.socket.shutdown(socket.SHUT_WR)
        assert [score(connection.answer()) for _ in range(3)] == [[1], [2], [3]]
        assert connection.closed()
    with Connection(one.port) as connection:  # and with bytes after them that are no request
        connection.send(request("POST", INFER, rows(1)) + request("POST", INFER, rows(2)) + b"\x16\x03\x01 nonsense\r\n\r\n")
        assert [score(connection.answer()) for _ in range(2)] == [[1], [2]]
        assert connection.closed()
    with Connection(one.port) as connection:  # a client that would rather speak HTTP/2 gets its answer in 1.1
        upgrade = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
        assert score(connection.ask("POST", INFER, rows(2), upgrade)) == [2]
        assert connection.ask("GET", "/v2", "", upgrade).status == 200
        assert connection.ask("GET", "/v2").status == 200


def test_a_model_that_fails(one: Process) -> None:
    """An exception, the end of its thread, an answer of other rows: 500 with an id that the log explains, for that request alone."""
    for value, says in ((666, "cannot do 666"), (667, "SystemExit"), (669, "")):
        with Load(one.port, request("POST", INFER, rows(1)), clients=6) as others:
            for _ in range(5):
                answer = one.ask("POST", INFER, rows(value))
                assert answer.status == 500, value
                if says:
                    one.until(answer.headers["x-request-id"])
        assert len(others.answers) > 5
        assert {answer.status for answer in others.answers} == {200}
        assert says in one.said()


def test_an_answer_that_takes_too_long(one: Process) -> None:
    """504 at the time limit. What waited behind it as long is not computed any more."""
    with Connection(one.port) as first, Connection(one.port) as second:
        first.send(request("POST", INFER, rows(668)))
        time.sleep(0.1)
        second.send(request("POST", INFER, rows(1)))
        answer = first.answer()
        assert (answer.status, answer.json()["name"]) == (504, "too-slow")
        assert second.answer().status in (200, 504, 429)
    time.sleep(0.7)
    assert score(one.ask("POST", INFER, rows(3))) == [3]


def test_reading_no_answers(one: Process) -> None:
    """A client that asks and never reads is ended; its answers do not fill our memory."""
    before = one.memory()
    greedy = [Connection(one.port) for _ in range(5)]
    raw = request("GET", "/openapi.json") * 500
    for connection in greedy:
        connection.socket.settimeout(0.2)
        try:
            for _ in range(40):
                connection.send(raw)
        except OSError:
            pass
    assert score(one.ask("POST", INFER, ROW)) == [4.0]
    assert one.memory() - before < 60e6
    for connection in greedy:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.socket.close()
