"""Looks: what each costs, what is said, and what pushing until one passes finds with and without spending."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from mlops_toolkit.config.schema import Config, Looks
from mlops_toolkit.gate import looks
from mlops_toolkit.gate.request import Request
from mlops_toolkit.records.result import Side
from mlops_toolkit.stats.proportions import tango


def request(*, seen: int = 1, look: int = 1, **asked: object) -> Request:
    config = Config("m", looks=Looks(**asked))  # type: ignore[arg-type]
    return Request(config, Side(), Side(), date(2026, 11, 29), looks=seen, look=look)


def test_all_looks_together_cost_what_one_may() -> None:
    spent = [1 - looks.confidence(0.95, k) for k in range(1, 2000)]
    assert math.fsum(spent) <= 0.05
    assert math.fsum(spent) > 0.0499
    assert spent == sorted(spent, reverse=True)
    assert looks.confidence(0.95, 1) == pytest.approx(0.975)


def test_nothing_is_spent_unless_it_is_asked_for() -> None:
    plain = request(seen=4, look=4)
    assert looks.spent(plain) is plain
    assert looks.spent(request(seen=4, look=4, spend="each")).config.confidence == pytest.approx(1 - 0.05 / 20)


def test_it_is_said_from_the_look_on_that_is_asked_for() -> None:
    assert looks.notes(request(seen=9)) == ()
    assert looks.notes(request(seen=10)) == ("10 models of this pull request were judged: trying until one passes finds one by luck",)
    assert looks.notes(request(seen=3, warn_after=3))[0].startswith("3 models")
    one = looks.spent(request(seen=3, look=2, spend="each"))
    assert looks.notes(one) == (
        "look 2 of this pull request: its intervals are 99.17 % ones, so that all looks together stay as sure as one (looks.spend: each)",
    )


def test_a_head_that_spends_nothing_is_held_to_the_base_branch_and_a_fork_has_no_say() -> None:
    from mlops_toolkit.gate.held import held
    from mlops_toolkit.gate.work import Work

    base = Config("m", looks=Looks(3, "each"))
    for fork in (False, True):
        asked = replace(request(look=5, seen=5), base_config=base, forks_gate=fork)
        assert looks.spent(held(Work(), asked)).config.confidence == pytest.approx(1 - 0.05 / 30)


def pushed(draw: np.random.Generator, *, spend: bool, tries: int = 10, n: int = 2000, margin: float = 0.01) -> bool:
    """Whether one of ten models that are all worse by just the margin passes: each differs on its own rows of the one test set."""
    baseline = draw.random(n) < 0.9
    for look in range(1, tries + 1):
        broken = int((baseline & (draw.random(n) < (0.02 + margin) / 0.9)).sum())
        fixed = int((~baseline & (draw.random(n) < 0.02 / 0.1)).sum())
        level = looks.confidence(0.95, look) if spend else 0.95
        if tango(fixed, broken, n, level)[0] > -margin:
            return True
    return False


@pytest.mark.slow
def test_pushing_until_one_passes_finds_one_and_with_spending_does_not() -> None:
    draw, repeats = np.random.default_rng(12), 1500
    plain = sum(pushed(draw, spend=False) for _ in range(repeats)) / repeats
    spent = sum(pushed(draw, spend=True) for _ in range(repeats)) / repeats
    assert 0.15 < plain < 0.3
    assert spent <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / repeats)
