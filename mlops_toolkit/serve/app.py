"""What the server answers: which path is what, who may ask, and the way of a request from its bytes to a model and back."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mlops_toolkit.serve import people, tensors
from mlops_toolkit.serve.batching import Work
from mlops_toolkit.serve.calls import Call, lines
from mlops_toolkit.serve.describe import Described
from mlops_toolkit.serve.doors import Doors
from mlops_toolkit.serve.models import Models, Served
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.values import Limits

if TYPE_CHECKING:
    from mlops_toolkit.serve.settings import Settings
    from mlops_toolkit.serve.watched import Watch

FORM = b"application/x-www-form-urlencoded"
SMALL = 65_536  # bytes of a body where none is wanted
STUCK = 10  # times the time limit that one batch may take before the server says that it is not alive
ID = re.compile(rb"[\x21-\x7e]{1,128}")
JSON = lines(tensors.JSON)
_MODEL = r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"


@dataclass(frozen=True)
class Route:
    """A path.

    kind     what it is counted as (see watched.ROUTES)
    open     the word of the setting `open` that lets it be asked without a token
    body     whether it takes a large body
    """

    kind: str
    methods: tuple[bytes, ...]
    run: Callable[[App, Call, str | None, str | None], None]
    open: str = ""
    body: bool = False


class App:
    """Answers the calls of all connections. Everything here runs on the loop's thread."""

    def __init__(self, models: Models, settings: Settings, watch: Watch) -> None:
        self.models, self.settings, self.watch = models, settings, watch
        self.doors = Doors(settings)
        self.limits = Limits(nan=settings.nan, texts=settings.max_text)  # type: ignore[arg-type]
        self.described = Described(models, settings)
        self.draining = False
        self._log = logging.getLogger("mlops.serve")
        self._exact: dict[bytes, tuple[Route, str | None, str | None]] = {}
        self._clients: Counter[str] = Counter()
        self._prefix = os.urandom(4).hex()
        self._number = itertools.count(1)
        self.changed()

    def changed(self) -> None:
        """Models came or went: the paths that are asked most are found without a search."""
        self._exact = {}
        for name in self.models.known:
            for version in (None, *self.models.known[name].ready):
                where = f"/v2/models/{name}" + (f"/versions/{version}" if version else "")
                self._exact[f"{where}/infer".encode()] = (INFER, name, version)
            self._exact[f"/predict/{name}".encode()] = (PREDICT, name, None)
        self.described.changed()

    # what connections call

    def admit(self, call: Call) -> int:
        """See calls.Calls: what can be said by the headers alone is said before a body is read."""
        given = call.headers.get(b"x-request-id")
        call.id = given.decode("ascii") if given is not None and ID.fullmatch(given) else f"{self._prefix}-{next(self._number):x}"
        call.token = self.watch.begun(call.headers.items())
        if self.settings.max_per_client:
            self._clients[call.client] += 1
        found = self._exact.get(call.target)
        if found is None:
            found = route_of(call.target)
        route, name, version = call.route = found
        if call.method not in route.methods:
            allowed = b", ".join(route.methods)
            raise Refused(
                "method-not-allowed",
                f"{call.method.decode('latin-1')} is not what this path takes",
                hint=f"it takes {allowed.decode()}",
                headers=[(b"allow", allowed)],
            )
        self.doors.check(call.headers.get(b"authorization"), route.open)
        if b"content-encoding" in call.headers and call.headers[b"content-encoding"].lower() != b"identity":
            raise Refused("unsupported-type", "compressed bodies are not read", hint="send it without content-encoding")
        if not route.body:
            return SMALL
        most = self.settings.max_per_client
        if most and self._clients[call.client] > most:
            raise Refused("too-many", f"{most} requests of this client are being answered", hint="wait for an answer", retry_after=1)
        if name is not None:
            self.models.pick(name, version)
        return self.settings.max_body

    def handle(self, call: Call) -> None:
        """Answer a call that is here whole."""
        route, name, version = call.route
        try:
            route.run(self, call, name, version)
        except Refused as refusal:
            self.refused(call, refusal)
        except Exception as error:  # noqa: BLE001  # this request fails, the server goes on
            self.failed(call, error, "defect")

    def refused(self, call: Call, refusal: Refused, served: Served | None = None, work: Work | None = None) -> None:
        """Answer with a refusal."""
        body = refusal.body()
        self.answer(call, refusal.status, lines(refusal.headers), body, served, work, refusal)

    def failed(self, call: Call, error: Exception, name: str, served: Served | None = None, work: Work | None = None) -> None:
        """Answer that it failed here: the log says how, the client gets the id to ask for it by."""
        self._log.error("request %s failed: %s: %s", call.id, type(error).__name__, error, exc_info=error)
        what = "the model failed at it" if name == "model-failed" else "the server failed at it; this is a defect of ours"
        self.refused(call, Refused(name, f"{what} (request {call.id})", hint="the server's log says more"), served, work)

    def gone(self, call: Call) -> None:
        """Nobody waits for the answer any more: what still waits for its turn is not computed."""
        call.answered = True
        if call.drop is not None:
            call.drop()
        self._counted(call, 499, 0, None, None, None)

    def answer(
        self,
        call: Call,
        status: int,
        headers: bytes,
        body: bytes,
        served: Served | None = None,
        work: Work | None = None,
        refusal: Refused | None = None,
    ) -> None:
        """Send an answer and say so to whoever watches."""
        if call.answered:
            return
        call.reply(status, b"%bx-request-id: %b\r\n" % (headers, call.id.encode()), body)
        self._counted(call, status, len(body), served, work, refusal, body)

    def _counted(
        self, call: Call, status: int, sent: int, served: Served | None, work: Work | None, refusal: Refused | None, body: bytes = b""
    ) -> None:
        if self.settings.max_per_client:
            self._clients[call.client] -= 1
            if self._clients[call.client] <= 0:
                del self._clients[call.client]
        route = call.route[0].kind if call.route else "other"
        computed = work.computed if work is not None and work.started else None
        self.watch.answered(
            served.name if served else "",
            served.version if served else "",
            route,
            status,
            perf_counter() - call.begun,
            work.rows if work is not None else 0,
            work.started - work.arrived if computed is not None and work is not None else None,
            computed,
            call.id,
            token=call.token,
            reason=refusal.name if refusal else None,
            said=refusal.sentence if refusal else None,
            method=call.method.decode("latin-1"),
            path=call.target.decode("latin-1"),
            received=len(call.body),
            sent=sent,
            asked=call.body,
            told=body,
        )

    # models

    def infer(self, call: Call, name: str | None, version: str | None) -> None:
        """POST /v2/models/MODEL/infer."""
        served = self.models.pick(name or "", version)
        signature = served.loaded.signature
        try:
            request = tensors.read(call.body, call.headers.get(tensors.LENGTH), signature, limits=self.limits)
        except Refused as refusal:
            self.refused(call, refusal, served)
            return

        def write(answer: Mapping[str, Any]) -> tuple[bytes, bytes]:
            body, headers = tensors.write(request, answer, model=served.name, version=served.version, signature=signature)
            return body, JSON if headers is tensors.JSON else lines(headers)

        self.ask(call, served, request.inputs, request.rows, write)

    def predict(self, call: Call, name: str | None, version: str | None) -> None:
        """POST /predict[/MODEL]."""
        served = self.models.pick(name or self.models.only(), version)
        signature = served.loaded.signature
        kind = call.headers.get(b"content-type")
        if kind == FORM and call.body[:64].lstrip()[:1] in (b"{", b"["):  # what curl says of everything that is given by -d
            kind = None
        try:
            inputs, shape = people.read(call.body, kind.decode("latin-1") if kind else None, signature, limits=self.limits)
        except Refused as refusal:
            self.refused(call, refusal, served)
            return
        rows = len(next(iter(inputs.values())))
        self.ask(call, served, inputs, rows, lambda answer: (people.write(answer, signature, shape), JSON))

    def ask(
        self,
        call: Call,
        served: Served,
        inputs: dict[str, Any],
        rows: int,
        write: Callable[[Mapping[str, Any]], tuple[bytes, bytes]],
    ) -> None:
        """Have the model answer, and send what that is written as."""

        def done(work: Work, found: Any) -> None:
            call.drop = None  # the two hold each other, and large arrays
            if isinstance(found, Refused):
                self.refused(call, found, served, work)
            elif isinstance(found, Exception):
                self.failed(call, found, "model-failed", served, work)
            elif call.open:
                try:
                    body, headers = write(found)
                except Refused as refusal:
                    self.refused(call, refusal, served, work)
                except Exception as error:  # noqa: BLE001  # as above
                    self.failed(call, error, "defect", served, work)
                else:
                    self.answer(call, 200, headers, body, served, work)
                    self.watch.arrays(served.name, served.version, work.inputs, found)

        work = Work(inputs, rows, call.begun + self.settings.time_limit, done, call.token)
        try:
            served.batcher.submit(work)
        except Refused as refusal:
            self.refused(call, refusal, served)
        else:
            call.drop = functools.partial(served.batcher.drop, work)

    # the rest

    def live(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /v2/health/live: whether a restart would help."""
        stuck = self.models.stuck(STUCK * self.settings.time_limit)
        if stuck is not None:
            raise Refused("not-ready", f'the model "{stuck}" has been at one batch for more than {STUCK * self.settings.time_limit:g} s')
        self.answer(call, 200, JSON, b'{"live":true}')

    def ready(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /v2/health/ready: whether requests should come here."""
        if self.draining:
            raise Refused("draining", "the server is about to end", headers=[(b"connection", b"close")])
        troubles = self.models.troubles()
        if troubles:
            raise Refused("not-ready", "; ".join(troubles), retry_after=5)
        self.answer(call, 200, JSON, b'{"ready":true}')

    def model_ready(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /v2/models/MODEL/ready."""
        served = self.models.pick(name or "", version)
        self.answer(call, 200, JSON, self.described.ready(served))

    def server(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /v2."""
        self.answer(call, 200, JSON, self.described.server())

    def list_models(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /v2/models."""
        self.answer(call, 200, JSON, self.described.names())

    def model(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /v2/models/MODEL."""
        self.answer(call, 200, JSON, self.described.model(self.models.pick(name or "", version), version))

    def metrics(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /metrics."""
        body, kind = self.watch.exposition(call.headers.get(b"accept", b"").decode("latin-1"))
        self.answer(call, 200, b"content-type: %b\r\n" % kind.encode(), body)

    def openapi(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /openapi.json."""
        self.answer(call, 200, JSON, self.described.openapi())

    def page(self, call: Call, name: str | None, version: str | None) -> None:
        """GET /: for people."""
        headers, body = self.described.page()
        self.answer(call, 200, headers, body)

    def index(self, call: Call, name: str | None, version: str | None) -> None:
        """POST /v2/repository/index."""
        self.answer(call, 200, JSON, self.described.index(call.body))

    def load(self, call: Call, name: str | None, version: str | None) -> None:
        """POST /v2/repository/models/MODEL/load."""
        self._allowed()
        self.described.later(call, self, self.models.load(name or ""))

    def unload(self, call: Call, name: str | None, version: str | None) -> None:
        """POST /v2/repository/models/MODEL/unload."""
        self._allowed()
        self.models.unload(name or "")
        self.answer(call, 200, JSON, b"{}")

    def _allowed(self) -> None:
        if not self.settings.repository:
            raise Refused("not-allowed", "clients may not load and unload models here", hint="--repository lets them")

    def nothing(self, call: Call, name: str | None, version: str | None) -> None:
        """A path that there is not."""
        path = unquote(call.target.partition(b"?")[0].decode("latin-1"))
        raise Refused("unknown-path", f'there is no "{path[:200]}"', hint="GET /openapi.json lists what there is")


GET = (b"GET", b"HEAD")
POST = (b"POST",)
INFER = Route("infer", POST, App.infer, body=True)
PREDICT = Route("predict", POST, App.predict, body=True)
NOTHING = Route("other", (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"), App.nothing, open="health")
ROUTES: tuple[tuple[re.Pattern[str], Route], ...] = tuple(
    (re.compile(pattern), route)
    for pattern, route in (
        (rf"{_MODEL}/infer", INFER),
        (r"/predict(?:/(?P<model>[^/]+))?", PREDICT),
        (r"/v2/health/live", Route("health", GET, App.live, open="health")),
        (r"/v2/health/ready", Route("health", GET, App.ready, open="health")),
        (rf"{_MODEL}/ready", Route("health", GET, App.model_ready, open="health")),
        (_MODEL, Route("metadata", GET, App.model)),
        (r"/v2/models/?", Route("metadata", GET, App.list_models)),
        (r"/v2/?", Route("metadata", GET, App.server)),
        (r"/v2/repository/index", Route("repository", POST, App.index)),
        (r"/v2/repository/models/(?P<model>[^/]+)/load", Route("repository", POST, App.load)),
        (r"/v2/repository/models/(?P<model>[^/]+)/unload", Route("repository", POST, App.unload)),
        (r"/metrics", Route("metrics", GET, App.metrics, open="metrics")),
        (r"/openapi\.json", Route("openapi", GET, App.openapi, open="page")),
        (r"/", Route("page", GET, App.page, open="page")),
    )
)


def route_of(target: bytes) -> tuple[Route, str | None, str | None]:
    """What a path is, with the model and the version in it."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/"):  # http://host/path, as a proxy is asked
        path = b"/" + path.partition(b"//")[2].partition(b"/")[2]
    text = path.decode("latin-1")
    for pattern, route in ROUTES:
        found = pattern.fullmatch(text)
        if found:
            named = found.groupdict()
            model, version = (None if named.get(word) is None else unquote(named[word]) for word in ("model", "version"))
            return route, model, version
    return NOTHING, None, None
