"""A server's life: listen, load, answer, and end without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from mlops_toolkit._version import __version__
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, UsageError
from mlops_toolkit.serve import logs, traces, watched_about
from mlops_toolkit.serve.app import App
from mlops_toolkit.serve.calls import Listener
from mlops_toolkit.serve.models import Models
from mlops_toolkit.serve.settings import Settings
from mlops_toolkit.serve.watched import Watch
from mlops_toolkit.serve.wire import Connection

BACKLOG = 1024
TICK = 0.05  # seconds between looks at what is late
NO_SYN = (  # a filter of the system's, for a socket that listens: of TCP segments, drop those that ask for a new connection
    (0x30, 0, 0, 13),  # the byte with the flags
    (0x54, 0, 0, 0x12),  # SYN and ACK of it
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # keep all others
)


def run(roots: Sequence[Path], settings: Settings, *, strict: bool = False) -> int:
    """Serve the models below these folders until SIGTERM or SIGINT; 0.

    strict: end with the error where a model cannot be loaded at the start, instead of waiting, not ready, for one that can.
    EnvironmentFailure `port-taken`; UsageError `no-token`, `bad-certificate`; with `strict` InvalidFile `model-not-ready`.
    """
    _forget_secrets()
    log = logs.Log(1, about={"service.name": settings.name or "mlops-serve", "service.version": __version__}, form=settings.log)
    try:
        with logs.everything(log, settings.log_level):
            return looped(Server(roots, settings, log, strict=strict).serve())
    finally:
        log.close()


def looped(serving: Any) -> int:
    """Run it on the fastest loop there is."""
    try:
        import uvloop
    except ImportError:  # not on every platform
        return int(asyncio.run(serving))
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return int(runner.run(serving))
    return int(uvloop.run(serving))


class Server:
    """One process: its socket, its models, its end."""

    def __init__(self, roots: Sequence[Path], settings: Settings, log: logs.Log, *, strict: bool = False) -> None:
        self.roots, self.settings, self.log, self.strict = roots, settings, log, strict
        self._ending = asyncio.Event()
        self._at_once = self._no_grace = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> int:
        """All of it."""
        settings, loop = self.settings, asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1, thread_name_prefix="looking"))  # at folders, one look at a time
        traced = traces.started(os.environ, name=settings.name or "mlops-serve", version=__version__)
        watch = Watch(settings, self.log, traced, watched_about.read(os.environ))
        self.models = models = Models(self.roots, settings, watch, self.log)
        self.app = app = App(models, settings, watch)
        models.changed = app.changed
        self.listener = listener = Listener(app, settings, loop)
        self.tls = tls_of(settings)
        sock = bound(settings)
        server = await loop.create_server(lambda: Connection(listener), sock=sock, ssl=self.tls, backlog=BACKLOG)
        self.grpc = await _grpc(app, settings)
        listener.sweep()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        with contextlib.suppress(AttributeError):
            loop.add_signal_handler(signal.SIGHUP, self._again)
        host, port = sock.getsockname()[:2]
        where = f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        self.log.say("info", f"listening on {where}")
        self._task(self._tick())
        try:
            await models.look()
            troubles = models.troubles()
            if self.strict and troubles:
                raise InvalidFile("model-not-ready", "; ".join(troubles), where=", ".join(map(str, self.roots)))
            gc.collect()
            gc.freeze()  # what is here now stays: it need not be looked at again and again
            gc.set_threshold(20_000, 20, 100)  # requests leave no cycles behind: looking for them after every few costs a twentieth
            sys.setswitchinterval(0.0005)
            if settings.poll:
                self._task(self._poll())
            await self._ending.wait()
            await self._drain(server, sock)
        finally:
            for task in list(self._tasks):
                task.cancel()
            listener.close()
            server.close()
            if self.grpc is not None:
                await self.grpc.stop(0)
            watch.close()
        return 0

    def _task(self, doing: Any) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end(self, number: int) -> None:
        """SIGTERM: with the grace that a load balancer needs to look away. SIGINT, a person at a terminal: without, and at the second one
        nothing is waited for. Whoever sends SIGTERM twice means it once."""
        if number == signal.SIGINT:
            self._at_once = self._no_grace
            self._no_grace = True
        self._ending.set()

    def _again(self) -> None:
        """SIGHUP: look at models, tokens and certificates now."""
        self.app.doors.reread()
        if self.tls is not None:
            try:
                self.tls.load_cert_chain(self.settings.tls_cert, self.settings.tls_key)
            except (OSError, ssl.SSLError) as error:
                self.log.say("error", f"the certificate is still the one from before: {error}")
        self._task(self.models.look())

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.settings.poll)
            try:
                await self.models.look()
            except Exception as error:  # noqa: BLE001  # a look that failed is followed by the next one
                asyncio.get_running_loop().call_exception_handler({"message": "looking for models failed", "exception": error})

    async def _tick(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(TICK)
            count += 1
            self.models.expire(perf_counter())
            if count % 20 == 0:
                self.app.doors.reread()

    async def _drain(self, server: asyncio.AbstractServer, sock: socket.socket) -> None:
        """Say that we are not ready; answer whoever still comes, each for the last time on its connection; then take no more, and finish."""
        settings, listener = self.settings, self.listener
        self.log.say("info", f"ending: {len(listener.connections)} connections, new ones are taken for {settings.grace:g} s")
        self.app.draining = listener.draining = True
        await self._grace()
        await closed(server, sock)
        calls = asyncio.ensure_future(self.grpc.stop(settings.drain)) if self.grpc is not None else None
        await drained(listener, self.log, busy=lambda: calls is not None and not calls.done(), at_once=lambda: self._at_once)
        self.log.say("info", "ended")

    async def _grace(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.settings.grace
        while loop.time() < end and not self._no_grace:
            await asyncio.sleep(0.02)


def bound(settings: Settings) -> socket.socket:
    """The socket. EnvironmentFailure `port-taken`."""
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, proto)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        hint = "end what listens there, or name another one: --port" if taken else "--host and --port say where to listen"
        raise EnvironmentFailure("port-taken", f"cannot listen: {error.strerror or error}", where=where, hint=hint) from error
    sock.setblocking(False)
    return sock


async def _grpc(app: App, settings: Settings) -> Any:
    """What listens for gRPC, where that is asked for."""
    if not settings.grpc_port:
        return None
    from mlops_toolkit.serve.grpc_door import started

    return await started(app, settings)


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """How to speak HTTPS. UsageError `bad-certificate`."""
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
        if settings.client_ca:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        where = f"{settings.tls_cert}, {settings.tls_key}" + (f", {settings.client_ca}" if settings.client_ca else "")
        raise UsageError("bad-certificate", f"cannot be read: {error}", where=where, hint="PEM files: the chain, its key") from error
    return context


async def closed(server: asyncio.AbstractServer, sock: socket.socket) -> None:
    """Take no more connections.

    Between the last look at the socket and its closing a client may be let in by the system alone, which would cut it off then. So the
    system is told to let nobody in any more (they ask again, and find the socket closed); who was let in is answered.
    """
    if _shut(sock):
        await asyncio.sleep(0.1)
    server.close()


async def drained(
    listener: Listener, log: logs.Log, *, busy: Callable[[], bool] = lambda: False, at_once: Callable[[], bool] = lambda: False
) -> None:
    """Answer who is connected, and cut off who has no answer in time. busy: whether others are still answered; at_once: wait for nothing."""
    loop, limit = asyncio.get_running_loop(), listener.settings.drain
    end = loop.time() + limit
    while (listener.connections or busy()) and not at_once() and loop.time() < end:
        for connection in list(listener.connections):
            connection.shut()
        await asyncio.sleep(0.02)
    left = len(listener.connections)
    if left:
        log.say("warning", f"{left} connections are cut off: they had no answer after {limit:g} s")
    for connection in list(listener.connections):
        connection.cut()


def _shut(sock: socket.socket) -> bool:
    """Have the system let nobody in any more who asks for a connection; whether it does."""
    import ctypes

    if not sys.platform.startswith("linux"):
        return False
    program = b"".join(struct.pack("HBBI", *line) for line in NO_SYN)
    kept = ctypes.create_string_buffer(program)
    try:
        sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(NO_SYN), ctypes.addressof(kept)))  # SO_ATTACH_FILTER
    except OSError:  # the sandbox does not let it
        return False
    return True


def _forget_secrets() -> None:
    """Take the token out of the environment, which a model's own code could read."""
    os.environ.pop("MLOPS_SERVE_TOKEN", None)
