"""What is allowed of one check, in numbers: a rule of mlops.yaml resolved against a baseline, and the stricter of two of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.rules import AgainstRule, GapRule, Rule, SliceRule, WarnRule
from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.metric import Direction

AnyRule = Rule | SliceRule | WarnRule | AgainstRule | GapRule


@dataclass(frozen=True)
class Bounds:
    """What is asked of one check; quantities are ≥ 0, in the metric's unit, and None where nothing is asked or there is no baseline yet.

    margin        largest allowed worsening; improve: least improvement asked for; gain: largest improvement that is not suspicious;
                  each with its text as written in mlops.yaml, which is there even where the number is not
    least         of a slice: how many examples it needs to be judged at all
    waiting       something is asked against a baseline, and there is none yet
    zero_baseline, zero_gain  margin or improve (gain) is a share of a baseline of 0: no quantity at all
    """

    margin: float | None = None
    margin_text: str | None = None
    improve: float | None = None
    improve_text: str | None = None
    gain: float | None = None
    gain_text: str | None = None
    min: float | None = None
    max: float | None = None
    must: bool = False
    severity: str = "gate"
    least: int | None = None
    waiting: bool = False
    zero_baseline: bool = False
    zero_gain: bool = False

    @property
    def relative(self) -> bool:
        """Whether anything is asked of the change."""
        return self.waiting or any(quantity is not None for quantity in (self.margin, self.improve, self.gain))

    @property
    def asked(self) -> bool:
        """Whether anything is asked at all."""
        return self.relative or self.min is not None or self.max is not None

    def unanswered(self) -> Bounds:
        """The same where there is a baseline, but nothing on it to be held against: nothing waits, what is asked is in doubt."""

        def known(value: float | None, text: str | None) -> float | None:
            return value if text is None else value or 0.0

        return replace(
            self,
            waiting=False,
            margin=known(self.margin, self.margin_text),
            improve=known(self.improve, self.improve_text),
            gain=known(self.gain, self.gain_text),
        )


def resolve(name: str, rule: AnyRule | None, *, direction: Direction, baseline: float | None, severity: str = "gate") -> Bounds:
    """The bounds that `rule` puts on a metric whose baseline value is `baseline` (None: there is none yet).

    A relative quantity of a baseline of 0 is none at all: `zero_baseline`, `zero_gain`. UsageError `wrong-direction` for max-drop on a
    metric that should be low, or max-rise on one that should be high. Of a GapRule: the gap is what should be low.
    """
    if rule is None:
        return Bounds(severity=severity)
    said = _said(rule)
    direction = "lower" if isinstance(rule, GapRule) else direction
    if said.get("max_rise" if direction == "higher" else "max_drop") is not None:
        wrong, meant = ("max-rise", "max-drop") if direction == "higher" else ("max-drop", "max-rise")
        raise UsageError(
            "wrong-direction",
            f"{name} is better when {direction}, so {wrong} would allow nothing worse",
            where=f"gate: {name}",
            hint=f"write {meant}",
        )
    margin: Margin | None = said.get("max_drop" if direction == "higher" else "max_rise")
    improve, gain = said.get("improve_by"), said.get("max_gain")
    least, most = said.get("min"), said.get("max")
    return Bounds(
        margin=margin.of(baseline) if margin else None,
        margin_text=margin.text if margin else None,
        improve=improve.of(baseline) if improve else None,
        improve_text=improve.text if improve else None,
        gain=gain.of(baseline) if gain else None,
        gain_text=gain.text if gain else None,
        min=least,
        max=most.value if isinstance(most, Margin) else most,
        must=said.get("must") == "pass",
        severity=said.get("severity", severity),
        least=said.get("min_examples"),
        waiting=baseline is None and any((margin, improve, gain)),
        zero_baseline=baseline == 0 and any(one is not None and one.relative for one in (margin, improve)),
        zero_gain=baseline == 0 and gain is not None and gain.relative,
    )


def direction_of(rule: AnyRule | None) -> Direction | None:
    """The direction that a rule's margin tells of the metric; None where it has none."""
    if rule is None or (rule.max_rise is None) == (getattr(rule, "max_drop", None) is None):
        return None
    return "lower" if rule.max_rise is not None else "higher"


def _said(rule: AnyRule) -> dict[str, Any]:
    return {name: value for name, value in vars(rule).items() if value is not None}


def shown(bounds: Bounds) -> str:
    """The bounds as a person would write them, for "gate loosened: accuracy 1pp → 5pp"."""
    parts = [bounds.margin_text] if bounds.margin_text else []
    parts += [f"improve-by {bounds.improve_text}"] if bounds.improve_text else []
    parts += [f"max-gain {bounds.gain_text}"] if bounds.gain_text else []
    parts += [f"min {bounds.min:g}"] if bounds.min is not None else []
    parts += [f"max {bounds.max:g}"] if bounds.max is not None else []
    parts += ["must pass"] if bounds.must else []
    parts += [f"from {bounds.least:,} examples"] if bounds.least is not None and bounds.asked else []
    parts += [bounds.severity] if bounds.severity != "gate" and bounds.asked else []
    return " ".join(parts) or "not gated"


RANK = {"gate": 0, "warn": 1, "info": 2}


def _more(base: float | None, base_text: str | None, head: float | None, head_text: str | None) -> bool:
    """Whether the head allows more, or nothing is asked any more; two that cannot be held against each other yet are not called looser."""
    if base_text is None:
        return False
    if head_text is None:
        return True
    return base is not None and head is not None and head > base * (1 + 1e-9)


def _less(base: float | None, base_text: str | None, head: float | None, head_text: str | None) -> bool:
    if base_text is None or head_text is None:
        return base_text is not None
    return base is not None and head is not None and head < base * (1 - 1e-9)


def _asked(bounds: Bounds) -> bool:
    return bounds.margin_text is not None or bounds.improve_text is not None


def _vague(base: Bounds, head: Bounds) -> bool:
    """Whether the head turned a number into a share of a baseline of 0, by which nothing is ever shown to be worse."""
    return head.zero_baseline and not base.zero_baseline


# What is asked -> whether the second's asks less than the first's. An improvement that is asked for allows no worsening, so it is never
# looser than a margin.
LOOSER: Mapping[str, Callable[[Bounds, Bounds], bool]] = {
    "margin": lambda b, h: (
        (h.improve_text is None and _more(b.margin, b.margin_text, h.margin, h.margin_text)) or (_asked(b) and _vague(b, h))
    ),
    "improve": lambda b, h: _less(b.improve, b.improve_text, h.improve, h.improve_text) or (b.improve_text is not None and _vague(b, h)),
    "gain": lambda b, h: _more(b.gain, b.gain_text, h.gain, h.gain_text) or (b.gain_text is not None and h.zero_gain and not b.zero_gain),
    "min": lambda b, h: b.min is not None and (h.min is None or h.min < b.min),
    "max": lambda b, h: b.max is not None and (h.max is None or h.max > b.max),
    "must": lambda b, h: b.must and not h.must,
    "severity": lambda b, h: b.asked and RANK[h.severity] > RANK[b.severity],
    "least": lambda b, h: b.asked and (h.least or 1) > (b.least or 1),
}
_KEPT: Mapping[str, tuple[str, ...]] = {  # what goes with it
    "margin": ("margin", "margin_text", "zero_baseline"),
    "improve": ("improve", "improve_text", "zero_baseline"),
    "gain": ("gain", "gain_text", "zero_gain"),
    "least": ("least",),
}


def stricter(base: Bounds, head: Bounds) -> tuple[Bounds, bool]:
    """The stricter of the base branch's and the head's bounds, field by field, and whether the head's are looser in any."""
    loose = [what for what, looser in LOOSER.items() if looser(base, head)]
    if not loose:
        return head, False
    taken = {field: getattr(base, field) for what in loose for field in _KEPT.get(what, ())}
    made = replace(
        head,
        **taken,
        min=max((v for v in (base.min, head.min) if v is not None), default=None),
        max=min((v for v in (base.max, head.max) if v is not None), default=None),
        must=base.must or head.must,
        severity=min(base.severity if base.asked else "info", head.severity if head.asked else "info", key=RANK.__getitem__),
        waiting=base.waiting or head.waiting,
    )
    if made.improve_text is not None:  # it asks more than any margin
        made = replace(made, margin=None, margin_text=None)
    return made, True
