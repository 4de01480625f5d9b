"""A plan as a document, as lines and as a matrix."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.history.base import key_of
from mlops_toolkit.plan.decide import identifier, lines, matrix
from mlops_toolkit.records.plan import Plan, Planned

ROW = Planned("cats-1", "cats", "models/cats/mlops.yaml", "run", "its training reads something new")


def test_only_what_runs_is_in_the_matrix() -> None:
    plan = Plan("a" * 40, (ROW, Planned("dogs-1", "dogs", "models/dogs/mlops.yaml", "recorded", "unchanged since run 1", run="1")))
    (row,) = json.loads(matrix(plan))
    assert (row["name"], row["config"], row["id"]) == ("cats", "models/cats/mlops.yaml", "cats-1")
    assert lines(plan) == ["cats: runs, because its training reads something new", "dogs: unchanged since run 1"]
    assert matrix(Plan()) == "[]"


def test_a_matrix_is_one_line_whatever_a_reason_says() -> None:
    text = matrix(Plan(None, (Planned("x", "x", "x.yaml", "run", 'a\nb\u2028"%0A::set-output'),)))
    assert len(text.splitlines()) == 1
    assert json.loads(text)[0]["reason"].startswith("a\nb")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)
LEGS = st.none() | st.text(st.characters(exclude_characters="|", exclude_categories=("C",)), min_size=1, max_size=100)


@given(st.lists(st.tuples(st.sampled_from(["a.yaml", "b/a.yaml"]), NAMES, LEGS), unique=True, max_size=6))
def test_an_id_is_safe_in_a_file_and_another_for_every_model_and_leg(models: list[tuple[str, str, str | None]]) -> None:
    ids = [identifier(key_of(*model), model[1], model[2]) for model in models]
    assert len({i.lower() for i in ids}) == len(models)
    assert all(i.isascii() and i[0].isalnum() and set(i) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") and len(i) <= 100 for i in ids)


def test_names_that_differ_by_case_alone_are_two_files() -> None:
    one, other = (identifier(key_of("a.yaml", name, None), name, None) for name in ("Cats", "cats"))
    assert one.lower() != other.lower()
