"""The gate against the last release where it is judged: pushes, pull requests in one job and in two, tags, monorepos, forks, lost records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.fork_pair import Pair
from tests.scenario.fork_pair import make as make_pair
from tests.world.github import serving
from tests.world.monorepo import CONFIG as MONOREPO
from tests.world.monorepo import GLOB, monorepo
from tests.world.project import CONFIG
from tests.world.released import mark
from tests.world.repository import CONFIG as SPAM
from tests.world.team import READER, Team, team

AGAINST = (
    CONFIG + "  recall:spam: {max-drop: 4pp, against: {release: {max-drop: 6pp}}}\nagainst: [main, release]\ncomment: {charts: false}\n"
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team whose main is at 30 wrong of 1,000, released as v1.2, and then, with a push of its own, at 36."""
    folder = tmp_path_factory.mktemp("released")
    with team(folder, {"mlops.yaml": AGAINST}) as made:
        made.reviewed(made.push())
        mark(made.project.remote, made.index()[-1]["i"], "v1.2")
        made.project.commit("A little worse", {"src/wrong.txt": "36\n"})
        made.reviewed(made.push())
    return folder


@pytest.fixture
def acme(tmp_path: Path, recorded: Path) -> Iterator[Team]:
    with team(tmp_path, like=recorded) as made:
        yield made


def against(report: dict[str, Any], name: str = "release") -> dict[str, dict[str, Any]]:
    return {check["metric"]: check for check in report["checks"] if check["against"] == name and check["slice"] is None}


def proposed(acme: Team, wrong: int, **files: str) -> Any:
    acme.project.branch("feature")
    head = acme.project.commit(
        "A change", {"src/wrong.txt": f"{wrong}\n", **{name.replace("__", "."): text for name, text in files.items()}}
    )
    return acme.pull_request(7, head, "feature")


def test_a_pull_request_in_a_shallow_checkout_is_held_against_the_release(acme: Team) -> None:
    """The released commit is not in the clone: its run is found by the line that the remote has."""
    job = acme.reviewed(proposed(acme, 45), code=None)
    found = against(job.report)["accuracy"]
    assert (found["baseline"], found["head"], found["margin"]) == (0.97, 0.955, 0.01)
    assert job.report["exit"] == 3
    assert job.report["others"]["release"]["label"] == "v1.2"
    (body,) = acme.github.bodies(7)
    assert "accuracy against release −1.50 pp" in body.partition("\n")[0]
    assert "**Against the last release v1.2" in body


def test_two_jobs_judge_the_same(acme: Team) -> None:
    event = proposed(acme, 45)
    first = acme.job(event, token=READER)
    first.step("train")
    first.step("evaluate")
    second = acme.job(event, run=first.run)
    first.hand_over(second)
    second.step("compare", code=3)
    assert against(second.report)["accuracy"]["head"] == 0.955


def test_a_push_to_main_that_erodes_it_is_found_there_too(acme: Team) -> None:
    acme.project.git("checkout", "-q", "main")
    acme.project.commit("Past every review", {"src/wrong.txt": "45\n"})
    job = acme.reviewed(acme.push(), code=3)
    assert job.report["sentence"].startswith("undecided, leaning worse: accuracy against release −1.50 pp")
    assert job.report["baseline"]["label"] == "main"


def test_a_release_s_own_tag_is_held_against_the_release_before_it_once(acme: Team) -> None:
    """The previous release is the baseline there: only margins of its own are judged beside it."""
    acme.project.git("checkout", "-q", "main")
    acme.project.git("tag", "v1.3")
    acme.project.git("push", "-q", "origin", "v1.3")
    job = acme.reviewed(acme.tag("v1.3"), code=None)
    assert job.report["baseline"]["run"] == job.report["others"]["release"]["run"]
    assert list(against(job.report)) == ["recall:spam"]


def test_a_tag_that_the_checkout_did_not_bring_pins_all_the_same(acme: Team) -> None:
    acme.project.git("tag", "-a", "-m", "an object of its own", "v1.0", "main~1")
    acme.project.git("push", "-q", "origin", "v1.0")
    job = acme.reviewed(proposed(acme, 37, mlops__yaml=AGAINST.replace("release]", "release, v1.0]")))
    assert job.report["others"]["v1.0"]["run"] == job.report["others"]["release"]["run"]


def test_a_release_whose_record_is_lost_is_unreadable(acme: Team) -> None:
    mark(acme.project.remote, acme.index()[0]["i"], None)
    job = acme.job(proposed(acme, 37))
    job.step("train")
    job.step("evaluate")
    assert "which `against: release` means, is not to be had" in job.step("compare", code=4).log
    assert acme.status(job.event.payload["pull_request"]["head"]["sha"])["mlops/spam-filter"] == "error"


def test_each_model_of_a_monorepo_has_its_own_release(tmp_path: Path) -> None:
    text = MONOREPO + "against: [main, release]\n"
    with monorepo(tmp_path, names=("cats", "dogs"), config=text) as acme:
        acme.job(acme.push()).within("review", config=GLOB)
        cats = next(line["i"] for line in acme.index() if "cats" in line["k"])
        mark(acme.project.remote, cats, "cats-1")
        acme.project.commit("A little worse", {f"models/{name}/src/wrong.txt": "37\n" for name in ("cats", "dogs")})
        acme.job(acme.push()).within("review", config=GLOB)
        acme.project.branch("feature")
        head = acme.project.commit("Worse", {f"models/{name}/src/wrong.txt": "47\n" for name in ("cats", "dogs")})
        event = acme.pull_request(7, head, "feature")
        job = acme.job(event)
        job.within("review", config=GLOB, code=1)
        reports = {name: json.loads((job.root / "models" / name / ".mlops" / "report.json").read_text()) for name in ("cats", "dogs")}
        assert against(reports["cats"])["accuracy"]["baseline"] == 0.97
        assert against(reports["dogs"]) == {}
        assert "against release: no release yet, so nothing is held against it" in reports["dogs"]["notes"]
        assert acme.status(head) == {"mlops/cats": "failure", "mlops/dogs": "success"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """For strangers: a main at 100 wrong of 2,000, released, and then at 115."""
    with serving() as github:
        made = make_pair(tmp_path_factory.mktemp("pair"), github, config=SPAM + "against: [main, release]\n")
        made.main()
        mark(made.remote, entries(made)[-1]["i"], "v1.2")
        made.git("switch", "-q", "main")
        made.commit("A little worse", params_json=json.dumps({"wrong": 115}))
        made.git("push", "-q", "origin", "main")
        made.main()
        yield made
    assert github.violations == []


def entries(pair: Pair) -> list[dict[str, Any]]:
    import subprocess

    done = subprocess.run(["git", "-C", str(pair.remote), "show", "mlops-history:index.jsonl"], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("fork", [True, False], ids=["a fork", "our own branch"])
def test_the_judge_without_a_checkout_holds_against_the_release(pair: Pair, fork: bool) -> None:
    """Also where the head's own configuration has let it go."""
    pair.forget()
    number, branch = (5, "feature") if fork else (6, "ours")
    head = pair.head(130, number=number, fork=fork, branch=branch, mlops_yaml=SPAM)
    judged = pair.judge(pair.train(head, number=number, fork=fork, branch=branch), pair.ended(head, fork=fork, branch=branch))
    assert judged.done.returncode == 3, judged.done.stderr
    found = against(judged.report)["accuracy"]
    assert (found["baseline"], found["head"]) == (0.95, 0.935)
    assert judged.statuses == {"mlops/spam-filter": "failure"}
    said = judged.comments[0].partition("\n")[0]
    assert "accuracy against release −1.50 pp" in said
    assert ("against release → not held against" in said) is not fork
