"""What a rollout asks before it lets anybody in: every golden example of every model, over the network, of a server that runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlops_toolkit as mlops
from mlops_toolkit.formats import golden, manifest
from tests.check import ROOT
from tests.scenario.test_serve import model
from tests.unit.formats import saved
from tests.world.serving import serving

# Texts and files in, texts and files and numbers that are none out.
MIXED = """
import numpy as np

class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        n = len(inputs["text"])
        files = np.empty(n, object)
        files[:] = [one + b"\\0\\xff" for one in inputs["file"]]
        words = np.empty(n, object)
        words[:] = [one.upper() for one in inputs["text"]]
        return {"words": words, "files": files, "sum": np.asarray(inputs["x"]).sum(axis=1)}
"""


def probe(port: int, *words: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Its exit code and its one line."""
    asked = [sys.executable, "-m", "mlops_toolkit.serve.probe", "--port", str(port), *words]
    done = subprocess.run(
        asked, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    )
    [line] = done.stdout.splitlines()
    assert done.stderr == ""
    return done.returncode, json.loads(line)


def mixed(folder: Path) -> None:
    code = saved.write(folder.parents[1] / "code", MIXED, "[]")
    x = np.array([[1, 2], [np.nan, 4], [5, np.inf]], np.float32)
    example = {"text": ["ä", "", "c"], "file": [b"\0", b"", b"\xff"], "x": x}
    mlops.save(code, folder, example=example, files=[code.parent / "weights.json"])


def test_every_golden_example_of_every_model_is_asked(tmp_path: Path) -> None:
    """Numbers, texts, files, NaN; of several versions the newest; what the server would refuse any client (infinity) is left out and counted."""
    folder = tmp_path / "models"
    model(folder, version="9")
    newest = model(folder, version="10")
    mixed(folder / "mixed")
    version = "1234"
    with serving(folder) as process:
        process.until("model mixed")
        begun = time.perf_counter()
        code, told = probe(process.port, "--models", str(folder))
        took = time.perf_counter() - begun
        assert (code, told["ok"], told["error"]) == (0, True, None)
        assert [(one["name"], one["examples"]) for one in told["models"]] == [("m", 3), ("mixed", 2)]
        assert told["models"][0]["version"] == "10"
        assert all(one["worst"] <= golden.ABSOLUTE for one in told["models"])
        assert took < 5  # half a second on a machine that does nothing else
        assert probe(process.port, "--models", str(folder / "mixed"))[1]["models"][0]["name"] == "mixed"

        other = tmp_path / "other" / "m"
        shutil.copytree(newest, other / "10")
        spoil(other / "10")
        code, told = probe(process.port, "--models", str(other.parent))
        assert (code, told["ok"], told["error"]["name"]) == (1, False, "wrong-answers")
        assert told["error"]["message"] == "m 10 does not answer its golden examples as it did when it was saved"
        shutil.move(other / "10", other / version)
        assert probe(process.port, "--models", str(other.parent))[1]["error"]["name"] == "unknown-version"
        assert probe(process.port, "--models", str(tmp_path / "none"))[1]["error"]["name"] == "no-model"
    assert probe(process.port, "--models", str(other.parent))[1]["error"]["name"] == "no-answer"


def spoil(folder: Path) -> None:
    """Golden examples of another model: the same inputs, other answers."""
    signature = manifest.read(folder).signature
    inputs, outputs = golden.read(folder, signature)
    golden.write(folder, inputs, {name: value + 0.1 for name, value in outputs.items()})


def test_a_server_that_is_not_ready_lets_nobody_in(tmp_path: Path) -> None:
    """With the reason; as long as its newest version is not what answers, too, though the server itself is ready with the one before."""
    good = model(tmp_path / "models", version="1")
    place = tmp_path / "models/m/2"
    shutil.copytree(good, place)
    damage(place)
    with serving(tmp_path / "models", ready=False) as process:
        process.until("is refused")
        process.until(" answers after ")
        code, told = probe(process.port, "--models", str(tmp_path / "models"))
        assert (code, told["error"]["name"]) == (1, "unknown-version"), told
        shutil.rmtree(good)
    with serving(tmp_path / "models", ready=False) as process:
        process.until("is refused")
        code, told = probe(process.port, "--models", str(tmp_path / "models"))
        assert (code, told["error"]["name"]) == (1, "not-ready"), told
        assert "is not what was saved" in told["error"]["message"]


def test_a_server_that_starts_is_waited_for(tmp_path: Path) -> None:
    """By one process, which answers as soon as the server does; a model that answers wrong is not waited for."""
    folder = tmp_path / "models"
    place = model(folder)
    with serving(folder) as process:
        port = process.port
    asked = [sys.executable, "-m", "mlops_toolkit.serve.probe", "--port", str(port), "--models", str(folder), "--wait", "25"]
    waits = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    with serving(folder, options=("--port", str(port))) as process:
        out, _ = waits.communicate(timeout=60)
        assert (waits.returncode, json.loads(out)["ok"]) == (0, True), out
    other = tmp_path / "other/m/1"
    shutil.copytree(place, other)
    spoil(other)
    with serving(tmp_path / "other", ready=False) as process:
        process.until("is refused")
        begun = time.monotonic()
        code, told = probe(process.port, "--models", str(tmp_path / "other"), "--wait", "25")
        assert (code, told["error"]["name"]) == (1, "not-ready"), told
        assert time.monotonic() - begun < 20
    code, told = probe(port, "--models", str(folder), "--wait", "0.3")
    assert (code, told["error"]["name"]) == (1, "no-answer"), told


def damage(place: Path) -> None:
    file = next(one for one in sorted(place.rglob("*")) if one.is_file() and one.name != manifest.NAME)
    file.write_bytes(file.read_bytes() + b" ")


@pytest.mark.parametrize("secure", [False, True], ids=["token", "token and certificates"])
def test_it_comes_in_by_the_servers_own_settings(tmp_path: Path, secure: bool) -> None:
    """The token and the certificate that the server has by its environment are the probe's, too; neither is ever said."""
    model(tmp_path / "models")
    env = {"MLOPS_SERVE_TOKEN": "only-this"}
    if secure:
        cert, key = tmp_path / "server.pem", tmp_path / "server.key"
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=model"
        subprocess.run([*make.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
        env |= {"MLOPS_SERVE_TLS_CERT": str(cert), "MLOPS_SERVE_TLS_KEY": str(key), "MLOPS_SERVE_CLIENT_CA": str(cert)}
    with serving(tmp_path / "models", env=env) as process:
        models = ("--models", str(tmp_path / "models"))
        assert probe(process.port, *models, env=env)[1]["ok"]
        wrong = {**env, "MLOPS_SERVE_TOKEN": "another"}
        code, told = probe(process.port, *models, env=wrong)
        assert (code, told["error"]["name"]) == (1, "unauthorized")
        assert "another" not in json.dumps(told)
        if secure:
            assert probe(process.port, *models)[1]["error"]["name"] == "no-answer"  # plain HTTP
