"""The verdict over all checks against a slow statement of the same rule, and what must hold of it whatever the checks are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.rules import Accepted
from mlops_toolkit.gate.acceptance import Yes
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.whole import Settled, settle
from mlops_toolkit.records.result import Check

ALPHA = 0.025
BADNESS = {1: 3, 3: 2, 0: 0}
TODAY = date(2026, 11, 24)
POLICIES = ("warn", "ask", "fail")


@st.composite
def checks(draw: st.DrawFn) -> tuple[Judged, ...]:
    """Checks whose verdict and p-value agree, as those of intervals do: it fails by itself exactly where p < 2.5 %."""
    made = []
    for i in range(draw(st.integers(0, 7))):
        p = draw(st.one_of(st.none(), st.sampled_from([1e-9, 0.001, 0.003, 0.004, 0.006, 0.012, 0.02, 0.0249]), st.floats(0, 1)))
        verdict = (
            "fail"
            if p is not None and p < ALPHA
            else draw(st.sampled_from(["pass", "inconclusive", "fail"] if p is None else ["pass", "inconclusive"]))
        )
        if draw(st.integers(0, 9)) == 0:
            verdict, p = "ungated", None
        check = Check(
            f"m{i}",
            slice=draw(st.sampled_from([None, None, "s"])),
            baseline=0.95,
            head=0.93,
            change=-0.02,
            margin=draw(st.sampled_from([0.01, 0.01, None])),
            verdict=verdict,  # type: ignore[arg-type]
            leaning=draw(st.sampled_from(["inside", "beyond"])) if verdict == "inconclusive" else None,  # type: ignore[arg-type]
            severity=draw(st.sampled_from(["gate", "gate", "gate", "warn", "info"])),  # type: ignore[arg-type]
            must=draw(st.booleans()),
        )
        made.append(Judged(check, p))
    return tuple(made)


def gated(one: Judged) -> bool:
    return one.check.severity == "gate" and one.check.margin is not None and one.check.verdict != "ungated"


def stands(one: Judged, family: list[float]) -> bool:
    """Whether a failure is more than what so many checks bring by chance: Holm's rule, word for word.

    With the p-values in order, the k-th of n is held to alpha/(n − k + 1), and the first that does not hold stops all that follow.
    """
    if one.p is None:
        return True
    ordered = sorted(family)
    return all(p < ALPHA / (len(ordered) - k) for k, p in enumerate(ordered) if p <= one.p)


def slow(found: tuple[Judged, ...], policy: str) -> tuple[str, int]:
    """The rule as DESIGN says it, one question after the other: (verdict, exit)."""
    mine = [one for one in found if gated(one)]
    family = [one.p for one in mine if one.p is not None]
    failing = [one for one in mine if one.check.verdict == "fail" and stands(one, family)]
    chance = [one for one in mine if one.check.verdict == "fail" and not stands(one, family)]
    doubt = [one for one in mine if one.check.verdict == "inconclusive"] + chance
    counts = [one for one in doubt if one.check.slice is None or one.check.must]
    leans = any(one in chance or one.check.leaning == "beyond" for one in counts)
    if not mine:
        return "ungated", 0
    if failing:
        return "fail", 1
    if counts:
        return "inconclusive", {"warn": 0, "ask": 3 if leans else 0, "fail": 1}[policy]
    return "pass", 0


def settled(found: tuple[Judged, ...], policy: str, *accepted: Accepted) -> Settled:
    return settle(found, policy=policy, confidence=0.95, yes=Yes(accepted, TODAY))  # type: ignore[arg-type]


@settings(max_examples=400, deadline=None)
@given(checks(), st.sampled_from(POLICIES))
def test_every_verdict_is_what_the_slow_statement_says(found: tuple[Judged, ...], policy: str) -> None:
    outcome = settled(found, policy)
    assert (outcome.verdict, outcome.exit) == slow(found, policy)
    assert outcome.blocks == (outcome.exit != 0)
    assert outcome.gate == {("ungated", 0): "none", ("pass", 0): "passed", ("fail", 1): "failed", ("inconclusive", 1): "failed"}.get(
        (outcome.verdict, outcome.exit), "undecided"
    )


@settings(max_examples=200, deadline=None)
@given(checks(), st.sampled_from(POLICIES), st.floats(ALPHA, 1) | st.none())
def test_one_more_check_that_passes_never_makes_it_worse(found: tuple[Judged, ...], policy: str, p: float | None) -> None:
    one = Judged(Check("more", margin=0.01, verdict="pass", baseline=0.9, head=0.9, change=0.0), p)
    before, after = settled(found, policy), settled((*found, one), policy)
    assert BADNESS[after.exit] <= BADNESS[before.exit]
    order = ["pass", "ungated", "inconclusive", "fail"]
    assert before.verdict == "ungated" or order.index(after.verdict) <= order.index(before.verdict)
    assert after.verdict == "pass" or before.verdict != "ungated"


@settings(max_examples=100, deadline=None)
@given(checks(), st.sampled_from(POLICIES))
def test_the_order_of_checks_changes_nothing(found: tuple[Judged, ...], policy: str) -> None:
    plain = settled(found, policy)
    orders = list(permutations(range(len(found)))) if len(found) < 4 else [tuple(range(len(found)))[::-1]]
    for order in orders:
        turned = settled(tuple(found[i] for i in order), policy)
        assert (turned.verdict, turned.gate, turned.exit) == (plain.verdict, plain.gate, plain.exit)
        assert sorted(turned.checks, key=lambda c: c.metric) == sorted(plain.checks, key=lambda c: c.metric)


@settings(max_examples=200, deadline=None)
@given(checks())
def test_a_stricter_policy_never_lets_more_pass(found: tuple[Judged, ...]) -> None:
    bad = [BADNESS[settled(found, policy).exit] for policy in POLICIES]
    assert bad == sorted(bad)


@settings(max_examples=100, deadline=None)
@given(checks(), st.sampled_from(POLICIES))
def test_what_is_no_gate_never_counts(found: tuple[Judged, ...], policy: str) -> None:
    """What only warns or informs may say what it likes."""
    quiet = tuple(one if gated(one) else Judged(replace(one.check, verdict="fail", severity="info"), 0.0) for one in found)
    plain, loud = settled(tuple(one for one in found if gated(one)), policy), settled(quiet, policy)
    assert (plain.verdict, plain.exit) == (loud.verdict, loud.exit)


@settings(max_examples=100, deadline=None)
@given(checks(), st.sampled_from(POLICIES))
def test_with_a_yes_to_everything_nothing_is_in_the_way_and_the_verdict_stays(found: tuple[Judged, ...], policy: str) -> None:
    every = {f"{one.check.metric}{f' [{one.check.slice}]' if one.check.slice else ''}" for one in found}
    outcome = settled(found, policy, *(Accepted(name, "agreed", down_to=0.93) for name in every))
    assert outcome.exit == 0
    assert outcome.verdict == settled(found, policy).verdict
