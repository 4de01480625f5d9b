"""A request and its answer as the server sees them, whoever brings them, and what all connections share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol

from mlops_toolkit.serve.refusals import Refused

if TYPE_CHECKING:
    from mlops_toolkit.serve.settings import Settings
    from mlops_toolkit.serve.wire import Connection


class Calls(Protocol):
    """What answers the calls of a connection."""

    def admit(self, call: Call) -> int:
        """The largest body that is read for this call, seen by its headers alone. Refused where it is not answered anyway."""
        ...

    def handle(self, call: Call) -> None:
        """Answer it, now or later, by `call.reply`."""
        ...

    def refused(self, call: Call, refusal: Refused) -> None:
        """Answer it with a refusal."""
        ...

    def gone(self, call: Call) -> None:
        """Its connection is lost before it was answered."""
        ...


class Call:
    """One request and its answer.

    target   path and query as they were sent
    headers  by lower-case name; of those that come twice the last
    begun    perf_counter() when its headers were there
    refusal  that waits for its turn behind others of its connection; None where it is to be answered
    drop     has whoever computes its answer leave it; None where nobody does
    """

    __slots__ = (
        "_connection",
        "answered",
        "begun",
        "body",
        "client",
        "drop",
        "headers",
        "held",
        "id",
        "keep",
        "method",
        "refusal",
        "route",
        "target",
        "token",
        "version",
    )

    def __init__(self, connection: Connection, method: bytes, target: bytes, headers: dict[bytes, bytes]) -> None:
        self._connection = connection
        self.method, self.target, self.headers = method, target, headers
        self.body: bytes = b""
        self.client = connection.client
        self.begun = time.perf_counter()
        self.id = ""
        self.keep = True
        self.version = "1.1"
        self.held = 0
        self.answered = False
        self.route: Any = None
        self.refusal: Refused | None = None
        self.drop: Callable[[], None] | None = None
        self.token: Any = None

    @property
    def open(self) -> bool:
        """Whether there is still somebody to answer."""
        return not self.answered and self._connection.transport is not None

    def reply(self, status: int, headers: bytes, body: bytes = b"") -> None:
        """Send the answer; headers as lines, each with its end. A second answer, or one that nobody waits for, goes nowhere."""
        if not self.answered:
            self.answered = True
            self._connection.reply(self, status, headers, body)


class Listener:
    """What all connections share: limits, counts, the date, and whether the server is ending."""

    def __init__(self, calls: Calls, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.calls, self.settings, self.loop = calls, settings, loop
        self.connections: set[Connection] = set()
        self.held = 0  # bytes of bodies of calls that are read or answered
        self.draining = False
        self.common = b""
        self._sweeper: asyncio.TimerHandle | None = None
        self.dated()

    def dated(self) -> None:
        self.common = b"date: " + formatdate(usegmt=True).encode() + b"\r\nx-content-type-options: nosniff\r\n"

    def sweep(self) -> None:
        """Twice a second: the date, and the end of connections that take too long."""
        self.dated()
        now = self.loop.time()
        for connection in list(self.connections):
            connection.sweep(now)
        self._sweeper = self.loop.call_later(0.5, self.sweep)

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()


def lines(headers: Any) -> bytes:
    """Headers as lines."""
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)
