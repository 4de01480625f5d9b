"""A span a request and a span a batch, for OpenTelemetry. Nothing of it is imported unless the standard OTEL_* variables name a collector."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import EnvironmentFailure

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

# OTEL_EXPORTER_OTLP_PROTOCOL -> module, and the distribution that has it
EXPORTERS = {
    "http/protobuf": ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry-exporter-otlp-proto-http"),
    "grpc": ("opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "opentelemetry-exporter-otlp-proto-grpc"),
}
LINKS = 128  # requests of a batch that its span names; what the SDK keeps, too
CLOSING = 3.0  # seconds that a collector which does not answer may hold up the end


class Begun:
    """A request that came: when, and its span."""

    __slots__ = ("at", "span")

    def __init__(self, at: float, span: Span) -> None:
        self.at, self.span = at, span

    @property
    def ids(self) -> tuple[str, str]:
        """Of its trace and its span, in hexadecimal digits."""
        context = self.span.get_span_context()
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces: an OTLP endpoint is named, and neither the SDK nor its traces are switched off."""
    named = any(environment.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT", "").strip() for name in ("", "TRACES_"))
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return named and not off and environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "otlp"


def started(environment: Mapping[str, str], *, name: str, version: str) -> Traces | None:
    """Traces to the collector that the variables name; None where they name none.

    name, version: of the service, where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES do not say.
    EnvironmentFailure `package-missing` where it is asked for and the extra is not installed.
    """
    if not wanted(environment):
        return None
    asked = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    module, package = EXPORTERS.get(asked.strip(), EXPORTERS["http/protobuf"])
    try:
        exporter = importlib.import_module(module).OTLPSpanExporter()
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise EnvironmentFailure(
            "package-missing",
            f"OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and this needs the package {package}: {error}",
            hint="install mlops-toolkit[telemetry] beside it, or unset the variable",
        ) from error
    return Traces(BatchSpanProcessor(exporter), _resource(environment, name, version))


def _resource(environment: Mapping[str, str], name: str, version: str) -> dict[str, str]:
    said = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    made = {"service.name": name, "service.version": version}
    if environment.get("OTEL_SERVICE_NAME"):
        del made["service.name"]
    return {key: value for key, value in made.items() if f"{key}=" not in said}


class Traces:
    """Spans of requests and batches. What a client sends decides no more than which trace a request continues."""

    def __init__(self, processor: SpanProcessor, resource: Mapping[str, str]) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = TracerProvider(
            resource=Resource.create(dict(resource)), shutdown_on_exit=False
        )  # its sampler: OTEL_TRACES_SAMPLER
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("mlops_toolkit.serve")
        self._propagator = TraceContextTextMapPropagator()
        self._trace = trace

    def begun(self, at: float, headers: Iterable[tuple[bytes, bytes]]) -> Begun:
        """A request came; a `traceparent` among its headers is continued."""
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name in (b"traceparent", b"tracestate")}
        context = self._propagator.extract(carrier) if carrier else None
        return Begun(at, self._tracer.start_span("request", context, self._trace.SpanKind.SERVER, start_time=_now(at)))

    def answered(self, begun: Begun, said: Mapping[str, Any]) -> None:
        """Its span ends: attributes by their names in OpenTelemetry's conventions, None for what there is not."""
        span = begun.span
        status = int(said["http.response.status_code"])
        span.update_name(f"{said['http.request.method']} {said['mlops.route']}".strip())
        span.set_attributes({name: value for name, value in said.items() if value is not None})
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR, said.get("error.message"))
        span.end()

    def batch(self, said: Mapping[str, Any], seconds: float, requests: Sequence[Begun]) -> None:
        """A batch was computed: a span of its own that is linked with those of its requests, and they with it."""
        end = time.time_ns()
        links = [self._trace.Link(one.span.get_span_context()) for one in requests[:LINKS]]
        span = self._tracer.start_span("batch", self._trace.set_span_in_context(self._trace.INVALID_SPAN), links=links, start_time=end - int(seconds * 1e9))  # fmt: skip
        span.set_attributes(dict(said))
        span.end(end)
        for one in requests:
            one.span.add_link(span.get_span_context())

    def close(self) -> None:
        """Send what waits; a collector that does not answer holds up nobody for long."""
        sending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        sending.start()
        sending.join(CLOSING)


def _now(at: float) -> int:
    """A moment of the performance counter as nanoseconds since 1970."""
    return time.time_ns() - int((time.perf_counter() - at) * 1e9)
