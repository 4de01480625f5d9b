"""Log lines in the form of the Elastic Common Schema, written by a thread of their own, so that whoever reads them can never stop a request."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import select
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

ECS = "9.4.0"
LIMIT = 10_000  # lines that wait to be written; further ones are dropped and counted
GATHER = 0.02  # seconds in which lines are gathered for one write
TEXT, TRACE, PAYLOAD = 1000, 20_000, 4096  # characters of a text, of a stack trace, bytes of a payload
QUIET = ("health", "metrics")  # asked every few seconds by machines: their successes are not worth a line
_WEB, _ACCESS = ["web"], ["access"]

Form = Callable[[float, str, str, Mapping[str, Any]], bytes]


def line(at: float, level: str, message: str, fields: Mapping[str, Any]) -> bytes:
    """One event as one line of JSON.

    at      seconds since 1970
    fields  names of the schema with their values; the text in them must have been through `text` where it is not ours
    """
    import orjson

    event = {"@timestamp": datetime.fromtimestamp(at, timezone.utc), "log.level": level, "message": message, "ecs.version": ECS, **fields}
    return orjson.dumps(event, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def words(at: float, level: str, message: str, fields: Mapping[str, Any]) -> bytes:
    """The same for a person at a terminal."""
    clock = datetime.fromtimestamp(at).strftime("%H:%M:%S")
    trace = str(fields.get("error.stack_trace", "")).rstrip().replace("\n", "\n  ")
    return f"{clock} {level:<7} {' '.join(message.split())}{chr(10) + '  ' + trace if trace else ''}\n".encode()


FORMS: dict[str, Form] = {"ecs": line, "text": words}


def text(value: object, limit: int = TEXT) -> str:
    """Somebody else's text, cut, and with everything escaped that ends a line, moves a cursor or turns the direction of writing."""
    said = value if isinstance(value, str) else str(value)
    if len(said) > limit:
        said = said[:limit] + "…"
    if said.isprintable():
        return said
    return "".join(one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode("ascii") for one in said)


class Answered(NamedTuple):
    """What is logged of a request; see `watched.Watch.answered`."""

    at: float
    model: str
    version: str
    route: str
    status: int
    seconds: float
    rows: int
    waited: float | None
    computed: float | None
    id: str
    reason: str | None
    said: str | None
    method: str
    path: str
    received: int | None
    sent: int | None
    asked: bytes | None
    told: bytes | None
    trace: str | None
    span: str | None


def of_request(one: Answered) -> tuple[float, str, str, dict[str, Any]]:
    """A request's event: moment, level, sentence, fields."""
    path, method, good = text(one.path, 500), text(one.method, 20), one.status < 400
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.category": _WEB,
        "event.type": _ACCESS,
        "event.dataset": "mlops.access",
        "event.outcome": "success" if good else "failure",
        "event.duration": int(one.seconds * 1e9),
        "http.request.id": text(one.id, 128),
        "http.request.method": method,
        "http.response.status_code": one.status,
        "url.path": path,
        "mlops.route": one.route,
    }
    if one.model:
        fields["labels.model"], fields["labels.version"] = one.model, one.version
    if one.received is not None:
        fields["http.request.body.bytes"] = one.received
    if one.sent is not None:
        fields["http.response.body.bytes"] = one.sent
    if one.rows:
        fields["mlops.rows"] = one.rows
    if one.waited is not None:
        fields["mlops.wait"] = int(one.waited * 1e9)
    if one.computed is not None:
        fields["mlops.compute"] = int(one.computed * 1e9)
    if one.trace is not None:
        fields["trace.id"], fields["span.id"] = one.trace, one.span
    if one.asked is not None:
        fields["http.request.body.content"] = _payload(one.asked)
    if one.told is not None:
        fields["http.response.body.content"] = _payload(one.told)
    took = f"{one.seconds * 1000:.3g}" if one.seconds < 0.9995 else f"{one.seconds * 1000:.0f}"
    said = f"{method} {path} {one.status} in {took} ms"
    if one.reason is not None:
        fields["error.type"] = one.reason
    if one.said is not None:
        why = fields["error.message"] = text(one.said)
        said = f"{said}: {why}"
    return one.at, "info" if good else "warning" if one.status < 500 else "error", said, fields


def _payload(raw: bytes) -> str:
    cut = bytes(raw[:PAYLOAD])
    return text(cut.decode("utf-8", "backslashreplace"), PAYLOAD * 4) + ("…" if len(raw) > PAYLOAD else "")


def of_record(record: logging.LogRecord) -> tuple[float, str, str, dict[str, Any]]:
    """An event of Python's own logging (ours, a library's, a warning, a traceback)."""
    try:
        said = record.getMessage()
    except Exception:  # noqa: BLE001 -- whoever logged it gave a pattern and values that do not fit
        said = str(record.msg)
    fields: dict[str, Any] = {
        "log.logger": text(record.name, 200),
        "log.origin.file.name": text(record.filename, 200),
        "log.origin.file.line": record.lineno,
        "process.thread.name": text(record.threadName or "", 100),
    }
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, trace = record.exc_info
        fields["error.type"] = text(kind.__name__, 200)
        fields["error.message"] = text(error)
        whole = "".join(traceback.format_exception(kind, error, trace))
        fields["error.stack_trace"] = text(whole[-TRACE:], TRACE)  # its end says what happened
    return record.created, record.levelname.lower(), text(said.rstrip("\n")), fields


class Log:
    """Where lines go: gathered, made and written by one thread. Nobody who logs waits.

    descriptor  the file that is written to; a pipe that nobody empties stops only the thread
    about       fields of every line: `service.name`, `service.version`, …
    """

    def __init__(self, descriptor: int = 1, *, about: Mapping[str, Any] | None = None, form: str = "ecs", limit: int = LIMIT) -> None:
        self._descriptor, self._about, self._form, self._limit = descriptor, dict(about or {}), FORMS[form], limit
        self._waiting: deque[tuple[Callable[..., tuple[float, str, str, dict[str, Any]]], Any]] = deque()
        self._wake, self._idle, self._closed, self._broken = threading.Event(), True, False, False
        self.dropped = 0
        self._said = 0  # of the dropped, how many a line has told of
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, make: Callable[..., tuple[float, str, str, dict[str, Any]]], what: Any) -> None:
        """An event, made by `make(what)` when it is written."""
        if len(self._waiting) >= self._limit or self._broken or self._closed:
            self.dropped += 1
            return
        self._waiting.append((make, what))
        if self._idle:
            self._wake.set()

    def say(self, level: str, message: str, **fields: Any) -> None:
        """An event of our own; a double underscore in a field's name stands for its dot."""
        named = {name.replace("__", "."): text(value) if isinstance(value, str) else value for name, value in fields.items()}
        self.put(lambda event: event, (time.time(), level, text(message), named))

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for at most so many seconds."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._idle = True
            if not self._waiting:
                if self._closed:
                    return
                self._wake.wait()
            self._wake.clear()
            self._idle = False
            if not self._closed:
                time.sleep(GATHER)
            lines = [*self._made()]
            if not self._write(b"".join(lines)):
                self.dropped += len(lines)

    def _made(self) -> Iterator[bytes]:
        for _ in range(min(len(self._waiting), 1000)):
            make, what = self._waiting.popleft()
            try:
                yield self._line(*make(what))
            except Exception as error:  # noqa: BLE001 -- a line that cannot be made must not end the log
                yield self._line(time.time(), "error", f"a line could not be written: {type(error).__name__}", {})
        dropped = self.dropped
        if dropped > self._said:
            count, self._said = dropped - self._said, dropped
            yield self._line(time.time(), "warning", f"{count} lines were dropped: this log could not be written in time", {})

    def _line(self, at: float, level: str, message: str, fields: Mapping[str, Any]) -> bytes:
        return self._form(at, level, message, {**self._about, **fields})

    def _write(self, raw: bytes) -> bool:
        """Whether it could be written. A full disk may have room again; a reader that has gone does not come back."""
        left = memoryview(raw)
        try:
            while left:
                select.select([], [self._descriptor], [])  # the file may be non-blocking: that is its other users' choice
                left = left[os.write(self._descriptor, left[: select.PIPE_BUF]) :]
        except OSError as error:
            self._broken = error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR)
            return False
        return True


class Handler(logging.Handler):
    """Python's logging into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Made now: what a record points to may have changed by the time that it is written."""
        event = of_record(record)
        self._log.put(lambda made: made, event)


class Lines(io.TextIOBase):
    """A text stream whose lines become events: what a handler's code prints cannot pass for a line of ours."""

    def __init__(self, log: Log, name: str, level: str) -> None:
        super().__init__()
        self._log, self._name, self._level, self._rest = log, name, level, ""

    def write(self, said: str) -> int:
        """Lines are logged when they are whole, or long."""
        *whole, self._rest = (self._rest + said).split("\n")
        if len(self._rest) > TEXT:
            whole, self._rest = [*whole, self._rest], ""
        for one in whole:
            if one.strip():
                self._log.say(self._level, one, log__logger=self._name)
        return len(said)

    def writable(self) -> bool:
        """It can be written to."""
        return True


@contextlib.contextmanager
def everything(log: Log, level: str = "info") -> Iterator[None]:
    """While it lasts, all that this process says goes into the log: logging, warnings, uncaught exceptions, prints."""
    root, handler = logging.getLogger(), Handler(log)
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.stdout, sys.stderr)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    crash = logging.getLogger("mlops.crash")
    sys.excepthook = lambda kind, error, trace: crash.critical("uncaught exception", exc_info=(kind, error, trace))

    def in_thread(told: Any) -> None:
        crash.error("uncaught exception in a thread", exc_info=(told.exc_type, told.exc_value, told.exc_traceback))

    threading.excepthook = in_thread
    sys.stdout, sys.stderr = Lines(log, "stdout", "info"), Lines(log, "stderr", "warning")
    try:
        yield
    finally:
        root.handlers[:], level_before, sys.excepthook, threading.excepthook, sys.stdout, sys.stderr = before
        root.setLevel(level_before)
        logging.captureWarnings(False)
