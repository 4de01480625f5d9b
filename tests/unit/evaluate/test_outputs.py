"""What lay there before is not what the command wrote; what it did not write is said with the way out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlops_toolkit.config.schema import Config, Evaluate, MetricRequest, Suite
from mlops_toolkit.errors import CommandFailed, MlopsError
from mlops_toolkit.evaluate.outputs import Places, Written, collect, places

ROWS = "id,target,prediction\n1,a,a\n2,b,a\n"


def prepared(tmp_path: Path, suite: Suite) -> Places:
    return places(suite, "", folder=tmp_path, run_dir=tmp_path / "run")


def taken(found: Places, suite: Suite, *, ran: bool = True, since: float | None = None) -> Written:
    return collect(found, suite, Config("m", evaluate=Evaluate()), what="evaluate.run", ran=ran, since=since)


def refused(found: Places, suite: Suite, **options: object) -> MlopsError:
    with pytest.raises(CommandFailed) as caught:
        taken(found, suite, **options)  # type: ignore[arg-type]
    return caught.value


def test_our_own_places_are_empty_when_the_command_starts(tmp_path: Path) -> None:
    suite = Suite(run="x")
    first = prepared(tmp_path, suite)
    first.predictions.path.write_text(ROWS)
    assert taken(first, suite).table is not None
    second = prepared(tmp_path, suite)
    assert not second.predictions.path.exists()
    assert refused(second, suite).name == "no-predictions"


def test_a_file_left_from_before_is_not_taken_and_one_written_again_is(tmp_path: Path) -> None:
    suite, path = Suite(run="x", predictions="out/preds.csv"), tmp_path / "out/preds.csv"
    path.parent.mkdir()
    path.write_text(ROWS)
    found = prepared(tmp_path, suite)
    assert str(refused(found, suite)).startswith("evaluate.run did not write out/preds.csv: what lies there was there before")
    beside = tmp_path / "new"
    beside.write_text(ROWS)
    beside.replace(path)
    assert taken(found, suite).table is not None


def test_a_file_with_the_same_bytes_and_time_is_new_if_it_was_written_again(tmp_path: Path) -> None:
    suite, path = Suite(run="x", predictions="preds.csv"), tmp_path / "preds.csv"
    path.write_text(ROWS)
    before = path.stat()
    found = prepared(tmp_path, suite)
    time.sleep(0.02)  # a file system's clock ticks
    path.write_text(ROWS)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert taken(found, suite).table is not None


def test_predictions_of_training_must_be_of_this_training(tmp_path: Path) -> None:
    suite, path = Suite(predictions="preds.csv"), tmp_path / "preds.csv"
    path.write_text(ROWS)
    found = prepared(tmp_path, suite)
    assert taken(found, suite, ran=False, since=path.stat().st_mtime - 1).table is not None
    assert taken(found, suite, ran=False).table is not None
    late = refused(found, suite, ran=False, since=path.stat().st_mtime + 1)
    assert str(late).startswith("the training of this run did not write preds.csv: what lies there is older")


def test_measures_alone_are_enough_where_no_metric_is_asked_for(tmp_path: Path) -> None:
    found = prepared(tmp_path, Suite(run="x"))
    found.measures.path.write_text('{"latency-ms": 3}')
    assert list(taken(found, Suite(run="x")).measures) == ["latency-ms"]
    asks = Suite(run="x", metrics=(MetricRequest("accuracy", "accuracy"),))
    assert refused(found, asks).name == "no-predictions"


def test_a_metrics_file_or_folder_must_have_changed_too(tmp_path: Path) -> None:
    suite, folder = Suite(run="x", metrics_file="mlruns/0/abc"), tmp_path / "mlruns/0/abc/metrics"
    folder.mkdir(parents=True)
    (folder / "acc").write_text("1 0.5 0\n")
    found = prepared(tmp_path, suite)
    assert refused(found, suite).name == "stale-file"
    (folder / "loss").write_text("1 0.25 0\n")
    assert taken(found, suite).metrics == {"acc": 0.5, "loss": 0.25}


def test_what_mlops_yaml_names_must_be_written(tmp_path: Path) -> None:
    for suite, name in ((Suite(run="x", measures="m.json"), "no-measures"), (Suite(run="x", metrics_file="m.json"), "no-metrics-file")):
        assert refused(prepared(tmp_path, suite), suite).name == name


def test_the_example_in_the_hint_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = Suite(run="x")
    found = prepared(tmp_path, suite)
    hint = refused(found, suite).hint or ""
    monkeypatch.setenv("MLOPS_PREDICTIONS", str(found.predictions.path))
    code = "\n".join(line.removeprefix("  ") for line in hint.splitlines()[1:])
    exec(code, {"ids": ["1", "2"], "targets": ["a", "b"], "predictions": ["a", "a"]})  # noqa: S102
    table = taken(found, suite).table
    assert table is not None
    assert table.n == 2
