"""The base branch's gate counts where the head's asks less: for every key there is, so that one that is forgotten fails here."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.rules import AgainstRule, GapRule, Rule, SliceRule, WarnRule
from mlops_toolkit.config.schema import Config, Looks, Train
from mlops_toolkit.gate.assemble import assemble
from mlops_toolkit.gate.bounds import Bounds, resolve, stricter
from mlops_toolkit.gate.held import LOOSER, held
from mlops_toolkit.gate.parts import ORDER, by_interval
from mlops_toolkit.gate.work import Work
from mlops_toolkit.records.run import Measure
from mlops_toolkit.stats.paired import Paired
from tests.unit.gate.drawn import answers, request, side
from tests.unit.gate.test_assemble import shifted, sliced

margin = Margin.parse
# (rule, key) -> what asks more, what asks less; and what must stand beside it
VALUES: dict[tuple[type, str], tuple[Any, Any]] = {
    (kind, key): values
    for kind in (Rule, SliceRule, WarnRule, AgainstRule)
    for key, values in (("max_drop", (margin("1pp"), margin("2pp"))), ("max_rise", (margin("1pp"), margin("2pp"))))
}
VALUES |= {
    (kind, key): values
    for kind in (Rule, WarnRule)
    for key, values in (("improve_by", (margin("2pp"), margin("1pp"))), ("max_gain", (margin("5pp"), margin("10pp"))))
}
VALUES |= {(kind, key): values for kind in (Rule, SliceRule, WarnRule) for key, values in (("min", (0.9, 0.8)), ("max", (0.8, 0.9)))}
VALUES |= {
    (GapRule, "max"): (margin("1pp"), margin("5pp")),
    (GapRule, "max_rise"): (margin("1pp"), margin("5pp")),
    (SliceRule, "must"): ("pass", None),
    (SliceRule, "min_examples"): (None, 200),
    (GapRule, "min_examples"): (None, 200),
    (Rule, "severity"): ("gate", "warn"),
}
BESIDE = {"must": {"max_drop": margin("1pp")}, "min_examples": {"max_drop": margin("1pp")}, "severity": {"max_drop": margin("1pp")}}
# Rules of their own (they stand in the table under their own type), and a direction, which is held where the direction is asked for.
ELSEWHERE = {(Rule, "slices"), (Rule, "gap"), (Rule, "against"), (Rule, "warn"), (Rule, "better")}


@pytest.mark.parametrize("kind", [Rule, SliceRule, GapRule, AgainstRule, WarnRule])
def test_every_key_of_every_rule_is_in_the_table(kind: type) -> None:
    keys = {(kind, field.name) for field in dataclasses.fields(kind)}
    assert keys == {key for key in (*VALUES, *ELSEWHERE) if key[0] is kind}


@pytest.mark.parametrize(("kind", "key"), list(VALUES), ids=[f"{kind.__name__}.{key}" for kind, key in VALUES])
@pytest.mark.parametrize("baseline", [0.85, None])
def test_the_stricter_value_of_each_key_counts(kind: type, key: str, baseline: float | None) -> None:
    direction = "lower" if key == "max_rise" else "higher"
    asks_more, asks_less = VALUES[kind, key]
    beside = {"max": margin("5pp")} if kind is GapRule and key == "min_examples" else BESIDE.get(key, {})
    much, little, nothing = (
        resolve("m", kind(**{**beside, key: value}), direction=direction, baseline=baseline)
        for value in (asks_more, asks_less, None if key != "severity" else "info")
    )
    kept, loosened = stricter(much, little)
    assert (kept, loosened) == (much, True)
    assert stricter(little, much) == (much, False)
    assert stricter(much, much) == (much, False)
    if asks_more is not None:
        assert stricter(much, nothing)[1], "left out is looser"
        assert stricter(nothing, much) == (much, False)


FRACTIONS = st.sampled_from([0.0, 0.001, 0.005, 0.01, 0.02, 0.05])


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    margin = draw(st.none() | FRACTIONS)
    improve = draw(st.none() | FRACTIONS) if margin is None else None
    gain = draw(st.none() | FRACTIONS)
    text = lambda value: None if value is None else f"{value:g}"
    return Bounds(
        margin=margin,
        margin_text=text(margin),
        improve=improve,
        improve_text=text(improve),
        gain=gain,
        gain_text=text(gain),
        min=draw(st.none() | st.sampled_from([0.8, 0.9, 0.91])),
        max=draw(st.none() | st.sampled_from([0.89, 0.9, 0.95])),
    )


@settings(max_examples=500, deadline=None)
@given(bounds(), bounds(), st.floats(-0.08, 0.08), st.floats(0.0005, 0.03))
def test_what_counts_never_lets_pass_what_either_stops(base: Bounds, head: Bounds, change: float, reach: float) -> None:
    """Whatever is measured: the stricter of two is no better a verdict than each of them is."""
    paired = Paired(
        "m",
        1000,
        0.9,
        0.9 + change,
        change,
        change - reach,
        change + reach,
        reach / 2,
        df=999,
        head_low=0.9 + change - reach,
        head_high=0.9 + change + reach,
    )
    kept = stricter(base, head)[0]
    one, other, both = (by_interval(paired, asked, 0.95) for asked in (base, head, kept))
    assert ORDER[both.verdict] <= min(ORDER[one.verdict], ORDER[other.verdict])
    if both.verdict == "inconclusive" and "inconclusive" in (one.verdict, other.verdict):
        assert both.leaning == "beyond" or "beyond" not in (one.leaning, other.leaning)


def test_an_improvement_asks_more_than_any_margin() -> None:
    drop, gain = (
        resolve("m", rule, direction="higher", baseline=0.9) for rule in (Rule(max_drop=margin("1pp")), Rule(improve_by=margin("1pp")))
    )
    assert stricter(drop, gain) == (gain, False)
    assert stricter(gain, drop) == (gain, True)


# --- of the whole configuration: what is held, and what asks nothing of a check

TRAIN = {"run": "x", "output": "m"}
KEYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "confidence": ({"confidence": 0.95}, {"confidence": 0.5}, "confidence 0.95 → 0.5"),
    "when_uncertain": ({"when_uncertain": "fail"}, {"when_uncertain": "ask"}, "when-uncertain fail → ask"),
    "against": ({"against": ("main", "release", "v1")}, {"against": ("main",)}, "against release, v1 → not held against"),
    "scope": ({"scope": "recipe"}, {"scope": "artifact"}, "scope recipe → artifact"),
    "looks": ({"looks": Looks(5, "each")}, {"looks": Looks(9, "none")}, "looks.spend each → none; looks.warn-after 5 → 9"),
    "train": ({"train": Train(**TRAIN, seeds=(0, 1, 2))}, {"train": Train(**TRAIN, seeds=(0,))}, "train.seeds 3 → 1"),
}
NOT_OF_THE_GATE = {"name", "model", "models", "history", "comment", "publish", "deploy", "monitor", "allow_forks"}
HELD_ELSEWHERE = {"gate", "accepted", "evaluate", "measures", "self_reported"}  # by rule, by check, by metric, and by compare.reported


def test_every_key_of_a_configuration_is_held_or_asks_nothing() -> None:
    assert {field.name for field in dataclasses.fields(Config)} == {*KEYS, *NOT_OF_THE_GATE, *HELD_ELSEWHERE}
    assert set(LOOSER) == {*KEYS} - {"train"}


@pytest.mark.parametrize("key", list(KEYS))
def test_what_asks_less_of_every_check_is_said_and_does_not_count(key: str) -> None:
    more, less, said = KEYS[key]
    base, head = Config("m", **more), Config("m", **less)
    plain = request()
    work = Work()
    kept = held(work, dataclasses.replace(plain, config=head, base_config=base)).config
    assert work.loosened == [said]
    if key != "train":
        assert getattr(kept, key) == getattr(base, key)
    assert kept.scope == ("recipe" if key in ("scope", "train") else None)
    from mlops_toolkit.config.rules import Accepted

    work = Work()
    yes = dataclasses.replace(head, accepted=(Accepted("gate", "agreed"),))
    assert held(work, dataclasses.replace(plain, config=yes, base_config=base)).config == yes
    assert work.loosened == [said], "accepted, and shown"
    fork = held(Work(), dataclasses.replace(plain, config=yes, base_config=base, forks_gate=True)).config
    assert key == "train" or getattr(fork, key) == getattr(base, key)
    work = Work()
    other = key in ("confidence", "scope")  # neither value asks for more than the other: what the base branch asked counts
    assert held(work, dataclasses.replace(plain, config=base, base_config=head)).config == base or other
    assert not work.loosened or other, "asking more is nobody's harm"


# --- through the whole comparison

METRICS = "evaluate: {run: x, metrics: [accuracy], slices: [language]}\n"
GATES = [
    ("{max-drop: 1pp}", "{max-drop: 9pp}", "accuracy 1pp → 9pp", 60),
    ("{improve-by: 1pp}", "{max-drop: 9pp}", "accuracy improve-by 1pp → 9pp", 60),
    ("{min: 0.99}", "{min: 0.5}", "accuracy min 0.99 → min 0.5", 60),
    ("{max: 0.5}", "{max: 0.999}", "accuracy max 0.5 → max 0.999", 60),
    ("{max-drop: 1pp}", "{max-drop: 1pp, severity: info}", "accuracy 1pp → 1pp info", 60),
    ("{max-drop: 1pp}", "{warn: {max-drop: 1pp}}", "accuracy 1pp → not gated", 60),
    ("{max-drop: 9pp, slices: {max-drop: 2pp}}", "{max-drop: 9pp, slices: {max-drop: 9pp}}", "accuracy slices 2pp → 9pp", 20),
    ("{max-drop: 9pp, slices: {min: 0.99}}", "{max-drop: 9pp}", "slice language → not judged", 60),
    (
        "{max-drop: 9pp, slices: {max-drop: 2pp}}",
        "{max-drop: 9pp, slices: {max-drop: 2pp, min-examples: 1000}}",
        "accuracy slices 2pp → 2pp from 1,000 examples",
        20,
    ),
]


@pytest.mark.parametrize(("base", "mine", "said", "broken"), GATES)
def test_a_looser_gate_is_named_and_does_not_help(base: str, mine: str, said: str, broken: int) -> None:
    config = METRICS + f"gate: {{accuracy: {base}}}\n"
    loose = (METRICS if "not judged" not in said else METRICS.replace(", slices: [language]", "")) + f"gate: {{accuracy: {mine}}}\n"
    before, after = side(sliced(0)), side(sliced(broken))
    strict = assemble(request(config), before, after)
    assert strict.exit == 1
    result = assemble(request(loose, base=config), before, after)
    assert result.exit == 1
    assert said in result.notes[0]
    yes = assemble(request(loose + "accepted: [{check: gate, reason: agreed, until: 2026-11-24}]\n", base=config), before, after)
    assert yes.exit == 0, "agreed"
    assert said in yes.notes[0]
    late = assemble(request(loose + "accepted: [{check: gate, reason: agreed, until: 2026-11-23}]\n", base=config), before, after)
    assert late.exit == 1
    assert "`accepted:` of gate ended on 2026-11-23" in late.notes
    assert assemble(request(loose, base=config, forks_gate=True), before, after).exit == 1


@pytest.mark.parametrize("mine", ["{gap: {language: {max: 60pp}}}", "{max-drop: 9pp}"])
def test_groups_stay_together_as_the_base_branch_asks(mine: str) -> None:
    config = METRICS + "gate: {accuracy: {gap: {language: {max: 5pp}}}}\n"
    before, after = side(sliced(0)), side(sliced(90))
    loose = METRICS + f"gate: {{accuracy: {mine}}}\n"
    assert (assemble(request(loose), before, after).exit, assemble(request(config), before, after).exit) == (0, 1)
    result = assemble(request(loose, base=config), before, after)
    assert result.exit == 1
    assert "accuracy gap [language] max 0.05 → " in result.notes[0]


def test_less_of_an_improvement_is_no_improvement() -> None:
    config = "evaluate: {run: x, metrics: [accuracy]}\ngate: {accuracy: {improve-by: 3pp}}\n"
    before, after = side(answers(1800, 200)), side(shifted(1800, 200, 0, 40))
    loose = config.replace("3pp", "0.1pp")
    assert (assemble(request(loose), before, after).exit, assemble(request(config), before, after).exit) == (0, 1)
    result = assemble(request(loose, base=config), before, after)
    assert result.exit == 1
    assert "accuracy improve-by 3pp → improve-by 0.1pp" in result.notes[0]


def test_a_suspicious_gain_stays_suspicious() -> None:
    config = METRICS.replace(", slices: [language]", "") + "gate: {accuracy: {max-gain: 1pp}}\n"
    for mine in ("{max-gain: 9pp}", "{max-drop: 1pp}"):
        result = assemble(
            request(config.replace("{max-gain: 1pp}", mine), base=config), side(answers(1800, 200)), side(shifted(1800, 200, 0, 120))
        )
        assert result.exit == 1
        assert "accuracy max-gain 1pp → " in result.notes[0]


def test_a_warning_of_the_base_branch_is_given_though_the_head_takes_it_out() -> None:
    config = "gate: {accuracy: {max-drop: 9pp, warn: {max-drop: 1pp}}}\n"
    result = assemble(
        request(config.replace(", warn: {max-drop: 1pp}", ""), base=config), side(answers(1900, 100)), side(shifted(1900, 100, 90))
    )
    assert [c.verdict for c in result.checks if c.warning] == ["fail"]
    assert "accuracy warn 1pp warn → not gated" in result.notes[0]


def test_a_measure_cannot_be_turned_round() -> None:
    """What was better low is not better high because the head says so."""
    before, after = (side(answers(9, 1), measures={"widgets": Measure((n,), noisy=False)}) for n in (10.0, 5.0))
    base = "evaluate: {run: x}\nmeasures: {widgets: higher}\ngate: {widgets: {improve-by: 1}}\n"
    turned = base.replace("widgets: higher", "widgets: lower")
    assert assemble(request(turned), before, after).exit == 0
    result = assemble(request(turned, base=base), before, after)
    assert result.exit == 1
    assert "widgets better: higher → lower" in result.notes[0]
    assert assemble(request(turned + "accepted: [{check: gate, reason: agreed}]\n", base=base), before, after).exit == 0
