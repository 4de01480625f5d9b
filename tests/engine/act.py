"""The actions as a workflow runs them: act executes the shipped workflow files against a fake GitHub and a real git remote.

What stands in for the rest of the world is small: `runs-on` names this machine, and the two artifact actions copy a folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import needs
from tests.world.github import FakeGitHub
from tests.world.project import Project

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "workflows-templates"
SHIPPED = ("action.yml", "actions", "train", "evaluate", "compare-to-main", "mlops_toolkit", "requirements")
JOB_TOKEN = "ghs_the_job_s_own"
UPLOAD = """\
name: upload
description: keeps files
inputs: {name: {required: true}, path: {required: true}, include-hidden-files: {default: 'false'}, if-no-files-found: {default: ''}, retention-days: {default: ''}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", FILES: "${{ inputs.path }}"}
      run: |
        mkdir -p "$MLOPS_TEST_ARTIFACTS/$NAME"
        for each in $FILES; do if [ -e "$each" ]; then cp -r "$each" "$MLOPS_TEST_ARTIFACTS/$NAME/"; fi; done
"""
DOWNLOAD = """\
name: download
description: brings them
inputs: {name: {required: true}, path: {required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", FOLDER: "${{ inputs.path }}"}
      run: mkdir -p "$FOLDER"; cp -r "$MLOPS_TEST_ARTIFACTS/$NAME/." "$FOLDER/"
"""


@dataclass(frozen=True)
class Ran:
    """What a workflow run did. outputs: by the name of our action, as its caller sees them; inner: as its step set them."""

    passed: bool
    outputs: dict[str, dict[str, str]]
    inner: dict[str, dict[str, str]]
    summary: str
    annotations: list[tuple[str, str]]
    log: str


@dataclass
class Engine:
    """One repository's CI: act, the fake GitHub, our actions as `org/mlops-actions@v1`."""

    act: str
    folder: Path
    project: Project
    github: FakeGitHub
    number: int = 800
    token: str = JOB_TOKEN
    env: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> Path:
        return self.folder / "ours"

    def install(self) -> None:
        """Lay our files out as a release has them: what is not shipped (tests, a virtual environment) is not there."""
        self.ours.mkdir()
        for name in SHIPPED:
            source = ROOT / name
            if source.is_symlink():
                (self.ours / name).symlink_to(source.readlink())
            elif source.is_dir():
                shutil.copytree(source, self.ours / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.ours / name)
        for name, text in (("upload-artifact", UPLOAD), ("download-artifact", DOWNLOAD)):
            (self.folder / name).mkdir()
            (self.folder / name / "action.yml").write_text(text)

    def pull_request(self, number: int, head: str, branch: str, *, fork: bool = False) -> tuple[str, dict[str, Any]]:
        """The event of a pull request whose head is pushed; its test merge is checked out."""
        self.github.add_pull(number, head=head, head_branch=branch, fork=fork)
        repository = {"full_name": self.github.repository}
        self.project.test_merge(head)
        sides = {
            "head": {"sha": head, "ref": branch, "repo": {"full_name": "someone/models"} if fork else repository},
            "base": {"sha": self.project.git("rev-parse", "main"), "ref": "main", "repo": repository},
        }
        return "pull_request", {"number": number, "pull_request": {"number": number, "user": {"login": "octocat"}, **sides}}

    def push(self) -> tuple[str, dict[str, Any]]:
        """The event of a push to main, which is checked out."""
        self.project.git("checkout", "-q", "main")
        return "push", {"ref": "refs/heads/main", "after": self.project.git("rev-parse", "HEAD")}

    def run(self, event: tuple[str, dict[str, Any]]) -> Ran:
        """Run the workflow of the commit that is checked out."""
        self.number += 1
        name, payload = event
        file = self.folder / "event.json"
        about = {"full_name": self.github.repository, "private": True, "default_branch": "main"}
        file.write_text(json.dumps({**payload, "repository": about}))
        flow = (self.project.root / ".github" / "workflows" / "model.yml").read_text()
        command = [self.act, name, "--json", "-e", file, "-P", "self-hosted=-self-hosted", "-s", f"GITHUB_TOKEN={self.token}"]
        command += ["--action-cache-path", cache() / "act", "--no-cache-server"]
        command += ["--local-repository", f"org/mlops-actions@v1={self.ours}"]
        for artifact, commit in set(re.findall(r"actions/((?:up|down)load-artifact)@([0-9a-f]{40})", flow)):
            command += ["--local-repository", f"actions/{artifact}@{commit}={self.folder / artifact}"]
        variables = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": str(self.number),
            "RUNNER_ENVIRONMENT": "self-hosted",
            "MLOPS_TEST_ARTIFACTS": str(self.folder / "artifacts"),
            "MLOPS_TEST_SEEN": str(self.folder / "seen.json"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            **self.env,
        }
        for key, value in variables.items():
            command += ["--env", f"{key}={value}"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "XDG_CACHE_HOME": str(cache() / "home")}
        done = subprocess.run(command, cwd=self.project.root, env=env, capture_output=True, text=True, check=False, timeout=300)
        return _ran(done)

    def step(self, verb: str, env: dict[str, str]) -> subprocess.Popen[str]:
        """One action's step without act, started as a runner starts it, in the environment that act's runs use."""
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "RUNNER_TOOL_CACHE": str(cache() / "act" / "tool_cache")}
        command = ["bash", self.ours / "actions" / "run", verb]
        return subprocess.Popen(
            command,
            cwd=self.project.root,
            env={**own, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def _ran(done: subprocess.CompletedProcess[str]) -> Ran:
    outputs: dict[str, dict[str, str]] = {}
    within: dict[str, dict[str, str]] = {}
    summary, annotations, log = [], [], []
    for line in done.stdout.splitlines():
        entry = json.loads(line) if line.startswith("{") else {}
        command, inner = entry.get("command"), len(entry.get("stepID") or []) > 1
        if entry.get("raw_output"):
            log.append(entry["msg"])
        if command == "set-output":
            side, name = within if inner else outputs, entry["step"].partition("@")[0].rpartition("/")[2]
            side.setdefault(name, {})[entry["name"]] = entry["arg"]
        elif command == "summary" and inner:
            summary.append(entry.get("content") or entry["msg"])
        elif command in ("error", "warning", "notice"):
            annotations.append((command, entry["arg"]))
    return Ran(done.returncode == 0, outputs, within, "\n".join(summary), annotations, "".join(log) or done.stderr)


def cache() -> Path:
    """Where what is slow to make stays between test runs: our environment, matplotlib's list of fonts."""
    return Path(os.environ.get("MLOPS_TEST_CACHE") or ROOT / ".cache").resolve() / "engine"


def workflow(template: str) -> str:
    """A shipped workflow, run on this machine."""
    return (TEMPLATES / template).read_text().replace("ubuntu-latest", "self-hosted")


def program() -> str:
    """act's path; skips the test where it is not installed."""
    return needs.require("act", "act")["act"]
