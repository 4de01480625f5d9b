"""The verdict as one sentence, each case of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_toolkit.records.result import Check, Needs, Result, Side
from mlops_toolkit.report import rows, slices
from mlops_toolkit.report.comment import comment, verdict_line
from mlops_toolkit.report.sentence import verdict_sentence
from tests.unit.report import results
from tests.unit.report.results import HEAD, HOSTILE, MAIN

WORSE = Check(
    "accuracy", baseline=0.9722, head=0.9412, change=-0.031, low=-0.044, high=-0.018, n=2000, margin=0.01, verdict="fail", unit="fraction"
)
GOOD = Check(
    "f1-macro", baseline=0.9, head=0.899, change=-0.001, low=-0.006, high=0.004, n=2000, margin=0.01, verdict="pass", unit="fraction"
)
OPEN = Check(
    "kappa",
    baseline=0.8,
    head=0.79,
    change=-0.01,
    low=-0.03,
    high=0.01,
    n=100,
    margin=0.02,
    verdict="inconclusive",
    leaning="inside",
    needs=Needs(900, 0.03),
)


def said(*checks: Check, verdict: str = "fail", gate: str = "failed", **more: object) -> str:
    """The sentence of a result with these checks."""
    return verdict_sentence(Result("m", verdict, gate, "", MAIN, HEAD, checks, **more))  # type: ignore[arg-type]


def test_a_regression_is_said_as_the_design_says() -> None:
    """Metric, change, likely range, what was allowed; the first line of the comment around it."""
    result = Result("spam-filter", "fail", "failed", "", MAIN, HEAD, (GOOD, WORSE))
    assert verdict_sentence(result) == "accuracy −3.1 pp (likely −4.4 to −1.8; allowed −1.0)"
    assert verdict_line(result) == "❌ spam-filter: accuracy −3.1 pp (likely −4.4 to −1.8; allowed −1.0) · against main a1b2c3d"


def test_the_worst_failing_check_comes_first_and_the_others_are_counted() -> None:
    """Worst by how far beyond its margin it lies, measured in its own uncertainty."""
    mild = replace(WORSE, metric="recall", change=-0.03, low=-0.049, high=-0.011)
    assert said(mild, GOOD, WORSE, OPEN).startswith("accuracy −3.1 pp")
    assert said(mild, GOOD, WORSE).endswith(", +1 more worse")
    leaning = replace(OPEN, leaning="beyond", change=-0.025)
    assert said(WORSE, leaning).endswith("allowed −1.0), 1 undecided")


def test_a_metric_that_should_be_low_is_said_in_its_own_direction() -> None:
    """Latency rose: +6.2 ms, of +4 allowed; the record's sign (+ is better) is not what a reader checks."""
    slow = Check(
        "latency-ms",
        direction="lower",
        baseline=40,
        head=46.2,
        change=-6.2,
        low=-7.9,
        high=-4.5,
        margin=4,
        verdict="fail",
        unit="ms",
        kind="measure",
    )
    assert said(slow) == "latency-ms +6.2 ms (likely +4.5 to +7.9; allowed +4)"


def test_an_absolute_bound_is_said_with_the_value() -> None:
    """What it is, and what it must not be below or above."""
    assert said(replace(WORSE, head=0.7912, min=0.8, reason="below-min")) == "accuracy 0.7912 (below 0.8)"
    assert said(Check("size", direction="lower", head=60e6, max=50e6, verdict="fail", unit="bytes")) == "size 60.0 MB (above 50.0 MB)"


def test_a_check_without_numbers_is_said_by_its_reason() -> None:
    """A metric that is gone has no change to show."""
    gone = Check("recall:spam", verdict="fail", margin=0.01, reason="metric-gone", message="main has it, this PR does not")
    assert said(gone) == "recall:spam: main has it, this PR does not"
    assert said(replace(gone, message=None)) == "recall:spam: metric gone"


def test_undecided_and_leaning_worse_says_what_would_decide_it() -> None:
    """How many examples, and how many there are."""
    leaning = replace(OPEN, leaning="beyond", change=-0.025, low=-0.055, high=0.005)
    assert said(leaning, GOOD, verdict="inconclusive", gate="undecided") == (
        "undecided, leaning worse: kappa −0.025 (likely −0.055 to +0.005; allowed −0.02), about 900 examples would decide it (have 100)"
    )
    assert leaning.needs is not None
    both = replace(leaning, needs=replace(leaning.needs, seeds=4, have_seeds=1, together=True))
    assert "would decide it" not in said(both, verdict="inconclusive", gate="undecided"), "the examples alone do not: seeds are needed too"


def test_not_proven_is_not_a_pass_and_says_so() -> None:
    """The first undecided one, and how many were shown."""
    text = said(OPEN, GOOD, verdict="inconclusive", gate="undecided")
    assert text == "no drop found, not proven: kappa −0.010 (likely −0.030 to +0.010; allowed −0.02), 1 other shown not worse"


@pytest.mark.parametrize(
    ("check", "word"),
    [
        (OPEN, "no drop found, not proven"),
        (replace(OPEN, high=-0.001), "within, not proven"),
        (replace(OPEN, direction="lower", high=-0.001), "within, not proven"),
        (replace(OPEN, change=0.01, low=-0.03, high=0.05), "no drop found, not proven"),
        (replace(OPEN, method="gap", margin=None, max=0.05, groups=("a", "b")), "within, not proven"),
        (replace(OPEN, improve=0.01, margin=None), "improvement not proven"),
    ],
)
def test_no_drop_was_found_is_said_only_where_none_was(check: Check, word: str) -> None:
    """A drop that is shown, and smaller than is allowed, is a drop; a gap that is wide is no drop."""
    assert rows.row(check).word == word
    assert said(check, verdict="inconclusive", gate="undecided").startswith(f"{word}: kappa")


def test_a_slice_too_small_to_say_does_not_spoil_a_pass_but_one_that_must_pass_does() -> None:
    """Unless the configuration says `must: pass`."""
    small = replace(OPEN, slice="language=de")
    assert said(GOOD, small, verdict="pass", gate="passed") == "f1-macro −0.10 pp: shown not worse"
    assert said(GOOD, replace(small, must=True), verdict="inconclusive", gate="undecided").startswith(
        "no drop found, not proven: kappa [language=de]"
    )


def test_passed_lists_the_changes() -> None:
    """Three of them, the rest counted."""
    checks = [replace(GOOD, metric=f"m{i}") for i in range(5)]
    assert said(*checks, verdict="pass", gate="passed") == "m0 −0.10 pp, m1 −0.10 pp, m2 −0.10 pp, +2 more: shown not worse"


def test_accepted_regressions_are_named_in_a_pass() -> None:
    """Passed because somebody said yes."""
    text = said(replace(WORSE, accepted="new labels"), GOOD, verdict="fail", gate="passed")
    assert text == "accuracy −3.1 pp (likely −4.4 to −1.8; allowed −1.0) accepted (new labels); f1-macro −0.10 pp: shown not worse"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("harmless", "✅ spam-filter: accuracy +0.40 pp, f1-macro −0.14 pp, latency-ms +0.2 ms: shown not worse · against main a1b2c3d"),
        ("first-run", "ℹ️ digits: first run, nothing to compare with yet: accuracy 0.9722, f1-macro 0.9719"),
        (
            "failed",
            '❌ spam-filter: no verdict: preds.csv row 7, column id: "mail-00007" stands twice (first in row 3) · against main a1b2c3d',
        ),
    ],
)
def test_the_first_line(name: str, line: str) -> None:
    """As it stands in the mail."""
    assert verdict_line(results.ALL[name]()) == line


def test_nothing_gated_is_never_a_pass() -> None:
    """The numbers are shown, the emoji is not ✅."""
    result = Result("m", "ungated", "none", "", MAIN, HEAD, (replace(GOOD, verdict="ungated", margin=None),))
    assert verdict_line(result) == "ℹ️ m: nothing is gated: f1-macro −0.10 pp · against main a1b2c3d"


def test_the_same_model_is_said_to_be_the_same() -> None:
    """No numbers needed."""
    same = replace(GOOD, change=0.0, low=0.0, high=0.0)
    result = Result("m", "pass", "passed", "", replace(MAIN, state="same-model"), HEAD, (same,))
    assert verdict_sentence(result) == "same model as the baseline, nothing changed"


def test_a_loosened_gate_stands_in_the_first_line() -> None:
    """It must not hide among the notes."""
    result = replace(results.harmless(), notes=("gate loosened: accuracy 1 pp → 5 pp", "other"))
    assert verdict_line(result).endswith(" · against main a1b2c3d · gate loosened: accuracy 1 pp → 5 pp")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t[:20]))
def test_hostile_text_stays_on_the_line(text: str) -> None:
    """One line, no control character, of bounded length."""
    for result in (results.hostile(text), replace(results.failed(), error=results.Failure(text, text))):
        line = verdict_sentence(result)
        assert "\n" not in line
        assert len(line) < 400
        assert len(verdict_line(result).splitlines()) == 1


def test_a_file_is_what_it_is_compared_with() -> None:
    """Without a commit, the label alone."""
    result = replace(results.harmless(), baseline=Side(label="main.parquet"))
    assert verdict_line(result).endswith(" · against main.parquet")


def test_on_a_first_run_what_asks_for_a_change_waits_and_a_gap_has_its_interval_once() -> None:
    """A margin that cannot be held yet is not "ungated"."""
    first = results.first_run()
    gated = replace(first.checks[0], margin=0.01)
    gap = Check("accuracy", slice=None, method="gap", head=0.02, head_low=0.0, head_high=0.06, max=0.08, verdict="pass", unit="fraction")
    made = comment(replace(first, checks=(gap, gated, first.checks[1]))).text.replace("\u00a0", " ")
    assert "ℹ️ waits for a baseline" in made
    assert "ℹ️ ungated" in made
    assert "2.0 pp [0.0, 6.0]" in made
    assert "[0.0000, 0.0600]" not in made


def test_slices_that_are_not_judged_are_not_counted_among_those_too_small() -> None:
    small = replace(OPEN, slice="language=de", reason="too-few")
    every = rows.slices(
        replace(results.first_run(), checks=(small, replace(GOOD, slice="language=de"), replace(GOOD, slice="x", verdict="ungated")))
    )
    assert slices.say(every) == "1 of 2 too small to say, 1 ungated"
    assert slices.say(every[1:]) == "2"
