"""`mlops serve` on a laptop, and what docs/serve.md says to ask it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.check import ROOT
from tests.unit.formats import saved

DOCS = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": os.environ["PATH"]}


def test_what_the_page_says_to_ask_is_answered_as_it_says(tmp_path: Path) -> None:
    """The commands of docs/serve.md, against a model that was saved as docs/models.md says; then Ctrl+C."""
    saved.save(tmp_path)
    words = [sys.executable, "-m", "mlops_toolkit", "serve", "model", "--port", "0"]
    server = subprocess.Popen(words, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    try:
        said = ""
        while " answers after " not in said:
            line = server.stdout.readline()
            assert line, said
            said += line
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert found
        commands = [line for line in DOCS.splitlines() if line.startswith("curl ")]
        assert len(commands) == 2
        answers = []
        for command in commands:
            asked = command.replace("localhost:8080", f"localhost:{found[1]}")
            done = subprocess.run(["bash", "-c", asked + " -s"], capture_output=True, text=True, timeout=20, check=True)
            answers.append(json.loads(done.stdout))
        told = re.search(r"```json\n(.*?)\n```", DOCS)
        assert told
        assert answers[0] == json.loads(told[1])
        assert answers[1]["outputs"][0]["data"] == ["yes"]
    finally:
        server.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert server.wait(10) == 0
        server.stdout.close()
    assert time.monotonic() - begun < 3


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
