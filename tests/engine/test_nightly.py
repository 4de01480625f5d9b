"""The same code every night, with the shipped workflow: new data is trained on, a bad night opens one issue, the next good one closes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.engine.act import PLAIN, Engine, Ran, workflow
from tests.engine.conftest import Make
from tests.world.project import EVALUATE, GOOD, HARMLESS, WORSE

pytestmark = pytest.mark.act
TRAIN = '''"""Trains on what the day brought: a file that no commit holds."""
import json, pathlib

print("training with", "today's data")
pathlib.Path("model").mkdir(exist_ok=True)
pathlib.Path("model/model.json").write_text(json.dumps({"wrong": int(pathlib.Path("DATA").read_text())}))
'''


@dataclass(frozen=True)
class Night:
    """A run, and the issues as they stood after it."""

    ran: Ran
    issues: list[dict[str, Any]]


@pytest.fixture(scope="module")
def nights(make_engine: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, list[Night]]:
    data = tmp_path_factory.mktemp("lake") / "today.txt"
    config = PLAIN.replace("  inputs: [src/, train.py]\n", f"  inputs: [train.py]\n  data: [{data}]\n")
    files = {"train.py": TRAIN.replace("DATA", str(data)), "evaluate.py": EVALUATE, ".gitignore": "model/\n", "mlops.yaml": config}
    engine = make_engine({**files, ".github/workflows/nightly.yml": workflow("nightly.yml")})
    told = []
    for wrong in (GOOD, WORSE, WORSE, HARMLESS):
        data.write_text(str(wrong))
        ran = engine.run(engine.schedule(), "nightly.yml")
        told.append(Night(ran, [dict(issue) for issue in engine.github.issues.values()]))
    return engine, told


def test_new_data_is_trained_on_though_the_code_is_the_same_and_a_night_without_any_trains_nothing(
    nights: tuple[Engine, list[Night]],
) -> None:
    assert [night.ran.trainings for night in nights[1]] == [1, 1, 0, 1]


def test_a_good_night_passes_and_opens_no_issue(nights: tuple[Engine, list[Night]]) -> None:
    first = nights[1][0]
    assert first.ran.passed, first.ran.log
    assert first.issues == []


def test_a_bad_night_fails_and_opens_an_issue_that_says_by_how_much(nights: tuple[Engine, list[Night]]) -> None:
    bad = nights[1][1]
    assert not bad.ran.passed
    (issue,) = bad.issues
    assert issue["state"] == "open"
    assert "spam-filter" in issue["title"]
    assert "accuracy −6.0 pp" in issue["body"]


def test_the_next_bad_night_opens_no_second_issue(nights: tuple[Engine, list[Night]]) -> None:
    assert not nights[1][2].ran.passed
    assert [issue["state"] for issue in nights[1][2].issues] == ["open"]


def test_the_next_good_night_is_compared_with_the_last_good_one_and_closes_the_issue(nights: tuple[Engine, list[Night]]) -> None:
    good = nights[1][3]
    assert good.ran.passed, good.ran.log
    assert "accuracy −0.10 pp" in good.ran.summary
    assert [(issue["state"], issue["state_reason"]) for issue in good.issues] == [("closed", "completed")]


def test_every_night_s_commit_has_its_check(nights: tuple[Engine, list[Night]]) -> None:
    engine, told = nights
    commit = engine.project.git("rev-parse", "main")
    states = [s["state"] for s in engine.github.statuses[commit] if s["state"] != "pending"]
    assert states == ["success", "failure", "failure", "success"]
    assert len(told) == len(states)
