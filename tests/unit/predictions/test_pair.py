"""Two tables are aligned by id: order does not matter, missing ids are named, hashed ids meet plain ones."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.predictions.anonymous import anonymise, hash_ids, whole
from mlops_toolkit.predictions.digest import digests
from mlops_toolkit.predictions.pair import Pair, pair
from mlops_toolkit.predictions.samples import sample
from mlops_toolkit.predictions.table import Table
from tests.unit.predictions.hostile import HOSTILE
from tests.unit.predictions.make import made, of_bytes


def some(ids: list[str], *, target: str = "aab", prediction: str = "aba", **more: list[object]) -> Table:
    n = len(ids)
    return made({"id": ids, "target": list((target * n)[:n]), "prediction": list((prediction * n)[:n]), **more})


def same(one: Pair, other: Pair) -> bool:
    sides = zip((one.baseline, one.head), (other.baseline, other.head), strict=True)
    return all(np.array_equal(a.target, b.target) and np.array_equal(a.prediction, b.prediction) for a, b in sides)  # type: ignore[arg-type]


def test_reordered_rows_pair_the_same() -> None:
    ids = [f"x{i}" for i in range(40)]
    base = {"id": ids, "target": ["a", "b"] * 20, "prediction": ["a"] * 40}
    head = {"id": ids, "target": ["a", "b"] * 20, "prediction": ["b"] * 39 + ["c"]}
    order = random.Random(1).sample(range(40), 40)
    shuffled = {name: [values[i] for i in order] for name, values in head.items()}
    straight, mixed = pair(made(base), made(head)), pair(made(base), made(shuffled))
    assert same(straight, mixed)
    assert (straight.n, straight.data_changed, straight.common) == (40, False, 1.0)
    assert straight.head.labels == ("a", "b", "c")
    assert digests(made(head)) == digests(made(shuffled))


def test_rows_that_one_side_lacks_are_named_and_counted() -> None:
    found = pair(some(["1", "2", "3", "9"]), some(["3", "2", "4"]))
    assert (found.n, found.frame["id"].to_list()) == (2, ["2", "3"])
    assert (found.only_baseline, found.only_baseline_count) == (("1", "9"), 2)
    assert (found.only_head, found.only_head_count) == (("4",), 1)
    assert found.common == 0.5
    assert found.data_changed
    many = pair(some([f"{i:03}" for i in range(100)]), some(["x"]))
    assert (len(many.only_baseline), many.only_baseline_count, many.n) == (20, 100, 0)


@pytest.mark.parametrize(
    ("before", "after", "renamed"),
    [("01", ["0.0", "1.0"], ("0", "0.0")), ("ab", ["A", "b"], ("a", "A")), ("ab", ["x", "y"], ("a", "x")), ("ab", ["a", "c"], None)],
)
def test_labels_that_are_written_otherwise_are_told_from_labels_that_changed(
    before: str, after: list[str], renamed: tuple[str, str] | None
) -> None:
    one, other = some(["1", "2", "3"], target=before, prediction=before), list(after)
    head = made({"id": ["1", "2", "3"], "target": [*other, other[0]], "prediction": [*other, other[0]]})
    found = pair(one, head)
    assert found.labels_changed > 0
    assert found.renamed == renamed


def test_changed_labels_are_counted_and_the_baseline_is_judged_by_the_heads() -> None:
    base = made({"id": ["1", "2"], "target": ["a", "b"], "prediction": ["a", "b"]})
    head = made({"id": ["1", "2"], "target": ["a", "a"], "prediction": ["a", "b"]})
    found = pair(base, head)
    assert (found.labels_changed, found.data_changed, found.only_head_count) == (1, True, 0)
    assert list(found.baseline.target) == list(found.head.target) == [0, 0]  # type: ignore[arg-type]


def test_weights_and_clusters_are_the_heads_and_a_change_is_said() -> None:
    base = some(["1", "2"], weight=[1.0, 1.0], cluster=["u", "v"])
    head = some(["1", "2"], weight=[1.0, 2.0], cluster=["u", "u"])
    found = pair(base, head)
    assert found.baseline.weight is found.head.weight
    assert list(found.baseline.cluster) == [0, 0]  # type: ignore[arg-type]
    assert found.notes == (
        "the weights differ between the two runs; both are computed with this run's",
        "the clusters differ between the two runs; both are computed with this run's",
    )
    assert not pair(some(["1", "2"], weight=[1.0, 1.0]), some(["1", "2"])).data_changed, "weights of 1 are no weights"


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        unique=True,
        min_size=1,
    )
)
def test_hashed_ids_meet_the_plain_ones(ids: list[str]) -> None:
    n = len(ids)
    rows = {"id": ids, "target": [str(i % 3) for i in range(n)], "prediction": [str(i % 2) for i in range(n)], "cluster": ids[::-1]}
    base, head = made(rows), made({**rows, "prediction": ["1"] * n})
    stored = of_bytes(anonymise(base, "pepper"))
    assert all(len(i) == 16 for i in stored.frame["id"])
    assert not set(ids) & set(stored.frame["id"]) or any(len(i) == 16 for i in ids)
    found = pair(stored, head, salt="pepper")
    assert same(found, pair(base, head))
    assert (found.n, found.data_changed, found.notes) == (n, False, ())
    assert sorted(found.frame["id"]) == sorted(ids)
    assert pair(stored, head, salt="other").n == 0


def test_hashes_depend_on_the_salt_and_on_nothing_else() -> None:
    ids = pl.Series("id", ["a", "b", "a"])
    assert hash_ids(ids, "s")[0] == hash_ids(ids, "s")[2] != hash_ids(ids, "s")[1]
    assert hash_ids(ids, "s").to_list() == hash_ids(pl.Series("id", ["a", "b", "a"]), "s").to_list()
    assert not set(hash_ids(ids, "s")) & set(hash_ids(ids, "t"))


def test_only_what_is_asked_for_is_kept() -> None:
    table = some(["1", "2"], score=[0.1, 0.2], language=["de", "en"], preview=["secret", "text"], judge=[1, 2])
    kept = of_bytes(anonymise(table, "s", keep=("language",)))
    assert kept.frame.columns == ["id", "target", "prediction", "score", "language"]
    assert b"secret" not in anonymise(table, "s")
    assert of_bytes(anonymise(table, None)).frame["id"].to_list() == ["1", "2"]
    assert of_bytes(whole(table)).frame.equals(table.frame)
    answers = made({"id": ["1", "2"], "prediction": ["an answer", "another"], "judge": [1, 2]}, task=None)
    assert of_bytes(anonymise(answers, "s", keep=("judge",)), task=None).frame.columns == ["id", "judge"]


def test_repeats_are_aligned_by_repeat_and_make_one_cluster() -> None:
    base = made({"id": ["a", "a", "b"], "repeat": [1, 2, 1], "target": list("xxy"), "prediction": list("xyy")})
    head = made({"id": ["b", "a", "a"], "repeat": [1, 2, 1], "target": list("yxx"), "prediction": list("yyx")})
    found = pair(base, head)
    assert (found.n, found.data_changed) == (3, False)
    assert np.array_equal(found.baseline.prediction, found.head.prediction)  # type: ignore[arg-type]
    assert list(found.head.cluster) == [0, 0, 1]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has a column repeat"):
        pair(base, some(["a"]))


def test_tasks_must_agree() -> None:
    numbers = made({"id": ["1"], "target": [0.5], "prediction": [0.25]}, task="regression", name="old.csv")
    with pytest.raises(UsageError, match=r"old.csv is regression, preds.parquet is classification"):
        pair(numbers, some(["1"]))


def test_numeric_columns_come_along_and_must_be_numbers_on_both_sides() -> None:
    base, head = some(["1", "2"], judge=["1", "2.5"]), some(["2", "1"], judge=[4, 3])
    found = pair(base, head, columns=("judge",))
    assert found.baseline.columns["judge"].tolist() == [1.0, 2.5]
    assert found.head.columns["judge"].tolist() == [3.0, 4.0]
    with pytest.raises(InvalidFile) as caught:
        sample(some(["1", "22"], judge=["1", "n/a"]), ("judge",))
    assert str(caught.value) == 'preds.parquet, id "22", column judge: "n/a" is not a number'
    with pytest.raises(InvalidFile) as missing:
        sample(some(["1"], judge=["1"]), ("jugde",))
    assert str(missing.value) == 'preds.parquet: there is no column "jugde" of numbers\n  did you mean "judge"?'


def test_probabilities_follow_the_common_labels() -> None:
    base = made(
        {"id": ["1"], "target": ["b"], "prediction": ["b"], "prob:b": [0.75]}
        | {"id": ["1", "2"], "target": ["b", "a"], "prediction": ["b", "a"], "prob:b": [0.75, 0.25]}
    )
    head = made(
        {
            "id": ["1", "2"],
            "target": ["b", "a"],
            "prediction": ["c", "a"],
            "prob:a": [0.5, 0.5],
            "prob:b": [0.25, 0.5],
            "prob:c": [0.25, 0.0],
        }
    )
    found = pair(base, head)
    assert found.head.labels == ("a", "b", "c")
    assert found.baseline.prob.tolist() == [[0.25, 0.75, 0.0], [0.75, 0.25, 0.0]]  # type: ignore[union-attr]
    assert found.head.prob.tolist() == [[0.5, 0.25, 0.25], [0.5, 0.5, 0.0]]  # type: ignore[union-attr]


def test_a_binary_score_is_the_positive_probability() -> None:
    table = made({"id": ["1", "2"], "target": ["1", "0"], "prediction": ["1", "1"], "prob:1": [0.75, 0.5]})
    assert sample(table).positive == 1
    assert sample(table).score.tolist() == [0.75, 0.5]  # type: ignore[union-attr]


def test_the_data_digest_knows_target_weight_and_cluster_but_not_the_prediction() -> None:
    rows = {"id": ["1", "2"], "target": ["a", "b"], "prediction": ["a", "b"], "weight": [1.0, 2.0], "cluster": ["u", "v"]}
    plain = digests(made(rows))
    assert digests(made({**rows, "prediction": ["b", "a"]})) == plain
    for name, values in {"target": ["a", "a"], "weight": [1.0, 3.0], "cluster": ["u", "u"]}.items():
        data, ids = digests(made({**rows, name: values}))
        assert data != plain[0]
        assert ids == plain[1]
    assert digests(made({**rows, "id": ["1", "3"]}))[1] != plain[1]
    assert digests(made({**rows, "id": ["12", "3"], "target": ["a", "b"]})) != digests(made({**rows, "id": ["1", "23"]})), "lengths count"
