"""A team's repository on a forge, and jobs in it as a runner starts them: a real checkout over HTTP, the real command line, no act.

A job's step is what `actions/run` ends in: `python -m mlops_toolkit VERB` with the runner's variables, the event's file and the
action's inputs as `toJSON(inputs)` gives them. What takes long under act (our own environment, its start) is left out.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.engine.events import Event, Happenings
from tests.world import gitserver, ready
from tests.world.github import FakeGitHub, Token
from tests.world.github import serving as serving_github
from tests.world.gitserver import READ, WRITE, GitServer
from tests.world.project import CONFIG, EVALUATE, GOOD, TRAIN, Project, project

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("MLOPS_TEST_CACHE") or ROOT / ".cache").resolve()
JOB, READER = "ghs_theJobsOwnToken", "ghs_aReadersToken"
ACTION = {
    "train": "train",
    "evaluate": "evaluate",
    "compare": "compare-to-main",
    "plan": "plan",
    "report": "report",
    "publish": "publish-image",
    "deploy": "deploy",
    "review": "",
}
SPAM_FILTER = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n"}
Persisted = Literal["", "local", "file"]


@dataclass(frozen=True)
class Step:
    """How a step ended, and what it left: outputs, the job's summary, what it printed."""

    code: int
    out: str
    err: str
    outputs: dict[str, str]
    summary: str

    @property
    def log(self) -> str:
        return self.out + self.err


@dataclass
class Job:
    """One job of a workflow run on a machine of its own.

    workspace   GITHUB_WORKSPACE; inside: where in it the repository was checked out (`path:`), "" for the workspace itself
    start       what stands before the command line, as `setpriv --reuid=1001`
    """

    team: Team
    event: Event
    folder: Path
    run: int
    attempt: int
    token: str
    inside: str = ""
    start: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def root(self) -> Path:
        return self.workspace / self.inside

    @property
    def state(self) -> Path:
        return self.root / ".mlops"

    @property
    def report(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.state / "report.json").read_text())
        return made

    @property
    def record(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.state / "run.json").read_text())
        return made

    def git(self, *arguments: str) -> str:
        """git here, as the runner's user with the checkout's configuration."""
        done = subprocess.run(["git", "-C", self.root, *arguments], env=self._machine(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def checkout(
        self, *, depth: int = 1, persist: Persisted = "", credentials: str = "", ref: str = "", lfs: bool = False, partial: str = ""
    ) -> None:
        """What actions/checkout does: one commit as deep as asked, by its token; where it persists that, as versions before and from 6 do.

        credentials: what it persists instead of its token. ref: instead of the event's commit. partial: its `filter`, as blob:none.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        own = {} if lfs else {"GIT_LFS_SKIP_SMUDGE": "1"}
        sha, branch = ref or self.event.sha, re.fullmatch(r"refs/heads/(.+)", self.event.ref)
        name = f"refs/remotes/origin/{branch[1]}" if branch else re.sub("^refs/", "refs/remotes/", self.event.ref)
        deep = [*([f"--depth={depth}"] if depth else []), *([f"--filter={partial}"] if partial else [])]
        header = ["-c", f"http.{self.team.git_server.url}/.extraheader={_basic(self.token)}"]
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", self.team.git_server.address)
        self.git(*header, "fetch", "-q", "--no-tags", "--no-recurse-submodules", *deep, "origin", f"+{sha}:{name}")
        target = ["-B", branch[1], name] if branch and not ref else ["--detach", name]
        subprocess.run(["git", "-C", self.root, *header, "checkout", "-q", "--force", *target], env={**self._machine(), **own}, check=True)
        if persist:
            self._persist(persist, _basic(credentials or self.token))

    def _persist(self, how: Persisted, header: str) -> None:
        key = f"http.{self.team.git_server.url}/.extraheader"
        if how == "local":
            self.git("config", "--local", key, header)
            return
        file = self.folder / "temp" / "git-credentials.config"
        self.git("config", "--file", str(file), key, header)
        self.git("config", "--local", f"includeIf.gitdir:{self.root}/.git.path", str(file))

    def step(self, verb: str, *, code: int | None = 0, env: Mapping[str, str] | None = None, **inputs: str) -> Step:
        """Run one action; `code` is the exit code it must have (None: any). Whatever it prints holds no token and no traceback."""
        whole, left = {**self.environment(verb, inputs), **(env or {})}, self._channels()
        if self.start:
            command = [*self.start, sys.executable, "-m", "mlops_toolkit", verb]
            done = subprocess.run(command, cwd=self.workspace, env=whole, capture_output=True, text=True, check=False, timeout=120)
        else:
            done = ready.mlops([verb], cwd=self.workspace, env=whole, timeout=120)
        return self._ended(verb, code, done.returncode, done.stdout, done.stderr, left)

    def within(self, verb: str, *, code: int | None = 0, **inputs: str) -> Step:
        """The same without a process of its own, for what is asked a hundred times; the environment is this process's meanwhile."""
        from mlops_toolkit.cli import main

        out, err, left, here = io.StringIO(), io.StringIO(), self._channels(), Path.cwd()
        with _environment(self.environment(verb, inputs)):
            os.chdir(self.workspace)
            try:
                with redirect_stdout(out), redirect_stderr(err):
                    ended = main([verb])
            finally:
                os.chdir(here)
        return self._ended(verb, code, ended, out.getvalue(), err.getvalue(), left)

    def _ended(self, verb: str, code: int | None, ended: int, out: str, err: str, left: tuple[int, int]) -> Step:
        log = out + err
        assert code is None or ended == code, f"mlops {verb} ended with {ended}\n{log}"
        assert not re.search(r'File ".*mlops_toolkit/', log), log
        summary = (self.folder / "summary.md").read_text()[left[1] :]
        values = (self.folder / "output").read_text()[left[0] :]
        for secret in (self.token, _basic(self.token).rpartition(" ")[2]):
            assert secret not in log + summary + values, f"mlops {verb} shows the token"
        return Step(ended, out, err, _outputs(values), summary)

    def _channels(self) -> tuple[int, int]:
        """How much the runner's files hold already."""
        paths = [self.folder / name for name in ("output", "summary.md")]
        for path in paths:
            path.touch()
            path.chmod(0o666)
        return len(paths[0].read_text()), len(paths[1].read_text())

    def _machine(self) -> dict[str, str]:
        """What a machine of ours has, whatever runs on it."""
        home = self.team.folder / "home"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "XDG_DATA_HOME": str(self.folder / "data"), **self.env}

    def environment(self, verb: str, inputs: Mapping[str, str]) -> dict[str, str]:
        """Everything that the step's command line sees."""
        event, github = self.event, self.team.github
        (self.folder / "event.json").write_text(json.dumps(event.payload))
        pull = event.payload.get("pull_request") if event.name.startswith("pull_request") else None
        kind, name = ("tag" if event.ref.startswith("refs/tags/") else "branch"), re.sub(r"^refs/(heads|tags|pull)/", "", event.ref)
        return {
            **self._machine(),
            "PYTHONPATH": str(ROOT),
            "MPLCONFIGDIR": str(CACHE / "matplotlib"),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": event.actor,
            "GITHUB_API_URL": github.url,
            "GITHUB_GRAPHQL_URL": f"{github.url}/graphql",
            "GITHUB_SERVER_URL": self.team.git_server.url,
            "GITHUB_REPOSITORY": github.repository,
            "GITHUB_RUN_ID": str(self.run),
            "GITHUB_RUN_ATTEMPT": str(self.attempt),
            "GITHUB_SHA": event.sha,
            "GITHUB_REF": event.ref,
            "GITHUB_REF_NAME": name,
            "GITHUB_REF_TYPE": kind,
            "GITHUB_HEAD_REF": pull["head"]["ref"] if pull else "",
            "GITHUB_BASE_REF": pull["base"]["ref"] if pull else "",
            "GITHUB_EVENT_NAME": event.name,
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_JOB": "model",
            "GITHUB_WORKFLOW": "model",
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "RUNNER_ENVIRONMENT": "github-hosted",
            "MLOPS_INPUTS": json.dumps({**defaults(ACTION[verb]), "token": self.token, **inputs}),
        }

    def hand_over(self, other: Job) -> None:
        """Upload `.mlops` as an artifact here and download it there: what a later job of the workflow is given of this one."""
        for name in ("run.json", "runs"):
            source, target = self.state / name, other.state / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)


@dataclass
class Team(Happenings):
    """A repository that several people and machines work with."""

    git_server: GitServer
    folder: Path
    number: int = 800

    def job(
        self,
        event: Event,
        *,
        token: str = JOB,
        run: int | None = None,
        attempt: int = 1,
        inside: str = "",
        start: tuple[str, ...] = (),
        checkout: bool = True,
        **options: Any,
    ) -> Job:
        """A new machine with the event's commit checked out (`options` are Job.checkout's). run: of a workflow run that is already there."""
        if run is None:
            self.number += 1
        made = self.folder / "machines" / f"{len(list((self.folder / 'machines').glob('*'))):03}"
        (made / "workspace").mkdir(parents=True)
        (made / "temp").mkdir()
        job = Job(self, event, made, self.number if run is None else run, attempt, token, inside, start)
        if checkout:
            job.checkout(**options)
        return job

    def reviewed(self, event: Event, *, code: int | None = 0, **options: Any) -> Job:
        """The root action in one job."""
        job = self.job(event, **options)
        job.step("review", code=code)
        return job

    def status(self, commit: str) -> dict[str, str]:
        """The latest state of every check of a commit."""
        return {each["context"]: each["state"] for each in self.github.statuses.get(commit, [])}

    def history(self, *arguments: str) -> str:
        """git in the forge's own repository."""
        return subprocess.run(["git", "-C", self.project.remote, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    def index(self) -> list[dict[str, Any]]:
        """The recorded runs, as the history's index has them."""
        return [json.loads(line) for line in self.history("show", "mlops-history:index.jsonl").splitlines()]


@contextmanager
def team(
    folder: Path, files: dict[str, str] | None = None, *, may: frozenset[str] | None = None, charts: bool = False, like: Path | None = None
) -> Iterator[Team]:
    """A team over a new project, or over a copy of another team's folder (`like`).

    files: beside the spam filter's. may: what the job's token may write through the API.
    """
    plain = {"mlops.yaml": CONFIG + ("" if charts else "comment: {charts: false}\n")}  # drawing them takes longer than all the rest
    made = _copied(like, folder) if like else project(folder, {**SPAM_FILTER, **plain, **(files or {})})
    made.allow_any_commit()
    (folder / "home").mkdir()
    rights = Token(may=frozenset({"pull-requests", "statuses", "issues"}) if may is None else may)
    api = FakeGitHub(tokens={JOB: rights, READER: Token(may=frozenset())})
    git = GitServer(made.remote, api.repository, {JOB: WRITE, READER: READ})
    with gitserver.serving(git), serving_github(api):
        yield Team(made, api, git, folder, 850 if like else 800)  # no number of a run that is recorded already
    assert api.violations == []


def _copied(like: Path, folder: Path) -> Project:
    """A project as it stands there, with its remote and what is recorded."""
    for name in ("remote.git", "work"):
        shutil.copytree(like / name, folder / name, symlinks=True)
    made = Project(folder / "work", folder / "remote.git", commits=100)
    made.git("remote", "set-url", "origin", made.remote.as_uri())
    return made


def defaults(action: str) -> dict[str, str]:
    """An action's inputs as its description has them, the token's expression left out."""
    described = yaml.safe_load((ROOT / "actions" / action / "action.yml" if action else ROOT / "action.yml").read_text())
    return {name: str(row.get("default", "")) for name, row in described["inputs"].items() if name != "token"}


def _basic(token: str) -> str:
    return f"AUTHORIZATION: basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"


def _outputs(text: str) -> dict[str, str]:
    """The runner's output file: `name=value`, or a heredoc."""
    values, lines = {}, iter(text.splitlines())
    for line in lines:
        name, mark, end = line.partition("<<")
        if mark and "=" not in name:
            block = []
            for inner in lines:
                if inner == end:
                    break
                block.append(inner)
            values[name] = "\n".join(block)
        else:
            name, _, value = line.partition("=")
            values[name] = value
    return values


@contextmanager
def _environment(whole: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(whole)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
