"""Clients in a process of their own that ask a model over and over, and count strictly: whatever is not a whole 200 with a known answer failed.

`python -m tests.world.load --port 8080 --path /v2/models/m/infer --body FILE`: until its standard input ends; then one JSON document.
Kept-alive connections and fresh ones ask side by side. A reset of a kept-alive connection counts as a failure, though clients may repeat it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.check import ROOT


@dataclass
class Loaded:
    """What became of every request; of a `loading` block it is filled in at its end.

    failed    what did not end as a whole 200: when (seconds from the beginning), on which kind of connection, how
    answers   digest of the answer -> requests; texts: its beginning
    """

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


def part(body: bytes, key: str) -> bytes:
    """What is told apart: a part of an answer (its outputs), so that names of versions do not matter; "": all of it."""
    if not key:
        return body
    try:
        return json.dumps(json.loads(body)[key], sort_keys=True).encode()
    except (ValueError, KeyError, TypeError):
        return body


class Client:
    """One that asks, with one connection for all requests, or one for each."""

    def __init__(self, args: argparse.Namespace, raw: bytes, counts: Loaded, *, fresh: bool, begun: float) -> None:
        self.args, self.raw, self.counts, self.fresh, self.begun = args, raw, counts, fresh, begun
        self.line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            begun = time.monotonic()
            self.counts.requests += 1
            try:
                status, body = await asyncio.wait_for(self._ask(), self.args.timeout)
                self._count(status, body, begun)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
                self._fail(begun, f"{type(error).__name__}: {error}"[:200])
                self._drop()
            left = self.args.pause - (time.monotonic() - begun)
            if left > 0:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(over.wait(), left)
        self._drop()

    async def _ask(self) -> tuple[int, bytes]:
        if self.line is None:
            self.line = await asyncio.open_connection(self.args.host, self.args.port)
        reader, writer = self.line
        writer.write(self.raw)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
        body = await self._body(reader, headers)
        if self.fresh or headers.get("connection", "").lower() == "close":
            self._drop()
        return int(first.split()[1]), body

    async def _body(self, reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await reader.read()
        found = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            found += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
        return found

    def _count(self, status: int, body: bytes, begun: float) -> None:
        if status != 200:
            self._fail(begun, f"{status}: {body[:200].decode('utf-8', 'replace')}")
            return
        kept = part(body, self.args.part)
        digest = hashlib.sha256(kept).hexdigest()[:12]
        counts = self.counts
        counts.answers[digest] += 1
        counts.texts.setdefault(digest, kept[:500].decode("utf-8", "replace"))

    def _fail(self, begun: float, what: str) -> None:
        kind = "fresh" if self.fresh else "kept"
        self.counts.failed.append(
            {"at": round(begun - self.begun, 3), "kind": kind, "what": what, "took": round(time.monotonic() - begun, 3)}
        )

    def _drop(self) -> None:
        if self.line is not None:
            self.line[1].close()
            self.line = None


async def _main(args: argparse.Namespace) -> Loaded:
    body = args.body.read_bytes()
    close = "connection: close\r\n"
    head = f"POST {args.path} HTTP/1.1\r\nhost: model\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    over, counts, begun = asyncio.Event(), Loaded(), time.monotonic()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)), daemon=True).start()
    clients = [
        Client(args, f"{head}{close if fresh else ''}\r\n".encode() + body, counts, fresh=fresh, begun=begun)
        for fresh in (*[False] * args.kept, *[True] * args.fresh)
    ]
    print("begun", flush=True)
    await asyncio.gather(*(client.run(over) for client in clients))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--part", default="outputs")
    parser.add_argument("--kept", type=int, default=4)
    parser.add_argument("--fresh", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds from one request of a client to its next at least")
    parser.add_argument("--timeout", type=float, default=10.0)
    print(json.dumps(vars(asyncio.run(_main(parser.parse_args())))), flush=True)


@contextlib.contextmanager
def loading(port: int, path: str, body: object, folder: Path, *, inside: Sequence[str] = (), **options: object) -> Iterator[Loaded]:
    """Ask at 127.0.0.1:port from another process until the block ends; options: of the command line (`kept=4`, `pause=0.01`); inside: what
    starts that process where it is to live (`nsenter …`)."""
    file = folder / "asked.json"
    file.write_text(json.dumps(body))
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [*inside, sys.executable, "-m", "tests.world.load", "--port", str(port), "--path", path, "--body", str(file), *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    found = Loaded()
    try:
        assert process.stdout.readline() == "begun\n"
        yield found
        out, _ = process.communicate(timeout=60)
        vars(found).update(json.loads(out))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


if __name__ == "__main__":
    main()
