"""Everything that may happen to a deployment in a cluster, each under load, with what became of releases and clients: for tests and the benchmark.

Each takes a `Site` where version 1 is live and has the traffic, and ends with exactly one known release. `Told.broken` says which promise was not
kept, in words; an empty one is what tests ask for.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_toolkit.config.deploying import Resources
from mlops_toolkit.deploy.targets import open_target
from mlops_toolkit.rollout.order import Limits, Order, Release, Step
from mlops_toolkit.rollout.tell import Event, Outcome
from tests.cluster import giving
from tests.cluster.deaths import MOMENTS, dies
from tests.cluster.site import CPU, Site, versions
from tests.world.load import Loaded
from tests.world.waiting import wait_for

SHARE = 0.5  # of the canary: one pod beside one
BAD = Limits(latency=None, predictions=None)  # a busy machine says nothing of latency, and versions say their own names


@dataclass(frozen=True)
class Told:
    """What one trouble came to.

    seconds: from the order until all traffic was where it belongs; where it never moved, until the order knew that it goes back
    by: version -> answers
    """

    what: str
    result: str
    reason: str
    requests: int
    failed: int
    seconds: float | None
    by: Mapping[str, int] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


def seconds(events: Sequence[Event], *steps: str) -> float | None:
    """From the beginning of an order to the end of the last of these steps."""
    begun = next((one.at for one in events if one.step == "order" and one.at is not None), None)
    ended = [one.at for one in events if one.step in steps and one.state in ("done", "failed") and one.at is not None]
    return ended[-1] - begun if begun is not None and ended else None


def judged(
    what: str,
    site: Site,
    load: Loaded,
    outcome: Outcome,
    live: Release,
    *,
    result: str,
    name: str = "",
    words: str = "",
    share: float = 0.0,
    blamed: bool | None = None,
    moved: str = "switch",
) -> Told:
    """The promises, held against what happened. name: "" where several are right; share: of all requests that may have failed; blamed: whether the release is withdrawn."""
    broken = []
    try:
        site.is_one(live)
    except AssertionError as error:
        broken.append(f"not one known release: {error}"[:600])
    if outcome.result != result:
        broken.append(f"{outcome.result}, and not {result}")
    if name and outcome.name != name:
        broken.append(f"told as {outcome.name!r}, and not {name!r}")
    if words not in outcome.reason:
        broken.append(f"{words!r} is not in: {outcome.reason}")
    if len(load.failed) > share * load.requests:
        broken.append(f"{len(load.failed)} of {load.requests} requests failed, allowed {share:.0%}: {load.failed[:3]}")
    if blamed is not None and bool(set(site.state().withdrawn) - {live.id}) != blamed:
        broken.append(f"withdrawn are {sorted(site.state().withdrawn)}")
    return Told(
        what, outcome.result, outcome.reason, load.requests, len(load.failed), seconds(site.events, moved), versions(load), tuple(broken)
    )


# -- what it begins with ------------------------------------------------------------------------------------------------------------------
def begun(site: Site) -> Release:
    """Version 1 is live."""
    one = site.release("1")
    outcome = site.run(site.order(one, watch=0.0))
    assert outcome.result == "deployed", outcome
    return one


def good(site: Site) -> Told:
    """A canary of a half, then all."""
    begun(site)
    two = site.release("2")
    with site.load() as load:
        outcome = site.run(site.order(two, SHARE))
    return judged("a good release", site, load, outcome, two, result="deployed")


def _bad(
    site: Site,
    what: str,
    kind: str,
    name: str,
    words: str,
    *,
    share: float = 0.0,
    memory: str | None = None,
    hold: float = 3.0,
    **order: Any,
) -> Told:
    """A release of this kind comes, and the one before it has all traffic again."""
    one = begun(site)
    two = site.release("2", kind, resources=Resources(CPU.cpu, memory))
    with site.load() as load:
        outcome = site.run(site.order(two, SHARE, hold=hold, **order))
    return judged(what, site, load, outcome, one, result="rolled-back", name=name, words=words, share=share, blamed=True, moved="back")


def gone(site: Site) -> Told:
    """Its image is not in the registry."""
    return _bad(site, "an image that is not there", "gone", "image-gone", "not found")


def crash(site: Site) -> Told:
    """Its server ends by itself."""
    return _bad(site, "an image that cannot start", "crash", "does-not-start", "no kernel image is available")


def wrong(site: Site) -> Told:
    """It answers its golden examples wrong."""
    return _bad(site, "a model that answers wrong", "wrong", "wrong-answers", "golden examples")


def slow(site: Site) -> Told:
    """0.4 s an answer, where a quarter is allowed."""
    limits = Limits(latency=None, predictions=None, errors=None, most_latency=0.25)
    return _bad(site, "a slow model", "slow", "worse", "allowed 250 ms", limits=limits)


def failing(site: Site) -> Told:
    """Every third request fails."""
    return _bad(site, "a model that fails every third request", "failing", "worse", "requests failed", share=SHARE, limits=BAD)


def leaking(site: Site) -> Told:
    """8 MB a request, with a limit of 256 MiB that the kernel holds it to."""
    limits = Limits(latency=None, predictions=None, errors=None)
    words = "it needs more memory than its limit"
    return _bad(site, "a model that leaks memory", "leak", "", words, share=SHARE, memory="256Mi", limits=limits, hold=30.0)


def quota(site: Site) -> Told:
    """The namespace has room for one pod."""
    one = begun(site)
    hard = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}
    site.kubernetes.kubectl("-n", site.namespace, "apply", "-f", "-", stdin=json.dumps(hard))
    used = lambda: site.kubernetes.json("-n", site.namespace, "get", "resourcequota", "small").get("status", {}).get("used")
    wait_for(used, 60)
    with site.load() as load:
        outcome = site.run(site.order(site.release("2"), SHARE))
    return judged(
        "no room in the quota",
        site,
        load,
        outcome,
        one,
        result="rolled-back",
        name="quota",
        words="the quota small has no room",
        blamed=False,
    )


def unschedulable(site: Site) -> Told:
    """It asks for a GPU, and no node has one."""
    one = begun(site)
    two = site.release("2", gpus=1)
    with site.load() as load:
        outcome = site.run(site.order(two, SHARE, start=10.0))
    words = "no node has enough GPUs free"
    return judged("a GPU that no node has", site, load, outcome, one, result="rolled-back", name="unschedulable", words=words, blamed=False)


def registry_gone(site: Site) -> Told:
    """It answers nobody from the moment on in which the order begins; the release before it needs none to run."""
    one, new = begun(site), site.release("7")  # which no node has yet
    with site.load() as load, site.without_registry():
        outcome = site.run(site.order(new, SHARE, start=20.0))
    return judged(
        "the registry gone", site, load, outcome, one, result="rolled-back", name="image-gone", words="the node cannot pull", blamed=False
    )


def rollback(site: Site) -> Told:
    """To a release whose pods are gone, while no registry answers."""
    one = begun(site)
    assert site.run(site.order(site.release("2"), watch=0.0, drain=0.0)).result == "deployed"
    with site.load() as load, site.without_registry():
        outcome = site.run(site.order(None, reason="a test", watch=0.0, drain=0.0))
    return judged("rollback, nothing of it left, no registry", site, load, outcome, one, result="deployed")


def killed(site: Site) -> Told:
    """One order, whose agent dies before and after every effect of it, and which the next one goes on with."""
    begun(site)
    two = site.release("2")
    order = site.order(two, SHARE)
    start = time.monotonic()
    with site.load() as load:
        for step, moment in MOMENTS:
            dies(site, order, step, moment)
            # as if the seconds had passed for which it is the dead one's
            site.kubernetes.kubectl("-n", site.namespace, "delete", "lease", order.name)
        outcome = site.run(order)
        taken = time.monotonic() - start
    found = judged(f"SIGKILL before and after each step ({len(MOMENTS)} times)", site, load, outcome, two, result="deployed")
    return replace(found, seconds=taken)


@contextlib.contextmanager
def beside(site: Site, order: Order) -> Iterator[tuple[list[Event], list[Outcome], threading.Thread]]:
    """The order is carried out by another one, with a connection of its own."""
    told: list[Event] = []
    ended: list[Outcome] = []
    with site.kubernetes.api(site.namespace) as own:
        other = Site(site.kubernetes, own, site.image)
        thread = threading.Thread(target=lambda: ended.append(other.run(order, told.append)))
        thread.start()
        try:
            yield told, ended, thread
        finally:
            thread.join(240)


def two_at_once(site: Site) -> Told:
    """The second is refused, with what is under way; the first goes on."""
    begun(site)
    two, three = site.release("2"), site.release("3")
    order = site.order(two, SHARE)
    with site.load() as load, beside(site, order) as (told, ended, thread):
        wait_for(lambda: any(event.step == "share" and event.state == "done" for event in told) or ended, 180)
        second = site.run(site.order(three))
        thread.join(240)
    site.events = told
    found = judged("two at once", site, load, ended[0], two, result="deployed")
    if (second.result, second.name) != ("refused", "busy") or order.id not in second.reason:
        found = replace(found, broken=(*found.broken, f"the second: {second}"))
    return found


def node(site: Site) -> Told:
    """Its kubelet and its container runtime end in the middle of a canary and come back. A kubelet that begins anew has its pods not ready until it
    has asked them again, and on the only node nobody else can answer meanwhile: so long, and only then, requests fail.
    """
    begun(site)
    two = site.release("2")
    order = site.order(two, SHARE)
    with site.load() as load, beside(site, order) as (told, ended, thread):
        loading = time.monotonic()
        wait_for(lambda: any(event.step == "share" and event.state == "done" for event in told) or ended, 180)
        died = time.monotonic() - loading
        site.kubernetes.restart_node()
        thread.join(240)
    site.events = told
    found = judged("the node's kubelet and containerd killed", site, load, ended[0], two, result="deployed", share=1.0)
    late = [one for one in load.failed if not died - 2 < one["at"] < died + 30]
    return replace(found, broken=(*found.broken, f"failed long after: {late[:3]}")) if late else found


def clock(site: Site) -> Told:
    """The pod that carries it out has a clock that is three hours late; whoever comes meanwhile has a right one, and is refused."""
    begun(site)
    with tempfile.TemporaryDirectory() as folder:
        target = open_target(giving.place(site.kubernetes, site.namespace, Path(folder), "kubernetes", agent_image=site.image.late()))
        given = giving.order(target, "v2.0.0", site.image("2"), strategy="canary", steps=(Step(SHARE, 3.0, 8.0),))
        told: list[Event] = []
        second = None
        with site.load() as load:
            for event in target.give(given):
                told.append(event)
                if second is None and event.step == "share" and event.state == "done":
                    second = site.run(site.order(site.release("3")))
    site.events = told
    found = judged("a clock three hours late", site, load, giving.outcome(told), given.release, result="deployed")  # type: ignore[arg-type]
    broken = list(found.broken)
    if second is None or (second.result, second.name) != ("refused", "busy"):
        broken.append(f"the second: {second}")
    if (told[-1].at or 0.0) - time.time() < 10_000:
        broken.append(f"its clock is right: {told[-1].at}")
    return replace(found, broken=tuple(broken))


TROUBLES: dict[str, Callable[[Site], Told]] = {
    one.__name__: one
    for one in (
        good,
        rollback,
        gone,
        crash,
        wrong,
        slow,
        failing,
        leaking,
        quota,
        unschedulable,
        registry_gone,
        two_at_once,
        killed,
        clock,
        node,
    )
}
