"""`mlops measure` as a step between evaluate and compare-to-main: what it finds reaches the gate."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.engine.act import PLAIN, TEMPLATES
from tests.engine.conftest import Make
from tests.world.project import EVALUATE, GOOD, HARMLESS, TRAIN

pytestmark = pytest.mark.act
BENCH = """\
import json, os, pathlib, random
assert "MLOPS_INPUTS" not in os.environ, "the token is not the command's"
wrong = json.loads(pathlib.Path(os.environ["MLOPS_MODEL"], "model.json").read_text())["wrong"]
print((10 if wrong == 30 else 13) + random.random() / 10)
"""
BEFORE = "      - uses: org/mlops-actions/compare-to-main@v1"


def test_a_slower_model_is_stopped_by_what_a_step_of_the_workflow_measured(make_engine: Make, ours: Path) -> None:
    tool = f"PYTHONPATH={ours} {sys.executable} -m mlops_toolkit measure"
    steps = f"""\
      - run: {tool} latency --from-output --rounds 24 -- python3 bench.py
        env: {{MLOPS_INPUTS: '{{"token": "${{{{ github.token }}}}"}}'}}
      - run: {tool} memory --rounds 4 -- python3 bench.py
"""
    flow = (TEMPLATES / "pull-request-one-job.yml").read_text().replace("ubuntu-latest", "self-hosted")
    assert BEFORE in flow
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "bench.py": BENCH, "src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n"}
    config = PLAIN.replace("gate:\n", "gate:\n  latency-ms: {max-rise: 10%}\n  peak-memory-mb: {max: 500}\n")
    engine = make_engine({**files, "mlops.yaml": config, ".github/workflows/model.yml": flow.replace(BEFORE, steps + BEFORE, 1)})
    main = engine.run(engine.push())
    assert main.passed, main.log
    engine.project.branch("slower")
    head = engine.project.commit("Slower", {"src/wrong.txt": f"{HARMLESS}\n"})
    ran = engine.run(engine.pull_request(7, head, "slower"))
    assert not ran.passed, ran.log
    assert "both models in turn, 24 rounds" in ran.log
    body = engine.github.bodies(7)[0]
    change = re.match(r"❌ spam-filter: latency-ms \+([0-9.]+) ms \(likely ", body)
    assert change is not None, body
    assert float(change[1]) == pytest.approx(3, abs=0.1)
    assert "| peak-memory-mb |" in body
    assert ran.outputs["compare-to-main"]["exit"] == "1"
