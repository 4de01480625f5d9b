"""The life of a pull request, with the shipped workflow of one job: recorded, reviewed, made worse, blocked, merged."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.engine.act import ROOT, Engine, Ran, workflow
from tests.engine.conftest import Make
from tests.world.github import BOT, Token
from tests.world.project import HARMLESS, WORSE

pytestmark = pytest.mark.act


@dataclass
class Story:
    """What happened, in order, and the comment as it stood after each step."""

    engine: Engine
    main: Ran
    opened: Ran
    opened_comments: list[str]
    worse: Ran
    worse_comments: list[str]
    refused: Ran
    refused_comments: list[str]
    merged: Ran
    heads: list[str]

    def statuses(self, commit: str) -> list[tuple[str, str]]:
        return [(s["context"], s["state"]) for s in self.engine.github.statuses.get(commit, [])]


@pytest.fixture(scope="module")
def story(make_engine: Make) -> Story:
    engine = make_engine()
    project, github = engine.project, engine.github
    project.commit("Reviewed by pull request", {".github/workflows/model.yml": workflow("pull-request-one-job.yml")})
    main = engine.run(engine.push())

    project.branch("change")
    first = project.commit("A harmless change", {"src/wrong.txt": f"{HARMLESS}\n"})
    opened = engine.run(engine.pull_request(7, first, "change"))
    opened_comments = github.bodies(7)

    project.git("checkout", "-q", "change")
    second = project.commit("A change that hurts", {"src/wrong.txt": f"{WORSE}\n"})
    worse = engine.run(engine.pull_request(7, second, "change"))
    worse_comments = github.bodies(7)

    github.tokens["ghs_reads_only"] = Token(may=frozenset())
    engine.token = "ghs_reads_only"
    refused = engine.run(engine.pull_request(8, second, "change"))
    refused_comments = github.bodies(8)
    engine.token = "ghs_the_job_s_own"

    project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--squash", first)
    project.commit("A harmless change (#7)", {})
    merged = engine.run(engine.push())
    return Story(engine, main, opened, opened_comments, worse, worse_comments, refused, refused_comments, merged, [first, second])


def test_a_push_to_main_is_recorded_on_the_history_branch_of_the_remote(story: Story) -> None:
    assert story.main.passed, story.main.log
    git = story.engine.project.git
    git("fetch", "-q", "origin", "mlops-history")
    run = story.main.outputs["compare-to-main"]["run"]
    (record,) = [path for path in git("ls-tree", "-r", "--name-only", "FETCH_HEAD").splitlines() if path.endswith(f"/{run}/run.json")]
    assert json.loads(git("show", f"FETCH_HEAD:{record}"))["event"] == "push"


def test_the_first_verdict_of_a_pull_request_is_one_comment_that_starts_with_it(story: Story) -> None:
    assert story.opened.passed, story.opened.log
    assert story.opened.outputs["compare-to-main"]["verdict"] == "pass"
    (body,) = story.opened_comments
    assert body.startswith("✅ spam-filter: accuracy −0.10 pp")
    assert story.statuses(story.heads[0]) == [("mlops/spam-filter", "pending"), ("mlops/spam-filter", "success")]


def test_the_pictures_of_the_comment_lie_on_the_history_branch_where_who_may_read_the_repository_sees_them(story: Story) -> None:
    (body,) = story.opened_comments
    shown = re.findall(r"!\[[^\]]+\]\(https://github\.com/[^/]+/[^/]+/raw/mlops-history/([^)]+)\)", body)
    assert shown, body
    assert len(shown) == body.count("![")
    git = story.engine.project.git
    git("fetch", "-q", "origin", "mlops-history")
    kept = git("ls-tree", "-r", "--name-only", "FETCH_HEAD").splitlines()
    assert set(shown) <= set(kept)
    assert all(re.fullmatch(r"runs/\d{4}-\d\d/[0-9a-f-]+/charts/[a-z]+-[0-9a-f]{12}\.png", path) for path in shown)


def test_a_second_push_edits_the_same_comment(story: Story) -> None:
    assert len(story.worse_comments) == 1
    assert story.worse_comments != story.opened_comments
    assert len([c for c in story.engine.github.comments[7] if c["user"]["login"] == BOT]) == 1


def test_a_regression_fails_the_job_and_the_status_and_says_by_how_much(story: Story) -> None:
    assert not story.worse.passed
    outputs = story.worse.outputs["compare-to-main"]
    assert (outputs["verdict"], outputs["gate"], outputs["exit"]) == ("fail", "failed", "1")
    assert story.worse_comments[0].startswith("❌ spam-filter: accuracy −6.0 pp")
    assert story.statuses(story.heads[1])[-1] == ("mlops/spam-filter", "failure")
    assert any(level == "error" and "accuracy" in text for level, text in story.worse.annotations)


def test_without_permission_the_verdict_and_the_exit_code_stay_and_the_report_is_in_the_summary(story: Story) -> None:
    assert not story.refused.passed
    outputs = story.refused.outputs["compare-to-main"]
    assert (outputs["verdict"], outputs["gate"], outputs["exit"]) == ("fail", "failed", "1")
    assert story.refused_comments == []
    assert outputs.get("comment-url", "") == ""
    assert "❌ spam-filter: accuracy −6.0 pp" in story.refused.summary
    assert "the comment is not posted" in story.refused.summary
    assert "pull-requests: write" in story.refused.summary
    said = story.refused.log + "".join(text for _, text in story.refused.annotations)
    assert "Resource not accessible by integration" in said
    assert "pull-requests: write" in said


@pytest.mark.parametrize("action", ["train", "evaluate", "compare-to-main"])
def test_every_output_that_an_action_declares_is_set_and_no_other(story: Story, action: str) -> None:
    declared = set(yaml.safe_load((ROOT / "actions" / action / "action.yml").read_text())["outputs"])
    for ran in (story.opened, story.worse):
        assert set(ran.inner[action]) <= declared
        only_on_errors = {"report"} if action != "compare-to-main" else set()
        assert {name for name, value in ran.outputs[action].items() if value} == declared - only_on_errors


def test_a_squash_merge_costs_no_second_training(story: Story) -> None:
    assert story.merged.passed, story.merged.log
    assert "training with" in story.opened.log
    assert "training with" not in story.merged.log


def test_the_user_s_command_sees_neither_our_token_nor_our_inputs_nor_our_environment(story: Story) -> None:
    seen = json.loads((story.engine.folder / "seen.json").read_text())
    assert "MLOPS_RUN_DIR" in seen["env"]
    assert not {"MLOPS_INPUTS", "MLOPS_TOKEN", "GITHUB_TOKEN", "VIRTUAL_ENV"} & set(seen["env"])
    assert story.engine.token not in {
        value for key, value in seen["env"].items() if not key.startswith("INPUT_")
    }  # INPUT_*: act's own addition
    assert "mlops-actions/" not in seen["env"]["PATH"]
    assert "mlops-actions" not in seen["prefix"]


def test_the_token_is_in_no_log_and_in_no_file_that_is_left(story: Story) -> None:
    for ran in (story.main, story.opened, story.worse, story.refused, story.merged):
        assert "ghs_" not in ran.log
    for path in Path(story.engine.folder).rglob("*"):
        if path.is_file() and ".git/objects" not in str(path) and path.name != "seen.json":
            assert b"ghs_the_job_s_own" not in path.read_bytes(), path
