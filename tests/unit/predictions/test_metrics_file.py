"""Metrics files as their own programs write them are read; where a number should be and is none, the name is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.predictions.metrics_file import read_metrics
from mlops_toolkit.records.run import LARGEST


def read(content: str | bytes, name: str = "metrics.json") -> dict[str, float]:
    return dict(read_metrics(content.encode() if isinstance(content, str) else content, name))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ('{"accuracy": 0.5, "n": 3}', {"accuracy": 0.5, "n": 3.0}),
        ('{"test": {"acc": 1, "by": {"de": 0.25}}}', {"test/acc": 1.0, "test/by/de": 0.25}),
        ('{"model": "bert", "date": "2026-01-01", "metrics": {"acc": 0.5}}', {"acc": 0.5}),
        ('{"model": "bert", "acc": 0.5, "history": [1, 2]}', {"acc": 0.5}),
        ('{"metrics": [{"key": "acc", "value": 0.5, "timestamp": 1, "step": 0}]}', {"acc": 0.5}),
        ("acc: 0.5\ntest:\n  loss: 1e-05\n  f1: .5\nname: bert\nwhen: 2026-01-01\n", {"acc": 0.5, "test/loss": 1e-05, "test/f1": 0.5}),
        ('\ufeff{"acc": 0.5}', {"acc": 0.5}),
    ],
)
def test_flat_nested_and_wrapped(content: str, wanted: dict[str, float]) -> None:
    assert read(content) == wanted


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the standard library reads TOML from 3.11")
def test_toml_as_dvc_reads_it() -> None:
    assert read("acc = 0.5\n[test]\nloss = 2\n", "metrics.toml") == {"acc": 0.5, "test/loss": 2.0}


def test_scikit_learns_report() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    target, prediction = ["spam", "ham", "spam", "ham"], ["spam", "ham", "ham", "ham"]
    report = metrics.classification_report(target, prediction, output_dict=True)
    found = read(json.dumps(report))
    assert found["accuracy"] == 0.75
    assert found["recall:spam"] == 0.5
    assert found["f1-macro"] == pytest.approx(metrics.f1_score(target, prediction, average="macro"), abs=1e-15)
    assert found["precision-weighted"] == pytest.approx(metrics.precision_score(target, prediction, average="weighted"), abs=1e-15)
    assert not [key for key in found if "support" in key or "avg" in key]
    assert read(json.dumps({"test": report}))["test/f1:ham"] == found["f1:ham"]


def test_dvcs_project_file_names_its_metrics_files(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "test.json").write_text('{"acc": 0.5}')
    (tmp_path / "train.yaml").write_text("acc: 0.75\n")
    project = tmp_path / "dvc.yaml"
    project.write_text(
        "metrics: [train.yaml]\nstages:\n  evaluate:\n    wdir: eval\n    cmd: x\n    metrics:\n    - test.json: {cache: false}\n"
    )
    assert read_metrics(project) == {"train/acc": 0.75, "test/acc": 0.5}
    project.write_text("metrics:\n- train.yaml\n")
    assert read_metrics(project) == {"acc": 0.75}


def test_an_mlflow_runs_folder(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics" / "val"
    metrics.mkdir(parents=True)
    (metrics / "acc").write_text("1700000000000 0.5 0\n1700000002000 0.75 2\n1700000001000 0.6 1\n")
    (tmp_path / "metrics" / "loss").write_text("1700000000000 0.25 0\n")
    assert read_metrics(tmp_path) == {"loss": 0.25, "val/acc": 0.75}
    (tmp_path / "metrics" / "loss").write_text("1700000000000 nan 0\n")
    with pytest.raises(InvalidFile, match='"loss" is nan'):
        read_metrics(tmp_path)


def test_what_mlflow_describes_of_a_run() -> None:
    described = {"info": {"run_id": "a", "start_time": 1}, "data": {"metrics": {"acc": 0.5}, "params": {"lr": "0.1"}, "tags": {}}}
    assert read(json.dumps(described)) == {"acc": 0.5}


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        ('{"a": NaN}', "not-a-number", 'm: "a" is nan, which compares with nothing'),
        ('{"t": {"a": Infinity}}', "not-a-number", '"t/a" is inf'),
        ('{"a": true}', "not-a-number", '"a" is true, not a number'),
        ('{"a": null}', "not-a-number", '"a" is null, not a number'),
        ('{"a": "0.93"}', "not-a-number", '"a" is the text "0.93"\n  write the number without quotes'),
        ('{"a": "NaN"}', "not-a-number", '"a" is the text "NaN"'),
        ("a: .nan\n", "not-a-number", '"a" is nan'),
        ("a: yes\nb: true\n", "not-a-number", '"b" is true'),
        ("a:\n", "not-a-number", '"a" is null'),
        ('{"a/b": 1, "a": {"b": 2}}', "duplicate-metric", 'two numbers are called "a/b"'),
        ("a: 1\na: 2\n", "duplicate-metric", 'stands twice: "a"'),
        ('{"a": 1, "a": 2}', "not-json", 'the key "a" stands twice'),
        ("a: &x {b: 1}\nc: *x\n", "not-metrics", "aliases (*name) have no place"),
        ("[1, 2]", "not-metrics", "metrics are one object of names and numbers"),
        ("just words", "not-metrics", "metrics are one object of names and numbers"),
        ("a: [1, 2", "not-metrics", "not readable as JSON or YAML"),
        ("{", "not-json", "not readable as JSON"),
        ("", "no-metrics", "the file is empty"),
        ('{"model": "bert"}', "no-metrics", "there is not one number in it"),
        (b"SQLite format 3\0", "not-metrics", "mlflow runs describe"),
        ('{"a":' * 40 + "1" + "}" * 40, "not-metrics", "nested more than 20 deep"),
    ],
)
def test_what_is_no_number_is_refused_by_name(content: str | bytes, name: str, text: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(content, "m")
    assert caught.value.name == name
    assert text in str(caught.value)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=6).filter(
    lambda name: name != "metrics"
)
NUMBERS = st.floats(-LARGEST, LARGEST)


@settings(deadline=None, max_examples=80)
@given(
    st.recursive(
        st.dictionaries(NAMES, NUMBERS, min_size=1, max_size=3),
        lambda inner: st.dictionaries(NAMES, inner | NUMBERS, min_size=1, max_size=3),
        max_leaves=6,
    )
)
def test_every_number_of_nested_json_is_found_under_its_path(data: dict[str, object]) -> None:
    def walk(value: object, path: tuple[str, ...]) -> dict[str, float]:
        if isinstance(value, dict):
            return {k: v for key, inner in value.items() for k, v in walk(inner, (*path, key)).items()}
        return {"/".join(path): float(value)}  # type: ignore[arg-type]

    assert read(json.dumps(data)) == walk(data, ())
