"""A user's command under supervision: real shells, real process trees, real signals."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.errors import Cancelled, CommandFailed
from mlops_toolkit.system import leftovers, proc, supervise
from mlops_toolkit.system.supervise import Ended
from tests.world.waiting import wait_for

# Our own side in a process of its own, so that it can be signalled: prints how the command ended as JSON.
DRIVER = """
import dataclasses, json, os, sys
from pathlib import Path
from mlops_toolkit.system import supervise
options = json.loads(sys.argv[1])
ended = supervise.run(options["command"], cwd=Path(options["cwd"]), env=dict(os.environ), log=Path(options["cwd"]) / "log.txt",
                      timeout_seconds=options.get("timeout"), grace_seconds=options.get("grace", 8))
print(json.dumps({**dataclasses.asdict(ended), "children": open(f"/proc/self/task/{os.getpid()}/children").read().split()}))
"""
# A program that tells where it is, then ignores or obeys SIGTERM.
STUBBORN = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('pid', 'w').write(str(os.getpid()))\nprint('up', flush=True)\ntime.sleep(60)\n"
OBEDIENT = (
    "import os, signal, sys, time\ndef stop(*_):\n    open('told', 'w').write(str(time.monotonic()))\n    print('saved', flush=True)\n    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, stop)\nprint('up', flush=True)\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
)
# Leaves its group and session, lets its parent die, and even clears its environment.
DAEMON = (
    "import os, sys, time\nif os.fork():\n    os._exit(0)\nos.setsid()\nif os.fork():\n    os._exit(0)\nnull = os.open('/dev/null', os.O_RDWR)\n"
    "for fd in (0, 1, 2): os.dup2(null, fd)\n"
    "if 'bare' in sys.argv and 'again' not in sys.argv: os.execve(sys.executable, [sys.executable, 'daemon.py', 'bare', 'again'], {})\n"
    "open('pid.part', 'w').write(str(os.getpid()))\nos.rename('pid.part', 'pid')\ntime.sleep(60)\n"
)


def run(command: str, folder: Path, **options: Any) -> Ended:
    env = {**os.environ, "PYTHON": sys.executable}
    return supervise.run(command, cwd=folder, env=env, log=folder / "log.txt", **options)


def read_pid(folder: Path) -> int:
    return int(wait_for(lambda: (folder / "pid").is_file() and (folder / "pid").read_text()))


def gone(pid: int) -> bool:
    """Ended, or a zombie that only waits for its parent."""
    return all(process.pid != pid or process.zombie for process in leftovers.table())


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(command: str, **options: Any) -> subprocess.Popen[str]:
        given = json.dumps({"command": command, "cwd": str(tmp_path), **options})
        env = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, "-c", DRIVER, given], stdout=subprocess.PIPE, text=True, env=env)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=30)
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_command_that_succeeds_is_ok_and_its_output_is_kept_as_it_is(tmp_path: Path) -> None:
    echo = io.TextIOWrapper(io.BytesIO())
    ended = run(r"printf 'a\xff\r\n'; printf 'tail' >&2", tmp_path, echo=echo)
    assert (ended.exit, ended.signal, ended.ended) == (0, None, "ok")
    assert (tmp_path / "log.txt").read_bytes() == b"a\xff\r\ntail"
    assert echo.buffer.getvalue() == b"a\xff\r\ntail"  # type: ignore[attr-defined]
    assert ended.tail == "a�\ntail"
    assert supervise.trouble(ended, what="train.run", log=Path("log")) is None


@pytest.mark.parametrize(
    ("command", "exit_status", "killed_by", "how", "name"),
    [
        ("exit 3", 3, None, "failed", "command-failed"),
        ("no-such-program --x", 127, None, "failed", "command-not-found"),
        ("/etc/passwd", 126, None, "failed", "command-not-found"),
        ("kill -KILL $$", None, "SIGKILL", "failed", "command-failed"),
        ("kill -SEGV $$", None, "SIGSEGV", "failed", "command-failed"),
        ("echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB' >&2; exit 1", 1, None, "out-of-memory", "out-of-memory"),
        ("$PYTHON -c 'raise MemoryError'", 1, None, "out-of-memory", "out-of-memory"),
        ("exit 4 | cat; echo never", 4, None, "failed", "command-failed"),
        ("syntax ( error", 2, None, "failed", "command-failed"),
    ],
)  # fmt: skip
def test_ends_are_told_apart(tmp_path: Path, command: str, exit_status: int | None, killed_by: str | None, how: str, name: str) -> None:
    ended = run(command, tmp_path)
    assert (ended.exit, ended.signal, ended.ended) == (exit_status, killed_by, how)
    error = supervise.trouble(ended, what="train.run", log=Path("log.txt"))
    assert isinstance(error, CommandFailed)
    assert (error.name, error.code) == (name, 5)


def test_the_error_of_a_failed_command_ends_with_what_it_said_last(tmp_path: Path) -> None:
    """For whoever looks at the screen; the message, which is recorded and published, is ours alone."""
    error = supervise.trouble(run("echo one; echo 'KeyError: 7'; exit 1", tmp_path), what="train.run", log=Path(".mlops/log-train.txt"))
    assert str(error) == "train.run ended with exit status 1\n  it said last: KeyError: 7\n  its output is in .mlops/log-train.txt"


def test_what_it_said_last_has_no_colours(tmp_path: Path) -> None:
    command = r"printf '\033]0;a title\007\033[1;31mKeyError\033[0m: 7 \033(B\n'; exit 1"
    assert run(command, tmp_path).tail == "KeyError: 7"


def test_an_end_within_a_line_is_told(tmp_path: Path) -> None:
    assert [run(command, tmp_path).open_line for command in ("printf 'step 1\\rstep 2'", "echo whole", "true")] == [True, False, False]


def test_words_about_memory_in_a_success_mean_nothing(tmp_path: Path) -> None:
    assert run("echo 'recovered from CUDA out of memory'", tmp_path).ended == "ok"


def test_the_kernel_s_out_of_memory_killer_is_told_from_any_other_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([4, 5])
    monkeypatch.setattr(supervise, "oom_kills", lambda: next(counts))
    assert run("bash -c 'kill -KILL $$'; exit $?", tmp_path).ended == "out-of-memory"


@pytest.mark.parametrize("cwd", ["absent", "file"])
def test_a_command_that_cannot_be_started_ends_like_a_shell_s(tmp_path: Path, cwd: str) -> None:
    (tmp_path / "file").write_text("")
    ended = supervise.run("true", cwd=tmp_path / cwd, env={}, log=tmp_path / "log.txt")
    assert (ended.exit, ended.ended) == (127, "failed")
    assert cwd in ended.tail


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert run("cat; echo end", tmp_path).tail == "end"


def test_output_arrives_while_the_command_runs(tmp_path: Path) -> None:
    """Python writes into our pipe without holding back: the second program only ends because it has read the first one's line."""
    program = "import time\nprint('first')\nwhile open('log.txt').read() != 'first\\n': time.sleep(0.01)\n"
    (tmp_path / "p.py").write_text(program)
    assert run("timeout 20 $PYTHON p.py", tmp_path).ended == "ok"


@pytest.mark.parametrize("command", ["printf 'a\\nb\\n' | tee copy", "printf 'a\\nb\\n' > >(tee copy)"])
def test_tee_sees_everything(tmp_path: Path, command: str) -> None:
    assert run(command, tmp_path).ended == "ok"
    assert (tmp_path / "copy").read_text() == (tmp_path / "log.txt").read_text() == "a\nb\n"


def test_a_hundred_megabytes_pass_through_in_bounded_memory(tmp_path: Path) -> None:
    class Count(io.RawIOBase):
        count = 0

        def write(self, data: Any) -> int:
            self.count += len(data)
            return len(data)

    class Stream(io.StringIO):
        buffer = Count()  # type: ignore[assignment]

    before = leftovers.resident([os.getpid()])
    ended = run("head -c 100000000 /dev/zero | tr '\\0' x", tmp_path, echo=Stream())
    assert ended.ended == "ok"
    assert Stream.buffer.count == (tmp_path / "log.txt").stat().st_size == 100_000_000  # type: ignore[attr-defined]
    assert len(ended.tail) == 4000
    assert leftovers.resident([os.getpid()]) - before < 20_000_000
    (tmp_path / "log.txt").unlink()


def test_a_command_goes_on_where_nobody_can_see_it(tmp_path: Path) -> None:
    """A closed terminal and a full disk are no reason to lose a training."""
    closed = io.StringIO()
    closed.close()
    log = tmp_path / "log.txt"
    log.symlink_to("/dev/full")
    ended = supervise.run("echo a; echo b", cwd=tmp_path, env=dict(os.environ), log=log, echo=closed)
    assert (ended.ended, ended.tail) == ("ok", "a\nb")


@pytest.mark.parametrize("kind", ["daemon.py", "daemon.py bare"])
def test_what_left_the_session_is_ended_too(tmp_path: Path, kind: str) -> None:
    """Double-forked, in its own session, and in one case with an empty environment: still nothing is left behind."""
    (tmp_path / "daemon.py").write_text(DAEMON)
    ended = run(f"$PYTHON {kind}; while [ ! -f pid ]; do sleep 0.01; done", tmp_path)
    assert ended.ended == "ok"
    assert gone(read_pid(tmp_path))


def test_orphans_that_end_are_waited_for_while_the_command_runs(tmp_path: Path) -> None:
    """As init would: a long training that leaves orphans behind does not fill the process table. It watches that itself."""
    watch = (
        "import os, pathlib, subprocess, time\nfor _ in range(5): subprocess.run(['bash', '-c', 'sleep 0.2 &'])\ntime.sleep(0.4)\n"
        "def zombies():\n    ppid = f'PPid:\\t{os.environ[\"OURS\"]}\\n'\n    found = 0\n"
        "    for path in pathlib.Path('/proc').glob('[0-9]*/status'):\n        try: text = path.read_text()\n        except OSError: continue\n"
        "        found += ppid in text and 'State:\\tZ' in text\n    return found\n"
        "end = time.monotonic() + 20\nwhile zombies() and time.monotonic() < end: time.sleep(0.05)\nassert not zombies()\n"
    )
    (tmp_path / "p.py").write_text(watch)
    assert run(f"OURS={os.getpid()} $PYTHON p.py", tmp_path).ended == "ok"


def test_closed_streams_do_not_look_like_an_end(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import os, time\nos.close(1)\nos.close(2)\ntime.sleep(0.3)\nopen('done', 'w')\nos._exit(7)\n")
    ended = run("exec $PYTHON p.py", tmp_path)
    assert (ended.exit, (tmp_path / "done").exists()) == (7, True)


def test_a_time_limit_ends_the_whole_tree(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(STUBBORN)
    ended = run("$PYTHON p.py & $PYTHON p.py | cat", tmp_path, timeout_seconds=0.5, grace_seconds=0.5)
    assert ended.ended == "time-limit"
    assert ended.seconds < 10
    assert gone(read_pid(tmp_path))
    error = supervise.trouble(ended, what="train.run", log=Path("log.txt"))
    assert error is not None
    assert error.name == "time-limit"


def test_resources_are_measured(tmp_path: Path) -> None:
    # It holds its memory for longer than the second between two looks: this process may have been larger itself, and then only looks tell.
    program = (
        "import time\nx = bytearray(200_000_000)\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\ntime.sleep(1.3)\n"
    )
    (tmp_path / "p.py").write_text(program)
    took = run("$PYTHON p.py | cat", tmp_path).resources
    assert took.peak_memory is not None
    assert 200_000_000 < took.peak_memory < 400_000_000
    assert took.cpu_seconds is not None
    assert 0.4 <= took.cpu_seconds < 5
    assert took.wall_seconds is not None
    assert took.wall_seconds >= 1.7


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["$PYTHON p.py", "$PYTHON p.py | tee copy", "bash -c '$PYTHON p.py; echo later'"])
def test_a_cancel_reaches_the_program_itself_at_once(tmp_path: Path, driver: Any, signum: signal.Signals, command: str) -> None:
    """It saves its checkpoint and exits 0; that is `interrupted` all the same, and the record knows by which signal."""
    (tmp_path / "p.py").write_text(OBEDIENT)
    process = driver(command)
    pid = read_pid(tmp_path)
    process.send_signal(signum)
    found = answer(process)
    assert (found["ended"], found["signal"]) == ("interrupted", signum.name)
    assert "saved" in (tmp_path / "log.txt").read_text()
    assert "tee" not in command or "saved" in (tmp_path / "copy").read_text(), "the reader is not taken from the writer"
    assert found["children"] == []
    assert gone(pid)
    error = supervise.trouble(Ended(0, signum.name, 1.0, "interrupted", supervise.Resources(), ""), what="train.run", log=Path("l"))
    assert isinstance(error, Cancelled)
    assert error.code == 128 + signum


def test_a_program_that_reads_from_another_is_asked_too(tmp_path: Path, driver: Any) -> None:
    """Its writer, asked first, is gone at once; then it is its turn."""
    (tmp_path / "p.py").write_text(OBEDIENT)
    process = driver("yes | $PYTHON p.py", grace=300)
    pid = read_pid(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert answer(process)["ended"] == "interrupted"
    assert gone(pid)
    assert (tmp_path / "told").is_file()


def test_nobody_is_asked_twice(tmp_path: Path, driver: Any) -> None:
    """To many programs a second SIGTERM means to drop everything; this one counts them while it saves."""
    count = "asked = []\nsignal.signal(signal.SIGTERM, lambda *_: asked.append(1))\n"
    save = "open('pid', 'w').write(str(os.getpid()))\nwhile not asked: time.sleep(0.01)\ntime.sleep(0.7)\nprint('asked', len(asked))\n"
    (tmp_path / "p.py").write_text(f"import os, signal, time\n{count}{save}")
    process = driver("$PYTHON p.py | tee copy; true")
    read_pid(tmp_path)
    process.send_signal(signal.SIGINT)
    assert answer(process)["tail"] == "asked 1"


def test_what_ignores_the_cancel_is_killed_after_the_grace(tmp_path: Path, driver: Any) -> None:
    (tmp_path / "p.py").write_text(STUBBORN)
    process = driver("$PYTHON p.py | tee copy", grace=0.6)
    pid = read_pid(tmp_path)
    process.send_signal(signal.SIGTERM)
    found = answer(process)
    assert found["ended"] == "interrupted"
    assert gone(pid)


def test_a_second_ctrl_c_does_not_wait_for_the_grace(tmp_path: Path, driver: Any) -> None:
    (tmp_path / "p.py").write_text(STUBBORN)
    process = driver("$PYTHON p.py", grace=300)
    pid = read_pid(tmp_path)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: not signals_pending(process.pid))
    process.send_signal(signal.SIGINT)
    assert answer(process)["ended"] == "interrupted"
    assert gone(pid)


def signals_pending(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd")))


def test_killed_outright_the_guard_ends_the_command_in_our_place(tmp_path: Path, driver: Any) -> None:
    (tmp_path / "p.py").write_text(OBEDIENT)
    (tmp_path / "daemon.py").write_text(DAEMON.replace("'pid'", "'pid2'"))
    process = driver("$PYTHON daemon.py; $PYTHON p.py | tee copy", grace=1)
    pid = read_pid(tmp_path)
    daemon = int(wait_for(lambda: (tmp_path / "pid2").is_file() and (tmp_path / "pid2").read_text()))
    process.kill()
    wait_for(lambda: gone(pid) and gone(daemon))
    assert (tmp_path / "told").is_file(), "it was asked before it was killed"


def test_handlers_and_subreaper_are_as_before(tmp_path: Path) -> None:
    def mine(*_: object) -> None:
        raise AssertionError

    before = {s: signal.signal(s, mine) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        run("true", tmp_path)
        assert all(signal.getsignal(s) is mine for s in before)
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    run("true", tmp_path)
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    run("echo a | cat & wait", tmp_path)
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before


def test_it_works_beside_the_main_thread_too(tmp_path: Path) -> None:
    """Two at once, neither ends the other's processes."""
    found: dict[int, Ended] = {}

    def one(i: int) -> None:
        folder = tmp_path / str(i)
        folder.mkdir()
        found[i] = run("sleep 0.3; echo end", folder)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i].tail for i in range(3)] == ["end"] * 3


def test_the_environment_is_the_one_given(tmp_path: Path) -> None:
    """Without the files by which our own step speaks to the runner."""
    env = {"PATH": os.environ["PATH"], "A": "b c", **dict.fromkeys(supervise.CHANNELS + proc.OURS, "/x")}
    supervise.run("env > seen", cwd=tmp_path, env=env, log=tmp_path / "log.txt")
    names = {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"A", "PATH", "PYTHONUNBUFFERED", leftovers.MARKER}
