"""`mlops review` and the root action: train, evaluate and compare in one go, stopping at the first that cannot be done."""

from __future__ import annotations

import argparse
from dataclasses import replace

from mlops_toolkit.announce import begin
from mlops_toolkit.compare.run import run as compare
from mlops_toolkit.config import read
from mlops_toolkit.evaluate.run import run as evaluate
from mlops_toolkit.train.run import run as train
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """The exit code of the comparison, or of what failed before it."""
    paths = read.discover(args.config, cwd=world.cwd, root=world.root)
    configs = [read.load(path).config for path in paths]
    begin([config.name for config in configs], world, "training and evaluating")
    args.marked = True
    args.run = ""
    before = replace(world, out=world.err)  # standard output is the comparison's
    if any(config.train for config in configs):
        code = train(args, before)
        if code:
            return code
    code = evaluate(args, before)
    if code:
        return code
    for name, value in (("head", ""), ("metrics", ""), ("task", None), ("metric", []), ("slice", []), ("gate", []), ("positive", None)):
        setattr(args, name, value)
    return compare(args, world)
