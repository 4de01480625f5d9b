"""A team whose model is trained elsewhere: a laptop that records it, machines that review it, and the web where it lies."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mlops_toolkit.config import pointer
from tests.world.repository import Repository, clean_environment

LOCK = "models/spam.lock"
REPORTED = """\
name: spam-filter
model: models/spam.lock
evaluate: {task: classification, metrics: [accuracy], slices: [language]}
gate: {accuracy: {max-drop: 1pp}}
comment: {charts: false}
"""
COMPUTED = REPORTED.replace("evaluate: {", "evaluate: {run: python3 evaluate.py, inputs: [evaluate.py], ")
EVALUATE = """\
import json, os, pathlib
said = os.environ["MLOPS_MODEL"]
pathlib.Path(os.environ["MLOPS_RUN_DIR"], "seen.txt").write_text(said)
wrong = json.loads(pathlib.Path(said).read_text())["wrong"] if not said.startswith("vendor:") else len(pathlib.Path("prompt.txt").read_text())
rows = [f"m{i},{'ab'[i % 2]},{'ab'[(i + (i < wrong)) % 2]},{'de' if i % 4 == 0 else 'en'}" for i in range(2000)]
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(["id,target,prediction,language", *rows]) + "\\n")
"""


def rows(wrong: int) -> str:
    """What a model answers that gets the first so many of 2,000 wrong."""
    lines = [f"m{i},{'ab'[i % 2]},{'ab'[(i + (i < wrong)) % 2]},{'de' if i % 4 == 0 else 'en'}" for i in range(2000)]
    return "\n".join(["id,target,prediction,language", *lines]) + "\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Team:
    """A laptop (or cluster) that records, and a CI on another machine that reviews; `models` is a folder of the web at `url`."""

    folder: Path
    laptop: Repository
    models: Path
    url: str
    machines: list[Repository] = field(default_factory=list)
    last: subprocess.CompletedProcess[str] | None = None

    def record(self, model: str, wrong: int | None, *options: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Record a model that gets so many wrong."""
        answers = []
        if wrong is not None:
            (self.folder / f"{wrong}.csv").write_text(rows(wrong))
            answers = ["--predictions", str(self.folder / f"{wrong}.csv")]
        return self.laptop.mlops("record", model, *answers, *options, code=code, **env)

    def push(self, message: str, branch: str = "main") -> str:
        """Commit everything on the laptop and push it, history included."""
        made = self.laptop.commit(message)
        self.laptop.git("push", "-q", "origin", f"HEAD:{branch}")
        self.laptop.mlops("history", "push")
        return made

    def ci(self, verb: str = "review", *, branch: str = "main", code: int | None = 0, number: int | None = None) -> Repository:
        """A job on a machine of its own that checks a branch out; of a pull request into main where it is another."""
        root = self.folder / f"machine{len(self.machines)}"
        subprocess.run(
            ["git", "clone", "-q", "--branch", branch, self.laptop.git("remote", "get-url", "origin"), str(root / "work")], check=True
        )
        made = Repository(root / "work", clean_environment(root / "home"))
        (root / "home").mkdir()
        self.machines.append(made)
        self.again(made, verb, branch=branch, code=code, number=number)
        return made

    def again(
        self, machine: Repository, verb: str = "review", *, branch: str = "main", code: int | None = 0, number: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A job on a machine that is there already."""
        sha = machine.git("rev-parse", "HEAD")
        env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": "http://127.0.0.1:9",
            "GITHUB_REPOSITORY": "owner/repository",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": str(number or len(self.machines) * 10),
            "GITHUB_SHA": sha,
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF": f"refs/heads/{branch}",
            "GITHUB_REF_NAME": branch,
            "RUNNER_ENVIRONMENT": "self-hosted",
        }
        if branch != "main":
            pull = {
                "number": 7,
                "head": {"sha": sha, "ref": branch, "repo": {"full_name": "owner/repository"}},
                "base": {"ref": "main", "repo": {"full_name": "owner/repository"}},
            }
            event = self.folder / "event.json"
            event.write_text(
                json.dumps({"number": 7, "pull_request": pull, "repository": {"full_name": "owner/repository", "default_branch": "main"}})
            )
            env |= {
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_EVENT_PATH": str(event),
                "GITHUB_BASE_REF": "main",
                "GITHUB_HEAD_REF": branch,
                "GITHUB_REF": "refs/pull/7/merge",
                "GITHUB_REF_NAME": "7/merge",
            }
        self.last = done = machine.mlops(verb, code=code, **env)
        return done

    def configure(self, text: str) -> None:
        (self.laptop.root / "mlops.yaml").write_text(text)

    @property
    def said(self) -> str:
        """What the last job said."""
        assert self.last is not None
        return self.last.stdout + self.last.stderr

    @property
    def pointer(self) -> pointer.Pointer:
        return pointer.loads((self.laptop.root / LOCK).read_bytes(), where=LOCK)


@contextlib.contextmanager
def at_work(tmp_path: Path) -> Iterator[Team]:
    """A repository that is pushed, without any pointer yet."""
    remote, root, models = tmp_path / "remote.git", tmp_path / "laptop" / "work", tmp_path / "web"
    root.mkdir(parents=True)
    models.mkdir()
    laptop = Repository(root, clean_environment(tmp_path / "laptop" / "home"))
    laptop.git("init", "-q", "-b", "main")
    laptop.git("init", "-q", "--bare", "-b", "main", str(remote))
    laptop.git("remote", "add", "origin", str(remote))
    (root / "evaluate.py").write_text(EVALUATE)
    (root / "mlops.yaml").write_text(REPORTED)
    laptop.commit("An evaluation")
    laptop.git("push", "-q", "origin", "main")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(models)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Team(tmp_path, laptop, models, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def weights(team: Team, wrong: int, name: str = "spam.json") -> str:
    """A model on the web; its address."""
    (team.models / name).write_text(json.dumps({"wrong": wrong}))
    return f"{team.url}/{name}"


def on_main(team: Team, wrong: int = 100, *options: str) -> None:
    """A model recorded on main, and main's own run of it."""
    team.record(weights(team, wrong, f"{wrong}.json"), wrong, *options)
    team.push("The first model")
    team.ci()


def proposed(team: Team, wrong: int, *options: str, model: str = "") -> None:
    """Another model recorded on a branch."""
    team.laptop.git("switch", "-q", "-c", "next")
    team.record(model or weights(team, wrong, f"{wrong}.json"), wrong, *options)
    team.push("Another model", "next")
