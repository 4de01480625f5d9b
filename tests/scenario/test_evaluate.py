"""`mlops evaluate` on throw-away repositories: real commands, real git, the whole verb."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlops_toolkit import cli
from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Run
from tests.unit.predictions.hostile import HOSTILE

GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
TEN = "id,target,prediction,language,preview\n" + "".join(
    f"{i},{'ab'[i % 2]},{'ab'[i % 2] if i else 'b'},{'de' if i < 4 else 'en'},text {i}\n" for i in range(10)
)
EVALUATE = 'name: m\nevaluate:\n  run: cp preds.csv "$MLOPS_PREDICTIONS"\n  metrics: [accuracy]\n  slices: [language]\n'
TRAIN = "train:\n  run: mkdir -p model; cp weights model/weights\n  output: model/\n  inputs: [weights]\n"


@dataclass
class Project:
    """A repository with an mlops.yaml, worked in by the command line in this process."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.folder, env={**os.environ, **GIT}, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str = "change") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def mlops(self, *args: str) -> tuple[int, str, str]:
        code = cli.main(list(args))
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    def record(self) -> Run:
        path = self.folder / ".mlops" / "run.json"
        return records.loads(path.read_bytes(), where="run.json")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLOPS_", "RUNNER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = Project(folder, capsys)
    made.write(mlops__yaml=EVALUATE, preds__csv=TEN, weights="1", __gitignore="model/\n__pycache__/\n")
    made.git("init", "-q", "-b", "main")
    made.commit("first")
    return made


def test_an_evaluation_is_run_read_scored_and_recorded(project: Project) -> None:
    code, out, err = project.mlops("evaluate")
    assert code == 0, err
    assert "m · 10 examples, classification, 2 labels" in out
    assert "accuracy  0.90" in out
    assert "language=de (4)  0.750  ± 0.250" in out
    record = project.record()
    assert (record.status, record.model, record.commit, record.dirty) == ("succeeded", "m", project.git("rev-parse", "HEAD"), False)
    assert [(c.phase, c.exit, c.ended) for c in record.commands] == [("evaluate", 0, "ok")]
    assert record.metrics["accuracy"].value == 0.9
    assert record.slices["language=de"]["accuracy"].value == 0.75
    evaluation = record.evaluations[""]
    assert evaluation.data is not None
    assert (evaluation.data.n, evaluation.data.task, evaluation.slices) == (10, "classification", ("language=de", "language=en"))
    folder = project.folder / ".mlops" / "runs" / record.id
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "log-evaluate.txt",
        "predictions/main.parquet",
        "run.json",
    ]
    assert (folder / "run.json").read_bytes() == (project.folder / ".mlops/run.json").read_bytes()
    assert project.git("status", "--porcelain") == ""
    first = record.id
    assert project.mlops("evaluate")[0] == 0
    assert project.record().id != first, "without training each evaluation is a run of its own"


def test_it_works_outside_of_git(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("mlops.yaml", "preds.csv"):
        (bare / name).write_bytes((project.folder / name).read_bytes())
    monkeypatch.chdir(bare)
    assert project.mlops("evaluate")[0] == 0
    record = records.loads((bare / ".mlops/run.json").read_bytes(), where="run.json")
    assert (record.commit, record.metrics["accuracy"].value) == (None, 0.9)


def test_the_command_sees_our_variables_and_not_our_token(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_INPUTS", json.dumps({"token": "ghs_secret"}))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_secret")
    project.write(mlops__yaml=EVALUATE.replace("run: cp", "run: env > seen; cp"))
    code, _, err = project.mlops("evaluate")
    assert code == 0, err
    seen = dict(line.partition("=")[::2] for line in (project.folder / "seen").read_text().splitlines())
    names = {"RUN_DIR", "MODEL", "PREDICTIONS", "MEASURES", "CHECKPOINTS", "SEED", "DEVICE"}
    assert {f"MLOPS_{name}" for name in names} <= set(seen)
    assert seen["MLOPS_SEED"] == "0"
    assert seen["MLOPS_RUN_DIR"] == str(project.folder / ".mlops/runs" / project.record().id)
    assert not [name for name, value in seen.items() if "ghs_secret" in value]
    assert "MLOPS_INPUTS" not in seen
    for path in (project.folder / ".mlops").rglob("*"):
        assert not path.is_file() or b"ghs_secret" not in path.read_bytes(), path


def test_a_command_that_writes_nothing_is_told_what_to_write(project: Project) -> None:
    project.write(mlops__yaml=EVALUATE.replace('run: cp preds.csv "$MLOPS_PREDICTIONS"', "run: echo done"))
    code, _, err = project.mlops("evaluate")
    assert code == 5
    assert "evaluate.run ended well but wrote no predictions to $MLOPS_PREDICTIONS" in err
    assert 'open(os.environ["MLOPS_PREDICTIONS"]' in err
    assert (project.record().status, project.record().metrics) == ("failed", {})


def test_predictions_left_from_an_earlier_run_are_not_taken(project: Project) -> None:
    said = EVALUATE.replace('run: cp preds.csv "$MLOPS_PREDICTIONS"', 'run: "true"\n  predictions: preds.csv')
    project.write(mlops__yaml=said)
    code, _, err = project.mlops("evaluate")
    assert (code, "what lies there was there before" in err) == (5, True)
    project.write(mlops__yaml=said.replace('run: "true"', "run: cp preds.csv new; mv new preds.csv"))
    assert project.mlops("evaluate")[0] == 0


def test_a_refused_file_is_named_by_row_and_kept_to_look_at(project: Project) -> None:
    project.write(preds__csv=TEN + "3,a,b,de,again\n")
    code, _, err = project.mlops("evaluate")
    assert code == 5
    assert '$MLOPS_PREDICTIONS row 12, column id: the id "3" stands at row 5 already' in err
    kept = next(line.rpartition(": ")[2] for line in err.splitlines() if "is kept for you" in line)
    assert (project.folder / kept).read_text() == TEN + "3,a,b,de,again\n"


def test_a_failing_command_ends_the_run_and_the_same_training_is_evaluated_again(project: Project) -> None:
    project.write(mlops__yaml=EVALUATE.replace("run: cp", "run: test -f ready || { echo no luck; exit 3; }; cp") + TRAIN)
    project.commit()
    assert project.mlops("train")[0] == 0
    code, _, err = project.mlops("evaluate")
    assert code == 5
    assert "mlops.yaml:3: evaluate.run ended with exit status 3\n  it said last: no luck" in err
    failed = project.record()
    assert (failed.status, failed.commands[-1].exit, failed.trained is not None) == ("failed", 3, True)
    project.write(ready="")
    assert project.mlops("evaluate")[0] == 0
    record = project.record()
    assert (record.id, record.status, [c.ended for c in record.commands]) == (failed.id, "succeeded", ["ok", "ok"])


def test_a_run_of_another_commit_is_refused(project: Project) -> None:
    project.write(mlops__yaml=EVALUATE + TRAIN)
    project.commit()
    assert project.mlops("train")[0] == 0
    project.write(weights="2")
    project.commit()
    code, _, err = project.mlops("evaluate")
    assert (code, "not of what is checked out" in err) == (2, True)
    assert "run `mlops review` (or train and evaluate) again" in err


def test_an_evaluation_without_its_training_is_refused(project: Project) -> None:
    project.write(mlops__yaml=EVALUATE + TRAIN.replace("cp weights", "exit 1; cp weights"))
    assert project.mlops("evaluate")[0] == 2
    assert project.mlops("train")[0] == 5
    code, _, err = project.mlops("evaluate")
    assert code == 2
    assert "failed: there is nothing to evaluate" in err


def test_a_model_that_is_not_here_is_fetched_and_nothing_of_the_users_is_overwritten(project: Project) -> None:
    project.write(mlops__yaml=EVALUATE.replace("run: cp", 'run: grep -q 1 "$MLOPS_MODEL/weights"; cp') + TRAIN)
    project.commit()
    assert project.mlops("train")[0] == 0
    model = project.folder / "model/weights"
    model.unlink()
    model.parent.rmdir()
    code, _, err = project.mlops("evaluate")
    assert code == 0, err
    assert model.read_text() == "1"
    model.chmod(0o644)
    model.write_text("precious")
    code, _, err = project.mlops("evaluate")
    assert (code, "is not the model" in err) == (4, True)
    assert model.read_text() == "precious"


def test_an_equal_evaluation_of_a_reused_model_is_not_run_again(project: Project) -> None:
    said = EVALUATE.replace("run: cp", "run: echo x >> count; cp").replace("metrics:", "inputs: [preds.csv]\n  metrics:") + TRAIN
    project.write(mlops__yaml=said)
    project.commit()
    for _ in range(2):
        assert project.mlops("train")[0] == 0
        code, out, err = project.mlops("evaluate")
        assert code == 0, err
        assert "accuracy  0.90" in out
    record = project.record()
    assert (project.folder / "count").read_text() == "x\n"
    assert "evaluated the same" in err
    assert (record.status, [c.ended for c in record.commands]) == ("reused", ["reused", "reused"])
    assert record.evaluations[""].predictions is not None
    project.write(mlops__yaml=said.replace("[accuracy]", "[accuracy, mcc]"))
    project.mlops("train")
    assert project.mlops("evaluate")[0] == 0
    assert "mcc" in project.record().metrics, "other metrics of the same predictions are only computed"
    assert (project.folder / "count").read_text() == "x\n"
    project.write(preds__csv=TEN.replace("3,b,b", "3,b,a"))
    project.mlops("train")
    assert project.mlops("evaluate")[0] == 0
    assert (project.folder / "count").read_text() == "x\nx\n", "other inputs are evaluated"
    assert project.record().metrics["accuracy"].value == 0.8


def test_suites_are_run_one_after_another_and_prefix_their_numbers(project: Project) -> None:
    project.write(
        mlops__yaml="name: m\nevaluate:\n  suites:\n"
        '    quality: {run: cp preds.csv "$MLOPS_PREDICTIONS", metrics: [accuracy], slices: [language]}\n'
        "    speed: {run: 'echo ''{\"latency-ms\": [1, 2]}'' > $MLOPS_MEASURES'}\n"
        "    text: {run: 'echo ''{\"bleu\": 31}'' > m.json', metrics-file: m.json}\n"
    )
    code, out, err = project.mlops("evaluate")
    assert code == 0, err
    record = project.record()
    assert list(record.metrics) == ["quality/accuracy", "text/bleu"]
    assert record.measures["speed/latency-ms"].values == (1.0, 2.0)
    assert set(record.evaluations) == {"quality", "speed", "text"}
    assert list(record.slices["language=de"]) == ["quality/accuracy"]
    assert "quality: 10 examples" in out
    assert "text/bleu  31" in out


def test_several_configurations_are_evaluated_by_a_glob(project: Project) -> None:
    for name in ("one", "two"):
        (project.folder / name).mkdir()
        (project.folder / name / "mlops.yaml").write_text(EVALUATE.replace("name: m", f"name: {name}"))
        (project.folder / name / "preds.csv").write_text(TEN)
    code, out, _ = project.mlops("evaluate", "--config", "*/mlops.yaml")
    assert code == 0
    assert "one · 10 examples" in out
    assert "two · 10 examples" in out
    assert records.loads((project.folder / "two/.mlops/run.json").read_bytes(), where="x").config == "two/mlops.yaml"


def test_a_configuration_without_evaluate_is_told_what_to_add(project: Project) -> None:
    project.write(mlops__yaml="name: m\n" + TRAIN)
    code, _, err = project.mlops("evaluate")
    assert (code, "mlops.yaml has no `evaluate:`" in err) == (2, True)
    assert "run: python evaluate.py" in err


def test_a_number_in_both_places_is_refused(project: Project) -> None:
    run = """run: 'cp preds.csv "$MLOPS_PREDICTIONS"; echo "{\\"accuracy\\": 1}" > m.json'\n  metrics-file: m.json"""
    project.write(mlops__yaml=EVALUATE.replace('run: cp preds.csv "$MLOPS_PREDICTIONS"', run))
    code, _, err = project.mlops("evaluate")
    assert code == 2, err
    assert "mlops.yaml:4: accuracy is computed from the predictions and stands in the metrics file too" in err


def test_numbers_of_a_metrics_file_beside_predictions_are_judged_with_them(project: Project) -> None:
    run = """run: 'cp preds.csv "$MLOPS_PREDICTIONS"; cp bleu m.json'\n  metrics-file: m.json"""
    gate = "gate:\n  bleu: {min: 30}\n  accuracy: {min: 0.1}\n"
    project.write(mlops__yaml=EVALUATE.replace('run: cp preds.csv "$MLOPS_PREDICTIONS"', run) + gate, bleu='{"bleu": 31}')
    for bleu, code in (("31", 0), ("29", 1)):
        project.write(bleu=f'{{"bleu": {bleu}}}')
        project.commit()
        assert project.mlops("evaluate")[0] == 0
        done, out, err = project.mlops("compare")
        assert done == code, out + err


def test_the_time_limit_stops_the_command(project: Project) -> None:
    project.write(mlops__yaml=EVALUATE.replace("run: cp", "timeout: 0.3s\n  run: sleep 60; cp"))
    code, _, err = project.mlops("evaluate")
    assert (code, "ran past its time limit" in err) == (5, True)
    assert project.record().commands[-1].ended == "time-limit"


def test_a_forks_code_is_refused_on_a_self_hosted_runner(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    event = {
        "pull_request": {
            "number": 1,
            "head": {"sha": "a" * 40, "ref": "x", "repo": {"full_name": "them/m", "fork": True}},
            "base": {"ref": "main", "repo": {"full_name": "us/m"}},
        }
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    for name, value in {
        "ACTIONS": "true",
        "EVENT_NAME": "pull_request",
        "REPOSITORY": "us/m",
        "EVENT_PATH": str(tmp_path / "event.json"),
    }.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setenv("RUNNER_ENVIRONMENT", "self-hosted")
    code, _, err = project.mlops("evaluate")
    assert (code, "comes from a fork" in err) == (4, True)
    assert not (project.folder / ".mlops/runs").exists()


def test_hostile_text_in_every_cell_is_read_as_it_is_and_printed_harmlessly(project: Project) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "target", "prediction", "language", "preview <!-- | -->"])
    writer.writerows([text, text, text, text, text] for text in HOSTILE)
    (project.folder / "preds.csv").write_bytes(out.getvalue().encode())
    project.write(mlops__yaml=EVALUATE.replace("metrics:", "task: classification\n  metrics:"))
    code, printed, err = project.mlops("evaluate")
    assert code == 0, err
    assert not [c for c in printed if not c.isprintable() and c != "\n"]
    record = project.record()
    assert record.metrics["accuracy"].value == 1.0
    assert set(record.slices) == {f"language={text}" for text in HOSTILE}
    assert record.evaluations[""].data is not None
    assert record.evaluations[""].data.labels == tuple(sorted(HOSTILE))


# --- interrupted


def started(project: Project) -> subprocess.Popen[bytes]:
    """The verb in its own process, once its command has begun."""
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlops_toolkit", "evaluate"], cwd=project.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not (project.folder / "begun").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


SLOW = EVALUATE.replace("run: cp", "run: touch begun; test -f go || sleep 60; cp")


def test_a_signal_interrupts_the_run_and_the_record_says_so(project: Project) -> None:
    project.write(mlops__yaml=SLOW)
    process = started(project)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert b"Traceback" not in out + err
    record = project.record()
    assert (record.status, record.commands[-1].ended, record.metrics) == ("interrupted", "interrupted", {})


def test_killed_at_its_command_it_leaves_a_readable_record_and_the_next_run_works(project: Project) -> None:
    project.write(mlops__yaml=SLOW)
    process = started(project)
    process.kill()
    process.communicate(timeout=30)
    assert project.record().status == "running"
    project.write(go="")
    code, _, err = project.mlops("evaluate")
    assert code == 0, err
    assert project.record().status == "succeeded"


def test_two_at_once_do_not_disturb_each_other(project: Project) -> None:
    project.write(mlops__yaml=SLOW)
    process = started(project)
    try:
        code, _, err = project.mlops("evaluate")
        assert (code, "is at work in" in err) == (4, True)
    finally:
        process.terminate()
        process.communicate(timeout=30)
