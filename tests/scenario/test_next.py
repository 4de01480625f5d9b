"""What a comment tells its reader to do or to know: the commands in it work as they stand."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.world.repository import make


def test_the_command_that_reproduces_works_for_a_metrics_file_alone(tmp_path: Path) -> None:
    here = make(tmp_path)
    here.git("rm", "-q", "mlops.yaml")
    (here.root / "metrics.json").write_text(json.dumps({"accuracy": 0.93}))
    here.commit("metrics alone")
    here.git("switch", "-q", "-c", "change")
    (here.root / "metrics.json").write_text(json.dumps({"accuracy": 0.91}))
    here.commit("other numbers")
    here.mlops("compare", "--metrics", "metrics.json")
    command = here.report["next"]["reproduce"]
    assert command.endswith("--metrics metrics.json")
    assert "−2.0 pp" in here.mlops(*shlex.split(command)[1:]).stdout


def test_the_command_that_reproduces_names_the_configuration_where_it_is_not_the_usual_one(tmp_path: Path) -> None:
    here = make(tmp_path)
    here.git("mv", "mlops.yaml", "other.yaml")
    here.commit("another name")
    here.mlops("review", "--config", "other.yaml")
    here.git("switch", "-q", "-c", "change")
    here.wrong(180)
    here.mlops("review", "--config", "other.yaml", code=1)
    command = here.report["next"]["reproduce"]
    assert command.endswith("--config other.yaml")
    assert "−4.0 pp" in here.mlops(*shlex.split(command)[1:], code=1).stdout


def test_training_the_same_again_until_it_passes_is_counted_in_the_comment(tmp_path: Path) -> None:
    here = make(tmp_path)
    here.mlops("review")
    here.git("switch", "-q", "-c", "change")
    here.wrong(180)
    assert "training of the same inputs" not in here.mlops("review", code=1).stdout
    assert "2nd training of the same inputs; 1st: failed" in here.mlops("review", "--again", code=1).stdout
    third = here.mlops("review", "--again", code=1).stdout
    assert "3rd training of the same inputs; 1st: failed; 2nd: failed" in third
