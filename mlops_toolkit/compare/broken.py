"""Telling people of the models that could not be compared, while the others were: a section, a check and a report for each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlops_toolkit import announce
from mlops_toolkit.compare import perform
from mlops_toolkit.compare.gather import Broken
from mlops_toolkit.errors import PRECEDENCE
from mlops_toolkit.records.result import Result
from mlops_toolkit.report.comment import comment
from mlops_toolkit.world import World


def results(broken: Sequence[Broken], world: World) -> list[Result]:
    """What each is reported as."""
    return [
        announce.without_verdict(one.error, one.model, world.context, config=one.model.where or str(one.state.parent)) for one in broken
    ]


def tell(broken: Sequence[Broken], made: Sequence[Result], args: argparse.Namespace, world: World) -> None:
    """Files beside each configuration, annotations, section, check and summary; the outputs are the worst one's where it is worst of all."""
    for one, result in zip(broken, made, strict=True):
        print(f"mlops {args.verb}: {result.model}: {one.error}", file=world.err)
        perform.write_files(result, comment(result), (), one.state, world, html=False)
        if world.context.ci:
            _post(one, result, args, world)
    if world.context.ci:
        one, worst = min(zip(broken, made, strict=True), key=lambda pair: PRECEDENCE.index(pair[1].exit))
        world.forge.output({"verdict": "", "gate": "none", "report": str(one.state / "report.json"), "exit": str(worst.exit)})


def _post(one: Broken, result: Result, args: argparse.Namespace, world: World) -> None:
    from mlops_toolkit.report.summary import summary

    world.forge.annotate(announce.annotated(one.error))
    refused = announce.announce_error(result, one.model, world, comment=getattr(args, "comment", True))
    troubles = [(reason, hint) for reason, hint in refused if reason]
    announce.say(troubles, args.verb, world)
    world.forge.summary(summary(result, troubles=troubles))
