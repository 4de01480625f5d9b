"""What git keeps and should not, and what it leaves and should keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.doctor.checks.gitignore import check
from mlops_toolkit.doctor.finding import Finding
from tests.unit.doctor.places import MODEL, environment, git, of, patient, repository


def found(tmp_path: Path, files: dict[str, str], *, force: bool = False, folder: str = "") -> list[Finding]:
    root = repository(tmp_path, {k: v for k, v in files.items() if not k.endswith("!")})
    for name, text in files.items():
        if name.endswith("!"):
            path = root / name[:-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return list(check(patient(root, environment(tmp_path))))


def test_a_repository_as_it_should_be(tmp_path: Path) -> None:
    assert found(tmp_path, {".gitignore": "model/\n", "model/weights!": "x"}) == []


def test_runs_that_were_committed_by_mistake(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"models/spam/.mlops/run.json": "{}", "models/spam/.mlops/runs/a/run.json": "{}"})
    assert finding.level == "problem"
    assert finding.message == "2 files of .mlops are committed (models/spam/.mlops/run.json): every run would change them"
    assert (finding.hint or "").startswith("git rm -r --cached --quiet models/spam/.mlops && ")


def test_a_model_that_is_committed_is_a_problem_and_the_lines_mend_it(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"model/weights": "x"})
    assert (finding.level, finding.where) == ("problem", "mlops.yaml:2")
    assert "model/ is committed" in finding.message
    root = tmp_path / "work"
    for line in (finding.hint or "").split(" && "):
        if line.startswith("git "):
            git(root, *line.split()[1:])
        else:
            (root / ".gitignore").write_text(line.split("'")[1] + "\n")
    git(root, "add", ".gitignore")
    git(root, "commit", "-q", "-m", "mended")
    assert list(check(patient(root, environment(tmp_path)))) == []
    assert git(root, "status", "--porcelain") == ""


@pytest.mark.parametrize(("ignore", "notes"), [("", 1), ("out/\n", 0), ("*.csv\n", 0)])
def test_predictions_that_git_neither_keeps_nor_ignores(tmp_path: Path, ignore: str, notes: int) -> None:
    config = MODEL.replace("inputs: [evaluate.py],", "inputs: [evaluate.py], predictions: out/preds.csv,")
    findings = found(tmp_path, {"mlops.yaml": config, ".gitignore": ignore, "out/preds.csv!": "id,target,prediction\n"})
    assert len(of(findings, "note")) == notes
    assert of(findings) == []


@pytest.mark.parametrize(
    ("ignore", "inputs", "problem"),
    [
        ("src/\n", "[train.py, src/]", True),
        ("*.py\n!train.py\n!evaluate.py\n", "[train.py, src/code.py]", True),
        ("src/\n", "[train.py]", False),
        ("other/\n", "[train.py, src/]", False),
        ("src/*\n", "[train.py, 'src/*.py']", False),  # a pattern may mean other files
    ],
)
def test_an_input_that_git_ignores_is_in_no_other_checkout(tmp_path: Path, ignore: str, inputs: str, problem: bool) -> None:
    findings = found(tmp_path, {"mlops.yaml": MODEL.replace("[train.py]", inputs), ".gitignore": ignore, "src/code.py!": "x = 1\n"})
    assert ["is ignored by git (.gitignore:1:" in said for said in of(findings)] == ([True] if problem else [])
    if problem:
        assert of(findings)[0].startswith("mlops.yaml:2: ")


def test_an_ignored_folder_that_is_not_here_is_what_a_ci_s_checkout_sees(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"mlops.yaml": MODEL.replace("[train.py]", "[train.py, lib/]"), ".gitignore": "lib/\n"})
    assert "lib/ is ignored by git (.gitignore:1:lib/)" in finding.message


def test_data_may_well_be_ignored(tmp_path: Path) -> None:
    config = MODEL.replace("inputs: [train.py]}", "inputs: [train.py], data: [data/]}")
    assert found(tmp_path, {"mlops.yaml": config, ".gitignore": "data/\n", "data/train.csv!": "x"}) == []


def test_names_that_git_would_take_for_patterns_are_taken_as_they_are(tmp_path: Path) -> None:
    config = MODEL.replace("output: model/", "output: ':(x) m[1]/'")
    assert found(tmp_path, {"mlops.yaml": config, "m1/file": "x", ".gitignore": "/:(x) m\\[1\\]/\n"}) == []
