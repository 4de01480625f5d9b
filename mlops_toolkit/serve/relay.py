"""Requests handed on to another server and its answers handed back, byte for byte: what stands in front of a release while it is compared.

Built on `wire`, so that clients meet the same limits as at the server itself. Connections to the other server are kept and used again. A
request on a kept one that the server closed at that moment is asked once more on a new one: to ask a model twice changes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from mlops_toolkit.errors import UsageError
from mlops_toolkit.serve.calls import Call, Listener, lines
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.settings import Settings
from mlops_toolkit.serve.wire import STATUS, Connection

Pair = tuple[bytes, bytes]
HOP = frozenset(  # of one connection, and not of the request or the answer on it
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect", b"content-length")
)
CONNECT = 5.0  # seconds to be let in
KEPT = 256  # connections that wait for the next request
LARGEST_HEAD = 2**26  # bytes that an answer to HEAD may be said to have


@dataclass(frozen=True, slots=True)
class Told:
    """What a server answered, and the seconds from the request to its last byte."""

    status: int
    headers: Sequence[Pair]
    body: bytes
    seconds: float

    def header(self, name: bytes) -> str | None:
        """A header's text, by its lower-case name."""
        return next((value.decode("latin-1") for known, value in self.headers if known.lower() == name), None)


class Lost(Exception):
    """No answer came. fresh: the connection was new, or part of an answer was there: asking again is no use."""

    def __init__(self, why: str, *, fresh: bool = True) -> None:
        super().__init__(why)
        self.fresh = fresh


class Asked(asyncio.Protocol):
    """One connection to a server: one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.transport: asyncio.Transport | None = None
        self.done: Callable[[Told | Lost], None] | None = None
        self.used = 0
        self._clear()

    def _clear(self) -> None:
        self.status, self.headers, self.parts, self.came = 0, cast("list[Pair]", []), cast("list[bytes]", []), False

    def ask(self, raw: Sequence[bytes], method: bytes, done: Callable[[Told | Lost], None]) -> None:
        """Send a request; `done` is called once."""
        self.done, self.bodiless, self.begun = done, method == b"HEAD", perf_counter()
        self.used += 1
        self._clear()
        self.parser = httptools.HttpResponseParser(self)
        if self.transport is None or self.transport.is_closing():
            self._over(Lost("the connection was closed", fresh=False))
        else:
            self.transport.writelines(raw)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.pool.left(self)
        self._over(Lost(f"the connection ended: {exc or 'closed'}", fresh=self.used < 2 or self.came))

    def data_received(self, data: bytes) -> None:
        if self.done is None:
            self.close()
            return
        self.came = True
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._over(Lost(f"this is no HTTP answer: {error}"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        if self.bodiless and self.status >= 200:  # the parser waits for a body that does not come
            self._answered(keep=False)

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue: the answer is still to come
            self._clear()
        elif self.done is not None:
            self._answered(keep=self.parser.should_keep_alive())

    def _answered(self, *, keep: bool) -> None:
        told = Told(self.status, self.headers, b"".join(self.parts), perf_counter() - self.begun)
        self.parts = []
        done, self.done = self.done, None
        if keep:
            self.pool.back(self)
        else:
            self.close()
        if done is not None:
            done(told)

    def _over(self, lost: Lost) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(lost)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Pool:
    """Connections to one server. url: `http://HOST:PORT` or https. UsageError `bad-url`."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:  # above 65535, or none
            port = -1
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == -1
            or parts.path.strip("/")
            or parts.query
            or parts.username
        ):
            raise UsageError("bad-url", "this is no server's address", hint="http://HOST:PORT")  # not repeated: it may hold a password
        self.host = parts.hostname
        self.port = port or (443 if parts.scheme == "https" else 80)
        self.url = f"{parts.scheme}://{parts.hostname}:{self.port}"
        self.tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._idle: list[Asked] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, raw: Sequence[bytes], method: bytes, limit: float, done: Callable[[Told | Lost], None]) -> Callable[[], None]:
        """Send a request's bytes; what comes of it is told to `done`, once. What is returned gives it up, without a word to `done`."""
        asking = _Asking(self, raw, method, done, asyncio.get_running_loop())
        asking.timer = asking.loop.call_later(limit, asking.late, limit)
        asking.begin()
        return asking.drop

    def taken(self) -> Asked | None:
        """A connection that waits."""
        while self._idle:
            one = self._idle.pop()
            if one.transport is not None and not one.transport.is_closing():
                return one
        return None

    def back(self, one: Asked) -> None:
        """It may be used again."""
        if len(self._idle) < KEPT:
            self._idle.append(one)
        else:
            one.close()

    def left(self, one: Asked) -> None:
        """It is no more."""
        if one in self._idle:
            self._idle.remove(one)

    def connect(self, then: Callable[[Asked | Lost], None]) -> None:
        """A new connection."""
        task = asyncio.get_running_loop().create_task(self._connected(then))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, then: Callable[[Asked | Lost], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            making = loop.create_connection(lambda: Asked(self), self.host, self.port, ssl=self.tls)
            _, made = await asyncio.wait_for(making, CONNECT)
        except (OSError, asyncio.TimeoutError) as error:
            then(Lost(f"no connection to {self.host}:{self.port}: {error or 'it took too long'}"))
        else:
            then(made)

    def close(self) -> None:
        """End what waits."""
        for one in list(self._idle):
            one.close()


class _Asking:
    """One request on its way: on a kept connection, else on a new one; given up when its time is over or nobody waits."""

    __slots__ = ("connection", "done", "loop", "method", "over", "pool", "raw", "timer")

    def __init__(self, pool: Pool, raw: Sequence[bytes], method: bytes, done: Callable[[Told | Lost], None], loop: Any) -> None:
        self.pool, self.raw, self.method, self.done, self.loop = pool, raw, method, done, loop
        self.over = False
        self.connection: Asked | None = None
        self.timer: Any = None

    def begin(self) -> None:
        kept = self.pool.taken()
        if kept is not None:
            self.connected(kept)
        else:
            self.pool.connect(self.connected)

    def connected(self, found: Asked | Lost) -> None:
        if isinstance(found, Lost):
            self.told(found)
        elif self.over:
            self.pool.back(found)
        else:
            self.connection = found
            found.ask(self.raw, self.method, self.told)

    def told(self, found: Told | Lost) -> None:
        if self.over:
            return
        self.connection = None
        if isinstance(found, Lost) and not found.fresh:
            self.pool.connect(self.connected)
            return
        self._end()
        self.done(found)

    def late(self, limit: float) -> None:
        if not self.over:
            done = self.done
            self.drop()
            done(Lost(f"there was no answer within {limit:g} s"))

    def drop(self) -> None:
        """The server sees the connection closed, and need not go on."""
        connection, self.connection = self.connection, None
        self._end()
        if connection is not None:
            connection.done = None
            connection.close()

    def _end(self) -> None:
        self.over = True
        self.timer.cancel()


class Headers(dict[bytes, bytes]):
    """A request's headers, with all of them as they came beside: those that come twice, too, and letters as they were."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Pair] = []


class Front(Connection):
    """A client's connection whose requests are handed on as they came."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.headers = Headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if isinstance(self.headers, Headers):
            self.headers.all.append((name, value))


class Doorway(Listener):
    """A listener whose answers have the other server's headers and none of its own."""

    def dated(self) -> None:
        self.common = b""


class Relay:
    """See calls.Calls. after: told every request that was answered, with its answer, once the client has it."""

    def __init__(self, pool: Pool, settings: Settings, after: Callable[[Call, Told], None]) -> None:
        self.pool, self.settings, self.after = pool, settings, after
        self.limit = settings.time_limit + 5.0  # the server's own limit speaks first
        self.own: dict[bytes, Callable[[Call], None]] = {}  # paths that are answered here

    def admit(self, call: Call) -> int:
        """See calls.Calls."""
        return self.settings.max_body

    def handle(self, call: Call) -> None:
        """Hand it on."""
        own = self.own.get(call.target.partition(b"?")[0])
        if own is not None:
            try:
                own(call)
            except Refused as refusal:
                self.refused(call, refusal)
            return
        call.drop = self.pool.ask(request(call), call.method, self.limit, lambda found: self._told(call, found))

    def _told(self, call: Call, found: Told | Lost) -> None:
        call.drop = None
        if isinstance(found, Lost):
            self.refused(call, Refused("not-ready", f"the server behind this relay does not answer: {found}", status=502, retry_after=1))
            return
        status = found.status if found.status in STATUS else 502
        head = lines(pair for pair in found.headers if pair[0].lower() not in HOP)
        body = found.body
        if call.method == b"HEAD":  # of which only the length is sent
            length = found.header(b"content-length") or ""
            body = bytes(min(int(length), LARGEST_HEAD)) if length.isdigit() else b""
        call.reply(status, head, body)
        self.after(call, found)

    def refused(self, call: Call, refusal: Refused) -> None:
        """Answer with a refusal of our own."""
        call.reply(refusal.status, lines(refusal.headers), refusal.body())

    def gone(self, call: Call) -> None:
        """Nobody waits for it any more: the server is told by the end of its connection."""
        call.answered = True
        if call.drop is not None:
            call.drop()


def request(call: Call, target: bytes | None = None) -> list[bytes]:
    """A request's bytes, as it came but for what is of one connection alone. target: another path instead of its own."""
    given = call.headers.all if isinstance(call.headers, Headers) else list(call.headers.items())
    kept = lines(pair for pair in given if pair[0].lower() not in HOP)
    length = b"content-length: %d\r\n" % len(call.body) if call.body or call.method not in (b"GET", b"HEAD") else b""
    head = b"%b %b HTTP/1.1\r\n%b%b\r\n" % (call.method, call.target if target is None else target, kept, length)
    return [head, call.body] if call.body else [head]
