"""`mlops init` and `mlops validate` on real repositories."""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.config.read import load
from mlops_toolkit.errors import ConfigErrors, EnvironmentFailure, UsageError
from mlops_toolkit.init import run as init
from mlops_toolkit.init import validate
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Next, Result
from mlops_toolkit.records.run import MetricValue, Run
from mlops_toolkit.world import World
from tests.unit.init.places import repository, world, write

TRAIN = "import joblib\nfrom sklearn.linear_model import LogisticRegression\njoblib.dump(LogisticRegression(), 'model.joblib')\n"
FILES = {"train.py": TRAIN, "evaluate.py": "from sklearn.metrics import accuracy_score\n", "requirements.txt": "scikit-learn\n"}
WORKFLOW = ".github/workflows/model.yml"


def call(where: World, config: str = "mlops.yaml") -> str:
    assert init.run(argparse.Namespace(config=config), where) == 0
    assert isinstance(where.out, io.StringIO)
    return where.out.getvalue()


def check(where: World, config: str = "mlops.yaml") -> str:
    assert validate.run(argparse.Namespace(config=config), where) == 0
    assert isinstance(where.out, io.StringIO)
    return where.out.getvalue()


def test_a_usual_repository_gets_a_file_that_is_ready(tmp_path: Path) -> None:
    root = repository(tmp_path / "spam filter", FILES)
    said = call(world(root))
    assert said.startswith(
        "wrote mlops.yaml\n  train     python train.py (found in train.py)\n  output    model.joblib (found in train.py)\n"
    )
    assert f"wrote {WORKFLOW}\n" in said
    config = load(root / "mlops.yaml").config
    assert config.name == "spam-filter"
    assert config.train is not None
    assert config.train.output == "model.joblib"
    assert "-r requirements.txt" in (root / WORKFLOW).read_text()
    assert check(world(root)) == (
        "mlops.yaml: fine — spam-filter: train, evaluate (2 metrics), nothing gated\n"
        "  nothing is gated yet: the first `mlops compare` proposes margins that this test set can decide\n"
    )


@pytest.mark.parametrize(("more", "told"), [({}, True), ({".gitignore": "*.joblib\n"}, False), ({"model.joblib": "tracked"}, False)])
def test_a_model_that_git_would_count_as_a_change_is_told(tmp_path: Path, more: dict[str, str], told: bool) -> None:
    root = repository(tmp_path, {**FILES, **more})
    assert ("add model.joblib to .gitignore" in call(world(root))) == told


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    root = repository(tmp_path, {**FILES, "mlops.yaml": "name: mine\n", WORKFLOW: "mine\n"})
    said = call(world(root))
    assert "mlops.yaml is there already: left as it is\n" in said
    assert f"{WORKFLOW} is there already: left as it is\n" in said
    assert ((root / "mlops.yaml").read_text(), (root / WORKFLOW).read_text()) == ("name: mine\n", "mine\n")
    assert "train  " not in said
    assert sorted(path.name for path in root.rglob("*.new")) == []


def test_a_file_that_is_kept_is_offered_the_margins_of_an_earlier_result(tmp_path: Path) -> None:
    root = repository(tmp_path, {**FILES, "mlops.yaml": "name: mine\n"})
    write(
        root,
        {".mlops/report.json": codec.dumps(Result("m", "ungated", "none", "s", next=Next(gate="gate:\n  accuracy: {max-drop: 1.5pp}")))},
    )
    assert "  gate:\n    accuracy: {max-drop: 1.5pp}\n" in call(world(root))
    (root / "mlops.yaml").write_text("name: mine\ngate: {mae: {max-rise: 1}}\n")
    assert "1.5pp" not in call(world(root))
    (root / "mlops.yaml").write_text("nam: mine\n")
    assert "`mlops validate` says what is wrong with it" in call(world(root))


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", FILES)
    (root / "mlops.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert "mlops.yaml is there already" in call(world(root))
    assert not (tmp_path / "elsewhere.yaml").exists()


def test_an_empty_repository_gets_comments_and_validate_says_what_is_missing(tmp_path: Path) -> None:
    root = repository(tmp_path, {"README.md": "x"})
    said = call(world(root))
    assert "train     nothing found: complete `train:`" in said
    assert "complete mlops.yaml; `mlops validate` says what is missing" in said
    assert "nothing is trained or evaluated yet: complete `train:` and `evaluate:`" in check(world(root))


def test_a_folder_without_git_works_too(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, ".venv/lib/evaluate.py": "", "node_modules/train.py": ""})
    call(world(tmp_path))
    config = load(tmp_path / "mlops.yaml").config
    assert config.train is not None
    assert config.train.run == "python train.py"


def test_ignored_files_are_not_looked_at(tmp_path: Path) -> None:
    root = repository(tmp_path, {".gitignore": "old/\n", "README.md": ""})
    write(root, {"old/train.py": TRAIN})
    assert "nothing found: complete `train:`" in call(world(root))


def test_a_model_in_a_folder_gets_its_file_there_and_the_workflow_names_it(tmp_path: Path) -> None:
    root = repository(tmp_path, {f"models/spam/{name}": text for name, text in FILES.items()})
    said = call(world(root / "models" / "spam"))
    assert "wrote models/spam/mlops.yaml\n" in said
    assert load(root / "models" / "spam" / "mlops.yaml").config.name == "spam"
    text = (root / WORKFLOW).read_text()
    assert text.count("config: models/spam/mlops.yaml") == 4
    assert "path: models/spam/.mlops\n" in text
    assert call(world(root), "models/other/mlops.yaml").startswith("wrote models/other/mlops.yaml")


def test_an_earlier_result_gives_the_margins(tmp_path: Path) -> None:
    root = repository(tmp_path, FILES)
    run = Run(
        "20260101-000000-abcdef",
        "m",
        metrics={name: MetricValue(0.9, 10, "s", "higher") for name in ("accuracy", "recall:spam", "judge_score")},
    )
    result = Result("m", "ungated", "none", "s", next=Next(gate="gate:\n  accuracy: {max-drop: 1.5pp}"))
    write(root, {".mlops/run.json": codec.dumps(run), ".mlops/report.json": codec.dumps(result)})
    call(world(root))
    config = load(root / "mlops.yaml").config
    assert config.gate["accuracy"].max_drop is not None
    assert config.gate["accuracy"].max_drop.text == "1.5pp"
    assert config.evaluate is not None
    assert [m.name for m in config.evaluate.metrics] == ["accuracy", "recall:spam"]


@pytest.mark.parametrize("text", ["", "{", '{"schema": 99}', "[]", "\x00"])
def test_an_unreadable_earlier_run_is_as_none(tmp_path: Path, text: str) -> None:
    root = repository(tmp_path, FILES)
    write(root, {".mlops/run.json": text, ".mlops/report.json": text})
    call(world(root))
    assert load(root / "mlops.yaml").config.gate == {}


@pytest.mark.parametrize(("given", "branch"), [(Context(default_branch="trunk"), "trunk"), (Context(), "master")])
def test_the_workflow_names_the_branch_pull_requests_go_to(tmp_path: Path, given: Context, branch: str) -> None:
    root = repository(tmp_path, FILES, branch="master")
    call(world(root, context=given))
    assert f"branches: [{branch}]" in (root / WORKFLOW).read_text()


@pytest.mark.parametrize(
    ("config", "name"),
    [("*.yaml", "not-a-target"), ("README.md", "not-a-target"), ("a\nb.yaml", "not-a-target"), ("../x.yaml", "outside-repository")],
)
def test_what_is_no_file_to_write_is_refused(tmp_path: Path, config: str, name: str) -> None:
    root = repository(tmp_path / "r", FILES)
    with pytest.raises(UsageError) as caught:
        init.run(argparse.Namespace(config=config), world(root))
    assert (caught.value.name, caught.value.where) == (name, "--config")


def test_a_place_that_cannot_be_written_is_the_environments_fault(tmp_path: Path) -> None:
    root = repository(tmp_path, {**FILES, "file": ""})
    with pytest.raises(EnvironmentFailure) as caught:
        init.run(argparse.Namespace(config="file/mlops.yaml"), world(root))
    assert caught.value.name == "not-writable"


def test_validate_tells_all_errors_of_all_files_and_fails_with_2(tmp_path: Path) -> None:
    root = repository(tmp_path, {"a/mlops.yaml": "nam: x\n", "b/mlops.yaml": "name: b\ntrain: 3\n"})
    with pytest.raises(ConfigErrors) as caught:
        validate.run(argparse.Namespace(config="*/mlops.yaml"), world(root))
    assert caught.value.code == 2
    assert [p.where for p in caught.value.problems] == ["a/mlops.yaml:1", "a/mlops.yaml:1", "b/mlops.yaml:2"]


def test_validate_sums_up_each_file_and_notes_what_is_not_there(tmp_path: Path) -> None:
    text = "name: m\ntrain: {run: t, output: o, params: p.yaml, data: ['s3://b/x', 'data/*.csv', d.csv]}\nevaluate: {run: e, metrics: [accuracy], slices: [a, b]}\ngate: {accuracy: {min: 0.9}}\n"
    root = repository(tmp_path, {"mlops.yaml": text})
    assert check(world(root)) == (
        "mlops.yaml: fine — m: train, evaluate (1 metric, 2 slices), gate (accuracy)\n"
        "  the gate has no max-drop or max-rise: nothing is compared with the baseline\n"
        "  mlops.yaml:2: p.yaml is not there\n"
        "  mlops.yaml:2: d.csv is not there\n"
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="zizmor needs Python 3.11")
def test_zizmor_finds_in_the_workflow_only_that_our_own_actions_are_named_by_tag(tmp_path: Path) -> None:
    root = repository(tmp_path, FILES)
    call(world(root))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("zizmor")),
            "--color=never",
            "--persona=auditor",
            "--offline",
            "--no-progress",
            "--format=plain",
            str(root / WORKFLOW),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(re.findall(r"^(?:error|warning|info|help|note)\[([\w-]+)\]", done.stdout, flags=re.M))
    assert found == {"unpinned-uses"}, done.stdout + done.stderr
    assert done.stdout.count("error[unpinned-uses]") == done.stdout.count("uses: org/mlops-actions/") == 4
