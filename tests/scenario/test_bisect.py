"""`mlops bisect` over a line of recorded runs: what is named, what is passed over, and what is said where there is nothing to walk over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, MOVING, Repository, make

LEVELS = [0.90, 0.90, 0.90, 0.95, 0.95, 0.95, 0.89, 0.89]


def recorded(repository: Repository, level: float, seed: int, **more: int) -> None:
    repository.write(params_json=json.dumps({"accuracy": level, "seed": seed, **more}))
    repository.commit(f"Model {seed} (#{seed + 10})")
    repository.mlops("review", code=None)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Up by 5 pp with model 3; down by 6 pp with model 6 or 7, of which only 7 was recorded; the first model saw fewer examples."""
    made = make(tmp_path_factory.mktemp("line"), config=CONFIG.replace("max-drop: 1pp, slices: {max-drop: 3pp}", "max-drop: 4pp"))
    made.write(evaluate_py=MOVING)
    recorded(made, 0.9, 99, first=200)
    for seed, level in enumerate(LEVELS):
        if seed == 6:
            made.wrong(0, "Not recorded")
        recorded(made, level, seed)
    return made


def test_the_commits_where_it_moved_are_named(repository: Repository) -> None:
    done = repository.mlops("bisect", "accuracy")
    assert done.stdout.startswith("accuracy moved 2 times over 8 runs of main (1,500 examples)")
    up, down = done.stdout.splitlines()[2:]
    assert up.startswith("better")
    assert "Model 3 (#13) (Ada)" in up
    assert down.startswith("worse")
    assert "one of 2 commits between two runs" in down
    assert "Model 6 (#16)" in down, "a run whose gate failed is walked over, too"
    assert "passed over" in done.stderr
    assert "it was measured on other examples" in done.stderr
    picture = repository.root / ".mlops" / "bisect-accuracy.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    before = picture.read_bytes()
    assert repository.mlops("bisect", "accuracy").stdout == done.stdout
    assert picture.read_bytes() == before


def test_json_is_one_document_and_holds_what_the_table_says(repository: Repository) -> None:
    made = json.loads(repository.mlops("bisect", "accuracy", "--json").stdout)
    assert [move["kind"] for move in made["moves"]] == ["commit", "range"]
    [one] = made["moves"][0]["commits"]
    assert (one["subject"], one["author"], one["pull-request"]) == ("Model 3 (#13)", "Ada", 13)
    for move, truth in zip(made["moves"], (0.05, -0.06), strict=True):
        assert move["low"] < truth < move["high"]
        assert move["change"] == pytest.approx(move["after"] - move["before"])
        assert move["better"] is (truth > 0)
    assert len(made["points"]) == 8
    assert list(made["passed"].values()) == ["it was measured on other examples"]


def test_a_slice_and_a_stretch_of_the_line(repository: Repository) -> None:
    made = json.loads(repository.mlops("bisect", "accuracy", "--slice", "language=de", "--since", "HEAD~5", "--json").stdout)
    assert (made["slice"], made["n"]) == ("language=de", 375)
    assert len(made["points"]) == 5
    assert all(not move["better"] for move in made["moves"])
    assert (repository.root / ".mlops" / "bisect-accuracy--language-de-.png").is_file()


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("acuracy",), 'there is no metric "acuracy"', 'did you mean "accuracy"?'),
        (("accuracy", "--slice", "language=fr"), 'there is no slice "language=fr"', "language=en"),
        (("accuracy", "--since", "nowhere"), '"nowhere" is no commit, branch or tag', "name a commit or tag of main"),
        (("accuracy", "--since", "HEAD"), "1 run of this line can be walked over, and a move needs two", "mlops history list"),
        (("roc-auc:spam",), "its roc-auc:spam is undefined: no scores", "mlops history list"),
    ],
)
def test_what_cannot_be_walked_over_is_said(repository: Repository, words: tuple[str, ...], said: str, hint: str) -> None:
    done = repository.mlops("bisect", *words, code=2)
    assert said in done.stderr
    assert hint in done.stderr


def test_without_a_recorded_run_there_is_nothing_to_walk_over(tmp_path: Path) -> None:
    done = make(tmp_path).mlops("bisect", "accuracy", code=2)
    assert "no run of spam-filter is recorded on main" in done.stderr
