"""How far apart the groups of a column may lie in a metric: `gate: {recall: {gap: {sex: {max: 5pp, max-rise: 1pp}}}}`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlops_toolkit.config.rules import GapRule, Rule
from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.gate import judge, redefined, unlike
from mlops_toolkit.gate.acceptance import OWN
from mlops_toolkit.gate.bounds import Bounds
from mlops_toolkit.gate.judge import Judged, Subject
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.sides import Sides
from mlops_toolkit.gate.work import Work, held
from mlops_toolkit.records.result import Check, Needs
from mlops_toolkit.report import words
from mlops_toolkit.stats import gap_sizes, gaps
from mlops_toolkit.stats.distributions import critical
from mlops_toolkit.stats.gaps import Gap, Group
from mlops_toolkit.stats.metric import Metric
from mlops_toolkit.stats.paired import Paired

_NORMAL = 1_000_000  # degrees of freedom at which Student's t is the normal distribution
NAMED = 5  # groups that are left out, by name


def judge_gaps(work: Work, request: Request, suite: str, metric: Metric, both: Sides, *, exact: bool, another: str | None = None) -> None:
    """The gap checks of one metric of one suite, in `work`.

    exact: both sides are one model with the same answers. another: how the metric is another one than on the baseline (see redefined).
    """
    full = f"{suite}/{metric.name}" if suite else metric.name
    mine = request.config.gate.get(full, Rule())
    theirs = request.base_config.gate.get(full, Rule()) if request.base_config else Rule()
    for column in dict.fromkeys([*mine.gap, *theirs.gap]):

        def limits(before: float | None, column: str = column) -> Bounds:
            return held(
                work,
                request,
                name(full, column),
                "lower",
                before,
                _rule(mine, column),
                _rule(theirs, column),
                severities=(mine.severity, theirs.severity),
            )

        asked = limits(None)
        if asked.asked:
            one, after, found = _measured(request, metric, both, full, column, asked)
            one = one if another is None else redefined.uncompared(one, another)
            work.judged.append(_judged(work, request, suite, metric, both, one, limits(one.baseline), after, found, exact=exact))


def name(metric: str, column: str) -> str:
    """`recall gap [sex]`: what a gap check is called."""
    return f"{metric} gap [{column}]"


def _rule(rule: Rule, column: str) -> GapRule | None:
    """What is asked of the gap by that column; the least number of examples may be said once, for slices and groups."""
    gap = rule.gap.get(column)
    if gap is None or gap.min_examples is not None or rule.slices is None:
        return gap
    return replace(gap, min_examples=rule.slices.min_examples)


def missing(work: Work, request: Request) -> None:
    """InvalidFile `gap-without-examples` where a gap is asked of a metric that has no examples behind it."""
    done = {one.check.metric for one in work.judged if one.check.method == "gap"}  # a number of any kind may be called like one
    for config, whose in ((request.config, "mlops.yaml"), (request.base_config, "mlops.yaml of the base branch")):
        mine = config is request.config
        if config is None or (mine and request.forks_gate):
            continue
        if not mine and request.lets_go:
            continue
        for metric, rule in config.gate.items():
            for column in rule.gap:
                if name(metric, column) not in done:
                    raise InvalidFile(
                        "gap-without-examples",
                        f"the gap of {metric} by {column} is gated, and there are no predictions to compute it from",
                        where=f"gate of {whose}",
                        hint="a gap is of a metric that is computed from the predictions",
                    )


def _measured(
    request: Request, metric: Metric, both: Sides, full: str, column: str, asked: Bounds
) -> tuple[Paired, Sequence[Group], Gap | None]:
    """The gap of this run and how it changed, the groups, and which of them lie furthest apart."""
    try:
        before, after = both.groups(metric, column, asked.least or 0)
    except UsageError as error:
        error.where = f"gate: {name(full, column)}"
        if column not in request.config.gate.get(full, Rule()).gap:
            error.hint = "the base branch's gate judges this gap; `accepted: [{check: gate, reason: …}]` lets it go"
        raise
    found = gaps.gap(metric, after, request.config.confidence)
    return _paired(name(full, column), metric, before, after, found, asked, request.config.confidence), after, found


def _judged(
    work: Work,
    request: Request,
    suite: str,
    metric: Metric,
    both: Sides,
    one: Paired,
    limits: Bounds,
    after: Sequence[Group],
    found: Gap | None,
    *,
    exact: bool,
) -> Judged:
    confidence = request.config.confidence
    another = one.reason == "metric-redefined"
    if limits.waiting and (
        both.refused or both.had(metric) or another
    ):  # there is a baseline: what cannot be held against it is in doubt, not new
        limits = limits.unanswered()
        if both.refused:
            one = replace(one, reason=work.state, message="the test set is not the baseline's: nothing was compared")
    one = unlike.doubted(work, suite, one, exact=exact)
    subject = Subject(one.metric, "lower", metric.signature, metric.unit)
    judged = judge.measured(subject, one, limits, slice_name=None, confidence=confidence, same=exact and one.baseline is not None)
    judged = redefined.doubted(judged, one) if another else judge.new(judged) if both.compared else judged
    own = judged.check.message if judged.check.reason not in OWN else None
    check = replace(
        judged.check,
        message="; ".join(part for part in (own, *_says(metric, after, found)) if part) or None,
        groups=(found.better, found.worse) if found and found.better != found.worse else (),
        method="gap",
        needs=_needs(metric, judged.check, after, confidence),
        disagree=None,
        better=None,
        worse=None,
    )
    alpha = (1 - confidence) / 2
    p = min(judged.p, alpha * (1 - 1e-9)) if check.verdict == "fail" and judged.p is not None else judged.p

    def stricter(level: float) -> Needs | None:
        own = check.max is not None and check.head is not None and check.head > check.max
        found = _enough(metric, after, check.max or 0.0, level) if own else None
        return found or judged.needs(level)

    return Judged(check, p, stricter)


def _needs(metric: Metric, check: Check, after: Sequence[Group], confidence: float) -> Needs | None:
    """What would decide the gap: of its own size, more of the smaller groups; of how much it grew, more of all of them."""
    if check.needs is None or check.reason not in OWN or check.max is None:
        return check.needs
    found = _enough(metric, after, check.max, confidence)
    return check.needs if found is None else replace(found, limit=check.needs.limit)


def _enough(metric: Metric, after: Sequence[Group], most: float, confidence: float) -> Needs | None:
    return gap_sizes.enough(metric, [part for part in after if part.why is None], most, confidence=confidence)


def _paired(
    called: str,
    metric: Metric,
    before: Sequence[Group] | None,
    after: Sequence[Group],
    found: Gap | None,
    limits: Bounds,
    confidence: float,
) -> Paired:
    """The gap as a number that should be low, with the interval of its own value and of its change."""
    if found is None or found.low is None:
        apart = "; ".join(f"{part.name}: {part.why}" for part in after[:NAMED] if part.why)
        return Paired(
            metric=called,
            n=sum(part.n for part in after),
            baseline=None,
            head=found.value if found else None,
            head_state="too-few-groups",
            reason="too-few-groups",
            message=f"fewer than two groups can be compared{f' ({apart})' if apart else ''}",
        )
    used = [number for number, part in enumerate(after) if part.why is None]
    made = Paired(
        metric=called,
        n=sum(after[number].n for number in used),
        baseline=None,
        head=found.value,
        method="gap",
        head_low=found.low,
        head_high=found.high,
    )
    if before is None:
        return made
    was = [before[number] for number in used]
    if any(part.value is None for part in was):
        return replace(made, reason="too-few-groups", message="on the baseline, the metric is undefined in one of the groups")
    old = [part.value or 0.0 for part in was]
    gap_before = max(old) - min(old)
    made = replace(made, baseline=gap_before, change=gap_before - found.value + 0.0)
    ends = gaps.rise(metric, was, [after[number] for number in used], confidence) if limits.margin_text is not None else None
    if ends is None:
        why = "one of the groups has too few examples to say how much its gap changed" if limits.margin_text is not None else None
        return replace(made, reason="too-few" if why else None, message=why)
    error = (ends[1] - ends[0]) / 2 / critical(confidence)
    return replace(made, low=-ends[1], high=-ends[0], standard_error=error, df=_NORMAL)


def _says(metric: Metric, parts: Sequence[Group], found: Gap | None) -> list[str]:
    """Which two groups lie furthest apart, and which have no part in it."""
    if found is None or found.low is None:
        return []
    values = {part.name: words.value(part.value, metric.unit) for part in parts}
    left = [f"{part.name} ({part.why})" for part in parts if part.why is not None]
    apart = f"furthest apart: {found.better} ({values[found.better]}) and {found.worse} ({values[found.worse]})"
    return [
        apart if found.better != found.worse else f"no group differs from another: each is at {values[found.worse]}",
        f"left out: {words.listed(left, most=NAMED)}" if left else "",
    ]
