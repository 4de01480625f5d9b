"""The base branch's configuration, whose gate counts where the head's is looser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlops_toolkit.config import read
from mlops_toolkit.config.schema import Config
from mlops_toolkit.errors import ConfigErrors, UsageError
from mlops_toolkit.history import baseline, lineage
from mlops_toolkit.history.base import History
from mlops_toolkit.world import World


def of_base(
    loaded: read.Loaded, world: World, history: History, line: baseline.Lineage, args: argparse.Namespace, places: Sequence[str]
) -> tuple[Config | None, tuple[str, ...]]:
    """The configuration at the commit the head is measured from: its gate counts where the head's is looser. Of a fork, which chooses where
    it leaves the base branch, that branch's as it is now.

    Gates given on the command line are the person's own question: nothing is held against them.
    """
    if world.git is None or not line.steps or args.gate:
        return None, ()
    start, context = line.steps[0].commit, world.context
    if context.fork and world.apart is None and (branch := context.base_branch or context.default_branch):
        start = next((commit.sha for commit in history.ancestry(f"refs/heads/{branch}", 1)), start)
    there = ((place, lineage.content(world.git, history, start, place)) for place in places)
    where, content = next(((place, content) for place, content in there if content is not None), (loaded.where, None))
    if content is None:
        return None, ()
    try:
        return read.parse(content, where=f"{where} at {start[:7]}", path=loaded.path, root=world.root).config, ()
    except (ConfigErrors, UsageError) as error:
        if context.fork:  # its own gate is no gate
            hint = "mend it there first; then this pull request can be judged"
            raise UsageError(
                "no-base-gate",
                f"the base branch's configuration cannot be read: {error.message}",
                where=f"{loaded.where} at {start[:7]}",
                hint=hint,
            ) from error
        return None, (f"the configuration at {start[:7]} cannot be read ({error.message}): only this one's gate counts",)
