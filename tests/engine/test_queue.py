"""A branch with a merge queue, with the shipped workflow: what the pull request trained is judged again, and nothing is trained twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.engine.act import PLAIN, Engine, Ran, workflow
from tests.engine.conftest import Make
from tests.engine.events import Event
from tests.world.project import EVALUATE, GOOD, HARMLESS, TRAIN

pytestmark = pytest.mark.act


@dataclass
class Story:
    """In order: main, a pull request, its place in the queue, and main after the queue merged it."""

    engine: Engine
    main: Ran
    opened: Ran
    queued: Ran
    merged: Ran
    head: str
    group: Event
    docs: Ran

    def checks(self, commit: str) -> list[str]:
        return [f"{s['context']} {s['state']}" for s in self.engine.github.statuses.get(commit, [])]


@pytest.fixture(scope="module")
def story(make_engine: Make) -> Story:
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n", "mlops.yaml": PLAIN}
    engine = make_engine({**files, "NEWS.md": "none\n", ".github/workflows/model.yml": workflow("merge-queue.yml")})
    project = engine.project
    main = engine.run(engine.push())

    project.branch("change")
    head = project.commit("A harmless change", {"src/wrong.txt": f"{HARMLESS}\n"})
    opened = engine.run(engine.pull_request(7, head, "change"))

    # Another change came in before it, so the group is neither the pull request's tree nor main's.
    project.git("checkout", "-q", "main")
    project.commit("News (#6)", {"NEWS.md": "some\n"})
    group = engine.queue(7, head)
    queued = engine.run(group)

    project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--ff-only", group.sha)
    project.git("push", "-q", "origin", "main")
    merged = engine.run(engine.push())

    project.branch("docs")
    docs = project.commit("News", {"NEWS.md": "more\n"})
    documented = engine.run(engine.pull_request(8, docs, "docs"))
    return Story(engine, main, opened, queued, merged, head, group, documented)


def test_the_pull_request_is_trained_once_and_judged(story: Story) -> None:
    assert story.main.passed, story.main.log
    assert story.opened.passed, story.opened.log
    assert story.opened.trainings == 1
    assert story.checks(story.head) == ["mlops/spam-filter pending", "mlops/spam-filter success"]


def test_in_the_queue_the_merged_files_are_judged_without_a_training_and_the_group_s_commit_has_its_check(story: Story) -> None:
    assert story.queued.passed, story.queued.log
    assert story.queued.jobs == {"plan": ["success"], "model": ["success"]}
    assert story.queued.trainings == 0
    assert story.checks(story.group.sha)[-1] == "mlops/spam-filter success"
    assert "accuracy −0.10 pp" in story.queued.summary


def test_main_after_the_queue_costs_no_training_either_and_is_recorded_as_main_s(story: Story) -> None:
    assert story.merged.passed, story.merged.log
    assert story.merged.trainings == 0
    assert story.merged.outputs["compare-to-main"]["verdict"] == "pass"


def test_the_next_pull_request_is_compared_with_what_the_queue_merged(story: Story) -> None:
    """That run was never trained on main: the record of its reuse stands for it."""
    assert story.docs.trainings == 0
    (body,) = story.engine.github.bodies(8)
    assert body.startswith("✅ spam-filter: same model as the baseline")
    assert f"main {story.group.sha[:7]}" in body
