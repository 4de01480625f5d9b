"""The actions as a workflow runs them: act executes the shipped workflow files against a fake GitHub and a real git remote.

What stands in for the rest of the world is small: `runs-on` names this machine, checkout is a shallow fetch of the commit from
the remote, and the two artifact actions copy a folder (`artifacts.py`). Every job has a workspace of its own, empty at first, and a
token of its own, which may what its `permissions:` say.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests import needs
from tests.engine import artifacts
from tests.engine.events import Event, Happenings
from tests.world.project import CONFIG, EVALUATE, GOOD, TRAIN

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "workflows-templates"
SHIPPED = (
    "action.yml",
    "actions",
    "train",
    "evaluate",
    "compare-to-main",
    "plan",
    "report",
    "publish-image",
    "deploy",
    "monitor",
    "mlops_toolkit",
    "requirements",
)
PLAIN = f"{CONFIG}comment: {{charts: false}}\n"  # pictures take the longest of a comparison; test_review.py draws them
JOB_TOKEN = "ghs_the_job_s_own"
READ_ONLY = "ghs_reads_only"
CHECKOUT = """\
name: checkout
description: fetches one commit, as deep as the real one does
inputs: {ref: {default: ''}, persist-credentials: {default: 'true'}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {REF: "${{ inputs.ref }}"}
      run: |
        git init -q . && git remote add origin "$MLOPS_TEST_REMOTE"
        git fetch -q --no-tags --depth=1 origin "${REF:-$GITHUB_SHA}" && git checkout -q --force --detach FETCH_HEAD
        case "${REF:+detached}$GITHUB_REF" in refs/heads/*) git checkout -q -B "${GITHUB_REF#refs/heads/}" ;; esac
"""
STAND_INS = {"checkout": "checkout", "upload-artifact": "upload", "download-artifact": "download", "attest": "attest"}
ATTEST = """\
name: attest
description: says what is attested
inputs: {subject-name: {default: ''}, subject-digest: {default: ''}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {SUBJECT: "${{ inputs.subject-name }}@${{ inputs.subject-digest }}"}
      run: echo "attested $SUBJECT"
"""


@dataclass(frozen=True)
class Ran:
    """What a workflow run did.

    outputs   by the name of our action, as its caller sees them; inner: as its step set them
    jobs      how each job ended, by its id, one for each leg of a matrix; what never started is not there
    logs      what each job printed, by its name
    number    GITHUB_RUN_ID
    """

    passed: bool
    outputs: dict[str, dict[str, str]]
    inner: dict[str, dict[str, str]]
    summary: str
    annotations: list[tuple[str, str]]
    log: str
    jobs: dict[str, list[str]]
    logs: dict[str, str]
    number: int

    @property
    def trainings(self) -> int:
        """How often the user's training command ran."""
        return self.log.count("training with")


@dataclass
class Engine(Happenings):
    """One repository's CI: act, the fake GitHub, our actions (a `release`) as `org/mlops-actions@v1`."""

    act: str
    folder: Path
    ours: Path
    number: int = 800
    token: str = JOB_TOKEN
    env: dict[str, str] = field(default_factory=dict)

    def install(self) -> None:
        """Lay out what stands in for GitHub's own actions."""
        self.project.allow_any_commit()
        for name, verb in STAND_INS.items():
            (self.folder / name).mkdir()
            whole = {"checkout": CHECKOUT, "attest": ATTEST}
            (self.folder / name / "action.yml").write_text(whole.get(name) or _artifact_action(verb))

    def server(self) -> str:
        """A GITHUB_SERVER_URL where the repository lies at its name, for a job that has no checkout to ask for its remote."""
        place = self.folder / "server" / self.github.repository
        if not place.exists():
            place.parent.mkdir(parents=True)
            place.symlink_to(self.project.remote)
        return (self.folder / "server").as_uri()

    def artifact(self, ran: Ran, name: str) -> Path:
        """The folder with what a run uploaded."""
        return self.folder / "artifacts" / str(ran.number) / name

    def run(self, event: Event, flow: str = "model.yml", *, number: int | None = None, token: str | None = None, **env: str) -> Ran:
        """Run the workflow file `flow` of the commit that GitHub takes it from. number: of a run that is run again."""
        with self.running(event, flow, number=number, token=token, **env) as process:
            out, err = process.communicate(timeout=300)
        return _ran(process.returncode, out, err, self.number if number is None else number)

    @contextmanager
    def running(
        self, event: Event, flow: str = "model.yml", *, number: int | None = None, token: str | None = None, **env: str
    ) -> Iterator[subprocess.Popen[str]]:
        """The same while it runs; whatever still does when the block ends is killed, as a machine that is lost."""
        if number is None:
            self.number += 1
            number = self.number
        own = self.folder / "events" / str(number)
        own.mkdir(parents=True, exist_ok=True)
        (own / "event.json").write_text(json.dumps(event.payload))
        text = self.project.git("show", f"{event.sha}:.github/workflows/{flow}")
        (own / flow).write_text(text)
        self._give_tokens(text, token or self.token)
        command = self._command(event, own, flow, text, number, token or self.token, env)
        home = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "XDG_CACHE_HOME": str(cache() / "home")}
        with subprocess.Popen(
            command, cwd=own, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def _give_tokens(self, text: str, token: str) -> None:
        """A token for each job of a workflow: what the repository's allows (nothing but reading, for a fork's), of what the job asks for."""
        whole, of_all = yaml.safe_load(text), self.github.tokens[token]
        for name, job in whole["jobs"].items():
            asked = job.get("permissions", whole.get("permissions", {}))
            written = {key for key, value in asked.items() if value == "write"}
            self.github.tokens[f"{token}-{name}"] = replace(of_all, may=of_all.may & written, may_read=of_all.may_read & asked.keys())

    def _command(self, event: Event, own: Path, flow: str, text: str, number: int, token: str, env: dict[str, str]) -> list[str]:
        command = [self.act, event.name, "--json", "-W", str(own / flow), "-e", str(own / "event.json"), "--actor", event.actor]
        command += ["-P", "self-hosted=-self-hosted", "-s", f"GITHUB_TOKEN={token}"]
        command += ["--action-cache-path", str(cache() / "act"), "--no-cache-server", "--no-skip-checkout"]
        server = f"{env['GITHUB_SERVER_URL']}/" if "GITHUB_SERVER_URL" in env else ""  # act looks for actions there, too
        command += ["--local-repository", f"{server}org/mlops-actions@v1={self.ours}"]
        for name, commit in sorted(set(re.findall(r"actions/([a-z-]+)@([0-9a-f]{40})", text))):
            command += ["--local-repository", f"{server}actions/{name}@{commit}={self.folder / name}"]
        variables = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": str(number),
            "GITHUB_REF": event.ref,
            "SHA_REF": event.sha,  # act's name for GITHUB_SHA
            "RUNNER_ENVIRONMENT": "self-hosted",
            "MLOPS_TEST_ARTIFACTS": str(self.folder / "artifacts"),
            "MLOPS_TEST_REMOTE": self.project.remote.as_uri(),
            "MLOPS_TEST_SEEN": str(self.folder / "seen.json"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            **self.env,
            **env,
        }
        for key, value in variables.items():
            command += ["--env", f"{key}={value}"] if value else []  # a job's own `env:` does not count beside it
        return command

    def step(self, verb: str, env: dict[str, str], cwd: Path | None = None) -> subprocess.Popen[str]:
        """One action's step without act, started as a runner starts it, in the environment that act's runs use."""
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "RUNNER_TOOL_CACHE": str(cache() / "act" / "tool_cache")}
        command = ["bash", str(self.ours / "actions" / "run"), verb]
        return subprocess.Popen(
            command,
            cwd=cwd or self.project.root,
            env={**own, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def runner(self, event: Event, number: int, **inputs: str) -> dict[str, str]:
        """The variables that a runner gives a step of run `number`, whose commit is to be checked out. inputs: of the action."""
        own = self.folder / "events" / str(number)
        own.mkdir(parents=True, exist_ok=True)
        (own / "event.json").write_text(json.dumps(event.payload))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event.name,
            "GITHUB_EVENT_PATH": str(own / "event.json"),
            "GITHUB_SHA": event.sha,
            "GITHUB_REF": event.ref,
            "GITHUB_REF_NAME": event.ref.removeprefix("refs/heads/").removeprefix("refs/"),
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": str(number),
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "RUNNER_ENVIRONMENT": "self-hosted",
            "XDG_DATA_HOME": str(self.folder / "data"),
            "MLOPS_INPUTS": json.dumps({"token": self.token, **inputs}),
        }


def release(folder: Path) -> Path:
    """Our files as a release has them: what is not shipped (tests, a virtual environment) is not there.

    One thing differs: the token that the actions take by themselves names the job, since act has one for all.
    """
    folder.mkdir()
    for name in SHIPPED:
        source = ROOT / name
        if source.is_symlink():
            (folder / name).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for path in (folder / "action.yml", *folder.glob("actions/*/action.yml")):
        path.write_text(path.read_text().replace("${{ github.token }}", "${{ github.token }}-${{ github.job }}"))
    return folder


def _artifact_action(verb: str) -> str:
    inputs = ", ".join(f"{name}: {{default: ''}}" for name in artifacts.INPUTS[verb])
    return f"""\
name: {verb}
description: {verb}s files
inputs: {{{inputs}}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {{ARTIFACT: "${{{{ toJSON(inputs) }}}}"}}
      run: exec {sys.executable} -I {artifacts.__file__} {verb}
"""


def _ran(code: int, out: str, err: str, number: int) -> Ran:
    outputs: dict[str, dict[str, str]] = {}
    within: dict[str, dict[str, str]] = {}
    jobs: dict[str, list[str]] = {}
    logs: dict[str, str] = {}
    summary, annotations, log = [], [], []
    for line in out.splitlines():
        entry: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        command, inner = entry.get("command"), len(entry.get("stepID") or []) > 1
        if entry.get("raw_output"):
            log.append(entry["msg"])
            job = entry["job"].partition("/")[2].strip()
            logs[job] = logs.get(job, "") + entry["msg"]
        if "jobResult" in entry:
            jobs.setdefault(entry["jobID"], []).append(entry["jobResult"])
        if command == "set-output":
            side, name = within if inner else outputs, entry["step"].partition("@")[0].rpartition("/")[2]
            side.setdefault(name, {})[entry["name"]] = entry["arg"]
        elif command == "summary" and inner:
            summary.append(entry.get("content") or entry["msg"])
        elif command in ("error", "warning", "notice"):
            annotations.append((command, entry["arg"]))
    return Ran(code == 0, outputs, within, "\n".join(summary), annotations, "".join(log) or err, jobs, logs, number)


def cache() -> Path:
    """Where what is slow to make stays between test runs: our environment, matplotlib's list of fonts."""
    return Path(os.environ.get("MLOPS_TEST_CACHE") or ROOT / ".cache").resolve() / "engine"


def workflow(template: str) -> str:
    """A shipped workflow, run on this machine."""
    return (TEMPLATES / template).read_text().replace("ubuntu-latest", "self-hosted")


def models(*names: str) -> dict[str, str]:
    """The files of a repository of several models, each in its own folder, and saying what of it it depends on."""
    files = {".gitignore": "model/\n", "README.md": "Models.\n"}
    for name in names:
        own = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", "mlops.yaml": PLAIN.replace("spam-filter", name)}
        own["mlops.yaml"] = own["mlops.yaml"].replace("  task:", "  inputs: [evaluate.py]\n  task:")
        files |= {f"models/{name}/{path}": text for path, text in own.items()}
    return files


def program() -> str:
    """act's path; skips the test where it is not installed."""
    return needs.require("act", "act")["act"]
