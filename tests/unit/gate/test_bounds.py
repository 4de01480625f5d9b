"""What is allowed, in numbers."""

import pytest

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.rules import Rule, SliceRule
from mlops_toolkit.errors import UsageError
from mlops_toolkit.gate.bounds import Bounds, resolve, shown, stricter


def rule(**said: str | float) -> Rule:
    return Rule(**{k: Margin.parse(v) if isinstance(v, str) and k.startswith("max_") else v for k, v in said.items()})


def small(least: int | None) -> SliceRule:
    return SliceRule(max_drop=Margin.parse("1pp"), min_examples=least)


@pytest.mark.parametrize(
    ("text", "baseline", "margin"),
    [("1pp", 0.9, 0.01), ("2%", 0.9, 0.018), ("0.02", 0.9, 0.02), ("2%", -0.5, 0.01), ("10%", 40.0, 4.0)],
)
def test_a_margin_is_in_the_metrics_unit_whatever_it_was_written_in(text: str, baseline: float, margin: float) -> None:
    made = resolve("m", rule(max_drop=text), direction="higher", baseline=baseline)
    assert made.margin == pytest.approx(margin)
    assert not made.zero_baseline


def test_a_share_of_a_baseline_of_zero_is_no_margin() -> None:
    assert resolve("m", rule(max_drop="2%"), direction="higher", baseline=0.0).zero_baseline


def test_without_a_baseline_margins_wait_and_limits_do_not() -> None:
    made = resolve("m", rule(max_drop="2%", min=0.8), direction="higher", baseline=None)
    assert made.waiting
    assert made.margin is None
    assert made.min == 0.8
    assert resolve("m", rule(max_drop="1pp"), direction="higher", baseline=None).margin == pytest.approx(0.01)


@pytest.mark.parametrize(("said", "direction", "meant"), [("max_rise", "higher", "max-drop"), ("max_drop", "lower", "max-rise")])
def test_a_margin_on_the_wrong_side_is_refused_with_the_right_word(said: str, direction: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("latency", rule(**{said: "1"}), direction=direction, baseline=1.0)  # type: ignore[arg-type]
    assert caught.value.name == "wrong-direction"
    assert meant in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("base", "head", "loose"),
    [
        (rule(max_drop="1pp"), rule(max_drop="5pp"), True),
        (rule(max_drop="1pp"), rule(max_drop="1pp"), False),
        (rule(max_drop="1pp"), rule(max_drop="0.5pp"), False),
        (rule(max_drop="1pp"), rule(), True),
        (rule(max_drop="1pp"), None, True),
        (None, rule(max_drop="1pp"), False),
        (rule(max_drop="1pp"), rule(max_drop="2%"), True),
        (rule(min=0.8), rule(min=0.7), True),
        (rule(min=0.8), rule(min=0.9), False),
        (rule(max=50), rule(max=60), True),
        (rule(max_drop="1pp"), Rule(max_drop=Margin.parse("1pp"), severity="warn"), True),
        (Rule(max_drop=Margin.parse("1pp"), severity="warn"), rule(max_drop="1pp"), False),
        (small(100), small(200), True),
        (small(200), small(100), False),
        (small(None), small(2), True),
        (None, small(200), False),
    ],
)
def test_whether_the_heads_gate_is_looser(base: Rule | None, head: Rule | None, loose: bool) -> None:
    sides = [resolve("m", r, direction="higher", baseline=0.9) for r in (base, head)]
    kept, loosened = stricter(*sides)
    assert loosened is loose
    if loosened:
        assert kept.severity == "gate"
        assert kept.margin == sides[0].margin or sides[0].margin is None
    else:
        assert kept == sides[1]


def test_each_field_keeps_the_stricter_of_the_two() -> None:
    base, head = Bounds(margin=0.01, margin_text="1pp", min=0.7), Bounds(margin=0.05, margin_text="5pp", min=0.8)
    kept, _ = stricter(base, head)
    assert (kept.margin, kept.margin_text, kept.min) == (0.01, "1pp", 0.8)


def test_margins_that_cannot_be_held_against_each_other_yet_are_not_called_looser() -> None:
    base, head = (resolve("m", rule(max_drop=text), direction="higher", baseline=None) for text in ("1pp", "2%"))
    assert not stricter(base, head)[1]


def test_slices_must_pass_only_where_it_is_said() -> None:
    assert resolve("m", SliceRule(must="pass"), direction="higher", baseline=1.0).must
    assert not resolve("m", SliceRule(), direction="higher", baseline=1.0).must


def test_bounds_read_as_a_person_would_write_them() -> None:
    assert shown(resolve("m", rule(max_drop="1pp", min=0.8), direction="higher", baseline=0.9)) == "1pp min 0.8"
    assert shown(Bounds()) == "not gated"
