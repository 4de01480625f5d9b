"""Jobs that run at the same time, and jobs that run on several machines: legs of a matrix, and three HOMEs with one disk between them."""

from __future__ import annotations

import pytest

from tests.engine.act import PLAIN, Engine
from tests.engine.conftest import Make
from tests.world.project import EVALUATE, GOOD, HARMLESS, TRAIN, WORSE

pytestmark = pytest.mark.act
CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2"
DOWNLOAD = "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093 # v4.3.0"
LEGS = f"""\
on: {{pull_request: , push: }}
permissions: {{}}
jobs:
  model:
    strategy: {{fail-fast: false, matrix: {{size: [large, small]}}}}
    runs-on: self-hosted
    permissions: {{contents: write, pull-requests: write, statuses: write, issues: write}}
    env: {{SIZE: "${{{{ matrix.size }}}}"}}
    steps:
      - uses: {CHECKOUT}
      - uses: org/mlops-actions@v1
        with: {{matrix: "${{{{ matrix.size }}}}"}}
"""
THREE = f"""\
on: {{pull_request: , push: }}
permissions: {{}}
jobs:
  train:
    runs-on: self-hosted
    permissions: {{contents: read}}
    env: {{HOME: ROOT/one, XDG_DATA_HOME: ROOT/one/data}}
    steps:
      - uses: {CHECKOUT}
      - uses: org/mlops-actions/train@v1
      - uses: {UPLOAD}
        with: {{name: trained, path: .mlops/, include-hidden-files: true}}
  evaluate:
    needs: train
    runs-on: self-hosted
    permissions: {{contents: read}}
    env: {{HOME: ROOT/two, XDG_DATA_HOME: ROOT/two/data}}
    steps:
      - uses: {CHECKOUT}
      - uses: {DOWNLOAD}
        with: {{name: trained, path: .mlops}}
      - uses: org/mlops-actions/evaluate@v1
      - uses: {UPLOAD}
        if: ${{{{ !cancelled() }}}}
        with: {{name: evaluated, path: .mlops/, include-hidden-files: true}}
  model:
    needs: evaluate
    if: ${{{{ !cancelled() }}}}
    runs-on: self-hosted
    permissions: {{contents: write, pull-requests: write, statuses: write, issues: write}}
    env: {{HOME: ROOT/three, XDG_DATA_HOME: ROOT/three/data}}
    steps:
      - uses: {CHECKOUT}
      - uses: {DOWNLOAD}
        with: {{name: evaluated, path: handed}}
      - uses: org/mlops-actions/compare-to-main@v1
        with: {{run: handed}}
"""
SIZED = '''"""Trains a model of the size that the job names; the small one is worse."""
import json, os, pathlib

print("training with", os.environ["SIZE"])
pathlib.Path("model").mkdir(exist_ok=True)
wrong = json.loads(pathlib.Path("src/wrong.txt").read_text())[os.environ["SIZE"]]
pathlib.Path("model/model.json").write_text(json.dumps({"wrong": wrong}))
'''


def test_two_legs_of_a_matrix_share_a_comment_and_each_has_its_own_baseline_and_check(make_engine: Make) -> None:
    files = {"train.py": SIZED, "evaluate.py": EVALUATE, "src/wrong.txt": '{"large": 30, "small": 60}\n', ".gitignore": "model/\n"}
    engine = make_engine({**files, "mlops.yaml": PLAIN, ".github/workflows/model.yml": LEGS})
    main = engine.run(engine.push())
    assert main.passed, main.log
    assert main.trainings == 2
    engine.project.branch("change")
    head = engine.project.commit("The small one gets worse", {"src/wrong.txt": '{"large": 31, "small": 90}\n'})
    ran = engine.run(engine.pull_request(7, head, "change"))
    assert sorted(ran.jobs["model"])[0] == "failure"
    (body,) = engine.github.bodies(7)
    assert body.startswith("❌ spam-filter")
    assert "accuracy −3.00 pp" in body
    assert "accuracy −0.10 pp" in body
    states = {s["context"]: s["state"] for s in engine.github.statuses[head]}
    assert states == {"mlops/spam-filter (large)": "success", "mlops/spam-filter (small)": "failure"}


@pytest.fixture(scope="module")
def apart(make_engine: Make) -> Engine:
    """Three machines: what they share is the repository, the artifacts, and a disk for models."""
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n"}
    engine = make_engine(files)
    engine.env["XDG_DATA_HOME"] = ""  # each job's own
    for machine in ("one", "two", "three"):
        (engine.folder / machine).mkdir()
    config = f"{PLAIN}models: {{store: 'file:{engine.folder}/shared'}}\n"
    engine.project.commit(
        "Three machines", {"mlops.yaml": config, ".github/workflows/model.yml": THREE.replace("ROOT", str(engine.folder))}
    )
    main = engine.run(engine.push())
    assert main.passed, main.log
    return engine


def test_trained_on_one_machine_evaluated_on_another_and_judged_on_a_third(apart: Engine) -> None:
    apart.project.branch("change")
    head = apart.project.commit("A change that hurts", {"src/wrong.txt": f"{WORSE}\n"})
    ran = apart.run(apart.pull_request(7, head, "change"))
    assert ran.jobs == {"train": ["success"], "evaluate": ["success"], "model": ["failure"]}
    assert ran.trainings == 1
    assert apart.github.bodies(7)[0].startswith("❌ spam-filter: accuracy −6.0 pp")


def test_without_a_store_between_them_the_machine_that_evaluates_says_what_it_lacks(apart: Engine) -> None:
    apart.project.branch("alone")
    head = apart.project.commit("No disk between them", {"mlops.yaml": PLAIN, "src/wrong.txt": f"{HARMLESS}\n"})
    ran = apart.run(apart.pull_request(8, head, "alone"))
    assert ran.jobs["evaluate"] == ["failure"]
    assert ran.outputs["evaluate"]["exit"] == "4"
    said = "".join(text for _, text in ran.annotations)
    assert "cannot be had" in said
    assert "not on this machine" in said
    assert apart.github.bodies(8)[0].startswith("❌ spam-filter: no verdict: ")
    assert {s["state"] for s in apart.github.statuses[head]} == {"error"}
