"""A fuzzer that nobody here wrote reads /openapi.json and tries to make the server answer otherwise than it says.

What failed is printed as a line for curl. The short run asks the same in every run; the long one has a new seed each time, and prints that too.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import mlops_toolkit as mlops
from tests.programs.conftest import environment
from tests.programs.test_clients import TEXT
from tests.unit.formats import saved
from tests.world.serving import serving

pytestmark = pytest.mark.programs

# Not that all is taken that fits the description: what is CSV, and how long the JSON before binary tensors is, OpenAPI cannot say.
EXCEPT = "positive_data_acceptance"


@pytest.mark.parametrize("examples", [pytest.param(3, id="few"), pytest.param(300, id="many", marks=pytest.mark.long)])
def test_whatever_it_sends_is_answered_as_described(tmp_path: Path, examples: int) -> None:
    """Statuses, types, bodies and headers are the described ones; what does not fit is refused; no token, no answer; the server never fails."""
    models = tmp_path / "models"
    models.mkdir()
    saved.save(tmp_path / "work").rename(models / "numbers")
    if examples > 3:
        (tmp_path / "predict.py").write_text(TEXT)
        mlops.save(tmp_path / "predict.py", models / "text", example=["a", "b"])
    with serving(models, env={"MLOPS_SERVE_TOKEN": "secret"}, options=("--open", "health")) as process:
        for name in models.iterdir():
            process.until(f"model {name.name}")
        address = f"http://127.0.0.1:{process.port}"
        words = [
            str(environment("schemathesis") / "st"),
            "run",
            f"{address}/openapi.json",
            "--no-color",
            "-H",
            "Authorization: Bearer secret",
        ]
        words += ["--phases", "examples,coverage,fuzzing", "-n", str(examples), "--exclude-checks", EXCEPT]
        words += ["--seed", "7"] if examples == 3 else []
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert process.popen.poll() is None
        assert not [line for line in process.lines() if line.get("log.level") == "error"]
