"""What counters say: exact limits, words for people, and looks that together cry wolf no more than they may."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from scipy import stats

from mlops_toolkit.rollout.driver import Sample
from mlops_toolkit.rollout.intervals import beta_below, difference, homogeneous, quantile, share, slope, student
from mlops_toolkit.rollout.judge import Counted, answers, errors, slow, slower
from mlops_toolkit.rollout.order import Limits
from mlops_toolkit.rollout.windows import Counter, Looks, Watch, leaking, minus

MEBI = 2**20


@pytest.mark.parametrize(("failed", "n"), [(0, 1), (0, 738), (1, 20), (7, 9), (20, 20), (40, 10_000), (5_000, 1_000_000)])
@pytest.mark.parametrize("alpha", [0.025, 1e-4])
def test_limits_of_a_share_are_clopper_and_pearsons(failed: int, n: int, alpha: float) -> None:
    low, high = share(failed, n, alpha)
    found = stats.binomtest(failed, n).proportion_ci(1 - 2 * alpha, method="exact")
    assert (low, high) == pytest.approx((found.low, found.high), rel=1e-6, abs=1e-12)


def test_functions_are_scipys() -> None:
    chance = random.Random(3)
    for _ in range(200):
        a, b, x = 10 ** chance.uniform(-0.5, 4), 10 ** chance.uniform(-0.5, 4), chance.random()
        assert beta_below(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-8, abs=1e-12)
    for df in (1, 3, 8, 40):
        assert student(0.001, df) == pytest.approx(stats.t.ppf(0.999, df), rel=1e-9)
    points = [(float(t), 3 * t + chance.gauss(0, 5)) for t in range(12)]
    fit = stats.linregress(*zip(*points, strict=True))
    low, likely, high = slope(points, 0.025) or (0, 0, 0)
    half = stats.t.ppf(0.975, 10) * fit.stderr
    assert (low, likely, high) == pytest.approx((fit.slope - half, fit.slope, fit.slope + half))


def test_a_harmless_difference_is_seldom_shown_and_a_real_one_is_found() -> None:
    """The lower limit lies above the true difference in no more than alpha of cases, also of very few failures (all are enumerated)."""
    for p, n, before, alpha in [(0.001, 20, 400, 0.002), (0.01, 50, 500, 0.025), (0.02, 100, 200, 0.002)]:
        ours, theirs = (range(int(stats.binom.isf(1e-9, size, p)) + 2) for size in (n, before))
        shown = [(k, m) for k in ours for m in theirs if difference(k, n, m, before, alpha)[0] > 0]
        assert sum(stats.binom.pmf(k, n, p) * stats.binom.pmf(m, before, p) for k, m in shown) <= alpha
    assert difference(10, 480, 3, 3000, 0.025)[0] > 0.005


def test_errors_in_words() -> None:
    old = Counted(3000, 3)
    found = errors(Counted(480, 10), old, 0.005, 0.025, 0.95)
    assert found.verdict == "fail"
    assert found.text == "2.1 % of 480 requests failed, 0.1 % before: +2.0 pp [+0.9, +3.7], allowed +0.5"
    few = errors(Counted(40, 0), old, 0.005, 0.025, 0.95)
    assert few.verdict == "inconclusive"
    assert "about 738 requests would decide it" in few.text
    assert errors(Counted(900, 0), old, 0.005, 0.025, 0.95).verdict == "pass"
    assert errors(Counted(), old, 0.005, 0.025, 0.95).text == "no request has come yet"
    alone = errors(Counted(1000, 30), None, 0.005, 0.025, 0.95)
    assert (alone.verdict, alone.text) == ("fail", "3 % of 1000 requests failed [2 %, 4.3 %], allowed 0.5 %")
    doubtful = errors(Counted(50, 1), old, 0.005, 1e-4, 0.95)
    assert "more than is allowed, and not yet more than chance" in doubtful.text


BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, math.inf)


def timed(seconds: list[float]) -> dict[float, int]:
    return {bound: sum(one <= bound for one in seconds) for bound in BOUNDS}


def test_a_quantiles_bounds_hold_it() -> None:
    """Of any distribution, in at least as many windows as is said."""
    chance = random.Random(5)
    for draw, true in ((lambda: chance.lognormvariate(-5, 0.7), math.exp(-5 + 0.7 * 1.6448536)), (lambda: chance.uniform(0, 0.02), 0.019)):
        outside = 0
        for _ in range(400):
            low, likely, high = quantile(timed([draw() for _ in range(100)]), 0.95, 0.025) or (0, 0, 0)
            outside += not low <= true <= high
            assert low <= likely <= high
        assert outside <= 0.05 * 400
    assert quantile({}, 0.95, 0.025) is None
    assert quantile({0.1: 0}, 0.95, 0.025) is None


def test_latency() -> None:
    quick, slowly, bit = (Counted(200, 0, timed([seconds] * 200)) for seconds in (0.004, 0.03, 0.0045))
    assert slower(slowly, quick, 0.2, 0.01, 0.95).verdict == "fail"
    assert slower(quick, slowly, 0.2, 0.01, 0.95).verdict == "pass"
    assert slower(bit, quick, 0.2, 0.01, 0.95).verdict == "pass"  # the same bucket
    few = Counted(5, 0, timed([0.004] * 5))
    assert slower(few, quick, 0.2, 0.01, 0.95).verdict == "inconclusive"
    beside = Counted(200, 0, timed([0.008] * 200))
    doubtful = slower(beside, quick, 0.2, 0.01, 0.95)
    assert (doubtful.verdict, doubtful.text) == (
        "inconclusive",
        "95 of 100 requests took at most 9.75 ms [5 ms, 10 ms], 4.88 ms [2.5 ms, 5 ms] before, allowed +20 %: "
        "slower, and not shown to be slower than allowed",
    )
    assert slow(slowly, 0.025, 0.01, 0.95).verdict == "fail"
    assert slow(slowly, 0.1, 0.01, 0.95).verdict == "pass"
    assert slow(slowly, 0.03, 0.01, 0.95).verdict == "inconclusive"


def test_answers() -> None:
    def counted(spam: int, ham: int) -> Counted:
        return Counted(spam + ham, 0, {}, {"label": {"spam": spam, "ham": ham}})

    found = [next(answers(new, counted(500, 500), 0.02, 0.01, 0.95)) for new in (counted(450, 50), counted(498, 502), counted(12, 12))]
    assert [one.verdict for one in found] == ["fail", "pass", "pass"]
    unsure = next(answers(counted(20, 10), counted(500, 500), 0.02, 0.001, 0.95))
    assert unsure.verdict == "inconclusive"
    assert "rows would decide it" in unsure.text
    assert next(answers(counted(3, 2), counted(500, 500), 0.02, 0.01, 0.95)).verdict == "inconclusive"
    statistic, df, _ = homogeneous({"a": 30, "b": 70, "c": 100}, {"a": 60, "b": 100, "c": 40}) or (0, 0, 0)
    expected = stats.chi2_contingency([[30, 70, 100], [60, 100, 40]], correction=False)
    assert (statistic, df) == (pytest.approx(expected.statistic), expected.dof)
    assert (homogeneous({"a": 99, "b": 1}, {"a": 99, "b": 1}) or (1, 1, 0))[0] < 1e-9 or homogeneous(
        {"a": 99, "b": 1}, {"a": 99, "b": 1}
    ) is None


def test_counters_that_begin_anew() -> None:
    """What the others had counted long before is not taken for the window's."""
    first = Sample(0.0, 1_000_000, 50_000, {0.1: 900_000}, {"": {"a": 5}}, None, "1,1,1")
    counter = Counter(first)
    counter.add(replace(first, at=10.0, requests=1_000_100, failed=50_001))
    restarted = replace(first, at=20.0, requests=666_700, failed=33_000, since="1,1,19")
    counter.add(restarted)
    counter.add(None)
    counter.add(replace(restarted, at=30.0, requests=666_800, failed=33_002))
    assert (counter.counted.requests, counter.counted.failed) == (200, 3)
    assert minus(first, replace(first, requests=1_000_001)) is None


def test_looks_spend_no_more_than_there_is() -> None:
    for step in (1, 7, 300, 100_000):
        looks = Looks(0.01)
        spent = sum(looks.due(n, n > 50 * step) for n in range(0, 100 * step, step))
        assert 0.005 < spent <= 0.01


def leak(rate: float, noise: float = 2.0, seconds: int = 300, cache: float = 0.0) -> list[tuple[float, float]]:
    """Memory by time. rate: MiB a minute; cache: MiB that fill up within the first half."""
    chance = random.Random(7)
    return [
        (float(t), MEBI * (200 + rate * t / 60 + cache * min(1.0, t / (seconds * 0.55)) + chance.gauss(0, noise)))
        for t in range(0, seconds, 2)
    ]


def test_leaks() -> None:
    found = leaking(leak(12.0), 512 * MEBI)
    assert found is not None
    assert found.text.startswith("its memory grows by 1")
    assert "512 MiB are used up in about" in found.text
    assert leaking(leak(0.0), 512 * MEBI) is None
    assert leaking(leak(0.0, cache=150.0), 512 * MEBI) is None  # it fills, and stays
    assert leaking(leak(12.0)[:10], 512 * MEBI) is None
    assert leaking(leak(0.5, noise=0.01), 100_000 * MEBI) is None  # in a month


def test_what_needs_no_statistics() -> None:
    begun = Sample(0.0, since="x", memory=100)
    watch = Watch(Limits(memory=1000), begun, begun, length=60.0)
    watch.add(replace(begun, at=1.0), begun, 0, 0)
    watch.add(replace(begun, at=2.0), begun, 1, 1)  # the machine was restarted, with all that was on it
    assert watch.judged(2.0).verdict == "inconclusive"
    watch.add(replace(begun, at=3.0), begun, 2, 1)
    assert watch.judged(3.0).text == "it was restarted 2 times, the one before 1 times"
    full = Watch(Limits(memory=1000), begun, begun, length=60.0)
    full.add(replace(begun, at=1.0, memory=1001), begun, 0, 0)
    assert full.judged(1.0).text == "it has 1001 bytes of memory, allowed 1000 bytes"


def test_what_goes_wrong_late_is_found_by_the_last_minute() -> None:
    """Nine good minutes would thin it: over all, three of a thousand failed, and half a percent is allowed."""
    watch = Watch(Limits(latency=None, predictions=None), Sample(0.0), None, length=600.0, after=True)
    requests = failed = 0
    for second in range(2, 600, 2):
        requests += 100
        failed += 10 if second > 570 else 0
        watch.add(Sample(float(second), requests, failed), None, 0, 0)
        judged = watch.judged(float(second))
        if judged.verdict == "fail":
            break
    assert 570 < second < 590
    assert failed / requests < 0.005
