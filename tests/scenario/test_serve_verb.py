"""`mlops serve` on a laptop, and what docs/serve.md says to ask it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.check import ROOT
from tests.unit.formats import saved
from tests.world.repository import make
from tests.world.serving import Connection

DOCS = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": os.environ["PATH"]}


def test_what_the_page_says_to_ask_is_answered_as_it_says(tmp_path: Path) -> None:
    """The commands of docs/serve.md, against a model that was saved as docs/models.md says; then Ctrl+C."""
    saved.save(tmp_path)
    with serving(tmp_path, "model") as port:
        commands = [line for line in DOCS.splitlines() if line.startswith("curl ")]
        assert len(commands) == 2
        answers = []
        for command in commands:
            asked = command.replace("localhost:8080", f"localhost:{port}")
            done = subprocess.run(["bash", "-c", asked + " -s"], capture_output=True, text=True, timeout=20, check=True)
            answers.append(json.loads(done.stdout))
        told = re.search(r"```json\n(.*?)\n```", DOCS)
        assert told
        assert answers[0] == json.loads(told[1])
        assert answers[1]["outputs"][0]["data"] == ["yes"]


@contextlib.contextmanager
def serving(folder: Path, *words: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """`mlops serve` of these in a folder; the port. It ends at once, and well, when it is told to."""
    command = [sys.executable, "-m", "mlops_toolkit", "serve", *words, "--port", "0"]
    server = subprocess.Popen(
        command, cwd=folder, env=env or environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert server.stdout is not None
    try:
        said = ""
        while " answers after " not in said:
            line = server.stdout.readline()
            assert line, said
            said += line
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert found
        yield int(found[1])
    finally:
        server.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert server.wait(10) == 0
        server.stdout.close()
    assert time.monotonic() - begun < 3


# A training whose model is what lies in `weights.json`, saved as docs/models.md says.
TRAIN = f"""\
import pathlib, shutil
import mlops_toolkit as mlops
import numpy as np

pathlib.Path("predict.py").write_text({saved.PREDICT!r})
shutil.rmtree("model", ignore_errors=True)
mlops.save("predict.py", "model", example={{"x": np.ones((4, 4), np.float32)}}, files=["weights.json"])
"""
CONFIG = "name: spam-filter\ntrain: {run: python3 train.py, output: model/, inputs: [train.py, weights.json]}\n"


def test_a_recorded_runs_model_is_served_and_inspected(tmp_path: Path) -> None:
    """By the beginning of its id, from the store, under its own name: whatever stands in the work tree by now."""
    repository = make(tmp_path, config=CONFIG)
    repository.write(train_py=TRAIN.replace("python3", sys.executable), weights_json="[1, 2, -1, 0.5]")
    repository.commit("a model that can be served")
    repository.env["PATH"] = f"{Path(sys.executable).parent}:{repository.env['PATH']}"
    repository.mlops("train")
    run = repository.record["id"]
    shutil.rmtree(repository.root / "model")
    shown = repository.mlops("inspect", run[:-2]).stdout
    assert f"spam-filter (run {run})" in shown
    assert "x FP32 [any, 4]" in " ".join(shown.split())
    with serving(repository.root, run[:-2], env=repository.env) as port, Connection(port) as connection:
        answer = connection.ask("POST", "/predict/spam-filter", '{"x": [1, 2, 3, 4]}')
    assert answer.json() == {"label": "yes", "score": 4.0}
    for verb in ("serve", "inspect"):
        assert "no recorded run begins with 19990101-0000" in repository.mlops(verb, "19990101-0000", code=2).stderr


def test_a_recorded_run_whose_model_cannot_be_served_says_why(tmp_path: Path) -> None:
    repository = make(tmp_path)
    repository.mlops("train")
    run = repository.record["id"]
    assert f"the model of run {run} was not written by mlops.save" in repository.mlops("serve", run, code=2).stderr
    assert "to be served it needs its signature" in repository.mlops("inspect", run).stderr
    for record in repository.root.glob(".mlops/**/run.json"):  # as a job that ran somebody's code may have written it
        record.write_text(record.read_text().replace('"model": "spam-filter"', f'"model": "{tmp_path}/elsewhere"'))
    assert "is no name of a model" in repository.mlops("serve", run, code=None).stderr
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("make", "word", "says"),
    [
        (lambda folder: None, "nothing", "neither a folder here nor the id of a run"),
        (lambda folder: (folder / "model.pkl").write_bytes(b"\x80\x04K\x01."), "model.pkl", "runs whatever code was put into it"),
        (lambda folder: (folder / "empty").mkdir(), "empty", "there is no model that mlops.save wrote in empty"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"\x08\x07"), "model.onnx", "is a file, not a folder"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path: Path, make: object, word: str, says: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    done = serve(tmp_path, word)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_model_that_does_not_answer_its_golden_examples_ends_it(tmp_path: Path) -> None:
    """A person at a terminal is told at once, where an image would wait, not ready."""
    folder = saved.save(tmp_path)
    (folder / "code" / "weights.json").write_text("[0, 0, 0, 0]")
    done = serve(tmp_path, "model", "--port", "0")
    assert done.returncode == 5
    assert "code/weights.json is not what was saved" in done.stderr


def serve(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlops_toolkit", "serve", *words]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=False)
