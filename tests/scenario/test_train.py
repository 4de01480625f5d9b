"""`mlops train` as a user runs it: real repositories, real commands, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlops_toolkit.records import run as records
from mlops_toolkit.records.run import Run
from tests.check import ROOT
from tests.world.waiting import wait_for

TRAIN = """
import os, pathlib
place = pathlib.Path(os.environ["MLOPS_MODEL"])
place.mkdir(exist_ok=True)
(place / "weights").write_text(pathlib.Path("params.yaml").read_text() + pathlib.Path("data.csv").read_text())
with open("count", "a") as count:
    count.write("x")
print("loss 0.1")
"""
CONFIG = "name: spam\ntrain:\n  run: python3 train.py\n  output: model\n  inputs: [train.py]\n  data: [data.csv]\n  params: params.yaml\n"
GIT = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


@dataclass
class Done:
    """What `mlops` answered."""

    code: int
    err: str


@dataclass
class Project:
    """A folder with a model, and the machine it lives on."""

    folder: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.env = {**plain, **GIT, "HOME": str(self.home), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **self.env}

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mlops_toolkit", "train", *args]
        return subprocess.Popen(
            command, cwd=self.folder, env={**self.env, **env}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def train(self, *args: str, **env: str) -> Done:
        process = self.start(*args, **env)
        _, err = process.communicate(timeout=60)
        assert "mlops_toolkit/" not in err, "a traceback of ours"
        return Done(process.returncode, err)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)

    def git(self, *args: str) -> str:
        return subprocess.run(["git", *args], cwd=self.folder, env=self.env, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    @property
    def record(self) -> Run:
        path = self.folder / ".mlops" / "run.json"
        found = records.loads(path.read_bytes(), where=str(path))
        assert path.read_bytes() == (path.parent / "runs" / found.id / "run.json").read_bytes()
        return found

    @property
    def trainings(self) -> int:
        return len((self.folder / "count").read_text()) if (self.folder / "count").exists() else 0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "repository", tmp_path / "home")
    made.folder.mkdir()
    made.home.mkdir()
    made.write({"mlops.yaml": CONFIG, "train.py": TRAIN, "params.yaml": "lr: 0.1\n", "data.csv": "1\n", ".gitignore": "model\ncount\n"})
    made.git("init", "-q", "-b", "main")
    made.commit("first")
    return made


def test_a_training_leaves_a_record_its_output_and_its_model(project: Project) -> None:
    done = project.train()
    assert done.code == 0, done.err
    record = project.record
    said = done.err.splitlines()
    assert said[:2] == ["spam: training, because it is the first run here", "loss 0.1"]
    assert said[2].startswith("spam: trained in ")
    assert said[3] == f"spam: model is {record.trained.digest[:19]} (10 bytes), kept on this machine"  # type: ignore[union-attr]
    assert said[4:] == [f"spam: run {record.id} is in .mlops/run.json"]
    assert (record.status, record.model, record.commit, record.dirty) == ("succeeded", "spam", project.git("rev-parse", "HEAD"), False)
    assert record.tree == project.git("rev-parse", "HEAD^{tree}")
    assert record.params == {"lr": 0.1}
    assert [(c.phase, c.exit, c.ended) for c in record.commands] == [("train", 0, "ok")]
    assert record.resources.wall_seconds is not None
    assert record.environment.python is not None
    run_folder = project.folder / ".mlops" / "runs" / record.id
    assert (run_folder / "log-train.txt").read_text() == "loss 0.1\n"
    assert project.git("status", "--porcelain") == ""


def test_nothing_is_trained_twice(project: Project) -> None:
    project.train()
    first = project.record
    done = project.train()
    assert (done.code, project.trainings) == (0, 1)
    second = project.record
    assert (second.status, second.source, second.trained) == ("reused", first.id, first.trained)
    assert done.err.splitlines()[0] == f"spam: nothing to train: run {first.id} (main, {first.commit[:7]}) trained the same"  # type: ignore[index]
    project.train()
    assert project.record.source == first.id, "a reuse of a reuse names the run that trained"


def test_again_trains_again_and_counts(project: Project) -> None:
    project.train()
    project.train()
    done = project.train("--again")
    assert (project.trainings, project.record.trainings, project.record.status) == (2, 2, "succeeded")
    assert done.err.startswith("spam: training, because --again asks for it\n")


def test_a_squash_merge_costs_no_second_training(project: Project) -> None:
    """The pull request's run, made by another commit, is main's after the merge: other commit, same inputs."""
    project.git("checkout", "-q", "-b", "feature")
    project.write({"params.yaml": "lr: 0.2\n"})
    project.commit("one")
    project.write({"notes.md": "why"})
    project.commit("two")
    project.train()
    trained = project.record
    project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--squash", "feature")
    merged = project.commit("feature (#7)")
    assert project.train().code == 0
    assert (project.trainings, project.record.status, project.record.source) == (1, "reused", trained.id)
    assert project.record.commit == merged != trained.commit
    assert project.record.tree == trained.tree


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data.csv": "2\n"}, "data.csv changed"),
        ({"params.yaml": "lr: 0.3\n"}, "params.yaml changed"),
        ({"train.py": TRAIN + "# more\n"}, "train.py changed"),
        ({"mlops.yaml": CONFIG + "  seed: 7\n"}, "the seed changed"),
        ({"data.csv": "3\n", "params.yaml": "lr: 0.4\n"}, "data.csv changed, params.yaml changed"),
    ],
)
def test_what_changed_is_trained_and_said(project: Project, change: dict[str, str], said: str) -> None:
    project.train()
    first = project.record
    project.write(change)
    done = project.train()
    assert done.err.startswith(f"spam: training, because {said} since run {first.id}\n")
    assert (project.trainings, project.record.status, project.record.dirty) == (2, "succeeded", True)


def test_what_is_no_input_does_not_train(project: Project) -> None:
    project.train()
    project.write(
        {
            "README.md": "words",
            "mlops.yaml": CONFIG + "gate: {accuracy: {min: 0.5}}\nevaluate: {run: python3 evaluate.py, metrics: [accuracy]}\n",
        }
    )
    project.commit()
    project.train()
    assert (project.trainings, project.record.status) == (1, "reused")


def test_the_model_in_the_folder_is_the_reused_one_s(project: Project) -> None:
    """Back on the first branch, its model stands there again, though another one was trained since."""
    project.train()
    first = (project.folder / "model" / "weights").read_text()
    project.write({"params.yaml": "lr: 0.9\n"})
    project.train()
    assert (project.folder / "model" / "weights").read_text() != first
    project.write({"params.yaml": "lr: 0.1\n"})
    project.train()
    assert (project.trainings, (project.folder / "model" / "weights").read_text()) == (2, first)


def test_a_fresh_checkout_on_this_machine_reuses_through_the_recorded_history(project: Project, tmp_path: Path) -> None:
    """Without the model's folder there: it is in the store."""
    project.train()
    for path in (project.folder / "model").iterdir():
        path.unlink()
    (project.folder / "model").rmdir()
    project.train()
    assert (project.trainings, project.record.status) == (1, "reused")


def test_names_in_every_script(project: Project) -> None:
    project.write({
        "模型/mlops.yaml": "name: größe\ntrain:\n  run: mkdir -p 'mödel ü' && echo \"$MLOPS_MODEL\" > 'mödel ü/wéights.bin'\n  output: mödel ü/\n  inputs: ['日本.py']\n".replace("größe", "grosse"),
        "模型/日本.py": "",
    })  # fmt: skip
    done = project.train("--config", "模型/mlops.yaml")
    assert done.code == 0, done.err
    path = project.folder / "模型" / ".mlops" / "run.json"
    record = records.loads(path.read_bytes(), where="")
    assert record.config == "模型/mlops.yaml"
    assert (project.folder / "模型" / "mödel ü" / "wéights.bin").read_text() == f"{project.folder}/模型/mödel ü\n"
    assert f"run {record.id} is in 模型/.mlops/run.json" in done.err


def test_a_folder_without_git_works_too(project: Project) -> None:
    subprocess.run(["rm", "-rf", str(project.folder / ".git")], check=True)
    assert project.train().code == 0
    assert (project.record.commit, project.record.status) == (None, "succeeded")
    project.train()
    assert (project.trainings, project.record.status) == (1, "reused")


def test_what_the_command_sees(project: Project) -> None:
    project.write({"mlops.yaml": "name: spam\ntrain:\n  run: env > model\n  output: model\n  seed: 5\n"})
    secret = {
        "MLOPS_INPUTS": json.dumps({"token": "ghs_secret", "config": "mlops.yaml"}),
        "GITHUB_ACTIONS": "true",
        "MY_COPY": "ghs_secret",
        "MINE": "kept",
    }
    done = project.train(**secret)
    assert done.code == 0, done.err
    seen = dict(line.split("=", 1) for line in (project.folder / "model").read_text().splitlines() if "=" in line)
    run_folder = project.folder / ".mlops" / "runs" / project.record.id
    assert {name: value for name, value in seen.items() if name.startswith("MLOPS_") and name != "MLOPS_SUPERVISED"} == {
        "MLOPS_RUN_DIR": str(run_folder),
        "MLOPS_MODEL": str(project.folder / "model"),
        "MLOPS_MEASURES": str(run_folder / "measures-train.json"),
        "MLOPS_CHECKPOINTS": seen["MLOPS_CHECKPOINTS"],
        "MLOPS_SEED": "5",
        "MLOPS_DEVICE": seen["MLOPS_DEVICE"],
    }
    assert seen["MINE"] == "kept"
    assert "ghs_secret" not in (project.folder / "model").read_text()
    assert all("ghs_secret" not in path.read_text() for path in (project.folder / ".mlops").rglob("*") if path.is_file())


def test_measures_of_the_training_are_recorded(project: Project) -> None:
    project.write(
        {
            "mlops.yaml": "name: spam\ntrain:\n  run: |\n    echo 1 > model; echo '{\"train-loss\": [0.5, 0.25]}' > $MLOPS_MEASURES\n  output: model\n"
        }
    )
    assert project.train().code == 0
    assert project.record.measures["train-loss"].values == (0.5, 0.25)


@pytest.mark.parametrize(
    ("config", "code", "error"),
    [
        ("run: python3 -c 'raise ValueError(7)'\n  output: m", 5, 'train.run ended with exit status 1\n  it said last: ValueError: 7'),
        ("run: no-such-trainer\n  output: m", 5, "train.run could not be started"),
        ("run: python3 train.py | tee log\n  output: m\n  inputs: [gone.py]", 2, 'mlops.yaml:5: the input "gone.py" matches no file'),
        ("run: 'true'\n  output: m/", 5, "mlops.yaml:4: train.run ended well, but there is no m/"),
        ("run: mkdir m\n  output: m", 5, "the folder"),
        ("run: sleep 60\n  output: m\n  timeout: 0.3s", 5, "train.run ran past its time limit"),
        ("run: 'true'\n  output: m\n  data: [gone.csv]", 2, 'mlops.yaml:5: "gone.csv" is not there'),
        ("run: 'true'\n  output: m\n  params: gone.yaml", 2, 'mlops.yaml:5: "gone.yaml" is not there'),
        ("run: 'true'\n  output: m\n  launcher: lokal", 2, 'mlops.yaml:5: there is no launcher "lokal"'),
        ("run: 'true'\n  output: m\nmodels: {store: disk}", 2, 'mlops.yaml:5: models.store is "disk"'),
        ("run: 'true'\n  output: m\nmodels: {keep: {main: many}}", 2, 'mlops.yaml:5: models.keep.main is "many"'),
        ("run: 'true'\n  output: m\n  gpus: 1024", 4, "train.gpus asks for 1024"),
    ],
)  # fmt: skip
def test_each_failure_is_one_error_with_its_code(project: Project, config: str, code: int, error: str) -> None:
    project.write({"mlops.yaml": f"name: spam\ntrain:\n  {config}\n"})
    done = project.train()
    assert error in done.err
    assert done.code == code
    if (project.folder / ".mlops" / "run.json").exists():
        assert project.record.status == "failed"
        assert project.record.reason
        assert project.record.trained is None
    assert "mlops train: " in done.err


def test_what_we_say_after_a_progress_bar_starts_a_line(project: Project) -> None:
    config = CONFIG.replace("python3 train.py", "python3 train.py; printf 'step 1\\rstep 2'")
    (project.folder / "mlops.yaml").write_text(config)
    assert "step 2\nspam: trained in" in project.train().err
    (project.folder / "mlops.yaml").write_text(config.replace("step 2'", "step 2'; exit 3"))
    assert "step 2\nmlops train: mlops.yaml:3: train.run ended with exit status 3\n" in project.train().err


def test_a_model_s_place_that_holds_everything_else_too_is_refused(project: Project) -> None:
    """A reused model replaces what stands in its place: that must not be the repository, through a link either."""
    (project.folder / "here").symlink_to(".")
    project.write({"mlops.yaml": "name: spam\ntrain:\n  run: 'true'\n  output: here\n"})
    done = project.train()
    assert done.code == 2
    assert done.err.startswith('mlops train: mlops.yaml:4: train.output "here" holds the configuration itself\n')


def test_a_model_left_from_before_is_not_taken_for_this_training_s(project: Project) -> None:
    project.write({"model/weights": "old", "mlops.yaml": "name: spam\ntrain: {run: 'true', output: model, inputs: [train.py]}\n"})
    done = project.train()
    assert (done.code, project.record.status) == (5, "failed")
    assert "train.run ended well, but did not touch model, which was there before" in done.err
    project.write({"mlops.yaml": "name: spam\ntrain: {run: 'touch model/weights', output: model, inputs: [train.py]}\n"})
    assert project.train().code == 0, "the same content, written again, is a training"


def test_a_failed_training_is_not_reused(project: Project) -> None:
    project.write({"train.py": "with open('verdict') as file:\n    raise SystemExit(file.read() == 'bad')\n", "verdict": "bad"})
    project.write({"mlops.yaml": "name: spam\ntrain: {run: 'python3 train.py && date +%N > model', output: model, inputs: [train.py]}\n"})
    assert project.train().code == 5
    project.write({"verdict": "good"})
    assert project.train().code == 0
    assert project.record.status == "succeeded"


SLOW = "import os, pathlib, signal, sys, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"


@pytest.fixture
def slow(project: Project) -> Iterator[Project]:
    """A training that goes on for ever unless it is asked to stop; then it saves a checkpoint and exits 0."""
    code = (
        SLOW
        + "kept = pathlib.Path(os.environ['MLOPS_CHECKPOINTS']) / 'step'\n"
        + "if kept.exists():\n    pathlib.Path('model').write_text('from step ' + kept.read_text())\n    sys.exit(0)\n"
        + "def stop(*_):\n    kept.write_text('41')\n    pathlib.Path('model').write_text('half')\n    sys.exit(0)\n"
        + "signal.signal(signal.SIGTERM, stop)\npathlib.Path('up').touch()\ntime.sleep(60)\n"
    )
    project.write(
        {"train.py": code, "mlops.yaml": "name: spam\ntrain: {run: 'python3 train.py | tee log', output: model, inputs: [train.py]}\n"}
    )
    yield project
    if (project.folder / "pid").exists() and Path(f"/proc/{(project.folder / 'pid').read_text()}/environ").exists():
        os.kill(int((project.folder / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_training_is_interrupted_whatever_it_exits_with_and_goes_on_from_its_checkpoint(
    slow: Project, signum: signal.Signals
) -> None:
    process = slow.start()
    wait_for((slow.folder / "up").exists)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    record = slow.record
    assert (record.status, record.reason, record.trained) == ("interrupted", f"stopped by {signum.name}", None)
    assert [(c.ended, c.signal) for c in record.commands] == [("interrupted", signum.name)]
    assert err.splitlines()[-1] == f"mlops train: stopped by {signum.name}"
    assert slow.train().code == 0
    assert (slow.folder / "model").read_text() == "from step 41"
    assert slow.record.status == "succeeded"
    assert list((slow.folder / ".mlops" / "checkpoints").iterdir()) == [], "only an interrupted training is continued"


def test_killed_outright_the_record_says_running_and_the_next_run_knows_better(slow: Project) -> None:
    process = slow.start()
    wait_for((slow.folder / "up").exists)
    running = slow.record
    assert (running.status, [c.ended for c in running.commands]) == ("running", ["running"])
    process.kill()
    process.communicate(timeout=60)
    assert slow.record == running
    wait_for(lambda: (slow.folder / "model").exists())  # the guard has asked the orphan to stop
    done = slow.train()
    assert done.code == 0, done.err
    assert done.err.startswith(f"spam: run {running.id} was killed; it is recorded as interrupted\n")
    path = slow.folder / ".mlops" / "runs" / running.id / "run.json"
    closed = records.loads(path.read_bytes(), where="")
    assert (closed.status, closed.reason, [c.ended for c in closed.commands]) == (
        "interrupted",
        "killed before it could say so",
        ["interrupted"],
    )
    assert slow.record.status == "succeeded"


def test_two_at_once_in_one_folder_are_told_apart(slow: Project) -> None:
    process = slow.start()
    wait_for((slow.folder / "up").exists)
    done = slow.train()
    assert done.code == 4
    assert "another `mlops train` or `mlops evaluate` is at work in " in done.err
    assert slow.record.status == "running"
    process.terminate()
    process.communicate(timeout=60)


def test_several_models_are_trained_one_after_another_and_put_out(project: Project) -> None:
    for name in ("a", "b"):
        project.write({f"{name}/mlops.yaml": f"name: {name}\ntrain: {{run: 'echo {name} > model', output: model, inputs: [mlops.yaml]}}\n"})
    project.write({"c/mlops.yaml": "name: c\n"})
    output = project.folder.parent / "output"
    output.touch()
    done = project.train("--config", "*/mlops.yaml", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output), GITHUB_REPOSITORY="o/r")
    assert done.code == 0, done.err
    assert "c: c/mlops.yaml has no `train:`: there is nothing to train" in done.err
    text = output.read_text()
    assert "a/.mlops/run.json\nb/.mlops/run.json" in text
    assert "run-id" in text


def test_a_history_that_cannot_be_read_costs_no_more_than_a_training(project: Project) -> None:
    """In a CI whose remote does not answer, what this machine knows is still reused."""
    project.git("remote", "add", "origin", str(project.folder.parent / "gone.git"))
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_NAME": "push", "RUNNER_ENVIRONMENT": "self-hosted"}
    done = project.train(**ci)
    assert (done.code, project.trainings) == (0, 1), done.err
    assert "spam: the history cannot be read (" in done.err
    assert project.train(**ci).code == 0
    assert (project.trainings, project.record.status) == (1, "reused")


def test_a_model_kept_nowhere_is_still_a_training(project: Project) -> None:
    """On a GitHub-hosted runner, without a store: the record says why, and what to write."""
    done = project.train(GITHUB_ACTIONS="true", GITHUB_REPOSITORY="o/r", GITHUB_EVENT_NAME="push", RUNNER_ENVIRONMENT="github-hosted")
    assert done.code == 0, done.err
    assert project.record.trained is not None
    assert project.record.trained.stores == ()
    assert "kept nowhere: a GitHub-hosted runner keeps nothing, and mlops.yaml names no store" in done.err
    assert "spam: to keep it: models: {store: oci://ghcr.io/OWNER/REPO/mlops-models}" in done.err


def test_a_fork_s_head_does_not_run_on_one_s_own_machine(project: Project, tmp_path: Path) -> None:
    event = {
        "pull_request": {
            "number": 3,
            "head": {"sha": "1" * 40, "repo": {"full_name": "evil/r"}},
            "base": {"ref": "main", "repo": {"full_name": "o/r"}},
        }
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    project.write({"mlops.yaml": CONFIG + "allow-forks: true\n"})
    done = project.train(
        GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="pull_request", GITHUB_EVENT_PATH=str(tmp_path / "event.json"), GITHUB_REPOSITORY="o/r",
        GITHUB_SHA=project.git("rev-parse", "HEAD"), RUNNER_ENVIRONMENT="self-hosted",
    )  # fmt: skip
    assert (done.code, project.trainings) == (4, 0)
    assert "this pull request comes from a fork" in done.err
