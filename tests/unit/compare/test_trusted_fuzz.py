"""Whatever bytes a stranger's artifact holds: its model is shown to be worse, or there is a named error. It never passes, nothing else is raised."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.ci import Context
from mlops_toolkit.compare import stranger
from mlops_toolkit.config import read
from mlops_toolkit.errors import Defect, MlopsError
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.history import handed
from mlops_toolkit.predictions.anonymous import anonymise, whole
from mlops_toolkit.predictions.read import read as read_predictions
from mlops_toolkit.records.result import Side

ROWS, SALT, RUN_ID, HEAD = 400, "0123456789abcdef" * 2, "20261124-092057-3f9a1c", "c" * 40
CONFIG = read.parse(
    "name: spam\nevaluate: {run: x, task: classification, metrics: [accuracy], slices: [language]}\ngate: {accuracy: {max-drop: 1pp}}\n",
    where="mlops.yaml",
    path=Path("/r/mlops.yaml"),
).config
CONTEXT = Context(provider="github", event="pull_request", head=HEAD, run="7", fork=True, base_branch="main", default_branch="main")


def frame(wrong: int) -> pl.DataFrame:
    target = ["spam" if i % 3 == 0 else "ham" for i in range(ROWS)]
    other = {"spam": "ham", "ham": "spam"}
    return pl.DataFrame(
        {
            "id": [f"mail-{i}" for i in range(ROWS)],
            "target": target,
            "prediction": [t if i >= wrong else other[t] for i, t in enumerate(target)],
            "score": [0.5 + i / 10_000 for i in range(ROWS)],
            "language": ["de" if i % 4 == 0 else "en" for i in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Main, as the history keeps it: 20 wrong, ids hashed."""
    folder = tmp_path_factory.mktemp("main")
    frame(20).write_parquet(folder / "main.parquet")
    kept = anonymise(read_predictions(folder / "main.parquet", task="classification"), SALT, ["language"])
    (folder / "kept.parquet").write_bytes(kept)
    return Loaded("main", tables={"": read_predictions(folder / "kept.parquet", task="classification")}, hashed=frozenset({""}))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stranger's, 120 wrong."""
    folder = tmp_path_factory.mktemp("artifact")
    place = folder / "runs" / RUN_ID / "predictions" / "main.parquet"
    place.parent.mkdir(parents=True)
    frame(120).write_parquet(folder / "as-written.parquet")
    place.write_bytes(whole(read_predictions(folder / "as-written.parquet", task="classification")))
    (folder / "as-written.parquet").unlink()
    record = {
        "schema": 1,
        "id": RUN_ID,
        "model": "spam",
        "commit": HEAD,
        "config": "mlops.yaml",
        "ci": {"provider": "github", "run": "7"},
        "status": "succeeded",
        "evaluations": {"": {"predictions": {"path": "predictions/main.parquet", "sha256": "", "size": 0}}},
        "measures": {"latency-ms": {"values": [1.0, 2.0]}},
        "params": {"depth": 3, "names": ["a", "b"]},
    }
    (folder / "run.json").write_text(json.dumps(record))
    renamed(folder)
    return folder


def renamed(folder: Path) -> None:
    """The record names the file as it is."""
    raw = (folder / "runs" / RUN_ID / "predictions" / "main.parquet").read_bytes()
    record = json.loads((folder / "run.json").read_bytes())
    record["evaluations"][""]["predictions"] |= {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    (folder / "run.json").write_text(json.dumps(record))


def outcome(folder: Path, baseline: Loaded) -> str:
    """The verdict, or the error's name; as `trusted` goes through it."""
    error: MlopsError | None = None
    verdict = None
    try:
        found = handed.find(folder)
        (one,) = stranger.legs(found, (), CONTEXT, config="mlops.yaml", model="spam").values()
        if one is None:
            raise stranger.absent("spam", found, CONTEXT)
        config, notes = stranger.judgeable(CONFIG, baseline, "mlops.yaml")
        head = stranger.head(stranger.usable(one), baseline, config, salt=SALT, context=CONTEXT)
        verdict = assemble(Request(config, Side(), Side(), date(2026, 1, 1), notes=notes), baseline, head, salt=None).verdict
    except MlopsError as raised:
        error = raised
    if error is None:
        assert verdict == "fail"
        return "fail"
    assert (error.code in (2, 4, 5), isinstance(error, Defect)) == (True, False)
    str(error).encode()
    return error.name


def test_untouched_it_is_shown_to_be_worse(artifact: Path, baseline: Loaded) -> None:
    assert outcome(artifact, baseline) == "fail"


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["flip", "cut", "drop", "double", "zero", "fill"]), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def edited(raw: bytes, edits: list[tuple[float, str, int]]) -> bytes:
    for where, how, value in edits:
        at = int(where * len(raw))
        if how == "flip":
            raw = raw[:at] + bytes([value]) + raw[at + 1 :]
        elif how == "cut":
            raw = raw[:at]
        elif how == "drop":
            raw = raw[:at] + raw[at + value :]
        elif how == "double":
            raw = raw[:at] + raw[at : at + value] * 2 + raw[at + value :]
        else:
            raw = raw[:at] + (b"\0" if how == "zero" else b"\xff") * min(value, len(raw) - at) + raw[at + value :]
    return raw


@settings(max_examples=40, deadline=None)
@given(EDITS)
def test_any_bytes_for_predictions(artifact: Path, baseline: Loaded, edits: list[tuple[float, str, int]]) -> None:
    """The record names them as they are: nothing but their reader stands in between."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(artifact, Path(place) / "handed"))
        file = folder / "runs" / RUN_ID / "predictions" / "main.parquet"
        file.write_bytes(edited(file.read_bytes(), edits))
        renamed(folder)
        outcome(folder, baseline)


@settings(max_examples=60, deadline=None)
@given(EDITS)
def test_any_bytes_for_the_record(artifact: Path, baseline: Loaded, edits: list[tuple[float, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(artifact, Path(place) / "handed"))
        (folder / "run.json").write_bytes(edited((folder / "run.json").read_bytes(), edits))
        outcome(folder, baseline)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("x" * 70_000) | st.just("../../etc/passwd"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.data(), VALUES)
def test_any_value_in_any_place_of_the_record(artifact: Path, baseline: Loaded, data: st.DataObject, value: Any) -> None:
    record = json.loads((artifact / "run.json").read_bytes())
    place, key = record, data.draw(st.sampled_from(sorted(record)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place, key = place[key], data.draw(st.sampled_from(sorted(place[key])))
    place[key] = value
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(shutil.copytree(artifact, Path(temporary) / "handed"))
        (folder / "run.json").write_text(json.dumps(record))
        outcome(folder, baseline)


CELLS = st.sampled_from(["ham", "spam", "Ham", " spam", "", "ham\0", "\u202espam", "(another label)", "nan", "1e400"])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(CELLS, min_size=120, max_size=120),
    st.sampled_from([pl.String, pl.Categorical, pl.Binary]),
    st.floats(width=64),
    st.integers(0, 3),
)
def test_any_answers_to_those_that_it_has_wrong(
    artifact: Path, baseline: Loaded, cells: list[str], kind: Any, score: float, twice: int
) -> None:
    """120 of 400 in doubt: whatever is written there, the right ones of these are counted, and no more than these."""
    answers = frame(0)
    prediction = [
        cell if cell != target else "ham" if target == "spam" else "spam" for cell, target in zip(cells, answers["target"], strict=False)
    ]
    answers = answers.with_columns(pl.Series("prediction", [*prediction, *answers["prediction"][120:]]).cast(kind), score=pl.lit(score))
    answers = pl.concat([answers, answers.head(twice)]).drop("target")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(artifact, Path(place) / "handed"))
        answers.write_parquet(folder / "runs" / RUN_ID / "predictions" / "main.parquet")
        renamed(folder)
        outcome(folder, baseline)


def test_a_stranger_invents_no_checks_where_nothing_of_ours_is_recorded(artifact: Path, tmp_path: Path) -> None:
    """Each leg would be a check of its own, and there is room for thousands of records."""
    record = json.loads((artifact / "run.json").read_text())
    for number in range(30):
        place = tmp_path / f"leg-{number}"
        place.mkdir()
        (place / "run.json").write_text(json.dumps(record | {"matrix": f"leg-{number}"}))
    legs = stranger.legs(handed.find(tmp_path), (), CONTEXT, config="mlops.yaml", model="spam")
    assert [(leg, one is None) for leg, one in legs.items()] == [(None, False)]


def test_all_values_of_a_stranger_s_measure_count_and_none_stands_in_for_what_is_counted(
    artifact: Path, baseline: Loaded, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(artifact, tmp_path / "handed"))
    record = json.loads((folder / "run.json").read_text())
    record["measures"] = {"latency-ms": {"values": [1.0] * 1000 + [99.0] * 9000}, "parameters": {"values": [5]}}
    record["built-in"] = {"parameters": {"values": [9000]}}
    (folder / "run.json").write_text(json.dumps(record))
    config = read.parse(
        "name: spam\nmeasures: {latency-ms: lower}\ngate: {latency-ms: {max: 50}, parameters: {max: 10}}\n",
        where="mlops.yaml",
        path=Path("/r/mlops.yaml"),
    ).config
    (one,) = handed.find(folder).runs
    found = stranger.head(one, baseline, config, salt=SALT, context=CONTEXT).measures
    assert (len(found["latency-ms"].values), found["parameters"].values) == (10_000, (9000.0,))
