"""What is counted of inputs and answers: off the request's way, a share of it when there is too much, and told to Prometheus."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families as plain

from mlops_toolkit.formats import manifest
from mlops_toolkit.formats.reference import Feature, Reference, of
from mlops_toolkit.formats.signature import Signature, Tensor, described
from mlops_toolkit.serve.drift import Watched
from mlops_toolkit.serve.watched import Watch
from mlops_toolkit.serve.watched_answers import Answers
from mlops_toolkit.serve.watched_arrays import Counted, Feed, counted
from tests.needs import require
from tests.unit.formats.saved import save
from tests.unit.serve.test_watched import Settings


def samples(watch: Watch, name: str) -> dict[tuple[str, ...], float]:
    """Of one metric: its labels but model and version, and the value."""
    text = watch.exposition()[0].decode()
    return {
        tuple(value for label, value in sorted(one.labels.items()) if label not in ("model", "version")): one.value
        for family in plain(text)
        for one in family.samples
        if one.name == name
    }


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Of a model that was saved with 400 rows of a bell curve."""
    example = {"x": np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)}
    folder = save(tmp_path, example=example)
    made = Watch(Settings())
    made.loaded("m", "1", 0.1, folder=folder, manifest=manifest.read(folder))
    return made


def answered(random: np.random.Generator, rows: int, shift: float = 0.0) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    x = random.normal(shift, size=(rows, 4)).astype(np.float32)
    score = x.sum(axis=1).astype(np.float64)
    return {"x": x}, {"label": np.array(["yes" if one > 0 else "no" for one in score], object), "score": score}


def test_prometheus_is_told_of_predictions_and_drift(watch: Watch) -> None:
    random = np.random.default_rng(1)
    for _ in range(30):
        watch.arrays("m", "1", *answered(random, 10))
    watch.feed.count(judge=True)
    assert samples(watch, "mlops_watched_rows_total") == {(): 300}
    labels = samples(watch, "mlops_predictions_total")
    assert set(labels) == {("no", "label"), ("yes", "label")}
    assert sum(labels.values()) == 300
    values = samples(watch, "mlops_prediction_value_bucket")
    assert values["+Inf", "score"] == 300
    assert len(values) == 10
    assert samples(watch, "mlops_input_drifted") == {(str(i), "x"): 0 for i in range(4)}
    assert set(samples(watch, "mlops_prediction_drifted")) == {("", "label"), ("", "score")}
    for _ in range(30):
        watch.arrays("m", "1", *answered(random, 10, 1.0))
    watch.feed.count(judge=True)
    assert samples(watch, "mlops_input_drifted") == {(str(i), "x"): 1 for i in range(4)}
    assert samples(watch, "mlops_prediction_drifted")["", "label"] == 1
    statistic, threshold = (samples(watch, f"mlops_input_drift{suffix}")["0", "x"] for suffix in ("", "_threshold"))
    assert statistic > threshold > 0
    assert 0.02 < samples(watch, "mlops_input_drift_effect")["0", "x"] < 1
    assert samples(watch, "mlops_drift_window_rows") == {(): 600}
    promtool = require("programs", "promtool")["promtool"]
    done = subprocess.run([promtool, "check", "metrics"], input=watch.exposition()[0], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    watch.unloaded("m", "1")
    assert samples(watch, "mlops_input_drifted") == {}
    watch.arrays("m", "1", *answered(random, 10))  # one that was still on its way
    assert not watch.errors.values[()]


def test_no_drift_is_counted_where_it_is_not_wanted(tmp_path: Path) -> None:
    folder = save(tmp_path)
    watch = Watch(Settings(drift_window=0))
    watch.loaded("m", "1", 0.1, folder=folder, manifest=manifest.read(folder))
    watch.arrays("m", "1", *answered(np.random.default_rng(1), 100))
    watch.feed.count(judge=True)
    assert samples(watch, "mlops_watched_rows_total") == {(): 100}
    assert samples(watch, "mlops_drift_window_rows") == {}


def test_it_is_counted_by_itself_soon(watch: Watch) -> None:
    watch.arrays("m", "1", *answered(np.random.default_rng(1), 100))
    end = time.monotonic() + 10
    while samples(watch, "mlops_watched_rows_total") != {(): 100}:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_when_there_is_too_much_a_share_is_counted_whatever_is_in_it() -> None:
    """Many times what may be counted in a second: a share is, of both kinds alike, and what a giant request brings is evenly spread."""
    counted = Counted(None, Answers([Tensor("y", "FP64", (None,))]))
    feed = Feed(limit=1000)
    for i in range(40_000):
        feed.put(counted, {}, {"y": np.array([float(i % 2)])})
    feed.count()
    low, high = (counted.answers.numbers[0].counts[place] for place in (4, 5))
    assert low + high == counted.rows
    assert 1000 <= counted.rows < 25_000
    assert abs(low - high) < 5 * counted.rows**0.5
    feed = Feed()
    feed.put(counted, {}, {"y": np.arange(100_000.0)})
    assert feed._waiting[0][2]["y"].base is None
    assert 400 < len(feed._waiting[0][2]["y"]) <= 512
    assert feed._waiting[0][2]["y"].max() > 99_000


def test_many_requests_are_counted_together_as_one_by_one(tmp_path: Path) -> None:
    """Requests of one row, of several, of another type and of another version between them: each counts once, where it belongs."""
    random = np.random.default_rng(4)
    example = {"x": random.normal(size=(400, 4)).astype(np.float32)}
    saved_as = manifest.read(folder := save(tmp_path, example=example))
    together, alone, other = (counted(folder, saved_as, 5000) for _ in range(3))
    feed, calls = Feed(), []
    add = together.answers.add
    together.answers.add = lambda outputs: (calls.append(len(outputs["score"])), add(outputs))[1]  # type: ignore[method-assign]
    singly = Feed()
    for number in range(700):
        inputs, outputs = answered(random, 1 + (number % 50 == 0) * 30, shift=0.5)
        inputs = {"x": inputs["x"].astype(np.float64)} if number == 200 else inputs
        feed.put(together, inputs, outputs)
        singly.put(alone, inputs, outputs)
        singly.count()
        if number == 300:
            feed.put(other, inputs, outputs)
    feed.count(judge=True)
    singly.count(judge=True)
    assert len(calls) < 12
    assert together.found == alone.found
    assert together.answers.labels[0].counts == alone.answers.labels[0].counts
    assert [one.counts for one in together.answers.numbers] == [one.counts for one in alone.answers.numbers]
    assert (together.rows, other.rows) == (alone.rows, 31) == (700 + 14 * 30, 31)
    assert feed.errors == 0


def test_what_waits_is_bounded() -> None:
    """The thread that counts is held up: memory does not grow."""
    feed = Feed(limit=10**12)
    with feed._lock:
        for _ in range(100):
            feed.put(Counted(None, Answers([])), {"x": np.zeros((100, 10_000))}, {"y": np.zeros(100)})
        assert len(feed._waiting) <= 4


def test_what_cannot_be_counted_ends_nothing(watch: Watch) -> None:
    random = np.random.default_rng(1)
    inputs, outputs = answered(random, 10)
    watch.arrays("m", "1", {"x": np.zeros((10, 2))}, outputs)  # not the model's shape
    watch.arrays("m", "1", inputs, {"label": np.array([None] * 10), "score": np.full(10, np.nan)})
    watch.arrays("m", "1", {"x": np.full((10, 4), np.inf, np.float32)}, outputs)
    watch.feed.count(judge=True)
    assert watch.feed.errors == 1
    assert samples(watch, "mlops_watch_errors_total") == {(): 1}
    assert samples(watch, "mlops_predictions_total")["other", "label"] == 10


@pytest.mark.parametrize(
    ("tensor", "array", "expected"),
    [
        (Tensor("y", "INT64", (None,), None, ("ham", "spam")), np.array([0, 1, 1, 7, -1]), {"ham": 1, "spam": 2, "other": 2}),
        (Tensor("y", "BOOL", (None,)), np.array([True, False, True]), {"false": 1, "true": 2}),
        (Tensor("y", "BYTES", (None,), None, ("a",)), np.array(["a", b"a", "<b>" * 999], object), {"a": 2, "other": 1}),
        (Tensor("y", "FP32", (None, 2), None, ("a", "b")), np.array([[0.1, 0.9], [0.7, 0.3], [np.nan, np.nan]]), {"a": 1, "b": 1}),
        (Tensor("y", "INT64", (None,)), np.array([1, 2]), {}),
        (Tensor("y", "FP32", (None, 5)), np.zeros((2, 5)), {}),
    ],
)
def test_labels_are_those_that_the_model_is_known_to_have(tensor: Tensor, array: NDArray[Any], expected: dict[str, int]) -> None:
    answers = Answers([tensor])
    answers.add({"y": array})
    assert {label: count for _, label, count in answers.counted()} == expected


def test_a_request_costs_microseconds_and_a_row_some(watch: Watch) -> None:
    """4 µs a request to hand over, and a dozen a row to count, on a quiet machine; bounds for a busy one."""
    random = np.random.default_rng(2)
    inputs, outputs = answered(random, 1)
    with watch.feed._lock:
        begin = time.thread_time()
        for _ in range(1000):
            watch.arrays("m", "1", inputs, outputs)
        assert (time.thread_time() - begin) / 1000 < 60e-6
    arrays = {"x": random.normal(size=(5000, 64))}
    watched = Watched(Reference(of(arrays, described(arrays))), 5000)
    begin = time.thread_time()
    watched.add(arrays, {})
    assert (time.thread_time() - begin) / 5000 < 60e-6


def test_the_signature_and_the_reference_of_another_model_do_no_harm() -> None:
    """A reference that names a place which the arrays do not have is an error that is counted, not a crash."""
    feature = Feature("x", "", "value", 40, (0.0,), None, (5, 5, 0))
    feed = Feed()
    feed.put(Counted(Watched(Reference((feature,)), 100), Answers(Signature((), ()).outputs)), {"x": np.zeros((3, 2))}, {"y": np.zeros(3)})
    feed.count()
    assert feed.errors == 1
