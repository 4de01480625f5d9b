"""Clients that nobody here wrote talk to the server as they are."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mlops_toolkit as mlops
from tests.programs.conftest import HERE, environment
from tests.unit.formats import saved
from tests.world.serving import Process, serving

pytestmark = pytest.mark.programs

TEXT = """
class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        return {"echo": [text.upper() for text in inputs["text"]]}
"""


@contextmanager
def answering(folder: Path, *options: str) -> Iterator[Process]:
    """A server of a model of numbers and one of text, both ready."""
    models = folder / "models"
    models.mkdir()
    saved.save(folder / "work").rename(models / "numbers")
    (folder / "predict.py").write_text(TEXT)
    mlops.save(folder / "predict.py", models / "text", example=["a", "b"])
    with serving(models, options=options) as process:
        process.until("model text")
        process.until("model numbers")
        yield process


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_tritonclient_over_http(tmp_path: Path) -> None:
    """Health, metadata, repository, tensors as JSON and as bytes, text, many at once, and errors in its own exceptions."""
    with answering(tmp_path, "--repository") as process:
        words = [str(environment("clients") / "python"), str(HERE / "clients" / "over_http.py"), f"127.0.0.1:{process.port}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-3000:] + process.said()[-2000:]
        assert process.popen.poll() is None
    found = json.loads(done.stdout)
    assert (found["live"], found["ready"], found["model"], found["no-model"]) == (True, True, True, False)
    assert "binary_tensor_data" in found["server"]["extensions"]
    assert found["metadata"]["inputs"][0]["shape"] == [-1, 4]
    assert {one["name"]: one["state"] for one in found["index"]} == {"numbers": "READY", "text": "READY"}
    # x · (1, 2, −1, 0.5) of rows 0 1 2 3, 4 5 6 7, 8 9 10 11
    scores = [1.5, 11.5, 21.5]
    assert found["answers"] == [["seven", scores, ["yes", "yes", "yes"]]] * 4
    assert found["defaults"] == scores
    assert found["text"] == ["CHEAP PILLS", "GRÜSSE"]
    assert found["several"] == [[1.5 + 2.5 * place] for place in range(20)]
    assert [status for status, _ in found["errors"]] == ["404", "400", "400"]
    assert "axis 1 of the input" in found["errors"][1][1]
    assert (found["unloaded"], found["loaded"]) == (False, True)
