"""What somebody said yes to, from the lines that the comment offers to the history; and bounds beyond a margin, through the real verbs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.world.repository import CONFIG, Repository, make


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path)
    made.mlops("review")
    made.git("switch", "-q", "-c", "change")
    return made


def offered(text: str) -> str:
    """The lines that a comment offers to paste."""
    found = re.search(r"```yaml\n(accepted:\n.*?)```", text, re.DOTALL)
    assert found is not None, text
    return found[1].replace("why this is fine", "the new label set")


def with_gate(rule: str) -> str:
    return CONFIG.partition("gate:")[0] + f"gate:\n  accuracy: {rule}\n"


def test_a_yes_is_shown_kept_and_ends_with_the_merge(repository: Repository) -> None:
    repository.wrong(180)
    lines = offered(repository.mlops("review", code=1).stdout)
    assert "down-to: 0.91\n" in lines
    repository.write(mlops_yaml=CONFIG + lines)
    repository.commit("accepted")
    done = repository.mlops("review")
    until = re.search(r"until: (\S+)", lines)
    assert until is not None
    bound = f"down to 0.91, until {until[1]}"
    assert f"accepted {bound} (the new label set)" in done.stdout.splitlines()[0].replace("\u00a0", " ")
    assert f"accepted {bound}: the new label set" in done.stdout
    assert repository.record["gate"]["accepted"] is True
    shown = repository.mlops("history", "show", repository.record["id"]).stdout
    assert f"accuracy {bound}: the new label set" in shown
    assert "accepted" in repository.mlops("history", "list").stdout
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--squash", "change")
    repository.commit("squashed")
    repository.mlops("review")
    repository.git("switch", "-q", "-c", "next")
    repository.wrong(260)
    again = repository.mlops("review", code=1)
    assert "`accepted:` of accuracy goes down to 0.91, and this run has 0.87" in again.stdout.replace("\\", "")


def test_a_yes_to_one_of_two_is_none_to_the_other_and_the_run_is_no_baseline(repository: Repository) -> None:
    both = CONFIG.replace("accuracy: {max-drop: 1pp", "f1-macro: {max-drop: 1pp}\n  accuracy: {max-drop: 1pp")
    repository.write(mlops_yaml=both)
    repository.wrong(180)
    lines = offered(repository.mlops("review", code=1).stdout).splitlines()
    assert len([line for line in lines if "- check:" in line]) > 1
    repository.write(mlops_yaml=both + "\n".join(lines[:5]) + "\n")  # the first alone
    repository.commit("half accepted")
    repository.mlops("review", code=1)
    assert repository.record["gate"]["gate"] == "failed"
    assert repository.record["gate"]["accepted"] is False
    assert len(repository.record["gate"]["said-yes"]) == 1


def test_an_improvement_is_asked_for_shown_and_forgone(repository: Repository) -> None:
    gate = with_gate("{improve-by: 1pp, max-gain: 4pp, warn: {max-gain: 2pp}}")
    repository.git("switch", "-q", "main")
    repository.write(mlops_yaml=gate)
    repository.commit("asks for an improvement")
    repository.git("switch", "-q", "-c", "better")
    repository.wrong(75)
    done = repository.mlops("review")
    assert "| at least +1.0 pp, at most +4.0 pp | ➖ improvement not proven |" in done.stdout.replace("\u00a0", " ")
    repository.wrong(55)
    done = repository.mlops("review")
    assert "✅ improved" in done.stdout
    assert "✅ spam-filter: accuracy +2.2" in done.stdout
    repository.wrong(0)
    done = repository.mlops("review", code=1)
    assert "suspicious gain" in done.stdout.splitlines()[0]
    assert "only a warning" in done.stdout
    repository.write(mlops_yaml=gate + offered(done.stdout))
    repository.commit("it is real")
    assert "accepted up to 1, until" in repository.mlops("review").stdout
    repository.write(mlops_yaml=gate)
    repository.wrong(99)
    done = repository.mlops("review", code=1)
    assert "not improved: accuracy +0.05 pp" in done.stdout.splitlines()[0].replace("\u00a0", " ")
    assert repository.report["checks"][0]["reason"] == "not-improved"


def test_on_the_command_line(repository: Repository) -> None:
    rows = ["id,target,prediction"] + [f"e{i},a,{'a' if i >= 100 else 'b'}" for i in range(2000)]
    better = [row.replace(",b", ",a") if int(row.split(",")[0][1:] or 0) < 60 else row for row in rows[1:]]
    (repository.root / "one.csv").write_text("\n".join(rows) + "\n")
    (repository.root / "two.csv").write_text("\n".join([rows[0], *better]) + "\n")
    compare = ["compare", "one.csv", "two.csv", "--task", "classification", "--gate"]
    assert "✅ improved" in repository.mlops(*compare, "accuracy:improve-by=1pp,max-gain=10pp").stdout
    assert "suspicious gain" in repository.mlops(*compare, "accuracy:max-drop=1pp,max-gain=1pp", code=1).stdout
    assert "only a warning" in repository.mlops(*compare, "accuracy:max-drop=1pp,warn.max-gain=1pp").stdout
    wrong = repository.mlops(*compare, "accuracy:improve-by=1pp,max-drop=1pp", code=2).stderr
    assert "asks for an improvement of 1pp and allows a loss of 1pp" in wrong
