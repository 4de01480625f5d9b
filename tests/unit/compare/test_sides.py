"""What a word on the command line is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.compare.sides import both, from_predictions, kind_of
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate.loaded import Loaded


def test_the_folder_of_an_mlflow_run_is_a_metrics_file(tmp_path: Path) -> None:
    (tmp_path / "mlruns/0/run/metrics").mkdir(parents=True)
    (tmp_path / "mlruns/0/run/meta.yaml").touch()
    assert kind_of("mlruns/0/run", cwd=tmp_path) == "metrics"
    assert kind_of("mlruns/0/run/metrics", cwd=tmp_path) == "metrics"


@pytest.mark.parametrize("folder", ["feature", "feature/metrics"])
def test_a_branch_that_is_called_as_a_folder_is_a_branch(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert kind_of("feature", cwd=tmp_path) == "name"


def test_of_two_files_that_cannot_be_read_the_first_is_told(tmp_path: Path) -> None:
    def load(name: str) -> Loaded:
        return from_predictions(tmp_path / name, label=name, task=None, positive=None)

    (tmp_path / "main.csv").write_text("id,target,prediction\n" + "".join(f"{i},a,a\n" for i in range(20_000)) + "1,a,a\n")
    (tmp_path / "mine.csv").write_text("")
    with pytest.raises(InvalidFile) as told:
        both(load, ("main.csv", "mine.csv"))
    assert told.value.name == "duplicate-id"
