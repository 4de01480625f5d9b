"""HTTP/1.1 on a connection: bytes to calls and answers to bytes, with a limit on everything a client decides.

The parser is httptools (Node's own); what is here is what a general server does not do for one that must not fall over: a time for headers, a
rate for bodies and for readers, a size for both, a refusal before a body is read, and connections that end without losing an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, cast

import httptools

from mlops_toolkit.serve.calls import Call, Listener, lines
from mlops_toolkit.serve.refusals import Refused

HEAD = 65_536  # bytes of request line and headers
LINGER, LINGER_BYTES = 2.0, 1_048_576  # for how long, and how much, a refused body is still read: its sender would not see the refusal else
STATUS = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class Connection(asyncio.Protocol):
    """One client's connection. Its calls are answered in the order in which they came, one at a time."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.transport: asyncio.Transport | None = None
        self.parser: Any = None
        self.client = ""
        self.call: Call | None = None  # being answered
        self.coming: Call | None = None  # headers are there, its body is still coming
        self.waiting: deque[Call] = deque()  # came whole, while another is being answered
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.parts: list[bytes] = []
        self.received = self.most = 0
        self.since = 0.0  # of what it does now: a head, a body, nothing
        self.reading_head, self.head = False, 0
        self.unsent: tuple[float, int] | None = None  # an answer that its reader takes its time with: since when, how much
        self.lingering: float | None = None
        self.paused = False

    # what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if isinstance(peer, tuple) else ""
        self.since = self.listener.loop.time()
        if len(self.listener.connections) >= self.listener.settings.max_connections:
            self._refuse_all(Refused("too-busy", "there are too many connections", retry_after=1))
            return
        self.parser = httptools.HttpRequestParser(self)
        self.listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.connections.discard(self)
        self.transport = self.parser = None
        for call in (self.call, self.coming, *self.waiting):
            if call is not None:
                self._lose(call)
        self.call = self.coming = None
        self.waiting.clear()
        self.parts = []

    def data_received(self, data: bytes) -> None:
        if self.lingering is not None or self.parser is None:
            self.received += len(data)
            if self.received > LINGER_BYTES:
                self._abort()
            return
        if not self.reading_head and self.coming is None:
            self.since, self.reading_head, self.head = self.listener.loop.time(), True, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._failed(error.__context__ or error)
        except httptools.HttpParserError as error:
            self._refuse_all(Refused("bad-request", f"this is no HTTP request: {error}"))
        else:
            if self.reading_head and self.coming is None:
                self.head += len(data)
                if self.head > HEAD:
                    self._refuse_all(Refused("headers-too-large", f"the headers are larger than {HEAD} bytes"))

    def eof_received(self) -> bool:
        # A client that ended its side may still wait for its answer (like `nc`, and shutdown(SHUT_WR)).
        if self.transport is not None and self.transport.get_extra_info("sslcontext") is None and (self.call is not None or self.waiting):
            self._last()
            return True
        return False

    def pause_writing(self) -> None:
        self.paused = True
        self._pause()

    def resume_writing(self) -> None:
        self.paused = False
        self._next()

    # what the parser says

    def on_message_begin(self) -> None:
        self.target, self.headers = b"", {}
        self.reading_head = True

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self.lingering is not None or self.parser.should_upgrade():
            return
        parser = self.parser
        self.reading_head, self.head = False, 0
        self.coming = call = Call(self, parser.get_method(), self.target, self.headers)
        call.keep = parser.should_keep_alive()
        call.version = parser.get_http_version()
        self.parts, self.received, self.since = [], 0, self.listener.loop.time()
        try:
            self.most = self.listener.calls.admit(call)
            said = int(self.headers.get(b"content-length", b"0"))
            if said > self.most:
                raise too_large(self.most)
            if b"expect" in self.headers and self.headers[b"expect"].lower() == b"100-continue" and self.transport is not None:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except Refused as refusal:
            self._early(call, refusal)

    def on_body(self, body: bytes) -> None:
        call = self.coming
        self.received += len(body)
        if call is None or call.answered:
            return
        try:
            self._hold(call, len(body))
        except Refused as refusal:
            self._early(call, refusal)
        else:
            self.parts.append(body)

    def on_message_complete(self) -> None:
        call, self.coming = self.coming, None
        if call is None and self.parser.should_upgrade():
            return
        self.reading_head = False
        self.since = self.listener.loop.time()
        if call is None or call.answered:
            return
        parts = self.parts
        call.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.parts = []
        if self.call is None and not self.paused:
            self.call = call
            self.listener.calls.handle(call)
        else:
            self.waiting.append(call)
            self._pause()

    def _decline(self, rest: bytes) -> None:
        """An offer to speak another protocol (Java's clients offer HTTP/2 each time) is declined by being answered as if it had not been made:
        the parser, which has stopped at it, is given the request again without it."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse_all(Refused("method-not-allowed", "this is no proxy"))
            return
        kept = {name: value for name, value in self.headers.items() if name not in (b"upgrade", b"connection", b"http2-settings")}
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self.target, lines(kept.items()))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    # answers

    def reply(self, call: Call, status: int, headers: bytes, body: bytes) -> None:
        """Write an answer and go on with the next call, or end the connection where that was agreed."""
        listener = self.listener
        self._release(call)
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        keep = call.keep and not listener.draining and self.lingering is None
        if not keep:
            headers += b"connection: close\r\n"
        elif call.version == "1.0":
            headers += b"connection: keep-alive\r\n"
        head = b"%b%b%bcontent-length: %d\r\n\r\n" % (STATUS[status], listener.common, headers, len(body))
        if call.method == b"HEAD" or not body:
            transport.write(head)
        elif len(body) < 65_536:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        left = transport.get_write_buffer_size()
        self.unsent = (listener.loop.time(), left) if left else None
        if self.lingering is not None:
            return
        if not keep:
            self._end()
            return
        if call is self.call:
            self.call = None
            if self.waiting:
                listener.loop.call_soon(self._next)

    def _next(self) -> None:
        if self.transport is None or self.paused or self.call is not None:
            return
        if self.waiting:
            self.call = call = self.waiting.popleft()
            if call.refusal is None:
                self.listener.calls.handle(call)
            else:
                self.listener.calls.refused(call, call.refusal)
        if not self.waiting and self.lingering is None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def _early(self, call: Call, refusal: Refused) -> None:
        """Refuse a call whose body is not here: what still comes of it is read for a moment and thrown away."""
        self.parts = []
        if self.call is not None or self.waiting:  # behind others on the same connection: those are answered first
            call.keep = False
            self.coming = None
            call.refusal = refusal
            self.waiting.append(call)
            self.parser = None
            return
        little = self.headers.get(b"content-length", b"0")
        if b"transfer-encoding" in self.headers or int(little) > HEAD or b"expect" in self.headers:
            call.keep = False
            self._linger()
        self.call = call
        self.listener.calls.refused(call, refusal)
        self.call = None

    def _refuse_all(self, refusal: Refused) -> None:
        """Answer what is no call, and end."""
        if self.transport is None:
            return
        self.parser = None
        body = refusal.body()
        end = b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        head = b"%b%b%b%b" % (STATUS[refusal.status], self.listener.common, lines(refusal.headers), end)
        if self.call is None:
            self.transport.write(head + body)
            self._linger()
        else:  # an answer is still to come, and the client would take this one for it
            self._last()

    def _last(self) -> None:
        """No call comes after those that are here: the connection ends with the last one's answer."""
        last = self.waiting[-1] if self.waiting else self.call
        if last is not None:
            last.keep = False

    def _linger(self) -> None:
        """Say that nothing more comes from here, and read on for a moment: closed with unread bytes, the system would reset the connection,
        and the client lose the answer that is on its way."""
        self.received = 0
        self.lingering = self.listener.loop.time() + LINGER
        self.listener.connections.add(self)
        self.listener.loop.call_soon(self._half)

    def _half(self) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        elif self.lingering is not None:
            transport.close()

    def _end(self) -> None:
        """After the last answer: close at once where the client sent nothing more, else linger."""
        if self.transport is None:
            return
        if self.waiting or self.coming is not None or self.parser is None:
            for call in self.waiting:  # its client asks again, as of every call that a closed connection left unanswered
                self._lose(call)
            self.waiting.clear()
            self._linger()
        else:
            self.transport.close()

    def shut(self) -> None:
        """The server ends: an idle connection is closed, another after the answer that is on its way."""
        if self.transport is not None and self.call is None and self.coming is None and not self.waiting and not self.reading_head:
            self.transport.close()

    def cut(self) -> None:
        """End it, whatever is on its way."""
        self._abort()

    # limits

    def _hold(self, call: Call, more: int) -> None:
        """Count a body's bytes as they come (not as they are promised: who promises much and sends nothing would keep out everybody else).
        Refused `too-large`, `too-busy`."""
        if self.received > self.most:
            raise too_large(self.most)
        if self.listener.held + more > self.listener.settings.max_bodies:
            raise Refused("too-busy", "the requests at hand hold as much memory as they may", retry_after=1)
        call.held += more
        self.listener.held += more

    def _lose(self, call: Call) -> None:
        """It is not answered any more: what it held is free, and whoever answers it is told."""
        self._release(call)
        if not call.answered:
            self.listener.calls.gone(call)

    def _release(self, call: Call) -> None:
        self.listener.held -= call.held
        call.held = 0

    def sweep(self, now: float) -> None:
        """End what takes too long: a head, a body, a reader, an idle connection."""
        settings, transport = self.listener.settings, self.transport
        if transport is None:
            return
        if self.lingering is not None:
            if now > self.lingering:
                self._abort()
            return
        left = transport.get_write_buffer_size()
        if left and self.unsent is not None:
            since, size = self.unsent
            if now - since > settings.header_timeout + (size - left) / settings.min_rate:
                self._abort()
            return
        if self.coming is not None and not self.coming.answered:
            if now - self.since > settings.header_timeout + self.received / settings.min_rate:
                call = self.coming
                call.keep = False
                self._early(
                    call, Refused("too-slow-request", f"the body came too slowly: {self.received:,} bytes in {now - self.since:.0f} s")
                )
        elif self.call is not None or self.waiting:
            return
        elif self.reading_head and now - self.since > settings.header_timeout:
            self._refuse_all(Refused("too-slow-request", f"the headers did not come within {settings.header_timeout:g} s"))
        elif now - self.since > settings.keep_alive:
            transport.close()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _failed(self, error: BaseException) -> None:
        """A defect in what the parser called: this connection ends, no other."""
        self.listener.loop.call_exception_handler({"message": "a call could not be taken", "exception": error})
        self._abort()


def too_large(most: int) -> Refused:
    """That a body is larger than it may be."""
    return Refused("too-large", f"the request is larger than {most:,} bytes", hint="send fewer rows, or have --max-body raised")
