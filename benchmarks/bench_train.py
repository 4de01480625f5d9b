"""What supervision, digests and fingerprints cost, each against the plain program that does the least of the same.

    python benchmarks/bench_train.py [--repeats 7]

Both sides run by turns in one process' time; medians. A signal's way is measured by the program itself, on the same clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.fingerprint import fingerprint
from mlops_toolkit.system import git, supervise

ENV = dict(os.environ)
TOLD = (
    "import signal, sys, time\n"
    "def told(*_):\n    open('told', 'w').write(str(time.monotonic()))\n    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, told)\nopen('up', 'w').close()\ntime.sleep(60)\n"
)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def by_turns(name: str, ours: Callable[[], object], rival: str, theirs: Callable[[], object], repeats: int) -> None:
    """Print the medians of both, taken alternately."""
    pairs = [(timed(ours), timed(theirs)) for _ in range(repeats)]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{name:<58} {mine * 1000:8.1f} ms   {rival:<28} {other * 1000:8.1f} ms")


def signal_ms(folder: Path) -> float:
    """Milliseconds from our SIGTERM to the handler of a program behind `bash` and `| tee`."""
    for name in ("up", "told"):
        (folder / name).unlink(missing_ok=True)
    sent: list[float] = []

    def send() -> None:
        while not (folder / "up").exists():
            time.sleep(0.005)
        time.sleep(0.05)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=send)
    thread.start()
    supervise.run(f"{sys.executable} told.py | tee out", cwd=folder, env=ENV, log=folder / "log.txt")
    thread.join()
    return (float((folder / "told").read_text()) - sent[0]) * 1000


def main() -> None:
    """Everything, on data made here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "told.py").write_text(TOLD)

        def plain(command: str) -> Callable[[], object]:
            return lambda: subprocess.run(["bash", "-c", command], cwd=folder, check=True, stdout=subprocess.DEVNULL)

        def supervised(command: str) -> Callable[[], object]:
            return lambda: supervise.run(command, cwd=folder, env=ENV, log=folder / "log.txt")

        by_turns("a command that does nothing", supervised("true"), "bash -c", plain("true"), repeats)
        shout = "head -c 100000000 /dev/zero | tr '\\0' x"
        by_turns("100 MB of output, kept", supervised(shout), "bash -c '… | tee log'", plain(f"{shout} | tee plain.txt"), 3)
        print(f"{'SIGTERM to the program behind bash and tee':<58} {statistics.median(signal_ms(folder) for _ in range(repeats)):8.1f} ms")

        model = folder / "model.bin"
        model.write_bytes(os.urandom(1 << 20) * 512)
        cache = Cache(folder / "digests.sqlite")
        by_turns("digest of a 512 MiB model", lambda: digest(model), "sha256sum", plain("sha256sum model.bin"), 3)
        digest(model, cache=cache)
        by_turns("the same, a second time", lambda: digest(model, cache=cache), "sha256sum", plain("sha256sum model.bin"), 3)

        repository = folder / "repository"
        for i in range(2000):
            (repository / f"src/{i % 40}").mkdir(parents=True, exist_ok=True)
            (repository / f"src/{i % 40}/f{i}.py").write_text(str(i))
        subprocess.run("git init -q && git add -A && sleep 1.1 && git update-index -q --refresh", shell=True, cwd=repository, check=True)  # noqa: S602
        found = git.find(repository, ENV)
        by_turns(
            "fingerprint of 2,000 tracked files",
            lambda: fingerprint(git=found, folder=repository, command="c"),
            "git status",
            lambda: subprocess.run(["git", "status", "--porcelain"], cwd=repository, check=True, stdout=subprocess.DEVNULL),
            repeats,
        )


if __name__ == "__main__":
    main()
