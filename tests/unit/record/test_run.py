"""`mlops record` in this process: models in cloud storage, in the repository and in a registry, and what is refused before any of it is read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mlops_toolkit import cli
from mlops_toolkit.config.pointer import Pointer, loads
from mlops_toolkit.models.digest import digest
from tests.unit.models import stores
from tests.world.repository import Repository, make

CONFIG = """\
name: spam
model: models/spam.lock
evaluate: {task: classification, metrics: [accuracy], slices: [language], run: python3 evaluate.py, inputs: [evaluate.py]}
gate: {accuracy: {max-drop: 1pp}}
"""
EVALUATE = """\
import os, pathlib
model = pathlib.Path(os.environ["MLOPS_MODEL"])
right = len(list(model.rglob("*"))) if model.is_dir() else len(model.read_bytes())
rows = [f"{i},a,{'a' if i < right else 'b'},en" for i in range(1000)]
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(["id,target,prediction,language", *rows]))
"""


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The working folder of this process: a repository, and predictions beside it."""
    made = make(tmp_path, config=CONFIG)
    (made.root / "evaluate.py").write_text(EVALUATE)
    (tmp_path / "rows.csv").write_text("id,target,prediction,language\n" + "".join(f"{i},a,a,en\n" for i in range(1000)))
    monkeypatch.chdir(made.root)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, made.env[name])
    for name in ("GITHUB_ACTIONS", "CI", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return made


def recorded(here: Repository, uri: str, *options: str, code: int = 0) -> Pointer:
    """Record it, with its predictions; the pointer."""
    assert cli.main(["record", uri, "--predictions", str(here.root.parent / "rows.csv"), *options]) == code
    return loads((here.root / "models/spam.lock").read_bytes(), where="models/spam.lock")


def test_a_file_in_cloud_storage_is_recorded_where_it_is_and_evaluated_from_there(here: Repository, memory: Any) -> None:
    memory.pipe_file("/bucket/spam.onnx", b"w" * 990)
    made = recorded(here, "memory://bucket/spam.onnx")
    assert (made.uri, made.name, made.size, made.kind) == ("memory://bucket/spam.onnx", "spam.onnx", 990, "file")
    assert cli.main(["evaluate"]) == 0
    assert here.record["metrics"]["accuracy"]["value"] == 0.99
    assert here.record["self-reported"] is False
    assert here.record["trained-model"]["stores"] == ["memory://bucket/spam.onnx"]
    assert here.record["trained-model"]["path"].endswith("/spam.onnx")


def test_a_folder_in_cloud_storage_is_had_whole(here: Repository, memory: Any) -> None:
    for name in ("a", "b/c"):
        memory.pipe_file(f"/bucket/spam/{name}", b"x")
    assert recorded(here, "memory://bucket/spam/").kind == "folder"
    assert cli.main(["evaluate"]) == 0
    assert here.record["metrics"]["accuracy"]["value"] == 0.003
    memory.pipe_file("/bucket/spam/d", b"x")
    assert cli.main(["evaluate", "--config", "mlops.yaml"]) == 0, "the model that was had stays what it was"
    memory.rm("/bucket/spam", recursive=True)
    assert cli.main(["evaluate"]) == 0


def test_what_is_on_this_machine_goes_into_the_store_and_keeps_its_name(here: Repository, memory: Any, tmp_path: Path) -> None:
    (here.root / "mlops.yaml").write_text(CONFIG + "models: {store: 'memory://bucket/models'}\n")
    folder = stores.model(tmp_path / "my model")
    made = recorded(here, str(folder))
    assert made.uri == f"memory://bucket/models/sha256/{made.uri[-67:-65]}/{made.uri[-64:]}"
    assert (made.digest, made.name, made.kind) == (digest(folder).digest, "my-model", "folder")
    again = recorded(here, made.uri)
    assert (again.digest, again.size) == (made.digest, made.size)


def test_a_model_in_git_stays_where_it_is_committed_or_staged(here: Repository) -> None:
    (here.root / "models").mkdir()
    (here.root / "models/spam.bin").write_bytes(b"w" * 500)
    stored = recorded(here, "models/spam.bin")
    assert stored.uri.startswith("file:sha256/")
    here.git("add", "models/spam.bin")
    assert recorded(here, "models/spam.bin").uri == "models/spam.bin"
    assert recorded(here, "./models/../models/spam.bin").uri == "models/spam.bin"
    assert cli.main(["evaluate"]) == 0
    assert here.record["metrics"]["accuracy"]["value"] == 0.5
    (here.root / "models/spam.bin").write_bytes(b"w" * 501)
    assert recorded(here, "models/spam.bin").uri.startswith("file:sha256/"), "what git does not have as it is goes into the store"


def test_a_folder_in_git_with_a_file_that_is_not_goes_into_the_store(here: Repository) -> None:
    (here.root / "weights").mkdir()
    (here.root / "weights/a").write_bytes(b"a")
    here.git("add", "weights")
    assert recorded(here, "weights").uri == "weights"
    (here.root / ".gitignore").write_text("weights/b\n")
    (here.root / "weights/b").write_bytes(b"b")
    assert recorded(here, "weights/").uri.startswith("file:sha256/")


def test_a_name_that_looks_like_an_address_is_a_file_where_there_is_one(here: Repository) -> None:
    (here.root / "s3:model").write_bytes(b"w")
    here.git("add", "s3:model")
    assert recorded(here, "s3:model").uri == "./s3:model"
    assert cli.main(["evaluate"]) == 0


def test_a_model_that_no_store_takes_is_refused_with_the_lines_to_write(
    here: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.root / "mlops.yaml").write_text(CONFIG + "models: {store: none}\n")
    (tmp_path / "m").write_bytes(b"w")
    assert cli.main(["record", str(tmp_path / "m"), "--predictions", str(tmp_path / "rows.csv")]) == 4
    assert "models: {store: s3://bucket/models}" in capsys.readouterr().err
    assert not (here.root / "models").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tried", "0"], "cannot be chosen from 0"),
        (["--commit", "nothing"], '"nothing" is no commit'),
        (["--prompt", "nowhere.txt"], 'no file "nowhere.txt"'),
        (["--prompt", "/etc/hostname"], "is not in the repository"),
        (["--params", "nowhere.yaml"], "there is no nowhere.yaml"),
        (["--measures", "nowhere.json"], "nowhere.json"),
        (["--metrics", "nowhere.json"], "nowhere.json"),
        (["--predictions", "again.csv"], "predictions are given twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_model_is_read(
    here: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.setattr("mlops_toolkit.record.model.find", lambda *_: pytest.fail("the model was read"))
    assert cli.main(["record", "memory://bucket/m", "--predictions", str(tmp_path / "rows.csv"), *options]) in (2, 5)
    assert said in capsys.readouterr().err
    assert not (here.root / ".mlops" / "runs").exists()
    assert not (here.root / "models").exists()


def test_a_metric_is_computed_or_given_and_not_both(here: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.json").write_text('{"accuracy": 0.9}')
    assert cli.main(["record", "vendor:a", "--predictions", str(tmp_path / "rows.csv"), "--metrics", str(tmp_path / "m.json")]) == 2
    assert "stands in the metrics file too" in capsys.readouterr().err


def test_without_any_numbers_only_what_is_evaluated_here_is_recorded(
    here: Repository, memory: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.pipe_file("/bucket/m", b"w" * 700)
    assert cli.main(["record", "memory://bucket/m"]) == 0
    assert cli.main(["evaluate"]) == 0
    assert here.record["metrics"]["accuracy"]["value"] == 0.7
    memory.rm_file("/bucket/m")
    subprocess.run(["rm", "-rf", ".mlops/cache/models", ".mlops/run.json"], check=True)
    (here.root / "evaluate.py").write_text(EVALUATE + "# otherwise\n")
    assert cli.main(["evaluate"]) == 4
    assert "nor are numbers of it in the history" in capsys.readouterr().err
    (here.root / "mlops.yaml").write_text(CONFIG.replace(", run: python3 evaluate.py", ""))
    assert cli.main(["record", "vendor:a"]) == 2
    assert "there is not one number to record" in capsys.readouterr().err


def test_several_configurations_are_recorded_one_at_a_time(here: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (here.root / name).mkdir()
        (here.root / name / "mlops.yaml").write_text(CONFIG.replace("name: spam", f"name: {name}"))
    assert cli.main(["record", "vendor:a", "--config", "*/mlops.yaml"]) == 2
    assert "say --config one/mlops.yaml" in capsys.readouterr().err
    assert cli.main(["record", "vendor:a", "--config", "two/mlops.yaml"]) == 0
    assert (here.root / "two/models/spam.lock").is_file()


def test_the_pointer_is_the_same_text_but_for_when_and_by_which_run(here: Repository, memory: Any) -> None:
    """So a pull request shows what changed, and nothing else."""
    memory.pipe_file("/bucket/m", b"w")
    texts = []
    for _ in range(2):
        recorded(here, "memory://bucket/m", "--params", "params.json", "--tried", "3")
        lines = (here.root / "models/spam.lock").read_text().splitlines()
        texts.append([line for line in lines if not line.startswith(("run:", "recorded:"))])
    assert texts[0] == texts[1]


def test_parameters_and_numbers_are_whole_in_the_run_and_readable_in_the_pointer(here: Repository, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("optimizer: {lr: 1.0e-3}\nlayers: [1, 2]\nname: ''\n")
    (tmp_path / "measures.json").write_text('{"latency-ms": [10, 11]}')
    made = recorded(here, "vendor:a", "--params", str(tmp_path / "p.yaml"), "--measures", str(tmp_path / "measures.json"))
    assert made.params == {"optimizer.lr": "0.001", "layers": "[1, 2]", "name": '""'}
    run = json.loads((here.root / f".mlops/runs/{made.run}/run.json").read_text())
    assert run["params"] == {"optimizer.lr": 0.001, "layers": [1, 2], "name": ""}
    assert run["measures"]["latency-ms"]["values"] == [10, 11]
    assert run["slices"]["language=en"]["accuracy"]["n"] == 1000
    assert run["elsewhere"] == {"uri": "vendor:a", "prompts": {}, "tried": 1, "run": made.run}
    assert run["environment"]["host"] is None


def test_recording_loads_neither_torch_nor_sklearn(here: Repository) -> None:
    script = "import sys; from mlops_toolkit.cli import main; main(['record', 'vendor:a']); print(sorted({'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_pointer_that_git_ignores_is_said_to_be(here: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Many repositories ignore models/: the pointer would silently stay on this machine."""
    (here.root / "prompt.txt").write_text("Be brief.")
    recorded(here, "vendor:a", "--prompt", "prompt.txt")
    said = capsys.readouterr().err
    assert "to be committed: models/spam.lock, prompt.txt" in said
    assert "git ignores" not in said
    (here.root / ".gitignore").write_text("models/\n")
    recorded(here, "vendor:a")
    assert "`git add --force models/spam.lock`" in capsys.readouterr().err
    here.git("add", "--force", "models/spam.lock")
    recorded(here, "vendor:a")
    assert "git ignores" not in capsys.readouterr().err
