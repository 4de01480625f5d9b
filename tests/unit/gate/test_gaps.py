"""Gap checks of a comparison: what they allow, which groups they name, and whose word counts."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

from mlops_toolkit.errors import ConfigErrors, InvalidFile, UsageError
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.predictions.anonymous import anonymise
from mlops_toolkit.public import _needed
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.records.run import Measure
from mlops_toolkit.report import comment, rows
from mlops_toolkit.report.sentence import verdict_sentence
from tests.unit.gate.drawn import config, request, run, side, table

NAME = "recall:spam gap [sex]"


def said(gap: str, more: str = "") -> str:
    return f"evaluate: {{run: x, metrics: [accuracy, 'recall:spam']}}\ngate: {{'recall:spam': {{gap: {{sex: {gap}}}{more}}}}}\n"


def people(lost: dict[str, int], size: int = 4000, few: int = 0) -> dict[str, Any]:
    """Half spam and half ham of either sex; of the spam of a sex so many are not found. few: of a third sex."""
    sex = ["female"] * size + ["male"] * size + ["other"] * few
    target = ["spam" if i % 2 else "ham" for i in range(len(sex))]
    left, prediction = dict(lost), []
    for who, label in zip(sex, target, strict=True):
        gone = label == "spam" and left.get(who, 0) > 0
        left[who] = left.get(who, 0) - gone
        prediction.append("ham" if gone else label)
    return {"target": target, "prediction": prediction, "sex": sex}


EQUAL = {"female": 200, "male": 200}


def judged(text: str, lost: dict[str, int] | None = None, few: int = 0, **more: Any) -> Result:
    return assemble(request(text, **more), side(people(EQUAL, few=few)), side(people(lost or EQUAL, few=few)))


def gap(result: Result) -> Check:
    return next(c for c in result.checks if c.metric == NAME)


def test_groups_that_lie_close_enough_pass_and_the_two_are_named() -> None:
    result = judged(said("5pp"), {"female": 220, "male": 200})
    check = gap(result)
    assert (check.verdict, result.exit) == ("pass", 0)
    assert (check.direction, check.groups) == ("lower", ("male", "female"))
    assert check.head == pytest.approx(0.01)
    assert check.baseline == 0
    assert check.head_high is not None
    assert check.head_high < 0.05


def test_a_gap_that_is_shown_larger_fails_and_its_lines_accept_it() -> None:
    lost = {"female": 400, "male": 200}
    result = judged(said("5pp"), lost)
    assert (gap(result).verdict, gap(result).reason, result.exit) == ("fail", "above-max", 1)
    assert verdict_sentence(result).startswith("recall:spam gap [sex] 10.0 pp [7.8, 12.2] between male and female (allowed ≤ 5.0 pp)")
    assert rows.row(gap(result)).word == "above 5.0 pp"
    offered = result.next.accept or ""
    assert "up-to: 0.1" in offered
    assert judged(said("5pp") + offered, lost).gate == "passed"
    assert judged(said("5pp") + offered, {"female": 420, "male": 200}).exit == 1


def test_a_gap_near_its_limit_is_undecided() -> None:
    result = judged(said("5pp"), {"female": 290, "male": 200})
    assert (gap(result).verdict, gap(result).leaning, result.exit) == ("inconclusive", "inside", 0)
    assert judged(said("5pp"), {"female": 310, "male": 200}).exit == 3


def test_a_gap_may_not_grow_either() -> None:
    text = said("{max-rise: 2pp}")
    assert gap(judged(text)).verdict == "pass"
    grown = gap(judged(text, {"female": 400, "male": 200}))
    assert (grown.verdict, grown.margin) == ("fail", 0.02)
    assert grown.change == pytest.approx(-0.1)
    assert gap(judged(text, {"female": 200, "male": 400})).verdict == "fail"
    wide = assemble(request(text), side(people({"female": 600, "male": 200})), side(people({"female": 400, "male": 200})))
    assert gap(wide).verdict == "pass"


def test_on_a_first_run_the_limit_is_judged_and_the_rise_waits() -> None:
    head = side(people({"female": 400, "male": 200}))
    assert assemble(request(said("{max: 5pp, max-rise: 2pp}"), state="first-run"), None, head).exit == 1
    result = assemble(request(said("{max: 20pp, max-rise: 2pp}"), state="first-run"), None, head)
    assert (gap(result).verdict, gap(result).reason, result.exit) == ("pass", "first-run", 0)
    assert (gap(result).baseline, gap(result).change) == (None, None)


def test_small_groups_are_named_and_left_out() -> None:
    result = judged(said("{max: 5pp, min-examples: 200}"), few=199)
    assert gap(result).verdict == "pass"
    assert (gap(result).message or "").endswith("left out: other (199 of at least 200 examples)")
    assert "left out: other (30 examples are too few for an interval)" in (gap(judged(said("5pp"), few=30)).message or "")
    assert gap(judged(said("5pp"), few=80)).verdict == "inconclusive"
    by_slices = said("5pp", ", slices: {max-drop: 9pp, min-examples: 200}")
    assert gap(judged(by_slices, few=199)).verdict == "pass"


def test_fewer_than_two_groups_are_undecided_and_never_a_pass() -> None:
    result = judged(said("{max: 5pp, min-examples: 5000}"))
    check = gap(result)
    assert (check.verdict, check.reason, result.exit) == ("inconclusive", "too-few-groups", 0)
    assert check.message == (
        "fewer than two groups can be compared (female: 4,000 of at least 5,000 examples; male: 4,000 of at least 5,000 examples)"
    )
    alone = {**people(EQUAL), "sex": ["female"] * 8000}
    one = assemble(request(said("5pp")), side(alone), side(alone))
    assert (gap(one).verdict, gap(one).head, one.exit) == ("inconclusive", None, 3)


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        judged(said("5pp").replace("sex", "sexx"))
    assert str(caught.value) == ('gate: recall:spam gap [sexx]: there is no column "sexx" to slice by\n  did you mean "sex"?')
    lacks = {name: values for name, values in people(EQUAL).items() if name != "sex"}
    with pytest.raises(UsageError, match="base branch's gate judges this gap"):
        assemble(request(said("5pp").replace("sex", "target"), base=said("5pp")), side(lacks), side(lacks))
    assert gap(assemble(request(said("5pp")), side(lacks), side(people(EQUAL)))).verdict == "pass", "the head's columns rule"


def test_a_gap_of_a_number_without_examples_is_an_error() -> None:
    text = "evaluate: {run: x, metrics-file: m.json}\ngate: {recall: {gap: {sex: 5pp}}}\n"
    with pytest.raises(InvalidFile) as caught:
        assemble(request(text), None, side(measures={}))
    assert caught.value.name in ("gap-without-examples", "metric-gone")


def test_a_loosened_gap_does_not_loosen_the_gate() -> None:
    lost = {"female": 400, "male": 200}
    for mine in (said("20pp"), said("{max: 5pp, min-examples: 5000}"), said("{max-rise: 50pp}")):
        result = judged(mine, lost, base=said("5pp"))
        assert result.exit == 1, mine
        assert result.notes[0].startswith("gate loosened: recall:spam gap [sex] max 0.05 → "), mine
        assert judged(mine + "accepted: [{check: gate, reason: talked about}]\n", lost, base=said("5pp")).exit != 1, mine
    gone = "evaluate: {run: x, metrics: [accuracy, 'recall:spam']}\n"
    assert judged(gone, lost, base=said("5pp")).exit == 1
    assert judged(gone, lost, base=said("5pp"), forks_gate=True).exit == 1
    assert judged(said("1pp"), {"female": 280, "male": 200}, base=said("5pp"), forks_gate=True).exit == 0, "a fork has no say"
    assert judged(said("1pp"), {"female": 400, "male": 200}, base=said("20pp")).exit == 1, "a stricter one counts"


def test_one_model_whose_answers_are_the_same_has_not_grown_apart() -> None:
    same = side(people({"female": 220, "male": 200}, size=300), run=run("m"))
    assert gap(assemble(request(said("{max-rise: 1pp}")), same, same)).verdict == "pass"


def test_a_gap_that_only_warns_does_not_block() -> None:
    assert judged(said("5pp", ", severity: warn"), {"female": 400, "male": 200}).exit == 0


def test_names_of_groups_are_harmless() -> None:
    made = people({"female": 400, "male": 200})
    made["sex"] = ["<img src=x>@octocat" if sex == "female" else "a|b\nc" for sex in made["sex"]]
    text = comment.comment(assemble(request(said("5pp")), side(made), side(made))).text
    assert "\\<img" in text
    assert re.search(r"(?<!\\)<img", text) is None
    assert "@octocat" not in text
    assert "a\\|b↵c" in text


@pytest.mark.parametrize(
    ("gap", "error"),
    [
        ("5%", "is a share, and a gap is a difference between two groups"),
        ("5", "allows any gap: no two groups are 500 percentage points apart"),
        ("{min-examples: 5}", "allows anything"),
        ("{mx: 5pp}", 'did you mean "max"?'),
        ("[5pp]", "should be keys with values"),
        ("5pq", "should be a margin"),
    ],
)
def test_gaps_that_cannot_be_meant(gap: str, error: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        config(said(gap))
    assert error in str(caught.value)


def test_the_short_form_says_the_largest_gap() -> None:
    assert config(said("5pp")).gate == config(said("{max: 5pp}")).gate


def test_an_accepted_gap_is_bound_from_above() -> None:
    config(said("5pp") + f"accepted: [{{check: '{NAME}', up-to: 0.07, reason: known}}]\n")
    with pytest.raises(ConfigErrors, match="down-to binds the wrong side"):
        config(said("5pp") + f"accepted: [{{check: '{NAME}', down-to: 0.07, reason: known}}]\n")


def test_the_history_keeps_the_column_by_which_a_gap_is_judged() -> None:
    answers = table({**people(EQUAL), "comment": ["private"] * 8000})
    kept = pl.read_parquet(anonymise(answers, None, _needed(config(said("5pp")), "", answers.columns)))
    assert "sex" in kept.columns
    assert "comment" not in kept.columns


def test_a_measure_that_is_called_like_the_gap_is_not_the_gap() -> None:
    head = side(measures={NAME: Measure((0.0,), better="lower"), "recall:spam": Measure((0.9,), better="higher")})
    with pytest.raises(InvalidFile) as caught:
        assemble(request(said("5pp")), None, head)
    assert caught.value.name == "gap-without-examples"
