"""`mlops power` as it is asked: from assumptions, from the history, from files; in words, as JSON, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world.repository import Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make(tmp_path)


def asked(repository: Repository, *args: str) -> dict[str, object]:
    made: dict[str, object] = json.loads(repository.mlops("power", *args, "--json").stdout)
    return made


def test_before_there_is_any_test_set(repository: Repository) -> None:
    said = repository.mlops("power", "--margin", "1pp", "--disagree", "4%")
    assert "3,230 examples decide a margin of 1 pp" in said.stdout
    assert (repository.root / ".mlops/power.png").read_bytes().startswith(b"\x89PNG")
    assert repository.git("status", "--porcelain") == ""
    repository.mlops("power", "--examples", "500", "--accuracy", "0.9", "--png", "curve.png")
    assert (repository.root / "curve.png").is_file()
    rare = asked(
        repository,
        "--margin",
        "2pp",
        "--disagree",
        "4%",
        "--accuracy",
        "0.9",
        "--metric",
        "f1-macro",
        "--classes",
        "0.1,0.9",
        "--power",
        "0.9",
    )
    assert rare["exact"] is False
    assert int(str(rare["examples"])) > 2000


def test_from_the_comparisons_of_this_model(repository: Repository) -> None:
    refused = repository.mlops("power", "accuracy", code=2)
    assert "no comparison of accuracy is recorded" in refused.stderr
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "change")
    repository.wrong(140)
    repository.mlops("review", code=None)
    found = asked(repository, "accuracy")
    assert found["disagree"] == pytest.approx(41 / 2000)
    assert found["margin"] == 0.01, "the gate's"
    wide = asked(repository, "accuracy", "--examples", "2000")
    assert wide["examples"] == 2000


def test_from_the_predictions_of_one_or_two_models(repository: Repository) -> None:
    rows = ["id,target,prediction", *(f"r{i},a,{'a' if i % 10 else 'b'}" for i in range(1000)), "x,b,b"]
    (repository.root / "one.csv").write_text("\n".join(rows))
    (repository.root / "two.csv").write_text("\n".join(r.replace(",a,b", ",a,a") if i % 20 == 1 else r for i, r in enumerate(rows)))
    one = asked(repository, "one.csv", "--margin", "1pp")
    assert float(str(one["disagree"])) == pytest.approx(4 / 9 * 0.1 * 0.9 * 10 / 10, rel=0.3)
    two = asked(repository, "one.csv", "two.csv", "--margin", "1pp")
    assert float(str(two["disagree"])) == pytest.approx(51 / 1001)
    assert asked(repository, "one.csv", "two.csv", "--metric", "f1-macro")["exact"] is False


def test_what_cannot_be_answered_says_what_to_add(repository: Repository) -> None:
    for args, words in (
        (["--margin", "1pp"], "--disagree 4%"),
        (["--disagree", "4%", "--metric", "accuracy", "--margin", "0"], "a margin of 0"),
        (["--disagree", "400%", "--margin", "1pp"], "between 0 and 1"),
        (["nowhere.parquet"], "there is no file nowhere.parquet"),
        (["--disagree", "4%", "--margin", "x"], "is not a margin"),
    ):
        assert words in repository.mlops("power", *args, code=2).stderr
