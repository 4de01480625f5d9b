"""Several trainings of one recipe where they are judged: a fork's answers, two jobs, several machines with one store, a matrix, killed halves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_toolkit.system.files import sha256
from tests.scenario.fork_pair import Pair, rewritten
from tests.scenario.fork_pair import make as make_pair
from tests.world.github import serving
from tests.world.seeded import CONFIG, EVALUATE, TRAIN
from tests.world.team import READER, Job, Team, team

SEEDS = CONFIG.replace("[0, 1, 2, 3]", "[0, 1, 2]") + "comment: {charts: false}\n"
FILES = {"train.py": TRAIN, "evaluate.py": EVALUATE, "mlops.yaml": SEEDS, ".gitignore": "model.json\ncount\n"}


def parameters(steps: int = 400, flip: float = 0.0) -> str:
    return json.dumps({"steps": steps, "flip": flip})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Main is recorded with three seeds."""
    with serving() as github:
        made = make_pair(tmp_path_factory.mktemp("seeds"), github, files={**FILES, "params.json": parameters()})
        made.commit("The recipe", params_json=parameters())
        made.git("push", "-q", "origin", "main")
        made.main()
        yield made
    assert github.violations == []


@pytest.fixture(scope="module")
def handed(pair: Pair) -> tuple[str, Path]:
    """A stranger's head with a longer training, and what its job hands over."""
    pair.git("switch", "-q", "-C", "feature", "main")
    sha = pair.commit("Longer", params_json=parameters(440))
    pair.offer(sha)
    return sha, pair.train(sha)


def seed_file(artifact: Path, seed: int) -> Path:
    (found,) = artifact.glob(f"runs/*/predictions/seed-{seed}/*.parquet")
    return found


def named(artifact: Path) -> Path:
    """With a record that names the files as they are now: it is the stranger's own."""

    def change(run: dict[str, Any]) -> None:
        kept = [one["predictions"] for one in run["evaluations"].values()] + [
            a for one in run["seeds"] for a in one["predictions"].values()
        ]
        for each in kept:
            path = artifact / "runs" / run["id"] / each["path"]
            each.update(sha256=sha256(path), size=path.stat().st_size)

    return rewritten(artifact, change)


def test_a_stranger_s_seeds_are_judged_as_answers_to_the_baseline_s_examples(pair: Pair, handed: tuple[str, Path], tmp_path: Path) -> None:
    sha, artifact = handed
    pair.forget()
    judged = pair.judge(artifact, pair.ended(sha))
    assert judged.error is None, judged.done.stderr
    told = judged.report["training"]
    assert (told["scope"], told["seeds"], told["paired"]) == ("recipe", [[0, 1, 2], [0, 1, 2]], True)
    own = [check for check in judged.report["checks"] if check["metric"] == "accuracy" and check["slice"] is None]
    assert (own[0]["method"], own[0]["baseline"] is not None) == ("seeds", True)
    assert judged.statuses.keys() == {"mlops/separator"}
    assert all(not entry.seeds for entry in judged.looks), "of a stranger's run nothing is kept but that it was judged"
    # Its own targets, weights and further columns are not asked: the very same numbers come from the very same answers.
    lying = Path(shutil.copytree(artifact, tmp_path / "lying"))
    for path in lying.glob("runs/*/predictions/**/*.parquet"):
        frame = pl.read_parquet(path)
        frame.with_columns(target=pl.col("prediction"), weight=pl.lit(1.0), half=pl.lit("left")).write_parquet(path)
    named(lying)
    again = pair.judge(lying, pair.ended(sha)).report
    assert [(c["metric"], c["slice"], c["baseline"], c["head"], c["low"], c["verdict"]) for c in again["checks"]] == [
        (c["metric"], c["slice"], c["baseline"], c["head"], c["low"], c["verdict"]) for c in judged.report["checks"]
    ]


def _frame(seed: int, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], object]:
    def made(artifact: Path) -> None:
        path = seed_file(artifact, seed)
        change(pl.read_parquet(path)).write_parquet(path)
        named(artifact)

    return made


def _record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda artifact: rewritten(artifact, change)


REFUSED: dict[str, Callable[[Path], object]] = {
    "a row is missing": _frame(2, lambda frame: frame[1:]),
    "other examples": _frame(1, lambda frame: frame.with_columns(id=pl.lit("x") + pl.col("id"))),
    "a score that is none": _frame(1, lambda frame: frame.with_columns(pl.lit(float("nan")).alias("prob:1"))),
    "a file that is gone": lambda artifact: seed_file(artifact, 1).unlink(),
    "a path that leads out": _record(lambda run: run["seeds"][1]["predictions"][""].update(path="../../../../etc/passwd")),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_stranger_s_seeds_that_are_no_answers_pass_nothing(pair: Pair, handed: tuple[str, Path], tmp_path: Path, how: str) -> None:
    sha, artifact = handed
    pair.forget()
    changed = Path(shutil.copytree(artifact, tmp_path / "changed"))
    REFUSED[how](changed)
    judged = pair.judge(changed, pair.ended(sha))
    assert judged.done.returncode not in (0, 70), judged.done.stderr
    assert judged.error is not None
    assert judged.statuses == {"mlops/separator": "error"}


def test_a_stranger_does_not_choose_which_seeds_count(pair: Pair, handed: tuple[str, Path], tmp_path: Path) -> None:
    """Fewer than main asks for are the first alone, with the luck that main's own trainings tell of; more are left out."""
    sha, artifact = handed
    fewer = Path(shutil.copytree(artifact, tmp_path / "fewer"))
    rewritten(fewer, lambda run: run.update(seeds=run["seeds"][:2]))
    report = pair.judge(fewer, pair.ended(sha)).report
    assert report["training"]["seeds"] == [[0, 1, 2], [0]]
    assert next(c for c in report["checks"] if c["metric"] == "accuracy" and c["slice"] is None)["training"] is not None
    more = Path(shutil.copytree(artifact, tmp_path / "more"))
    rewritten(more, lambda run: run["seeds"].append({**run["seeds"][1], "seed": 9}))
    assert pair.judge(more, pair.ended(sha)).report["training"]["seeds"] == [[0, 1, 2], [0, 1, 2]]


TWO = SEEDS.replace("[0, 1, 2]", "[0, 1]")


def shared(folder: Path, text: str = TWO) -> str:
    """The configuration with a store that every machine reaches."""
    return text + f"models: {{store: 'file://{folder / 'shared'}'}}\n"


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Team]:
    files = {**FILES, "mlops.yaml": shared(tmp_path), "params.json": parameters()}
    with team(tmp_path, files) as made:
        yield made


def seeds_trained(job: Job) -> list[str]:
    path = job.root / "count"
    return path.read_text().split() if path.exists() else []


def proposed(acme: Team, number: int = 7, **files: str) -> Any:
    acme.project.branch(f"feature-{number}")
    head = acme.project.commit("A change", {name.replace("__", "."): text for name, text in files.items()})
    return acme.pull_request(number, head, f"feature-{number}")


def test_two_jobs_a_squash_merge_and_a_machine_that_has_nothing(acme: Team) -> None:
    """Every machine is a new one: what it knows of other seeds comes from the remote's history, and their models from the store."""
    first = acme.reviewed(acme.push())
    assert sorted(seeds_trained(first)) == ["0", "1"]
    event = proposed(acme, params__json=parameters(440))
    judge = acme.job(event)
    train = acme.job(event, token=READER, run=judge.run)
    train.step("train")
    train.step("evaluate")
    train.hand_over(judge)
    judge.step("compare", code=None)
    assert judge.report["error"] is None
    told = judge.report["training"]
    assert (told["scope"], told["seeds"], told["paired"]) == ("recipe", [[0, 1], [0, 1]], True)
    kept = json.loads(
        acme.history(
            "show", f"mlops-history:runs/{acme.index()[-1]['i'][:4]}-{acme.index()[-1]['i'][4:6]}/{acme.index()[-1]['i']}/run.json"
        )
    )
    assert [sorted(one["predictions"]) for one in kept["seeds"]] == [[], [""]], "the first seed's are the run's own"
    # Planned again, nothing needs to be trained; merged as one commit, main's run is that of the pull request.
    assert "unchanged since" in acme.job(event).step("plan").out
    acme.project.git("checkout", "-q", "main")
    acme.project.git("merge", "-q", "--squash", "feature-7")
    acme.project.commit("Squashed", {})
    merged = acme.reviewed(acme.push(), code=None)
    assert seeds_trained(merged) == []
    assert merged.report["training"]["seeds"] == [[0, 1], [0, 1]]
    assert [one["seed"] for one in merged.record["seeds"]] == [0, 1]
    # Another evaluation of the same models: both are fetched, none is trained.
    event = proposed(acme, number=8, evaluate__py=EVALUATE.replace("1500", "1400"))
    job = acme.reviewed(event, code=None)
    assert seeds_trained(job) == []
    assert len({json.dumps(one["metrics"]) for one in job.record["seeds"]}) == 2
    # One more seed: it alone is trained.
    event = proposed(acme, number=9, mlops__yaml=shared(acme.folder, TWO.replace("[0, 1]", "[0, 1, 3]")))
    job = acme.reviewed(event, code=None)
    assert seeds_trained(job) == ["3"]


def test_a_matrix_of_recipes_has_seeds_in_every_leg(acme: Team) -> None:
    event = acme.push()
    for leg in ("small", "large"):
        job = acme.job(event)
        job.step("review", matrix=leg, code=None)
        assert [one["seed"] for one in job.record["seeds"]] == [0, 1]
    assert sorted(line["k"].rpartition("|")[2] for line in acme.index()) == ["large", "small"]
    job = acme.job(proposed(acme, README__md="words"))
    assert "unchanged since" in job.step("plan", matrix="large").out
    changed = acme.job(proposed(acme, number=8, params__json=parameters(440)))
    changed.step("review", matrix="large", code=None)
    assert changed.report["training"]["seeds"] == [[0, 1], [0, 1]]
    assert changed.report["baseline"]["run"] == next(line["i"] for line in acme.index() if line["k"].endswith("|large"))
