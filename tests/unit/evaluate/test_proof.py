"""Answers given again stand for the old model only where nothing speaks for another one."""

from __future__ import annotations

import pytest

from mlops_toolkit.evaluate.proof import doubt
from mlops_toolkit.evaluate.witness import Seen
from mlops_toolkit.predictions.anonymous import anonymise
from mlops_toolkit.predictions.table import Table
from tests.unit.predictions.make import made, of_bytes


def answers(said: str, first: int = 0, **more: list[object]) -> Table:
    ids = [str(i) for i in range(first, first + len(said))]
    return made({"id": ids, "target": ["a", "b"] * (len(said) // 2) + ["a"] * (len(said) % 2), "prediction": list(said), **more})


OLD = "a" * 60 + "b" * 40  # on examples 0 to 99
NEW = "a" * 80 + "b" * 70  # on examples 50 to 199, agreeing with the old ones but for 60 to 99


@pytest.mark.parametrize("hashed", [False, True], ids=["plain ids", "hashed ids"])
@pytest.mark.parametrize(
    ("again", "why"),
    [
        ("a" * 10 + "b" * 140, None),
        (NEW, "it answers 80% of 50 known examples otherwise than before"),
        ("b" * 150, "it answers 20% of 50 known examples otherwise than before"),
        ("a" * 100, "it answered 67% of this run's examples"),
    ],
)
def test_the_old_model_is_known_by_its_earlier_answers(again: str, why: str | None, hashed: bool) -> None:
    old = of_bytes(anonymise(answers(OLD), "salt")) if hashed else answers(OLD)
    said = doubt(answers(again, 50), answers(NEW, 50), old, "salt")
    assert (said is None) if why is None else (said or "").startswith(why)


def test_two_models_that_hardly_differ_are_told_apart_by_where_they_do() -> None:
    old, head = "a" * 1000, "a" * 995 + "b" * 5 + "b" * 200
    assert (
        doubt(answers(head), answers(head), answers(old), "") == "it sides with the new model on 100% of the examples that tell them apart"
    )
    assert doubt(answers(old + "a" * 200), answers(head), answers(old), "") is None


def test_answers_that_nothing_tells_from_the_new_models_are_not_trusted() -> None:
    same = answers("ab" * 20)
    assert doubt(same, same, answers("ab" * 10), "") == "its answers cannot be told from the new model's"
    assert doubt(same, same, None, "") == "its answers cannot be told from the new model's"
    assert doubt(answers("aa" * 20), same, None, "") is None


def test_rounding_of_a_regression_is_no_other_model() -> None:
    def numbers(shift: float) -> Table:
        return made({"id": ["1", "2"], "target": [1.0, 2.0], "prediction": [1.5 + shift, 2.5]}, task="regression")

    assert doubt(numbers(1e-5), numbers(0.5), numbers(0.0), "") is None
    assert (doubt(numbers(0.5), numbers(0.5), numbers(0.0), "") or "").startswith("it answers 50% of 2 known examples")


def judged(verdicts: str, texts: list[str]) -> Table:
    return answers(verdicts, 0, output=texts)


OLD_TEXTS, NEW_TEXTS = [f"old {i}" for i in range(40)], [f"new {i}" for i in range(40)]


def test_where_the_judge_changed_the_judged_text_tells_whose_it_is() -> None:
    old, head = judged("a" * 40, OLD_TEXTS), judged("b" * 40, NEW_TEXTS)
    assert doubt(judged("b" * 40, OLD_TEXTS), head, old, "", changed=True) is None
    assert (doubt(judged("b" * 40, NEW_TEXTS), head, old, "", changed=True) or "").startswith("nothing shows that the old model answered")


def test_where_the_judge_changed_and_no_column_tells_it_must_have_been_seen() -> None:
    old, head, again = answers("a" * 40), answers("ab" * 20), answers("b" * 40)
    assert "could not be watched" in (doubt(again, head, old, "", changed=True) or "")
    assert "its file was not opened" in (doubt(again, head, old, "", changed=True, seen=Seen(False, ())) or "")
    assert doubt(again, head, old, "", changed=True, seen=Seen(True, ())) is None
    assert doubt(again, head, old, "", changed=True, one_model=True) is None
    assert doubt(again, head, old, "", changed=True, seen=Seen(True, ("src/net.py", "model/w"))) == (
        "it read src/net.py and 1 more of this checkout"
    )


def test_what_was_seen_never_outweighs_answers_that_are_not_the_old_ones() -> None:
    assert (doubt(answers("b" * 40), answers("b" * 40), answers("a" * 40), "", seen=Seen(True, ())) or "").startswith(
        "it answers 100% of 40"
    )
