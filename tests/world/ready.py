"""`python -m mlops_toolkit …` out of an interpreter that has imported everything already: the same code in a process of its own, a second sooner.

An interpreter starts and imports for 0.3 to 1 s, of which a test learns nothing; the suite does it thousands of times. So one waits for each worker
of the suite, imports what a verb may need, and forks where one is asked for. What a forked process cannot show is its own start: tests of start-up,
of imports and of signals start their own. MLOPS_TEST_READY=0 gives every one a real start.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STARTS = (
    "PYTHON",
    "LC_",
    "LANG",
    "LD_",
    "OPENBLAS",
    "OMP_",
    "POLARS",
    "MALLOC",
)  # what an interpreter or a library reads once, at its start
BESIDE = ("numpy", "polars", "yaml")  # what verbs import when they need it
PATIENCE, MOST = 2, 3  # real starts in an environment before one waits for it, and how many wait at once
Start = tuple[tuple[str, str], ...]


def mlops(
    words: Sequence[str], *, cwd: Path | str, env: Mapping[str, str], timeout: float = 300.0, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `mlops WORDS` as subprocess.run would: its exit code, its output and its errors as text. timeout: seconds."""
    command = [sys.executable, "-m", "mlops_toolkit", *words]
    waiting = _waiting(tuple(sorted((name, value) for name, value in env.items() if name.startswith(STARTS))))
    if waiting is None:
        return subprocess.run(command, cwd=cwd, env=dict(env), input=stdin, capture_output=True, text=True, check=False, timeout=timeout)
    code, out, err = waiting.run(
        {"words": list(words), "cwd": str(Path(cwd).absolute()), "env": dict(env)}, stdin.encode(), timeout, command
    )
    return subprocess.CompletedProcess(command, code, _text(out), _text(err))


def _text(raw: bytes) -> str:
    return raw.decode().replace("\r\n", "\n").replace("\r", "\n")  # as subprocess does it


_lock, _asked, _all = threading.Lock(), Counter[Start](), dict[Start, "_Waiting"]()


def _waiting(start: Start) -> _Waiting | None:
    if os.environ.get("MLOPS_TEST_READY") == "0":
        return None
    with _lock:
        _asked[start] += 1
        if start not in _all and _asked[start] > PATIENCE and len(_all) < MOST:
            _all[start] = _Waiting(start)
            atexit.register(_all[start].end)
        return _all.get(start)


class _Waiting:
    """The interpreter that waits, seen from the tests. It ends when this process does, because its end of the line does."""

    def __init__(self, start: Start) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {name: value for name, value in os.environ.items() if not name.startswith(STARTS)} | dict(start)
        with theirs:
            command = [sys.executable, "-m", "tests.world.ready", str(theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """Nothing more is asked of it."""
        self._line.close()
        self._process.wait()

    def run(self, asked: dict[str, Any], stdin: bytes, timeout: float, command: list[str]) -> tuple[int, bytes, bytes]:
        """Its exit code, output and errors, once it has ended and all that it started have let go of both, as subprocess.run waits."""
        pipes = [os.pipe() for _ in range(3)]  # its output, its errors, and its pid and how it ended
        with contextlib.ExitStack() as ours:
            ends = [ours.enter_context(open(reading, "rb", buffering=0)) for reading, _ in pipes]  # noqa: PTH123 -- no path
            with contextlib.ExitStack() as theirs:
                given = [theirs.enter_context(_held(content)) for content in (json.dumps(asked).encode(), stdin)]
                given += [theirs.enter_context(open(writing, "wb", buffering=0)) for _, writing in pipes]  # noqa: PTH123
                with _lock:
                    self._line.sendmsg(
                        [b"run"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one.fileno() for one in given]))]
                    )
            out, err, how = _read(ends, timeout)
        told = how.split()
        assert told, f"the interpreter that waits has ended: {self._process.poll()}"
        if len(told) == 1:  # the time is over
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(told[0]), signal.SIGKILL)
            raise subprocess.TimeoutExpired(command, timeout, out, err)
        return int(told[1]), out, err


def _held(content: bytes) -> Any:
    """A file in memory, at its beginning."""
    held = open(os.memfd_create("held"), "w+b", buffering=0)  # noqa: PTH123, SIM115 -- whoever called closes it
    held.write(content)
    held.seek(0)
    return held


def _read(ends: Sequence[Any], timeout: float) -> list[bytes]:
    """All that comes from each until it is closed, or the time is over."""
    found, end = [bytearray() for _ in ends], time.monotonic() + timeout
    with selectors.DefaultSelector() as select:
        for number, one in enumerate(ends):
            select.register(one, selectors.EVENT_READ, number)
        while select.get_map() and time.monotonic() < end:
            for key, _ in select.select(end - time.monotonic()):
                block = os.read(key.fd, 1 << 16)
                found[key.data] += block
                if not block:
                    select.unregister(key.fileobj)
    return [bytes(one) for one in found]


# What follows runs in the interpreter that waits.


def _imported() -> None:
    import mlops_toolkit

    for name in BESIDE:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(mlops_toolkit.__path__, "mlops_toolkit."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an extra that is not installed here
                importlib.import_module(module.name)


def _serve(line: socket.socket) -> None:
    """Fork whenever somebody asks; returns in each process that was forked, which is then as it was asked for."""
    ends: dict[int, tuple[int, int]] = {}  # pidfd -> pid and where to say how it ended
    with selectors.DefaultSelector() as select:
        select.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in select.select():
                if key.fd != line.fileno():
                    select.unregister(key.fd)
                    pid, how = ends.pop(key.fd)
                    os.write(how, b" %d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    os.close(how)
                    os.close(key.fd)
                    continue
                said, given, _, _ = socket.recv_fds(line, 16, 5)
                if not said:
                    sys.exit()
                asked, stdin, out, err, how = given
                pid = os.fork()
                if pid == 0:
                    for fd in (line.fileno(), how, *ends, *(one for _, one in ends.values())):
                        os.close(fd)
                    _become(asked, stdin, out, err)
                    return
                for fd in (asked, stdin, out, err):
                    os.close(fd)
                os.write(how, b"%d" % pid)
                watch = os.pidfd_open(pid)
                ends[watch] = pid, how
                select.register(watch, selectors.EVENT_READ)


def _become(asked: int, stdin: int, out: int, err: int) -> None:
    for number, fd in enumerate((stdin, out, err)):
        os.dup2(fd, number)
        os.close(fd)
    with open(asked, "rb") as held:
        found: dict[str, Any] = json.load(held)
    os.environ.clear()
    os.environ.update(found["env"])
    os.chdir(found["cwd"])
    time.tzset()
    random.seed()
    tempfile.tempdir = None
    sys.path[0] = found["cwd"]
    sys.argv[1:] = found["words"]


def _run() -> None:
    """As an interpreter runs a module and ends; but it does not take everything apart that was imported, which takes longer than most verbs."""
    code: object = 0
    try:
        runpy.run_module("mlops_toolkit", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except Exception:  # noqa: BLE001 -- said as the interpreter says it
        sys.excepthook(*sys.exc_info())
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    _imported()
    gc.collect()
    gc.freeze()  # what is here for good is not looked at, and so not copied, in each process
    _serve(socket.socket(fileno=int(sys.argv[1])))
    _run()
