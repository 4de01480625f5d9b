"""Other people's training programs, each installed from its lock into an environment of its own that is kept between runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.check import ROOT, beside_python
from tests.needs import missing

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("MLOPS_TEST_CACHE") or ROOT / ".cache" / "programs")
GIT = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Ada") | dict.fromkeys(
    ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "ada@example.org"
)


def environment(program: str) -> Path:
    """The folder with the `python` of a virtual environment that holds the program; made once, under a lock, whole or not at all."""
    lock = HERE / program / "requirements.txt"
    key = f"{program}-py{sys.version_info[0]}{sys.version_info[1]}-{zlib.crc32(lock.read_bytes()):08x}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{key}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        made = CACHE / key
        if not (made / "complete").exists():
            shutil.rmtree(made, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", *(["--without-pip"] if has_uv() else []), str(made)], check=True, timeout=120)
            done = subprocess.run(install(made, lock), capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                missing("programs", f"{program} could not be installed: {done.stderr.strip()[-300:]}")
            (made / "complete").touch()
        return made / "bin"


def has_uv() -> bool:
    return Path(beside_python("uv")).is_file()


def install(made: Path, lock: Path) -> list[str]:
    python = str(made / "bin" / "python")
    if has_uv():
        return [beside_python("uv"), "pip", "install", "-q", "--link-mode=copy", "--python", python, "--require-hashes", "-r", str(lock)]
    return [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]


@dataclass
class Project:
    """A user's repository with the program's environment first on PATH; `mlops` runs as its own program, outside of that environment."""

    folder: Path
    env: dict[str, str]

    def sh(self, command: str) -> str:
        """A shell command of the user's; its output. It must succeed."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self, message: str) -> None:
        self.sh(f"git add --all && git commit --quiet --message '{message}'")

    def mlops(self, *arguments: str, expected: int = 0) -> str:
        """A verb; its output. It must end with the expected exit code."""
        env = {**self.env, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "mlops_toolkit", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == expected, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """Makes the named program's project a git repository, without its first commit."""

    def make(program: str) -> Project:
        folder = tmp_path / program
        shutil.copytree(HERE / program, folder, ignore=shutil.ignore_patterns("requirements.txt", "__pycache__"))
        keep = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join([str(environment(program)), os.environ.get("PATH", os.defpath)])
        home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share"), "GIT_CONFIG_NOSYSTEM": "1"}
        made = Project(folder, {**keep, **GIT, **home, "PATH": path})
        made.sh("git init --quiet --initial-branch main && printf '.mlops/\\n__pycache__/\\nmodel/\\ndata/\\n' > .gitignore")
        return made

    return make
