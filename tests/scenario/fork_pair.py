"""A repository on a fake GitHub with main recorded, and both halves of the pair for pull requests of strangers, as the steps run them.

(A) trains and evaluates a head with a token that only reads; its `.mlops` is the artifact. (B) judges that folder in an empty workspace.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.entry import Index
from tests.world.github import FakeGitHub, Token
from tests.world.repository import CONFIG, EVALUATE, TRAIN, clean_environment

ROOT = Path(__file__).parents[2]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from mlops_toolkit.cli import main; sys.exit(main())"  # as actions/run does
TOKEN = "ghs_0123456789abcdefTRUSTED"


@dataclass
class Pair:
    """`server` holds the bare repository; `work` is a clone, in which the heads are made."""

    folder: Path
    github: FakeGitHub
    env: dict[str, str] = field(default_factory=dict)
    runs: int = 100
    trained: dict[str, int] = field(default_factory=dict)

    @property
    def remote(self) -> Path:
        return self.folder / "server" / self.github.repository

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", "-C", str(self.work), *args], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, message: str, **files: str) -> str:
        for name, text in files.items():
            path = self.work / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def mlops(self, *args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-I", "-c", START, str(ROOT), *args],
            cwd=cwd,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=300,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    def event(self, payload: dict[str, Any]) -> str:
        path = self.folder / "event.json"
        path.write_text(json.dumps(payload))
        return str(path)

    def actions(self, name: str, payload: dict[str, Any], run: int, sha: str, **more: str) -> dict[str, str]:
        """The environment of a step."""
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": self.event(payload),
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_SERVER_URL": (self.folder / "server").as_uri(),
            "GITHUB_API_URL": self.github.url,
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SHA": sha,
            "GITHUB_REF_NAME": "main",
            "RUNNER_ENVIRONMENT": "github-hosted",
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            **more,
        }

    def main(self, *flags: str) -> str:
        """Review and record the tip of main, as a push does. flags: of the command line."""
        sha = self.git("rev-parse", "main")
        self.git("switch", "-q", "--detach", "main")
        self.runs += 1
        payload = {"repository": {"full_name": self.github.repository, "default_branch": "main"}, "ref": "refs/heads/main"}
        env = self.actions("push", payload, self.runs, sha, MLOPS_TOKEN=TOKEN)
        done = self.mlops("review", *flags, cwd=self.work, **env)
        assert done.returncode == 0, done.stderr
        for state in [*self.work.rglob(".mlops")]:
            shutil.rmtree(state)
        return sha

    def head(self, wrong: int, *, number: int = 5, fork: bool = True, branch: str = "feature", **files: str) -> str:
        """A pull request's head from main whose model gets `wrong` examples wrong; open on the forge, its merge where GitHub keeps it."""
        self.git("switch", "-q", "-C", branch, "main")
        sha = self.commit(f"{wrong} wrong, #{number} {branch}", params_json=json.dumps({"wrong": wrong}), **files)
        self.offer(sha, number=number, fork=fork, branch=branch)
        return sha

    def forget(self) -> None:
        """What was posted so far."""
        for thing in (self.github.comments, self.github.statuses, self.github.issues, self.github.requests):
            thing.clear()

    def offer(self, sha: str, *, number: int = 5, fork: bool = True, branch: str = "feature", merge: bool = True) -> None:
        self.github.add_pull(number, head=sha, head_branch=branch, fork=fork)
        self.git("push", "-q", "-f", "origin", f"{sha}:refs/pull/{number}/head")
        if merge:
            tree = self.git("rev-parse", f"{sha}^{{tree}}")
            made = self.git("commit-tree", "-p", "main", "-p", sha, "-m", f"Merge {sha} into main", tree)
            self.git("push", "-q", "-f", "origin", f"{made}:refs/pull/{number}/merge")

    def train(
        self,
        sha: str,
        *flags: str,
        number: int = 5,
        fork: bool = True,
        branch: str = "feature",
        dependabot: bool = False,
        into: str = "",
        **env: str,
    ) -> Path:
        """(A): the head trained and evaluated by a token that only reads; the artifact as it is downloaded.

        flags: of the command line; into: its folder in the artifact of the same CI run, where several jobs hand over
        """
        if sha not in self.trained:
            self.runs += 1
            self.trained[sha] = self.runs
        self.git("switch", "-q", "--detach", sha)
        theirs = "someone/models" if fork else self.github.repository
        pull = {
            "number": number,
            "head": {"sha": sha, "ref": branch, "repo": {"full_name": theirs}},
            "base": {"ref": "main", "repo": {"full_name": self.github.repository}},
            "user": {"login": "dependabot[bot]" if dependabot else "someone"},
        }
        payload = {"action": "synchronize", "number": number, "pull_request": pull}
        step = self.actions("pull_request", payload, self.trained[sha], sha, GITHUB_HEAD_REF=branch, GITHUB_BASE_REF="main", **env)
        for verb in ("train", "evaluate"):
            done = self.mlops(verb, *flags, cwd=self.work, **step)
            assert done.returncode == 0, done.stderr
        artifact = self.folder / f"artifact-{self.trained[sha]}"
        for state in [*self.work.rglob(".mlops")]:
            to = artifact / into / state.parent.relative_to(self.work)
            to.mkdir(parents=True)
            shutil.copy(state / "run.json", to)
            shutil.copytree(state / "runs", to / "runs")
            shutil.rmtree(state)
        return artifact

    def ended(
        self, sha: str, *, fork: bool | None = True, event: str = "pull_request", branch: str = "feature", **more: Any
    ) -> dict[str, Any]:
        """The payload of `workflow_run: completed`. fork None: the fork is deleted."""
        theirs = {"full_name": "someone/models", "owner": {"login": "someone"}}
        ours = {"full_name": self.github.repository, "owner": {"login": self.github.repository.partition("/")[0]}}
        run = {
            "id": self.trained.get(sha, self.runs),
            "run_attempt": 1,
            "event": event,
            "conclusion": "success",
            "status": "completed",
            "head_sha": sha,
            "head_branch": branch,
            "head_repository": None if fork is None else theirs if fork else ours,
            "repository": ours,
            "pull_requests": [],
            "actor": {"login": "someone"},
            "triggering_actor": {"login": "someone"},
        }
        return {"action": "completed", "workflow_run": run | more, "repository": ours | {"default_branch": "main"}}

    def judge(
        self,
        artifact: Path | None,
        payload: dict[str, Any],
        *,
        workspace: Callable[[Path], None] | None = None,
        config: str = "mlops.yaml",
        run: str = "handed",
        **env: str,
    ) -> Judged:
        """(B): an empty workspace with the artifact in `handed`, and the step."""
        self.runs += 1
        place = self.folder / f"workspace-{self.runs}"
        place.mkdir()
        if artifact is not None:
            shutil.copytree(artifact, place / "handed", symlinks=True)
        if workspace is not None:
            workspace(place)
        temp = self.folder / "temp"
        temp.mkdir(exist_ok=True)
        for name in ("output", "summary"):
            (self.folder / name).write_text("")
        inputs = {"config": config, "run": run, "token": TOKEN, "comment": "true", "metrics": "", "base": "", "matrix": ""}
        step = self.actions("workflow_run", payload, self.runs, self.git("rev-parse", "main"), MLOPS_INPUTS=json.dumps(inputs), **env)
        done = self.mlops("compare", cwd=place, **step)
        return Judged(self, place, done, payload["workflow_run"]["head_sha"])


@dataclass
class Judged:
    """What became of it."""

    pair: Pair
    workspace: Path
    done: subprocess.CompletedProcess[str]
    head: str

    @property
    def report(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.workspace / ".mlops" / "report.json").read_text())
        return made

    @property
    def error(self) -> str | None:
        found = self.report["error"]
        return found["name"] if found else None

    @property
    def comments(self) -> list[str]:
        return [body for number in self.pair.github.comments for body in self.pair.github.bodies(number)]

    @property
    def statuses(self) -> dict[str, str]:
        """The latest state of each check at the head."""
        return {each["context"]: each["state"] for each in self.pair.github.statuses.get(self.head, [])}

    @property
    def looks(self) -> list[Entry]:
        """Of strangers' runs what the history has: that they were judged."""
        return [entry for entry in self._entries if entry.status == "judged"]

    @property
    def recorded(self) -> list[Entry]:
        """The runs of the history, without what is known of strangers'."""
        return [entry for entry in self._entries if entry.status != "judged"]

    @property
    def _entries(self) -> list[Entry]:
        """The history as the remote has it, oldest first."""
        show = ["git", "-C", str(self.pair.remote), "show", "mlops-history:index.jsonl"]
        entries = Index.parse(subprocess.run(show, capture_output=True, check=True).stdout).entries
        return [entries[name] for name in sorted(entries)]


def make(folder: Path, github: FakeGitHub, *, config: str = CONFIG, wrong: int = 100, files: dict[str, str] | None = None) -> Pair:
    """A repository whose main gets `wrong` of 2,000 examples wrong; `main` has still to record it."""
    home = folder / "home"
    home.mkdir(parents=True)
    made = Pair(folder, github, clean_environment(home))
    github.tokens[TOKEN] = Token(may=frozenset({"pull-requests", "statuses", "issues"}))
    made.remote.parent.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(made.remote)], check=True, env=made.env)
    for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):  # as GitHub has them
        subprocess.run(["git", "-C", str(made.remote), "config", setting, "true"], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(made.work)], check=True, env=made.env)
    made.git("remote", "add", "origin", made.remote.as_uri())
    for name, text in (files or {"train.py": TRAIN, "evaluate.py": EVALUATE, "mlops.yaml": config, ".gitignore": "model/\n"}).items():
        place = made.work / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    made.commit("first", params_json=json.dumps({"wrong": wrong}))
    made.git("push", "-q", "origin", "main")
    return made


def rewritten(artifact: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The artifact with another record, in both places where it lies."""
    record = json.loads((artifact / "run.json").read_text())
    identity = record["id"]
    change(record)
    for place in (artifact / "run.json", artifact / "runs" / identity / "run.json"):
        place.write_text(json.dumps(record))
    return artifact


def predictions(artifact: Path) -> Path:
    """The file of predictions in it."""
    (found,) = artifact.glob("runs/*/predictions/*.parquet")
    return found


def answered(artifact: Path, change: Callable[[Any], Any]) -> Path:
    """The artifact with other predictions (a polars frame to another), named by the record as they are."""
    import polars as pl

    path = predictions(artifact)
    frame = change(pl.read_parquet(path))
    frame.write_parquet(path)
    return renamed(artifact)


def renamed(artifact: Path) -> Path:
    """The record names the file of predictions as it is now."""
    import hashlib

    raw = predictions(artifact).read_bytes()

    def change(record: dict[str, Any]) -> None:
        record["evaluations"][""]["predictions"] |= {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}

    return rewritten(artifact, change)


def secrets(folder: Path) -> list[Path]:
    """The files below a folder that hold the token."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_file() and not path.is_symlink() and TOKEN.encode() in path.read_bytes():
                found.append(path)
    return found
