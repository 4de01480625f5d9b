"""What is measured otherwise than on the baseline, through the real verbs, and how the comment says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.repository import CONFIG, EVALUATE, Repository, make

BASE = CONFIG.partition("evaluate:")[0] + (
    "evaluate:\n  run: python3 evaluate.py\n  inputs: [evaluate.py]\n  task: classification\n  positive: spam\n"
    "  metrics: [accuracy, f1, {mean: quality, better: higher}]\n"
    "gate:\n  accuracy: {max-drop: 1pp}\n  f1: {max-drop: 3pp}\n  quality: {min: 0.5}\n"
)
COLUMNS = EVALUATE.replace('"id,target,prediction,language,text"', '"id,target,prediction,quality,ease"').replace(
    "{'de' if i % 4 == 0 else 'en'},text of mail {i}", "{0.6 + i % 3 / 10},{0.9 + i % 3 / 100}"
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path, config=BASE)
    made.write(evaluate_py=COLUMNS)
    made.commit("writes numbers")
    made.mlops("review")
    made.git("switch", "-q", "-c", "change")
    return made


def reason(repository: Repository, metric: str) -> str | None:
    found: str | None = next(c["reason"] for c in repository.report["checks"] if c["metric"] == metric)
    return found


def test_another_positive_class_and_another_column_are_asked_about(repository: Repository) -> None:
    repository.write(mlops_yaml=BASE.replace("positive: spam", "positive: ham"))
    repository.wrong(101)
    done = repository.mlops("review", code=3)
    assert 'defined differently on the baseline (positive: "spam" → "ham"): nothing was compared' in done.stdout
    assert (reason(repository, "f1"), reason(repository, "accuracy")) == ("metric-redefined", None)
    repository.write(mlops_yaml=BASE.replace("{mean: quality, better: higher}", "{mean: ease, name: quality, better: higher}"))
    repository.commit("an easier quality")
    done = repository.mlops("review", code=3)
    assert "⚠️ " in done.stdout.splitlines()[0]
    assert "defined differently on the baseline (mean column=quality" in done.stdout
    assert reason(repository, "quality") == "metric-redefined"


def test_a_measure_is_new_and_a_metric_is_gone(repository: Repository) -> None:
    gate = "measures: {tokens: lower}\ngate:\n  tokens: {max-rise: 10%, max: 50}\n"
    repository.write(
        mlops_yaml=BASE.replace("gate:\n", gate), evaluate_py=COLUMNS.replace('"parameters": 1000', '"parameters": 1000, "tokens": 40')
    )
    repository.wrong(101)
    done = repository.mlops("review")
    assert reason(repository, "tokens") == "metric-new"
    assert "what is asked of its change waits" in done.stdout
    assert next(c["verdict"] for c in repository.report["checks"] if c["metric"] == "tokens") == "pass", "its maximum was held to"
    repository.write(mlops_yaml=BASE, evaluate_py=COLUMNS.replace("prediction,quality,ease", "prediction,other,ease"))
    repository.commit("no quality any more")
    gone = repository.mlops("review", code=None)
    assert gone.returncode in (2, 5), "an error, never a pass"
    assert "quality" in gone.stderr
