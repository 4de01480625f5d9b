"""A repository of three models, with the shipped workflow: only what a change touches is trained, and one comment tells of all."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.engine.act import Engine, Ran, models, workflow
from tests.engine.conftest import Make
from tests.world.project import HARMLESS, WORSE

pytestmark = pytest.mark.act
NAMES = ("birds", "cats", "dogs")


@dataclass
class Story:
    """The runs, and for each pull request its comments and the last state of every check."""

    engine: Engine
    main: Ran
    touched: Ran
    documented: Ran
    broken: Ran
    heads: dict[int, str]

    def bodies(self, number: int) -> list[str]:
        return self.engine.github.bodies(number)

    def checks(self, number: int) -> dict[str, str]:
        return {s["context"].removeprefix("mlops/"): s["state"] for s in self.engine.github.statuses.get(self.heads[number], [])}

    def history(self, number: int) -> list[str]:
        return [f"{s['context']} {s['state']}" for s in self.engine.github.statuses[self.heads[number]]]


@pytest.fixture(scope="module")
def story(make_engine: Make) -> Story:
    engine = make_engine({**models(*NAMES), ".github/workflows/models.yml": workflow("monorepo.yml")})
    project, heads = engine.project, {}

    def review(number: int, files: dict[str, str]) -> Ran:
        project.branch(f"change-{number}")
        heads[number] = project.commit(f"Change {number}", files)
        return engine.run(engine.pull_request(number, heads[number], f"change-{number}"), "models.yml")

    main = engine.run(engine.push(), "models.yml")
    touched = review(7, {"models/dogs/src/wrong.txt": f"{WORSE}\n"})
    documented = review(8, {"README.md": "Models of animals.\n", "models/cats/README.md": "Cats.\n"})
    broken = review(9, {"models/cats/train.py": "raise SystemExit('no cats today')\n", "models/dogs/src/wrong.txt": f"{HARMLESS}\n"})
    return Story(engine, main, touched, documented, broken, heads)


def test_the_first_push_trains_every_model_in_a_job_of_its_own(story: Story) -> None:
    assert story.main.passed, story.main.log
    assert story.main.jobs == {"plan": ["success"], "train": ["success"] * 3, "models": ["success"]}
    assert story.main.trainings == 3


def test_only_the_model_that_a_change_touches_is_trained(story: Story) -> None:
    assert [m["name"] for m in json.loads(story.touched.outputs["plan"]["models"])] == ["dogs"]
    assert story.touched.jobs["train"] == ["success"]
    assert story.touched.trainings == 1


def test_one_comment_tells_of_all_models_and_begins_with_the_one_that_is_worse(story: Story) -> None:
    assert not story.touched.passed
    (body,) = story.bodies(7)
    assert body.startswith("❌ dogs: accuracy −6.0 pp")
    assert "✅ cats" in body
    assert "✅ birds" in body
    assert story.checks(7) == {"birds": "success", "cats": "success", "dogs": "failure"}


def test_the_check_of_what_runs_is_pending_before_it_has_a_verdict_and_no_other(story: Story) -> None:
    pending = [line for line in story.history(7) if line.endswith("pending")]
    assert pending == ["mlops/dogs pending"]
    assert story.history(7).index("mlops/dogs pending") < story.history(7).index("mlops/dogs failure")


def test_a_change_of_documentation_starts_no_training_and_passes_with_every_check_set(story: Story) -> None:
    assert story.documented.passed, story.documented.log
    assert story.documented.outputs["plan"]["models"] == "[]"
    assert story.documented.jobs == {"plan": ["success"], "models": ["success"]}
    assert story.checks(8) == dict.fromkeys(NAMES, "success")
    (body,) = story.bodies(8)
    assert all(f"✅ {name}" in body for name in NAMES)


def test_a_leg_that_fails_is_told_and_silences_none_of_the_others(story: Story) -> None:
    assert not story.broken.passed
    assert len(story.broken.jobs["train"]) == 2
    assert "failure" in story.broken.jobs["train"]
    assert story.checks(9) == {"birds": "success", "cats": "error", "dogs": "success"}
    (body,) = story.bodies(9)
    assert body.startswith("❌ cats: no verdict: run ")
    assert "train.run ended with exit status 1" in body
    assert "✅ dogs: accuracy −0.10 pp" in body
    assert story.broken.jobs["close"] == ["success"]
