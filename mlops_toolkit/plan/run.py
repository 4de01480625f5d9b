"""`mlops plan`: which models must run, said to people and to the jobs that follow; their checks wait from then on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlops_toolkit import answer
from mlops_toolkit.announce import Trouble, annotated, say
from mlops_toolkit.answer import Answer
from mlops_toolkit.config import read
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.forge.base import Annotation, check_name
from mlops_toolkit.history.base import key_of
from mlops_toolkit.plan import asked
from mlops_toolkit.plan.decide import identifier, lines, matrix
from mlops_toolkit.records import codec
from mlops_toolkit.records.plan import Plan, Planned
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 whatever is to run. Raises what keeps every model from being planned: no configuration, an unreadable history."""
    begun = world.context.source is not None
    plan = _begun(args, world) if begun else _asked(args, world) if asked.wanted(world.context) else _planned(args, world)
    if plan.notice:
        world.forge.annotate((Annotation("notice", plan.notice, "mlops plan"),))
    if getattr(args, "json", False):
        print(codec.dumps(plan), end="", file=world.out)
    for line in lines(plan):
        print(line, file=world.err if getattr(args, "json", False) else world.out)
    _pending(plan, world)
    # What another run does already is nobody's to run again.
    world.forge.output({"models": "[]" if begun else matrix(plan), "head": plan.head or "", "exit": "0"})
    return 0


def _configurations(args: argparse.Namespace, world: World) -> Sequence[Loaded]:
    """Those that can be read. A broken one of several is said, and its error is the comparison's to report."""
    paths, broken = read.discover(args.config, cwd=world.cwd, root=world.root), list[MlopsError]()
    readable = []
    for path in paths:
        try:
            read.load(path, root=world.root)
            readable.append(path)
        except MlopsError as error:  # noqa: PERF203
            broken.append(error)
    if broken and not readable:
        raise broken[0]
    for one in broken:
        print(f"mlops plan: {one}", file=world.err)
        world.forge.annotate(annotated(one))
    return read.load_all(readable, root=world.root)


def _planned(args: argparse.Namespace, world: World) -> Plan:
    models = []
    for loaded in _configurations(args, world):
        history = world.history(loaded.folder / ".mlops", loaded.config.history.at)
        models.append(_one(loaded, answer.find(loaded, world, history), world))
        for note in history.notes:
            print(f"mlops plan: {note}", file=world.err)
    return Plan(world.context.head or _here(world), tuple(models))


def _one(loaded: Loaded, answered: Answer, world: World) -> Planned:
    name, leg, source = loaded.config.name, world.context.matrix, answered.source
    key = key_of(loaded.where, name, leg)
    return Planned(
        identifier(key, name, leg),
        name,
        loaded.where,
        answered.kind,
        answered.reason,
        leg,
        source.id if source else None,
        source.commit if source else None,
    )


def _here(world: World) -> str | None:
    commit = world.git.commit("HEAD") if world.git else None
    return commit.sha if commit else None


def _asked(args: argparse.Namespace, world: World) -> Plan:
    """Every model of a pull request that somebody with a right to it asked for; nothing otherwise."""
    decided = _decided(world)
    if not isinstance(decided, asked.Allowed):
        return Plan(notice=f"nothing runs: {decided.reason}")
    wanted = Answer("run", f"{decided.by} asked for it")
    idle = Answer("nothing-to-run", "there is nothing to train or evaluate")
    found = _configurations(args, world)
    models = [_one(loaded, wanted if loaded.config.train or loaded.config.evaluate else idle, world) for loaded in found]
    return Plan(decided.head, tuple(models))


def _begun(args: argparse.Namespace, world: World) -> Plan:
    """On `workflow_run: requested`: the models whose checks wait for the run that has begun, which may set none itself."""
    running = Answer("run", f"CI run {world.context.run} has begun")
    return Plan(world.context.head, tuple(_one(loaded, running, world) for loaded in _configurations(args, world)))


def _decided(world: World) -> asked.Allowed | asked.Refused | asked.NotAsked:
    """The forge is asked only about what is a request at all: most comments are none."""
    context, forge = world.context, world.forge
    named = asked.named(context)
    if not isinstance(named, str):
        return named
    may_write = forge.may_write(context.asked_by) if context.asked_by else None
    return asked.ask(
        context, may_write, forge.pull_request(context.pull_request) if may_write and context.pull_request is not None else None
    )


def _pending(plan: Plan, world: World) -> None:
    """The checks of what will run wait, where a merge looks for them; what of it is refused is said once."""
    context = world.context
    if not context.ci or plan.head is None or context.read_only_token:
        return
    refused = list[Trouble]()
    # Of another run that has begun the page is that one's: there people see it at work, and by it the check is closed.
    page = f"{context.server_url}/{context.repository}/actions/runs/{context.run}" if context.source else context.url
    for one in plan.running:
        posted = world.forge.status(plan.head, check_name(one.name, one.matrix), "pending", "waits to be trained and evaluated", page)
        refused.append((posted.reason, posted.hint))
    say(refused, "plan", world)
