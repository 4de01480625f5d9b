"""The trusted side's decisions: what the run that ended was about, whether it can be judged, whose configuration rules."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.ci.context import Source
from mlops_toolkit.compare import trusted
from mlops_toolkit.history.apart import open_apart
from mlops_toolkit.history.remote import Remote
from tests.world.repository import clean_environment, make

HEAD = "c" * 40


def context(event: str | None = "pull_request", *, concluded: str | None = "success", **more: object) -> Context:
    source = Source(run="7", attempt=2, event=event, concluded=concluded, owner="someone")
    known = {"head": HEAD, "checkout": "m" * 40, "branch": "change", "pull_request": 5, "base_branch": "main", "run": "90", "url": "u"}
    return Context(provider="github", event="workflow_run", source=source, **{**known, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "fork", "judged", "head", "pull_request"),
    [
        ("pull_request", True, "pull_request", HEAD, 5),
        ("pull_request", False, "pull_request", HEAD, 5),
        ("push", False, "push", HEAD, None),
        ("push", True, "push", None, None),
        ("merge_group", False, "merge_group", HEAD, None),
        ("schedule", False, "schedule", HEAD, None),
        ("workflow_dispatch", False, "dispatch", HEAD, None),
        ("workflow_dispatch", True, "dispatch", None, None),
        ("issue_comment", False, "other", None, None),
        ("pull_request_target", True, "other", None, None),
        (None, False, "other", None, None),
    ],
)
def test_the_context_of_the_run_that_ended(event: str | None, fork: bool, judged: str, head: str | None, pull_request: int | None) -> None:
    made = trusted.as_source(context(event, fork=fork))
    assert (made.event, made.head, made.pull_request) == (judged, head, pull_request)
    assert (made.run, made.attempt, made.age) == ("7", 2, (7, 2))
    assert made.url == "u"  # of this run: its page has the report


def test_a_queue_s_branch_tells_the_branch_that_waits() -> None:
    made = trusted.as_source(context("merge_group", branch=f"gh-readonly-queue/release/1.x/pr-4-{'a' * 40}", base_branch=None))
    assert made.base_branch == "release/1.x"


PATTERNS = {
    "mlops.yaml": {"mlops.yaml"},
    "./mlops.yaml": {"mlops.yaml"},
    "models/a/mlops.yaml": {"models/a/mlops.yaml"},
    "models/*/mlops.yaml": {"models/a/mlops.yaml", "models/b/mlops.yaml"},
    "**/mlops.yaml": {"mlops.yaml", "models/a/mlops.yaml", "models/b/mlops.yaml", "models/b/c/mlops.yaml"},
    "models/[ab]/mlops.y?ml": {"models/a/mlops.yaml", "models/b/mlops.yaml"},
    "../mlops.yaml": set(),
    "/etc/passwd": set(),
    "nothing.yaml": set(),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(tmp_path_factory.mktemp("models") / "made")
    for name in ("a", "b", "b/c"):
        (made.root / "models" / name).mkdir(parents=True)
        (made.root / "models" / name / "mlops.yaml").write_text(f"name: {name[-1]}\n")
    made.commit("models")
    return made.root


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_configurations_that_are_meant_are_all_that_is_written(models: Path, tmp_path: Path, pattern: str) -> None:
    git = open_apart(tmp_path / "ours", Remote(models.as_uri()), clean_environment(tmp_path))
    tip = git.tip("refs/heads/main")
    assert tip is not None
    trusted.write_configurations(git, tip.sha, pattern)
    written = {path.relative_to(git.root).as_posix() for path in git.root.rglob("*") if path.is_file()}
    assert PATTERNS[pattern] <= written
    assert all(path.endswith("mlops.yaml") for path in written)
    assert not (git.root.parent / "mlops.yaml").exists()


def seat(tmp_path: Path, at: Context, models: Path, run: str = "handed") -> trusted.Seat:
    args = argparse.Namespace(verb="compare", config="mlops.yaml", run=run, head="", metrics="")
    at = Context(**{**vars(at), "server_url": models.parent.as_uri(), "repository": models.name})
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    return trusted.seat(args, at, {**clean_environment(tmp_path), "RUNNER_TEMP": str(tmp_path)}, workspace, lambda: None)


@pytest.mark.parametrize(
    ("at", "error"),
    [
        (context(fork=True, pull_request=None), "no-open-pull-request"),
        (context(fork=True, concluded="cancelled"), "run-cancelled"),
        (context(fork=True, concluded="failure"), "no-run"),
        (context("release", fork=True), "unjudged-event"),
        (context(head=None), "unjudged-event"),
    ],
)
def test_what_cannot_be_judged_is_a_named_error_and_its_models_are_known(tmp_path: Path, models: Path, at: Context, error: str) -> None:
    """Known by the configuration of the base branch, so that the right checks end."""
    made = seat(tmp_path, at, models)
    assert made.wrong is not None
    assert made.wrong.name == error
    assert made.wrong.code in (2, 4)
    if at.fork:
        assert (made.root / "mlops.yaml").is_file()


@pytest.mark.parametrize("run", ["", "../elsewhere", "file", "link"])
def test_only_a_folder_that_lies_there_is_taken(tmp_path: Path, models: Path, run: str) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "file").write_text("")
    (tmp_path / "workspace" / "link").symlink_to("/")
    made = seat(tmp_path, context(fork=True, concluded="failure"), models, run)
    assert made.wrong is not None
    assert made.wrong.name == "no-run"


def test_a_remote_that_cannot_be_asked_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "workspace" / "handed").mkdir(parents=True)
    made = seat(tmp_path, context(fork=True), tmp_path / "gone" / "models")
    assert made.wrong is not None
    assert (made.wrong.name, made.wrong.code) == ("history-unreadable", 4)
