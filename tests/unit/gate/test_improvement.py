"""What is asked besides a margin: an improvement, no suspicious one, and bounds that only warn."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded, scalars
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.records.run import Measure
from mlops_toolkit.report import rows
from mlops_toolkit.report.annotations import annotations
from mlops_toolkit.report.comment import comment
from mlops_toolkit.report.junit import junit
from tests.unit.gate.drawn import answers, request, run, side
from tests.unit.gate.test_assemble import check, shifted

METRICS = "evaluate: {run: x, metrics: [accuracy]}\n"
IMPROVE = METRICS + "gate: {accuracy: {improve-by: 1pp}}\n"
GAIN = METRICS + "gate: {accuracy: {max-drop: 1pp, max-gain: 2pp}}\n"
WARN = METRICS + "gate: {accuracy: {max-drop: 3pp, warn: {max-drop: 0.5pp, max-gain: 2pp, min: 0.8}}}\n"


def compared(text: str, broken: int, fixed: int, n: tuple[int, int] = (1800, 200), **more: Any) -> Result:
    return assemble(request(text, **more), side(answers(*n)), side(shifted(*n, broken, fixed)))


def numbers(**values: float) -> Loaded:
    return Loaded(label="metrics.json", scalars=scalars(values))


def warning(result: Result) -> Check:
    return next(c for c in result.checks if c.warning)


# --- improve-by


@pytest.mark.parametrize(
    ("broken", "fixed", "verdict", "leaning", "code", "word"),
    [
        (5, 60, "pass", None, 0, "improved"),
        (10, 38, "inconclusive", "inside", 0, "improvement not proven"),
        (10, 25, "inconclusive", "beyond", 3, "needs a yes"),
        (2, 4, "fail", None, 1, "not improved"),
        (90, 5, "fail", None, 1, "worse"),
    ],
)
def test_an_improvement_must_be_shown(broken: int, fixed: int, verdict: str, leaning: str | None, code: int, word: str) -> None:
    result = compared(IMPROVE, broken, fixed)
    found = check(result)
    assert (found.verdict, found.leaning, result.exit) == (verdict, leaning, code)
    assert (found.improve, found.margin) == (0.01, None)
    assert rows.status(found)[1] == word
    assert rows.allowed(found) == "at least +1.0 pp"
    assert (found.verdict == "pass") == (found.low is not None and found.low > 0.01)
    assert (found.verdict == "fail") == (found.high is not None and found.high < 0.01)


def test_the_same_model_is_shown_not_to_be_better() -> None:
    result = assemble(request(IMPROVE), side(answers(9, 1), run=run("m")), side(answers(9, 1), run=run("m")))
    assert (result.exit, check(result).reason) == (1, "not-improved")
    assert "the same model" in (check(result).message or "")


def test_on_a_first_run_it_waits() -> None:
    result = assemble(request(IMPROVE, state="first-run"), None, side(answers(90, 10)))
    assert (result.verdict, result.exit, check(result).reason) == ("ungated", 0, "first-run")


def test_a_share_of_the_baseline_may_be_asked_for() -> None:
    result = compared(IMPROVE.replace("1pp", "2%"), 5, 60)
    assert check(result).improve == pytest.approx(0.018)
    assert result.exit == 0


def test_of_a_metric_that_should_be_low_less_is_asked_for() -> None:
    text = "gate: {loss: {improve-by: 10%}}\n"
    assert assemble(request(text), numbers(loss=1.0), numbers(loss=0.9)).exit == 0
    short = assemble(request(text), numbers(loss=1.0), numbers(loss=0.91))
    assert (short.exit, check(short, "loss").reason, rows.allowed(check(short, "loss"))) == (1, "not-improved", "at least −0.1")


def test_a_negative_baseline_is_improved_upwards() -> None:
    text = "gate: {r2: {improve-by: 10%}}\n"
    assert assemble(request(text), numbers(r2=-0.5), numbers(r2=-0.44)).exit == 0
    assert assemble(request(text), numbers(r2=-0.5), numbers(r2=-0.56)).exit == 1


def test_a_share_of_nothing_is_no_improvement_to_ask_for() -> None:
    result = assemble(request("gate: {r2: {improve-by: 10%}}\n"), numbers(r2=0.0), numbers(r2=0.3))
    assert (result.verdict, check(result, "r2").reason) == ("inconclusive", "zero-baseline")


@pytest.mark.parametrize(("broken", "fixed"), [(10, 25), (2, 4), (90, 5), (0, 0)])
def test_the_offered_lines_forgo_the_improvement_until_they_are_merged(broken: int, fixed: int) -> None:
    stopped = compared(IMPROVE, broken, fixed)
    assert stopped.exit in (1, 3)
    offered = stopped.next.accept or ""
    yes = compared(IMPROVE + offered, broken, fixed, base=IMPROVE)
    assert (yes.exit, check(yes).accepted) == (0, "why this is fine")
    after = assemble(
        request(IMPROVE + offered, base=IMPROVE + offered),
        side(shifted(1800, 200, broken, fixed)),
        side(shifted(1800, 200, broken, fixed + 1)),
    )
    assert after.exit == 1, "merged, it has done its work"
    assert any("has done its work" in note for note in after.notes)


def test_more_than_was_accepted_is_not_covered() -> None:
    offered = compared(IMPROVE, 90, 5).next.accept or ""
    worse = compared(IMPROVE + offered, 95, 5)
    assert worse.exit == 1
    assert any("goes down to 0.8575, and this run has 0.855" in note for note in worse.notes)


def test_what_would_show_the_improvement_does() -> None:
    short = compared(IMPROVE, 10, 38)
    needs = check(short).needs
    assert needs is not None
    assert needs.n is not None
    assert f"+{needs.n - 2000:,} examples would decide accuracy (have 2,000), if it is what it looks like" in short.next.more_data
    times = needs.n / 2000
    assert compared(IMPROVE, round(10 * times), round(38 * times), n=(round(1800 * times), round(200 * times))).verdict == "pass"
    less = check(compared(IMPROVE, 10, 25)).needs
    assert less is not None
    assert less.n is not None
    times = less.n / 2000
    shown = compared(IMPROVE, round(10 * times), round(25 * times), n=(round(1800 * times), round(200 * times)))
    assert (shown.verdict, check(shown).reason) == ("fail", "not-improved"), "what is not there is shown not to be"


def test_an_improvement_left_in_after_the_merge_says_why_it_stops_the_next_change_and_what_to_write() -> None:
    first = compared(IMPROVE, 2, 2, base=GAIN)
    assert not any("stands on the base branch" in note for note in first.notes), "it is this change that asks"
    result = compared(IMPROVE, 2, 2, base=IMPROVE)
    assert result.exit == 1
    [told] = [note for note in result.notes if "stands on the base branch already" in note]
    assert told.startswith("accuracy: `improve-by`")
    kept = IMPROVE.replace("improve-by: 1pp", "max-drop: 1pp") + "accepted: [{check: gate, reason: reached}]\n"
    after = compared(kept, 2, 2, base=IMPROVE)
    assert (after.exit, [note for note in after.notes if "stands on" in note]) == (0, []), "what it says to do helps"


# --- max-gain


def test_a_gain_that_is_too_good_fails_and_says_why() -> None:
    result = compared(GAIN, 0, 100)
    found = check(result)
    assert (found.verdict, found.reason, result.exit) == ("fail", "suspicious-gain", 1)
    assert "a gain of more than 2pp is suspicious" in (found.message or "")
    assert rows.status(found) == ("bad", "suspicious gain")
    assert rows.allowed(found) == "−1.0 pp, at most +2.0 pp"
    assert "suspicious gain: accuracy +5.0" in comment(result).verdict_line


def test_a_gain_that_may_be_chance_is_noted_and_no_objection() -> None:
    result = compared(GAIN, 5, 48)
    found = check(result)
    assert (found.verdict, found.reason, result.exit) == ("pass", "large-gain", 0)
    assert "it may be chance" in (found.message or "")


def test_alone_it_makes_nothing_undecided() -> None:
    text = METRICS + "gate: {accuracy: {max-gain: 2pp}}\n"
    for broken, fixed in ((0, 0), (100, 0), (30, 30), (0, 40)):
        assert compared(text, broken, fixed).verdict == "pass"
    assert compared(text, 0, 100).verdict == "fail"


def test_a_gain_is_accepted_up_to_a_value() -> None:
    stopped = compared(GAIN, 0, 100)
    assert "up-to: 0.95" in (stopped.next.accept or "")
    assert compared(GAIN + (stopped.next.accept or ""), 0, 100).exit == 0
    assert compared(GAIN + (stopped.next.accept or ""), 0, 104).exit == 1
    there = assemble(request(GAIN + (stopped.next.accept or "")), side(shifted(1800, 200, 0, 100)), side(shifted(1800, 200, 0, 180)))
    assert there.exit == 1


def test_of_a_metric_that_should_be_low_a_gain_is_accepted_down_to_a_value() -> None:
    text = "gate: {loss: {max-rise: 1%, max-gain: 20%}}\n"
    stopped = assemble(request(text), numbers(loss=1.0), numbers(loss=0.123456))
    assert (stopped.exit, check(stopped, "loss").reason) == (1, "suspicious-gain")
    assert "down-to: 0.1234" in (stopped.next.accept or "")
    assert assemble(request(text + (stopped.next.accept or "")), numbers(loss=1.0), numbers(loss=0.123456)).exit == 0


def test_a_gain_and_a_limit_each_need_their_own_yes() -> None:
    text = "gate: {accuracy: {min: 0.9, max-gain: 2pp}}\n"
    stopped = assemble(request(text), numbers(accuracy=0.5), numbers(accuracy=0.8))
    offered = stopped.next.accept or ""
    assert "down-to: 0.8" in offered
    assert "up-to: 0.8" in offered
    assert assemble(request(text + offered), numbers(accuracy=0.5), numbers(accuracy=0.8)).exit == 0
    one = text + "\n".join(offered.splitlines()[:5]) + "\n"
    assert assemble(request(one), numbers(accuracy=0.5), numbers(accuracy=0.8)).exit == 1


def test_a_share_of_nothing_is_no_gain_to_be_suspicious_of() -> None:
    text = "gate: {r2: {max-gain: 10%}}\n"
    assert assemble(request(text), numbers(r2=0.0), numbers(r2=0.3)).exit == 3
    assert assemble(request(text), numbers(r2=0.0), numbers(r2=-0.3)).exit == 0


# --- warn


def test_what_is_within_the_warnings_has_no_row() -> None:
    result = compared(WARN, 5, 8)
    assert not rows.is_seen(warning(result))
    assert [r.check.warning for r in rows.overall(result)] == [False]


def test_a_broken_warning_is_seen_and_never_blocks() -> None:
    result = compared(WARN, 32, 2)
    assert (result.verdict, result.exit) == ("pass", 0)
    assert (warning(result).verdict, warning(result).severity) == ("fail", "warn")
    text = comment(result).text
    assert "| accuracy (warning) |" in text
    assert "worse, only a warning" in text
    assert text.splitlines()[0].endswith("1 warning · against main aaaaaaa")
    lines = [(a.level, a.title) for a in annotations(result)]
    assert sorted(lines) == [("notice", "pets"), ("warning", "pets: accuracy (warning)")]
    names = re.findall(r'<testcase [^>]*\bname="([^"]*)"', junit(result))
    assert names == ["accuracy (warning)", "accuracy"], "each test case has a name of its own"


def test_a_warning_that_may_be_chance_is_seen_where_it_leans() -> None:
    result = compared(WARN, 16, 2)
    assert (warning(result).verdict, warning(result).leaning) == ("inconclusive", "beyond")
    assert rows.is_seen(warning(result))
    assert result.exit == 0


def test_a_broken_check_is_accepted_and_its_warning_needs_no_yes() -> None:
    stopped = compared(WARN, 120, 0)
    assert stopped.exit == 1
    assert (stopped.next.accept or "").count("- check:") == 1
    assert compared(WARN + (stopped.next.accept or ""), 120, 0).exit == 0


def test_only_warnings_gate_nothing() -> None:
    result = compared(METRICS + "gate: {accuracy: {warn: {max-drop: 0.5pp}}}\n", 60, 0)
    assert (result.verdict, result.gate, result.exit) == ("ungated", "none", 0)


def test_numbers_and_measures_warn_too() -> None:
    text = "gate: {loss: {max-rise: 50%, warn: {max-rise: 1%}}}\n"
    result = assemble(request(text), numbers(loss=1.0), numbers(loss=1.2))
    assert (result.exit, warning(result).verdict) == (0, "fail")
    size = lambda n: side(answers(9, 1), measures={"model-size-mb": Measure((n,), noisy=False)})
    text = "evaluate: {run: x}\ngate: {model-size-mb: {max: 100, warn: {max: 50}}}\n"
    result = assemble(request(text), size(40.0), size(60.0))
    assert (result.exit, warning(result).reason) == (0, "above-max")


@pytest.mark.parametrize("severity", ["warn", "info"])
def test_a_rule_that_only_shows_never_blocks(severity: str) -> None:
    result = compared(METRICS + f"gate: {{accuracy: {{max-drop: 1pp, severity: {severity}}}}}\n", 100, 0)
    assert (check(result).verdict, result.verdict, result.exit) == ("fail", "ungated", 0)
    assert rows.status(check(result))[0] == "plain"


def test_of_a_fork_it_is_the_base_branchs_yes_that_counts() -> None:
    mine = GAIN + "accepted: [{check: accuracy, up-to: 1, down-to: 0, reason: trust me}]\n"
    theirs = GAIN + "accepted: [{check: accuracy, up-to: 0.96, reason: a new test set is coming}]\n"
    assert compared(mine, 0, 100, base=GAIN, forks_gate=True).exit == 1
    yes = compared(mine, 0, 100, base=theirs, forks_gate=True)
    assert (yes.exit, check(yes).accepted) == (0, "a new test set is coming")
    assert compared(mine, 0, 140, base=theirs, forks_gate=True).exit == 1


def test_a_yes_that_names_no_check_is_said() -> None:
    result = compared(GAIN + "accepted: [{check: 'accuracy [x]', down-to: 0.5, reason: old}]\n", 5, 5)
    assert "`accepted:` names accuracy [x], and there is no such check" in result.notes


# --- another test set


def test_nothing_is_shown_improved_or_above_suspicion_on_another_test_set() -> None:
    ids = lambda letter: {"id": [f"{letter}{i}" for i in range(2000)]}
    for text in (IMPROVE, METRICS + "gate: {accuracy: {max-gain: 2pp}}\n"):
        result = assemble(request(text), side({**ids("a"), **answers(1800, 200)}), side({**ids("b"), **answers(1990, 10)}))
        assert (result.verdict, result.exit, check(result).reason) == ("inconclusive", 3, "data-changed")


def test_order_of_checks_changes_nothing_in_what_is_seen() -> None:
    result = compared(WARN, 32, 2)
    turned = replace(result, checks=result.checks[::-1])
    assert [r.name for r in rows.overall(turned)] == [r.name for r in rows.overall(result)]
