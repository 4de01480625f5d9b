"""Traces: the caller's trace goes on, batches and requests name each other, a real OTLP message arrives, and nothing is imported unasked."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.serve import traces
from mlops_toolkit.serve.traces import Begun, Traces, started, wanted
from mlops_toolkit.serve.watched import Watch
from tests.check import ROOT
from tests.unit.serve.test_watched import Settings

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def kept() -> tuple[Watch, InMemorySpanExporter]:
    """A watch whose spans stay in memory."""
    exporter = InMemorySpanExporter()
    watch = Watch(Settings(), None, Traces(SimpleSpanProcessor(exporter), {"service.name": "spam"}))
    watch.loaded("spam", "3", 0.1)
    return watch, exporter


def test_a_request_continues_the_callers_trace(kept: tuple[Watch, InMemorySpanExporter]) -> None:
    watch, exporter = kept
    token = watch.begun([(b"host", b"x"), (b"traceparent", PARENT), (b"tracestate", b"a=b")])
    time.sleep(0.002)
    watch.answered("spam", "3", "infer", 200, 0.003, 2, 0.001, 0.002, "id-1", token=token, method="POST", path="/v2/models/spam/infer")
    (span,) = exporter.get_finished_spans()
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == PARENT.decode().split("-")[1]
    assert f"{span.parent.span_id:016x}" == PARENT.decode().split("-")[2]
    assert (span.name, span.kind) == ("POST infer", SpanKind.SERVER)
    assert span.attributes is not None
    assert span.attributes["mlops.model"] == "spam"
    assert span.attributes["http.response.status_code"] == 200
    assert "error.type" not in span.attributes
    assert span.end_time is not None
    assert span.start_time is not None
    assert 0.002 <= (span.end_time - span.start_time) / 1e9 < 10


@pytest.mark.parametrize("header", [b"", b"00-zz", b"\xff" * 10, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", PARENT * 100])
def test_a_header_that_is_none_begins_a_trace(header: bytes, kept: tuple[Watch, InMemorySpanExporter]) -> None:
    watch, exporter = kept
    watch.answered("spam", "3", "infer", 500, 0.003, token=watch.begun([(b"traceparent", header)]), reason="defect", said="it failed")
    (span,) = exporter.get_finished_spans()
    assert span.parent is None
    assert span.status.status_code is StatusCode.ERROR
    assert not watch.errors.values[()]


def test_a_batch_and_its_requests_name_each_other(kept: tuple[Watch, InMemorySpanExporter]) -> None:
    watch, exporter = kept
    tokens = [watch.begun([(b"traceparent", PARENT)] if i else []) for i in range(3)]
    watch.batch("spam", "3", 6, 3, 0.02, tokens)
    for token in tokens:
        watch.answered("spam", "3", "infer", 200, 0.03, 2, token=token)
    batch, *requests = exporter.get_finished_spans()
    assert batch.context is not None
    assert (batch.name, batch.parent) == ("batch", None)
    assert [link.context.span_id for link in batch.links] == [one.context.span_id for one in requests if one.context]
    assert all([link.context.span_id for link in one.links] == [batch.context.span_id] for one in requests)
    assert batch.attributes == {"mlops.model": "spam", "mlops.version": "3", "mlops.rows": 6, "mlops.requests": 3}
    assert batch.end_time is not None
    assert batch.start_time is not None
    assert batch.end_time - batch.start_time == 20_000_000


def test_what_the_caller_does_not_record_is_not_recorded(kept: tuple[Watch, InMemorySpanExporter]) -> None:
    """The log still knows the trace."""
    watch, exporter = kept
    token = watch.begun([(b"traceparent", PARENT[:-2] + b"00")])
    watch.batch("spam", "3", 6, 1, 0.02, [token])
    watch.answered("spam", "3", "infer", 500, 0.03, 2, token=token)
    assert [span.name for span in exporter.get_finished_spans()] == ["batch"]
    assert isinstance(token, Begun)
    assert token.ids[0] == PARENT.decode().split("-")[1]
    assert not watch.errors.values[()]


def test_the_standard_variables_decide() -> None:
    assert not wanted({})
    assert wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"})
    assert wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"})
    for off in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", **off})
    assert started({}, name="spam", version="3") is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(traces.EXPORTERS, "grpc", ("no.such.module", "the-package"))
    with pytest.raises(EnvironmentFailure, match="the-package") as raised:
        started({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, name="spam", version="3")
    assert raised.value.name == "package-missing"


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """An OTLP receiver: its address, and path and body of what it got."""
    got: list[tuple[str, bytes]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def test_a_collector_gets_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables alone, with the resource that they name."""
    with collector() as (address, got):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_RESOURCE_ATTRIBUTES": "service.version=9,team=mail"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        made = started(environment, name="spam", version="3")
        watch = Watch(Settings(), None, made)
        watch.answered("", "", "infer", 404, 0.003, token=watch.begun([(b"traceparent", PARENT)]), method="POST")
        watch.close()
    (path, body), *_ = got
    assert path == "/v1/traces"
    message = ExportTraceServiceRequest.FromString(body)
    resource = {one.key: one.value.string_value for one in message.resource_spans[0].resource.attributes}
    assert (resource["service.name"], resource["service.version"], resource["team"]) == ("spam", "9", "mail")
    (span,) = message.resource_spans[0].scope_spans[0].spans
    assert span.trace_id.hex() == PARENT.decode().split("-")[1]


ALONE = """
import os, time
from mlops_toolkit.serve import traces
from mlops_toolkit.serve.watched import Watch
from tests.unit.serve.test_watched import Settings
traces.CLOSING = 0.2
watch = Watch(Settings(), None, traces.started(os.environ, name="spam", version="3"))
watch.answered("", "", "infer", 404, 0.003, token=watch.begun())
begin = time.monotonic()
watch.close()
print(time.monotonic() - begin)
"""


def test_a_collector_that_is_not_there_holds_up_nobody() -> None:
    """Neither the server's end nor the process's."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", ALONE], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 2


def test_nothing_is_imported_unless_it_is_asked_for() -> None:
    code = "import sys, mlops_toolkit.serve.watched, mlops_toolkit.serve.traces as t; t.started({}, name='', version=''); print([m for m in sys.modules if m.startswith(('opentelemetry', 'requests', 'numpy'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout == "[]\n"
