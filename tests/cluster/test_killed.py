"""Whoever carries an order out is killed, two come at once, the node is started anew: one release is left, whole, and clients noticed nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.rollout.cluster_api import Cluster, Through
from mlops_toolkit.rollout.cluster_keep import ClusterJournal
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.tell import Event, Outcome
from tests.cluster.site import Site, versions
from tests.world.waiting import wait_for

pytestmark = pytest.mark.cluster
STEPS = ("bring", "start", "golden", "share:0", "judged:0", "switch", "watched", "stop")


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


def killed(site: Site, order: Order, step: str, moment: str) -> None:
    """The order is begun and dies there."""
    way: Any = site.cluster.way
    child = multiprocessing.get_context("fork").Process(target=_dies_after, args=(site, way.place, order, step, moment))
    child.start()
    child.join(180)
    assert child.exitcode == -signal.SIGKILL, (step, moment, child.exitcode)


def test_killed_at_half_the_traffic(site: Site) -> None:
    """The next one goes on with the same order, once the Lease of the dead one is over."""
    one, two = site.release("1"), site.release("2")
    assert site.run(site.order(one)).result == "deployed"
    order = site.order(two, 0.5)
    with site.load() as load:
        killed(site, order, "share:0", "did")
        assert site.run(order).result == "deployed"
        site.is_one(two)
        assert site.run(order).result == "deployed"  # given again: what became of it
    assert not load.failed, load.failed
    assert set(versions(load)) == {"1", "2"}


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("moment", ["begins", "did"])
def test_killed_at_every_step(site: Site, step: str, moment: str) -> None:
    """Before and after each effect."""
    one, two = site.release("1"), site.release("2")
    assert site.run(site.order(one)).result == "deployed"
    order = site.order(two, 0.5)
    with site.load() as load:
        if not (moment == "begins" and step in ("judged:0", "watched")):  # these do nothing, so nothing is written before them
            killed(site, order, step, moment)
        assert site.run(order).result == "deployed"
        site.is_one(two)
    assert not load.failed, load.failed


@pytest.mark.long
def test_two_at_once_and_a_node_that_is_started_anew(site: Site) -> None:
    """The second is refused, with who has it. Then kubelet and containerd die in the middle of a canary and come back: it goes on, and no
    request fails before or long after.
    """
    one, two, three = site.release("1"), site.release("2"), site.release("3")
    assert site.run(site.order(one)).result == "deployed"
    told: list[Event] = []
    ended: list[Outcome] = []
    order = site.order(two, 0.5)
    with site.kubernetes.api(site.namespace) as own:
        first = Site(site.kubernetes, own, site.image)
        thread = threading.Thread(target=lambda: ended.append(first.run(order, told.append)))
        with site.load() as load:
            begun = time.monotonic()
            thread.start()
            wait_for(lambda: any(event.step == "share" and event.state == "done" for event in told) or ended, 180)
            second = site.run(site.order(three))
            assert (second.result, second.name) == ("refused", "busy"), second
            assert order.id in second.reason
            died = time.monotonic() - begun
            restart(site)
            thread.join(240)
        assert ended
        assert ended[0].result == "deployed", ended
        site.is_one(two)
    # A kubelet that begins anew has its pods not ready until it has asked them again; on the only node nobody else can answer meanwhile.
    assert all(died - 2 < one["at"] < died + 30 for one in load.failed), (died, load.failed)


def restart(site: Site) -> None:
    """The node's kubelet and container runtime are killed, and started again as they were."""
    kubernetes = site.kubernetes
    for program in ("kubelet", "containerd"):
        pid = kubernetes.pid(program)
        words = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
        kubernetes.again(program, *words)
    wait_for(lambda: " Ready" in kubernetes.kubectl("get", "nodes", check=False), 60)
