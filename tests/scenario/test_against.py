"""The gate against the last release and against what is pinned: what many small steps add up to, in every way a team works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world.repository import CONFIG, Repository, make

AGAINST = CONFIG.replace("slices: {max-drop: 3pp}", "against: {release: {max-drop: 2pp}}") + "against: [main, release]\n"


def release(repository: Repository, name: str, run: str | None = None) -> str:
    """Say of a run (the last one) that it is released under a name; its id."""
    found: str = run or repository.record["id"]
    repository.mlops("history", "release", found, "--as", name)
    return found


def merged(repository: Repository, wrong: int, *, config: str | None = None, code: int | None = 0) -> dict[str, Any]:
    """A pull request that is reviewed and, where it passes, merged by squashing; its result."""
    repository.git("switch", "-q", "-C", "change", "main")
    if config is not None:
        repository.write(mlops_yaml=config)
    repository.wrong(wrong)
    done = repository.mlops("review", code=code)
    result = repository.report
    repository.git("switch", "-q", "main")
    if done.returncode == 0:
        repository.git("merge", "-q", "--squash", "change")
        repository.commit(f"{wrong} wrong (squashed)")
    return result


def checks(result: dict[str, Any], against: str | None = "release") -> dict[str, dict[str, Any]]:
    return {c["metric"] + (f" [{c['slice']}]" if c["slice"] else ""): c for c in result["checks"] if c["against"] == against}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A main whose first run is released as v1.2."""
    made = make(tmp_path, config=AGAINST)
    made.mlops("review")
    release(made, "v1.2")
    return made


def test_ten_small_drops_pass_against_main_and_the_release_stops_them(repository: Repository) -> None:
    """Each is 0.4 pp of 2,000 examples, under a margin of 1 pp; against the release the fifth is 2.0 pp, the sixth 2.4 pp of 2 pp allowed."""
    stopped = None
    for step in range(1, 11):
        result = merged(repository, 100 + 8 * step, code=None)
        [ours] = [c for c in result["checks"] if c["metric"] == "accuracy" and c["slice"] is None and c["against"] is None]
        assert ours["change"] == pytest.approx(-0.004)
        assert ours["verdict"] == "pass"
        theirs = checks(result)["accuracy"]
        assert theirs["change"] == pytest.approx(-0.004 * step)
        if result["exit"] != 0:
            stopped = step
            break
    assert stopped == 6


def test_the_comment_shows_the_release_apart_and_names_what_fails_in_its_first_line(repository: Repository) -> None:
    merged(repository, 120)
    comment = (repository.root / ".mlops" / "comment.md").read_text()
    [commit] = {c["commit"] for c in repository.report["others"].values()}
    assert f"<summary>Against the last release v1.2 ({commit[:7]}): 1 not worse" in comment
    assert "v1.2" not in comment.partition("<details>")[0]
    result = merged(repository, 135)
    assert (result["exit"], result["baseline"]["commit"] != commit) == (0, True)
    result = merged(repository, 145, code=3)
    assert result["exit"] == 3
    assert result["sentence"].startswith(
        "undecided, leaning worse: accuracy against release −2.25 pp (likely −3.00 to −1.65; allowed −2.0)"
    )
    comment = (repository.root / ".mlops" / "comment.md").read_text()
    section = comment.replace("\u00a0", " ").partition(f"**Against the last release v1.2 ({commit[:7]})**")[2].partition("<details>")[0]
    assert "| metric | v1.2 | change | change (95 % interval) | allowed |  |" in section
    assert "| accuracy against release | 0.9500 | 0.9275 | −2.25 pp [−3.00, −1.65] | −2.0 pp | ⚠️ needs a yes |" in section
    result = merged(repository, 200, code=1)
    assert result["verdict"] == "fail"
    assert "accuracy against release −5.0 pp" in result["sentence"] or "+1 more worse" in result["sentence"]


def test_without_a_release_it_is_said_once_and_nothing_is_held_against_one(tmp_path: Path) -> None:
    repository = make(tmp_path, config=AGAINST)
    repository.mlops("review")
    result = merged(repository, 105)
    assert checks(result) == {}
    assert result["notes"].count("against release: no release yet, so nothing is held against it") == 1
    assert (result["verdict"], result["others"]["release"]["run"]) == ("pass", None)


def test_the_run_that_main_is_at_is_not_judged_twice_but_by_margins_of_its_own(tmp_path: Path) -> None:
    repository = make(tmp_path, config=CONFIG + "against: [main, release]\n")
    repository.mlops("review")
    release(repository, "v1.2")
    repository.git("switch", "-q", "-c", "trial")
    repository.wrong(104)
    repository.mlops("review")
    assert checks(repository.report) == {}
    result = merged(repository, 116, config=AGAINST.replace("release: {max-drop: 2pp}", "release: {max-drop: 0.5pp}"), code=3)
    assert list(checks(result)) == ["accuracy"]
    assert result["sentence"].startswith(
        "undecided, leaning worse: accuracy against release −0.80 pp (likely −1.30 to −0.46; allowed −0.5)"
    )


def test_slices_are_held_against_the_release_by_their_own_margins(tmp_path: Path) -> None:
    repository = make(tmp_path, config=CONFIG + "against: [main, release]\n")
    repository.mlops("review")
    release(repository, "v1.2")
    merged(repository, 104)
    found = checks(merged(repository, 108))
    assert list(found) == ["accuracy", "accuracy [language=de]", "accuracy [language=en]"]
    assert {check["margin"] for check in found.values()} == {0.01, 0.03}


def test_what_is_pinned_by_tag_commit_or_run_is_held_against(tmp_path: Path) -> None:
    repository = make(tmp_path)
    repository.mlops("review")
    first = repository.git("rev-parse", "main")
    run = repository.record["id"]
    repository.git("tag", "v1.0")
    merged(repository, 104)
    for name in ("v1.0", first[:12], run, run[:15]):
        config = CONFIG + f"against: [main, {name}]\n"
        result = merged(repository, 106, config=config)
        assert result["others"][name]["run"] == run
        assert checks(result, name)["accuracy"]["baseline"] == 0.95
        repository.git("reset", "-q", "--hard", "HEAD~1")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("v9", "unknown-base", '"v9" is no run, commit, branch or tag'),
        ("20200101-000000-abcdef", "unknown-run", "no recorded run begins with"),
        ("unrelated", "nothing-pinned", "nothing can be held against unrelated"),
    ],
)
def test_what_cannot_be_pinned_is_an_error(repository: Repository, name: str, error: str, said: str) -> None:
    repository.git("switch", "-q", "--orphan", "unrelated")
    repository.commit("nothing")
    repository.git("switch", "-q", "main")
    repository.git("switch", "-q", "-c", "change")
    repository.write(mlops_yaml=CONFIG + f"against: [main, {name}]\n")
    repository.wrong(101)
    done = repository.mlops("review", code=2)
    assert said in done.stderr
    assert f"against: {name}" in done.stderr
    assert repository.report["error"]["name"] == error


def test_a_withdrawn_run_is_neither_the_release_nor_pinned(repository: Repository) -> None:
    older = repository.record["id"]
    merged(repository, 104)
    release(repository, "v1.3")
    path = repository.root / ".mlops" / "runs" / repository.record["id"] / "run.json"
    assert merged(repository, 106)["others"]["release"]["label"] == "v1.3"
    path.write_text(json.dumps({**json.loads(path.read_text()), "withdrawn": "labels were shifted"}))
    result = merged(repository, 108)
    assert (result["others"]["release"]["label"], result["others"]["release"]["run"]) == ("v1.2", older)
    repository.git("switch", "-q", "-c", "pinned")
    repository.write(mlops_yaml=CONFIG + f"against: [main, {path.parent.name}]\n")
    repository.wrong(109)
    assert "was withdrawn" in repository.mlops("review", code=2).stderr


def test_the_release_is_the_newest_on_the_line_whatever_was_marked_last_and_a_name_is_of_one_run(repository: Repository) -> None:
    first = repository.record["id"]
    merged(repository, 104)
    second = release(repository, "v1.3")
    said = repository.mlops("history", "release", first, "--as", "v1.2.0").stdout
    assert f"run {first} is released as v1.2.0\n" in said
    assert f"run {second} (v1.3) is newer: where a line has both, `against: release` means that one" in said
    assert merged(repository, 106)["others"]["release"]["run"] == second
    third: str = repository.record["id"]
    said = repository.mlops("history", "release", third, "--as", "v1.3").stdout
    assert f"run {second}, which had that name, is no release any more" in said
    assert "`against: release` means it now" in said
    repository.git("switch", "-q", "-c", "maintenance", "main~2")
    repository.wrong(99)
    repository.mlops("review")
    release(repository, "v1.2.1")
    result = merged(repository, 108)["others"]["release"]
    assert (result["run"], result["label"]) == (third, "v1.3"), "the one of another branch is on no line of main"
    repository.mlops("history", "release", second, "--as", "v1.4")
    assert merged(repository, 110)["others"]["release"]["run"] == third, "the newest, not what was marked last"
    shown = repository.mlops("history", "show", first).stdout
    assert "v1.2.0" in shown


def test_what_is_accepted_against_the_release_is_bound_to_the_value_and_ends_with_a_release_there(repository: Repository) -> None:
    merged(repository, 118)
    merged(repository, 135)
    assert merged(repository, 150, code=3)["next"]["accept"] == (
        'accepted:\n  - check: "accuracy against release"\n    down-to: 0.925\n    reason: why this is fine\n'
        + repository.report["next"]["accept"].splitlines()[-1]
    )
    accepted = AGAINST + 'accepted: [{check: "accuracy against release", down-to: 0.925, reason: new labels}]\n'
    result = merged(repository, 150, config=accepted)
    assert result["exit"] == 0
    assert checks(result)["accuracy"]["accepted"] == "new labels"
    assert merged(repository, 149)["exit"] == 0, "main being there does not use it up: the release is where it was"
    assert merged(repository, 154, code=3)["blocks"], "worse than what was said yes to"
    repository.git("switch", "-q", "main")
    repository.mlops("review")
    release(repository, "v1.3")
    assert merged(repository, 191, code=None)["exit"] != 0, "the new release is where the old one was accepted to go"


def test_a_head_that_lets_the_release_go_is_looser(repository: Repository) -> None:
    merged(repository, 118)
    merged(repository, 135)
    result = merged(repository, 150, config=CONFIG, code=3)
    assert "gate loosened: against release → not held against" in result["notes"][0]
    assert checks(result)["accuracy"]["margin"] == 0.02
    result = merged(repository, 150, config=AGAINST.replace("release: {max-drop: 2pp}", "release: {max-drop: 5pp}"), code=3)
    assert result["notes"][0] == "gate loosened: against release: accuracy 2pp → 5pp"
    assert checks(result)["accuracy"]["margin"] == 0.02
    result = merged(repository, 150, config=CONFIG + "accepted: [{check: gate, reason: a new series}]\n")
    assert checks(result) == {}
    assert result["others"] == {}


def test_a_base_branch_s_pin_that_is_gone_is_an_error_until_its_gate_is_let_go(repository: Repository) -> None:
    repository.git("tag", "v1.0")
    merged(repository, 102, config=CONFIG + "against: [main, v1.0]\n")
    repository.git("tag", "-d", "v1.0")
    repository.git("switch", "-q", "-C", "change", "main")
    repository.write(mlops_yaml=CONFIG)
    repository.wrong(103)
    said = repository.mlops("review", code=2).stderr
    assert "the base branch's list counts; `accepted: [{check: gate, reason: …}]` lets it go" in said
    assert merged(repository, 103, config=CONFIG + "accepted: [{check: gate, reason: a new series}]\n")["exit"] == 0


def test_a_measure_is_held_against_the_release_too(tmp_path: Path) -> None:
    config = CONFIG + "  parameters: {max-rise: 0, against: {release: {max-rise: 10%}}}\nagainst: [main, release]\n"
    repository = make(tmp_path, config=config)
    repository.mlops("review")
    release(repository, "v1.2")
    merged(repository, 101)
    result = merged(repository, 102)
    assert (checks(result)["parameters"]["verdict"], checks(result)["parameters"]["margin"]) == ("pass", 100.0)


GROWING = """\
import json, os, pathlib
wrong = json.loads((pathlib.Path(os.environ["MLOPS_MODEL"]) / "weights.json").read_text())["wrong"]
first, last = map(int, pathlib.Path("data/range.txt").read_text().split())
rows = ["id,target,prediction"]
for i in range(first, last):
    target = "spam" if i % 3 == 0 else "ham"
    rows.append(f"mail-{i},{target},{target if i % 2000 >= wrong else {'spam': 'ham', 'ham': 'spam'}[target]}")
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(rows) + "\\n")
"""


def test_the_release_goes_on_being_held_against_when_the_test_set_grows(tmp_path: Path) -> None:
    """The test set doubles: main's model and the release's are both asked again, also where the pull request itself changes nothing."""
    config = AGAINST.replace("inputs: [evaluate.py]", "inputs: [evaluate.py]\n  data: [data/]").replace("  slices: [language]\n", "")
    repository = make(tmp_path, config=config)
    (repository.root / "data").mkdir()
    (repository.root / "data" / "range.txt").write_text("0 2000")
    repository.write(evaluate_py=GROWING)
    repository.commit("a test set")
    repository.mlops("review")
    release(repository, "v1.2")
    merged(repository, 110)
    (repository.root / "data" / "range.txt").write_text("0 4000")
    repository.commit("a larger test set")
    result = merged(repository, 120)
    theirs = checks(result)["accuracy"]
    assert (theirs["n"], theirs["change"]) == (4000, pytest.approx(-0.01))
    assert result["others"]["release"]["state"] == "data-changed"
    assert any(
        note.startswith("against release: the test set changed: the baseline's model was evaluated again") for note in result["notes"]
    )
    assert list(repository.record["evaluations"][""]["also"]) == [result["others"]["release"]["run"]]
    repository.git("switch", "-q", "-C", "change", "main")
    (repository.root / "README.md").write_text("words")
    repository.commit("words")
    repository.mlops("review")
    assert checks(repository.report)["accuracy"]["n"] == 4000
