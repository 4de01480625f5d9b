"""What a stranger's job hands over, judged where its code never runs: by the base branch's configuration and its examples."""

from __future__ import annotations

import argparse

from mlops_toolkit.compare.gather import Job
from mlops_toolkit.errors import UsageError
from mlops_toolkit.world import World


def jobs(args: argparse.Namespace, world: World) -> list[Job]:
    """One comparison for each model of the base branch that a run was handed over of."""
    raise UsageError("no-run", "not yet")
