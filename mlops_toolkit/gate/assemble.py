"""From two loaded sides and what is asked to a Result. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate import differences, examples, gaps, looks, measures, numbers, own_metrics, proposal, seeds, unlike, whole
from mlops_toolkit.gate import others as held_against
from mlops_toolkit.gate.acceptance import Yes, live
from mlops_toolkit.gate.held import held
from mlops_toolkit.gate.loaded import Loaded, Other
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.suite import judge_suite
from mlops_toolkit.gate.work import Work
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.report import words


def assemble(request: Request, baseline: Loaded | None, head: Loaded, *, salt: str | None = None, others: Sequence[Other] = ()) -> Result:
    """The Result, complete but for its sentence and what only the shell knows (urls, CI run). others: what else the gate is held against."""
    work = Work(notes=[*request.notes, *(baseline.notes if baseline else ()), *head.notes])
    unlike.noted(work, request, baseline, head)
    listed = request.config.against
    request = looks.spent(held(work, request))
    same = seeds.same(request, baseline, head)
    for suite, table in head.tables.items():
        judge_suite(work, request, suite, table, baseline, head, same=same, salt=salt)
    own_metrics.judged(work, request, baseline, head, same=same)
    numbers.scalars(work, request, baseline, head)
    measures.judged(work, request, baseline, head)
    _gone(work, request)
    gaps.missing(work, request)
    against = held_against.others(work, request, baseline, head, others, listed=listed)
    settled = whole.settle(
        work.judged,
        policy=request.config.when_uncertain,
        confidence=request.config.confidence,
        yes=_yes(request),
    )
    checks = tuple(
        replace(check, suggested=work.proposals[check.metric]) if _takes_proposal(check) and check.metric in work.proposals else check
        for check in settled.checks
    )
    result = Result(
        model=request.config.name,
        verdict=settled.verdict,
        gate=settled.gate,
        sentence="",
        baseline=replace(request.baseline, state=unlike.state(work) or ("same-model" if same else request.baseline.state)),
        head=request.head,
        checks=checks,
        examples=examples.merged(work.examples),
        discovered=work.discovered,
        measures=measures.rows(request, baseline, head),
        differences=differences.between(baseline.run, head.run) if baseline and baseline.run and head.run else (),
        notes=tuple(
            dict.fromkeys([*_loosened(work, request), *work.notes, *settled.notes, *_asked_again(request, checks), *looks.notes(request)])
        ),
        charts=work.charts,
        blocks=settled.blocks,
        exit=settled.exit,
        policy=request.config.when_uncertain,
        looks=request.looks,
        others=against,
        training=seeds.training(request, baseline, head),
    )
    following = proposal.next_steps(result, request.config, request.today, configured=request.configured, options=request.options)
    return replace(result, next=following)


def _takes_proposal(check: Check) -> bool:
    """Whether it is the metric's own check: not a slice's, a warning's, or one against another baseline."""
    return check.slice is None and check.against is None and not check.warning


def _yes(request: Request) -> Yes:
    """Of a fork's head it is the base branch's `accepted:` that counts."""
    standing = request.base_config.accepted if request.base_config else ()
    return Yes(standing if request.forks_gate else request.config.accepted, request.today, standing)


def _asked_again(request: Request, checks: Sequence[Check]) -> list[str]:
    """What is in the way because an improvement that an earlier change made is asked of this one, too."""
    base = request.base_config.gate if request.base_config is not None else {}
    left = [
        check.metric
        for check in checks
        if check.improve is not None and check.verdict in ("fail", "inconclusive") and not check.warning and check.accepted is None
        if check.metric in base and base[check.metric].improve_by is not None
    ]
    return [
        f"{words.listed(list(dict.fromkeys(left)))}: `improve-by` stands on the base branch already, so it is asked of every change anew; "
        "where it was reached, write what is to be kept (`max-drop` or `min`) in its place, and `accepted: [{check: gate, reason: …}]` beside it"
    ] * bool(left)


def _loosened(work: Work, request: Request) -> list[str]:
    if not work.loosened:
        return []
    said = [f"gate loosened: {'; '.join(work.loosened)}"]
    yes = [entry for entry in request.config.accepted if entry.check == "gate"]
    if not yes or request.lets_go or request.forks_gate:
        return said
    ended = next((entry.until for entry in yes if not live(entry, request.today)), None)
    over = (
        f"ended on {ended}"
        if ended
        else "was merged already: it let go what was asked then, and not this; say yes to this one in its place"
    )
    return [*said, f"`accepted:` of gate {over}"]


def _gone(work: Work, request: Request) -> None:
    """A gated metric or measure that nobody computed is an error, never a pass."""
    done = {one.check.metric for one in work.judged}
    have = words.listed([shown(name)[1:-1] for name in sorted(done)], most=20)
    for config, whose in ((request.config, "mlops.yaml"), (request.base_config, "mlops.yaml of the base branch")):
        for name in config.gate if config else ():
            if name in done:
                continue
            if whose != "mlops.yaml" and request.lets_go:
                continue
            raise InvalidFile(
                "metric-gone",
                f"{name} is gated, but this run does not have it",
                where=f"gate of {whose}",
                hint=f"have: {have or 'none'}. A metric is computed when it stands under evaluate.metrics, a measure when the evaluation writes it to $MLOPS_MEASURES",
            )
