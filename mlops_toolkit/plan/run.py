"""`mlops plan`: which models must run, and marking their checks as pending."""

from __future__ import annotations

import argparse

from mlops_toolkit.errors import UsageError
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """Not yet."""
    raise UsageError("no-run", "not yet")
