"""`mlops compare`: gather, decide, perform. The exit code is the worst of all models'."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import threading

from mlops_toolkit.compare import gather
from mlops_toolkit.compare.gather import Broken, Job
from mlops_toolkit.errors import PRECEDENCE
from mlops_toolkit.records.result import Result
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """Compare every model asked for; 0 passed, 1 a gate failed, 3 undecided and the policy asks.

    What is wrong with one of several is that one's outcome; what is wrong with the only one, or with all, is raised.
    """
    # numpy and polars take longer to load than all of the rest: they do while git answers where to look, and what decides
    # while files are read. What is imported above needs neither: two threads that import at once wait for each other at every file.
    threading.Thread(target=_load, daemon=True).start()
    found = gather.jobs(args, world)
    from mlops_toolkit.compare.decide import decide
    from mlops_toolkit.compare.perform import perform

    outcomes: list[tuple[Job, Result]] = []
    broken: list[Broken] = []
    for one in found:
        if isinstance(one, Broken):
            broken.append(one)
            continue
        with gather.standing_in(broken, one.path, world, one.run.matrix if one.run else None):
            outcomes.append((one, decide(one, world)))
    if broken and len(found) == 1 and broken[0].model.matrix == world.context.matrix:
        raise broken[0].error
    without = []
    if broken:
        from mlops_toolkit.compare import broken as others

        without = others.results(broken, world)
    perform(outcomes, args, world, without)
    if broken:
        others.tell(broken, without, args, world)
    for note in dict.fromkeys(note for job, _ in outcomes if job.history is not None for note in job.history.notes):
        print(f"mlops compare: {note}", file=world.err)
    return min((result.exit for result in (*(result for _, result in outcomes), *without)), key=PRECEDENCE.index)


def _load() -> None:
    """Whatever is wrong with an import is said where it is asked for."""
    with contextlib.suppress(Exception):
        for name in ("predictions.read", "compare.decide", "compare.perform"):
            importlib.import_module(f"mlops_toolkit.{name}")
