"""Takes the cached environment of the toolkit, or makes it, and becomes `mlops VERB` in it.

Run by whatever Python a machine has, with nothing but its standard library; the syntax is that of 3.6, so that an old one
can still say that it is too old. The environment is keyed by what decides its content (the lock, the interpreter), made once
under a file lock, and complete when its file `.complete` is there: a job that was killed midway leaves none.
"""

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"publish": "publish.txt"}  # what a verb needs beyond the others' lock; it has an environment of its own then
FORMAT = b"1"  # raise when environments are made in another way
DAY_SECONDS = 24 * 3600
OLD_SECONDS = 30 * DAY_SECONDS
PATIENCE_SECONDS = 900
PLACES = (("RUNNER_TOOL_CACHE", ""), ("RUNNER_TEMP", ""), ("XDG_CACHE_HOME", ""), ("HOME", ".cache"))
# What would make pip install elsewhere, and what is nobody's business while a package's own code may run.
NOT_FOR_PIP = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "MLOPS_INPUTS", "GITHUB_TOKEN")
INDEX = "the first run needs a package index; your pip configuration, PIP_INDEX_URL and proxies are honoured"
ROOM = "make room there, or name a folder on another disk by RUNNER_TOOL_CACHE: the environment takes about 500 MB"
# What venv's and pip's words mean, the first that is found: pip ends with "no matching distribution" whatever kept it from looking.
CAUSES = (
    (r"No space left on device|Errno 28\b|Disk quota exceeded|Errno 122\b", "the disk is full", ROOM),
    (r"Read-only file system|Errno 30\b", "the disk is mounted read-only", "name a folder that can be written by RUNNER_TOOL_CACHE"),
    (
        r"ensurepip is not available|No module named '?(ensurepip|venv)\b",
        "ensurepip is missing",
        "install it: apt-get install python3-venv",
    ),
    (
        r"Operation not permitted|Permission denied|Errno 13\b",
        "this user may not write there",
        "name a folder that can be written by RUNNER_TOOL_CACHE",
    ),
    (
        r"failed to map segment",
        "from that disk nothing may be started (noexec)",
        "mount it without noexec, or name another by RUNNER_TOOL_CACHE",
    ),
    (
        r"DO NOT MATCH THE HASHES|hash mismatch",
        "the index gives out another file than the one that was tested",
        "is it a mirror that builds or changes packages? try without it, or report it",
    ),
    (
        r"407 Proxy|Proxy Authentication",
        "the proxy asks for a user and password",
        "https_proxy=http://USER:PASSWORD@PROXY:PORT in the runner's .env, or pip's `proxy`",
    ),
    (
        r"ProxyError|Tunnel connection failed|[Cc]annot connect to proxy",
        "the proxy does not let pip through",
        "https_proxy must name one that does; no_proxy=HOST goes to an index without it",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed",
        "the index shows a certificate that nobody here knows",
        "PIP_CERT=/path/to/your-ca.pem in the runner's .env, or pip config set global.cert /path/to/your-ca.pem",
    ),
    (
        r"SSLError|\[SSL:",
        "the connection to the index is broken off",
        "does a firewall or proxy look into it? (https_proxy, no_proxy, PIP_CERT)",
    ),
    (
        r"NameResolutionError|name resolution|Name or service not known|nodename nor servname|getaddrinfo failed",
        "nobody here knows the index's name (no network, or no DNS)",
        "PIP_INDEX_URL=https://your-mirror/simple, or https_proxy, in the runner's .env",
    ),
    (
        r"HTTP error 40[13]|40[13] (Client )?Error|Unauthorized",
        "the index wants other credentials",
        "PIP_INDEX_URL=https://USER:PASSWORD@HOST/simple, or a netrc file of this user",
    ),
    (
        r"ConnectTimeout|ReadTimeout|[Tt]imed out",
        "the index does not answer",
        "a firewall between? PIP_INDEX_URL names a mirror, https_proxy a way out",
    ),
    (
        r"Connection refused|NewConnectionError|Connection reset|Network is unreachable|RemoteDisconnected",
        "the index cannot be reached",
        "PIP_INDEX_URL names a mirror, https_proxy a way out",
    ),
    (
        r"building wheel|subprocess-exited-with-error|metadata-generation-failed",
        "there is no ready package for this Python and machine",
        "name another Python (3.10 to 3.14) with the input `python`, on a glibc system",
    ),
    (
        r"No matching distribution|Could not find a version|HTTP error 404|404 Client Error",
        "the index does not have it for this Python and machine",
        "is it a mirror that lacks it? or name another Python with the input `python`",
    ),
    (r"MemoryError|Cannot allocate memory|Errno 12\b", "there is not enough memory", "give the job more, or fewer jobs to the machine"),
)
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


def cause(text, status=1):
    """What a failure's words mean, and the way out; ("", "") of words that are not known here."""
    if status in (-9, 137):
        return "it was killed: is there enough memory?", "give the job more, or fewer jobs to the machine"
    return next(((words, hint) for pattern, words, hint in CAUSES if re.search(pattern, text)), ("", ""))


def requirements():
    """The lock of what the verb needs."""
    return ROOT / "requirements" / LOCKS.get(sys.argv[1] if len(sys.argv) > 1 else "", "cli.txt")


def key():
    """The folder's name: two environments of one name hold the same."""
    interpreter = [sys.version, str(Path(sys.base_prefix).resolve()), getattr(sys.implementation, "_multiarch", sys.platform)]
    digest = hashlib.sha256(b"\0".join([FORMAT, requirements().read_bytes(), *map(os.fsencode, interpreter)]))
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
        if not os.access(str(place), os.W_OK | os.X_OK):
            tried.append(f"{place} (not writable)")
        elif os.statvfs(str(place)).f_flag & getattr(os, "ST_NOEXEC", 0):
            tried.append(f"{place} (noexec: nothing may be started from there)")
        else:
            return place
    hint = "name a folder that this user may write to, and start programs from, by RUNNER_TOOL_CACHE"
    return fail(f"there is no folder to keep our environment in; tried {', '.join(tried) or ', '.join(v for v, _ in PLACES)}", hint)


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
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EINTR):
                    raise  # a file system without locks: nobody else is at work
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


def run(arguments, what, hint, log=None):
    """Run one step of the making; its output is shown only if it fails. log: of pip, which says there why it found nothing."""
    arguments = [*arguments, *(["--log", str(log)] if log else [])]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_PIP and not name.startswith("PYTHON")}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    done = subprocess.run(
        arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
        lines = [re.sub(r"(?<=//)[^/@\s]+@", "", line) for line in lines]  # an index's address may hold a password
        sys.stderr.write("\n".join(lines) + "\n")
        told = log.read_text("utf-8", "replace") if log and log.exists() else ""
        words, way_out = cause("\n".join([*lines, told]), done.returncode)
        fail(f"{what} failed: {words} ({lines[-1][:300]})" if words else f"{what} failed: {lines[-1][:300]}", f"{way_out}\n{hint}".strip())
    if log and log.exists():
        log.unlink()


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
    python = str(path / "bin" / "python")
    run([sys.executable, "-I", "-m", "venv", "--without-pip", str(path)], f"making a virtual environment in {path}", "")
    # By ourselves, because venv keeps to itself what ensurepip said.
    run([python, "-I", "-m", "ensurepip", "--upgrade", "--default-pip"], f"making a virtual environment in {path}", "")
    pip = [python, "-I", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-deps", "--require-hashes"]
    run([*pip, "-r", str(requirements())], "installing what the toolkit needs", INDEX, log=path / "pip.log")
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
        words, way_out = cause(f"{error}")
        fail(f"our environment cannot be made or used: {words or error}" + (f" ({error})" if words else ""), way_out)


if __name__ == "__main__":
    main()
