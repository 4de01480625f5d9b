"""`mlops publish` whole: jobs of a team against a fake GitHub, git over HTTP, and Debian's registry behind a password."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.oci.registry import Registry
from tests.world.project import CONFIG
from tests.world.registry import Running
from tests.world.team import JOB, Job, Step, Team, team

MAY = frozenset({"pull-requests", "statuses", "issues", "contents"})


def configured(folder: Path, registry: Running, name: str, more: str = "") -> str:
    """The spam filter's mlops.yaml: its models where all machines reach them, published as an artifact, for which nothing need be built."""
    image = f"{registry.host}/{name}"
    return f"{CONFIG}comment: {{charts: false}}\nmodels: {{store: 'file:{folder}/models'}}\npublish: {{image: '{image}', as: artifact{more}}}\n"


@dataclass
class Publisher:
    """A team, and the repository of a registry that it publishes to."""

    team: Team
    registry: Running
    name: str

    def job(self, tag: str | None = None, **options: Any) -> Job:
        """A machine with a tag (or main) checked out, logged in to the registry."""
        event = self.team.tag(tag) if tag else self.team.push()
        job = self.team.job(event, **options)
        job.env |= self.registry.docker_config(job.folder / "docker")
        return job

    def publish(self, tag: str, *, code: int | None = 0, **inputs: str) -> Step:
        return self.job(tag).step("publish", code=code, **inputs)

    def tagged(self, name: str, *message: str) -> None:
        """A tag on main, pushed; with a message an object of its own."""
        arguments = ["-a", *(part for line in message for part in ("-m", line))] if message else []
        self.team.project.git("-c", "user.name=A", "-c", "user.email=a@example.org", "tag", *arguments, name, "main")
        self.team.project.git("push", "-q", "origin", f"refs/tags/{name}")

    def wrong(self, n: int, *, code: int = 0) -> str:
        """A commit on main whose model gets so many of a thousand wrong, reviewed."""
        made = self.team.project.commit(f"{n} wrong", {"src/wrong.txt": f"{n}\n"})
        self.team.reviewed(self.team.push(), code=code)
        return made

    @property
    def client(self) -> Registry:
        return Registry(self.registry.host, self.name, self.registry.login)

    def tags(self) -> dict[str, str | None]:
        """Without those under which a registry of this age keeps what refers to an image."""
        return {tag: self.client.manifest_digest(tag) for tag in self.client.tags() if not tag.startswith("sha256-")}

    def manifest(self, tag: str) -> dict[str, Any]:
        stored = self.client.pull_manifest(tag)
        assert stored is not None
        made: dict[str, Any] = json.loads(stored.content)
        return made

    def record(self, run: str) -> dict[str, Any]:
        """A run's record on the history's branch."""
        made: dict[str, Any] = json.loads(self.team.history("show", f"mlops-history:runs/{run[:4]}-{run[4:6]}/{run}/run.json"))
        return made


IMAGE = "acme/published"
Open = Callable[[str], Publisher]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, locked_registry: Running) -> Path:
    """A folder of teams, each copied for a test: `first`, whose first model is on main and recorded, and `second`, with a better one after it."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in ("first", "second"):
        (folder / name).mkdir()
    with team(folder / "first", {"mlops.yaml": configured(folder, locked_registry, IMAGE)}, may=MAY) as made:
        made.reviewed(made.push())
    with team(folder / "second", like=folder / "first", may=MAY) as made:
        Publisher(made, locked_registry, IMAGE).wrong(28)
    return folder


@pytest.fixture
def opened(tmp_path: Path, recorded: Path, locked_registry: Running) -> Iterator[Open]:
    """opened(name) -> a team as `recorded` has it, that publishes to a repository with nothing in it."""
    shutil.rmtree(locked_registry.folder / "docker/registry/v2/repositories" / IMAGE, ignore_errors=True)
    with ExitStack() as stack:

        def make(name: str) -> Publisher:
            made = stack.enter_context(team(tmp_path / "team", like=recorded / name, may=MAY))
            made.number = 900  # no number of a run that is recorded already
            return Publisher(made, locked_registry, IMAGE)

        yield make


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()


def test_a_tag_publishes_the_run_of_its_commit_once_and_says_so_everywhere(opened: Open) -> None:
    """And again: nothing is sent, nothing is written."""
    publisher = opened("second")
    team = publisher.team
    publisher.tagged("v1.2.3")
    team.github.releases.add("v1.2.3", "Thanks to everybody!")
    done = publisher.publish("v1.2.3")
    (digest,) = set(publisher.tags().values())
    assert set(publisher.tags()) >= {"v1.2.3", "1.2"}
    assert done.outputs["image"] == f"{publisher.registry.host}/{publisher.name}"
    assert done.outputs["digest"] == digest
    assert done.outputs["tags"].split()[:2] == ["v1.2.3", "1.2"]
    assert done.out.strip() == f"{done.outputs['image']}@{digest}"
    assert done.outputs["exit"] == "0"

    run = publisher.record(done.outputs["run"])
    assert run["released"] == "v1.2.3"
    (where,) = run["published"]
    assert (where["image"], where["digest"], where["as"], where["by"]) == (done.outputs["image"], digest, "artifact", None)
    marks = publisher.manifest("v1.2.3")["annotations"]
    assert marks["org.opencontainers.image.revision"] == run["commit"]
    assert marks["vnd.mlops.run"] == run["id"]
    assert marks["vnd.mlops.model.digest"] == run["trained-model"]["digest"]
    assert (marks["vnd.mlops.verdict"], json.loads(marks["vnd.mlops.metrics"])["accuracy"]) == ("passed", 0.972)
    (release,) = team.github.releases.made
    assert release["body"].startswith("Thanks to everybody!\n\n")
    assert "accuracy +0.20 pp" in release["body"]
    assert "## spam-filter" in done.summary
    assert done.outputs["release-url"] == release["html_url"]

    before, written = publisher.registry.blobs(), team.history("rev-parse", "mlops-history")
    again = publisher.publish("v1.2.3")
    assert "no blob sent" in again.err
    assert again.outputs["digest"] == digest
    assert (publisher.registry.blobs(), team.history("rev-parse", "mlops-history")) == (before, written)
    assert [call.verb for call in team.github.calls if "/releases/" in call.target].count("PATCH") == 1


def test_a_release_candidate_becomes_the_release_byte_for_byte_and_only_that_moves_the_minor(opened: Open) -> None:
    publisher = opened("second")
    team = publisher.team
    publisher.tagged("v1.3.0-rc.1")
    first = publisher.publish("v1.3.0-rc.1")
    assert "1.3" not in publisher.tags()
    assert publisher.record(first.outputs["run"])["released"] is None
    assert team.github.releases.made[0]["prerelease"] is True
    publisher.tagged("v1.3.0")
    last = publisher.publish("v1.3.0")
    assert last.outputs["digest"] == first.outputs["digest"]
    assert "no blob sent" in last.err
    assert publisher.tags()["1.3"] == last.outputs["digest"]
    assert publisher.record(first.outputs["run"])["released"] == "v1.3.0"


def test_a_model_whose_gate_failed_is_refused_and_an_override_takes_a_reason_and_is_told_everywhere(opened: Open) -> None:
    publisher = opened("first")
    team = publisher.team
    publisher.wrong(90, code=1)
    publisher.tagged("v2.0.0")
    refused = publisher.publish("v2.0.0", code=2)
    assert "its gate failed: accuracy −6.0 pp" in refused.err
    assert '--override "REASON" --by NAME' in refused.err
    assert (refused.outputs["digest"], refused.outputs["exit"]) == ("", "2")
    assert "not published" in refused.summary
    assert publisher.tags() == {}
    assert team.github.releases.made == []
    done = publisher.publish("v2.0.0", override="the labels were wrong before")
    (where,) = publisher.record(done.outputs["run"])["published"]
    assert (where["by"], where["reason"]) == ("octocat", "the labels were wrong before")
    assert "its gate failed" in where["against"][0]
    marks = publisher.manifest("v2.0.0")["annotations"]
    assert (marks["vnd.mlops.verdict"], marks["vnd.mlops.override"]) == ("overridden", "octocat: the labels were wrong before")
    assert "Published by octocat, who said: the labels were wrong before" in team.github.releases.made[0]["body"]
    assert "published against its gate by octocat" in done.err


def test_a_squash_merge_publishes_the_pull_request_s_run_and_names_the_release_before(opened: Open) -> None:
    publisher = opened("first")
    team, project = publisher.team, publisher.team.project
    publisher.tagged("v1.0.0")
    assert publisher.publish("v1.0.0", override="the first").outputs["exit"] == "0"
    project.branch("better")
    head = project.commit("Better", {"src/wrong.txt": "25\n"})
    tree = project.git("rev-parse", "HEAD^{tree}")
    pull = team.pull_request(7, head, "better")
    team.reviewed(pull)
    project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--squash", "better")
    project.commit("Better (#7)", {})
    assert project.git("rev-parse", "HEAD^{tree}") == tree
    publisher.tagged("v1.1.0")
    done = publisher.publish("v1.1.0")
    assert "recorded by pull request #7 for the same files as" in done.err
    body = team.github.releases.made[-1]["body"]
    assert "The release before it is [v1.0.0]" in body
    assert "| accuracy | 0.9700 | 0.9750 | +0.5 pp |" in body


def test_of_several_models_at_one_commit_the_tag_s_message_says_which(tmp_path: Path, locked_registry: Running) -> None:
    names = {model: f"acme/{tmp_path.name[:40].replace('_', '-')}/{model}" for model in ("ham", "spam")}
    files = {
        f"models/{model}/mlops.yaml": configured(tmp_path, locked_registry, name).replace("spam-filter", model)
        for model, name in names.items()
    }
    source = _sources()
    files |= {f"models/{model}/{name}": text for model in names for name, text in source.items()}
    with team(tmp_path / "team", files, may=MAY) as made:
        made.job(made.push()).step("review", config="models/*/mlops.yaml")
        publisher = Publisher(made, locked_registry, names["spam"])
        publisher.tagged("v1.0.0")
        said = publisher.publish("v1.0.0", code=2, config="models/*/mlops.yaml").err
        assert "2 models were recorded at" in said
        (run,) = [line["i"] for line in made.index() if "|spam|" in line["k"]]
        assert f"spam: run {run}" in said
        publisher.tagged("v1.0.1", "The spam filter alone", f"mlops-run: {run}")
        done = publisher.publish("v1.0.1", config="models/*/mlops.yaml", override="the first one")
        assert done.outputs["run"] == run
        assert done.outputs["image"].endswith("/spam")
        assert "v1.0.1" in publisher.tags()
        publisher.tagged("ham/v2.0.0")
        done = publisher.publish("ham/v2.0.0", config="models/*/mlops.yaml", override="the first one")
        assert done.outputs["image"].endswith("/ham")
        assert done.outputs["tags"].split()[0] == "v2.0.0"


def _sources() -> dict[str, str]:
    from tests.world.project import EVALUATE, TRAIN

    return {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": "30\n", ".gitignore": "model/\n"}


def test_a_released_tag_is_nobody_else_s(opened: Open) -> None:
    """The tag was moved in git, to another model: the registry's stays."""
    publisher = opened("second")
    team = publisher.team
    publisher.tagged("v1.0.0")
    first = publisher.publish("v1.0.0")
    publisher.wrong(27)
    team.project.git("tag", "-d", "v1.0.0")
    team.project.git("push", "-q", "origin", ":refs/tags/v1.0.0")
    publisher.tagged("v1.0.0")
    refused = publisher.publish("v1.0.0", code=2)
    assert "the tag v1.0.0 is another image's" in refused.err
    assert publisher.tags()["v1.0.0"] == first.outputs["digest"]


def test_what_is_still_judged_is_waited_for_as_long_as_the_configuration_says(opened: Open) -> None:
    publisher = opened("first")
    team = publisher.team
    waits = configured(team.folder.parent, publisher.registry, publisher.name, ", wait: 1s")
    commit = team.project.commit("Waits", {"mlops.yaml": waits, "src/wrong.txt": "29\n"})
    team.job(team.push()).step("plan")  # marks the check as pending
    publisher.tagged("v1.0.0")
    refused = publisher.publish("v1.0.0", code=2)
    assert f"spam-filter is still being judged at {commit[:7]}: waiting for it, 1 s at most" in refused.err
    after = re.search(r"after ([0-9.]+) s", refused.err)
    assert after
    assert float(after[1]) >= 1


def test_a_model_that_cannot_be_reached_is_an_error_that_says_where_it_is(opened: Open, recorded: Path) -> None:
    publisher = opened("second")
    publisher.tagged("v1.0.0")
    store = (recorded / "models").rename(recorded / "gone")
    try:
        refused = publisher.publish("v1.0.0", code=4)
    finally:
        store.rename(recorded / "models")
    assert "cannot be had" in refused.err
    assert publisher.tags() == {}


def test_a_token_that_may_not_write_is_told_the_lines_to_paste_and_the_image_is_out_all_the_same(opened: Open) -> None:
    publisher = opened("second")
    publisher.tagged("v1.0.0")
    publisher.team.github.tokens[JOB].may = MAY - {"contents"}
    done = publisher.publish("v1.0.0")
    assert "v1.0.0" in publisher.tags()
    assert "the release is not written" in done.err
    assert "contents: write" in done.err
