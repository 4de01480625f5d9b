"""What the forge itself says of the token's rights: asked for what this job needs, told with the lines to paste."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlops_toolkit.doctor.checks.permissions import check
from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.forge.memory import Memory
from tests.unit.doctor.places import environment, git, job, patient, repository
from tests.world.github import serving
from tests.world.github_repository import Token
from tests.world.repository import Repository

TWO_JOBS = (Path(__file__).parents[3] / "workflows-templates/pull-request.yml").read_text()
HERE = "acme/models/.github/workflows/model.yml@refs/pull/7/merge"


class Asked(Memory):
    """A forge that remembers what it was asked for."""

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        self.outputs["asked"] = "; ".join(filter(None, [self.outputs.get("asked"), *permissions]))
        return super().lacks(permissions)


def found(tmp_path: Path, forge: Memory, *, read_only: bool = False, **env: str) -> list[Finding]:
    root = repository(tmp_path, {".github/workflows/model.yml": TWO_JOBS})
    return list(check(patient(root, environment(tmp_path, **env), context=job(read_only_token=read_only), forge=forge)))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("train", "contents: read"),
        ("model", "contents: write; pull-requests: write; statuses: write"),
        ("another", "contents: write; pull-requests: write; statuses: write"),
    ],
)
def test_a_job_is_asked_for_what_it_needs(tmp_path: Path, name: str, asked: str) -> None:
    forge = Asked()
    (finding,) = found(tmp_path, forge, GITHUB_WORKFLOW_REF=HERE, GITHUB_JOB=name)
    assert (finding.level, forge.outputs["asked"]) == ("fine", asked)


def test_a_right_that_the_forge_refuses_is_told_with_the_job_s_lines(tmp_path: Path) -> None:
    """The file may say what it likes: an organisation's setting can take it away."""
    (finding,) = found(tmp_path, Memory(missing=("statuses: write",)), GITHUB_WORKFLOW_REF=HERE, GITHUB_JOB="model")
    assert (finding.level, finding.message) == ("problem", "the token may not do this: `statuses: write`")
    assert yaml.safe_load(finding.hint or "")["jobs"]["model"]["permissions"]["statuses"] == "write"


def test_a_job_is_found_by_its_workflow_s_name_where_the_file_is_not_told(tmp_path: Path) -> None:
    forge = Asked()
    found(tmp_path, forge, GITHUB_WORKFLOW="model", GITHUB_JOB="train")
    assert forge.outputs["asked"] == "contents: read"


def test_a_token_that_can_only_read_is_no_mistake_of_anybody_s(tmp_path: Path) -> None:
    forge = Asked(missing=("statuses: write",))
    (finding,) = found(tmp_path, forge, read_only=True)
    assert (finding.level, forge.outputs) == ("note", {})


@pytest.mark.parametrize("may", [{"pull-requests", "statuses"}, {"statuses"}, set()])
def test_the_real_command_in_a_job_changes_nothing_by_asking(tmp_path: Path, may: set[str]) -> None:
    root = repository(tmp_path)
    git(root, "remote", "add", "origin", str(tmp_path / "nowhere"))
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 7, "head": {"sha": "%s", "repo": {"full_name": "acme/models"}}, "base": {"repo": {"full_name": "acme/models"}}}}' % ("a" * 40))  # fmt: skip
    with serving() as fake:
        fake.tokens = {"ghs_job": Token(may=frozenset(may))}
        fake.add_pull(7, head="a" * 40)
        env = environment(tmp_path, GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="pull_request", GITHUB_EVENT_PATH=str(tmp_path / "event.json"), GITHUB_REPOSITORY="acme/models", GITHUB_API_URL=fake.url, MLOPS_TOKEN="ghs_job", RUNNER_ENVIRONMENT="self-hosted")  # fmt: skip
        said = Repository(root, env).mlops("doctor", code=None).stdout
        assert (fake.comments, fake.statuses) == ({}, {})
        assert fake.violations == []
    lost = [f"`{scope}: write`" for scope in ("pull-requests", "statuses") if scope not in may]
    assert (f"✗ permissions: the token may not do this: {', '.join(lost)}" in said) == bool(lost)
    assert ("✓ permissions: " in said) != bool(lost)
