"""Measures held to their limits: percentiles of a list, lists measured in turn, and what every run has anyway."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.records.result import Check, Result, Side
from mlops_toolkit.records.run import Environment, Measure, Model, Run
from tests.unit.gate.drawn import TODAY, config, side


def request(text: str, *, base: str | None = None, forks_gate: bool = False) -> Request:
    return Request(config(text), Side(label="main"), Side(label="this PR"), TODAY, config(base) if base else None, forks_gate)


def run(name: str, *, host: str = "a", **more: object) -> Run:
    return replace(Run(id=f"20260101-000000-{name:0>6}", model="pets", environment=Environment(host=host)), **more)  # type: ignore[arg-type]


def latency(values: object, **more: object) -> Measure:
    return Measure(tuple(float(v) for v in values), better="lower", unit="ms", **more)  # type: ignore[attr-defined, arg-type]


def check(result: Result, name: str) -> Check:
    return next(one for one in result.checks if one.metric == name)


def drawn(seed: int, n: int, scale: float = 1.0) -> np.ndarray:
    return 10 * scale * np.exp(0.3 * np.random.default_rng(seed).standard_normal(n))


P95 = "gate: {'p95:latency-ms': {max-rise: 20%, max: 60}}\n"


def test_a_percentile_of_a_list_is_held_to_its_margin_by_order_statistics() -> None:
    base = side(measures={"latency-ms": latency(drawn(1, 1500))})
    same = assemble(request(P95), base, side(measures={"latency-ms": latency(drawn(2, 1500))}))
    found = check(same, "p95:latency-ms")
    assert (found.verdict, found.method, found.n, found.unit, found.kind) == ("pass", "order", 1500, "ms", "measure")
    assert found.head == np.quantile(drawn(2, 1500), 0.95)
    assert found.head_low is not None
    assert found.head_low < (found.head or 0)
    slow = assemble(request(P95), base, side(measures={"latency-ms": latency(drawn(2, 1500, 1.6))}))
    assert (check(slow, "p95:latency-ms").verdict, slow.exit) == ("fail", 1)


def test_too_few_values_for_a_percentile_are_undecided_and_say_how_many() -> None:
    base = side(measures={"latency-ms": latency(drawn(1, 40))})
    result = assemble(request(P95), base, side(measures={"latency-ms": latency(drawn(2, 40))}))
    found = check(result, "p95:latency-ms")
    assert (found.verdict, found.reason) == ("inconclusive", "too-few")
    assert "p95 needs at least 72 independent values" in (found.message or "")


def test_the_mean_may_be_named_and_a_measure_of_that_very_name_wins() -> None:
    text = "gate: {'mean:latency-ms': {max: 50}, 'p95:latency-ms': {max: 50}}\n"
    head = side(measures={"latency-ms": latency(drawn(1, 400)), "p95:latency-ms": latency([70.0])})
    result = assemble(request(text), None, head)
    assert check(result, "mean:latency-ms").verdict == "pass"
    assert (check(result, "p95:latency-ms").verdict, check(result, "p95:latency-ms").head) == ("fail", 70.0)


@pytest.mark.parametrize(
    ("n", "level", "verdict", "leaning"),
    [
        (5, 12, "inconclusive", "inside"),
        (50, 12, "inconclusive", "inside"),
        (5, 49.9, "inconclusive", "inside"),
        (50, 80, "fail", None),
        (90, 12, "pass", None),
    ],
)
def test_a_mean_of_few_latencies_never_passes_max_since_a_pause_may_not_have_come_yet(
    n: int, level: float, verdict: str, leaning: str | None
) -> None:
    values = level * np.exp(0.02 * np.random.default_rng(n).standard_normal(n))
    found = check(assemble(request("gate: {latency-ms: {max: 50}}\n"), None, side(measures={"latency-ms": latency(values)})), "latency-ms")
    assert (found.verdict, found.leaning) == (verdict, leaning)
    if verdict == "inconclusive":
        assert found.reason == "too-few"
        assert "may have missed a pause that comes once in twenty" in (found.message or "")
        assert "at least 72" in (found.message or "")
        assert (found.head_low is not None, found.head_high) == (True, None)


def test_a_list_of_what_does_not_pause_is_held_to_max_by_its_interval() -> None:
    sizes = Measure((40.0, 41.0, 40.5, 39.9, 40.2), better="lower", noisy=False)
    found = check(assemble(request("measures: {pages: lower}\ngate: {pages: {max: 50}}\n"), None, side(measures={"pages": sizes})), "pages")
    assert found.verdict == "pass"


def test_a_percentile_is_gated_by_the_base_branch_too() -> None:
    base = side(measures={"latency-ms": latency(drawn(1, 1500))})
    head = side(measures={"latency-ms": latency(drawn(2, 1500, 1.6))})
    result = assemble(request("gate: {'p95:latency-ms': {max-rise: 90%}}\n", base=P95), base, head)
    assert result.exit == 1
    assert any("gate loosened" in note for note in result.notes)
    assert assemble(request("", base=P95), base, head).exit == 1, "nor by leaving it out"
    assert assemble(request("", base=P95, forks_gate=True), base, head).exit == 1


def test_a_percentile_of_a_measure_nobody_reported_is_an_error() -> None:
    with pytest.raises(InvalidFile, match="p95:latency-ms"):
        assemble(request(P95), None, side(measures={"memory-mb": latency([3.0])}))


def turns(seed: int, rounds: int, slower: float) -> tuple[np.ndarray, np.ndarray]:
    """Rounds on a machine that is thrice as slow at the end."""
    rng = np.random.default_rng(seed)
    machine = np.linspace(10, 30, rounds)
    return machine * np.exp(0.05 * rng.standard_normal(rounds)), machine * (1 + slower) * np.exp(0.05 * rng.standard_normal(rounds))


RISE = "gate: {latency-ms: {max-rise: 10%}}\n"


@pytest.mark.parametrize(("slower", "exit_code"), [(0.0, 0), (0.25, 1)])
def test_what_was_measured_in_turn_blocks_on_any_machine(slower: float, exit_code: int) -> None:
    main, here = run("1", host="a"), run("2", host="b")
    base, head = turns(3, 60, slower)
    beside = latency(head, beside=tuple(map(float, base)), beside_run=main.id)
    old = {"latency-ms": latency([1.0, 1.1, 0.9])}
    result = assemble(request(RISE), side(run=main, measures=old), side(run=here, measures={"latency-ms": beside}))
    found = check(result, "latency-ms")
    assert (result.exit, found.method, found.baseline) == (exit_code, "in-turn", pytest.approx(base.mean()))


def test_what_was_measured_beside_another_run_does_not_count_as_in_turn() -> None:
    main, here = run("1", host="a"), run("2", host="b")
    base, head = turns(3, 60, 0.5)
    beside = latency(head, beside=tuple(map(float, base)), beside_run="20250101-000000-abcdef")
    result = assemble(
        request(RISE), side(run=main, measures={"latency-ms": latency(base)}), side(run=here, measures={"latency-ms": beside})
    )
    assert (check(result, "latency-ms").reason, check(result, "latency-ms").severity) == ("other-hardware", "warn")


def test_a_list_of_a_measure_that_is_not_known_to_be_noisy_has_an_interval_all_the_same() -> None:
    text = "measures: {widgets: higher}\ngate: {widgets: {max-drop: 1}}\n"
    base, head = (side(measures={"widgets": Measure(v, better="higher", noisy=False)}) for v in ((5.0, 9.0, 7.0), (4.0, 8.0, 5.5)))
    assert check(assemble(request(text), base, head), "widgets").verdict == "inconclusive"


def trained(name: str, size: int, **more: Measure) -> Loaded:
    return Loaded(label="x", run=run(name, trained=Model(f"sha256:{name}", size, "model"), built_in=more))


def test_the_size_of_the_model_is_gated_by_its_name_and_exactly() -> None:
    text = "gate: {model-size-mb: {max-rise: 10%}}\n"
    base = trained("1", 1_000_000)
    assert assemble(request(text), base, trained("2", 1_100_000)).exit == 0
    grown = assemble(request(text), base, trained("2", 1_100_001))
    assert (grown.exit, check(grown, "model-size-mb").message) == (1, "a count, compared exactly")
    assert grown.measures["model-size-mb"].unit == "MB"


def test_what_nobody_gated_stands_in_the_table_alone_and_the_users_own_measure_wins() -> None:
    result = assemble(request(""), trained("1", 1_000_000), trained("2", 5_000_000))
    assert (result.checks, result.measures["model-size-mb"].head) == ((), 5.0)
    own = replace(trained("2", 5_000_000), measures={"model-size-mb": Measure((1.0,), better="lower", noisy=False)})
    text = "gate: {model-size-mb: {max: 2}}\n"
    assert assemble(request(text), trained("1", 1_000_000), own).exit == 0
    assert assemble(request(text), trained("1", 1_000_000), trained("2", 5_000_000)).exit == 1


def test_memory_and_time_of_one_training_never_block_on_a_rise_and_do_on_a_maximum() -> None:
    text = "gate: {training-seconds: {max-rise: 10%, max: 100}, peak-memory-mb: {max-rise: 10%, max: 100}}\n"

    def one(name: str, value: float) -> Loaded:
        return trained(name, 1, **{"training-seconds": latency([value]), "peak-memory-mb": latency([value])})

    assert assemble(request(text), one("1", 10), one("2", 90)).exit == 0
    assert assemble(request(text), one("1", 10), one("2", 110)).exit == 1


def test_an_undecided_list_says_how_many_more_repeats_would_decide() -> None:
    base, head = side(measures={"latency-ms": latency(drawn(1, 40))}), side(measures={"latency-ms": latency(drawn(2, 40))})
    result = assemble(request("gate: {latency-ms: {max-rise: 2%}}\n"), base, head)
    needs = check(result, "latency-ms").needs
    assert needs is not None
    assert (needs.n or 0) > 40
    assert any("measurements would decide latency-ms" in line for line in result.next.more_data)


def test_a_change_does_not_report_the_size_of_its_own_model() -> None:
    """A number that the tool counts is not taken by that name, unless the baseline's evaluation reported it too."""
    gated = "gate: {model-size-mb: {max-rise: 10%, max: 50}}\n"
    own = {"model-size-mb": Measure((1.0,), "lower", noisy=False)}
    before, after = trained("1", 40_000_000), replace(trained("2", 90_000_000), measures=own)
    result = assemble(request(gated, base=gated), before, after)
    assert (check(result, "model-size-mb").head, result.exit) == (90.0, 1)
    assert any("reports a number of its own" in note for note in result.notes)
    both = assemble(request(gated, base=gated), replace(before, measures=own), after)
    assert (check(both, "model-size-mb").head, both.exit) == (1.0, 0)
