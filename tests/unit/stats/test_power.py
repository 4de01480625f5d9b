"""Sample sizes and margins that are proposed do what they promise, by exact enumeration where a share of rows is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.stats.paired import Paired, paired
from mlops_toolkit.stats.power import needs, proposal, readable, suggest_margin
from mlops_toolkit.stats.rule import decide
from mlops_toolkit.stats.sample import Sample
from tests.unit.stats.samples import named
from tests.unit.stats.test_paired import flips, right_or_wrong, two_models
from tests.unit.stats.test_proportions import by_tango, pass_rate


def compared(n: int, better: int, worse: int) -> Paired:
    base, head = flips(n, better, worse)
    return paired(named("accuracy"), right_or_wrong(base), right_or_wrong(head))


@pytest.mark.parametrize(("n", "share"), [(100, 0.1), (200, 0.05), (200, 0.1), (1000, 0.04), (1797, 0.01), (2000, 0.04), (10_000, 0.04)])
def test_the_suggested_margin_is_passed_nine_times_in_ten_and_is_not_far_from_the_smallest_that_is(n: int, share: float) -> None:
    half = round(n * share / 2)
    margin = suggest_margin(compared(n, half, half))
    assert margin is not None
    assert pass_rate(by_tango, n, 0.0, 2 * half / n, margin) >= 0.9
    assert pass_rate(by_tango, n, 0.0, 2 * half / n, margin * 0.6) < 0.9


def test_two_models_that_hardly_differ_do_not_promise_that_the_next_one_will_not() -> None:
    same = suggest_margin(compared(2000, 0, 0))
    assert same == proposal(named("accuracy"), right_or_wrong(flips(2000, 0, 0)[0]))
    assert same == suggest_margin(compared(2000, 1, 2))


@pytest.mark.parametrize(("share", "margin"), [(0.005, 0.01), (0.01, 0.005), (0.04, 0.01), (0.04, 0.005), (0.1, 0.02), (0.1, 0.05)])
def test_as_many_examples_as_are_asked_for_decide_four_times_in_five(share: float, margin: float) -> None:
    half = round(10_000 * share / 2)
    n = needs(compared(10_000, half, half), margin).n
    assert n is not None
    assert 0.8 <= pass_rate(by_tango, n, 0.0, 2 * half / 10_000, margin) <= 0.95


def test_the_size_is_about_what_the_textbook_formula_says_and_written_with_three_digits() -> None:
    n = needs(compared(2000, 40, 40), 0.005).n
    assert n is not None
    assert n == pytest.approx(0.04 * (1.96 + 0.842) ** 2 / 0.005**2, rel=0.08)
    assert n % 100 == 0


def test_no_flip_on_ten_examples_asks_for_more_and_not_for_nothing() -> None:
    n = needs(compared(10, 0, 0), 0.01).n
    assert n is not None
    assert n >= 381
    assert needs(compared(10, 0, 0), 0.0).n is None


def test_the_margin_offered_would_decide_this_very_comparison() -> None:
    for better, worse in ((10, 10), (10, 24), (0, 0), (40, 20)):
        got = compared(1000, better, worse)
        margin = needs(got, 0.001).margin
        assert margin is not None
        assert decide(got.change, got.low, got.high, margin).verdict == "pass"


def test_more_disagreement_needs_more_examples_and_a_wider_margin() -> None:
    few, many = compared(2000, 10, 10), compared(2000, 60, 60)
    wanted = needs(few, 0.005), needs(many, 0.005)
    assert (wanted[0].n or 0) < (wanted[1].n or 0)
    assert (wanted[0].margin or 0) < (wanted[1].margin or 0)
    assert (suggest_margin(few) or 0) < (suggest_margin(many) or 0)


def test_recall_counts_examples_of_all_classes_that_are_needed_for_enough_of_its_own() -> None:
    base, head = two_models(3, 900)
    recall = paired(named("recall:spam"), base["classes"], head["classes"])
    assert recall.trials is not None
    alone = needs(replace(recall, n=recall.trials), 0.01).n
    together = needs(recall, 0.01).n
    assert alone is not None
    assert together == pytest.approx(alone * 900 / recall.trials, rel=0.01)


def test_too_few_of_a_class_still_have_an_interval_and_ask_for_more() -> None:
    base, head = two_models(4, 60)
    got = paired(named("f1:spam"), base["classes"], head["classes"])
    assert (got.reason, got.method) == (None, "bounded")
    wanted = needs(got, 0.05)
    assert wanted.n is not None
    assert wanted.n > 60
    margin = wanted.margin
    assert margin is not None
    assert decide(got.change, got.low, got.high, margin).verdict == "pass"
    assert (suggest_margin(got) or 0) >= margin


def test_too_few_that_differ_asks_for_enough_of_them_and_offers_no_margin() -> None:
    base, head = (side["numbers"] for side in two_models(4, 60))
    got = paired(named("mae"), base, head)
    assert got.reason == "too-few"
    wanted = needs(got, 5.0)
    assert wanted.n is not None
    assert wanted.n * got.disagree / 60 >= 10
    assert (wanted.margin, suggest_margin(got)) == (None, None)


def test_an_undefined_metric_needs_nothing_that_can_be_said() -> None:
    constant = Sample(3, np.ones(3), np.arange(3.0))
    got = paired(named("r2"), constant, constant)
    assert (needs(got, 0.1).n, needs(got, 0.1).margin, suggest_margin(got)) == (None, None, None)


def test_other_metrics_get_margins_in_their_own_unit() -> None:
    base, head = two_models(5, 3000)
    got = paired(named("mae"), base["numbers"], head["numbers"])
    margin = suggest_margin(got)
    assert margin is not None
    assert got.standard_error is not None
    assert margin == pytest.approx((1.96 + 1.2816) * got.standard_error, rel=0.5)
    assert margin >= 3.24 * got.standard_error


def test_with_one_model_only_a_ninth_in_ten_accuracy_is_taken_to_disagree_on_four_in_a_hundred() -> None:
    right, _ = flips(2000, 0, 0)
    margin = proposal(named("accuracy"), right_or_wrong(right))
    assert margin == suggest_margin(compared(2000, 40, 40)) == 0.02
    better, _ = flips(2000, 0, 0)
    better[:] = np.arange(2000) % 100 != 0
    tighter = proposal(named("accuracy"), right_or_wrong(better))
    assert tighter is not None
    assert tighter < margin


def test_a_first_run_gets_a_proposal_for_every_metric_with_enough_examples_and_none_without() -> None:
    base, _ = two_models(6, 2000)
    for name, kind in (
        ("f1-macro", "classes"),
        ("log-loss", "classes"),
        ("roc-auc", "classes"),
        ("rmse", "numbers"),
        ("mean:judge", "numbers"),
    ):
        margin = proposal(named(name), base[kind])
        assert margin is not None
        assert margin == readable(margin) > 0
    few, _ = two_models(6, 40)
    assert proposal(named("f1-macro"), few["classes"]) is None
    assert proposal(named("accuracy"), right_or_wrong(np.ones(500, dtype=bool))) == 0.015, "no error seen is not none"


READABLE = [
    (0.00062, 0.0007),
    (0.0007, 0.0007),
    (0.0101, 0.015),
    (0.01, 0.01),
    (0.0153, 0.02),
    (0.11, 0.11),
    (0.123, 0.13),
    (4.21, 4.3),
    (123.0, 130.0),
    (0.0, 0.0),
    (9.99e-5, 1e-4),
    (0.0999, 0.1),
]


@pytest.mark.parametrize(("exact", "shown"), READABLE)
def test_margins_are_rounded_up_to_what_a_person_would_write(exact: float, shown: float) -> None:
    assert readable(exact) == shown
