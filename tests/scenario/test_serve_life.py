"""A server's life: models that come, change and break while it answers, more requests than it can answer, and its end."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.scenario.test_serve import INFER, ROW, model, rows, score
from tests.world.serving import Answer, Connection, Load, request, serving
from tests.world.waiting import wait_for


@pytest.mark.parametrize("fresh", [False, True], ids=["kept connections", "a connection each"])
def test_ending_under_load_loses_no_request(tmp_path: Path, fresh: bool) -> None:
    """SIGTERM, several times: whoever was let in gets an answer; kept connections are closed after one; the exit code is 0."""
    model(tmp_path / "models", sleep=0.001)
    for _ in range(2):
        with serving(tmp_path / "models", options=("--grace", "300ms")) as process:
            with Load(process.port, request("POST", INFER, ROW), clients=12, fresh=fresh) as load:
                time.sleep(0.3)
                asked = time.monotonic()
                process.signal(signal.SIGTERM)
                time.sleep(0.1)
                ready = process.ask("GET", "/v2/health/ready")
                assert (ready.status, ready.json()["name"]) == (503, "draining")
                assert process.ask("GET", "/v2/health/live").status == 200
                assert process.popen.wait(10) == 0
                took = time.monotonic() - asked
            assert load.dropped == []
            assert len(load.answers) > 20
            assert {answer.status for answer in load.answers} == {200}
            assert 0.3 < took < 3


def test_ending_waits_for_what_is_being_answered(tmp_path: Path) -> None:
    """And for nothing else: an idle connection is closed, a body that never ends is cut off after the time for it."""
    model(tmp_path / "models")
    with (
        serving(tmp_path / "models", options=("--drain", "3s")) as process,
        Connection(process.port) as idle,
        Connection(process.port) as slow,
    ):
        idle.ask("GET", "/v2")
        slow.send(request("POST", INFER, rows(668)))  # a second of work
        time.sleep(0.2)
        process.signal(signal.SIGTERM)
        assert idle.closed()
        assert score(slow.answer()) == [668]
        assert process.popen.wait(5) == 0


def test_a_new_model_takes_over_while_requests_come(tmp_path: Path) -> None:
    """Ten times, in place and as a link that is moved: no answer fails, each is the old model's or the new one's, afterwards only the new."""
    models = tmp_path / "models"
    model(models, "[0, 1, 0, 0]")
    with serving(models, options=("--poll", "50ms")) as process, Load(process.port, request("POST", INFER, ROW), clients=4) as load:
        for number in range(1, 11):
            before = process.ask("GET", "/v2/models/m").json()["versions"]
            model(models, f"[{number}, 1, 0, 0]")
            end = time.monotonic() + 10
            while process.ask("GET", "/v2/models/m").json()["versions"] == before:
                assert time.monotonic() < end
                time.sleep(0.02)
            assert score(process.ask("POST", INFER, ROW)) == [number + 2]
        load.stop()
    assert load.dropped == []
    assert {answer.status for answer in load.answers} == {200}
    told = [score(answer)[0] for answer in load.answers]
    assert set(told) <= {float(number + 2) for number in range(11)}
    assert len(set(told)) > 3


def test_a_broken_model_never_replaces_one_that_answers(tmp_path: Path) -> None:
    """Damaged, of other answers than its golden examples, or code that does not load: the old one goes on, and the index says why."""
    models = tmp_path / "models"
    model(models, "[0, 1, 0, 0]", version="v9")
    with serving(models, options=("--poll", "50ms", "--repository")) as process:
        assert process.ask("GET", "/v2/models/m").json()["versions"] == ["v9"]
        damaged = model(tmp_path / "aside", "[9, 9, 9, 9]", version="v10")
        (damaged / "code" / "weights.json").write_text("[7, 7, 7, 7]")
        damaged.rename(models / "m" / "v10")
        process.until("model m v10 is refused", 10)
        assert score(process.ask("POST", INFER, ROW)) == [2]
        assert process.ask("GET", "/v2/health/ready").status == 200
        [broken] = [one for one in process.ask("POST", "/v2/repository/index").json() if one["state"] != "READY"]
        assert broken["version"] == "v10"
        assert "weights.json is not what was saved" in broken["reason"]
        refused = process.ask("POST", "/v2/repository/models/m/load")
        assert refused.status == 400
        assert "weights.json" in refused.json()["error"]
        model(models, "[3, 1, 0, 0]", version="v11")
        process.until("model m v11 answers", 10)
        assert score(process.ask("POST", INFER, ROW)) == [5]
        shutil.rmtree(models / "m" / "v11")  # a way back: the newest that is left and answers
        process.until("model m v9 answers after", 10)
        end = time.monotonic() + 10
        while score(process.ask("POST", INFER, ROW)) != [2]:
            assert time.monotonic() < end
        assert process.ask("POST", "/v2/repository/models/m/unload").status == 200
        assert process.ask("POST", INFER, ROW).json()["name"] == "not-ready"
        assert process.ask("POST", "/v2/repository/models/m/load").status == 200
        assert score(process.ask("POST", INFER, ROW)) == [2]


def test_not_ready_with_the_reason(tmp_path: Path) -> None:
    """No model, then one whose code fails: alive, not ready, and what is wrong is said; SIGHUP looks again."""
    models = tmp_path / "models"
    models.mkdir()
    with serving(models, options=("--poll", "0s"), ready=False) as process:
        time.sleep(0.2)
        answer = process.ask("GET", "/v2/health/ready")
        assert answer.status == 503
        assert "there is no model below" in answer.json()["error"]
        assert process.ask("GET", "/v2/health/live").status == 200
        assert process.ask("POST", "/predict", "{}").status == 503
        place = model(models)
        shutil.rmtree(place / "code")
        process.signal(signal.SIGHUP)
        process.until("is refused")
        assert "predict.py is missing" in process.ask("GET", "/v2/health/ready").json()["error"]
        assert process.ask("POST", INFER, ROW).json()["name"] == "not-ready"
        model(models)
        process.signal(signal.SIGHUP)
        process.until(" answers after ")
        assert score(process.ask("POST", INFER, ROW)) == [4]


def test_five_times_more_than_it_can_answer(tmp_path: Path) -> None:
    """A model of 200 rows a second, asked by ever more clients: it answers as many as before, and refuses the rest within milliseconds."""
    model(tmp_path / "models", sleep=0.005)
    options = ("--max-wait", "100ms", "--max-batch", "8", "--log-requests", "none")
    with serving(tmp_path / "models", options=options) as process:
        raw = request("POST", INFER, ROW)
        found = {}
        for clients in (10, 200):
            with Load(process.port, raw, clients=clients, pause=0.0 if clients == 10 else 0.15) as load:
                time.sleep(2.5)
            found[clients] = load
        assert {answer.status for answer in found[200].answers} == {200, 429}
        good = {clients: sum(answer.status == 200 for answer in load.answers) for clients, load in found.items()}
        assert good[200] > 0.85 * good[10], good
        refused = [answer for answer in found[200].answers if answer.status == 429]
        assert len(refused) > 2 * good[200]
        assert float(np.median([answer.seconds for answer in refused])) < 0.05
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        answered = sorted(answer.seconds for answer in found[200].answers if answer.status == 200)
        assert answered[int(len(answered) * 0.9)] < 0.6  # waiting, a batch, and a machine with something else to do
        assert found[200].dropped == []


def test_tokens(tmp_path: Path) -> None:
    """Without one only health is answered; the file is read again; a handler does not see the variable; an empty file is no open door."""
    place = model(tmp_path / "models")
    assert place.is_dir()
    tokens = tmp_path / "tokens"
    tokens.write_text("# people\nfirst\n")
    options = ("--token-file", str(tokens), "--poll", "0s")
    with serving(tmp_path / "models", options=options, env={"MLOPS_SERVE_TOKEN": "from-env"}) as process:
        assert process.ask("GET", "/v2/health/ready").status == 200
        for path in ("/v2", "/metrics", "/openapi.json", "/v2/models/m", "/v2/models/nope"):
            answer = process.ask("GET", path)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        for token, status in (("first", 200), ("from-env", 200), ("second", 401), ("", 401)):
            assert process.ask("POST", INFER, ROW, f"authorization: Bearer {token}\r\n").status == status, token
        assert process.ask("POST", INFER, ROW, "authorization: Basic first\r\n").status == 401
        tokens.write_text("second\n")
        end = time.monotonic() + 5
        while process.ask("POST", INFER, ROW, "authorization: Bearer second\r\n").status != 200:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert process.ask("POST", INFER, ROW, "authorization: Bearer first\r\n").status == 401
        assert "from-env" not in process.said()
        environ = Path(f"/proc/{process.popen.pid}/cmdline").read_bytes()
        assert b"from-env" not in environ
    tokens.write_text("# nobody\n")
    with pytest.raises(AssertionError, match="there is no token in it"), serving(tmp_path / "models", options=options):
        pass


def test_certificates_on_both_sides(tmp_path: Path) -> None:
    """HTTPS, and only for clients whose certificate the named authority signed."""
    model(tmp_path / "models")
    for name, subject in (("ca", "/CN=ca"), ("server", "/CN=localhost"), ("client", "/CN=client")):
        key, cert = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        make = [
            "openssl",
            "req",
            "-x509" if name == "ca" else "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        run([*make, "-keyout", str(key), "-out", str(cert), "-subj", subject, "-addext", "subjectAltName=DNS:localhost"])
        if name != "ca":
            ca = ["-CA", str(tmp_path / "ca.pem"), "-CAkey", str(tmp_path / "ca.key"), "-copy_extensions", "copy"]
            run(["openssl", "x509", "-req", "-in", str(cert), *ca, "-out", f"{cert}.signed"])
            Path(f"{cert}.signed").rename(cert)
    options = [
        f"--{word}={tmp_path / file}" for word, file in (("tls-cert", "server.pem"), ("tls-key", "server.key"), ("client-ca", "ca.pem"))
    ]
    with serving(tmp_path / "models", options=tuple(options)) as process:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            unknown(process.port, context)
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        with tls(process.port, context) as connection:
            assert score(connection.ask("POST", INFER, ROW)) == [4]
            large = rows(*[1] * 20_000)
            assert len(score(connection.ask("POST", INFER, large))) == 20_000
            assert connection.ask("POST", INFER, "x", "content-encoding: gzip\r\n").status == 415
        assert process.ask("GET", "/v2").status == 0  # plain HTTP


def run(words: list[str]) -> None:
    subprocess.run(words, check=True, capture_output=True)


def unknown(port: int, context: ssl.SSLContext) -> None:
    """A client without a certificate: refused in the handshake, or (in TLS 1.3) right after it."""
    with tls(port, context) as connection:
        assert connection.ask("GET", "/v2").status == 0
    raise ConnectionResetError


def tls(port: int, context: ssl.SSLContext) -> Connection:
    connection = Connection(port)
    connection.socket = context.wrap_socket(connection.socket, server_hostname="localhost")
    return connection


@pytest.mark.slow
def test_memory_stays_what_it_is(tmp_path: Path) -> None:
    """Some thousands of requests of every kind, good and bad, and a model that changes: then as many again cost no memory."""
    models = tmp_path / "models"
    model(models)
    with serving(models, options=("--poll", "50ms", "--log-requests", "none")) as process:
        kinds = [
            request("POST", INFER, ROW),
            request("POST", INFER, rows(*range(500))),
            request("POST", "/predict", '{"x": [1, 2, 3, 4]}'),
            request("POST", INFER, "{"),
            request("GET", "/nope", headers="x-request-id: abc\r\n"),
            request("POST", INFER, rows(666)),
            request("GET", "/metrics"),
        ]
        weights = iter(range(1000))

        def round_() -> int:
            for _ in range(3):
                loads = [Load(process.port, raw, clients=1, fresh=place % 2 == 1) for place, raw in enumerate(kinds)]
                for load in loads:
                    load.__enter__()
                time.sleep(0.4)
                model(models, f"[{next(weights)}, 1, 0, 0]")
                time.sleep(0.3)
                for load in loads:
                    load.stop()
                    assert load.dropped == []
            time.sleep(0.5)
            return process.memory()

        round_()
        before = round_()
        after = [round_() for _ in range(2)]
        assert min(after) - before < 4e6, (before, after)


def test_what_nobody_waits_for_any_more_is_not_computed(tmp_path: Path) -> None:
    """Clients that reset their connections leave the queue: whoever comes after them does not wait for their turns.

    (One that ends its own side alone may still read: it is answered.)
    """
    model(tmp_path / "models")
    with serving(tmp_path / "models", options=("--max-batch", "1", "--max-wait", "1m")) as process:
        busy = [Connection(process.port) for _ in range(6)]
        for connection in busy:
            connection.send(request("POST", INFER, rows(668)))  # a second of work each, one at a time
        wait_for(lambda: re.search(rb'mlops_queue_rows\{model="m"\} [1-9]', process.ask("GET", "/metrics").body))
        for connection in busy:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.socket.close()
        answer = process.ask("POST", INFER, ROW)
        assert score(answer) == [4]
        assert answer.seconds < 3


def test_a_model_that_is_unloaded_while_it_is_loaded_stays_unloaded(tmp_path: Path) -> None:
    models = tmp_path / "models"
    model(models, version="v1")
    with serving(models, options=("--poll", "50ms", "--repository")) as process:
        aside = tmp_path / "aside"
        slow = model(aside, sleep=0.1, version="v2")  # its golden examples and larger and larger batches take a second or two
        slow.rename(models / "m" / "v2")

        def states() -> list[str]:
            return [one["state"] for one in process.ask("POST", "/v2/repository/index").json()]

        wait_for(lambda: "LOADING" in states(), 10)
        assert process.ask("POST", "/v2/repository/models/m/unload").status == 200
        wait_for(lambda: "LOADING" not in states(), 10)
        assert states() == ["UNAVAILABLE"]
        assert process.ask("POST", INFER, ROW).json()["name"] == "not-ready"
        assert process.ask("POST", "/v2/repository/models/m/load").status == 200
        assert score(process.ask("POST", INFER, ROW)) == [4]


def test_threads_of_models_that_are_gone_end(tmp_path: Path) -> None:
    models = tmp_path / "models"
    model(models)
    with serving(models, options=("--poll", "50ms")) as process:

        def threads() -> int:
            return len(list(Path(f"/proc/{process.popen.pid}/task").iterdir()))

        time.sleep(0.3)
        before = threads()
        for number in range(4):
            model(models, f"[{number}, 0, 0, 0]")
            end = time.monotonic() + 10
            while score(process.ask("POST", INFER, ROW)) != [number]:
                assert time.monotonic() < end
        time.sleep(0.5)
        assert threads() <= before + 1


def test_answers_of_one_client_are_bounded(tmp_path: Path) -> None:
    """With a limit for a client, one that asks for too much at once is told so, and only for as long as it does."""
    model(tmp_path / "models")
    with serving(tmp_path / "models", options=("--max-per-client", "2")) as process:
        answers: list[Answer] = []
        threads = [threading.Thread(target=lambda: answers.append(process.ask("POST", INFER, rows(668)))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status for answer in answers) == [200, 200, 429, 429]
        assert score(process.ask("POST", INFER, ROW)) == [4]
