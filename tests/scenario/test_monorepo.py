"""Several models compared together: what other jobs handed over in a folder, legs of a matrix, and what is wrong with one of them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.events import Event
from tests.world.monorepo import CONFIG, GLOB, NAMES, change, configuration, hand_over, monorepo, trained
from tests.world.project import HARMLESS, WORSE
from tests.world.team import Job, Team

NUMBERS = itertools.count(10)
CATS, DOGS = "models/cats/mlops.yaml", "models/dogs/mlops.yaml"


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Three models in one repository, recorded on main. Each test has its own pull request."""
    with monorepo(tmp_path_factory.mktemp("acme")) as made:
        made.job(made.push()).within("review", config=GLOB)
        yield made


def proposed(acme: Team, **wrong: int) -> Event:
    """A pull request that makes these models so many of a thousand rows wrong, each with code that no other has."""
    number = next(NUMBERS)
    files = {f"models/{name}/src/wrong.txt": f"{n}\n" for name, n in wrong.items()}
    files |= {f"models/{name}/src/number.txt": f"{number}\n" for name in wrong}
    return change(acme, files, number=number, branch=f"feature-{number}")


def comment_of(acme: Team, event: Event) -> str:
    (body,) = acme.github.bodies(event.payload["number"])
    return str(body)


def checks(acme: Team, event: Event) -> dict[str, str]:
    return acme.status(event.payload["pull_request"]["head"]["sha"])


def report(job: Job, name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((job.root / "models" / name / ".mlops" / "report.json").read_text())
    return made


def test_one_comparison_of_all_that_ran_and_all_that_did_not(acme: Team) -> None:
    """Two models were trained on machines of their own, the third was not touched: one comment, three sections, three checks."""
    event = proposed(acme, cats=HARMLESS, dogs=WORSE)
    judge = acme.job(event)
    for config in (CATS, DOGS):
        hand_over(trained(acme, event, config, run=judge.run), judge, config, f"mlops-run-{config.split('/')[1]}")
    step = judge.within("compare", config=GLOB, run="runs", code=1)
    body = comment_of(acme, event)
    assert [body.count(f"{sign} {name}: ") for sign, name in (("✅", "birds"), ("✅", "cats"), ("❌", "dogs"))] == [1, 1, 1], body
    assert checks(acme, event) == {"mlops/birds": "success", "mlops/cats": "success", "mlops/dogs": "failure"}
    assert (step.outputs["verdict"], step.outputs["exit"]) == ("fail", "1")
    mine = {line["k"].split("|")[1]: line["s"] for line in acme.index() if line.get("p") == event.payload["number"]}
    assert mine == {"birds": "reused", "cats": "succeeded", "dogs": "succeeded"}
    assert report(judge, "dogs")["examples"]["broken_total"] == 120


def test_a_training_that_failed_is_its_own_error_and_the_others_are_judged(acme: Team) -> None:
    event = change(
        acme,
        {"models/cats/train.py": "raise SystemExit('no memory left')\n", "models/dogs/src/wrong.txt": f"{HARMLESS}\n"},
        number=5,
        branch="oom",
    )
    judge = acme.job(event)
    hand_over(trained(acme, event, CATS, run=judge.run, code=5), judge, CATS, "cats")
    hand_over(trained(acme, event, DOGS, run=judge.run), judge, DOGS, "dogs")
    step = judge.within("compare", config=GLOB, run="runs", code=2)
    body = comment_of(acme, event)
    assert "cats: no verdict: " in body
    assert "✅ dogs: " in body
    assert checks(acme, event) == {"mlops/birds": "success", "mlops/cats": "error", "mlops/dogs": "success"}
    assert (step.outputs["verdict"], step.outputs["gate"], step.outputs["exit"]) == ("", "none", "2")
    assert report(judge, "cats")["error"]["name"] == "run-not-evaluated"
    assert step.outputs["report"].endswith("models/cats/.mlops/report.json")
    assert report(judge, "dogs")["verdict"] == "pass"


def test_a_job_that_left_nothing_is_told_as_that(acme: Team) -> None:
    """Its machine was lost: an untouched model has an answer all the same, a touched one has none."""
    event = proposed(acme, cats=HARMLESS)
    judge = acme.job(event)
    judge.within("compare", config=GLOB, run="runs", code=2)
    assert checks(acme, event) == {"mlops/birds": "success", "mlops/cats": "error", "mlops/dogs": "success"}
    assert "its training reads something new" in report(judge, "cats")["error"]["message"]


def test_a_configuration_that_cannot_be_read_is_one_models_error(acme: Team) -> None:
    event = change(acme, {CATS: "name: cats\ntrain: {run: 3\n"}, number=6, branch="typo")
    judge = acme.job(event)
    step = judge.within("compare", config=GLOB, code=2)
    assert checks(acme, event) == {"mlops/birds": "success", "mlops/cats": "error", "mlops/dogs": "success"}
    assert "models/cats/mlops.yaml" in step.err
    assert "::error" in step.log


def test_two_models_of_one_name_are_nobodys_verdict(acme: Team) -> None:
    event = change(acme, {CATS: configuration("dogs")}, number=8, branch="twins")
    judge = acme.job(event)
    step = judge.within("compare", config=GLOB, code=2)
    assert "is taken by" in step.err
    assert set(checks(acme, event).values()) == {"error"}


def test_the_result_of_all_is_one_document(acme: Team, tmp_path: Path) -> None:
    import subprocess
    import sys

    event = proposed(acme, cats=HARMLESS)
    judge = acme.job(event)
    env = judge.environment("compare", {"config": GLOB, "comment": "false"})
    done = subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", "compare", "--json"],
        cwd=judge.workspace,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    results = json.loads(done.stdout)["results"]
    assert {r["model"]: (r["verdict"], (r["error"] or {}).get("name")) for r in results} == {
        "birds": ("pass", None),
        "dogs": ("pass", None),
        "cats": (None, "no-run"),
    }


LEGS = CONFIG.replace("train.py\n  output", 'train.py "$SIZE"\n  output')


def test_legs_of_a_matrix_have_their_own_baseline_section_and_check(tmp_path: Path) -> None:
    """One configuration in two sizes: each is compared with its own size on main, and a lost leg is not a passed one."""
    with monorepo(tmp_path, names=("cats",)) as acme:
        event = acme.push()
        judge = acme.job(event)
        for leg in ("small", "large"):
            hand_over(trained(acme, event, CATS, run=judge.run, matrix=leg), judge, CATS, leg)
        judge.within("compare", config=GLOB, run="runs")
        assert sorted(line["k"] for line in acme.index()) == ["models/cats/mlops.yaml|cats|large", "models/cats/mlops.yaml|cats|small"]
        event = change(acme, {"models/cats/src/wrong.txt": f"{WORSE}\n"}, number=9)
        judge = acme.job(event)
        hand_over(trained(acme, event, CATS, run=judge.run, matrix="small"), judge, CATS, "small")
        lost = trained(acme, event, CATS, run=judge.run, matrix="large")
        record = (lost.root / "models/cats/.mlops/run.json").read_text()
        failed = record.replace('"status": "succeeded"', '"status": "failed"')
        assert failed != record
        run = json.loads(record)["id"]
        for place in ("run.json", f"runs/{run}/run.json"):
            (lost.root / "models/cats/.mlops" / place).write_text(failed)
        hand_over(lost, judge, CATS, "large")
        judge.within("compare", config=GLOB, run="runs", code=2)
        assert checks(acme, event) == {"mlops/cats (small)": "failure", "mlops/cats (large)": "error"}
        body = comment_of(acme, event)
        assert "cats (large): no verdict" in body
        assert "❌ cats (small): " in body
        # In the leg's own job, without a folder, the same leg is meant.
        alone = trained(acme, event, CATS, matrix="large")
        alone.within("compare", config=CATS, matrix="large", code=1)
        assert checks(acme, event) == {"mlops/cats (small)": "failure", "mlops/cats (large)": "failure"}
        # Untouched, a leg is answered by that leg's run.
        event = change(acme, {"README.md": "words\n"}, number=10, branch="words")
        step = acme.job(event).within("plan", config=GLOB, matrix="small")
        small = next(line["i"] for line in acme.index() if line["k"].endswith("|small"))
        assert f"cats (small): unchanged since run {small}" in step.out


Spoil = Callable[[Path], None]


def _edit(state: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads((state / "run.json").read_text())
    run = record["id"]
    change(record)
    for place in (state / "run.json", state / "runs" / run / "run.json"):
        place.write_text(json.dumps(record))


def _predictions(state: Path) -> Path:
    run = json.loads((state / "run.json").read_text())["id"]
    return state / "runs" / run / "predictions" / "main.parquet"


def _linked(state: Path) -> None:
    place = _predictions(state)
    shutil.move(place, state / "elsewhere.parquet")
    place.symlink_to(state / "elsewhere.parquet")


def _linked_folder(state: Path) -> None:
    place = _predictions(state).parent
    shutil.move(place, state / "elsewhere")
    place.symlink_to(state / "elsewhere", target_is_directory=True)


def _linked_record(state: Path) -> None:
    run = json.loads((state / "run.json").read_text())["id"]
    for place in (state / "run.json", state / "runs" / run / "run.json"):
        kept = place.with_name("kept.json")
        shutil.move(place, kept)
        place.symlink_to(kept)


HOSTILE: dict[str, tuple[Spoil, str]] = {
    "other bytes of the same size": (lambda s: _predictions(s).write_bytes(bytes(_predictions(s).stat().st_size)), "changed-file"),
    "a longer file": (lambda s: _predictions(s).write_bytes(_predictions(s).read_bytes() + b"x"), "changed-file"),
    "a link in a file's place": (_linked, "changed-file"),
    "a link in a folder's place": (_linked_folder, "changed-file"),
    "links in the records' place": (_linked_record, "no-run"),
    "another CI run's": (lambda s: _edit(s, lambda r: r["ci"].update(run="1")), "stale-run"),
    "another commit's": (lambda s: _edit(s, lambda r: r.update(commit="0" * 40)), "stale-run"),
    "another tree's": (lambda s: _edit(s, lambda r: r.update(tree="0" * 40)), "stale-run"),
    "another model's": (lambda s: _edit(s, lambda r: r.update(model="lions")), "no-run"),
    "a leg that is none": (lambda s: _edit(s, lambda r: r.update(matrix="a|b")), "no-run"),
    "a path that leads out": (lambda s: _edit(s, lambda r: r["evaluations"][""]["predictions"].update(path="../../../secret")), "no-run"),
    "no record at all": (lambda s: (s / "run.json").write_text("[" * 200_000) and shutil.rmtree(s / "runs"), "no-run"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_handed_over_is_data_and_nothing_more(acme: Team, handed: tuple[Event, Job], what: str) -> None:
    """Whatever stands in one model's folder, it is a named error of that model, and the others have their verdict."""
    event, job = handed
    spoil, name = HOSTILE[what]
    judge = acme.job(event, run=job.run)
    state = hand_over(job, judge, CATS, "cats")
    spoil(state)
    judge.within("compare", config=GLOB, run="runs", code=None)
    assert report(judge, "cats")["error"]["name"] == name
    assert (report(judge, "birds")["verdict"], report(judge, "dogs")["verdict"]) == ("pass", "pass")
    assert checks(acme, event)["mlops/cats"] == "error"


@pytest.fixture(scope="module")
def handed(acme: Team) -> tuple[Event, Job]:
    """A pull request that touches the cats, and its training job."""
    event = proposed(acme, cats=HARMLESS)
    return event, trained(acme, event, CATS)


def test_depth_names_and_order_do_not_matter_and_the_latest_attempt_counts(acme: Team, handed: tuple[Event, Job]) -> None:
    event, job = handed
    judge = acme.job(event, run=job.run)
    state = hand_over(job, judge, CATS, "a/b/c d/ü")
    earlier = judge.root / "runs" / "zz"
    shutil.copytree(state, earlier)
    _edit(earlier, lambda r: r.update(id="20200101-000000-abcdef", status="failed", reason="attempt 1"))
    (judge.root / "runs" / "junk").mkdir()
    (judge.root / "runs" / "junk" / "run.json").mkdir()
    os.mkfifo(judge.root / "runs" / "junk" / "pipe")
    judge.within("compare", config=CATS, run="runs")
    assert report(judge, "cats")["verdict"] == "pass"
    assert report(judge, "cats")["head"]["run"] == json.loads((state / "run.json").read_text())["id"]


def test_an_artifact_that_lies_in_place_needs_no_folder(acme: Team, handed: tuple[Event, Job]) -> None:
    event, job = handed
    judge = acme.job(event, run=job.run)
    shutil.copytree(job.root / "models/cats/.mlops/runs", judge.root / "models/cats/.mlops/runs")
    shutil.copy(job.root / "models/cats/.mlops/run.json", judge.root / "models/cats/.mlops/run.json")
    judge.within("compare", config=GLOB)
    assert checks(acme, event) == dict.fromkeys((f"mlops/{name}" for name in NAMES), "success")
    judge.within("compare", config=CATS, run="models/cats/.mlops")


def test_a_run_that_takes_anothers_id_is_refused(acme: Team, handed: tuple[Event, Job]) -> None:
    """Recorded, it would stand in the place of a run that is somebody's baseline."""
    event, job = handed
    victim = next(line["i"] for line in acme.index() if "|birds|" in line["k"])
    judge = acme.job(event, run=job.run)
    state = hand_over(job, judge, CATS, "cats")
    old = json.loads((state / "run.json").read_text())["id"]
    _edit(state, lambda r: r.update(id=victim))
    shutil.move(state / "runs" / old, state / "runs" / victim)
    judge.within("compare", config=CATS, run="runs", code=5)
    assert report(judge, "cats")["error"]["name"] == "id-taken"
    kept = json.loads(acme.history("show", f"mlops-history:runs/{victim[:4]}-{victim[4:6]}/{victim}/run.json"))
    assert kept["model"] == "birds"
