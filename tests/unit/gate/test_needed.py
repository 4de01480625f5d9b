"""Every undecided check says what would decide it: so many more of what it counts, another bound, or, where no number does, what else."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlops_toolkit
from mlops_toolkit.gate import needed
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.loaded import Loaded, scalars
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.report import rows
from mlops_toolkit.stats import gap_sizes
from mlops_toolkit.stats.gaps import gap, groups
from mlops_toolkit.stats.sample import Sample
from tests.unit.gate.drawn import answers, request, side
from tests.unit.gate.test_gaps import people, said
from tests.unit.gate.test_measures import latency
from tests.unit.gate.test_own_metrics import GATED as OWN
from tests.unit.gate.test_own_metrics import side as own_side
from tests.unit.gate.test_own_metrics import value as own_value
from tests.unit.gate.test_seeds import TRUTH, record
from tests.unit.gate.test_seeds import answers as lucky_answers
from tests.unit.gate.test_seeds import value as lucky_value
from tests.unit.stats.samples import named

PACKAGE = Path(mlops_toolkit.__file__).parent


def gated(rule: str, metric: str = "accuracy", more: str = "") -> str:
    return f"evaluate: {{run: x, metrics: ['{metric}']{more}}}\ngate: {{'{metric}': {{{rule}}}}}\n"


def shifted(n: int, broken: int, fixed: int) -> dict[str, Any]:
    """9 of 10 right; so many of those broken and of the others fixed."""
    made = answers(n * 9 // 10, n - n * 9 // 10)
    other = {"cat": "dog", "dog": "cat"}
    for i in [*range(broken), *range(n * 9 // 10, n * 9 // 10 + fixed)]:
        made["prediction"][i] = other[made["prediction"][i]]
    return made


def users(columns: dict[str, Any], many: int) -> dict[str, Any]:
    return {**columns, "cluster": [f"u{i % many}" for i in range(len(columns["target"]))]}


def numbers(n: int, off: float, seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    target = np.random.default_rng(0).normal(size=n)
    return {"target": target.tolist(), "prediction": (target + off + draw.normal(size=n)).tolist()}


def compared(text: str, base: dict[str, Any] | None, head: dict[str, Any], **how: Any) -> Result:
    return assemble(request(text), None if base is None else side(base, **how), side(head, **how))


def measured(rule: str, old: list[float], new: list[float], **more: Any) -> Result:
    text = f"gate: {{{rule}}}\n"
    return assemble(request(text), side(measures={"latency-ms": latency(old)}), side(measures={"latency-ms": latency(new, **more)}))


def lucky(margin: str) -> Result:
    text = f"scope: recipe\nevaluate: {{run: x, metrics: [accuracy]}}\ngate: {{accuracy: {{max-drop: {margin}}}}}\n"
    first, second = record("1", lucky_value(), "20261124-092057-aaaaaa"), record("2", lucky_value(), "20261124-092057-bbbbbb")
    return assemble(request(text), side(TRUTH, run=first), side(lucky_answers(1, TRUTH), run=second))


def many_slices() -> Result:
    """A slice that is worse by its own interval and not at the level of all forty of them."""
    n = 4000
    part = {"part": [f"p{i % 40:02}" for i in range(n)]}
    base, head = answers(n, 0), answers(n, 0)
    for i in range(0, n, 40):
        if i < 40 * 11:
            head["prediction"][i] = {"cat": "dog", "dog": "cat"}[head["prediction"][i]]
    return compared(gated("max-drop: 2pp, slices: {max-drop: 3pp}", more=", slices: [part]"), {**base, **part}, {**head, **part})


def low_slice() -> dict[str, Any]:
    """Forty slices of a hundred, of which the first gets 89 right."""
    made = answers(4000, 0) | {"part": [f"p{i % 40:02}" for i in range(4000)]}
    for i in range(0, 40 * 11, 40):
        made["prediction"][i] = {"cat": "dog", "dog": "cat"}[made["prediction"][i]]
    return made


CASES: dict[str, tuple[Callable[[], Result], str | None, str]] = {
    # name -> the comparison, the reason of its undecided check, and what is said of it
    "margin": (lambda: compared(gated("max-drop: 1pp"), shifted(2000, 0, 0), shifted(2000, 44, 36)), None, r"about 3,\d\d0 examples \(have 2,000\), or a margin of 1.5 pp"),
    "margin, the change in doubt": (lambda: compared(gated("max-drop: 1pp"), shifted(2000, 0, 0), shifted(2000, 13, 0)), None, r"about \d,\d\d0 examples \(have 2,000\) if it is what it looks like, or a margin of 1.5 pp"),
    "improve-by": (lambda: compared(gated("improve-by: 1pp"), shifted(2000, 0, 0), shifted(2000, 10, 40)), None, r"about \d,\d\d0 examples \(have 2,000\) if it is what it looks like, or an improvement of 0.8\d pp asked for"),
    "improve-by, short of it": (lambda: compared(gated("improve-by: 1pp"), shifted(2000, 0, 0), shifted(2000, 10, 25)), None, r"about \d+,\d+0 examples"),
    "min": (lambda: compared(gated("min: 0.91"), None, shifted(400, 0, 0)), "near-min", r"about \d,\d\d0 examples \(have 400\) if it is what it looks like, or a min of 0.866"),
    "max of an error, by users": (lambda: compared(gated("max: 0.84", "mae"), None, users(numbers(400, 0.5, 1), 20), task="regression"), "near-max", r"about \d+ clusters \(have 20\) if it is what it looks like, or a max of 0.8\d"),
    "min and margin": (lambda: compared(gated("max-drop: 0.5pp, min: 0.905"), shifted(2000, 0, 0), shifted(2000, 40, 40)), "near-min", r"about \d+,\d00 examples \(have 2,000\) if it is what it looks like$"),
    "clusters": (lambda: compared(gated("max-drop: 2pp"), users(shifted(400, 0, 0), 26), users(shifted(400, 11, 4), 26)), None, r"about \d+ clusters \(have 26\), or a margin of"),
    "too few clusters": (lambda: compared(gated("max-drop: 2pp"), users(shifted(400, 0, 0), 8), users(shifted(400, 11, 4), 8)), "too-few", r"about \d+ clusters \(have 8\)"),
    "too few that differ": (lambda: compared(gated("max-rise: 0.1", "mae"), numbers(60, 0, 1), {**numbers(60, 0, 1), "prediction": [*numbers(5, 1, 1)["prediction"], *numbers(60, 0, 1)["prediction"][5:]]}, task="regression"), "too-few", r"about [\d,]+ examples \(have 60\)"),
    "every row alike": (lambda: compared(gated("max-rise: 0.1", "mae"), {"target": [0.0] * 50, "prediction": [1.0] * 50}, {"target": [0.0] * 50, "prediction": [1.05] * 50}, task="regression"), "too-few", "no number of examples"),
    "min on a first run": (
        lambda: compared(gated("max-drop: 1pp, min: 0.91"), None, shifted(400, 0, 0)),
        "near-min",
        r"about \d,\d\d0 examples \(have 400\)",
    ),
    "min, one of many": (
        lambda: compared(
            gated("slices: {min: 0.95}", more=", slices: [part]"),
            None,
            low_slice(),
        ),
        "multiplicity",
        r"about \d+ examples \(have 100\)",
    ),
    "small slice": (lambda: compared(gated("max-drop: 2pp, slices: {max-drop: 3pp, min-examples: 200}", more=", slices: [{odd: \"target = 'cat'\"}]"), shifted(300, 0, 0), shifted(300, 3, 3)), "too-small", r"about [\d,]+ examples \(have 150\)"),
    "many slices": (many_slices, "multiplicity", r"about \d+ examples \(have 100\) if it is what it looks like"),
    "gap": (lambda: assemble(request(said("5pp")), None, side(people({"female": 80, "male": 45}, size=2000, few=0))), "near-max", r"about \d+,\d+0 examples of each of 2 groups \(have 2,000\) if it is what it looks like, or a max of"),
    "gap of a small group": (lambda: assemble(request(said("7.6pp")), None, side(people({"female": 160, "male": 160, "other": 2}, size=4000, few=150))), "near-max", r"about [\d,]+ examples of the group .other. \(have 150\) if it is what it looks like"),
    "gap that grew": (lambda: assemble(request(said("{max-rise: 2pp}")), side(people({"female": 60, "male": 50}, size=600)), side(people({"female": 63, "male": 52}, size=600))), None, r"about [\d,]+ examples \(have 1,200\)"),
    "one group": (lambda: assemble(request(said("5pp")), None, side(people({}, size=20))), "too-few-groups", "two groups must each have"),
    "seeds": (lambda: lucky("12%"), None, r"\d+ seeds \(have 1\)"),
    "seeds and examples": (lambda: lucky("2pp"), None, r"examples \(have 4,000\) and \d+ seeds \(have 1\)"),
    "latency": (lambda: measured("latency-ms: {max-rise: 10%}", [10 + 7 * i % 5 for i in range(30)], [10.9 + 7 * i % 5 for i in range(30)]), None, r"about \d+ measurements \(have 30\)"),
    "latency's percentile": (lambda: measured("'p95:latency-ms': {max-rise: 10%}", list(range(40)), list(range(40))), "too-few", r"about \d+ measurements \(have 40\)"),
    "latency's limit": (lambda: measured("latency-ms: {max: 12.2}", [10, 11], [10 + i % 5 for i in range(90)]), "near-max", r"about \d+ measurements \(have 90\) if it is what it looks like, or a max of 1\d"),
    "latency's limit, of few": (lambda: measured("latency-ms: {max: 50}", [10, 11], [10 + i % 5 for i in range(30)]), "too-few", r"about 90 measurements \(have 30\)"),
    "one latency": (lambda: measured("latency-ms: {max-rise: 10%}", [10], [12]), "noisy-single", "`mlops measure`"),
    "own metric": (lambda: assemble(request(OWN), own_side(own_value(10, 1)), own_side(own_value(10, 2, spread=0.05), "2")), None, r"about [\d,]+ examples \(have 1,000\)"),
    "own metric, another program": (lambda: assemble(request(OWN), own_side(own_value(10, 1)), own_side(own_value(10, 2, signature="python:cost@2"), "2")), "metric-redefined", "from the next change on"),
    "quantile": (lambda: compared(gated("max-rise: 0.05", "median-absolute-error"), numbers(500, 0, 1), numbers(500, 0.05, 2), task="regression"), None, r"about [\d,]+ examples \(have 500\)"),
    "other examples": (lambda: compared(gated("max-drop: 1pp"), {"id": [f"a{i}" for i in range(100)], **shifted(100, 0, 0)}, {"id": [f"b{i}" for i in range(100)], **shifted(100, 0, 0)}), "data-changed", "once `mlops evaluate` can"),
    "one class": (lambda: compared(gated("max-drop: 1pp", "roc-auc", ", positive: cat"), *({"target": ["cat"] * 50, "prediction": ["cat"] * 50, "score": [i / 50 for i in range(50)]},) * 2, positive="cat"), "one-class", "examples of both classes"),
    "a share of 0": (lambda: compared(gated("max-rise: 10%", "mae"), {"target": [float(i) for i in range(30)], "prediction": [float(i) for i in range(30)]}, numbers(30, 0, 1) | {"target": [float(i) for i in range(30)]}, task="regression"), "zero-baseline", "write what is allowed as a number"),
    "no number": (lambda: assemble(request("gate: {accuracy: {max-drop: 1pp}}\nmeasures: {accuracy: higher}\n"), Loaded("main", scalars=scalars({"accuracy": 0.9})), Loaded("x", scalars=scalars({"accuracy": None}))), "no-value", "a number on both sides"),  # type: ignore[dict-item]
    "exactly on it": (lambda: compared(gated("max-drop: 1pp"), shifted(2000, 0, 0), shifted(2000, 20, 0)), None, "deciding it needs a margin of 2.0 pp"),
}  # fmt: skip


def open_check(result: Result, reason: str | None) -> Check:
    return next(c for c in result.checks if c.verdict == "inconclusive" and c.reason == reason)


@pytest.mark.parametrize("name", CASES)
def test_what_would_decide_it_is_said(name: str) -> None:
    import re

    make, reason, words = CASES[name]
    result = make()
    check = open_check(result, reason)
    assert re.search(words, rows.why(check) or ""), rows.why(check)
    for one in result.checks:
        assert one.verdict != "inconclusive" or rows.needs(one), (one.metric, one.slice, one.reason)
    assert check.needs is not None
    if check.needs.n is not None and not check.needs.together:
        assert check.needs.n > (check.n if check.needs.have is None else check.needs.have), "more than there are"


NUMBERED = {"too-few", "too-small", "near-min", "near-max", "multiplicity"}
DECIDED = {  # of a check that passes, fails or waits
    "first-run", "metric-new", "large-gain", "suspicious-gain", "not-improved", "noise-untested", "same-model",
    "below-min", "above-max", "ok",
}  # fmt: skip


def _literals(tree: ast.AST) -> set[str]:
    """What is written for `reason=`, `state=`, `head_state=` and as the third word of a Part."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            values = [k.value for k in node.keywords if k.arg in ("reason", "state", "head_state", "baseline_state")]
            if isinstance(node.func, ast.Name) and node.func.id == "Part" and len(node.args) > 2:
                values.append(node.args[2])
            for value in values:
                found |= {c.value for c in ast.walk(value) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
    return found


def test_no_reason_is_forgotten() -> None:
    files = [*(PACKAGE / "gate").glob("*.py"), *(PACKAGE / "stats").rglob("*.py")]
    found = set().union(*(_literals(ast.parse(path.read_text(encoding="utf-8"))) for path in files))
    assert {"too-few", "one-class", "noisy-single", "multiplicity"} <= found, "the search finds them"
    kinds = {name for name in found if not name.endswith("-")}
    assert kinds - NUMBERED - DECIDED - set(needed.INSTEAD) == set()
    assert {reason for _, reason, _ in CASES.values()} >= NUMBERED


def test_a_gain_that_may_be_chance_says_how_many_examples_would_tell() -> None:
    result = compared(gated("max-gain: 1pp"), shifted(2000, 0, 0), shifted(2000, 2, 26))
    check = next(c for c in result.checks if c.metric == "accuracy")
    assert (check.verdict, check.reason) == ("pass", "large-gain")
    assert "it may be chance; about" in (rows.why(check) or "")
    assert result.next.more_data == (), "nothing stands in the way"


# --- the numbers, by simulation


def _decided(draw: Callable[[np.random.Generator, int], Result], n: int, times: int) -> float:
    rng = np.random.default_rng(n)
    return float(np.mean([draw(rng, n).checks[0].verdict != "inconclusive" for _ in range(times)]))


@pytest.mark.slow
def test_as_many_clusters_as_are_asked_for_decide_four_times_in_five() -> None:
    size = 12

    def drawn(rng: np.random.Generator, many: int, off: float) -> tuple[dict[str, Any], dict[str, Any]]:
        user = np.repeat(rng.normal(0, 0.3, many), size)
        target = rng.normal(size=many * size)
        base, head = target + rng.normal(size=len(target)), target + rng.normal(size=len(target)) * (1 + 0.1 * user) + off
        return tuple(  # type: ignore[return-value]
            {"target": target.tolist(), "prediction": p.tolist(), "cluster": [f"u{i // size}" for i in range(len(target))]}
            for p in (base, head)
        )

    text = gated("max-rise: 0.08", "mae")
    first = compared(text, *drawn(np.random.default_rng(5), 26, 0.0), task="regression")
    wanted = first.checks[0].needs
    assert wanted is not None
    assert wanted.of == "clusters"
    assert wanted.n is not None
    share = _decided(lambda rng, n: compared(text, *drawn(rng, n, 0.0), task="regression"), wanted.n, 150)
    assert 0.65 <= share <= 0.95  # the spread that it is told from was seen in 26 users


@pytest.mark.parametrize(("right", "limit"), [(0.93, 0.91), (0.89, 0.91), (1.0, 0.97)])
def test_as_many_examples_as_are_asked_for_show_a_value_to_lie_on_its_side(right: float, limit: float) -> None:
    text = gated(f"min: {limit}")
    first = compared(text, None, answers(round(right * 100), 100 - round(right * 100)))
    wanted = first.checks[0].needs
    assert wanted is not None
    assert wanted.n is not None

    def draw(rng: np.random.Generator, n: int) -> Result:
        good = int(rng.binomial(n, right))
        return compared(text, None, answers(good, n - good))

    share = _decided(draw, wanted.n, 120)
    assert share == 1.0 if right == 1.0 else 0.68 <= share <= 0.92


def test_as_many_of_the_smaller_group_as_are_asked_for_decide_the_gap() -> None:
    accuracy, n_large, limit = named("accuracy"), 6000, 0.06

    def sample(rng: np.random.Generator, small: int) -> tuple[Sample, Any]:
        codes = np.repeat([0, 1], [n_large, small])
        wrong = rng.random(len(codes)) < np.where(codes == 0, 0.08, 0.09)
        target = np.zeros(len(codes), np.int32)
        return Sample(len(codes), target, wrong.astype(np.int32), ("a", "b")), codes

    def verdict(rng: np.random.Generator, small: int) -> bool:
        one, codes = sample(rng, small)
        found = gap(accuracy, groups(accuracy, one, codes, ("large", "small")), 0.95)
        assert found is not None
        assert found.high is not None
        return found.high <= limit or (found.low or 0) > limit

    exact = Sample(
        n_large + 200, np.zeros(n_large + 200, np.int32), np.r_[np.arange(n_large) < 480, np.arange(200) < 18].astype(np.int32), ("a", "b")
    )
    parts = groups(accuracy, exact, np.repeat([0, 1], [n_large, 200]), ("large", "small"))
    wanted = gap_sizes.enough(accuracy, parts, limit)
    assert wanted is not None
    assert (wanted.of, wanted.have) == ('examples of the group "small"', 200)
    rng = np.random.default_rng(1)
    share = float(np.mean([verdict(rng, wanted.n or 0) for _ in range(400)]))
    assert 0.74 <= share <= 0.9


def test_seeds_that_are_asked_for_are_told_with_the_examples_where_neither_does_alone() -> None:
    alone, both = (open_check(lucky(margin), None).needs for margin in ("12%", "2pp"))
    assert alone is not None
    assert both is not None
    assert (alone.have_seeds, alone.together) == (1, False)
    assert both.together
    assert (both.seeds or 0) > (alone.seeds or 0)


def test_a_measure_is_repeated_and_not_answered() -> None:
    result = measured("latency-ms: {max-rise: 10%}", [10 + 7 * i % 5 for i in range(30)], [10.9 + 7 * i % 5 for i in range(30)])
    assert result.next.more_data[0].startswith("+")
    assert "measurements would decide latency-ms (have 30)" in result.next.more_data[0]
