"""A release branch, with the shipped workflow: a change to it is held against the release, however far main has gone on."""

from __future__ import annotations

import pytest

from tests.engine.act import PLAIN, workflow
from tests.engine.conftest import Make
from tests.world.project import EVALUATE, TRAIN

pytestmark = pytest.mark.act
FLOW = "release.yml"


def test_a_change_to_a_release_is_compared_with_the_release_and_a_looser_gate_is_noticed(make_engine: Make) -> None:
    """main is two points better: held against main, the change would fail."""
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": "50\n", ".gitignore": "model/\n", "mlops.yaml": PLAIN}
    engine = make_engine({**files, ".github/workflows/release.yml": workflow("release-branches.yml")})
    project, github = engine.project, engine.github
    project.branch("release/1")
    released = project.commit("Version 1", {"VERSION": "1\n"})
    assert engine.run(engine.push("release/1"), FLOW).passed
    project.git("checkout", "-q", "main")
    project.commit("Two points better", {"src/wrong.txt": "30\n"})

    project.branch("fix", "release/1")
    head = project.commit("A fix for version 1", {"src/wrong.txt": "51\n"})
    ran = engine.run(engine.pull_request(7, head, "fix", base="release/1"), FLOW)
    assert ran.passed, ran.log
    (body,) = github.bodies(7)
    assert body.startswith("✅ spam-filter: accuracy −0.10 pp")
    assert f"release/1 {released[:7]}" in body

    project.git("checkout", "-q", "fix")
    head = project.commit("As bad as it can be", {"src/wrong.txt": "90\n", "mlops.yaml": PLAIN.replace("max-drop: 1pp", "max-drop: 9pp")})
    ran = engine.run(engine.pull_request(7, head, "fix", base="release/1"), FLOW)
    assert not ran.passed
    (body,) = github.bodies(7)
    assert "gate loosened" in body.partition("\n")[0]
    assert {s["state"] for s in github.statuses[head]} == {"failure"}
