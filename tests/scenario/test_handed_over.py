"""What our own branches hand over: judged on the trusted side as where they were made, and recorded; and what a stranger cannot be judged by."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.scenario.fork_pair import Pair, answered, make, rewritten
from tests.world.github import serving
from tests.world.repository import CONFIG, EVALUATE, TRAIN

GOOD, WORSE = 105, 300
Record = dict[str, Any]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with serving() as github:
        made = make(tmp_path_factory.mktemp("pair"), github)
        made.main()
        yield made
    assert github.violations == []


@pytest.fixture
def pair(shared: Pair) -> Pair:
    shared.forget()
    return shared


def test_a_pull_request_of_ours_is_judged_and_recorded_with_the_tree_of_its_test_merge(pair: Pair) -> None:
    head = pair.head(GOOD, number=11, fork=False, branch="ours")
    artifact = pair.train(head, number=11, fork=False, branch="ours")
    judged = pair.judge(artifact, pair.ended(head, fork=False, branch="ours"))
    assert judged.done.returncode == 0, judged.done.stderr
    assert judged.statuses == {"mlops/spam-filter": "success"}
    assert "own code" not in pair.github.bodies(11)[0]
    latest = judged.recorded[-1]
    assert (latest.pull_request, latest.commit, latest.branch, latest.event, latest.gate) == (11, head, "ours", "pull_request", "passed")
    assert latest.tree == pair.git("rev-parse", f"{head}^{{tree}}")
    assert latest.ci_run == str(pair.trained[head])


def test_what_could_not_be_recorded_is_said_and_changes_no_verdict(pair: Pair) -> None:
    """The folder it would wait in goes with the process."""
    head = pair.head(GOOD, number=21, fork=False, branch="refused")
    artifact = pair.train(head, number=21, fork=False, branch="refused")
    hook = pair.remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho GH013: Repository rule violations found >&2\nexit 1\n")
    hook.chmod(0o755)
    try:
        judged = pair.judge(artifact, pair.ended(head, fork=False, branch="refused"))
    finally:
        hook.unlink()
    assert judged.done.returncode == 0, judged.done.stderr
    assert "the run is not recorded, run this job again: the branch rules refuse it" in judged.done.stderr
    assert head not in {entry.commit for entry in judged.recorded}


def test_its_own_gate_counts_where_it_is_stricter_and_the_base_branch_s_where_that_is(pair: Pair) -> None:
    loose = CONFIG.replace("1pp", "90%").replace("3pp", "90%")
    head = pair.head(WORSE, number=12, fork=False, branch="loose", mlops_yaml=loose)
    judged = pair.judge(pair.train(head, number=12, fork=False, branch="loose"), pair.ended(head, fork=False, branch="loose"))
    assert judged.done.returncode == 1
    assert "gate loosened: accuracy" in judged.comments[0]
    strict = CONFIG + "  parameters: {max: 10}\n"
    head = pair.head(GOOD, number=13, fork=False, branch="strict", mlops_yaml=strict)
    judged = pair.judge(pair.train(head, number=13, fork=False, branch="strict"), pair.ended(head, fork=False, branch="strict"))
    assert judged.done.returncode == 1


def test_a_tree_that_git_does_not_know_of_this_head_is_not_believed(pair: Pair) -> None:
    """Else a record could stand for whatever it likes: main's next commit, or another pull request's."""
    head = pair.head(GOOD + 1, number=14, fork=False, branch="liar")
    artifact = pair.train(head, number=14, fork=False, branch="liar")
    stolen = pair.git("rev-parse", "main^{tree}")
    claims = {"tree": stolen, "branch": "main", "event": "push", "pull_request": None, "released": "v1"}
    judged = pair.judge(rewritten(artifact, lambda r: r.update(claims)), pair.ended(head, fork=False, branch="liar"))
    assert judged.done.returncode == 0, judged.done.stderr
    latest = judged.recorded[-1]
    assert (latest.tree, latest.branch, latest.event, latest.pull_request, latest.released) == (None, "liar", "pull_request", 14, False)


def test_a_merge_ref_whose_second_parent_is_another_commit_tells_nothing(pair: Pair) -> None:
    """GitHub has not made the new one yet."""
    old = pair.head(GOOD, number=15, fork=False, branch="moving")
    head = pair.head(GOOD + 2, number=15, fork=False, branch="moving")
    pair.offer(old, number=15, fork=False, branch="moving")
    pair.git("push", "-q", "-f", "origin", f"{head}:refs/pull/15/head")
    pair.github.add_pull(15, head=head, head_branch="moving")
    artifact = pair.train(head, number=15, fork=False, branch="moving")
    merged = pair.git("rev-parse", f"{old}^{{tree}}")
    judged = pair.judge(rewritten(artifact, lambda r: r.update(tree=merged)), pair.ended(head, fork=False, branch="moving"))
    assert judged.done.returncode == 0, judged.done.stderr
    assert judged.recorded[-1].tree is None
    assert "the merge base with main" in judged.report["baseline"]["note"]


@pytest.mark.parametrize(
    ("event", "branch", "recorded"),
    [
        ("push", "main", "push"),
        ("schedule", "main", "schedule"),
        ("merge_group", "gh-readonly-queue/main/pr-3-" + "a" * 40, "merge_group"),
        ("workflow_dispatch", "main", "dispatch"),
    ],
)
def test_runs_that_no_pull_request_waits_for_are_judged_recorded_and_not_commented(
    pair: Pair, event: str, branch: str, recorded: str
) -> None:
    head = pair.head(GOOD, number=16, fork=False, branch=f"of-{event.replace('_', '-')}")
    artifact = pair.train(head, number=16, fork=False)
    pair.github.pulls.pop(16)
    judged = pair.judge(artifact, pair.ended(head, fork=False, event=event, branch=branch))
    assert judged.done.returncode == 0, judged.done.stderr
    assert judged.statuses == {"mlops/spam-filter": "success"}
    assert judged.comments == []
    assert (judged.recorded[-1].event, judged.recorded[-1].branch, judged.recorded[-1].pull_request) == (recorded, branch, None)


def test_a_worse_push_to_main_opens_the_issue(pair: Pair) -> None:
    head = pair.head(WORSE, number=17, fork=False, branch="pushed")
    artifact = pair.train(head, number=17, fork=False)
    pair.github.pulls.pop(17)
    judged = pair.judge(artifact, pair.ended(head, fork=False, event="push", branch="main"))
    assert judged.done.returncode == 1
    assert len(pair.github.open_issues()) == 1


@pytest.mark.parametrize("event", ["issue_comment", "pull_request_target", "release", "repository_dispatch", None])
def test_a_run_of_an_event_that_does_not_tell_what_it_checked_out_sets_no_check(pair: Pair, event: Any) -> None:
    head = pair.head(GOOD, number=18, branch="eventful")
    judged = pair.judge(None, pair.ended(head, event=event))
    assert (judged.error, judged.done.returncode) == ("unjudged-event", 2)
    assert (judged.statuses, judged.comments) == ({}, [])


def test_a_stranger_s_run_that_no_pull_request_started_sets_no_check(pair: Pair) -> None:
    head = pair.head(GOOD, number=19, branch="pushed-by-a-robot")
    judged = pair.judge(None, pair.ended(head, fork=False, event="push", actor={"login": "dependabot[bot]"}))
    assert (judged.error, judged.statuses) == ("unjudged-event", {})


def test_without_the_input_it_says_what_to_write(pair: Pair) -> None:
    head = pair.head(GOOD, number=20, branch="inputs")
    judged = pair.judge(None, pair.ended(head), run="")
    assert judged.error == "no-run"
    assert "with: {run: handed}" in judged.done.stderr


MEAN = CONFIG.replace("metrics: [accuracy, f1-macro]", "metrics: [accuracy, {mean: quality, better: higher}]")
WITH_QUALITY = EVALUATE.replace(
    'pathlib.Path(os.environ["MLOPS_PREDICTIONS"])',
    "rows = [rows[0] + ',quality', *(row + ',0.5' for row in rows[1:])]\npathlib.Path(os.environ[\"MLOPS_PREDICTIONS\"])",
)


@pytest.mark.parametrize("gated", [True, False])
def test_a_mean_over_what_the_stranger_wrote_gates_nothing(tmp_path: Path, gated: bool) -> None:
    config = MEAN + ("  quality: {max-drop: 0.1}\n" if gated else "")
    files = {"train.py": TRAIN, "evaluate.py": WITH_QUALITY, "mlops.yaml": config, ".gitignore": "model/\n"}
    with serving() as github:
        made = make(tmp_path / "pair", github, files=files)
        made.main()
        head = made.head(GOOD)
        judged = made.judge(made.train(head), made.ended(head))
        if gated:
            assert judged.error == "no-trusted-targets"
            assert judged.statuses == {"mlops/spam-filter": "error"}
            assert "/evaluate" in judged.done.stderr
        else:
            assert judged.done.returncode == 0, judged.done.stderr
            assert {c["metric"] for c in judged.report["checks"]} == {"accuracy", "latency-ms", "parameters"}
            assert "only the pull request's own code computes it: quality" in judged.comments[0]


@pytest.mark.parametrize("why", ["no predictions are kept", "there is no run of main"])
def test_without_the_baseline_s_predictions_a_stranger_is_never_passed(tmp_path: Path, why: str) -> None:
    config = CONFIG + ("history: {predictions: none}\n" if why == "no predictions are kept" else "")
    with serving() as github:
        made = make(tmp_path / "pair", github, config=config)
        if why == "no predictions are kept":
            made.main()
        head = made.head(GOOD)
        judged = made.judge(made.train(head), made.ended(head))
        assert (judged.error, judged.done.returncode) == ("no-trusted-targets", 2)
        assert judged.statuses == {"mlops/spam-filter": "error"}


def model(name: str) -> dict[str, str]:
    """The files of one of several."""
    text = CONFIG.replace("spam-filter", name)
    return {f"{name}/train.py": TRAIN, f"{name}/evaluate.py": EVALUATE, f"{name}/mlops.yaml": text, f"{name}/params.json": '{"wrong": 100}'}


def test_several_models_of_one_repository_are_judged_each_by_its_own_configuration(tmp_path: Path) -> None:
    def model(name: str) -> dict[str, str]:
        text = CONFIG.replace("spam-filter", name)
        return {
            f"{name}/train.py": TRAIN,
            f"{name}/evaluate.py": EVALUATE,
            f"{name}/mlops.yaml": text,
            f"{name}/params.json": '{"wrong": 100}',
        }

    config = "*/mlops.yaml"
    with serving() as github:
        made = make(tmp_path / "pair", github, files={**model("a"), **model("b"), ".gitignore": "model/\n"})
        made.main("--config", config)
        head = made.head(GOOD, a__params_json=json.dumps({"wrong": GOOD}), b__params_json=json.dumps({"wrong": WORSE}))
        judged = made.judge(made.train(head, "--config", config), made.ended(head), config=config)
        assert judged.done.returncode == 1, judged.done.stderr
        assert judged.statuses == {"mlops/a": "success", "mlops/b": "failure"}
        (body,) = github.bodies(5)
        assert "❌ b: accuracy" in body
        assert "✅ a: accuracy" in body
        assert {path.parts[-3] for path in judged.workspace.rglob("report.json")} == {"a", "b"}


@pytest.mark.parametrize("fork", [True, False])
def test_a_model_that_nothing_touched_need_not_be_handed_over(tmp_path: Path, fork: bool) -> None:
    """As `plan` has it: of a monorepo only the models that changed are trained; a change of documents trains none."""
    config = "*/mlops.yaml"
    with serving() as github:
        made = make(tmp_path / "pair", github, files={**model("a"), **model("b"), ".gitignore": "model/\n"})
        made.main("--config", config)
        head = made.head(GOOD, fork=fork, a__params_json=json.dumps({"wrong": GOOD}))
        artifact = made.train(head, "--config", "a/mlops.yaml", fork=fork)
        judged = made.judge(artifact, made.ended(head, fork=fork), config=config)
        assert judged.done.returncode == 0, judged.done.stderr
        assert judged.statuses == {"mlops/a": "success", "mlops/b": "success"}
        assert "nothing was trained or evaluated" in github.bodies(5)[0]
        made.forget()
        head = made.head(GOOD, fork=fork, number=7, b__README="words")
        judged = made.judge(None, made.ended(head, fork=fork), config=config)
        assert judged.statuses == {"mlops/a": "success", "mlops/b": "success"}
        assert any(entry.commit == head for entry in judged.recorded) is not fork


@pytest.mark.parametrize("how", ["its code changed", "its command changed", "its inputs are said to be fewer"])
def test_a_stranger_who_hands_nothing_over_of_what_it_changed_is_not_passed(tmp_path: Path, how: str) -> None:
    with serving() as github:
        made = make(tmp_path / "pair", github)
        made.main()
        text = CONFIG.replace("python3 train.py,", "python3 train.py --worse,") if how == "its command changed" else CONFIG
        text = CONFIG.replace(", params.json], params: params.json", "]") if how == "its inputs are said to be fewer" else text
        head = made.head(100 if how == "its command changed" else WORSE, mlops_yaml=text)
        judged = made.judge(None, made.ended(head))
        assert (judged.error, judged.done.returncode) == ("no-run", 2)
        assert judged.statuses == {"mlops/spam-filter": "error"}


def test_a_leg_of_a_matrix_that_main_has_must_be_handed_over(tmp_path: Path) -> None:
    """Else a stranger would leave the one out in which its model is worse."""
    with serving() as github:
        made = make(tmp_path / "pair", github)
        for leg in ("large", "small"):
            made.main("--matrix", leg)
        head = made.head(GOOD)
        for leg in ("large", "small"):
            together = made.train(head, "--matrix", leg, into=leg)
        answered(together / "small", lambda frame: frame.with_columns(prediction=pl.lit("ham")))
        judged = made.judge(together, made.ended(head))
        assert judged.statuses == {"mlops/spam-filter (large)": "success", "mlops/spam-filter (small)": "failure"}
        made.forget()
        shutil.rmtree(together / "small")
        judged = made.judge(together, made.ended(head))
        assert judged.statuses == {"mlops/spam-filter (large)": "success", "mlops/spam-filter (small)": "error"}
        assert judged.done.returncode == 2
