"""Takes the cached environment of the toolkit, or makes it, and becomes `mlops VERB` in it.

Run by whatever Python a machine has, with nothing but its standard library; the syntax is that of 3.6, so that an old one
can still say that it is too old. The environment is keyed by what decides its content (the lock, the interpreter), made once
under a file lock, and complete when its file `.complete` is there: a job that was killed midway leaves none.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "cli.txt"
FORMAT = b"1"  # raise when environments are made in another way
DAY_SECONDS = 24 * 3600
OLD_SECONDS = 30 * DAY_SECONDS
PATIENCE_SECONDS = 900
PLACES = (("RUNNER_TOOL_CACHE", ""), ("RUNNER_TEMP", ""), ("XDG_CACHE_HOME", ""), ("HOME", ".cache"))
# What would make pip install elsewhere, and what is nobody's business while a package's own code may run.
NOT_FOR_PIP = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "MLOPS_INPUTS", "GITHUB_TOKEN")
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from mlops_toolkit.cli import main; sys.exit(main())"


def fail(message, hint=""):
    """End as the toolkit does where its environment fails: a sentence in the log and on the job's page, exit code 4."""
    text = f"{message}\n{hint}".strip()
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stderr.write(f"::error title=mlops::{escaped}\n")
    if os.environ.get("GITHUB_OUTPUT"):
        with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
            outputs.write("exit=4\n")
    sys.exit(4)


def key():
    """The folder's name: two environments of one name hold the same."""
    interpreter = [sys.version, str(Path(sys.base_prefix).resolve()), getattr(sys.implementation, "_multiarch", sys.platform)]
    digest = hashlib.sha256(b"\0".join([FORMAT, REQUIREMENTS.read_bytes(), *map(os.fsencode, interpreter)]))
    return f"{sys.implementation.cache_tag}-{os.uname().machine}-{digest.hexdigest()[:16]}"


def home():
    """Where environments are kept: beside the runner's own tools, else in its temporary folder, else in the user's cache."""
    named = [(os.environ.get(variable), below) for variable, below in PLACES]
    tried = []
    for place in [Path(base, below, "mlops-actions") for base, below in named if base]:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            tried.append(f"{place} ({error.strerror})")
            continue
        if os.access(str(place), os.W_OK | os.X_OK):
            return place
        tried.append(f"{place} (not writable)")
    return fail(f"there is no folder to keep our environment in; tried {', '.join(tried) or ', '.join(v for v, _ in PLACES)}")


class Locked:
    """A lock on an environment, shared by those who take it or exclusive; the kernel frees it when the holder ends, however it ends."""

    def __init__(self, path, exclusive, wait_seconds):
        self.path, self.exclusive, self.wait_seconds = path.with_name(path.name + ".lock"), exclusive, wait_seconds

    def __enter__(self):
        """Whether it is held; False once `wait_seconds` are over."""
        import fcntl

        self.handle = os.open(str(self.path), os.O_RDWR | os.O_CREAT, 0o666)
        until, said = time.monotonic() + self.wait_seconds, not self.wait_seconds
        while True:
            try:
                fcntl.flock(self.handle, (fcntl.LOCK_EX if self.exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                return True
            except OSError:
                if time.monotonic() >= until:
                    return False
            if not said:
                sys.stderr.write("mlops: another job is making our environment; waiting for it\n")
                said = True
            time.sleep(0.05)

    def __exit__(self, *_):
        os.close(self.handle)


def complete(path):
    """Whether an environment can be used: made to its end, and its interpreter still there."""
    return (path / ".complete").exists() and os.access(str(path / "bin" / "python"), os.X_OK)


def unused_seconds(path):
    """Since when nobody has used it, to the day; an unfinished one is as old as its folder."""
    marker = path / ".complete"
    return time.time() - (marker if marker.exists() else path).stat().st_mtime


def take_note(path):
    """Keep an environment in use from being swept away; under the lock, since a sweeper may be looking at it now."""
    if unused_seconds(path) > DAY_SECONDS:
        with Locked(path, exclusive=False, wait_seconds=PATIENCE_SECONDS):
            if complete(path):
                os.utime(str(path / ".complete"))


def run(arguments, what, hint):
    """Run one step of the making; its output is shown only if it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_PIP and not name.startswith("PYTHON")}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    done = subprocess.run(
        arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
        sys.stderr.write("\n".join(lines) + "\n")
        fail(f"{what} failed: {lines[-1][:300]}", hint)


def make(path):
    """Make the environment at its final place (a virtual environment cannot be moved), marked complete at the very end."""
    shutil.rmtree(str(path), ignore_errors=True)
    sys.stderr.write("mlops: making our own environment, once for this machine\n")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        hint = "install it (Debian, Ubuntu: apt-get install python3-venv), or name another Python with the input `python`"
        fail(f"{sys.executable} has no module {error.name}", hint)
    run([sys.executable, "-I", "-m", "venv", str(path)], f"making a virtual environment in {path}", "is the disk full?")
    pip = [str(path / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-deps", "--require-hashes"]
    hint = "the first run needs a package index; your pip configuration, PIP_INDEX_URL and proxies are honoured"
    run([*pip, "-r", str(REQUIREMENTS)], "installing what the toolkit needs", hint)
    marker = path / ".complete.tmp"
    with marker.open("w") as file:
        os.fsync(file.fileno())
    marker.replace(path / ".complete")


def sweep(folder, kept):
    """Remove environments that nobody has used for a month; one that is being made or taken is locked and stays."""
    for path in sorted(folder.iterdir()):
        if path == kept or not path.is_dir() or unused_seconds(path) < OLD_SECONDS:
            continue
        with Locked(path, exclusive=True, wait_seconds=0) as held:
            if held and path.is_dir() and unused_seconds(path) >= OLD_SECONDS:
                shutil.rmtree(str(path), ignore_errors=True)


def take():
    """The path of a complete environment."""
    folder = home()
    path = folder / key()
    if complete(path):
        take_note(path)
        if complete(path):
            return path
    with Locked(path, exclusive=True, wait_seconds=PATIENCE_SECONDS) as held:
        if not held:
            fail(f"another job has been making {path} for {PATIENCE_SECONDS // 60} minutes", "end it, or remove the folder")
        if not complete(path):
            make(path)
    sweep(folder, path)
    return path


def main():
    """Become `mlops` with this process's arguments."""
    if sys.version_info < (3, 10):  # noqa: UP036 (an old Python must be able to say so)
        hint = "name a newer one with the input `python`; it is for the toolkit only, your commands keep their own"
        fail(f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}; the toolkit needs 3.10 or newer", hint)
    if not hasattr(os, "uname"):
        fail(f"the actions run on Linux and macOS; this is {sys.platform}")
    try:
        python = str(take() / "bin" / "python")
        os.execv(python, [python, "-I", "-c", START, str(ROOT), *sys.argv[1:]])  # noqa: S606 (no shell is the point)
    except OSError as error:
        fail(f"our environment cannot be made or used: {error}")


if __name__ == "__main__":
    main()
