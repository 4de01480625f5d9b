"""Clients for the benchmarks of the server, in a process of their own that does no more than it must.

    python benchmarks/serve_client.py closed PORT FILE --connections N --seconds S
    python benchmarks/serve_client.py open PORT FILE --rate R --most N --seconds S

FILE holds a request's bytes. closed: each connection asks again when it has its answer. open: so many requests a second arrive, whether answers
come or not; each takes a connection that waits for nothing, or a new one (at most N); its time counts from when it should have been sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TICK = 0.001


class Connection(asyncio.Protocol):
    """One that sends a request and tells what came back: its status (0: the connection ended instead) and body."""

    def __init__(self, told: Callable[[Connection, int, bytes], None], first: bytes = b"", begun: float = 0.0) -> None:
        self.told, self.first = told, first  # asked as soon as it is there; a server that has too many may answer before
        self.open, self.asked, self.begun = False, bool(first), begun
        self.last = False  # whether the server ends it after this answer
        self.status, self.missing = 0, -1  # bytes of the body that are still to come; -1 before its head is here
        self.parts: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport, self.open = transport, True
        if self.first:
            transport.write(self.first)

    def ask(self, raw: bytes, begun: float) -> None:
        self.begun, self.asked = begun, True
        self.parts, self.missing = [], -1
        self.transport.write(raw)

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            data = b"".join([*self.parts, data])
            head, found, rest = data.partition(b"\r\n\r\n")
            self.parts = [rest if found else data]
            if not found:
                return
            self.status, self.last = int(head[9:12]), b"\r\nconnection: close" in head.lower()
            self.missing = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]) - len(rest)
        else:
            self.parts.append(data)
            self.missing -= len(data)
        if self.missing <= 0 and self.asked:
            self.asked = False
            self.open = self.open and not self.last
            self.told(self, self.status, b"".join(self.parts))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self.asked:
            self.asked = False
            self.told(self, 0, b"")


class Counts:
    """What became of requests: seconds by kind of answer, statuses, and which bodies there were beside the first that answered."""

    def __init__(self) -> None:
        self.seconds: dict[bool, list[float]] = {True: [], False: []}
        self.statuses: Counter[int] = Counter()
        self.first: bytes | None = None
        self.others = 0

    def add(self, status: int, body: bytes, seconds: float) -> None:
        self.statuses[status] += 1
        self.seconds[status == 200].append(seconds)
        if status == 200:
            if self.first is None:
                self.first = body
            self.others += body != self.first

    def told(self, spent: float) -> dict[str, Any]:
        """As JSON has it; seconds."""
        good, refused = self.seconds[True], self.seconds[False]
        p50, p99 = np.percentile(good, [50, 99]) if good else (0.0, 0.0)
        r50, r99 = np.percentile(refused, [50, 99]) if refused else (0.0, 0.0)
        return {
            "n": len(good),
            "rps": len(good) / spent,
            "p50": float(p50),
            "p99": float(p99),
            "refused": len(refused),
            "refused-p50": float(r50),
            "refused-p99": float(r99),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "other-answers": self.others,
        }


async def closed(port: int, raw: bytes, connections: int, seconds: float) -> dict[str, Any]:
    """Ask for so long on so many connections."""
    counts, loop = Counts(), asyncio.get_running_loop()
    begun = time.perf_counter()
    end, busy = begun + seconds, connections
    done = loop.create_future()

    def told(connection: Connection, status: int, body: bytes) -> None:
        nonlocal busy
        now = time.perf_counter()
        counts.add(status, body, now - connection.begun)
        if now < end and connection.open:
            connection.ask(raw, now)
            return
        busy -= 1
        connection.transport.close()
        if not busy and not done.done():
            done.set_result(None)

    made = [(await loop.create_connection(lambda: Connection(told), "127.0.0.1", port))[1] for _ in range(connections)]
    begun = time.perf_counter()
    end = begun + seconds
    for one in made:
        one.ask(raw, begun)
    await asyncio.wait_for(done, seconds + 60)
    return counts.told(time.perf_counter() - begun)


class Arrivals:
    """Requests that arrive at a steady rate, and the connections that carry them."""

    def __init__(self, port: int, raw: bytes, rate: float, most: int) -> None:
        self.port, self.raw, self.rate, self.most = port, raw, rate, most
        self.counts = Counts()
        self.idle: list[Connection] = []
        self.made, self.out, self.unsent = 0, 0, 0
        self.opening: set[asyncio.Task[None]] = set()

    def told(self, connection: Connection, status: int, body: bytes) -> None:
        self.out -= 1
        self.counts.add(status, body, time.perf_counter() - connection.begun)
        self._free(connection)

    def _free(self, connection: Connection) -> None:
        """It waits for the next request, unless it is ended (or ends later, while it waits)."""
        if connection.open and not connection.transport.is_closing():
            self.idle.append(connection)
        else:
            self.made -= 1
            connection.transport.close()

    def arrive(self, at: float) -> None:
        self.out += 1
        while self.idle:
            connection = self.idle.pop()
            if connection.open and not connection.transport.is_closing():
                connection.ask(self.raw, at)
                return
            self.made -= 1
        if self.made < self.most:
            self.made += 1
            task = asyncio.get_running_loop().create_task(self._new(at))
            self.opening.add(task)
            task.add_done_callback(self.opening.discard)
        else:
            self.out -= 1
            self.unsent += 1

    async def _new(self, at: float) -> None:
        try:
            new = lambda: Connection(self.told, self.raw, at)
            await asyncio.get_running_loop().create_connection(new, "127.0.0.1", self.port)
        except OSError:
            self.made, self.out = self.made - 1, self.out - 1
            self.counts.add(0, b"", time.perf_counter() - at)

    async def run(self, seconds: float) -> dict[str, Any]:
        begun, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) < begun + seconds:
            due = int((now - begun) * self.rate)
            for place in range(sent, due):
                self.arrive(begun + place / self.rate)
            sent = due
            await asyncio.sleep(TICK)
        spent = time.perf_counter() - begun
        until = time.perf_counter() + 30
        while self.out and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        for connection in self.idle:
            connection.transport.close()
        return {**self.counts.told(spent), "arrived": sent, "unsent": self.unsent, "unanswered": self.out, "connections": self.made}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=("closed", "open"))
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--most", type=int, default=64)
    args = parser.parse_args()
    import uvloop

    raw = args.file.read_bytes()
    if args.how == "closed":
        asked = closed(args.port, raw, args.connections, args.seconds)
    else:

        async def arriving() -> dict[str, Any]:
            return await Arrivals(args.port, raw, args.rate, args.most).run(args.seconds)

        asked = arriving()
    print(json.dumps(uvloop.run(asked)))


if __name__ == "__main__":
    main()
