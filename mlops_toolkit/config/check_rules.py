"""What cannot be meant of a gate's rules: bounds that contradict each other, allow anything or stand on the wrong side; and of `accepted:`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlops_toolkit.config.measures import direction
from mlops_toolkit.config.quantities import Better, Margin
from mlops_toolkit.config.rules import Accepted, AgainstRule, GapRule, Rule, SliceRule, WarnRule
from mlops_toolkit.config.schema import Config
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import Problem
from mlops_toolkit.plug import did_you_mean

WIDE = 0.1  # a tenth of a share's range
WHOLE = 1.0  # all of it
_NAME = re.compile(r"(?P<metric>.+?)(?P<gap> gap)?(?: \[.*\])?(?: against \S+)?", re.DOTALL)
Found = Iterator[tuple[str, Problem]]  # (dotted key, problem without a place)


def limits(path: str, metric: str, rule: Rule, better: Better | None, *, fraction: bool) -> Found:
    """Every contradiction of one metric's rule. fraction: its values are known to lie between 0 and 1."""
    yield from _bounds(path, metric, rule, better, fraction=fraction)
    if rule.slices is not None:
        yield from _bounds(f"{path}.slices", metric, rule.slices, better, fraction=fraction)
        if rule.slices == SliceRule(must=rule.slices.must, min_examples=rule.slices.min_examples):
            yield f"{path}.slices", Problem("gates-nothing", f"{path}.slices allows anything", hint="write slices: {max-drop: 3pp}")
    if rule.warn is not None:
        yield from _bounds(f"{path}.warn", metric, rule.warn, better, fraction=fraction)
        if rule.warn == WarnRule():
            yield f"{path}.warn", Problem("gates-nothing", f"{path}.warn warns of nothing", hint="write warn: {max-drop: 0.5pp}")
    for column, gap in rule.gap.items():
        yield from _gap(f"{path}.gap.{column}", gap, fraction=fraction)
    for other, held in rule.against.items():
        yield from _bounds(f"{path}.against.{other}", metric, held, better, fraction=fraction)
        if held == AgainstRule():
            hint = f"write {other}: {{{_margin_key(better)}: 2pp}}, or leave it out: then the rule's own margin holds"
            yield f"{path}.against.{other}", Problem("gates-nothing", f"{path}.against.{other} allows anything", hint=hint)
    if rule == Rule(better=rule.better, severity=rule.severity):
        name = path.partition(".")[2]
        hint = f"write {name}: {{{'max-rise: 10%' if better == 'lower' else 'max-drop: 1pp'}}}"
        message = f"{path} allows anything: it has no max-drop, max-rise, improve-by, max-gain, min or max"
        yield path, Problem("gates-nothing", message, hint=hint)


def _margin_key(better: Better | None) -> str:
    return "max-rise" if better == "lower" else "max-drop"


def _bounds(path: str, metric: str, rule: Rule | SliceRule | WarnRule | AgainstRule, better: Better | None, *, fraction: bool) -> Found:
    for key, margin, fitting in (("max-drop", rule.max_drop, "higher"), ("max-rise", rule.max_rise, "lower")):
        if margin is None:
            continue
        if better is not None and better != fitting:
            message = f"a {better} {metric} is better: {key} would forbid it to improve"
            yield f"{path}.{key}", Problem("wrong-direction", message, hint=f"write {_margin_key(better)}: {margin.text}")
        if fraction and not margin.relative and margin.value >= WIDE:
            message = f"{key}: {margin.text} allows {metric} to get {margin.value * 100:g} percentage points worse"
            hint = f'did you mean {_narrow(margin)}? If you mean it, say it as a share of the baseline ("{min(margin.value, 1) * 100:g}%") or as `min:`'
            yield f"{path}.{key}", Problem("margin-too-wide", message, hint=hint)
    if isinstance(rule, AgainstRule):
        return
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        yield f"{path}.min", Problem("wrong-value", f"{path}: min {rule.min:g} is above max {rule.max:g}", hint="exchange them")
    if not isinstance(rule, SliceRule):
        yield from _improvement(path, metric, rule, fraction=fraction)


def _improvement(path: str, metric: str, rule: Rule | WarnRule, *, fraction: bool) -> Found:
    """An improvement that is asked for, and one that is suspicious."""
    asked, most = rule.improve_by, rule.max_gain
    key = "max-drop" if rule.max_drop else "max-rise"
    beside = rule.max_drop or rule.max_rise
    if asked is not None and beside is not None:
        message = f"{path} asks for an improvement of {asked.text} and allows a loss of {beside.text}"
        hint = f"keep one: improve-by asks more, so that {key} says nothing beside it"
        yield f"{path}.improve-by", Problem("improve-and-margin", message, hint=hint)
    if asked is not None and most is not None and asked.relative == most.relative and asked.value >= most.value:
        message = f"{path} cannot be met: it asks for an improvement of {asked.text}, and more than {most.text} is suspicious"
        yield f"{path}.max-gain", Problem("wrong-value", message, hint="make max-gain the larger one")
    for name, quantity, least in (("improve-by", asked, WIDE), ("max-gain", most, WHOLE)):
        if quantity is None or not fraction or quantity.relative or quantity.value < least:
            continue
        many = f"{quantity.value * 100:g} percentage points"
        does = f"asks {metric} to get {many} better" if name == "improve-by" else f"finds nothing suspicious: {metric} cannot gain {many}"
        meant = f"{quantity.value:g}pp" if quantity.value >= 1 else "1pp"
        hint = f"did you mean {meant}?" + (
            f' If you mean it, say it as a share of the baseline ("{quantity.value * 100:g}%")' if name == "improve-by" else ""
        )
        yield f"{path}.{name}", Problem("margin-too-wide", f"{name}: {quantity.text} {does}", hint=hint)


def _gap(path: str, rule: GapRule, *, fraction: bool) -> Found:
    """How far groups may be apart is a difference, and no share of anything."""
    for key, margin in (("max", rule.max), ("max-rise", rule.max_rise)):
        if margin is None:
            continue
        if key == "max" and margin.relative:
            message = f"{path}.max: {margin.text} is a share, and a gap is a difference between two groups"
            yield (
                f"{path}.max",
                Problem("wrong-value", message, hint=f"write {margin.text.rstrip('% ')}pp, or a number in the metric's unit"),
            )
        elif fraction and not margin.relative and margin.value >= WHOLE:
            message = f"{path}.{key}: {margin.text} allows any gap: no two groups are {margin.value * 100:g} percentage points apart"
            yield f"{path}.{key}", Problem("margin-too-wide", message, hint=f"did you mean {margin.value:g}pp?")
    if rule == GapRule(min_examples=rule.min_examples):
        yield path, Problem("gates-nothing", f"{path} allows anything", hint=f"write {path.rpartition('.')[2]}: 5pp")


def _narrow(margin: Margin) -> str:
    """The margin in percentage points that was probably meant: `1` -> 1pp, `0.1` and `10pp` -> 1pp, `5` -> 5pp."""
    plain = margin.text.removesuffix("pp").strip()
    return f"{plain}pp" if not margin.text.endswith("pp") and 1 <= margin.value < WIDE * 100 else "1pp"


def accepted(config: Config) -> Found:
    """Every contradiction of `accepted:`. A check may be accepted once on either side: how bad it may be, and how good."""
    seen: set[tuple[str, str]] = set()
    for i, one in enumerate(config.accepted):
        path = f"accepted[{i}]"
        sides = [(one.check, key) for key, value in (("down-to", one.down_to), ("up-to", one.up_to)) if value is not None] or [
            (one.check, "")
        ]
        if not seen.isdisjoint(sides):
            message = f"{shown(one.check)} is accepted twice"
            yield f"{path}.check", Problem("duplicate-accepted", message, hint="keep one entry")
        seen.update(sides)
        if one.check and one.check != "gate":
            yield from _bound(one, path, config)


def _bound(one: Accepted, path: str, config: Config) -> Found:
    """What is accepted is bound to a value: on the side that is worse, or on the other one where a gain can be suspicious."""
    found = _NAME.fullmatch(one.check)
    metric = found["metric"] if found else one.check
    gap = bool(found and found["gap"] and metric in config.gate)
    metric = metric if gap or one.check.partition(" [")[0] not in config.gate else one.check.partition(" [")[0]
    better: Better | None = "lower" if gap else direction(metric, config)
    key, other = ("up-to", "down-to") if better == "lower" else ("down-to", "up-to")
    values: Mapping[str, float | None] = {"down-to": one.down_to, "up-to": one.up_to}
    rule = config.gate.get(metric)
    gains = not gap and rule is not None and rule.max_gain is not None
    if one.down_to is None and one.up_to is None:
        message, hint = f"accepting {shown(one.check)} needs the worst value that is accepted", f"add `{key}: 0.941`"
        yield path, Problem("accepted-unbound", message, hint=hint)
    elif values[other] is not None and not gains and (better is not None or values[key] is not None):
        message = f"a {better} {metric} is better: {other} binds the wrong side" if better else "down-to and up-to contradict each other"
        yield f"{path}.{other}", Problem("wrong-direction", message, hint=f"write `{key}`" if better else "keep one")
    if metric not in config.gate and config.gate and (near := did_you_mean(metric, config.gate)).startswith("did"):
        yield f"{path}.check", Problem("unknown-check", f"the gate has no {shown(metric)}", hint=near)
