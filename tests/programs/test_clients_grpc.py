"""A client for gRPC that nobody here wrote talks to the server as it is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.programs.conftest import HERE, environment
from tests.programs.test_clients import answering, free_port

pytestmark = pytest.mark.programs


def test_tritonclient_over_grpc(tmp_path: Path) -> None:
    """Health, metadata, tensors, text, compressed and large messages, and errors in its own exceptions."""
    port = free_port()
    with answering(tmp_path, "--grpc-port", str(port)) as process:
        words = [str(environment("clients") / "python"), str(HERE / "clients" / "over_grpc.py"), f"127.0.0.1:{port}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-3000:] + process.said()[-2000:]
        assert process.popen.poll() is None
    found = json.loads(done.stdout)
    assert (found["live"], found["ready"], found["model"], found["server"]) == (True, True, True, "mlops-serve")
    assert found["metadata"] == [["x", "FP32", [-1, 4]], ["label", "BYTES", [-1]], ["score", "FP64", [-1]]]
    # x · (1, 2, −1, 0.5) of rows 0 1 2 3, 4 5 6 7, 8 9 10 11
    assert found["answer"] == ["seven", [1.5, 11.5, 21.5], True]
    assert found["compressed"] == [["yes"] * 3, "float64"]
    assert found["text"] == ["CHEAP PILLS", "GRÜSSE"]
    rows = np.arange(400_000, dtype=np.float32).reshape(-1, 4) % 7
    assert found["large"] == (rows @ [1, 2, -1, 0.5]).sum()
    codes, sentences = zip(*found["errors"], strict=True)
    assert codes == ("StatusCode.NOT_FOUND", *["StatusCode.INVALID_ARGUMENT"] * 3)
    assert "axis 1 of the input" in sentences[1]
    assert "holds NaN" in sentences[2]
    assert "is missing" in sentences[3]
