"""gRPC's way into the server: its calls are picked, queued, counted and logged as those over HTTP are."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mlops_toolkit._version import __version__
from mlops_toolkit.serve.app import ID, STUCK
from mlops_toolkit.serve.batching import Work
from mlops_toolkit.serve.grpc_messages import SERVICE
from mlops_toolkit.serve.grpc_server import Call, Model, Server, Tls, call_of
from mlops_toolkit.serve.models import Served, versions
from mlops_toolkit.serve.refusals import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_toolkit.serve.app import App
    from mlops_toolkit.serve.settings import Settings

    Arrays = Mapping[str, NDArray[Any]]


class Door:
    """See grpc_server.Door."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._log = logging.getLogger("mlops.serve")
        self._prefix, self._number = os.urandom(4).hex(), itertools.count(1)

    def begun(self, metadata: Mapping[str, str | bytes], method: str) -> Call:
        given = _bytes(metadata.get("x-request-id", b""))
        call = call_of(method, given.decode("ascii") if ID.fullmatch(given) else f"{self._prefix}-{next(self._number):x}", metadata)
        call.token = self._app.watch.begun((name.encode(), _bytes(value)) for name, value in metadata.items())
        return call

    def admit(self, call: Call, kind: str) -> None:
        given = call.metadata.get("authorization")
        self._app.doors.check(None if given is None else _bytes(given), "health" if kind == "health" else "")

    def live(self) -> bool:
        return self._app.models.stuck(STUCK * self._app.settings.time_limit) is None

    def ready(self) -> bool:
        return not self._app.draining and not self._app.models.troubles()

    def pick(self, name: str, version: str | None) -> Model:
        served = self._app.models.pick(name, version)
        listed = tuple(versions(self._app.models.known[served.name]))
        return Model(served, served.name, served.version, listed, served.loaded.manifest)

    async def infer(self, call: Call, model: Model, inputs: dict[str, NDArray[Any]]) -> Arrays:
        served: Served = model.key
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(work: Work, found: Any) -> None:
            if not waiting.done():
                waiting.set_result(found)

        # The client's own deadline cancels the call: the queue need not know it.
        call.work = work = Work(inputs, call.rows, call.begun + self._app.settings.time_limit, done, call.token)
        served.batcher.submit(work)
        try:
            found = await waiting
        except asyncio.CancelledError:
            served.batcher.drop(work)
            raise
        if isinstance(found, Refused):
            raise found
        if isinstance(found, Exception):
            self._log.error("request %s failed: %s: %s", call.id, type(found).__name__, found, exc_info=found)
            raise Refused("model-failed", f"the model failed at it (request {call.id})", hint="the server's log says more") from found
        answer: Arrays = found
        return answer

    def ended(self, call: Call, inputs: Arrays | None, answer: Arrays | None) -> None:
        name, version = (call.model.name, call.model.version) if call.model else ("", "")
        work = call.work if call.work is not None and call.work.started else None
        self._app.watch.answered(
            name,
            version,
            "grpc",
            call.status,
            perf_counter() - call.begun,
            call.rows,
            work.started - work.arrived if work else None,
            work.computed if work else None,
            call.id,
            token=call.token,
            reason=call.refusal.name if call.refusal else None,
            said=call.refusal.sentence if call.refusal else None,
            method="POST",
            path=f"/{SERVICE}/{call.method}",
        )
        if inputs is not None and answer is not None and call.status == 200:
            self._app.watch.arrays(name, version, inputs, answer)


async def started(app: App, settings: Settings) -> Server:
    """Listen for gRPC, with the same certificates, limits and tokens as for HTTP. EnvironmentFailure `port-taken`, `package-missing`."""
    name = settings.name or "mlops-serve"
    server = Server(
        Door(app), name=name, version=__version__, limits=app.limits, largest=settings.max_body, most=max(1, settings.max_connections)
    )
    tls = Tls(settings.tls_cert, settings.tls_key, settings.client_ca) if settings.tls_cert else None
    await server.start(settings.host, settings.grpc_port, tls)
    return server


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
