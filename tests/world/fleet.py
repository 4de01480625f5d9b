"""A team whose releases run on a host in memory: jobs against a fake GitHub and a registry; orders are carried out by the real executor."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.cli import main
from tests.world import proven
from tests.world.deploy_target import Hosts, hosts
from tests.world.fake_registry import FakeRegistry
from tests.world.once import once
from tests.world.project import CONFIG, GOOD, HARMLESS
from tests.world.released import mark
from tests.world.team import JOB, Job, Step, Team, team

__all__ = ["Fleet", "fleet", "hosts", "judged", "laptop"]

MAY = frozenset({"pull-requests", "statuses", "contents", "deployments"})
ROLLOUT = "rollout: {steps: [{share: 25%, hold: 30s, most: 2m}], start: 30s}, watch: 1m"
DEPLOY = f"deploy: {{production: {{target: docker, url: 'https://spam.example.com', env: [SPAM_KEY], wait: 30s, {ROLLOUT}}}}}\n"


@dataclass
class Fleet:
    """A team, the registry that it published to, and the host that its releases run on."""

    team: Team
    registry: FakeRegistry
    hosts: Hosts
    runs: tuple[str, str]

    def release(self, run: str, name: str, *, tag: bool = True, **more: Any) -> str:
        """What `mlops publish` leaves of a run: an image with its proofs, a tag of git, a line in the record; the image's digest.

        tag: whether the tag of git is made, too. more: of `proven.published`
        """
        image = self.image("acme/spam", run, **more)
        published = {"image": image.partition("@")[0], "digest": image.partition("@")[2], "tags": [name], "as": "image"}
        before = self.record(run)["published"]
        mark(self.team.project.remote, run, name, published=[*before, {**published, "at": "2026-11-24T10:00:00Z"}])
        if tag:
            self._tag(run, name)
        return image.partition("@")[2]

    def image(self, repository: str, run: str, *, model: str = "spam-filter", **more: Any) -> str:
        """An image with its proofs in the registry, NAME@sha256:…"""
        commit = self.record(run)["commit"]
        made = proven.published(self.registry.host, repository, model=model, id=run, commit=commit, seed=int(run[-4:], 16), **more)
        return f"{made.registry.name}@{made.subject.digest}"

    def tagged(self, run: str, name: str) -> Job:
        """The deploying job of a tag that is not published yet."""
        self._tag(run, name)
        return self.job(name)

    def _tag(self, run: str, name: str) -> None:
        self.team.project.git("tag", name, self.record(run)["commit"])
        self.team.project.git("push", "-q", "origin", f"refs/tags/{name}")

    def configure(self, change: Callable[[str], str], files: dict[str, str]) -> None:
        """Another mlops.yaml on main, and files beside it."""
        text = (self.team.project.root / "mlops.yaml").read_text()
        assert change(text) != text
        self.team.project.commit("Other settings", {"mlops.yaml": change(text), **files})

    def job(self, tag: str | None = None, **options: Any) -> Job:
        job = self.team.job(self.team.tag(tag) if tag else self.team.push(), **options)
        job.env["SPAM_KEY"] = "s3cr3t-of-the-server"
        return job

    def deploy(self, tag: str, *, code: int = 0, **inputs: str) -> Step:
        return self.job(tag).within("deploy", code=code, **inputs)

    def record(self, run: str) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.team.history("show", f"mlops-history:runs/{run[:4]}-{run[4:6]}/{run}/run.json"))
        return made


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a team with two judged models on main, merged by pull requests 11 and 12."""

    def make(folder: Path) -> None:
        with team(folder, {"mlops.yaml": f"{CONFIG}comment: {{charts: false}}\n{DEPLOY}"}, may=MAY) as made:
            for number, wrong in ((11, GOOD - 1), (12, HARMLESS)):
                made.project.commit(f"A model (#{number})", {"src/wrong.txt": f"{wrong}\n"})
                made.reviewed(made.push())

    return once(tmp_path_factory, "judged", make)


@pytest.fixture
def fleet(tmp_path: Path, judged: Path, hosts: Hosts) -> Iterator[Fleet]:
    with FakeRegistry().serving() as registry, team(tmp_path, like=judged, may=MAY) as made:
        first, second = (str(line["i"]) for line in made.index())
        found = Fleet(made, registry, hosts, (first, second))
        for number, run in ((11, first), (12, second)):
            made.github.add_pull(number, head="f" * 40, merged=found.record(run)["commit"], state="closed")
        yield found
    assert made.github.violations == []


def laptop(job: Job, *words: str, code: int = 0) -> Step:
    """The command line as a person gives it who may push, in the same checkout."""
    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    before = dict(os.environ)
    os.chdir(job.root)
    header = base64.b64encode(f"x-access-token:{JOB}".encode()).decode()
    asked = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{job.team.git_server.url}/.extraheader"}
    os.environ.update({**job.env, **asked, "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {header}"})
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = main(list(words))
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    assert ended == code, err.getvalue() + out.getvalue()
    return Step(ended, out.getvalue(), err.getvalue(), {}, "")
