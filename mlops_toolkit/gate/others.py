"""The same gate against what else `against:` names: the last release, a pinned run. Pure.

Only what is relative is asked again: max-drop and max-rise, of the slices too, with margins of their own where a rule's `against:` gives
them. Small drops that each pass against main add up, and this is where they stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlops_toolkit.config.rules import Rule, SliceRule
from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate import measures, numbers, own_metrics, seeds, unlike
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.loaded import Loaded, Other
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.suite import judge_suite
from mlops_toolkit.gate.work import Work
from mlops_toolkit.records.result import Side


def others(
    work: Work, request: Request, baseline: Loaded | None, head: Loaded, found: Sequence[Other], *, listed: Sequence[str]
) -> dict[str, Side]:
    """In `work`: a check of each metric and slice that is held against each of them, and what the reader must know; the sides by name.

    A run that is held against already, as the baseline or under another name, is judged again only by margins that are its own.
    listed: the head's own `against:`, before the base branch's was held to count.
    """
    request = replace(request, config=replace(request.config, against=tuple(listed)))
    sides, seen = {}, {baseline.run.id} if baseline and baseline.run else set[str]()
    for other in found:
        theirs = other.baseline
        run = theirs.run.id if theirs and theirs.run else None
        asked = narrowed(request, other, own=run is not None and run in seen)
        sides[other.name] = other.side
        if run is not None:
            seen.add(run)
        if theirs is None:
            work.notes.append(f"against {other.name}: {other.side.note}, so nothing is held against it")
            continue
        if not _gates(asked):
            continue
        apart = Work(shows=False)
        _judge(apart, asked, theirs, head, other.salt)
        work.judged += [_against(one, other.name) for one in apart.judged if _is_held(one)]
        work.notes += [f"against {other.name}: {note}" for note in dict.fromkeys((*theirs.notes, *apart.notes)) if note not in work.notes]
        work.loosened += _loosened(request, other.name, apart.loosened)
        sides[other.name] = replace(other.side, state=unlike.state(apart) or other.side.state)
    return sides


def _judge(work: Work, request: Request, baseline: Loaded, head: Loaded, salt: str | None) -> None:
    unlike.noted(work, request, baseline, head)
    same = seeds.same(request, baseline, head)
    for suite, table in head.tables.items():
        if any(name.rpartition("/")[0] == suite for name in _gates(request)):
            judge_suite(work, request, suite, table, baseline, head, same=same, salt=salt)
    own_metrics.judged(work, request, baseline, head, same=same)
    numbers.scalars(work, request, baseline, head)
    measures.judged(work, request, baseline, head)


def narrowed(request: Request, other: Other, *, own: bool = False) -> Request:
    """The request as it is asked against `other`. own: only where one of the two sides gives margins of their own."""
    sides = [config for config in (request.config, request.base_config) if config is not None]
    names = {name for config in sides for name, rule in config.gate.items() if other.name in rule.against} if own else None
    base = request.base_config
    return replace(
        request,
        config=_narrowed(request.config, other.name, names),
        base_config=None if base is None else _narrowed(base, other.name, names),
        baseline=other.side,
        evaluation=other.evaluation,
    )


def _narrowed(config: Config, name: str, names: set[str] | None) -> Config:
    gate: dict[str, Rule] = {}
    for metric, rule in config.gate.items() if name in config.against else ():
        if names is None or metric in names:
            made = relative(rule if names is None else replace(rule, slices=None), name)
            gate |= {metric: made} if made.max_drop or made.max_rise or made.slices else {}
    return replace(config, gate=gate)


def relative(rule: Rule, name: str) -> Rule:
    """What a rule asks against the run that `against:` calls `name`."""
    own, slices = rule.against.get(name), rule.slices
    drop, rise = (own.max_drop, own.max_rise) if own else (rule.max_drop, rule.max_rise)
    if slices is not None:
        kept = SliceRule(max_drop=slices.max_drop, max_rise=slices.max_rise, must=slices.must, min_examples=slices.min_examples)
        slices = kept if kept.max_drop or kept.max_rise else None
    return Rule(max_drop=drop, max_rise=rise, better=rule.better, slices=slices, severity=rule.severity)


def _gates(request: Request) -> Mapping[str, Rule]:
    """Of both sides."""
    return {**(request.base_config.gate if request.base_config else {}), **request.config.gate}


def _is_held(one: Judged) -> bool:
    """Whether a check is asked against the other at all; one whose margin has no baseline value there waits."""
    return one.check.margin is not None or one.check.reason in ("metric-new", "first-run")


def _against(one: Judged, name: str) -> Judged:
    check = replace(one.check, against=name)
    if check.reason in ("metric-new", "first-run"):
        check = replace(check, message=f"{name} does not have it: its margin waits")
    return replace(one, check=check)


def _loosened(request: Request, name: str, found: Sequence[str]) -> list[str]:
    """What the head's gate lets go of what the base branch's holds against `name`, as clauses."""
    base = request.base_config
    if found and base is not None and name in base.against and name not in request.config.against:
        return []  # said of the list as a whole
    # That a slice is not judged any more is said of the baseline already.
    return [f"against {name}: {text}" for text in found if not text.startswith("slice ")]
