"""Throw-away git repositories for tests, drawn as text, and records to put in a history."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from mlops_toolkit.ci import Context
from mlops_toolkit.history.base import Bundle
from mlops_toolkit.history.branch import GitHistory, open_history
from mlops_toolkit.records.run import Evaluation, Fingerprints, GateOutcome, MetricValue, Run
from mlops_toolkit.system.clock import Clock, FixedClock
from mlops_toolkit.system.git import Git

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_{what}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}
NOW = datetime(2026, 11, 24, 9, 30, 11, tzinfo=timezone.utc)
CI = Context(provider="github", event="push", branch="main", default_branch="main", server_url="https://github.com")


def git(folder: Path, *args: str, data: bytes | None = None) -> str:
    """Run git in a folder; its output."""
    done = subprocess.run(["git", "-C", str(folder), *args], env=ENV, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def bare_remote(folder: Path, *, filters: bool = True) -> Path:
    """An empty bare repository that serves as origin."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    if filters:
        git(folder, "config", "uploadpack.allowFilter", "true")
    return folder


def clone(remote: Path, folder: Path, *args: str) -> Git:
    """A clone over file://, as a CI has it."""
    git(remote, "clone", "--quiet", *args, remote.as_uri(), str(folder))
    return Git(folder, ENV)


def draw(remote: Path, graph: str) -> dict[str, str]:
    """Commits in `remote`, a line a commit: `NAME: PARENT… [= NAME of the commit whose tree it has]`; the names become branches.

    Each commit has its own tree unless `=` gives it another's. Returns name -> commit id.
    """
    made: dict[str, str] = {}
    for line in filter(None, map(str.strip, graph.splitlines())):
        name, _, rest = line.partition(":")
        parents, _, same = (part.strip() for part in rest.partition("="))
        if same:
            tree = git(remote, "rev-parse", f"{made[same]}^{{tree}}")
        else:
            blob = git(remote, "hash-object", "-w", "--stdin", data=name.encode())
            tree = git(remote, "mktree", data=f"100644 blob {blob}\tmodel.txt\n".encode())
        arguments = [word for parent in parents.split() for word in ("-p", made[parent])]
        made[name] = git(remote, "commit-tree", tree, *arguments, "-m", f"change {name}")
        git(remote, "update-ref", f"refs/heads/{name}", made[name])
    return made


def record(number: int = 0, *, accuracy: float = 0.9, **fields: object) -> Run:
    """A finished run whose id follows from `number`."""
    month, second = divmod(number, 1000)
    values = {
        "id": f"2026{month % 12 + 1:02d}10-{second // 60 + 100000:06d}-{number:06x}",
        "model": "spam",
        "commit": f"{number:040x}",
        "tree": f"{number + 7:040x}",
        "status": "succeeded",
        "branch": "main",
        "event": "push",
        "metrics": {"accuracy": MetricValue(accuracy, 100, "accuracy/1", "higher")},
        "evaluations": {"": Evaluation()},
        "fingerprints": Fingerprints(f"sha256:{number + 1:064x}", f"sha256:{number + 2:064x}"),
        "gate": GateOutcome("passed", "pass", sentence=f"spam: accuracy {accuracy}"),
        **fields,
    }
    return Run(**values)  # type: ignore[arg-type]


def bundle(number: int = 0, files: Mapping[str, bytes] | None = None, **fields: object) -> Bundle:
    """What is recorded of such a run."""
    return Bundle(record(number, **fields), None, files or {})  # type: ignore[arg-type]


def history(
    clone: Git, *, context: Context = CI, at: str = "mlops-history", clock: Clock | None = None, token: str | None = None
) -> GitHistory:
    """The history as a verb opens it."""
    made = open_history(
        clone.root / ".mlops", at, git=clone, context=context, token=lambda: token, clock=clock or FixedClock(NOW), rng=random.Random(1)
    )
    assert isinstance(made, GitHistory)
    return made
