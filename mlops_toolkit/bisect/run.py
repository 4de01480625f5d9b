"""`mlops bisect METRIC`: walk over the recorded runs of the base branch, and name the commits where the metric really moved."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlops_toolkit import answer
from mlops_toolkit.bisect import load
from mlops_toolkit.bisect import walk as walks
from mlops_toolkit.bisect.load import Asked, Course
from mlops_toolkit.bisect.walk import Visit, Walk
from mlops_toolkit.config import read, requests
from mlops_toolkit.config.schema import Config, MetricRequest, Suite
from mlops_toolkit.errors import UsageError
from mlops_toolkit.history import lineage, verbs
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.history.baseline import Lineage, Step
from mlops_toolkit.history.local import prepare
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.records import codec
from mlops_toolkit.records.run import Run
from mlops_toolkit.report import moves as shown
from mlops_toolkit.report.moves import Commit, Moves, Named, Point
from mlops_toolkit.stats import moves
from mlops_toolkit.stats.moves import Move
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

MOST = 200  # runs that are read
MOST_CELLS = 64_000_000  # influences that are held at once, four bytes each
ERROR = 0.05


def run(args: argparse.Namespace, world: World) -> int:
    """0, whatever moved; the errors of a walk that cannot be made."""
    loaded = _the(args, world)
    suite, request, definition = _metric(args.metric, loaded.config)
    state = loaded.folder / ".mlops"
    history = world.history(state, loaded.config.history.at)
    line = _line(args.since, world, history)
    made = walks.walk(line.steps, history.entries(), key_of(loaded.where, loaded.config.name, world.context.matrix))
    if not made.visits:
        raise UsageError(
            "no-runs", f"no run of {loaded.config.name} is recorded on {line.label}", hint="`mlops history list` shows the runs"
        )
    made = walks.latest(made, MOST)
    runs = {visit.entry.id: found for visit in made.visits if (found := history.run(visit.entry.id)) is not None}
    made = made.without({visit.entry.id: "its record is not to be had" for visit in made.visits if visit.entry.id not in runs})
    made = walks.same_examples(made, lambda visit: _examples(runs[visit.entry.id], suite))
    made = walks.latest(made, max(2, MOST_CELLS // max(_count(runs, made, suite), 1)))
    if len(made.visits) < 2:
        raise load.too_few(made)
    asked = Asked(request, suite, args.slice or None, definition.slices, loaded.config.confidence)
    course = load.course(asked, made, runs, answer.files_of(history, state, world.models), history.salt)
    result = _found(args.metric, loaded.config, asked, course, line, world)
    _show(result, args, world, state)
    for note in dict.fromkeys(history.notes):
        print(f"mlops bisect: {note}", file=world.err)
    return 0


def _the(args: argparse.Namespace, world: World) -> read.Loaded:
    found = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    if len(found) > 1:
        names = ", ".join(one.where for one in found[:5])
        raise UsageError(
            "several-models", f"{args.config} names {len(found)} models: {names}", where="--config", hint="walk over one at a time"
        )
    return found[0]


def _metric(name: str, config: Config) -> tuple[str, MetricRequest, Suite]:
    """(suite, metric, the suite's definition) of a metric as mlops.yaml and the comment call it."""
    if config.evaluate is None:
        raise UsageError("nothing-to-evaluate", "mlops.yaml has no `evaluate:`", hint="without examples nothing can be told from chance")
    suites = dict(config.evaluate.suites) or {"": config.evaluate}
    known: dict[str, tuple[str, MetricRequest, Suite]] = {}
    for suite, definition in suites.items():
        for request in (*definition.metrics, *requests.gated(config, suite)):
            known[f"{suite}/{request.name}" if suite else request.name] = suite, request, definition
    if name in known:
        return known[name]
    suite, _, short = name.rpartition("/")
    if suite in suites:
        try:
            return suite, requests.metric(short), suites[suite]  # one of the usual ones, that mlops.yaml need not list
        except UsageError:
            pass
    raise UsageError("unknown-metric", f'there is no metric "{name[:80]}"', where="METRIC", hint=did_you_mean(name, known or ["accuracy"]))


def _line(since: str, world: World, history: History) -> Lineage:
    """The base branch's line of first parents, newest first, down to a commit or tag where one is named."""
    if world.git is None:
        raise lineage.no_repository(None)
    branch = world.default_branch()
    line = lineage.find(world.git, world.context, history.ancestry, base=branch)
    if not since:
        return line
    hint = f"name a commit or tag of {branch}"
    start = lineage.asked(world.git, history.ancestry, since)
    if start is None:
        raise UsageError("unknown-base", f'"{since[:80]}" is no commit, branch or tag', where="--since", hint=hint)
    place = next((place for place, step in enumerate(line.steps) if step.commit == start.commit), None)
    if place is None:
        raise UsageError("not-on-the-line", f"{since[:80]} is not on the line of {branch}", where="--since", hint=hint)
    return Lineage(line.steps[: place + 1], line.reason, line.label)


def _examples(run: Run, suite: str) -> str | None:
    kept = run.evaluations.get(suite)
    if kept is None or kept.predictions is None or kept.data is None:
        return None
    return kept.data.ids_digest or kept.data.digest


def _count(runs: dict[str, Run], made: Walk, suite: str) -> int:
    return max((data.n for v in made.visits if (data := runs[v.entry.id].evaluations[suite].data) is not None), default=1)


def _found(name: str, config: Config, asked: Asked, course: Course, line: Lineage, world: World) -> Moves:
    visits = course.walk.visits
    points = tuple(
        Point(visit.entry.id, visit.step.commit, value, *(own or (None, None)))
        for visit, value, own in zip(visits, course.values, course.own, strict=True)
    )
    found = moves.find(course.series, course.steps, error=ERROR, confidence=asked.confidence)
    notes = [f"the labels of {len(course.relabelled)} runs changed since: all are scored with the newest ones"] if course.relabelled else []
    notes += [f"the line ends early: {line.cut}"] if line.cut else []
    return Moves(
        model=config.name,
        metric=name,
        slice=asked.slice,
        unit=course.metric.unit,
        direction=course.metric.direction,
        branch=line.label or "main",
        n=course.n,
        confidence=asked.confidence,
        error=ERROR,
        points=points,
        moves=tuple(_named(move, course, line.steps, world) for move in found),
        passed=dict(course.walk.passed),
        notes=tuple(notes),
    )


def _named(move: Move, course: Course, steps: Sequence[Step], world: World) -> Named:
    older, newer = (course.walk.visits[place] for place in (move.first, move.last))
    between = walks.between(steps, older, newer)
    turned = course.metric.direction == "lower"
    low, high = (
        (move.low, move.high) if not turned else (None if move.high is None else -move.high, None if move.low is None else -move.low)
    )
    return Named(
        kind="span" if not move.single else "commit" if len(between) == 1 else "range",
        first=move.first,
        last=move.last,
        before=course.values[move.first],
        after=course.values[move.last],
        change=course.values[move.last] - course.values[move.first],
        low=low,
        high=high,
        better=move.change > 0,
        commits=tuple(_commit(step, newer, world) for step in between) if move.single else (),
    )


def _commit(step: Step, newer: Visit, world: World) -> Commit:
    told = world.git.lines("log", "-1", "--no-show-signature", "--format=%an", step.commit, "--") if world.git else []
    number = walks.pull_request(step, newer.entry if newer.step.commit == step.commit else None)
    return Commit(step.commit, step.subject, told[0] if told else None, number)


def _show(found: Moves, args: argparse.Namespace, world: World, state: Path) -> None:
    name = "".join(c if c.isalnum() or c in "-." else "-" for c in shown.title(found))
    path = state / f"bisect-{name[:100]}.png"
    prepare(state)
    write_atomic(path, shown.picture(found))
    if args.json:
        world.out.write(codec.dumps(found))
    else:
        print(shown.sentence(found), file=world.out)
        if found.moves:
            world.out.write(verbs.table(shown.cells(found)))
    for note in found.notes:
        print(f"mlops bisect: {note}", file=world.err)
    for reason in dict.fromkeys(found.passed.values()):
        mine = [run for run, why in found.passed.items() if why == reason]
        more = f" and {len(mine) - 3} more" if len(mine) > 3 else ""
        print(f"mlops bisect: passed over {', '.join(mine[:3])}{more}: {reason}", file=world.err)
    print(f"picture: {path}", file=world.err)
