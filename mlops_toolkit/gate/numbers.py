"""Numbers without examples: metrics of a metrics file, and the measures that a user reports. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlops_toolkit.config import measures as known
from mlops_toolkit.config.quantities import Better
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import UsageError
from mlops_toolkit.gate import bounds as bounds_of
from mlops_toolkit.gate import judge, unlike
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.work import Work, effective, warning
from mlops_toolkit.records.result import MeasureRow
from mlops_toolkit.records.run import Measure


def scalars(work: Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    """Metrics that came as numbers, without examples."""
    done = {one.check.metric for one in work.judged}
    for name, value in head.scalars.items():
        if name in done:
            continue
        old = baseline.scalars.get(name) if baseline else None
        if old is None and baseline and baseline.run:
            old = baseline.run.metrics.get(name)
        direction = _direction(request, name)
        number = old.value if old else None
        if direction is None:
            if name in request.config.gate:
                raise UsageError(
                    "direction-unknown",
                    f"nobody said whether a higher or a lower {name} is better",
                    where=f"gate: {name}",
                    hint=f"write `measures: {{{name}: higher}}` (or lower) in mlops.yaml",
                )
            work.notes.append(f"{name}: nobody said whether higher or lower is better; shown, not judged")
        unit = "fraction" if known.bounded_fraction(name) and _looks_like_share(number, value.value) else ""
        for limits, as_it_is in _asked(work, request, name, direction or "higher", number):
            limits = limits.unanswered() if old and number is None else limits  # it has no value there: in doubt, and not new
            one = judge.scalar(
                name,
                baseline=number,
                head=value.value,
                bounds=limits,
                direction=direction or "higher",
                unit=unit,
                signature=value.signature,
            )
            one = one if baseline is None else judge.new(one)
            if old and old.signature and value.signature and old.signature != value.signature:
                one = _redefined(one, old.signature, asked=limits.asked)
            work.judged.append(as_it_is(unlike.doubted_number(request, name, one)))
    if head.scalars and any(one.check.method == "threshold" for one in work.judged):
        work.notes.append("noise not tested: these numbers came without predictions, so any change counts as real")


def _asked(
    work: Work, request: Request, name: str, direction: Better, baseline: float | None
) -> list[tuple[bounds_of.Bounds, Callable[[Judged], Judged]]]:
    """What a number's rule asks, and what its `warn:` asks beside it, each with what makes a check of that kind."""
    head_rule = request.config.gate.get(name)
    base_rule = request.base_config.gate.get(name) if request.base_config else None
    beside = warning(work, request, name, direction, baseline, head_rule, base_rule)
    own: tuple[bounds_of.Bounds, Callable[[Judged], Judged]] = (
        effective(work, request, name, direction, baseline, head_rule, base_rule, None),
        lambda judged: judged,
    )
    return [own] if beside is None else [own, (beside, judge.as_warning)]


def _redefined(one: Judged, old: str, *, asked: bool) -> Judged:
    return Judged(
        replace(
            one.check,
            verdict="inconclusive" if asked else "ungated",
            reason="metric-redefined",
            leaning="beyond",
            change=None,
            message=f"defined differently on the baseline ({old})",
        )
    )


def _looks_like_share(*values: float | None) -> bool:
    """A metric file's "accuracy: 97.2" is in percent already: only what lies within ±1 is shown in points."""
    return all(value is None or -1 <= value <= 1 for value in values)


def _direction(request: Request, name: str) -> Better | None:
    return known.direction(name, request.config) or (known.direction(name, request.base_config) if request.base_config else None)


def measures(work: Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    same = _same_hardware(baseline, head)
    for name, measure in head.measures.items():
        old = baseline.measures.get(name) if baseline else None
        direction = measure.better or _direction(request, name)
        base_rule = request.base_config.gate.get(name) if request.base_config else None
        head_rule = request.config.gate.get(name)
        if direction is None:
            if head_rule or base_rule:
                raise UsageError(
                    "direction-unknown",
                    f"nobody said whether a higher or a lower {name} is better",
                    where=f"gate: {name}",
                    hint=f"write `measures: {{{name}: lower}}` (or higher) in mlops.yaml",
                )
            continue  # shown in the table of measures, not judged
        mean = sum(old.values) / len(old.values) if old and old.values else None
        for limits, as_it_is in _asked(work, request, name, direction, mean):
            one = _measure_check(request, name, measure, old, limits, direction, same)
            work.judged.append(as_it_is(one if baseline is None else unlike.doubted_number(request, name, judge.new(one))))


def _measure_check(
    request: Request, name: str, measure: Measure, old: Measure | None, limits: bounds_of.Bounds, direction: Better, same_hardware: bool
) -> Judged:
    unit = measure.unit or _unit(name)
    if old and len(old.values) > 1 and len(measure.values) > 1 and measure.noisy:
        return judge.repeated(
            name,
            baseline=old.values,
            head=measure.values,
            bounds=limits,
            direction=direction,
            unit=unit,
            confidence=request.config.confidence,
            same_hardware=same_hardware,
        )
    note = "a measurement, not repeated on both sides: its change never blocks, only min and max do" if measure.noisy else None
    return judge.scalar(
        name,
        baseline=sum(old.values) / len(old.values) if old and old.values else None,
        head=sum(measure.values) / len(measure.values),
        bounds=limits,
        direction=direction,
        unit=unit,
        kind="measure",
        blocks_on_change=not measure.noisy,
        note=note or "a count, compared exactly",
    )


def _unit(name: str) -> str:
    tail = name.rpartition("-")[2].rpartition("_")[2].casefold()
    return {"ms": "ms", "s": "s", "seconds": "s", "mb": "MB", "gb": "GB", "bytes": "bytes", "usd": "USD", "us": "µs"}.get(tail, "")


def _same_hardware(baseline: Loaded | None, head: Loaded) -> bool:
    if baseline is None or baseline.run is None or head.run is None:
        return True
    one, other = baseline.run.environment, head.run.environment
    return (one.gpu, one.host) == (other.gpu, other.host)


def measure_rows(config: Config, baseline: Loaded | None, head: Loaded) -> dict[str, MeasureRow]:
    rows = {}
    for name in (*head.measures, *(n for n in (baseline.measures if baseline else ()) if n not in head.measures)):
        new, old = head.measures.get(name), baseline.measures.get(name) if baseline else None
        better = (new.better if new else None) or (old.better if old else None) or known.direction(name, config)
        rows[name] = MeasureRow(_mean(old), _mean(new), better, (new or old).unit or _unit(name) or None)  # type: ignore[union-attr]
    return rows


def _mean(measure: Measure | None) -> float | None:
    return sum(measure.values) / len(measure.values) if measure and measure.values else None
