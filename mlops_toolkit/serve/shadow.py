"""`python -m mlops_toolkit.serve.shadow --live URL --beside URL`: clients are answered by one release, and another is asked the same beside.

In front of the live release: every request is handed on as it came, and its answer given back byte for byte. Of the requests for answers of a
model, once the client has its own, a copy is asked of the other release and the two answers are compared; nobody gets the other one. What the
other release does (fail, hang, be slow, answer nonsense) changes nothing for clients: copies wait in a short queue and are dropped where it is
full, or where comparing would take more than a given part of a processor. `GET /metrics` tells what came of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import ssl
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter, thread_time

from mlops_toolkit._version import __version__
from mlops_toolkit.errors import MlopsError, UsageError
from mlops_toolkit.serve import alike, logs
from mlops_toolkit.serve import settings as settings_
from mlops_toolkit.serve.app import route_of
from mlops_toolkit.serve.calls import Call
from mlops_toolkit.serve.doors import Doors
from mlops_toolkit.serve.relay import Doorway, Front, Lost, Pool, Relay, Told, request
from mlops_toolkit.serve.run import BACKLOG, bound, closed, drained, looped, tls_of
from mlops_toolkit.serve.settings import Settings
from mlops_toolkit.serve.watched_counts import SECONDS, Collected, Counter, Gauge, Histogram

WAITING, ASKING, HELD = 256, 8, 2**26  # copies that wait, that are asked at once, and bytes of both
BURST = 0.25  # seconds of a processor that comparing may take at once, where it took none for a while
OURS = (429, 502, 503, 504)  # of the live release: it had no time, which says nothing about answers
VERSION = re.compile(rb"(/v2/models/[^/?]+)/versions/[^/?]+")


class Counts:
    """What came of the copies."""

    def __init__(self) -> None:
        self.compared = Counter("mlops_shadow_compared", "Requests that both releases answered, and whose answers were compared.", ())
        self.agreed = Counter("mlops_shadow_agreed", "Of those, the ones with the same answer (numbers within the tolerance).", ())
        self.differing = Counter("mlops_shadow_differing", "Of those, the others, by the worst difference.", ("kind",))
        self.failed = Counter("mlops_shadow_failed", "Copies that the other release failed at, by how.", ("reason",))
        self.dropped = Counter("mlops_shadow_dropped", "Copies that were not asked or not compared, by why.", ("reason",))
        self.rows = Counter("mlops_shadow_rows", "Rows that were compared.", ())
        self.others = Counter("mlops_shadow_rows_other_label", "Of those, the ones with another label.", ())
        self.largest = Gauge("mlops_shadow_largest_difference", "The largest difference of two numbers so far.", ())
        self.seconds = Histogram("mlops_shadow_seconds", "From a copied request to its answer.", ("release",), SECONDS)
        for one in (self.compared, self.agreed, self.rows, self.others):
            one.add((), 0.0)
        for kind in alike.KINDS:
            self.differing.add((kind,), 0.0)
        self.largest.put((), 0.0)

    def difference(self, found: alike.Difference) -> None:
        """Two answers were compared."""
        self.compared.add(())
        if found.kind is None:
            self.agreed.add(())
        else:
            self.differing.add((found.kind,))
        self.rows.add((), found.rows)
        self.others.add((), found.others)
        self.largest.put((), max(self.largest.values[()], found.apart))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """As Prometheus asks for it."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        registry = CollectorRegistry()
        registry.register(Collected(lambda: [one.family() for one in vars(self).values()]))
        encoder, kind = choose_encoder(accept)
        return encoder(registry), kind


class Budget:
    """A part of a processor's time: what is not used is kept for a moment, what was used too much is waited for."""

    def __init__(self, share: float) -> None:
        self.share, self.left, self.at = share, BURST * share, perf_counter()

    def there(self) -> bool:
        """Whether some is left."""
        now = perf_counter()
        self.left, self.at = min(BURST * self.share, self.left + self.share * (now - self.at)), now
        return self.left > 0

    def spend(self, seconds: float) -> None:
        self.left -= seconds


@dataclass(frozen=True, slots=True)
class Copy:
    """A request that the live release answered, to be asked of the other one. protocol: whether by the Open Inference Protocol."""

    raw: list[bytes]
    live: Told
    protocol: bool

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return sum(map(len, self.raw)) + len(self.live.body)


class Shadow:
    """Asks the other release, and compares. All of it happens on the loop's thread but for the comparing."""

    def __init__(self, pool: Pool, settings: Settings, *, share: float, load: float) -> None:
        self.pool, self.limit, self.share = pool, settings.time_limit, share
        self.counts, self.budget = Counts(), Budget(load)
        self._waiting: deque[Copy] = deque()
        self._asking = self._held = 0
        self._part = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="comparing")

    def after(self, call: Call, live: Told) -> None:
        """See relay.Relay: a client was answered."""
        if call.method != b"POST" or live.status in OURS:
            return
        kind = route_of(call.target)[0].kind
        if kind not in ("infer", "predict"):
            return
        self._part += self.share
        if self._part < 1.0 - 1e-9:  # ten tenths are one
            return
        self._part -= 1.0
        # The other release has another version of the model: its newest is asked, whatever version the client named.
        copy = Copy(request(call, VERSION.sub(rb"\1", call.target, count=1)), live, kind == "infer")
        reason = "load" if not self.budget.there() else "queue" if len(self._waiting) >= WAITING or self._held + copy.size > HELD else None
        if reason is not None:
            self.counts.dropped.add((reason,))
            return
        self._held += copy.size
        self._waiting.append(copy)
        self._next()

    def _next(self) -> None:
        while self._waiting and self._asking < ASKING:
            copy = self._waiting.popleft()
            self._asking += 1
            begun = thread_time()
            self.pool.ask(copy.raw, b"POST", self.limit, lambda found, copy=copy: self._told(copy, found))  # type: ignore[misc]
            self.budget.spend(thread_time() - begun)

    def _told(self, copy: Copy, found: Told | Lost) -> None:
        counts, live = self.counts, copy.live
        if isinstance(found, Lost):
            counts.failed.add(("no-answer",))
        else:
            counts.seconds.add(("live",), live.seconds)
            counts.seconds.add(("beside",), found.seconds)
            if found.status >= 500 or found.status == 429:
                counts.failed.add((f"status-{found.status}" if 429 <= found.status <= 599 else "status-other",))
            elif found.status != live.status:
                counts.difference(alike.Difference("status"))
            elif live.status != 200:  # both refuse it alike
                counts.difference(alike.Difference(None))
            else:
                job = asyncio.get_running_loop().run_in_executor(self._thread, _compare, copy, found)
                job.add_done_callback(lambda done: self._compared(copy, done.result()))
                return
        self._free(copy)

    def _compared(self, copy: Copy, outcome: tuple[alike.Difference | None, float]) -> None:
        found, seconds = outcome
        self.budget.spend(seconds)
        if found is None:
            self.counts.dropped.add(("large",))
        else:
            self.counts.difference(found)
        self._free(copy)

    def _free(self, copy: Copy) -> None:
        self._asking -= 1
        self._held -= copy.size
        self._next()

    def close(self) -> None:
        """What still waits is not compared."""
        self._waiting.clear()
        self.pool.close()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _compare(copy: Copy, beside: Told) -> tuple[alike.Difference | None, float]:
    """In the comparing thread: the difference, and the seconds of a processor that it took."""
    begun = thread_time()
    lengths = (copy.live.header(b"inference-header-content-length"), beside.header(b"inference-header-content-length"))
    try:
        found = alike.compared(copy.live.body, beside.body, lengths, protocol=copy.protocol)
    except Exception:  # noqa: BLE001 -- whatever a server sends, the relay goes on
        found = alike.Difference("unreadable")
    return found, thread_time() - begun


class Process:
    """The relay's life: listen, hand on, and end without losing a request."""

    def __init__(self, live: Pool, shadow: Shadow, settings: Settings, log: logs.Log) -> None:
        self.shadow, self.settings, self.log = shadow, settings, log
        self.live = live
        self.doors = Doors(settings)
        self.relay = Relay(live, settings, shadow.after)
        self.relay.own[b"/metrics"] = self.metrics
        self._ending = asyncio.Event()

    def metrics(self, call: Call) -> None:
        """GET /metrics of the relay; the releases' own are asked at the releases."""
        self.doors.check(call.headers.get(b"authorization"), "metrics")
        body, kind = self.shadow.counts.exposition(call.headers.get(b"accept", b"").decode("latin-1"))
        call.reply(200, b"content-type: %b\r\n" % kind.encode(), body)

    async def serve(self) -> int:
        """All of it, until SIGTERM or SIGINT; 0."""
        loop, settings = asyncio.get_running_loop(), self.settings
        listener = Doorway(self.relay, settings, loop)
        context = tls_of(settings)
        sock = bound(settings)
        server = await loop.create_server(lambda: Front(listener), sock=sock, ssl=context, backlog=BACKLOG)
        listener.sweep()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        host, port = sock.getsockname()[:2]
        said = f"listening on {'https' if context else 'http'}://{host}:{port}, for {self.live.url}, compared with {self.shadow.pool.url}"
        self.log.say("info", said)
        await self._ending.wait()
        listener.draining = True
        await asyncio.sleep(settings.grace)
        await closed(server, sock)
        await drained(listener, self.log)
        listener.close()
        self.shadow.close()
        self.live.close()
        self.log.say("info", "ended")
        return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Relay until told to end; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mlops_toolkit.serve.shadow",
        description="Hand requests on to one release, and compare its answers with those of another that nobody sees.",
        epilog="The server's variables (MLOPS_SERVE_PORT, _GRACE, _TLS_CERT, …) say how it listens.",
    )
    parser.add_argument("--live", required=True, metavar="URL", help="what answers: http://HOST:PORT")
    parser.add_argument("--beside", required=True, metavar="URL", help="what is compared with it")
    parser.add_argument("--port", type=int, help="where to listen (default: MLOPS_SERVE_PORT, else 8080)")
    parser.add_argument(
        "--share", type=_part, default=1.0, metavar="PART", help="of the requests, how many are copied, 0 to 1 (default: 1)"
    )
    help_ = "of a processor's time, what copying and comparing may take (default: 0.2)"
    parser.add_argument("--most-load", type=_part, default=0.2, metavar="PART", help=help_)
    parser.add_argument("--ca", metavar="FILE", help="the authority of both releases' certificates (default: the system's)")
    args = parser.parse_args(argv)
    try:
        made = settings_.read(argparse.Namespace(), os.environ)
        made = made if args.port is None else replace(made, port=args.port)
        return _run(args, made)
    except MlopsError as error:
        print(f"shadow: {error}", file=sys.stderr)
        return error.code


def _run(args: argparse.Namespace, made: Settings) -> int:
    try:
        tls = ssl.create_default_context(cafile=args.ca) if args.ca else None
    except (OSError, ssl.SSLError) as error:
        raise UsageError("bad-certificate", f"cannot be read: {error}", where=args.ca, hint="a PEM file") from error
    about = {"service.name": "mlops-shadow", "service.version": __version__}
    log = logs.Log(1, about=about, form=made.log)

    async def life() -> int:
        shadow = Shadow(Pool(args.beside, tls), made, share=args.share, load=args.most_load)
        return await Process(Pool(args.live, tls), shadow, made, log).serve()

    try:
        with logs.everything(log, made.log_level):
            return looped(life())
    finally:
        log.close()


def _part(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError("a number above 0, and not above 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
