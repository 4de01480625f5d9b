"""Servers as processes for the benchmarks: started on one processor, asked from another, weighed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rivals import python
from mlops_toolkit.image.requirements import SERVER
from mlops_toolkit.image.runtime import SHIPPED, lock

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ("onnxruntime==1.32.0", "numpy<3")


def load(port: int, raw: bytes, connections: int, seconds: float) -> dict[str, Any]:
    """Each connection asks again when it has its answer; requests a second and percentiles. Ends the benchmark where one is not 200."""
    found = client("closed", port, raw, f"--connections={connections}", f"--seconds={seconds}")
    if set(found["statuses"]) != {"200"}:
        raise SystemExit(f"answers were not 200: {found['statuses']}")
    return found


def client(how: str, port: int, raw: bytes, *options: str) -> dict[str, Any]:
    """What benchmarks/serve_client.py found, run on another processor than the server."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(raw)
        words = [sys.executable, str(ROOT / "benchmarks" / "serve_client.py"), how, str(port), file.name, *options]
        done = subprocess.run(pinned(1, words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pinned(processor: int, words: Sequence[str]) -> list[str]:
    """On one processor, where there are several."""
    allowed = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(allowed[processor]), *words] if len(allowed) > 1 and shutil.which("taskset") else list(words)


def free() -> int:
    """A port with two free ones behind it, most likely."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def http(port: int, path: str, body: bytes, headers: str = "content-type: application/json\r\n") -> bytes:
    """A request's bytes."""
    return f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def once(port: int, raw: bytes) -> bytes:
    """One answer's body."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(raw)
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(1 << 20)
            if not more:
                raise ConnectionResetError
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(head[:80] + body[:500])
        length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(1 << 20)
    return body


@contextlib.contextmanager
def started(
    words: Sequence[str], folder: Path, env: dict[str, str], port: int, raw: bytes
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server that answers, and the seconds until its first answer."""
    log = folder / "log"
    begun = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(pinned(0, words), cwd=folder, env={**os.environ, **env}, stdout=out, stderr=out, start_new_session=True)
    try:
        while True:
            try:
                once(port, raw)
                break
            except OSError as error:
                if process.poll() is not None or time.perf_counter() - begun > 120:
                    raise SystemExit(f"{words} does not answer ({error}):\n{log.read_text()[-3000:]}") from error
                time.sleep(0.01)
        yield process, time.perf_counter() - begun
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def memory(process: subprocess.Popen[bytes]) -> float:
    """Megabytes that the processes of its session have resident."""
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((place / "stat").read_text().rsplit(")", 1)[1].split()[3]) == process.pid:
                total += int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total / 1e6


def installed(interpreter: str) -> float:
    """Megabytes of the packages in an interpreter's environment, without pip and compiled files: what an image must hold beside Python."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = Path(subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    kept = [
        path
        for path in folder.rglob("*")
        if path.suffix != ".pyc" and path.relative_to(folder).parts[0].split("-")[0] not in ("pip", "setuptools")
    ]
    return sum(path.stat().st_size for path in kept if path.is_file() and not path.is_symlink()) / 1e6


def own_size() -> float:
    """Megabytes of our own modules that are in the image."""
    home = ROOT / "mlops_toolkit"
    files = [path for name in SHIPPED for path in ([home / name] if name.endswith(".py") else (home / name).rglob("*"))]
    return sum(path.stat().st_size for path in files if path.is_file() and path.suffix != ".pyc") / 1e6


def session(path: Path) -> Any:
    """The bare session, with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def our_python() -> str:
    """With what the image of an ONNX model holds, at the versions of our lock."""
    return python("serve-ours", *(one.pin for one in lock() if one.name in SERVER), *RUNTIME)


def ours(models: Path, port: int, *options: str) -> tuple[list[str], dict[str, str]]:
    """Our server's command and environment."""
    words = [
        our_python(),
        "-m",
        "mlops_toolkit.serve",
        str(models),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--log-requests",
        "errors",
    ]
    return [*words, "--threads", "1", "--grace", "0s", *options], {"PYTHONPATH": str(ROOT)}
