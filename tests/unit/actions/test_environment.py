"""The actions' entry script, run for real in a repository of stand-ins: a toolkit that says how it was called, a lock of one small wheel."""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests import needs
from tests.world import trouble

ACTIONS = Path(__file__).parents[3] / "actions"
CLI = """
import json, os, sys
def main():
    import tiny
    print(json.dumps({"argv": sys.argv[1:], "pid": os.getpid(), "prefix": sys.prefix, "tiny": tiny.__file__, "env": dict(os.environ), "cwd": os.getcwd(),
                      "path": sys.path, "shadowed": "shadow" in (getattr(sys.modules.get("json"), "__doc__", "") or "")}))
    return 7
"""


def wheel(folder: Path) -> str:
    """Write tiny-1.0; gives back its line for a lock."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": b"",
        "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b'=').decode()},{len(b)}\n" for n, b in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**files, "tiny-1.0.dist-info/RECORD": (record + "tiny-1.0.dist-info/RECORD,,\n").encode()}.items():
            archive.writestr(name, data)
    return f"tiny @ {path.as_uri()} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def repository(folder: Path) -> Path:
    """A copy of the actions with a stand-in toolkit and lock."""
    for name in ("actions", "requirements", "mlops_toolkit"):
        (folder / name).mkdir(parents=True)
    for name in ("run", "environment.py"):
        shutil.copy(ACTIONS / name, folder / "actions" / name)
    (folder / "mlops_toolkit" / "__init__.py").touch()
    (folder / "mlops_toolkit" / "cli.py").write_text(CLI)
    (folder / "requirements" / "cli.txt").write_text(wheel(folder))
    return folder


def start(root: Path, cache: Path, *arguments: str, inputs: dict[str, str] | None = None, **env: str) -> subprocess.Popen[str]:
    """`bash actions/run`, as the actions' step calls it, in its own process group."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "RUNNER_TOOL_CACHE": str(cache),
        "MLOPS_INPUTS": json.dumps(inputs or {"config": "mlops.yaml", "python": sys.executable}, indent=2),
        **env,
    }
    command = ["bash", str(root / "actions" / "run"), *(arguments or ("train",))]
    return subprocess.Popen(
        command, env=environment, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def environments(cache: Path) -> list[Path]:
    return [p for p in (cache / "mlops-actions").iterdir() if p.is_dir()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A repository and a cache in which one job was killed midway and then eight started at once."""
    root, cache = repository(tmp_path_factory.mktemp("root")), tmp_path_factory.mktemp("cache")
    first = start(root, cache)
    try:
        until = time.monotonic() + 60
        while not (cache / "mlops-actions").exists() or not any((p / "bin").exists() for p in environments(cache)):
            assert time.monotonic() < until
            time.sleep(0.005)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        finish(first)
    (unfinished,) = environments(cache)
    assert not (unfinished / ".complete").exists()
    eight = [finish(job) for job in [start(root, cache) for _ in range(8)]]
    assert [code for code, _, _ in eight] == [7] * 8, eight
    assert sum("making our own environment" in err for _, _, err in eight) == 1
    assert environments(cache) == [unfinished]
    (root / "tiny-1.0-py3-none-any.whl").unlink()  # what could be installed from is gone: as good as no network
    return root, cache


def test_a_job_killed_midway_leaves_nothing_that_eight_others_at_once_trip_over_and_one_of_them_makes_it(made: tuple[Path, Path]) -> None:
    assert (environments(made[1])[0] / ".complete").exists()


def test_once_made_it_is_taken_silently_and_needs_nothing_from_outside(made: tuple[Path, Path]) -> None:
    code, out, err = finish(start(*made, PIP_INDEX_URL="http://127.0.0.1:9/"))
    assert (code, err) == (7, "")
    assert json.loads(out)["prefix"] == str(environments(made[1])[0])


def test_the_process_the_runner_started_is_the_one_that_works_so_that_a_signal_reaches_it(made: tuple[Path, Path]) -> None:
    job = start(*made)
    assert json.loads(finish(job)[1])["pid"] == job.pid


def test_arguments_arrive_as_they_were_given(made: tuple[Path, Path]) -> None:
    odd = ("compare", "two words", "", "$(reboot)", "a'b\"c")
    assert tuple(json.loads(finish(start(*made, *odd))[1])["argv"]) == odd


def test_what_the_job_set_for_its_own_python_neither_reaches_us_nor_is_lost_to_it(made: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text('"""shadow"""\n')
    said = json.loads(finish(start(*made, PYTHONPATH=str(tmp_path), PYTHONHASHSEED="0"))[1])
    assert not said["shadowed"]
    assert str(tmp_path) not in said["path"]
    assert said["env"]["PYTHONPATH"] == str(tmp_path)


def test_our_environment_is_neither_active_nor_on_the_path(made: tuple[Path, Path]) -> None:
    env = json.loads(finish(start(*made))[1])["env"]
    assert "VIRTUAL_ENV" not in env
    assert str(made[1]) not in env["PATH"]


def test_the_folder_of_the_job_stays_the_current_one(made: tuple[Path, Path]) -> None:
    assert json.loads(finish(start(*made))[1])["cwd"] == str(made[0])


@pytest.mark.parametrize(
    "inputs",
    [
        {"config": '"python": "/bin/false"', "python": sys.executable},
        {"config": 'x", "python": "/bin/false', "python": sys.executable},
        {"config": '\'"python" : "/bin/false"', "python": sys.executable},
    ],
)
def test_only_the_input_python_names_the_interpreter(made: tuple[Path, Path], inputs: dict[str, str]) -> None:
    assert finish(start(*made, inputs=inputs))[0] == 7


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (
            "python9",
            "::error title=mlops::there is no python9 on this runner: install Python 3.10 or newer, or name one with the input `python`\n",
        ),
        ("/bin/false", "::error title=mlops::/bin/false does not run Python: install 3.10 or newer, or name one with the input `python`\n"),
        ("cd", "::error title=mlops::there is no cd on this runner: install Python 3.10 or newer, or name one with the input `python`\n"),
    ],
)
def test_a_python_that_is_none_ends_in_one_sentence_and_code_4(made: tuple[Path, Path], tmp_path: Path, python: str, message: str) -> None:
    file = tmp_path / "output"
    assert finish(start(*made, inputs={"python": python}, GITHUB_OUTPUT=str(file))) == (4, "", message)
    assert file.read_text() == "exit=4\n"


def test_another_lock_is_another_environment_and_a_wrong_hash_is_no_environment(made: tuple[Path, Path], tmp_path: Path) -> None:
    root = repository(tmp_path / "root")
    lock = root / "requirements" / "cli.txt"
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0")[:-2] + "\n")
    code, out, err = finish(start(root, tmp_path / "cache", PIP_TARGET=str(tmp_path / "elsewhere")))
    assert (code, out) == (4, "")
    assert "::error title=mlops::installing what the toolkit needs failed: " in err
    assert err.endswith("%0Athe first run needs a package index; your pip configuration, PIP_INDEX_URL and proxies are honoured\n")
    assert not any((p / ".complete").exists() for p in environments(tmp_path / "cache"))
    assert not (tmp_path / "elsewhere").exists()


# ── the parts, called ─────────────────────────────────────────────────


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("mlops_actions_environment", ACTIONS / "environment.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("RUNNER_TOOL_CACHE", "RUNNER_TEMP", "XDG_CACHE_HOME", "HOME", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_it_reads_in_the_oldest_python_that_a_runner_still_has() -> None:
    ast.parse((ACTIONS / "environment.py").read_text(), feature_version=(3, 6))


def test_an_old_python_says_that_it_is_too_old(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 10))
    with pytest.raises(SystemExit) as caught:
        environment.main()
    assert caught.value.code == 4
    assert "is Python 3.8; the toolkit needs 3.10 or newer%0Aname a newer one" in capsys.readouterr().err


def test_a_python_without_ensurepip_names_the_package_to_install(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit):
        environment.make(tmp_path / "env")
    assert "has no module ensurepip%0Ainstall it (Debian, Ubuntu: apt-get install python3-venv)" in capsys.readouterr().err


def test_it_is_kept_in_the_first_folder_that_can_be_written(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert environment.home() == tmp_path / "home" / ".cache" / "mlops-actions"
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path / "temp"))
    assert environment.home() == tmp_path / "temp" / "mlops-actions"


def test_without_any_folder_it_says_what_it_tried(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(SystemExit):
        environment.home()
    assert f"tried {tmp_path}/file/.cache/mlops-actions (Not a directory)" in capsys.readouterr().err


def old(path: Path, days: float, *, complete: bool = True) -> Path:
    """An environment last used `days` ago."""
    (path / "bin").mkdir(parents=True)
    if complete:
        (path / ".complete").touch()
        (path / "bin" / "python").symlink_to(sys.executable)
        os.utime(path / ".complete", (time.time() - days * 86_400,) * 2)
    os.utime(path, (time.time() - days * 86_400,) * 2)
    return path


def test_what_nobody_used_for_a_month_is_removed_unless_somebody_holds_it(environment: ModuleType, tmp_path: Path) -> None:
    kept, month, fresh = old(tmp_path / "kept", 99), old(tmp_path / "month", 31), old(tmp_path / "fresh", 29)
    unfinished, held = old(tmp_path / "unfinished", 31, complete=False), old(tmp_path / "held", 31)
    with environment.Locked(held, exclusive=False, wait_seconds=0):
        environment.sweep(tmp_path, kept)
    assert [p.exists() for p in (kept, month, fresh, unfinished, held)] == [True, False, True, False, True]


def test_taking_an_old_one_makes_it_young_again(environment: ModuleType, tmp_path: Path) -> None:
    path = old(tmp_path / "env", 31)
    environment.take_note(path)
    environment.sweep(tmp_path, tmp_path / "other")
    assert environment.complete(path)


def test_one_whose_interpreter_was_uninstalled_is_made_again(environment: ModuleType, tmp_path: Path) -> None:
    path = old(tmp_path / "env", 1)
    (path / "bin" / "python").unlink()
    (path / "bin" / "python").symlink_to(tmp_path / "gone")
    assert not environment.complete(path)


# ── what keeps it from being made, in words: each cause for real ──────


def pip(environment: ModuleType, capsys: pytest.CaptureFixture[str], lock: Path) -> str:
    """What the job's page says of an install from this lock; it must fail."""
    command = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-cache-dir",
        "--no-deps",
        "--require-hashes",
        "--dry-run",
        "-r",
        str(lock),
    ]
    with pytest.raises(SystemExit) as caught:
        environment.run(command, "installing what the toolkit needs", environment.INDEX, log=lock.with_name("pip.log"))
    assert caught.value.code == 4
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::error")]
    assert line.endswith(f"%0A{environment.INDEX}")
    return line


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "cli.txt"
    path.write_text("tiny==1.0 --hash=sha256:" + "0" * 64 + "\n")
    return path


@pytest.mark.parametrize(
    ("index", "proxy", "words", "way_out"),
    [
        ("https://{tls}/simple", "", "the index shows a certificate that nobody here knows", "PIP_CERT="),
        ("https://{tls}/simple", "http://u:secret@{p403}", "the proxy does not let pip through", "https_proxy must name one that does"),
        (
            "https://{tls}/simple",
            "http://u:secret@{p407}",
            "the proxy asks for a user and password",
            "https_proxy=http://USER:PASSWORD@PROXY:PORT",
        ),
        ("https://{tls}/simple", "http://{closed}", "the proxy does not let pip through", "https_proxy"),
        ("https://no.such.invalid/simple", "", "nobody here knows the index's name", "PIP_INDEX_URL="),
        ("http://{closed}/simple", "", "the index cannot be reached", "PIP_INDEX_URL"),
        ("http://{hole}/simple", "", "the index does not answer", "a firewall between?"),
        ("http://me:secret@{p403}/simple", "", "the index wants other credentials", "netrc"),
        ("http://{p404}/simple", "", "the index does not have it", "mirror"),
    ],
)
def test_what_keeps_pip_from_the_index_is_told_apart(
    environment: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    lock: Path,
    index: str,
    proxy: str,
    words: str,
    way_out: str,
) -> None:
    with contextlib.ExitStack() as stack:
        servers = {f"p{status}": stack.enter_context(trouble.plain(status)) for status in (403, 404, 407)}
        servers |= {name: stack.enter_context(make()) for name, make in (("closed", trouble.closed), ("hole", trouble.hole))}
        servers["tls"] = stack.enter_context(trouble.tls(trouble.certificate(tmp_path)))
        for name in (
            "https_proxy",
            "http_proxy",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "ALL_PROXY",
            "all_proxy",
            "no_proxy",
            "NO_PROXY",
            "PIP_EXTRA_INDEX_URL",
        ):
            monkeypatch.delenv(name, raising=False)
        settings = {"PIP_INDEX_URL": index.format(**servers), "PIP_RETRIES": "0", "PIP_TIMEOUT": "1", "PIP_CONFIG_FILE": os.devnull}
        for name, value in {**settings, **({"https_proxy": proxy.format(**servers)} if proxy else {})}.items():
            monkeypatch.setenv(name, value)
        said = pip(environment, capsys, lock)
    assert f"installing what the toolkit needs failed: {words}" in said
    assert way_out in said
    assert "secret" not in said


def test_a_mirror_that_changes_a_package_is_told_as_that(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "lock").write_text(wheel(tmp_path).split("--hash")[0] + "--hash=sha256:" + "4010" * 16 + "\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    said = pip(environment, capsys, tmp_path / "lock")
    assert "failed: the index gives out another file than the one that was tested" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("Error: [Errno 122] Disk quota exceeded: '/cache/env'", "the disk is full"),
        ("OSError: [Errno 30] Read-only file system: '/opt'", "the disk is mounted read-only"),
        ("The virtual environment was not created successfully because ensurepip is not available.", "ensurepip is missing"),
        ("ImportError: libopenblas.so: failed to map segment from shared object", "from that disk nothing may be started (noexec)"),
        (
            "error: subprocess-exited-with-error\nERROR: Failed building wheel for numpy",
            "there is no ready package for this Python and machine",
        ),
        ("MemoryError", "there is not enough memory"),
        ("WARNING: ... ConnectTimeoutError ... \nERROR: No matching distribution found for numpy", "the index does not answer"),
        ("something new", ""),
    ],
)
def test_what_words_mean(environment: ModuleType, text: str, words: str) -> None:
    assert environment.cause(text)[0] == words


def test_what_the_system_killed_is_told_as_that(environment: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        environment.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "installing", "")
    assert "installing failed: it was killed: is there enough memory? (exit status -9)" in capsys.readouterr().err


def mounted(tmp_path: Path, options: str, place: Path, root: Path) -> tuple[int, str]:
    """The entry with its cache on a file system of its own; its exit code and what it said."""
    unshare = needs.require("mount", "unshare", "mount")["unshare"]
    script = f"mount -t tmpfs -o {options} none {place} && exec bash {root}/actions/run train"
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "RUNNER_TOOL_CACHE": str(place),
        "MLOPS_INPUTS": json.dumps({"python": sys.executable}),
    }
    done = subprocess.run(
        [unshare, "--map-root-user", "--mount", "sh", "-c", script], env=env, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 4 and "permitted" in done.stderr:
        needs.missing("mount", "file systems cannot be mounted here")
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("size=3m", "the disk is full ("),
        ("nr_inodes=60", "the disk is full ("),
        ("noexec", "(noexec: nothing may be started from there)"),
        ("ro", "there is no folder to keep our environment in; tried "),
    ],
)
def test_a_disk_that_takes_no_environment_ends_in_one_sentence_with_a_way_out(tmp_path: Path, options: str, words: str) -> None:
    root = repository(tmp_path / "root")
    (tmp_path / "disk").mkdir()
    code, said = mounted(tmp_path, options, tmp_path / "disk", root)
    assert code == 4, said
    (line,) = [line for line in said.splitlines() if line.startswith("::error")]
    assert words in line
    assert "RUNNER_TOOL_CACHE" in line.split("%0A", 1)[1]


def test_a_file_system_without_locks_is_not_taken_for_another_job(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Waiting a quarter of an hour for nobody would be the longer way to the same end."""
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available"), environment.Locked(tmp_path / "env", exclusive=True, wait_seconds=900):
        pass
