"""What the neighbours accept and should not, or refuse and need not: NaN and other non-numbers, duplicate ids, reordered rows, other data."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.digest import digests
from mlops_toolkit.predictions.measures import read_measures
from mlops_toolkit.predictions.metrics_file import read_metrics
from mlops_toolkit.predictions.pair import pair
from mlops_toolkit.predictions.read import read
from tests.unit.predictions.make import of_bytes


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "true", "false", "null", '"0.9"'])
def test_a_metric_that_is_no_number_is_refused_by_name(tmp_path: Path, value: str) -> None:
    content = f'{{"loss": 0.5, "accuracy": {value}}}'
    path = tmp_path / "metrics.json"
    path.write_text(content)
    for reader in (read_metrics, read_measures):
        with pytest.raises(InvalidFile, match="accuracy") as caught:
            reader(path)
        assert caught.value.name == "not-a-number"


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "Infinity", "true", "None", "", "1,5"])
def test_a_score_that_is_no_number_is_refused_by_row_and_column(tmp_path: Path, value: str) -> None:
    path = tmp_path / "preds.csv"
    path.write_text(f'id,target,prediction,score\n1,a,a,0.5\n2,a,a,"{value}"\n')
    with pytest.raises(InvalidFile, match="row 3, column score") as caught:
        read(path)
    assert caught.value.name == "not-a-number"


def test_a_regression_target_that_is_nan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "preds.csv"
    path.write_text("id,target,prediction\n" + "".join(f"{i},{i}.5,{i}.25\n" for i in range(20)) + "20,nan,1.5\n")
    with pytest.raises(InvalidFile, match="row 22, column target"):
        read(path, task="regression")


def test_duplicate_ids_are_refused_and_reordered_rows_are_not() -> None:
    one = of_bytes(b"id,target,prediction\n1,a,a\n2,b,a\n")
    other = of_bytes(b"id,prediction,target\n2,a,b\n1,a,a\n")
    found = pair(one, other)
    assert not found.data_changed
    assert digests(one) == digests(other)
    with pytest.raises(InvalidFile) as caught:
        of_bytes(b"id,target,prediction\n1,a,a\n1,b,a\n")
    assert caught.value.name == "duplicate-id"


def test_other_data_has_another_digest_and_pairs_as_changed() -> None:
    one, other = of_bytes(b"id,target,prediction\n1,a,a\n2,b,a\n"), of_bytes(b"id,target,prediction\n1,a,a\n2,a,a\n")
    assert digests(one)[0] != digests(other)[0]
    assert digests(one)[1] == digests(other)[1]
    assert pair(one, other).data_changed


def test_the_direction_of_an_unknown_number_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"zorkiness": 1.0}')
    measure = read_measures(path)["zorkiness"]
    assert measure.better is None
    assert math.isfinite(measure.values[0])
