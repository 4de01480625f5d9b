"""Measures, the numbers that a user reports and those that every run has: their means and percentiles, held to what is allowed. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mlops_toolkit.config import measures as known
from mlops_toolkit.config.quantities import Better
from mlops_toolkit.errors import UsageError
from mlops_toolkit.gate import bounds as bounds_of
from mlops_toolkit.gate import judge, unlike
from mlops_toolkit.gate.judge import Judged, Subject
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.numbers import asked_of, direction_of
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.work import Work
from mlops_toolkit.models.parameters import built_in
from mlops_toolkit.records.result import MeasureRow
from mlops_toolkit.records.run import Measure, Run
from mlops_toolkit.stats import repeats
from mlops_toolkit.stats.paired import Paired

OTHER_HARDWARE = "measured on other hardware than the baseline: its change cannot block"
SINGLE = "a measurement, not repeated on both sides: its change never blocks, only min and max do"


def judged(work: Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    """A check for every measure whose direction is known, and for every percentile or mean of one that a gate names."""
    done = {one.check.metric for one in work.judged}
    mine, theirs = of_head(request, baseline, head), of_side(baseline) if baseline else {}
    work.notes += [
        f"{name}: this run reports a number of its own for it, which counts once it is merged; here it is what the tool counted"
        for name, its in head.measures.items()
        if mine[name] is not its
    ]
    for name, measure in mine.items():
        if name in head.measures or _gated(request, name):
            _judge(work, request, baseline, head, name, measure, theirs.get(name), whole=True, q=None)
    configs = [config for config in (request.config, request.base_config) if config is not None]
    for key in dict.fromkeys(key for config in configs for key in config.gate):
        asked = known.statistic(key)
        if asked is None or key in done or key in mine or asked[0] not in mine:
            continue
        _judge(work, request, baseline, head, key, mine[asked[0]], theirs.get(asked[0]), whole=False, q=asked[1])


def of_side(side: Loaded) -> dict[str, Measure]:
    """The measures of a side: its user's, and those that its run has anyway under names that the user did not take."""
    if side.run is None:
        return dict(side.measures)
    return {**_counted(side.run), **side.measures}


def of_head(request: Request, baseline: Loaded | None, head: Loaded) -> dict[str, Measure]:
    """The measures of the head. What every run has, and the base branch's gate asks of, is not replaced by a number that the baseline's
    evaluation did not report either: else a change could report the size of its model to be whatever the gate asks for."""
    found, base = of_side(head), request.base_config
    if baseline is None or baseline.run is None or head.run is None or base is None or request.lets_go:
        return found
    return {**found, **{name: one for name, one in _counted(head.run).items() if name in base.gate and name not in baseline.measures}}


def _counted(run: Run) -> Mapping[str, Measure]:
    return run.built_in or built_in(run, None)  # an older record does not have them yet


def _gated(request: Request, name: str) -> bool:
    return name in request.config.gate or (request.base_config is not None and name in request.base_config.gate)


def _judge(
    work: Work,
    request: Request,
    baseline: Loaded | None,
    head: Loaded,
    name: str,
    measure: Measure,
    old: Measure | None,
    *,
    whole: bool,
    q: float | None,
) -> None:
    """One check. whole: of the measure as it is, not of one of its statistics."""
    direction = direction_of(work, request, name, measure.better if whole or q is None else None) or measure.better
    if direction is None:
        if _gated(request, name):
            raise UsageError(
                "direction-unknown",
                f"nobody said whether a higher or a lower {name} is better",
                where=f"gate: {name}",
                hint=f"write `measures: {{{name}: lower}}` (or higher) in mlops.yaml",
            )
        return  # shown in the table of measures, not judged
    beside = measure.beside if baseline and baseline.run and measure.beside_run == baseline.run.id else ()
    base_values = beside or (old.values if old else ())
    mean = _value(base_values, q)
    unit, same = measure.unit or _unit(name), _same_hardware(baseline, head)
    for limits, as_it_is in asked_of(work, request, name, direction, mean):
        one = _repeated(request, name, measure, base_values, limits, direction, unit, q, in_turn=bool(beside), same=same)
        if one is None:
            one = judge.scalar(
                name,
                baseline=mean,
                head=_value(measure.values, q),
                bounds=limits,
                direction=direction,
                unit=unit,
                kind="measure",
                blocks_on_change=not measure.noisy,
                note=SINGLE if measure.noisy else "a count, compared exactly",
            )
        work.judged.append(as_it_is(one if baseline is None else unlike.doubted_number(request, name, judge.new(one))))


def _repeated(
    request: Request,
    name: str,
    measure: Measure,
    base: tuple[float, ...],
    limits: bounds_of.Bounds,
    direction: Better,
    unit: str,
    q: float | None,
    *,
    in_turn: bool,
    same: bool,
) -> Judged | None:
    """The check of a list, by an interval; None where there is none to be made: single numbers, or the same number every time.

    A list that was not measured in turn says nothing of the model on other hardware: it is shown, and only min and max block.
    """
    values, confidence = measure.values, request.config.confidence
    apart = len(base) > 1 and len(values) > 1
    if q is None and not (apart or (not base and len(values) > 1)):
        return None
    if q is None and len({*values}) == 1 and len({*base}) < 2:
        return None if not apart else _unchanging(name, base, values, limits, direction, unit)
    head = np.asarray(values, dtype=np.float64)
    pauses = measure.noisy and direction == "lower"
    own = repeats.alone(name, head, q, each=measure.each, confidence=confidence, pauses=pauses)
    paired = own
    if base:
        old = np.asarray(base, dtype=np.float64)
        if in_turn:
            paired = repeats.in_turn(name, old, head, q, each=measure.each, direction=direction, confidence=confidence)
        else:
            paired = repeats.apart(name, old, head, q, direction=direction, confidence=confidence)
            if not same:
                paired = replace(paired, low=None, high=None, reason="other-hardware", message=OTHER_HARDWARE)
        paired = replace(paired, head_low=own.head_low, head_high=own.head_high, head_message=own.head_message, head_least=own.head_least)
    return _check(name, paired, limits, direction, unit, confidence)


def _unchanging(
    name: str, base: tuple[float, ...], values: tuple[float, ...], limits: bounds_of.Bounds, direction: Better, unit: str
) -> Judged:
    note = "the same number every time"
    return judge.scalar(
        name,
        baseline=_value(base, None),
        head=_value(values, None),
        bounds=limits,
        direction=direction,
        unit=unit,
        kind="measure",
        note=note,
    )


def _check(name: str, paired: Paired, limits: bounds_of.Bounds, direction: Better, unit: str, confidence: float) -> Judged:
    made = judge.measured(Subject(name=name, direction=direction, unit=unit), paired, limits, slice_name=None, confidence=confidence)
    check = made.check
    severity = "warn" if check.reason == "other-hardware" and check.severity == "gate" else check.severity
    needs = None if check.needs is None else replace(check.needs, of="measurements")
    return replace(made, check=replace(check, kind="measure", severity=severity, disagree=None, better=None, worse=None, needs=needs))


def _value(values: tuple[float, ...], q: float | None) -> float | None:
    if not values:
        return None
    return float(np.quantile(values, q)) if q is not None else math.fsum(values) / len(values)


def _unit(name: str) -> str:
    tail = name.rpartition("-")[2].rpartition("_")[2].casefold()
    return {"ms": "ms", "s": "s", "seconds": "s", "mb": "MB", "gb": "GB", "bytes": "bytes", "usd": "USD", "us": "µs"}.get(tail, "")


def _same_hardware(baseline: Loaded | None, head: Loaded) -> bool:
    if baseline is None or baseline.run is None or head.run is None:
        return True
    one, other = baseline.run.environment, head.run.environment
    return (one.gpu, one.host) == (other.gpu, other.host)


def rows(request: Request, baseline: Loaded | None, head: Loaded) -> dict[str, MeasureRow]:
    """The table of measures: the user's in their order, then those that every run has."""
    made = {}
    mine: Mapping[str, Measure] = of_head(request, baseline, head)
    theirs: Mapping[str, Measure] = of_side(baseline) if baseline else {}
    first = [*head.measures, *(n for n in (baseline.measures if baseline else ()) if n not in head.measures)]
    for name in dict.fromkeys([*first, *mine, *theirs]):
        new, old = mine.get(name), theirs.get(name)
        better = (new.better if new else None) or (old.better if old else None) or known.direction(name, request.config)
        made[name] = MeasureRow(
            _value(old.values, None) if old else None,
            _value(new.values, None) if new else None,
            better,
            (new or old).unit or _unit(name) or None,  # type: ignore[union-attr]
        )
    return made
