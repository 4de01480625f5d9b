"""Programs we call for their answer (git, kubectl): arguments as a list, output captured, never a shell.

The user's own commands do not go through here but through `supervise`, which streams and can be cancelled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure

# What is said to us alone: the password for a registry (oci/auth.py), the key that signs images and its password (supply/keys.py), the
# token that Prometheus is asked with (monitor/issue.py).
OURS = ("MLOPS_REGISTRY_PASSWORD", "COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD", "MLOPS_MONITOR_TOKEN")


@dataclass(frozen=True)
class Completed:
    """What a program answered: exit status, both streams as bytes."""

    args: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text without the final newline."""
        return self.stdout.decode("utf-8", "replace").rstrip("\n")

    @property
    def trouble(self) -> str:
        """The last non-empty line of standard error: what to show a person."""
        lines = [line for line in self.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.status}"


def run(
    args: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    data: bytes | None = None,
    timeout_seconds: float = 600,
    whole: bool = False,
) -> Completed:
    """Run a program to its end. A missing program or a time-out is an EnvironmentFailure; a non-zero exit is the caller's to judge.

    env: the whole environment of the program (None: ours), but for our secrets (OURS). data: bytes for its standard input (None: empty).
    whole: after a time-out the programs that it started are ended too, like the helper with which git speaks to a server.
    """
    try:
        done = (_run_group if whole else subprocess.run)(
            list(args),
            cwd=cwd,
            env={name: value for name, value in (os.environ if env is None else env).items() if name not in OURS},
            input=data or b"",
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise EnvironmentFailure("program-missing", f"{args[0]} is not installed", hint=f"install {args[0]} and try again") from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailure("program-hangs", f"{args[0]} gave no answer within {timeout_seconds:.0f} s") from error
    except OSError as error:
        raise EnvironmentFailure("program-fails", f"{args[0]} could not be started: {error}") from error
    return Completed(tuple(args), done.returncode, done.stdout, done.stderr)


def _run_group(args: Sequence[str], *, input: bytes, timeout: float, **settings: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: A002
    """subprocess.run in a process group of its own, which ends as a whole."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **{k: v for k, v in settings.items() if k in ("cwd", "env")}}
    with subprocess.Popen(list(args), stdin=subprocess.PIPE, start_new_session=True, **settings) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
