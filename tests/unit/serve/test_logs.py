"""Log lines: of the Elastic Common Schema by its own list of fields, one a line whatever a client sends, and never in a request's way."""

from __future__ import annotations

import csv
import errno
import fcntl
import json
import logging
import os
import re
import select
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.serve import logs
from mlops_toolkit.serve.logs import ECS, Answered, Log, everything, line, of_request, text, words

HERE = Path(__file__).parent
# Field, type and whether it is an array, of the schema's own list (elastic/ecs, generated/csv/fields.csv).
FIELDS = {row["field"]: row for row in csv.DictReader((HERE / f"ecs-{ECS}.csv").read_text().splitlines())}
HOSTILE = 'a\n{"log.level":"info"}\r\x1b[2J\u2028\u0085\u202e\ud800\x00"'


def request(**changes: Any) -> Answered:
    said: dict[str, Any] = {"at": 1764000000.25, "model": "spam", "version": "3", "route": "predict", "status": 200, "seconds": 0.0031, "rows": 2, "waited": 0.001, "computed": 0.002, "id": "4bf9", "reason": None, "said": None, "method": "POST", "path": "/predict/spam", "received": 20, "sent": 30, "asked": None, "told": None, "trace": None, "span": None}  # fmt: skip
    return Answered(**{**said, **changes})


@contextmanager
def piped(**options: Any) -> Iterator[tuple[Log, int]]:
    """A log and the end of the pipe that it writes to."""
    read, write = os.pipe()
    log = Log(write, **options)
    try:
        yield log, read
    finally:
        os.close(read)
        log.close()
        os.close(write)


def written(log: Log, read: int) -> list[dict[str, Any]]:
    """All lines, once the log is closed."""
    raw = bytearray()
    closing = threading.Thread(target=log.close)
    closing.start()
    while closing.is_alive() or select.select([read], [], [], 0)[0]:
        if select.select([read], [], [], 0.05)[0]:
            raw += os.read(read, 1 << 20)
    return [json.loads(one) for one in raw.decode().split("\n")[:-1]]


def of_schema(event: dict[str, Any]) -> None:
    """Every field is the schema's, of its type, or in our own name space."""
    assert list(event)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]
    for name, value in event.items():
        if name.startswith(("mlops.", "labels.")):  # an own name space, and the schema's place for keywords of one's own
            assert not name.startswith("labels.") or isinstance(value, str)
            continue
        row = FIELDS[name]
        kind = {"long": int, "date": str}.get(row["type"], str)
        assert all(type(one) is kind for one in (value if row["array"] else [value])), (name, value)
    assert datetime.fromisoformat(event["@timestamp"].replace("Z", "+00:00")).tzinfo is not None


def test_a_request_is_an_event_of_the_schema() -> None:
    event = json.loads(line(*of_request(request())))
    of_schema(event)
    assert event["message"] == "POST /predict/spam 200 in 3.1 ms"
    assert event["@timestamp"] == "2025-11-24T16:00:00.250000Z"
    assert (event["event.duration"], event["event.outcome"], event["mlops.rows"], event["mlops.wait"]) == (
        3_100_000,
        "success",
        2,
        1_000_000,
    )
    assert "in 12346 ms" in of_request(request(seconds=12.3456))[2]
    refused = json.loads(line(*of_request(request(status=422, reason="wrong-shape", said="axis 1 is 4 long, not 3", asked=b"{}", told=b"{}", trace="a" * 32, span="b" * 16))))  # fmt: skip
    of_schema(refused)
    assert (refused["log.level"], refused["error.type"], refused["event.outcome"]) == ("warning", "wrong-shape", "failure")
    assert refused["message"].endswith("422 in 3.1 ms: axis 1 is 4 long, not 3")
    assert refused["trace.id"] == "a" * 32


@given(st.text(st.characters(), max_size=60), st.binary(max_size=60))
def test_what_a_client_sends_stays_within_its_line_and_its_field(said: str, raw: bytes) -> None:
    """Any text as path, id and message, any bytes as payload: one line, nothing in it that moves a cursor, and our fields are ours."""
    one = request(path=said + HOSTILE, id=said + HOSTILE, said=said + HOSTILE, asked=raw, told=raw)
    made = line(*of_request(one))
    assert made.count(b"\n") == 1
    assert made.endswith(b"}\n")
    event = json.loads(made)
    of_schema(event)
    assert event["log.level"] == "info"
    assert len(event) == len(json.loads(line(*of_request(request(said="", asked=b"", told=b"")))))
    assert all(one.isprintable() for one in made.decode()[:-1])
    shown = words(*of_request(one)).decode()
    assert shown.count("\n") == 1
    assert shown[:-1].isprintable()


def test_long_text_is_cut() -> None:
    made = line(
        *of_request(request(path="/" * 100_000, id="i" * 100_000, said="s" * 100_000, asked=b"a" * 100_000, told=b"\xff" * 100_000))
    )
    assert len(made) < 40_000
    assert text("x" * 2000, 10) == "x" * 10 + "…"


def test_lines_come_in_order_with_the_fields_of_every_line() -> None:
    with piped(about={"service.name": "spam", "service.version": "v3"}) as (log, read):
        for i in range(500):
            log.put(of_request, request(id=str(i)))
        log.say("warning", "a model\nis gone", labels__model="spam")
        events = written(log, read)
    assert [event.get("http.request.id") for event in events] == [*map(str, range(500)), None]
    assert all((event["service.name"], event["service.version"]) == ("spam", "v3") for event in events)
    assert events[-1]["labels.model"] == "spam"
    for event in events[-2:]:
        of_schema(event)


def test_a_pipe_that_nobody_reads_stops_no_request_and_what_is_dropped_is_counted_and_told() -> None:
    with piped(limit=200) as (log, read):
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 4096)
        begin = time.perf_counter()
        for _ in range(20_000):
            log.put(of_request, request())
        took = time.perf_counter() - begin
        assert took < 2  # microseconds each, while the pipe is full
        assert 19_000 < log.dropped <= 20_000
        dropped, raw = log.dropped, ""
        while sum(told := [int(one) for one in re.findall(r"(\d+) lines were dropped", raw)]) < dropped:  # its reader comes back
            assert select.select([read], [], [], 20)[0], told
            raw += os.read(read, 1 << 16).decode()
        assert sum(told) == dropped
        assert all(json.loads(one) for one in raw.splitlines())


def test_a_reader_that_has_gone_ends_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    log = Log(write)
    log.put(of_request, request())
    log.close()
    log.put(of_request, request())
    assert log.dropped == 2
    os.close(write)


def test_a_full_disk_loses_lines_and_not_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written is counted, and told once there is room again."""
    real, full = os.write, [True]

    def write(descriptor: int, data: Any) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    with piped() as (log, read):
        monkeypatch.setattr(os, "write", write)
        log.put(of_request, request())
        end = time.monotonic() + 20
        while not log.dropped:
            assert time.monotonic() < end
            time.sleep(0.01)
        full[0] = False
        log.put(of_request, request())
        messages = [event["message"] for event in written(log, read)]
        monkeypatch.undo()
    assert messages == ["POST /predict/spam 200 in 3.1 ms", "1 lines were dropped: this log could not be written in time"]


def test_all_that_the_process_says_is_in_the_same_form() -> None:
    """A library's log, warnings, prints of a handler (that pretend to be a line of ours), and uncaught exceptions."""
    stdout = sys.stdout
    with piped() as (log, read):
        with warnings.catch_warnings(), everything(log):
            warnings.simplefilter("always")
            logging.getLogger("lib.part").info("started with %d threads", 7)
            logging.getLogger("lib").error("pattern %d", "that does not fit")
            warnings.warn("old way", stacklevel=1)
            print('{"log.level":"info","message":"forged"}\nsecond')
            print("half", end="", file=sys.stderr)
            print(" and whole", file=sys.stderr)
            try:
                int("bad " + HOSTILE)
            except ValueError:
                logging.getLogger("app").exception("it failed")
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            sys.excepthook(KeyError, KeyError("k"), None)
        assert sys.stdout is stdout
        events = written(log, read)
    for event in events:
        of_schema(event)
    said = [(event["log.logger"], event["log.level"], event["message"]) for event in events]
    assert ("lib.part", "info", "started with 7 threads") in said
    assert ("lib", "error", "pattern %d") in said
    assert ("stdout", "info", '{"log.level":"info","message":"forged"}') in said
    assert ("stdout", "info", "second") in said
    assert ("stderr", "warning", "half and whole") in said
    assert any(name == "py.warnings" and "old way" in message for name, _, message in said)
    failed = next(event for event in events if event["message"] == "it failed")
    assert failed["error.type"] == "ValueError"
    assert "test_logs.py" in failed["error.stack_trace"]
    assert next(event for event in events if event["message"] == "uncaught exception in a thread")["error.type"] == "ZeroDivisionError"
    assert next(event for event in events if event["message"] == "uncaught exception")["log.level"] == "critical"


def test_for_a_person_a_line_is_short() -> None:
    shown = words(*of_request(request())).decode()
    assert shown[8:] == " info    POST /predict/spam 200 in 3.1 ms\n"
    at, level, message, fields = logs.of_record(
        logging.LogRecord("x", logging.ERROR, "f.py", 1, "no", None, (ValueError, ValueError("bad"), None))
    )
    assert words(at, level, message, fields).decode()[9:] == "error   no\n  ValueError: bad\n"


@pytest.mark.parametrize("form", ["ecs", "text"])
def test_a_line_costs_the_request_a_microsecond_or_two(form: str) -> None:
    """What a request pays is an append; the line is made elsewhere. Generous: the machine may be busy."""
    with piped(form=form, limit=1000) as (log, _):
        begin = time.thread_time()
        one = request()
        for _ in range(1000):
            log.put(of_request, one)
        assert time.thread_time() - begin < 0.02
