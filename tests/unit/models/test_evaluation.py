"""What of an evaluation changed between two runs, from their records, and from git where a record does not say."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.config import read
from mlops_toolkit.models import prints
from mlops_toolkit.models.evaluation import MOST, Change, changed, parts
from mlops_toolkit.records.run import Command, Data, Evaluation, Run
from mlops_toolkit.system import git as git_module
from tests.unit.doctor.places import environment, git, repository

BASE = {"command": "c1", "declared": "yes", "file:judge.txt": "1", "shared:src/net.py": "1", "data:test.csv": "1"}


def run(*, ids: str = "i", data: str = "d", commit: str | None = None, **reads: dict[str, str]) -> Run:
    made = {name: Evaluation(data=Data(data, 1, ids_digest=ids), reads=one) for name, one in reads.items()}
    return Run("20261124-092057-3f9a1c", "m", commit=commit, evaluations=made)


def test_each_kind_of_change_is_told_apart() -> None:
    def of(ids: str = "i", data: str = "d", **more: str) -> Change | None:
        reads = {**BASE, **{key.replace("__", ":").replace("_", "."): value for key, value in more.items()}}
        return changed(run(a=BASE), run(ids=ids, data=data, a=reads), None).get("a")

    assert of() is None
    assert of(command="c2") == Change(("the command changed",))
    assert of(file__judge_txt="2") == Change(("judge.txt changed",))
    assert of(data__test_csv="2") == Change(contents=("test.csv changed",))
    assert of(data="e", data__test_csv="2") is None, "other labels: the stored answers are scored again"
    assert of(ids="j", data="e", data__test_csv="2") == Change(examples=True)
    shared = changed(run(a=BASE), run(a={**BASE, "shared:src/net.py": "2"}), None)["a"]
    assert (shared.shared, shared.again) == (("src/net.py changed",), False)


def test_a_file_that_is_gone_and_one_that_is_new_are_changes_of_their_suite_alone() -> None:
    other = {name: value for name, value in BASE.items() if name != "file:judge.txt"} | {"file:rubric.txt": "1"}
    found = changed(run(a=BASE, b=BASE), run(a=BASE, b=other, new=BASE), None)
    assert list(found) == ["b"]
    assert "judge.txt removed" in found["b"].measuring
    moved = {name.replace("file:", "shared:"): value for name, value in BASE.items()}
    assert changed(run(a=BASE), run(a=moved), None) == {}, "the training reads it too from now on: that is no other evaluation"


def test_an_older_record_tells_its_commands_by_the_order_of_its_suites() -> None:
    def commands(*texts: str) -> tuple[Command, ...]:
        return tuple(Command("evaluate", text, ended="ok") for text in texts)

    old = replace(run(a={}, b={}), commands=commands("one", "two"))
    head = run(a={"command": hashlib.sha256(b"one").hexdigest()}, b={"command": hashlib.sha256(b"other").hexdigest()})
    assert changed(old, head, None) == {"b": Change(("the command changed",))}
    assert changed(replace(old, commands=commands("one")), head, None) == {}, "which one it was cannot be told"


CONFIG = """\
name: m
train: {run: "true", output: model/, inputs: [src/, train.py], params: params.yaml}
evaluate: {run: python evaluate.py, inputs: [src/, evaluate.py, params.yaml, "judge/*.txt"], data: [test.csv]}
"""


def reads(root: Path, tmp_path: Path, inside: str = "") -> dict[str, str]:
    loaded = read.load(root / inside / "mlops.yaml", root=root)
    env = environment(tmp_path)
    found = git_module.find(root, env)
    return parts(loaded, found, "", prints.suites(loaded, found, env)[""])


def test_what_the_training_reads_too_belongs_to_the_model_in_a_folder_of_a_monorepo_as_well(tmp_path: Path) -> None:
    names = ("src/net.py", "train.py", "evaluate.py", "params.yaml", "judge/a.txt", "test.csv")
    root = repository(tmp_path, {f"one/{name}": "" for name in names} | {"one/mlops.yaml": CONFIG})
    assert sorted(reads(root, tmp_path, "one")) == [
        "command",
        "data:test.csv",
        "declared",
        "file:one/evaluate.py",
        "file:one/judge/a.txt",
        "shared:one/params.yaml",
        "shared:one/src/net.py",
    ]


def test_many_files_are_one_digest_that_changes_with_any_of_them(tmp_path: Path) -> None:
    files = {f"judge/{i}.txt": "" for i in range(MOST + 1)} | dict.fromkeys(("src/a", "evaluate.py", "params.yaml", "test.csv"), "")
    root = repository(tmp_path, {**files, "mlops.yaml": CONFIG})
    before = reads(root, tmp_path)
    assert len(before) < 10
    (root / "judge/7.txt").write_text("stricter")
    found = changed(run(a=before), run(a=reads(root, tmp_path)), None)
    assert found["a"].measuring == ("its inputs changed",)


def test_inputs_that_are_declared_now_and_were_there_unchanged_are_no_change(tmp_path: Path) -> None:
    files = dict.fromkeys(("src/a", "evaluate.py", "params.yaml", "test.csv", "judge/a.txt"), "")
    root = repository(tmp_path, {**files, "mlops.yaml": CONFIG})
    commit, before = git(root, "rev-parse", "HEAD"), {"command": reads(root, tmp_path)["command"]}
    found = git_module.find(root, environment(tmp_path))
    assert changed(run(a=before, commit=commit), run(a=reads(root, tmp_path)), found) == {}
    (root / "judge/a.txt").write_text("stricter")
    assert changed(run(a=before, commit=commit), run(a=reads(root, tmp_path)), found)["a"].measuring == ("judge/a.txt changed",)
