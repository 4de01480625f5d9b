"""What the author of a worse model may try in a pull request: each of these let it pass, or let it pass unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config, Train
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.bounds import resolve, stricter
from mlops_toolkit.gate.held import held
from mlops_toolkit.gate.work import Work
from mlops_toolkit.records.result import Result
from mlops_toolkit.records.run import loads
from tests.unit.gate import test_own_metrics as own
from tests.unit.gate.drawn import request, side
from tests.unit.gate.test_assemble import check, shifted

YES = "accepted: [{check: gate, reason: the new label set}]\n"
STRICT, LOOSE = (f"gate: {{accuracy: {{max-drop: {margin}}}}}\n" for margin in ("1pp", "9pp"))


def test_a_yes_to_a_looser_gate_is_over_when_it_is_merged() -> None:
    """Else the first one lets every later change loosen whatever it likes."""
    before, after = side(shifted(1900, 100, 0)), side(shifted(1900, 100, 100))
    fresh = assemble(request(LOOSE + YES, base=STRICT), before, after)
    assert (fresh.gate, fresh.exit) == ("passed", 0)
    standing = assemble(request(LOOSE + YES, base=STRICT + YES), before, after)
    assert (standing.gate, standing.exit) == ("failed", 1)
    assert any("was merged already" in note for note in standing.notes)
    again = LOOSE + YES.replace("the new label set", "another one")
    assert assemble(request(again, base=STRICT + YES), before, after).exit == 0, "said yes to anew, for everybody to see"


@pytest.mark.parametrize("key", ["confidence: 0.5\n", "when-uncertain: warn\n"])
def test_a_merged_yes_does_not_let_go_what_is_asked_of_all_checks(key: str) -> None:
    before, after = side(shifted(190, 10, 0)), side(shifted(190, 10, 4))
    base = STRICT + YES + ("when-uncertain: ask\n" if "when" in key else "confidence: 0.95\n")
    honest, loosened = (assemble(request(text, base=base), before, after) for text in (base, STRICT + YES + key))
    assert (loosened.exit, loosened.verdict) == (honest.exit, honest.verdict)


def test_a_fork_does_not_say_yes_to_a_gated_metric_that_is_gone() -> None:
    base = "evaluate: {run: x}\ngate: {bleu: {min: 0.5}}\n"
    with pytest.raises(InvalidFile, match="bleu is gated"):
        assemble(request("evaluate: {run: x}\n" + YES, base=base, forks_gate=True), None, side(shifted(190, 10, 0)))


def test_another_program_is_not_believed_by_limits_alone() -> None:
    limit = own.OWN + "gate: {cost: {max: 9}}\n"
    base, head = own.side(own.value(8, 1)), own.side(own.value(0, 2, signature="python:cost@2"), "2")
    result = assemble(own.request(limit, base=limit), base, head)
    assert (own.check(result).verdict, own.check(result).reason, result.exit) == ("inconclusive", "metric-redefined", 3)


def test_a_gated_slice_of_a_program_is_not_left_out_of_the_record() -> None:
    gated = own.GATED.replace("unit: eur}]", "unit: eur}], slices: [language]")
    base = own.side(own.value(10, 1), slices={"language=de": own.value(10, 3)})
    head = own.side(own.value(10, 2), "2")
    without = gated.replace(", slices: [language]", "")
    with pytest.raises(InvalidFile, match="language=de"):
        assemble(own.request(without, base=gated), base, head)
    assert assemble(own.request(without + YES, base=gated), base, head).exit == 0
    assert assemble(own.request(gated, base=gated), base, head).exit == 0, "where nothing is let go, its examples may all be gone"


@pytest.mark.parametrize("asked", ["max_drop", "improve_by", "max_gain"])
def test_a_share_of_nothing_is_looser_than_any_number(asked: str) -> None:
    """Nothing is ever shown to break it, so that `when-uncertain: warn` would let everything pass."""
    number, share = (
        resolve("m", Rule(**{asked: Margin.parse(text)}), direction="higher", baseline=0.0)  # type: ignore[arg-type]
        for text in ("1pp", "2%")
    )
    assert stricter(number, share) == (number, True)
    assert stricter(share, share) == (share, False)


GROUPS = "evaluate: {run: x, metrics: [accuracy], slices: [sex]}\n"
GAP = GROUPS + "gate: {accuracy: {max-drop: 9pp, slices: {max-drop: 2pp}, gap: {sex: 5pp}}}\n"
SEX = ["f" if (i // 2) % 2 else "m" for i in range(4000)]


def grouped(worse: int, sex: list[Any]) -> dict[str, list[Any]]:
    """Of 4,000 examples, half of either group, 200 are wrong and `worse` more, all of the group f."""
    target = ["cat" if i % 2 else "dog" for i in range(len(SEX))]
    other = {"cat": "dog", "dog": "cat"}
    broken = set(range(200)) | set([i for i, s in enumerate(SEX) if s == "f" and i >= 200][:worse])
    return {"target": target, "prediction": [other[t] if i in broken else t for i, t in enumerate(target)], "sex": sex}


def told(result: Result) -> list[tuple[str, str | None, str]]:
    return [(one.metric, one.slice, one.verdict) for one in result.checks]


@pytest.mark.parametrize("how", ["shuffled", "one value", "every one another", "numbers"])
def test_examples_are_not_moved_to_another_group(how: str) -> None:
    """Which group an example belongs to is the baseline's to say, where the base branch's gate asks about groups."""
    others: dict[str, list[Any]] = {
        "shuffled": [str(s) for s in np.random.default_rng(3).permutation(SEX)],
        "one value": ["x"] * 4000,
        "every one another": [f"x{i}" for i in range(4000)],
        "numbers": [i % 2 for i in range(4000)],
    }
    before = side(grouped(0, SEX))
    honest = assemble(request(GAP, base=GAP), before, side(grouped(180, SEX)))
    moved = assemble(request(GAP, base=GAP), before, side(grouped(180, others[how])))
    assert told(honest) == told(moved)
    assert (honest.exit, check(moved, "accuracy gap [sex]").verdict) == (1, "fail")
    assert any('the column "sex"' in note and "the baseline's values count" in note for note in moved.notes)
    assert not any("the column" in note for note in honest.notes)
    without = GAP.replace(", gap: {sex: 5pp}", "").replace("slices: {max-drop: 2pp}", "max-gain: 9pp")
    if how == "shuffled":
        agreed = assemble(request(GAP + YES, base=GAP), before, side(grouped(180, others[how])))
        assert check(agreed, "accuracy gap [sex]").verdict == "pass"
        assert any("this run's values count" in note for note in agreed.notes), "said yes to, and shown"
        assert assemble(request(without), before, side(grouped(0, others[how]))).exit == 0


def test_a_column_that_is_written_otherwise_is_the_same_column() -> None:
    old, new = grouped(0, [i % 3 for i in range(4000)]), grouped(0, [float(i % 3) for i in range(4000)])
    result = assemble(request(GAP, base=GAP), side(old), side(new))
    assert result.exit == 0
    assert not any("the column" in note for note in result.notes)


def test_groups_that_are_exactly_alike_are_not_said_to_be_furthest_apart() -> None:
    rows = grouped(0, ["f" if i % 40 < 20 else "m" for i in range(4000)])
    one = check(assemble(request(GAP), side(rows), side(rows)), "accuracy gap [sex]")
    assert one.head == 0
    assert "furthest apart" not in (one.message or "")
    assert (one.verdict, one.groups) == ("pass", ())


@pytest.mark.parametrize(("mine", "said"), [((7, 8, 9), "train.seeds 0, 1, 2 → 7, 8, 9"), ((0, 1, 2, 3), None), ((2, 1, 0), None)])
def test_other_seeds_are_told(mine: tuple[int, ...], said: str | None) -> None:
    """They may be the lucky ones. More of them are nobody's harm."""
    work = Work()
    base, head = (Config("m", train=Train("x", "m", seeds=seeds)) for seeds in ((0, 1, 2), mine))
    held(work, replace(request(), config=head, base_config=base))
    assert work.loosened == ([said] if said else [])


@pytest.mark.parametrize("change", [{"value": 1e308}, {"left-out": [1e308] * 100}, {"value": -1e301}, {"n": -5}])
def test_a_record_holds_no_numbers_that_overflow(change: dict[str, Any]) -> None:
    metric = {"value": 1.0, "n": 100, "signature": "python:cost@1", "direction": "lower", "groups": "100:a"} | change
    for place in ({"metrics": {"cost": metric}}, {"slices": {"de": {"cost": metric}}}):
        with pytest.raises(InvalidFile, match=r"metrics\.cost"):
            loads(json.dumps({"schema": 1, "id": "20260101-000000-000002", "model": "pets", **place}), where="run.json")
