"""Suites that are measured otherwise than the baseline's was: what was done about it, and which of them nothing is decided by. Pure."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.work import Work
from mlops_toolkit.models.evaluation import Change
from mlops_toolkit.records.run import Evaluation
from mlops_toolkit.stats.paired import Paired

MESSAGES = {
    "evaluation-changed": "measured otherwise than the baseline was: nothing was decided",
    "data-changed": "the examples are not what they were for the baseline: nothing was decided",
}


def noted(work: Work, request: Request, baseline: Loaded | None, head: Loaded) -> None:
    """In `work`: the state, what the reader must know, and the suites in doubt."""
    if baseline is None:
        return
    apart = head.run is not None and (head.run.trained is not None or head.run.elsewhere is not None)
    for suite, change in request.evaluation.items():
        what = f"the evaluation{f' {suite}' if suite else ''} changed ({', '.join(change.measuring)})"
        if not change.measuring:
            what = f"the data{f' of {suite}' if suite else ''} changed ({', '.join(change.contents)}; the same ids and labels)"
        if change.shared:
            work.notes.append(f"{', '.join(change.shared)}: the training reads that too, so it counts as part of the model")
        if not change.measuring and not change.contents:
            continue
        work.states[suite] = "evaluation-changed" if change.measuring else "data-changed"
        if suite in baseline.again:
            work.notes.append(f"{what}: {_again(baseline, head, suite)}")
        elif not apart:
            work.notes.append(f"{what}: part of the difference may come from that")
        else:
            work.unlike[suite] = work.states[suite]
            work.notes.append(f"{what}, and the baseline's model was not evaluated again: {_why(baseline, head, suite)}")
    for suite in sorted(baseline.again - set(work.states)):
        work.states[suite] = "data-changed"
        work.notes.append(f"the test set changed: {_again(baseline, head, suite)}, on the new examples")


def state(work: Work) -> str | None:
    """Of all suites, the one that says the most."""
    known = {*work.states.values(), work.state}
    return "evaluation-changed" if "evaluation-changed" in known else work.state or next(iter(work.states.values()), None)


def doubted(work: Work, suite: str, one: Paired, *, exact: bool) -> Paired:
    """A measured difference that two ways of measuring may have made."""
    if suite not in work.unlike or one.baseline is None or exact:
        return one
    return replace(one, low=None, high=None, reason=work.unlike[suite], message=MESSAGES[work.unlike[suite]])


def doubted_number(request: Request, metric: str, one: Judged) -> Judged:
    """The check of a number without examples, which nobody measured again; `min` and `max` ask nothing of the baseline."""
    change = request.evaluation.get(metric.rpartition("/")[0], Change())
    check = one.check
    decided = check.verdict in ("pass", "fail") and check.reason not in ("below-min", "above-max", "first-run", "metric-new")
    asked = check.improve if check.improve is not None else -check.margin if check.margin is not None else None
    if not change.measuring or (asked is None and check.gain is None) or check.change is None or not decided:
        return one
    beyond = (asked is not None and check.change < asked) or (check.gain is not None and check.change > check.gain)
    leaning = "beyond" if beyond else "inside"
    return Judged(
        replace(check, verdict="inconclusive", leaning=leaning, reason="evaluation-changed", message=MESSAGES["evaluation-changed"])  # type: ignore[arg-type]
    )


def _evaluation(head: Loaded, suite: str) -> Evaluation:
    return head.run.evaluations.get(suite, Evaluation()) if head.run else Evaluation()


def _again(baseline: Loaded, head: Loaded, suite: str) -> str:
    how = _evaluation(head, suite).again(baseline.run.id).note if baseline.run else None
    return f"the baseline's model was evaluated again{f', {how}' if how else ''}"


def _why(baseline: Loaded, head: Loaded, suite: str) -> str:
    one = _evaluation(head, suite)
    if baseline.run is not None and baseline.run.id in one.also:
        return one.also[baseline.run.id].note or "`mlops evaluate` did not say why"
    if one.baseline_run is not None and baseline.run is not None and one.baseline_run != baseline.run.id:
        return f"`mlops evaluate` compared with run {one.baseline_run}, which was the baseline then; evaluate again"
    return one.baseline_note or "`mlops evaluate` did not find this baseline"
