"""Whoever carries an order out dies, as by SIGKILL, at a moment that is named by what stands in the journal."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

from mlops_toolkit.rollout.cluster_api import Cluster, Through
from mlops_toolkit.rollout.cluster_keep import ClusterJournal
from mlops_toolkit.rollout.order import Order
from tests.cluster.site import Site

STEPS = ("bring", "start", "golden", "share:0", "judged:0", "switch", "watched", "stop", "forget")
NOTHING = ("judged:0", "watched")  # these have no effect, so nothing is written before them
MOMENTS = [(step, moment) for step in STEPS for moment in ("begins", "did") if moment == "did" or step not in NOTHING]


def _dies_after(site: Site, socket: Any, order: Order, step: str, moment: str) -> None:
    """In a process of its own: as SIGKILL, once the journal has the step's line."""
    site.cluster = Cluster(Through(socket), site.namespace)
    add = ClusterJournal.add

    def adding(self: Any, line: Any) -> None:
        add(self, line)
        if str(line.get("step", "")).startswith(step) and line.get("what") == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    ClusterJournal.add = adding  # type: ignore[method-assign]
    site.run(order)


def dies(site: Site, order: Order, step: str, moment: str) -> None:
    """The order is begun, or gone on with, and dies there."""
    way: Any = site.cluster.way
    child = multiprocessing.get_context("fork").Process(target=_dies_after, args=(site, way.place, order, step, moment))
    child.start()
    child.join(180)
    assert child.exitcode == -signal.SIGKILL, (step, moment, child.exitcode)
