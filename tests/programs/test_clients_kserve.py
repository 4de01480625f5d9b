"""KServe's own client, which nobody here wrote either, talks to the server as it is, over REST and over gRPC."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.programs.conftest import HERE, environment
from tests.programs.test_clients import answering, free_port

# sixty packages to install, Kubernetes' among them
pytestmark = [pytest.mark.programs, pytest.mark.long]


def test_kserves_client_over_rest_and_grpc(tmp_path: Path) -> None:
    """Health by its JSON, tensors as JSON and as bytes, text, and errors in the exceptions that its users catch."""
    port = free_port()
    with answering(tmp_path, "--grpc-port", str(port)) as process:
        words = [str(environment("kserve") / "python"), str(HERE / "kserve" / "ask.py"), str(process.port), str(port)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:] + process.said()[-2000:]
        assert process.popen.poll() is None
    found = json.loads(done.stdout.splitlines()[-1])
    rest, grpc = found["rest"], found["grpc"]
    assert (rest["live"], rest["ready"], rest["model"], rest["no-model"]) == (True, True, True, False)
    # x · (1, 2, −1, 0.5) of rows 0 1 2 3, 4 5 6 7, 8 9 10 11
    answer = {"id": "seven", "model": "numbers", "label": ["yes"] * 3, "score": [1.5, 11.5, 21.5]}
    assert rest["answers"] == [answer] * 4
    assert grpc["answer"] == answer
    assert rest["text"] == grpc["text"] == ["CHEAP PILLS", "GRÜSSE"]
    assert [status for status, _ in rest["errors"]] == [404, 400, 400]
    assert "axis 1 of the input" in rest["errors"][1][1]
    assert "holds NaN" in rest["errors"][2][1]
    assert (grpc["live"], grpc["ready"], grpc["model"]) == (True, True, True)
    assert grpc["error"][0] == "StatusCode.INVALID_ARGUMENT"
    assert "axis 1 of the input" in grpc["error"][1]
