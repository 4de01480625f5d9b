"""A stranger's pull request that somebody asks to be evaluated, by a comment or a label, with the shipped workflow."""

from __future__ import annotations

import pytest

from tests.engine.act import PLAIN, Engine, workflow
from tests.engine.conftest import Make
from tests.world.project import EVALUATE, GOOD, HARMLESS, TRAIN, WORSE

pytestmark = pytest.mark.act
FLOW = "evaluate.yml"


@pytest.fixture(scope="module")
def engine(make_engine: Make) -> Engine:
    """A repository whose main is recorded, and where `octocat` may write and `stranger` may not."""
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n", "mlops.yaml": PLAIN}
    flows = {"model.yml": workflow("pull-request.yml"), FLOW: workflow("evaluate-comment.yml")}
    made = make_engine({**files, **{f".github/workflows/{name}": text for name, text in flows.items()}})
    made.github.people["stranger"] = "read"
    main = made.run(made.push())
    assert main.passed, main.log
    return made


def opened(engine: Engine, number: int, wrong: int) -> str:
    """A fork's pull request, which nothing runs by itself."""
    engine.project.branch(f"change-{number}")
    head = engine.project.commit(f"Change {number}", {"src/wrong.txt": f"{wrong}\n"}, push=False)
    engine.pull_request(number, head, f"change-{number}", fork=True)
    engine.github.pulls[number]["head"]["repo"]["pushed_at"] = "2026-03-01T12:00:00Z"
    return head


def checks(engine: Engine, commit: str) -> list[str]:
    return [f"{s['context']} {s['state']}" for s in engine.github.statuses.get(commit, [])]


def test_a_maintainer_s_comment_trains_the_fork_s_head_and_posts_the_verdict(engine: Engine) -> None:
    head = opened(engine, 7, HARMLESS)
    ran = engine.run(engine.commented(7, "/evaluate"), FLOW)
    assert ran.passed, ran.log
    assert ran.jobs == {"plan": ["success"], "train": ["success"], "model": ["success"]}
    assert ran.trainings == 1
    assert engine.github.bodies(7)[0].startswith("✅ spam-filter: accuracy −0.10 pp")
    assert checks(engine, head) == ["mlops/spam-filter pending", "mlops/spam-filter success"]


def test_a_worse_model_fails_by_the_base_branch_s_gate(engine: Engine) -> None:
    head = opened(engine, 8, WORSE)
    ran = engine.run(engine.commented(8, f"/evaluate {head[:10]}\r\nlooks good to me"), FLOW)
    assert not ran.passed
    assert engine.github.bodies(8)[0].startswith("❌ spam-filter: accuracy −6.0 pp")
    assert checks(engine, head)[-1] == "mlops/spam-filter failure"


@pytest.mark.parametrize(("text", "by"), [("/evaluate", "stranger"), ("thanks, this could /evaluate better", "octocat")])
def test_nothing_runs_for_whoever_may_not_write_or_does_not_ask(engine: Engine, text: str, by: str) -> None:
    head = opened(engine, 9, HARMLESS)
    ran = engine.run(engine.commented(9, text, by=by), FLOW)
    assert ran.passed, ran.log
    assert "train" not in ran.jobs
    assert ran.trainings == 0
    assert engine.github.bodies(9) == []
    assert checks(engine, head) == []


def test_a_head_that_moved_on_since_it_was_looked_at_is_not_run(engine: Engine) -> None:
    looked_at = opened(engine, 11, HARMLESS)
    head = opened(engine, 11, WORSE)
    ran = engine.run(engine.commented(11, f"/evaluate {looked_at}"), FLOW)
    assert ran.trainings == 0
    assert checks(engine, head) == checks(engine, looked_at) == []
    assert any(head[:7] in text for _, text in ran.annotations), ran.annotations


def test_the_label_runs_the_head_that_it_was_set_at(engine: Engine) -> None:
    head = opened(engine, 12, HARMLESS + 1)
    ran = engine.run(engine.labelled(12, head, "change-12", "evaluate", fork=True), FLOW)
    assert ran.passed, ran.log
    assert ran.trainings == 1
    assert engine.github.bodies(12)[0].startswith("✅ spam-filter: accuracy −0.20 pp")
    assert checks(engine, head)[-1] == "mlops/spam-filter success"


def test_another_label_runs_nothing(engine: Engine) -> None:
    head = opened(engine, 13, HARMLESS)
    ran = engine.run(engine.labelled(13, head, "change-13", "documentation", fork=True), FLOW)
    assert ran.jobs == {}
    assert checks(engine, head) == []
