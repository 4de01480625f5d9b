"""What is allowed of one check, in numbers: a rule of mlops.yaml resolved against a baseline, and the stricter of two of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.rules import Rule, SliceRule
from mlops_toolkit.errors import UsageError
from mlops_toolkit.stats.metric import Direction


@dataclass(frozen=True)
class Bounds:
    """margin: largest allowed worsening in the metric's unit (≥ 0); `waiting`: a margin is asked for, but there is nothing to hold it against yet."""

    margin: float | None = None
    margin_text: str | None = None
    min: float | None = None
    max: float | None = None
    must: bool = False
    severity: str = "gate"
    waiting: bool = False
    zero_baseline: bool = False

    @property
    def asked(self) -> bool:
        """Whether anything is asked at all."""
        return self.margin is not None or self.min is not None or self.max is not None or self.waiting


def resolve(name: str, rule: Rule | SliceRule | None, *, direction: Direction, baseline: float | None, severity: str = "gate") -> Bounds:
    """The bounds that `rule` puts on a metric whose baseline value is `baseline` (None: there is none yet).

    A relative margin of a baseline of 0 is no margin at all: `zero_baseline`. UsageError `wrong-direction` for max-drop on a
    metric that should be low, or max-rise on one that should be high.
    """
    if rule is None:
        return Bounds(severity=severity)
    wrong = rule.max_rise if direction == "higher" else rule.max_drop
    if wrong is not None:
        said, meant = ("max-rise", "max-drop") if direction == "higher" else ("max-drop", "max-rise")
        raise UsageError(
            "wrong-direction",
            f"{name} is better when {direction}, so {said} would allow nothing worse",
            where=f"gate: {name}",
            hint=f"write {meant}",
        )
    margin: Margin | None = rule.max_drop if direction == "higher" else rule.max_rise
    made = Bounds(
        min=rule.min,
        max=rule.max,
        must=(rule.must == "pass") if isinstance(rule, SliceRule) else False,
        severity=getattr(rule, "severity", severity),
    )
    if margin is None:
        return made
    value = margin.of(baseline)
    return replace(made, margin=value, margin_text=margin.text, waiting=baseline is None, zero_baseline=margin.relative and baseline == 0)


def shown(bounds: Bounds) -> str:
    """The bounds as a person would write them, for "gate loosened: accuracy 1pp → 5pp"."""
    parts = [bounds.margin_text] if bounds.margin_text else []
    parts += [f"min {bounds.min:g}"] if bounds.min is not None else []
    parts += [f"max {bounds.max:g}"] if bounds.max is not None else []
    parts += ["must pass"] if bounds.must else []
    parts += [bounds.severity] if bounds.severity != "gate" and bounds.asked else []
    return " ".join(parts) or "not gated"


RANK = {"gate": 0, "warn": 1, "info": 2}


def stricter(base: Bounds, head: Bounds) -> tuple[Bounds, bool]:
    """The stricter of the base branch's and the head's bounds, field by field, and whether the head's are looser in any."""
    loose = (
        _above(base, head)
        or (base.min is not None and (head.min is None or head.min < base.min))
        or (base.max is not None and (head.max is None or head.max > base.max))
        or (base.must and not head.must)
        or (base.asked and RANK[head.severity] > RANK[base.severity])
    )
    if not loose:
        return head, False
    take_base = base.margin_text is not None and (head.margin_text is None or _above(base, head))
    return (
        Bounds(
            margin=base.margin if take_base else head.margin,
            margin_text=base.margin_text if take_base else head.margin_text,
            min=max((v for v in (base.min, head.min) if v is not None), default=None),
            max=min((v for v in (base.max, head.max) if v is not None), default=None),
            must=base.must or head.must,
            severity=min(base.severity if base.asked else "info", head.severity if head.asked else "info", key=RANK.__getitem__),
            waiting=base.waiting or head.waiting,
            zero_baseline=base.zero_baseline if take_base else head.zero_baseline,
        ),
        True,
    )


def _above(base: Bounds, head: Bounds) -> bool:
    """Whether the head's margin allows more than the base's; two that cannot be held against each other yet are not called looser."""
    if base.margin_text is None:
        return False
    if head.margin_text is None:
        return True
    return base.margin is not None and head.margin is not None and head.margin > base.margin * (1 + 1e-9)
