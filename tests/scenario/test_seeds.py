"""Several trainings of one recipe, through the real verbs: a real little training whose seeds matter, killed in the middle too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.world.repository import Repository
from tests.world.seeded import CONFIG, params, seeded, trained
from tests.world.waiting import wait_for


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return seeded(tmp_path)


def model(repository: Repository) -> str:
    return (repository.root / "model.json").read_text()


def check(repository: Repository, metric: str = "accuracy", slice_name: str | None = None) -> dict[str, Any]:
    found: list[dict[str, Any]] = repository.report["checks"]
    return next(c for c in found if c["metric"] == metric and c["slice"] == slice_name)


def test_every_seed_is_trained_evaluated_and_recorded_and_the_first_ones_model_is_the_model(repository: Repository) -> None:
    done = repository.mlops("review")
    assert sorted(trained(repository)) == ["0", "1", "2", "3"]
    record = repository.record
    assert [one["seed"] for one in record["seeds"]] == [0, 1, 2, 3]
    digests = [one["model"]["digest"] for one in record["seeds"]]
    assert len(set(digests)) == 4
    assert record["trained-model"]["digest"] == digests[0]
    assert record["seed"] == 0
    values = [one["metrics"]["accuracy"] for one in record["seeds"]]
    assert len(set(values)) > 1
    assert record["metrics"]["accuracy"]["value"] == values[0]
    mean = sum(values) / 4
    told = record["metrics"]["accuracy"]["training"]
    assert told["seeds"] == 4
    assert told["variance"] == pytest.approx(sum((v - mean) ** 2 for v in values) / 3)
    assert check(repository)["head"] == pytest.approx(mean)
    for one in record["seeds"][1:]:
        assert (repository.root / ".mlops" / "runs" / record["id"] / one["predictions"][""]["path"]).is_file()
    assert [c["phase"] for c in record["commands"]] == ["train"] * 4 + ["evaluate"] * 4
    assert "evaluated with seed 3" in done.stderr
    assert record["resources"]["wall_seconds"] >= sum(c["seconds"] for c in record["commands"] if c["phase"] == "train") * 0.9


def test_a_command_that_writes_to_the_output_itself_leaves_every_seed_its_own_model(repository: Repository) -> None:
    repository.mlops("train")
    own = [one["model"]["digest"] for one in repository.record["seeds"]]
    params(repository, knows=False)
    repository.mlops("train")
    assert [one["model"]["digest"] for one in repository.record["seeds"]] == own
    assert trained(repository)[4:] == trained(repository)[:4]


def test_a_change_of_the_recipe_is_held_against_main_seed_by_seed(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "longer")
    params(repository, steps=440)
    done = repository.mlops("review", code=None)
    told = repository.report["training"]
    assert told == {
        "scope": "recipe",
        "seeds": [[0, 1, 2, 3], [0, 1, 2, 3]],
        "paired": True,
        "left-out": [],
        "alike": [],
        "source": "seeds",
        "run": None,
    }
    assert "4 trainings a side, paired by seed (0, 1, 2, 3)" in done.stdout
    assert "examples and charts are of seed 0" in done.stdout
    assert done.stdout.count("luck of training") == 1
    one = check(repository)
    assert one["method"] == "seeds"
    assert one["low"] < one["change"] < one["high"]
    assert one["training"] is not None
    for metric in ("roc-auc", "log-loss"):
        assert check(repository, metric)["low"] is not None
        assert check(repository, metric, "half=left")["low"] is not None


def test_a_model_that_is_worse_fails_whatever_its_seeds(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "worse")
    params(repository, flip=0.35)
    repository.mlops("review", code=1)
    assert check(repository)["verdict"] == "fail"


def test_what_is_trained_is_not_trained_again_whole_or_seed_by_seed(repository: Repository) -> None:
    repository.mlops("review")
    again = repository.mlops("review")
    assert len(trained(repository)) == 4
    assert repository.record["status"] == "reused"
    assert "nothing to evaluate" in again.stderr
    assert [one["metrics"] for one in repository.record["seeds"]][1:] != [{}, {}, {}]
    repository.write(mlops_yaml=CONFIG.replace("[0, 1, 2, 3]", "[0, 1, 2, 3, 4]"))
    repository.commit("one more seed")
    repository.mlops("review")
    assert trained(repository)[4:] == ["4"]
    assert [one["seed"] for one in repository.record["seeds"]] == [0, 1, 2, 3, 4]
    repository.mlops("review", "--again")
    assert len(trained(repository)) == 10


def test_a_squash_merge_costs_no_training_and_keeps_every_seed(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "longer")
    params(repository, steps=440)
    repository.mlops("review", code=None)
    before = len(trained(repository))
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--squash", "longer")
    repository.commit("squashed")
    (repository.root / "model.json").unlink()
    repository.mlops("review", code=None)
    assert len(trained(repository)) == before
    assert repository.report["training"]["seeds"] == [[0, 1, 2, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_that_is_killed_between_seeds_goes_on_with_the_next(repository: Repository, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "mlops_toolkit", "train"]
    process = subprocess.Popen(command, cwd=repository.root, env={**repository.env, "HANG": "3"}, stderr=subprocess.DEVNULL)
    wait_for(lambda: trained(repository) == ["1", "2", "3"], 60)
    os.kill(process.pid, how)
    process.wait(timeout=60)
    assert [one["seed"] for one in repository.record["seeds"]] == [1, 2]
    done = repository.mlops("train")
    assert trained(repository) == ["1", "2", "3", "3", "0"]
    assert "seed 1 (1 of 4): trained before this was interrupted" in done.stderr
    assert repository.record["status"] == "succeeded"
    assert len({one["model"]["digest"] for one in repository.record["seeds"]}) == 4
    assert repository.record["resources"]["wall_seconds"] > 0


def test_a_seed_that_was_done_and_whose_model_was_changed_is_trained_again(tmp_path: Path) -> None:
    repository = seeded(tmp_path, config=CONFIG + "models: {store: none}\n")
    command = [sys.executable, "-m", "mlops_toolkit", "train"]
    process = subprocess.Popen(command, cwd=repository.root, env={**repository.env, "HANG": "2"}, stderr=subprocess.DEVNULL)
    wait_for(lambda: trained(repository) == ["1", "2"], 60)
    process.kill()
    process.wait(timeout=60)
    place = next((repository.root / ".mlops" / "seeds").glob("*/1/model.json"))
    place.write_text("{}")
    repository.mlops("train")
    assert trained(repository)[2:] == ["1", "2", "3", "0"]


def test_an_evaluation_that_is_killed_with_another_seeds_model_in_place_does_not_take_it_for_the_first(repository: Repository) -> None:
    repository.mlops("train")
    first = model(repository)
    slow = (repository.root / "evaluate.py").read_text() + "\nimport time\ntime.sleep(60 * (os.environ['MLOPS_SEED'] == '2'))\n"
    (repository.root / "evaluate.py").write_text(slow)
    command = [sys.executable, "-m", "mlops_toolkit", "evaluate"]
    process = subprocess.Popen(command, cwd=repository.root, env=repository.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    for line in process.stderr:
        if b"evaluated with seed 2" in line:
            break
    process.kill()
    process.communicate(timeout=60)
    assert model(repository) != first
    repository.git("checkout", "-q", "evaluate.py")
    repository.mlops("evaluate")
    assert model(repository) == first
    record = repository.record
    assert [one["seed"] for one in record["seeds"] if one["metrics"]] == [0, 1, 2, 3]
    assert len({json.dumps(one["metrics"]) for one in record["seeds"]}) == 4


def test_a_seed_that_fails_is_named_and_what_is_done_is_kept(repository: Repository) -> None:
    text = (repository.root / "train.py").read_text()
    repository.write(train_py=text + "\nif seed == 3:\n    raise SystemExit('diverged')\n")
    repository.commit("diverges")
    done = repository.mlops("train", code=5)
    assert "train.run (seed 3)" in done.stderr
    assert "diverged" in done.stderr
    assert repository.record["status"] == "failed"
    repository.mlops("train", code=5)
    assert trained(repository) == ["1", "2", "3", "3"]


def test_a_test_set_that_depends_on_the_seed_is_refused(repository: Repository) -> None:
    text = (repository.root / "evaluate.py").read_text()
    repository.write(evaluate_py=text.replace('os.environ.get("EXAMPLES", "1500")', '1500 + int(os.environ["MLOPS_SEED"])'))
    repository.commit("another test set a seed")
    done = repository.mlops("review", code=5)
    assert "with seed 1 the evaluation answered other examples than with the first seed" in done.stderr
    assert repository.record["status"] == "failed"


def test_the_models_of_other_seeds_are_of_a_pull_request_wherever_they_were_trained(repository: Repository) -> None:
    repository.mlops("review")
    store = Path(repository.env["XDG_DATA_HOME"]) / "mlops" / "models"
    uses = {path.parent.name: json.loads(path.read_text()) for path in store.glob("*/sha256/*/*/uses.json")}
    digests = [one["model"]["digest"].removeprefix("sha256:") for one in repository.record["seeds"]]
    assert [any(name.startswith("main") for name in uses[digest]) for digest in digests] == [True, False, False, False]
    assert not list((repository.root / ".mlops" / "seeds").glob("*/[123]/model.json"))


def test_a_seed_beside_seeds_is_refused(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG.replace("seeds: [0, 1, 2, 3]", "seed: 7, seeds: [0, 1, 1]"))
    done = repository.mlops("train", code=2)
    assert "both `seed` and `seeds` are given" in done.stderr
    assert "names 1 twice" in done.stderr


def test_fewer_seeds_do_not_make_the_luck_of_training_go_away(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "sneaky")
    repository.write(mlops_yaml=CONFIG.replace("seeds: [0, 1, 2, 3]", "seed: 0"))
    params(repository, steps=440)
    done = repository.mlops("review", code=None)
    assert "gate loosened: train.seeds 4 → 1" in done.stdout
    assert repository.report["training"]["scope"] == "recipe"
    assert repository.report["training"]["seeds"] == [[0, 1, 2, 3], [0]]
    assert check(repository)["training"] is not None


def test_the_scope_artifact_judges_the_first_models_alone(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG + "scope: artifact\n")
    repository.commit("the very model")
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "longer")
    params(repository, steps=440)
    done = repository.mlops("review", code=None)
    assert check(repository)["method"] == "tango"
    assert check(repository)["head"] == repository.record["metrics"]["accuracy"]["value"]
    assert "Training noise is not included" in done.stdout


def test_one_training_a_side_counts_the_spread_that_main_once_found(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG + "scope: recipe\n")
    repository.commit("the recipe")
    repository.mlops("review")
    known = repository.record["id"]
    repository.write(mlops_yaml=CONFIG.replace("seeds: [0, 1, 2, 3]", "seed: 0") + "scope: recipe\n")
    params(repository, steps=401)
    repository.mlops("review", code=None)
    repository.git("switch", "-q", "-c", "longer")
    params(repository, steps=440)
    done = repository.mlops("review", code=None)
    assert repository.report["training"]["source"] == "history"
    assert repository.report["training"]["run"] == known
    assert f"known from run {known}, and counted" in done.stdout
    one = check(repository)
    assert one["training"] > 0
    artifact = repository.mlops("compare", "--json", code=None)
    assert json.loads(artifact.stdout)["checks"][0]["low"] == one["low"]


def test_without_any_seeds_the_recipe_says_what_is_missing(tmp_path: Path) -> None:
    repository = seeded(tmp_path, config=CONFIG.replace("seeds: [0, 1, 2, 3]", "seed: 0") + "scope: recipe\n")
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "longer")
    params(repository, steps=440)
    done = repository.mlops("review", code=None)
    assert done.stdout.count("the luck of training is not included") == 1
    assert check(repository)["training"] is None
