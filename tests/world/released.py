"""Marking a recorded run as released, in the forge's own repository: what publishing a model will do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

BRANCH = "refs/heads/mlops-history"


def mark(remote: Path, run: str, name: str | None = "v1.2", *, env: dict[str, str] | None = None, **more: Any) -> None:
    """The run is released under a name, on the branch of a bare repository. name None: its record is lost, while its line stays.

    more: what else its record says
    """
    index = remote / "index-of-the-tests"
    whole = {**(env or dict(os.environ)), "GIT_INDEX_FILE": str(index)}
    author = {
        f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
    }

    def git(*args: str, data: str | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(remote), *args], env={**whole, **author}, input=data, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(path: str, change: Callable[[str], str]) -> None:
        blob = git("hash-object", "-w", "--stdin", data=change(git("show", f"{BRANCH}:{path}"))).strip()
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")

    def lines(text: str) -> str:
        found: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
        return "".join(json.dumps({**line, "R": 1} if line["i"] == run else line, separators=(",", ":")) + "\n" for line in found)

    git("read-tree", BRANCH)
    record = f"runs/{run[:4]}-{run[4:6]}/{run}/run.json"
    write("index.jsonl", lines)
    if name is None:
        git("update-index", "--index-info", data=f"0 {'0' * 40}\t{record}\n")
    else:
        write(record, lambda text: json.dumps({**json.loads(text), "released": name, **more}))
    tip = git("rev-parse", BRANCH).strip()
    commit = git("commit-tree", git("write-tree").strip(), "-p", tip, "-m", f"Release {run}").strip()
    git("update-ref", BRANCH, commit)
    index.unlink()
