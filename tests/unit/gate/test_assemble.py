"""Two sides and what is allowed, to a result: the states of a baseline, slices, measures, whose gate counts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded, scalars
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.records.run import LARGEST, Measure
from mlops_toolkit.report import rows
from tests.unit.gate.drawn import answers, request, run, side

GATED = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 2pp}}\n"


def check(result: Result, metric: str = "accuracy", slice_name: str | None = None) -> Check:
    return next(c for c in result.checks if c.metric == metric and c.slice == slice_name)


def shifted(right: int, wrong: int, broken: int, fixed: int = 0) -> dict[str, list[str]]:
    """The answers of `answers(right, wrong)` with so many of the right ones broken and of the wrong ones fixed."""
    made = answers(right, wrong)
    other = {"cat": "dog", "dog": "cat"}
    for i in [*range(broken), *range(right, right + fixed)]:
        made["prediction"][i] = other[made["prediction"][i]]
    return made


def test_a_harmless_change_on_enough_examples_is_shown_not_worse() -> None:
    result = assemble(request(GATED), side(answers(1900, 100)), side(shifted(1900, 100, 5, 5)))
    assert result.verdict == "pass"
    assert result.exit == 0
    assert check(result).method == "tango"


def test_a_real_drop_is_shown_worse_and_its_lines_to_accept_it_are_offered() -> None:
    result = assemble(request(GATED), side(answers(1900, 100)), side(shifted(1900, 100, 100)))
    assert result.verdict == "fail"
    assert result.exit == 1
    assert "check: accuracy" in (result.next.accept or "")
    assert "down-to: 0.9" in (result.next.accept or "")
    assert result.examples.broken_total == 100


def test_the_offered_lines_accept_exactly_this_run() -> None:
    base, head = side(answers(1900, 100)), side(shifted(1900, 100, 100))
    offered = assemble(request(GATED), base, head).next.accept
    again = assemble(request(GATED + (offered or "")), base, head)
    assert again.exit == 0
    assert again.verdict == "fail"
    assert again.gate == "passed"
    assert assemble(request(GATED + (offered or "")), base, side(shifted(1900, 100, 104))).exit == 1


def test_too_few_examples_are_undecided_and_say_how_many_would_do() -> None:
    result = assemble(request(GATED), side(answers(95, 5)), side(shifted(95, 5, 3)))
    assert (result.verdict, result.exit, check(result).leaning) == ("inconclusive", 3, "beyond")
    assert check(result).needs is not None
    assert result.next.more_data


def test_rows_in_another_order_are_the_same_examples() -> None:
    base, head = answers(1900, 100), shifted(1900, 100, 30)
    ids = [f"e{i}" for i in range(2000)]
    turned = {name: values[::-1] for name, values in {"id": ids, **head}.items()}
    plain = assemble(request(GATED), side({"id": ids, **base}), side({"id": ids, **head}))
    assert assemble(request(GATED), side({"id": ids, **base}), side(turned)).checks == plain.checks


def test_the_same_inputs_give_the_same_bytes() -> None:
    made = [codec.dumps(assemble(request(GATED), side(answers(190, 10)), side(shifted(190, 10, 3)))) for _ in range(2)]
    assert made[0] == made[1]


# --- the states of a baseline


def test_first_run_judges_limits_and_lets_margins_wait() -> None:
    text = "evaluate: {run: x, metrics: [accuracy, f1-macro]}\ngate: {accuracy: {max-drop: 2pp, min: 0.9}, f1-macro: {max-drop: 2pp}}\n"
    good = assemble(request(text, state="first-run"), None, side(answers(1900, 100)))
    assert (good.verdict, good.exit) == ("pass", 0)
    assert check(good, "f1-macro").reason == "first-run"
    bad = assemble(request(text, state="first-run"), None, side(answers(1600, 400)))
    assert (bad.verdict, bad.exit) == ("fail", 1)


def test_first_run_with_margins_alone_is_ungated_and_not_a_pass() -> None:
    result = assemble(request(GATED, state="first-run"), None, side(answers(1900, 100)))
    assert (result.verdict, result.gate, result.exit) == ("ungated", "none", 0)


def test_ungated_proposes_margins_that_this_test_set_can_decide() -> None:
    text = "evaluate: {run: x, metrics: [accuracy]}\n"
    first = assemble(request(text, state="first-run"), None, side(answers(1900, 100)))
    assert first.verdict == "ungated"
    assert (first.next.gate or "").startswith("gate:\n  accuracy: {max-drop: ")
    gated = assemble(request(text + (first.next.gate or "")), side(answers(1900, 100)), side(shifted(1900, 100, 10, 10)))
    assert gated.verdict == "pass"


def test_the_same_model_changes_exactly_nothing_even_on_ten_examples() -> None:
    base, head = side(answers(9, 1), run=run("m")), side(answers(9, 1), run=run("m"))
    result = assemble(request(GATED), base, head)
    assert result.baseline.state == "same-model"
    assert (result.verdict, check(result).change, check(result).low) == ("pass", 0.0, 0.0)


def test_beside_the_same_model_nothing_is_said_to_be_too_few() -> None:
    """Also of what nobody gates: there is no interval to be had, and none is needed."""
    base, head = side(answers(9, 1), run=run("m")), side(answers(9, 1), run=run("m"))
    result = assemble(request(GATED.replace("metrics: [accuracy]", "metrics: [accuracy, f1-macro]")), base, head)
    assert len(result.checks) > 1
    assert [c.message for c in result.checks if c.message and "too few" in c.message] == []


def test_one_model_that_answers_differently_is_measured_as_any_other() -> None:
    result = assemble(request(GATED), side(answers(1900, 100), run=run("m")), side(shifted(1900, 100, 100), run=run("m")))
    assert result.verdict == "fail"


def test_identical_answers_of_unknown_models_prove_nothing_on_ten_examples() -> None:
    result = assemble(request(GATED), side(answers(9, 1)), side(answers(9, 1)))
    assert result.verdict == "inconclusive"


def test_labels_that_changed_are_applied_to_both_sides() -> None:
    base = answers(1900, 100)
    head = {
        "target": [t if i >= 20 else {"cat": "dog", "dog": "cat"}[t] for i, t in enumerate(base["target"])],
        "prediction": base["prediction"],
    }
    result = assemble(request(GATED), side(base), side(head))
    assert result.baseline.state == "labels-changed"
    assert check(result).baseline == check(result).head == pytest.approx(0.94)
    assert "20 examples changed" in result.notes[0]


def test_a_baseline_whose_labels_are_written_otherwise_is_not_wrong_throughout() -> None:
    base = answers(1900, 100)
    head = {name: [v.capitalize() for v in values] for name, values in shifted(1900, 100, 300).items()}
    result = assemble(request(GATED), side(base), side(head))
    assert (result.verdict, result.exit, check(result).reason) == ("inconclusive", 3, "labels-changed")
    assert (check(result).baseline, check(result).change) == (None, None)
    assert result.notes[0].startswith('the labels are written otherwise: "cat" on the baseline, "Cat" in this run')
    assert assemble(request(GATED + (result.next.accept or "")), side(base), side(head)).gate == "passed"


@pytest.mark.parametrize("margin", ["1pp", "1%"])
def test_a_gated_metric_that_is_undefined_on_the_baseline_is_in_doubt_and_not_new(margin: str) -> None:
    text = f"evaluate: {{run: x, metrics: [roc-auc], positive: cat}}\ngate: {{roc-auc: {{max-drop: {margin}}}}}\n"
    one_class = {"target": ["cat"] * 50, "prediction": ["cat"] * 49 + ["dog"], "score": [i / 50 for i in range(50)]}
    result = assemble(request(text), side(one_class, positive="cat"), side(one_class, positive="cat"))
    assert (result.verdict, result.exit, check(result, "roc-auc").reason) == ("inconclusive", 3, "one-class")


def test_where_it_is_the_change_that_is_in_doubt_as_many_examples_are_asked_for_as_show_it_if_it_is_true() -> None:
    result = assemble(request(GATED.replace("2pp", "1pp")), side(answers(1900, 100)), side(shifted(1900, 100, 13)))
    assert check(result).verdict == "inconclusive"
    needs = check(result).needs
    assert needs is not None
    assert (needs.as_seen, needs.margin) == (True, 0.015), "a harmless change would have been decided"
    assert (needs.n or 0) > 2000
    times = (needs.n or 0) / 2000
    more = answers(round(1900 * times), round(100 * times)), shifted(round(1900 * times), round(100 * times), round(13 * times))
    assert assemble(request(GATED.replace("2pp", "1pp")), side(more[0]), side(more[1])).verdict == "pass"


def test_a_few_examples_more_or_less_compare_on_what_is_common() -> None:
    base, head = answers(1900, 100), shifted(1900, 100, 5, 5)
    ids = [f"e{i}" for i in range(2000)]
    cut = {"id": [*ids[:1980], *(f"new{i}" for i in range(20))], **head}
    result = assemble(request(GATED), side({"id": ids, **base}), side(cut))
    assert result.baseline.state == "data-changed"
    assert check(result).n == 1980
    assert result.verdict == "pass"
    assert "e1980" in result.notes[0]


def test_another_test_set_is_undecided_and_never_a_pass() -> None:
    base, head = answers(1900, 100), answers(1990, 10)
    result = assemble(
        request(GATED), side({"id": [f"a{i}" for i in range(2000)], **base}), side({"id": [f"b{i}" for i in range(2000)], **head})
    )
    assert result.baseline.state == "data-changed"
    assert (result.verdict, result.exit, check(result).reason) == ("inconclusive", 3, "data-changed")


def test_a_metric_the_baseline_does_not_have_waits() -> None:
    text = "evaluate: {run: x, metrics: [accuracy, {mean: quality, better: higher}]}\ngate: {accuracy: {max-drop: 2pp}, quality: {max-drop: 0.1, min: 0.5}}\n"
    head = {**shifted(1900, 100, 5, 5), "quality": [0.7 + i % 2 / 10 for i in range(2000)]}
    result = assemble(request(text), side(answers(1900, 100)), side(head))
    assert check(result, "quality").reason == "metric-new"
    assert check(result, "quality").head == pytest.approx(0.75)
    assert result.verdict == "pass"


def test_a_gated_metric_that_is_gone_is_an_error() -> None:
    base = "evaluate: {run: x, metrics: [accuracy, {mean: quality, better: higher}]}\ngate: {quality: {max-drop: 0.1}}\n"
    with pytest.raises((InvalidFile, UsageError)) as caught:
        assemble(request("evaluate: {run: x, metrics: [accuracy]}\n", base=base), side(answers(19, 1)), side(answers(19, 1)))
    assert "quality" in str(caught.value)


# --- whose gate


def test_a_loosened_gate_does_not_loosen_the_gate() -> None:
    loose = GATED.replace("2pp", "9pp")
    result = assemble(request(loose, base=GATED), side(answers(1900, 100)), side(shifted(1900, 100, 100)))
    assert result.exit == 1
    assert result.notes[0] == "gate loosened: accuracy 2pp → 9pp"
    assert check(result).margin == pytest.approx(0.02)


def test_a_gate_that_was_removed_still_counts() -> None:
    result = assemble(
        request("evaluate: {run: x, metrics: [accuracy]}\n", base=GATED), side(answers(1900, 100)), side(shifted(1900, 100, 100))
    )
    assert result.exit == 1
    assert "accuracy 2pp → not gated" in result.notes[0]


def test_a_loosened_gate_counts_once_it_is_accepted() -> None:
    loose = GATED.replace("2pp", "9pp") + "accepted: [{check: gate, reason: agreed in the meeting}]\n"
    result = assemble(request(loose, base=GATED), side(answers(1900, 100)), side(shifted(1900, 100, 100)))
    assert result.exit == 0
    assert result.notes[0].startswith("gate loosened")


def test_a_fork_is_judged_by_the_base_branchs_gate_alone() -> None:
    mine = GATED.replace("2pp", "9pp") + "accepted: [{check: gate, reason: trust me}, {check: accuracy, down-to: 0.1, reason: trust me}]\n"
    result = assemble(request(mine, base=GATED, forks_gate=True), side(answers(1900, 100)), side(shifted(1900, 100, 100)))
    assert result.exit == 1


def test_doubt_is_held_to_the_stricter_policy() -> None:
    mine = GATED + "when-uncertain: warn\n"
    result = assemble(request(mine, base=GATED), side(answers(95, 5)), side(shifted(95, 5, 3)))
    assert (result.exit, result.policy) == (3, "ask")


# --- slices


def sliced(broken: int) -> dict[str, Any]:
    made = shifted(1900, 100, 0)
    language = ["de" if i < 300 else "en" for i in range(2000)]
    for i in range(broken):
        made["prediction"][i] = {"cat": "dog", "dog": "cat"}[made["prediction"][i]]
    return {**made, "language": language}


SLICED = "evaluate: {run: x, metrics: [accuracy], slices: [language, {short: \"language = 'de'\"}]}\ngate: {accuracy: {max-drop: 5pp, slices: {max-drop: 3pp}}}\n"


def test_a_slice_that_is_shown_worse_fails_though_the_whole_does_not() -> None:
    result = assemble(request(SLICED), side(sliced(0)), side(sliced(30)))
    assert check(result).verdict == "pass"
    assert check(result, slice_name="language=de").verdict == "fail"
    assert check(result, slice_name="short").verdict == "fail"
    assert result.exit == 1


def test_a_slice_too_small_to_say_is_counted_and_does_not_block() -> None:
    result = assemble(request(SLICED), side(sliced(0)), side(sliced(8)))
    assert check(result, slice_name="language=de").verdict == "inconclusive"
    assert result.exit == 0


BY_LANGUAGE = "evaluate: {run: x, metrics: [accuracy], slices: [language]}\ngate: {accuracy: {max-drop: 5pp, slices: {max-drop: 3pp}}}\n"
LETS_GO = [
    (BY_LANGUAGE.replace(", slices: [language]", ""), "slice language → not judged"),
    ("evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 5pp}}\n", "slice language → not judged"),
    (BY_LANGUAGE.replace("[language]", "[{all: \"id != ''\"}]"), "slice language → not judged"),
    (BY_LANGUAGE.replace("[language]", "[{language: \"id != ''\"}]"), "slice language → defined otherwise"),
]


@pytest.mark.parametrize(("mine", "said"), LETS_GO)
def test_a_slice_that_the_base_gates_is_judged_though_the_head_lets_it_go(mine: str, said: str) -> None:
    base, head = side(sliced(0)), side(sliced(30))
    result = assemble(request(mine, base=BY_LANGUAGE), base, head)
    assert check(result, slice_name="language=de").verdict == "fail"
    assert result.exit == 1
    assert said in result.notes[0]
    yes = assemble(request(mine + "accepted: [{check: gate, reason: fewer slices}]\n", base=BY_LANGUAGE), base, head)
    assert yes.exit == 0
    assert said in yes.notes[0], "accepted, and shown"


def test_a_slice_whose_column_is_gone_says_whose_gate_wants_it() -> None:
    with pytest.raises(UsageError, match="base branch's gate judges this slice"):
        assemble(request(LETS_GO[0][0], base=BY_LANGUAGE), side(sliced(0)), side(shifted(1900, 100, 30)))


def test_slices_that_nobody_gates_may_go() -> None:
    text = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {max-drop: 5pp}}\n"
    result = assemble(request(text, base=text.replace("]}", "], slices: [language]}")), side(sliced(0)), side(sliced(8)))
    assert [c.slice for c in result.checks] == [None]
    assert not any("loosened" in note for note in result.notes)


def test_another_confidence_counts_once_it_is_accepted() -> None:
    base, head, low = side(answers(1900, 100)), side(shifted(1900, 100, 34)), GATED + "confidence: 0.5\n"
    assert assemble(request(low), base, head).verdict == "pass"
    held = assemble(request(low, base=GATED), base, head)
    assert (held.verdict, check(held).confidence) == ("inconclusive", 0.95)
    assert "confidence 0.95 → 0.5" in held.notes[0]
    assert assemble(request(low + "accepted: [{check: gate, reason: bold}]\n", base=GATED), base, head).verdict == "pass"


# --- numbers without examples, and measures


def numbers(**values: float) -> Loaded:
    return Loaded(label="metrics.json", scalars=scalars(values))


def test_numbers_alone_are_compared_by_threshold_and_the_result_says_so() -> None:
    text = "gate: {accuracy: {max-drop: 1pp}}\n"
    assert assemble(request(text), numbers(accuracy=0.97), numbers(accuracy=0.96)).verdict == "pass", "exactly at the margin is allowed"
    worse = assemble(request(text), numbers(accuracy=0.97), numbers(accuracy=0.9599))
    assert worse.exit == 1
    assert any("noise not tested" in note for note in worse.notes)


def test_small_numbers_are_held_to_their_margins_as_large_ones_are() -> None:
    for scale in (1e-12, 1.0, 1e12):
        text = "gate: {loss: {max-rise: 1%}}\n"
        assert assemble(request(text), numbers(loss=1.0 * scale), numbers(loss=1.02 * scale)).exit == 1
        assert assemble(request(text), numbers(loss=1.0 * scale), numbers(loss=1.01 * scale)).exit == 0


def test_a_number_the_baseline_does_not_have_is_new_and_its_limits_count() -> None:
    text = "gate: {accuracy: {max-drop: 1pp, min: 0.9}}\n"
    assert rows.status(check(assemble(request(text), numbers(f1=0.5), numbers(accuracy=0.95)))) == ("good", "within its limits")
    fine, low = (assemble(request(text), numbers(f1=0.5), numbers(accuracy=value)) for value in (0.95, 0.6))
    assert (check(fine).verdict, check(fine).reason) == ("pass", "metric-new")
    assert (check(low).verdict, check(low).reason, low.exit) == ("fail", "below-min", 1)


def test_no_change_of_a_number_that_should_be_low_is_not_minus_zero() -> None:
    made = codec.dumps(assemble(request("gate: {loss: {max-rise: 1%}}\n"), numbers(loss=0.3), numbers(loss=0.3)))
    assert "-0.0" not in made


ACCEPTABLE = [
    ("gate: {accuracy: {min: 0.99}}\n", {"accuracy": 0.95}, {"accuracy": 0.96}),
    ("gate: {accuracy: {min: 0.99, max-drop: 1pp}}\n", {"accuracy": 0.95}, {"accuracy": 0.93}),
    ("gate: {loss: {max: 0.1}}\n", {"loss": 0.4}, {"loss": 0.3}),
    ("gate: {loss: {max-rise: 1%}}\n", {"loss": 1.23456e-310}, {"loss": 2.34567e-310}),
    ("gate: {r2: {max-drop: 10%}}\n", {"r2": -1.23456}, {"r2": -2.34567}),
    ("gate: {r2: {max-drop: 10%}}\n", {"r2": 0.0}, {"r2": -0.6}),
]


@pytest.mark.parametrize(("text", "before", "after"), ACCEPTABLE)
def test_whatever_stops_is_accepted_by_the_lines_that_are_offered(text: str, before: dict[str, float], after: dict[str, float]) -> None:
    stopped = assemble(request(text), numbers(**before), numbers(**after))
    assert stopped.exit in (1, 3)
    assert assemble(request(text + (stopped.next.accept or "")), numbers(**before), numbers(**after)).exit == 0


@pytest.mark.parametrize(
    ("text", "broken", "fixed"),
    [
        ("when-uncertain: fail\n" + GATED.replace("2pp", "0.1pp"), 5, 5),  # no drop found, and yet it stops
        ("when-uncertain: fail\n" + GATED.replace("2pp", "0.1pp"), 5, 7),  # better than the baseline, and yet not proven
        (GATED.replace("max-drop: 2pp", "min: 0.97"), 0, 10),  # better than the baseline, and below what is asked
        (GATED.replace("max-drop: 2pp", "min: 0.953"), 0, 2),  # too close to what is asked
    ],
)
def test_a_run_that_is_no_worse_and_stops_is_accepted_by_the_lines_that_are_offered(text: str, broken: int, fixed: int) -> None:
    base, head = side(answers(1900, 100)), side(shifted(1900, 100, broken, fixed))
    stopped = assemble(request(text), base, head)
    assert stopped.exit in (1, 3)
    assert assemble(request(text + (stopped.next.accept or "")), base, head).exit == 0


def test_a_number_whose_direction_nobody_knows_is_shown_and_not_judged() -> None:
    result = assemble(request(""), numbers(widgets=3.0), numbers(widgets=2.0))
    assert check(result, "widgets").verdict == "ungated"
    with pytest.raises(UsageError, match="widgets"):
        assemble(request("gate: {widgets: {min: 1}}\n"), numbers(widgets=3.0), numbers(widgets=2.0))


def test_a_negative_r2_that_falls_is_worse() -> None:
    result = assemble(request("gate: {r2: {max-drop: 10%}}\n"), numbers(r2=-0.2), numbers(r2=-0.8))
    assert result.exit == 1
    assert assemble(request("gate: {r2: {max-drop: 10%}}\n"), numbers(r2=-0.8), numbers(r2=-0.2)).exit == 0


def test_a_share_of_a_baseline_of_zero_is_undecided() -> None:
    result = assemble(request("gate: {loss: {max-rise: 10%}}\n"), numbers(loss=0.0), numbers(loss=0.3))
    assert (result.verdict, check(result, "loss").reason) == ("inconclusive", "zero-baseline")


def measured(*values: float, noisy: bool = True) -> Measure:
    return Measure(values=values, better="lower", noisy=noisy, unit="ms")


LATENCY = "gate: {latency-ms: {max-rise: 10%, max: 50}}\n"


def test_one_slow_measurement_does_not_block_and_one_above_the_maximum_does() -> None:
    base = side(measures={"latency-ms": measured(20.0)})
    slower = assemble(request(LATENCY), base, side(measures={"latency-ms": measured(30.0)}))
    assert (slower.exit, check(slower, "latency-ms").reason) == (0, "noisy-single")
    assert assemble(request(LATENCY), base, side(measures={"latency-ms": measured(60.0)})).exit == 1


def test_repeated_measurements_have_an_interval_and_decide_on_the_same_hardware_alone() -> None:
    base = side(run=run(gpu="H100"), measures={"latency-ms": measured(20.0, 20.5, 19.5, 20.2)})
    slow = {"latency-ms": measured(30.0, 30.5, 29.5, 30.2)}
    assert assemble(request(LATENCY), base, side(run=run(gpu="H100"), measures=slow)).exit == 1
    elsewhere = assemble(request(LATENCY), base, side(run=run(gpu="T4"), measures=slow))
    assert (elsewhere.exit, check(elsewhere, "latency-ms").reason) == (0, "other-hardware")


@pytest.mark.parametrize("scale", [1e-120, 1.0, LARGEST / 50])
def test_repeated_measurements_of_any_size_are_judged_alike(scale: float) -> None:
    text = "measures: {delay: lower}\ngate: {delay: {max-rise: 10%}}\n"
    base, slow = ({"delay": measured(*(v * scale for v in values))} for values in ((40.0, 41.0, 39.5, 40.5), (47.0, 48.0, 46.5, 47.2)))
    assert assemble(request(text), side(measures=base), side(measures=base)).verdict == "pass"
    slower = assemble(request(text), side(measures=base), side(measures=slow))
    assert (slower.exit, check(slower, "delay").baseline) == (1, math.fsum(base["delay"].values) / 4)


def test_a_count_is_compared_exactly() -> None:
    text = "gate: {parameters: {max-rise: 0%}}\n"
    one, more = ({"parameters": Measure((float(n),), better="lower", noisy=False)} for n in (1000, 1001))
    assert assemble(request(text), side(measures=one), side(measures=one)).exit == 0
    assert assemble(request(text), side(measures=one), side(measures=more)).exit == 1


def test_a_gated_measure_that_is_not_reported_is_an_error() -> None:
    with pytest.raises(InvalidFile, match="latency-ms"):
        assemble(request(LATENCY), side(measures={"latency-ms": measured(20.0)}), side(measures={}))
