"""What is watched of a serving model: the server says what happened, in microseconds, and Prometheus, the log and traces are told."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol

from mlops_toolkit.serve import watched_about
from mlops_toolkit.serve.logs import PAYLOAD, QUIET, Answered, Log, of_request
from mlops_toolkit.serve.traces import Begun, Traces
from mlops_toolkit.serve.watched_arrays import MODEL, Counted, Feed, counted, families
from mlops_toolkit.serve.watched_counts import POWERS, SECONDS, Collected, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from prometheus_client.metrics_core import Metric

    from mlops_toolkit.formats.manifest import Manifest

ROUTES = ("infer", "predict", "metadata", "health", "repository", "metrics", "openapi", "page", "grpc")
REASONS = 64  # names of refusals that are told apart
GONE = 32  # versions that are no longer loaded and whose counters stay until the next ones go
P = ParamSpec("P")
Token = float | Begun  # of a request; what is in it is not the caller's business


class Settings(Protocol):
    """What a person sets of it."""

    @property
    def log_requests(self) -> str:
        """`all`, `errors` (from status 400 on) or `none`."""
        ...

    @property
    def log_payloads(self) -> bool:
        """Whether what was asked and answered is logged, cut."""
        ...

    @property
    def drift_window(self) -> int:
        """Rows that are held against the reference at a time; 0: none."""
        ...


def harmless(call: Callable[P, None]) -> Callable[P, None]:
    """A call that never raises into a request: what goes wrong in watching is counted."""

    @functools.wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception:  # noqa: BLE001 -- a defect in watching must not become a failed answer
            watch: Any = args[0]
            watch.errors.add(())

    return wrapped


class Watch:
    """One a process. The server calls it from its event loop and its worker threads.

    Labels are what the server itself knows: models and versions that were loaded, routes of `ROUTES`, statuses, names of refusals.
    What a client sent is never one. A request for a model that is not loaded has empty labels.
    """

    def __init__(
        self, settings: Settings, log: Log | None = None, traces: Traces | None = None, image: Mapping[str, str] | None = None
    ) -> None:
        """image: what the image says of its model, see `watched_about.read`."""
        from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

        self._settings = settings
        self._log, self._traces, self._image = log, traces, image or {}
        self._logged_from = {"all": 100, "errors": 400}.get(settings.log_requests, 1000)
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._gone: list[tuple[str, str]] = []
        self._reasons: set[str] = set()
        self._about: dict[tuple[str, str], Mapping[str, str]] = {}
        self._in_flight = 0
        self._counted: dict[tuple[str, str], Counted] = {}
        self.feed = Feed()
        self.requests = Counter("mlops_requests", "Requests that were answered.", (*MODEL, "route", "status"))
        self.seconds = Histogram("mlops_request_seconds", "From a request's first byte to its answer.", (*MODEL, "route"), SECONDS)
        self.waited = Histogram("mlops_request_wait_seconds", "How long requests waited for their batch.", MODEL, SECONDS)
        self.computed = Histogram("mlops_request_compute_seconds", "How long the model computed a request's batch.", MODEL, SECONDS)
        self.rows = Counter("mlops_rows", "Rows (examples) that were answered.", MODEL)
        self.rejected = Counter("mlops_rejected", "Requests that were refused, by the name of the refusal.", (*MODEL, "reason"))
        self.batch_rows = Histogram("mlops_batch_rows", "Rows that were computed at once.", MODEL, POWERS)
        self.batch_requests = Histogram("mlops_batch_requests", "Requests that were computed at once.", MODEL, POWERS)
        self.batch_seconds = Histogram("mlops_batch_seconds", "How long a batch was computed.", MODEL, SECONDS)
        self.queued = Gauge("mlops_queue_rows", "Rows that wait to be computed.", ("model",))
        self.ready = Gauge("mlops_model_ready", "1 where the model answers, 0 where it was tried and does not.", MODEL)
        self.load_seconds = Gauge("mlops_model_load_seconds", "How long loading, proving and warming it took.", MODEL)
        self.loads = Counter("mlops_model_loads", "Models that were loaded, and that were tried and refused.", (*MODEL, "outcome"))
        self.errors = Counter("mlops_watch_errors", "Times that watching itself failed; the requests did not.", ())
        self.errors.add((), 0.0)
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._registry.register(Collected(self._families))

    def begun(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> Token:
        """A request came, with these headers (names in small letters). What is returned is given back as `token`."""
        self._in_flight += 1
        at = time.perf_counter()
        if self._traces is None:
            return at
        try:
            return self._traces.begun(at, headers)
        except Exception:  # noqa: BLE001 -- as in `harmless`
            self.errors.add(())
            return at

    @harmless
    def answered(
        self,
        model: str,
        version: str,
        route: str,
        status: int,
        seconds: float,
        rows: int = 0,
        waited_seconds: float | None = None,
        computed_seconds: float | None = None,
        id: str = "",  # noqa: A002 -- the protocol's word
        *,
        token: Token | None = None,
        reason: str | None = None,
        said: str | None = None,
        method: str = "",
        path: str = "",
        received: int | None = None,
        sent: int | None = None,
        asked: bytes | None = None,
        told: bytes | None = None,
    ) -> None:
        """A request got its answer.

        model, version    as loaded; empty where it was for none, or for one that there is not
        route             one of `ROUTES`
        seconds           from its first byte to its answer; of that `waited_seconds` for its batch and `computed_seconds` in it
        reason, said      the name of the refusal and its sentence, where it was refused
        method, path      as the client wrote them; received, sent: bytes of the bodies
        asked, told       the bodies; logged only where `log_payloads` says so
        """
        key = self._known.get((model, version), ("", ""))
        if route not in ROUTES:
            route = "other"
        with self._lock:
            self._in_flight -= 1
            self.requests.add((*key, route, str(status) if 100 <= status <= 599 else "other"))
            self.seconds.add((*key, route), seconds)
            if waited_seconds is not None:
                self.waited.add(key, waited_seconds)
            if computed_seconds is not None:
                self.computed.add(key, computed_seconds)
            if rows and status < 400:
                self.rows.add(key, rows)
            if reason:
                self.rejected.add((*key, self._reason(reason)))
        if isinstance(token, Begun) and self._traces is not None:
            spanned = {"mlops.route": route, "http.request.method": method, "http.response.status_code": status, "url.path": path[:500], "mlops.model": key[0], "mlops.version": key[1], "mlops.rows": rows, "mlops.wait_seconds": waited_seconds, "mlops.compute_seconds": computed_seconds, "error.type": reason, "error.message": said, "http.request.id": id[:128]}  # fmt: skip
            self._traces.answered(token, spanned)
        if self._log is not None and status >= self._logged_from and (status >= 400 or route not in QUIET):
            if not self._settings.log_payloads:
                asked = told = None
            elif asked or told:  # a cut copy: a large body is not kept until its line is written
                asked, told = (None if raw is None else bytes(raw[: PAYLOAD + 1]) for raw in (asked, told))
            ids = token.ids if isinstance(token, Begun) else (None, None)
            self._log.put(of_request, Answered(time.time(), *key, route, status, seconds, rows, waited_seconds, computed_seconds, id, reason, said, method, path, received, sent, asked, told, *ids))  # fmt: skip

    @harmless
    def batch(self, model: str, version: str, rows: int, requests: int, seconds: float, tokens: Sequence[Token] = ()) -> None:
        """A batch was computed, of the requests of these tokens."""
        key = self._known.get((model, version), ("", ""))
        with self._lock:
            self.batch_rows.add(key, rows)
            self.batch_requests.add(key, requests)
            self.batch_seconds.add(key, seconds)
        if self._traces is not None:
            spanned = {"mlops.model": key[0], "mlops.version": key[1], "mlops.rows": rows, "mlops.requests": requests}
            self._traces.batch(spanned, seconds, [one for one in tokens if isinstance(one, Begun)])

    @harmless
    def queue(self, model: str, depth: int) -> None:
        """So many rows wait."""
        if any(name == model for name, _ in self._known):
            self.queued.put((model,), depth)

    @harmless
    def arrays(self, model: str, version: str, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> None:
        """What was asked and answered; after the answer is sent. It is counted later, by another thread: the arrays must not change any more."""
        which = self._counted.get((model, version))
        if which is not None:
            self.feed.put(which, inputs, outputs)

    @harmless
    def loaded(
        self,
        model: str,
        version: str,
        seconds: float,
        ok: bool = True,
        why: str | None = None,
        *,
        folder: Path | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        """A model was loaded, or was not and why.

        folder, manifest  of the model, so that its answers and its drift are counted, and what is known of it is told
        """
        key = (model, version)
        about = watched_about.of(folder, manifest, self._image) if folder is not None and manifest is not None else {}
        with self._lock:
            self._known[key] = key
            if key in self._gone:
                self._gone.remove(key)
            self.loads.add((*key, "loaded" if ok else "refused"))
            if ok or key not in self._about:  # one that is refused takes nothing from the one of that version that goes on answering
                self.ready.put(key, 1.0 if ok else 0.0)
                self.load_seconds.put(key, seconds)
            if ok:
                self._about[key] = about
            elif key not in self._about:
                self._forget(key)
            if self._log is not None:
                done = f"answers after {seconds:.2f} s" if ok else f"is refused: {why or 'no reason given'}"
                self._log.say("info" if ok else "error", f"model {model} {version} {done}", labels__model=model, labels__version=version)
        if ok and folder is not None and manifest is not None:
            self._counted[key] = counted(folder, manifest, self._settings.drift_window)

    def about(self, model: str, version: str) -> Mapping[str, str]:
        """What is known of a model that answers: `verdict`, `run`, `commit`, `digest` where its image says so, `manifest`, `format`, `framework`."""
        return self._about.get((model, version), {})

    @harmless
    def unloaded(self, model: str, version: str) -> None:
        """A model answers no more. Its counters stay for a while: what was counted last is still to be asked for."""
        key = (model, version)
        with self._lock:
            self.ready.forget(lambda labels: labels == key)
            self.load_seconds.forget(lambda labels: labels == key)
            self._about.pop(key, None)
            self._counted.pop(key, None)
            self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        """Drop the counters of what does not answer, when others that do not have come since."""
        self._gone.append(key)
        if len(self._gone) > GONE:
            old = self._gone.pop(0)
            self._known.pop(old, None)
            for one in self._all():
                one.forget(lambda labels: labels[:2] == old)

    def close(self) -> None:
        """Send the traces that wait, for a few seconds at most."""
        if self._traces is not None:
            self._traces.close()

    def exposition(self, accept: str | None = None) -> tuple[bytes, str]:
        """All metrics in the form that the request's Accept header asks for (OpenMetrics, or Prometheus' text), and its content type.

        Takes milliseconds, with hundreds of features tens of them: not for the event loop.
        """
        from prometheus_client.exposition import choose_encoder

        encoder, kind = choose_encoder(accept or "")
        return encoder(self._registry), kind

    def _reason(self, name: str) -> str:
        if name not in self._reasons:
            if len(self._reasons) >= REASONS:
                return "other"
            self._reasons.add(name)
        return name

    def _all(self) -> Sequence[Counter | Histogram]:
        return [one for one in vars(self).values() if isinstance(one, Counter | Histogram)]

    def _families(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        with self._lock:
            self.errors.add((), self.feed.errors)
            self.feed.errors = 0
            made = [one.family() for one in self._all()]
            names = sorted({name for said in self._about.values() for name in said})
            info = GaugeMetricFamily("mlops_model_info", "What is known of each loaded model.", labels=[*MODEL, *names])
            for key, said in self._about.items():
                info.add_metric([*key, *(said.get(name, "") for name in names)], 1.0)
            flying = GaugeMetricFamily("mlops_requests_in_flight", "Requests that wait for their answer.", value=self._in_flight)
            dropped = CounterMetricFamily(
                "mlops_log_lines_dropped", "Log lines that nobody read in time.", value=self._log.dropped if self._log else 0
            )
        yield from (*made, info, flying, dropped, *families(self._counted))
