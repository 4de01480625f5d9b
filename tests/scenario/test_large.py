"""The whole loop on predictions that are read in blocks: evaluated, kept, reused, compared, and what needs all of them at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_toolkit.predictions.stream import scratch
from tests.world.repository import CONFIG, Repository, make

SMALL = """\
try:
    from mlops_toolkit.predictions.stream import source
    source.ROWS, source.BYTES = 1000, 10_000
    from mlops_toolkit.system import memory
    import os
    if "FREE" in os.environ:
        memory.available = lambda: int(os.environ["FREE"])
except ImportError:
    pass
"""
OWN = CONFIG.replace("metrics: [accuracy, f1-macro]", "metrics: [accuracy, {python: metrics.py:cost, better: lower}]")
COST = "def cost(rows):\n    return 1.0\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Where files of 10 kB, or of a thousand rows, are large."""
    made = make(tmp_path)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "sitecustomize.py").write_text(SMALL)
    made.env["PYTHONPATH"] = f"{tmp_path / 'small'}:{made.env.get('PYTHONPATH', '')}"
    made.env["TMPDIR"] = str(tmp_path)
    return made


def test_a_model_is_evaluated_kept_and_compared_in_blocks(repository: Repository, tmp_path: Path) -> None:
    repository.mlops("review")
    main = repository.record
    assert main["metrics"]["accuracy"]["value"] == 0.95
    assert main["slices"]["language=de"]["accuracy"]["n"] == 500
    repository.git("switch", "-q", "-c", "harmful")
    repository.wrong(180)
    repository.mlops("review", code=1)
    assert repository.report["verdict"] == "fail"
    assert any("were not searched: the examples are too many for memory" in note for note in repository.report["notes"])
    assert {check["slice"] for check in repository.report["checks"]} == {None, "language=de", "language=en"}
    assert main["evaluations"][""]["data"] == repository.record["evaluations"][""]["data"]
    small = make(tmp_path / "other")
    small.mlops("review")
    assert small.record["evaluations"][""]["data"] == main["evaluations"][""]["data"]
    ids = [_ids(one) for one in (small, repository)]
    assert ids[0] == sorted(ids[1])
    assert ids[1][:3] == ["mail-0", "mail-1", "mail-2"]  # in the file's order: it was never held as a whole
    assert _numbers(small.record) == pytest.approx(_numbers(main), rel=1e-12)
    assert not list(tmp_path.glob(f"{scratch.PREFIX}*"))


def _ids(repository: Repository) -> list[str]:
    path = repository.root / ".mlops" / "runs" / repository.record["id"] / "predictions" / "main.parquet"
    found: list[str] = pl.read_parquet(path)["id"].to_list()
    return found


def _numbers(record: dict[str, Any]) -> list[float]:
    every = [record["metrics"], *record["slices"].values()]
    return [value[key] for values in every for value in values.values() for key in ("value", "standard_error")]


@pytest.mark.parametrize("own", [False, True])
def test_an_equal_evaluation_is_not_made_again(repository: Repository, *, own: bool) -> None:
    """Nor is a metric of one's own lost by it, which is computed of all of them in memory."""
    if own:
        repository.write(mlops_yaml=OWN, metrics_py=COST)
        repository.commit("a metric of our own")
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "harmless")
    repository.wrong(102)
    repository.mlops("review")
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--squash", "harmless")
    repository.commit("squashed")
    done = repository.mlops("review")
    assert "evaluated the same" in done.stderr
    assert repository.report["verdict"] == "pass"
    assert ("cost" in repository.record["metrics"]) is own


def test_what_needs_all_of_them_is_refused_where_memory_is_short(repository: Repository) -> None:
    repository.write(mlops_yaml=OWN, metrics_py=COST)
    repository.commit("a metric of our own")
    done = repository.mlops("review", code=4, FREE="1000")
    assert "a metric of your own (cost) needs all predictions in memory" in done.stderr
    assert "evaluate fewer examples, do without that, or take a machine with more memory" in done.stderr


def test_a_baseline_is_asked_again_where_there_is_room_and_else_nothing_is_decided(repository: Repository) -> None:
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "more")
    text = (repository.root / "evaluate.py").read_text()
    repository.write(evaluate_py=text.replace('"2000"', '"2400"'))
    repository.wrong(130)
    repository.mlops("review", code=None, FREE="1000")
    assert repository.report["baseline"]["state"] == "evaluation-changed"
    gated = next(check for check in repository.report["checks"] if check["metric"] == "accuracy" and check["slice"] is None)
    assert gated["verdict"] == "inconclusive"
    note = json.dumps(repository.record["evaluations"][""])
    assert "asking another model again needs all predictions in memory" in note
    repository.mlops("review", "--again", code=None, FREE=str(10**12))
    assert "evaluated again" in " ".join(repository.report["notes"])


def test_of_several_seeds_too_large_to_be_read_at_once_the_first_is_compared_and_it_is_said(repository: Repository) -> None:
    answers = (
        (repository.root / "train.py").read_text()
        + 'import os\nseed = int(os.environ["MLOPS_SEED"])\n'
        + 'pathlib.Path("model/weights.json").write_text(json.dumps({"wrong": params["wrong"] + 300 * seed}))\n'
    )
    repository.write(mlops_yaml=CONFIG.replace("params: params.json}", "params: params.json, seeds: [0, 1]}"), train_py=answers)
    repository.commit("two seeds")
    repository.mlops("review")
    assert [one["seed"] for one in repository.record["seeds"]] == [0, 1]
    repository.git("switch", "-q", "-c", "harmful")
    repository.wrong(180)
    repository.mlops("review", code=None)
    said = "its 2 seeds the first one's are compared, and how far seeds lie apart is taken from the records, where they say so"
    assert [said in note for note in repository.report["notes"]].count(True) == 2, repository.report["notes"]  # of both sides
    gated = next(check for check in repository.report["checks"] if check["metric"] == "accuracy" and check["slice"] is None)
    assert (gated["baseline"], gated["head"]) == (0.95, 0.91)  # as of seed 0: seed 1's are 0.8 and 0.76


def test_answers_of_a_model_from_elsewhere_are_recorded_in_blocks(repository: Repository) -> None:
    repository.mlops("review")
    path = repository.root / ".mlops" / "runs" / repository.record["id"] / "predictions" / "main.parquet"
    repository.write(
        mlops_yaml=CONFIG.replace(
            "train: {run: python3 train.py, output: model/, inputs: [train.py, params.json], params: params.json}\n", "model: model.lock\n"
        )
    )
    wanted = repository.record
    repository.mlops("record", "model", "--predictions", str(path))
    assert repository.record["metrics"] == wanted["metrics"]
    assert repository.record["evaluations"][""]["data"] == wanted["evaluations"][""]["data"]
    assert _ids(repository)[:3] == ["mail-0", "mail-1", "mail-2"]
