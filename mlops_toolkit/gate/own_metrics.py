"""Metrics that are the user's own programs: judged by the values that `evaluate` left in both records, since compare runs nobody's code. Pure."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.config.schema import Config, MetricRequest
from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate import judge, other_program, redefined, unlike
from mlops_toolkit.gate.judge import Judged, Subject
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.suite import suite_of
from mlops_toolkit.gate.work import Work, effective, warning
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.records.run import MetricValue, Run
from mlops_toolkit.stats import jackknife
from mlops_toolkit.stats.paired import Paired

CODE = "its program is not the one that the baseline was measured with: nothing was compared"
ANSWERS = "the baseline's model was asked again, and its new answers were not measured: nothing was compared"
EXAMPLES = "the examples, or the groups they fall into, are not the baseline's: nothing was compared"
STRANGER = "a program of the pull request's own: its number cannot be computed again by who judges it"


def judged(work: Work, request: Request, baseline: Loaded | None, head: Loaded, *, same: bool) -> None:
    """A check for every such metric that this run has, overall and on its slices."""
    if head.run is None:
        return
    for full, asked in _asked(request).items():
        own = head.run.metrics.get(full)
        if own is None:
            continue  # an error where it is gated
        old = baseline.run.metrics.get(full) if baseline and baseline.run else None
        _judge(work, request, baseline, head, full, asked, old, own, None, same=same)
        for name, values in head.run.slices.items():
            if full in values:
                before = baseline.run.slices.get(name, {}).get(full) if baseline and baseline.run else None
                _judge(work, request, baseline, head, full, asked, before, values[full], name, same=same)
        _slice_gone(request, full, baseline, head.run)


def _slice_gone(request: Request, full: str, baseline: Loaded | None, head: Run) -> None:
    """InvalidFile `metric-gone` where the base branch's gate judges a slice that this run's record has no number of: it cannot be made here."""
    base = request.base_config
    if (
        base is None
        or request.lets_go
        or baseline is None
        or baseline.run is None
        or full not in base.gate
        or base.gate[full].slices is None
    ):
        return
    suite = full.rpartition("/")[0]
    mine, theirs = ({one.name: one for one in suite_of(config, suite).slices} for config in (request.config, base))
    let_go = [name for name, one in theirs.items() if mine.get(name) != one]
    gone = [name for name, values in baseline.run.slices.items() if full in values and full not in head.slices.get(name, {})]
    if let_go and gone:
        raise InvalidFile(
            "metric-gone",
            f"{full} is gated on the slice {shown(gone[0])}, but this run does not have it",
            where="gate of mlops.yaml of the base branch",
            hint="the base branch's gate judges this slice; `accepted: [{check: gate, reason: …}]` lets it go",
        )


def _asked(request: Request) -> dict[str, MetricRequest]:
    """By full name: those of this configuration, and those that the base branch's gate names. Where both define one, the base branch's
    direction counts."""
    found = _of(request.config)
    if request.base_config is not None:
        theirs = _of(request.base_config)
        found = {full: one for full, one in theirs.items() if full in request.base_config.gate} | {
            full: replace(one, better=theirs[full].better) if full in theirs else one for full, one in found.items()
        }
    return found


def _of(config: Config) -> dict[str, MetricRequest]:
    if config.evaluate is None:
        return {}
    suites = config.evaluate.suites or {"": config.evaluate}
    return {f"{name}/{one.name}" if name else one.name: one for name, suite in suites.items() for one in suite.metrics if one.own}


def _judge(
    work: Work,
    request: Request,
    baseline: Loaded | None,
    head: Loaded,
    full: str,
    asked: MetricRequest,
    old: MetricValue | None,
    own: MetricValue,
    slice_name: str | None,
    *,
    same: bool,
) -> None:
    anew = other_program.found(baseline, head, full, slice_name)
    before = anew.now or old
    direction, confidence = asked.better or own.direction, request.config.confidence
    suite = full.rpartition("/")[0]

    def compared(one: MetricValue | None, other: MetricValue) -> tuple[Paired, bool]:
        made = _compared(full, asked, baseline, one, other, confidence, forks=request.forks_gate)
        if anew.now is None and made.change is not None and baseline is not None and suite in baseline.again:
            made = replace(made, change=None, low=None, high=None, reason="evaluation-changed", message=ANSWERS)
        exact = same and one is not None and (one.value, one.left_out, one.groups) == (other.value, other.left_out, other.groups)
        return unlike.doubted(work, suite, made, exact=exact), exact

    paired, exact = compared(before, own)
    head_rule = request.config.gate.get(full)
    base_rule = request.base_config.gate.get(full) if request.base_config else None
    subject = Subject(full, direction, own.signature, asked.unit or "")
    limits = effective(work, request, full, direction, paired.baseline, head_rule, base_rule, slice_name)
    if limits.waiting and (old is not None or request.forks_gate):  # there is a baseline: what cannot be held against it is in doubt
        limits = limits.unanswered()
    made = judge.measured(subject, paired, limits, slice_name=slice_name, confidence=confidence, same=exact)
    made = _told(made, replace(paired, message=f"{paired.message} ({anew.note})") if paired.reason and anew.note else paired, baseline)
    if old is not None and anew.now is not None and old.signature != own.signature and not request.forks_gate:
        theirs, same_by_theirs = compared(anew.theirs, anew.mine) if anew.theirs and anew.mine else (None, False)
        if slice_name is None:
            work.notes.append(other_program.told(full, asked.unit or "", paired, theirs))
        rule = base_rule if request.base_config else head_rule
        asks = effective(work, request, full, direction, theirs.baseline if theirs else old.value, rule, rule, slice_name)
        other: Judged | None = None
        if theirs is not None and anew.mine is not None:
            named = replace(subject, signature=anew.mine.signature)
            other = judge.measured(named, theirs, asks, slice_name=slice_name, confidence=confidence, same=same_by_theirs)
            other = _told(other, theirs, baseline)
        made = other_program.held(made, other, anew.note) if asks.asked else made
    work.judged.append(made)
    beside = warning(work, request, full, direction, paired.baseline, head_rule, base_rule) if slice_name is None else None
    if beside is not None:
        made = judge.measured(subject, paired, beside, slice_name=None, confidence=confidence, same=exact)
        work.judged.append(judge.as_warning(_told(made, paired, baseline)))


def _told(made: Judged, paired: Paired, baseline: Loaded | None) -> Judged:
    check = made.check
    if paired.change is None and check.verdict == "inconclusive" and paired.reason:
        check = replace(check, reason=paired.reason, message=paired.message)
    check = replace(check, disagree=None, better=None, worse=None)
    made = replace(made, check=check)
    if paired.reason == "metric-redefined":
        made = redefined.doubted(made, paired)
    return made if baseline is None else judge.new(made)


def _compared(
    full: str, asked: MetricRequest, baseline: Loaded | None, old: MetricValue | None, own: MetricValue, confidence: float, *, forks: bool
) -> Paired:
    """The two values, as far as they may be compared."""
    if forks:  # no value at all: nothing that is asked of it may pass
        return Paired(full, own.n, None, None, reason="own-metric", message=STRANGER, head_state="own-metric")
    interval = jackknife.own_interval(own.value, own.left_out, confidence)
    low, high = interval or (None, None)
    alone = Paired(full, own.n, None, own.value, standard_error=own.standard_error, head_low=low, head_high=high, head_state=own.state)
    if own.value is None:
        return replace(alone, reason="undefined", message=f"{full} is undefined: its function gave None")
    if old is None or baseline is None:
        return alone
    alone = replace(alone, baseline=old.value)
    if old.signature != own.signature:
        return replace(alone, reason="metric-redefined", message=CODE)
    if old.groups != own.groups or old.groups is None:
        return replace(alone, reason="data-changed", message=EXAMPLES)
    direction = asked.better or own.direction
    return jackknife.paired(full, own.n, old.value, own.value, (old.left_out, own.left_out), direction=direction, confidence=confidence)
