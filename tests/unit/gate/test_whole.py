"""The verdict over all checks."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mlops_toolkit.config.rules import Accepted
from mlops_toolkit.gate.acceptance import Yes
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.whole import Settled, settle
from mlops_toolkit.records.result import Check

TODAY = date(2026, 11, 24)


def check(verdict: str, *, p: float | None = None, **more: Any) -> Judged:
    p = p if p is not None else {"fail": 1e-6, "pass": 0.9, "inconclusive": 0.3}.get(verdict)
    made = Check("accuracy", baseline=0.95, head=0.93, change=-0.02, margin=0.01, verdict=verdict, n=1000)  # type: ignore[arg-type]
    return Judged(replace(made, **more), p)


def settled(*checks: Judged, policy: str = "ask", accepted: tuple[Accepted, ...] = (), standing: tuple[Accepted, ...] = ()) -> Settled:
    return settle(checks, policy=policy, confidence=0.95, yes=Yes(accepted, TODAY, standing))  # type: ignore[arg-type]


def test_all_shown_not_worse_passes() -> None:
    outcome = settled(check("pass"), check("pass", metric="f1"))
    assert (outcome.verdict, outcome.gate, outcome.exit, outcome.blocks) == ("pass", "passed", 0, False)


def test_one_shown_worse_fails() -> None:
    outcome = settled(check("pass"), check("fail", metric="f1"))
    assert (outcome.verdict, outcome.gate, outcome.exit, outcome.blocks) == ("fail", "failed", 1, True)


@pytest.mark.parametrize(
    ("policy", "leaning", "gate", "code"),
    [
        ("ask", "beyond", "undecided", 3),
        ("ask", "inside", "undecided", 0),
        ("warn", "beyond", "undecided", 0),
        ("fail", "inside", "failed", 1),
        ("fail", "beyond", "failed", 1),
    ],
)
def test_doubt_blocks_as_the_policy_says(policy: str, leaning: str, gate: str, code: int) -> None:
    outcome = settled(check("pass", metric="f1"), check("inconclusive", leaning=leaning), policy=policy)
    assert (outcome.verdict, outcome.gate, outcome.exit) == ("inconclusive", gate, code)
    assert outcome.blocks is (code != 0)


def test_a_doubtful_slice_does_not_make_the_whole_doubtful_unless_it_must_pass() -> None:
    doubt = check("inconclusive", slice="language=de", leaning="beyond")
    assert settled(check("pass"), doubt).verdict == "pass"
    assert settled(check("pass"), replace(doubt, check=replace(doubt.check, must=True))).exit == 3


def test_a_slice_shown_worse_fails_the_whole() -> None:
    assert settled(check("pass"), check("fail", slice="language=de")).verdict == "fail"


def test_nothing_gated_is_ungated_and_never_a_pass() -> None:
    assert settled(check("ungated", margin=None)).verdict == "ungated"
    assert settled(check("fail", severity="warn")).verdict == "ungated"
    assert settled().gate == "none"


def test_of_twenty_checks_one_that_is_barely_worse_is_put_down_to_chance() -> None:
    barely = check("fail", p=0.02)
    outcome = settled(barely, *(check("pass", metric=f"m{i}") for i in range(19)))
    assert outcome.checks[0].verdict == "inconclusive"
    assert outcome.checks[0].reason == "multiplicity"
    assert settled(barely).verdict == "fail", "alone, its own interval decides"


def test_a_failure_by_threshold_is_no_statistical_claim_and_needs_no_correction() -> None:
    certain = Judged(replace(check("fail").check, method="threshold"), None)
    assert settled(certain, *(check("pass", metric=f"m{i}") for i in range(50))).verdict == "fail"


ACCEPTED = Accepted("accuracy", "new label set", down_to=0.93)


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        (ACCEPTED, True),
        (replace(ACCEPTED, down_to=0.929), True),
        (replace(ACCEPTED, down_to=0.931), False),
        (replace(ACCEPTED, until="2026-11-24"), True),
        (replace(ACCEPTED, until="2026-11-23"), False),
        (replace(ACCEPTED, check="f1"), False),
        (replace(ACCEPTED, check="accuracy [language=de]"), False),
        (replace(ACCEPTED, down_to=0.95), False),
        (replace(ACCEPTED, down_to=None, up_to=0.93), False),
    ],
)
@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_what_was_accepted_counts_to_its_value_and_day(entry: Accepted, passes: bool, verdict: str) -> None:
    outcome = settled(check(verdict, leaning="beyond"), accepted=(entry,))
    assert (outcome.exit == 0) is passes
    assert (outcome.checks[0].accepted == "new label set") is passes
    if passes:
        assert outcome.accepted
        assert outcome.gate == "passed"
        assert outcome.verdict == verdict, "the verdict stays what was measured"


def test_an_acceptance_has_done_its_work_once_main_is_there() -> None:
    spent = replace(ACCEPTED, down_to=0.95)
    assert settled(check("fail", baseline=0.95, head=0.951, margin=0.0), accepted=(spent,)).exit == 1


def test_a_metric_that_should_be_low_is_accepted_up_to_a_value() -> None:
    slow = check("fail", metric="latency", direction="lower", baseline=10.0, head=12.0)
    assert settled(slow, accepted=(Accepted("latency", "larger model", up_to=12.0),)).exit == 0
    assert settled(slow, accepted=(Accepted("latency", "larger model", up_to=11.0),)).exit == 1
