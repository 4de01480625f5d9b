"""From two loaded sides and what is asked to a Result. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.gate import differences, examples, numbers, proposal, unlike, whole
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.suite import judge_suite
from mlops_toolkit.gate.work import Work
from mlops_toolkit.predictions.place import shown
from mlops_toolkit.records.result import Result
from mlops_toolkit.report import words


def assemble(request: Request, baseline: Loaded | None, head: Loaded, *, salt: str | None = None) -> Result:
    """The Result, complete but for its sentence and what only the shell knows (urls, CI run)."""
    work = Work(notes=[*request.notes, *(baseline.notes if baseline else ()), *head.notes])
    unlike.noted(work, request, baseline, head)
    request = _held(work, request)
    same = _same_model(request, baseline, head)
    for suite, table in head.tables.items():
        judge_suite(work, request, suite, table, baseline, head, same=same, salt=salt)
    numbers.scalars(work, request, baseline, head)
    numbers.measures(work, request, baseline, head)
    _gone(work, request)
    settled = whole.settle(
        work.judged,
        policy=_policy(request),
        confidence=request.config.confidence,
        accepted=() if request.forks_gate else request.config.accepted,
        today=request.today,
    )
    checks = tuple(
        replace(check, suggested=work.proposals.get(check.metric)) if check.slice is None and check.metric in work.proposals else check
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
        measures=numbers.measure_rows(request.config, baseline, head),
        differences=differences.between(baseline.run, head.run) if baseline and baseline.run and head.run else (),
        notes=tuple(dict.fromkeys([*_loosened(work), *work.notes])),
        charts=work.charts,
        blocks=settled.blocks,
        exit=settled.exit,
        policy=_policy(request),
        looks=request.looks,
    )
    following = proposal.next_steps(result, request.config, request.today, configured=request.configured, options=request.options)
    return replace(result, next=following)


def _policy(request: Request) -> Any:
    """The stricter of the two sides' policies for doubt, unless a looser one was accepted."""
    rank = {"warn": 0, "ask": 1, "fail": 2}
    mine, base = request.config.when_uncertain, request.base_config.when_uncertain if request.base_config else None
    if base is None:
        return mine
    if request.forks_gate:
        return base
    return mine if rank[mine] >= rank[base] or whole.accepts_gate(request.config.accepted, request.today) else base


def _held(work: Work, request: Request) -> Request:
    """The request at the base branch's confidence, which decides what passes as the margins do; another one counts once it is accepted."""
    mine, base = request.config.confidence, request.base_config.confidence if request.base_config else None
    if base is None or base == mine:
        return request
    if not request.forks_gate:
        work.loosened.append(f"confidence {base:g} → {mine:g}")
        if whole.accepts_gate(request.config.accepted, request.today):
            return request
    return replace(request, config=replace(request.config, confidence=base))


def _same_model(request: Request, baseline: Loaded | None, head: Loaded) -> bool:
    """Whether both runs are of the same model by digest."""
    return baseline is not None and baseline.model is not None and baseline.model == head.model


def _loosened(work: Work) -> list[str]:
    return [f"gate loosened: {'; '.join(work.loosened)}"] if work.loosened else []


def _gone(work: Work, request: Request) -> None:
    """A gated metric or measure that nobody computed is an error, never a pass."""
    done = {one.check.metric for one in work.judged}
    have = words.listed([shown(name)[1:-1] for name in sorted(done)], most=20)
    for config, whose in ((request.config, "mlops.yaml"), (request.base_config, "mlops.yaml of the base branch")):
        for name in config.gate if config else ():
            if name in done:
                continue
            if whose != "mlops.yaml" and whole.accepts_gate(request.config.accepted, request.today):
                continue
            raise InvalidFile(
                "metric-gone",
                f"{name} is gated, but this run does not have it",
                where=f"gate of {whose}",
                hint=f"have: {have or 'none'}. A metric is computed when it stands under evaluate.metrics, a measure when the evaluation writes it to $MLOPS_MEASURES",
            )
