"""`reference.json`: what `mlops.save` keeps of what an example looks like, and that counting it again gives the same."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mlops_toolkit as mlops
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats import manifest, reference
from mlops_toolkit.formats.reference import FEATURES, NAME, Reference, Tally, of, read, written
from mlops_toolkit.formats.signature import Tensor, described
from tests.unit.formats.saved import save, write

NUMBERS = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint64, np.int8, np.bool_]),
    st.tuples(st.integers(1, 60), st.integers(1, 3)),
)


@given(NUMBERS)
def test_counting_the_example_again_gives_its_counts(array: Any) -> None:
    """Whatever the numbers: infinite, missing, huge, tiny, equal. Every row is counted once, and the file gives back what was written."""
    features = of({"x": array}, described({"x": array}))
    counts = Tally(features)({"x": array})
    for feature, row in zip(features, counts, strict=True):
        assert tuple(row[: len(feature.counts)]) == feature.counts
        assert row.sum() == len(array)
    assert [*reference._features(json.loads(written(Reference(features)))["inputs"])] == [*features]


@given(st.lists(st.text(), min_size=1, max_size=80))
def test_any_text_can_be_counted(texts: list[str]) -> None:
    array = np.array([*texts, None], object)[:-1]
    features = of({"x": array}, described({"x": array}))
    assert all(row.sum() == len(array) for row in Tally(features)({"x": array}))
    json.loads(written(Reference(features)))


def test_names_are_peoples() -> None:
    """Labels where there are any, places else, and nothing for the one number of a row."""
    arrays = {"a": np.zeros((30, 2)), "b": np.zeros((30, 2, 2)), "c": np.zeros(30), "d": np.zeros((30, 300))}
    labels = {"a": ["width", "height"]}
    assert [(one.tensor, one.name) for one in of(arrays, described(arrays, labels=labels))] == [
        *(("a", "width"), ("a", "height")),
        *(("b", "0,0"), ("b", "0,1"), ("b", "1,0"), ("b", "1,1")),
        ("c", ""),
        *(("d", "mean"), ("d", "std"), ("d", "min"), ("d", "max")),
    ]


def test_rows_of_free_length_are_watched_only_where_padding_does_not_decide() -> None:
    words = (Tensor("ids", "INT64", (None, None)), {"ids": np.zeros((30, 7), np.int64)})
    picture = (Tensor("image", "UINT8", (None, None, None, 3)), {"image": np.zeros((30, 9, 9, 3), np.uint8)})
    assert [len(of(arrays, [tensor])) for tensor, arrays in (words, picture)] == [0, 4]


def test_it_stays_small_and_quick() -> None:
    """Of a thousand inputs and twenty thousand rows."""
    random = np.random.default_rng(0)
    arrays = {"x": random.normal(size=(20_000, 256)), **{f"column {i}": random.normal(size=20_000) for i in range(300)}}
    begin = time.process_time()
    features = of(arrays, described(arrays))
    assert time.process_time() - begin < 10
    assert 256 + 200 < len(features) <= FEATURES
    assert len(written(Reference(features, features))) < 200_000
    words = np.array([str(one) * 60 + "é\n" for one in random.integers(0, 15, 400)], object)
    arrays = {f"column {i}": words for i in range(400)}
    features = of(arrays, described(arrays))
    assert len(written(Reference(features, features))) < 200_000


def test_large_pictures_need_little_memory() -> None:
    """1,500 pictures of 320 by 320 in single bytes: what is looked at is a piece at a time, and not all of it."""
    tensor, array = (
        Tensor("image", "UINT8", (None, 320, 320)),
        np.lib.stride_tricks.as_strided(np.zeros(320 * 320, np.uint8), (1500, 320, 320), (0, 320, 1)),
    )
    tracemalloc.start()
    features = of({"image": array}, [tensor])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000
    assert [sum(one.counts) for one in features] == [188] * 4


def test_save_keeps_it_of_inputs_and_answers(tmp_path: Path) -> None:
    example = {"x": np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)}
    folder = save(tmp_path, example=example)
    assert NAME in manifest.read(folder).files
    known = read(folder)
    assert known is not None
    assert [(one.tensor, one.name, sum(one.counts)) for one in known.inputs] == [("x", str(i), 3000) for i in range(4)]
    assert [(one.tensor, one.take, sum(one.counts)) for one in known.outputs] == [("label", "category", 500), ("score", "value", 500)]
    assert {*(known.outputs[0].values or ())} == {"yes", "no"}


def test_answers_that_take_too_long_or_fail_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "class Model:\n  def load(self, folder): pass\n  def predict(self, inputs):\n    assert inputs['x'].max() < 20\n    return {'y': inputs['x'].sum(1)}\n"
    path = write(tmp_path / "fails", code)
    example = {"x": np.ones((100, 4), np.float32)}
    known = read(mlops.save(path, tmp_path / "one", example=example))
    assert known is not None
    assert (len(known.inputs), len(known.outputs)) == (4, 1)
    example["x"][70] = 30
    known = read(mlops.save(path, tmp_path / "two", example=example))
    assert known is not None
    assert (len(known.inputs), known.outputs) == (4, ())
    monkeypatch.setattr("mlops_toolkit.sdk.save.PATIENCE", 0.0)
    known = read(save(tmp_path / "slow"))
    assert known is not None
    assert known.outputs == ()


def test_a_folder_without_one_loads_and_a_file_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    (tmp_path / NAME).write_text('{"schema": 99}')
    assert read(tmp_path) is None
    good = json.loads(written(Reference(of({"x": np.arange(50.0)}, described({"x": np.arange(50.0)})))))
    for change in (
        *(
            {"counts": [1]},
            {"counts": [-1] * 11},
            {"edges": [3, 2, 1] * 3},
            {"counts": [10**12] * 11},
            {"edges": [10**400] * 9},
            {"take": "mode"},
            {"place": -1},
            {"values": ["a"]},
        ),
        *({"edges": [float("inf")] * 9}, {"tensor": None, "counts": None}, {"edges": [*range(5000)], "counts": [0] * 5002}),
    ):
        (tmp_path / NAME).write_text(json.dumps({**good, "inputs": [{**good["inputs"][0], **change}]}))
        with pytest.raises(InvalidFile, match="cannot be read"):
            read(tmp_path)
    for text in ("", "[]", "{}", "[" * 100_000, '{"schema": 1, "inputs": 5, "outputs": []}'):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(InvalidFile, match="cannot be read"):
            read(tmp_path)
