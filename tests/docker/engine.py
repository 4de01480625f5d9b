"""A Docker engine of our own in a network namespace of its own: it can be ended, lose its power, and have a small disk, and nobody else notices.

Its clients live in that namespace too (`inside`, `within`). A `Door` leads from it to a port of this machine, and can be shut.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.engine_api import Engine
from tests.docker.deploying import DOCKER, Host, hosting
from tests.needs import missing, require
from tests.world.waiting import wait_for

T = TypeVar("T")
NEW_NETWORK = 0x40000000  # CLONE_NEWNET, linux/sched.h
OUTSIDE = "198.51.100.1"  # of the host, as clients elsewhere know it: 127.0.0.1 is answered by a process of Docker's, which ends with it
DISK = 3 << 30


@dataclass
class Own:
    """The engine. folder: with a short path, for its sockets; live_restore: its containers outlive it (an option of Docker's that is off by itself)."""

    folder: Path
    live_restore: bool = False
    keeper: subprocess.Popen[bytes] | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where everything of it lies: a disk in memory."""
        return self.folder / "data"

    @property
    def socket(self) -> str:
        return f"{self.folder}/docker.sock"

    @property
    def env(self) -> dict[str, str]:
        """For `docker`, so that it speaks to this engine."""
        return {"PATH": f"/usr/bin:{os.environ['PATH']}", "DOCKER_HOST": f"unix://{self.socket}"}

    @property
    def network(self) -> str:
        assert self.keeper is not None
        return f"/proc/{self.keeper.pid}/ns/net"

    def inside(self, *words: str) -> list[str]:
        """A command in its namespace."""
        return ["nsenter", f"--net={self.network}", *words]

    def within(self, call: Callable[[], T]) -> T:
        """What a call comes to whose sockets are in its namespace."""
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(self.network,)) as pool:
            return pool.submit(call).result()

    def docker(self, *words: str, expected: int = 0) -> str:
        """As `deploying.docker`, of this engine."""
        done = subprocess.run([DOCKER, *words], capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **self.env})
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout.strip()

    def begin(self) -> None:
        """As a host's start does it; answers when this returns."""
        program = require("docker", "dockerd", "nsenter", "unshare", "ip")["dockerd"]
        words = [f"--data-root={self.data}", f"--exec-root={self.folder}/exec", f"--pidfile={self.folder}/pid"]
        words += [
            f"--host=unix://{self.socket}",
            f"--live-restore={str(self.live_restore).lower()}",
            "--log-level=warn",
            "--max-download-attempts=2",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.inside(program, *words), stdout=log, stderr=log)
        wait_for(self._answers, 90)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            missing("docker", f"no second engine can be started: {(self.folder / 'log').read_text()[-500:]}")
        with contextlib.suppress(EnvironmentFailure):
            return bool(Engine(self.socket).call("GET", "/info"))
        return False

    def end(self) -> None:
        """As a host's end does it: its containers end with it, unless `live_restore`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(90)

    def lose_power(self) -> None:
        """Everything of it is gone at once: engine, containers, and whoever stood between."""
        pids = [
            int(pid) for one in self.docker("ps", "--quiet").split() for pid in [self.docker("inspect", "--format", "{{.State.Pid}}", one)]
        ]
        for pid in [*pids, *self._ours()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(30)
        self.unmount("exec", "data/")  # what lies in /run, and every mount, are gone after a start
        shutil.rmtree(self.folder / "exec", ignore_errors=True)
        (self.folder / "pid").unlink(missing_ok=True)

    def unmount(self, *below: str) -> None:
        """All file systems at these places of its folder."""
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(tuple(f"{self.folder}/{name}" for name in below))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)

    def _ours(self) -> list[int]:
        """Processes of the engine: those that name its folder, and the ends of its ports in its namespace."""
        assert self.keeper is not None
        found, here = [], Path(self.network).readlink()
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes()
                port = b"docker-proxy" in words and (place / "ns/net").readlink() == here
                if (str(self.folder).encode() in words and place.name != str(os.getpid())) or port:
                    found.append(int(place.name))
        return found


@contextlib.contextmanager
def own_engine(*, disk: int = DISK, live_restore: bool = False) -> Iterator[Own]:
    """A new one that runs. disk: bytes of it."""
    if os.geteuid() != 0:
        missing("docker", "an engine of one's own needs root")
    own = Own(Path(tempfile.mkdtemp(prefix="own-")), live_restore)
    own.data.mkdir()
    own.keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        wait_for(lambda: Path(own.network).readlink() != Path("/proc/self/ns/net").readlink())
        for words in (["link", "set", "lo", "up"], ["address", "add", f"{OUTSIDE}/32", "dev", "lo"]):
            subprocess.run(own.inside("ip", *words), check=True, capture_output=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", str(own.data)], check=True, capture_output=True)
        own.begin()
        yield own
    finally:
        _away(own)


def _away(own: Own) -> None:
    assert own.keeper is not None
    if own.process is not None and own.process.poll() is None:
        with contextlib.suppress(AssertionError, subprocess.SubprocessError):
            if running := own.docker("ps", "--quiet").split():
                own.docker("kill", *running)
        own.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            own.process.wait(60)
    for pid in own._ours():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    own.keeper.terminate()
    own.keeper.wait()
    own.unmount("")
    shutil.rmtree(own.folder, ignore_errors=True)


@contextlib.contextmanager
def own_host(own: Own, folder: Path) -> Iterator[Host]:
    """A host on it, as `hosting`."""
    folder.mkdir(parents=True, exist_ok=True)
    with hosting(own.docker, folder, Engine(own.socket)) as host:
        host.env = own.env
        yield host


def _enter(network: str) -> None:
    """This thread's sockets are in that namespace from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(network).open() as there:
        if libc.setns(there.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Door:
    """127.0.0.1:port of the engine's namespace leads to the same of this machine, until it is shut. most: bytes that come in before it shuts itself."""

    own: Own
    port: int
    most: int | None = None
    came: int = 0
    _listening: socket.socket | None = None
    _lines: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, most: int | None = None) -> None:
        """From now on."""
        self.most, self.came = most, 0
        self._listening = self.own.within(lambda: socket.create_server(("127.0.0.1", self.port)))
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    @property
    def is_open(self) -> bool:
        return self._listening is not None

    def shut(self) -> None:
        """Nobody listens there any more, and every line breaks."""
        with self._lock:
            listening, self._listening = self._listening, None
            lines, self._lines = self._lines, []
        for line in [*([listening] if listening else []), *lines]:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            beyond = socket.create_connection(("127.0.0.1", self.port))
            with self._lock:
                self._lines += [line, beyond]
            threading.Thread(target=self._pass, args=(line, beyond, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(beyond, line, True), daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                to.sendall(data)
                self.came += len(data) if counted else 0
                if self.most is not None and self.came > self.most:
                    self.shut()
                    return
            to.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def door(own: Own, host: str) -> Iterator[Door]:
    """To a registry at HOST:PORT of this machine; open."""
    found = Door(own, int(host.rpartition(":")[2]))
    found.open()
    try:
        yield found
    finally:
        found.shut()


@contextlib.contextmanager
def full(folder: Path) -> Iterator[Callable[[], None]]:
    """Not a byte is free on the disk of a folder until the block ends, also where somebody frees some; or until what is given is called."""
    over, filler = threading.Event(), folder / "filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as out:
            while not over.is_set():
                for size in (1 << 24, 1 << 16, 1 << 12, 1):
                    with contextlib.suppress(OSError):
                        while out.write(bytes(size)) == size:
                            pass
                time.sleep(0.001)
        filler.unlink()

    thread = threading.Thread(target=fill)
    thread.start()
    wait_for(lambda: os.statvfs(folder).f_bavail == 0)

    def free() -> None:
        over.set()
        thread.join()

    try:
        yield free
    finally:
        free()
