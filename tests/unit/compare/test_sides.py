"""What a word on the command line is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.compare.sides import kind_of


def test_the_folder_of_an_mlflow_run_is_a_metrics_file(tmp_path: Path) -> None:
    (tmp_path / "mlruns/0/run/metrics").mkdir(parents=True)
    (tmp_path / "mlruns/0/run/meta.yaml").touch()
    assert kind_of("mlruns/0/run", cwd=tmp_path) == "metrics"
    assert kind_of("mlruns/0/run/metrics", cwd=tmp_path) == "metrics"


@pytest.mark.parametrize("folder", ["feature", "feature/metrics"])
def test_a_branch_that_is_called_as_a_folder_is_a_branch(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert kind_of("feature", cwd=tmp_path) == "name"
