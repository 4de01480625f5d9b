"""What reading and writing the history costs at 2,000 kept runs, against a plain blob-less clone of the same branch, in one run.

Bytes are counted on the wire, by a proxy between the client and a real `git daemon`. Prints a Markdown table; exits 1 where a budget
is broken: 130 bytes a kept run to read the index, 200 to write a run, 50 ms to parse the index.

    python benchmarks/bench_history.py [RUNS]
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from mlops_toolkit.ci import Context
from mlops_toolkit.history import page
from mlops_toolkit.history.base import Bundle, Entry, History
from mlops_toolkit.history.branch import open_history
from mlops_toolkit.history.entry import Index, to_line
from mlops_toolkit.history.snapshot import folder
from mlops_toolkit.records.run import MetricValue, Run, dumps
from mlops_toolkit.system.clock import SystemClock
from mlops_toolkit.system.git import Git

READ, WRITE, PARSE = 130, 200, 0.050
WORDS = ("tokenizer", "dropout", "lr-decay", "labels", "cleanup", "resnet", "batch", "warmup", "split", "augment", "fix-nan", "speed")
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def git(*args: str, data: bytes | None = None) -> str:
    """Run git; its output."""
    return subprocess.run(["git", *args], input=data, check=True, capture_output=True, env=ENV).stdout.decode().strip()


def entries(count: int) -> list[Entry]:
    """Runs of two models as a year of work leaves them: three in five of pull requests, every digest its own."""
    rng, at, made = random.Random(7), datetime(2026, 1, 1, tzinfo=timezone.utc), []

    def hexes(digits: int) -> str:
        return rng.getrandbits(4 * digits).to_bytes(digits // 2, "big").hex()

    for number in range(count):
        at += timedelta(seconds=rng.randint(600, 26_000))
        proposed = rng.random() < 0.6
        made.append(
            Entry(
                id=f"{at:%Y%m%d-%H%M%S}-{hexes(6)}",
                key=rng.choice(["models/spam/mlops.yaml|spam-filter|", "models/intent/mlops.yaml|intent|"]),
                commit=hexes(40),
                tree=hexes(40),
                status="succeeded" if rng.random() < 0.9 else "reused",
                started=f"{at:%Y-%m-%dT%H:%M:%SZ}",
                branch=f"{rng.choice(WORDS)}-{rng.choice(WORDS)}" if proposed else "main",
                event="pull_request" if proposed else "push",
                pull_request=1000 + number // 3 if proposed else None,
                ci_run=str(19_000_000_000 + number * 4_321_017 + rng.randint(0, 4_000_000)),
                gate="passed" if rng.random() < 0.8 else "failed",
                train=hexes(20),
                evaluate=hexes(20),
                metrics={name: float(f"{rng.uniform(0.8, 0.99):.4g}") for name in ("accuracy", "f1-macro", "recall:spam")},
                sentence="spam-filter: no drop found in 3 metrics",
            )
        )
    return made


def fill(remote: Path, runs: list[Entry]) -> None:
    """A history of these runs, a commit each, with three charts and predictions; packed as a forge packs."""
    rng = random.Random(3)
    parts: list[bytes] = []

    def blob(path: str, content: bytes) -> None:
        parts.append(f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")

    for number, entry in enumerate(runs):
        when = 1_767_225_600 + number * 13_000
        parts.append(f"commit refs/heads/mlops-history\ncommitter mlops <mlops@localhost> {when} +0000\ndata 0\n".encode())
        metrics = {name: MetricValue(value, 2000, name, "higher") for name, value in entry.metrics.items()}
        record = dumps(Run(entry.id, "spam-filter", entry.commit, entry.tree, metrics=metrics)).encode()
        blob(f"{folder(entry.id)}/run.json", record)
        blob(f"{folder(entry.id)}/report.json", record[::-1])
        blob(f"{folder(entry.id)}/predictions/main.hashed.parquet", rng.randbytes(300))
        for chart in ("change", "confusion", "course"):
            content = rng.randbytes(200)
            blob(f"{folder(entry.id)}/charts/{chart}-{hashlib.sha256(content).hexdigest()[:12]}.png", content)
        blob("README.md", f"{number} runs".encode())
    index = Index({}, {}).with_entries(runs)
    for path, content in {"index.jsonl": index.dump(), "salt": b"0" * 32 + b"\n", **page.files(index)}.items():
        blob(path, content)
    git("-C", str(remote), "fast-import", "--quiet", data=b"".join(parts))
    git("-C", str(remote), "repack", "-adq")


class Proxy:
    """Counts what goes through it, both ways."""

    def __init__(self, port: int) -> None:
        self.port, self.bytes, self.lock = port, 0, threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.server.accept()
                other = socket.create_connection(("127.0.0.1", self.port))
                for source, sink in ((one, other), (other, one)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self.lock:
                    self.bytes += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def taken(self) -> int:
        """The bytes since the last call."""
        with self.lock:
            count, self.bytes = self.bytes, 0
        return count


@contextlib.contextmanager
def served(top: Path) -> Iterator[tuple[Proxy, str]]:
    """A real git server of the repositories below `top`, and the address that leads through the counting proxy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", f"--port={port}", f"--base-path={top}"]
    daemon = subprocess.Popen(["git", "daemon", *options, str(top)], env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        proxy = Proxy(port)
        yield proxy, f"git://127.0.0.1:{proxy.server.getsockname()[1]}"
        proxy.server.close()
    finally:
        daemon.terminate()
        daemon.wait()


def opened(work: Path, address: str) -> History:
    """The history as a fresh CI checkout opens it."""
    git("init", "--quiet", str(work))
    git("-C", str(work), "remote", "add", "origin", address)
    return open_history(work / ".mlops", "mlops-history", git=Git(work, ENV), context=Context("github"), token=None, clock=SystemClock())


def measure(top: Path, remote: Path, runs: list[Entry]) -> tuple[list[tuple[str, int, float]], float, float]:
    """Rows (what, bytes, seconds) and the bytes of reading and writing."""
    rows: list[tuple[str, int, float]] = []
    with served(remote.parent) as (proxy, server):
        address = f"{server}/{remote.name}"

        def timed(what: str, action: Callable[[], object]) -> int:
            proxy.taken()
            begun = time.perf_counter()
            action()
            rows.append((what, proxy.taken(), time.perf_counter() - begun))
            return rows[-1][1]

        def plain() -> None:
            copy = str(top / "plain.git")
            git("clone", "--quiet", "--bare", "--filter=blob:none", "--single-branch", "--branch=mlops-history", address, copy)
            git("-C", copy, "show", "mlops-history:index.jsonl")

        reader, writer = opened(top / "reader", address), opened(top / "writer", address)
        some = runs[-9].id
        run = Run("20270101-000000-abcdef", "spam-filter", metrics={"accuracy": MetricValue(0.9, 1, "", "higher")}, status="succeeded")
        timed("plain blob-less clone, and the index out of it", plain)
        read = timed("read the index", reader.entries)
        assert len(reader.entries()) == len(runs)
        timed("then open one run and its predictions", lambda: (reader.run(some), reader.file(some, "predictions/main.hashed.parquet")))
        write = timed("write a run", lambda: writer.record(Bundle(run), remote=True))
        assert git("-C", str(remote), "show", "mlops-history:index.jsonl").count("\n") == len(runs)
    return rows, read, write


def main(count: int) -> int:
    """Build, measure, print; 1 where a budget is broken."""
    with tempfile.TemporaryDirectory() as name:
        remote = Path(name) / "served" / "history.git"
        remote.mkdir(parents=True)
        git("init", "--quiet", "--bare", str(remote))
        git("-C", str(remote), "config", "uploadpack.allowFilter", "true")
        runs = entries(count)
        fill(remote, runs)
        raw = b"".join(to_line(entry) + b"\n" for entry in runs)
        started = time.perf_counter()
        Index.parse(raw)
        parse = time.perf_counter() - started
        rows, read, write = measure(Path(name), remote, runs)
    print("| way | bytes | bytes a run | seconds |\n|---|---:|---:|---:|")
    for what, taken, seconds in rows:
        print(f"| {what} | {taken:,} | {taken / count:.0f} | {seconds:.2f} |")
    print(f"\nparsing the index of {count:,} runs ({len(raw) / 1e3:,.0f} KB): {parse * 1e3:.1f} ms")
    broken = [what for bad, what in ((read > READ * count, "read"), (write > WRITE * count, "write"), (parse > PARSE, "parse")) if bad]
    said = f"broken: {', '.join(broken)}" if broken else "kept"
    print(f"budgets ({READ} B a run to read, {WRITE} to write, {PARSE * 1e3:.0f} ms to parse): {said}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
