"""One name in a namespace of a Kubernetes cluster: a Deployment a release, behind one Service that selects which of them has the traffic.

At rest the Service selects one release by its label, so that the cluster needs nobody to stay as it is. While a canary runs it selects both,
and the numbers of their pods are the shares; with a Gateway, the weights of an HTTPRoute are. What is written is what the release's spec says
(made by deploy.manifests, kept in the cluster), by server-side apply; what others made is never touched.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.rollout import cluster_explain, cluster_shares, cluster_things, counted
from mlops_toolkit.rollout.cluster_api import Cluster, ClusterRefused, Object
from mlops_toolkit.rollout.cluster_keep import BY, NAME, PART, RELEASE, ClusterJournal, LeaseLock, Manifests, labels, not_ours, ours
from mlops_toolkit.rollout.driver import Health, Instance, Observed, ReleaseFailure, Sample
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.place import Place

NOBODY = "none"  # no release's id: those are hexadecimal
PATIENCE = 25.0  # seconds that one call waits for pods; whoever called comes again
LOOK = 0.25  # seconds between two looks


class KubernetesDriver:
    """See `driver.Driver`. sleep, clock: of this machine; only lengths of time are measured."""

    def __init__(
        self, cluster: Cluster, name: str, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.cluster, self.name = cluster, name
        self.manifests = Manifests(cluster, name)
        self._clock, self._sleep = clock, sleep
        self._mine = f"{BY}=mlops,{NAME}={name}"

    # -- what is there ------------------------------------------------------------------------------------------------------------------
    def observe(self) -> Observed:
        """As `driver.Driver`: deployments, pods and the Service as they are now."""
        deployments, pods = self._deployments(), self._pods()
        shares = self._shares(self.cluster.get("Service", self.name), deployments, pods)
        found = {}
        for release, deployment in deployments.items():
            found[release] = self._instance(release, deployment, pods.get(release, []), shares.get(release, 0.0))
        for release, left in pods.items():
            if release not in found and release:
                found[release] = Instance(release, "stopping", wanted=0, why=f"{len(left)} pods are ending")
        return Observed(found, shares)

    def _instance(self, release: str, deployment: Object, pods: Sequence[Object], share: float) -> Instance:
        wanted = int(deployment["spec"].get("replicas", 1))
        living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        ready = sum(map(cluster_things.ready, living))
        restarts = sum(int(one.get("restartCount") or 0) for pod in living for one in pod.get("status", {}).get("containerStatuses") or [])
        if "deletionTimestamp" in deployment["metadata"] or (wanted == 0 and pods):
            return Instance(release, "stopping", wanted, ready, restarts, f"{len(pods)} pods are ending", self._in_flight(pods, release))
        if wanted == 0:
            return Instance(release, "absent", 0, 0, restarts)
        why, name, blamed = cluster_explain.ended(living) if restarts else "", "", True
        health: Health = "ready"
        if ready < wanted:
            cause = self._cause(release, deployment, living)
            why = cause.text if cause else f"{ready} of {wanted} pods are ready"
            name, blamed = (cause.name, cause.blamed) if cause else ("", True)
            health = "ready" if share and ready else "failed" if cause is not None and cause.for_ever and not ready else "starting"
        waiting = self._in_flight(living, release) if not share and ready else None
        return Instance(release, health, wanted, ready, restarts, why, waiting, name, blamed)

    def _cause(self, release: str, deployment: Object, pods: Sequence[Object]) -> cluster_explain.Cause | None:
        names = {pod["metadata"]["name"] for pod in pods if not cluster_things.ready(pod)}
        events = [one for one in self.cluster.list("Event") if (one.get("involvedObject") or {}).get("name") in names] if names else []
        cause = cluster_explain.of(deployment, [pod for pod in pods if not cluster_things.ready(pod)], events)
        if cause is None or cause.log_of is None:
            return cause
        pod, previous = cause.log_of
        said = ""
        with contextlib.suppress(EnvironmentFailure):  # a node that does not give its logs keeps nobody from saying the rest
            said = cluster_explain.last_words(
                self.cluster.log(pod, self.manifests.of(release).get("container", "model"), previous=previous)
            )
        return dataclasses.replace(cause, text=f"{cause.text}; its last words: {said}", log_of=None) if said else cause

    def _shares(self, service: Object | None, deployments: Mapping[str, Object], pods: Mapping[str, Sequence[Object]]) -> dict[str, float]:
        route = self.cluster.get("HTTPRoute", self.name)
        if route is not None and ours(route, self.name):
            return cluster_things.weights(route, self.name)
        if service is None or not ours(service, self.name):
            return {}
        chosen = (service["spec"].get("selector") or {}).get(RELEASE)
        if chosen:
            return {chosen: 1.0} if chosen in deployments else {}
        # by the pods that there should be: one that is not ready for a moment changes no share that is meant
        meant = {
            release: int(one["spec"].get("replicas", 1))
            for release, one in deployments.items()
            if any(map(cluster_things.ready, pods.get(release, [])))
        }
        total = sum(meant.values())
        return {release: count / total for release, count in meant.items() if count} if total else {}

    # -- a release ----------------------------------------------------------------------------------------------------------------------
    def bring(self, release: Release) -> None:
        """Its manifests are kept in the cluster; its image is fetched by the node that runs it, by digest, where it is not there yet."""
        self.manifests.keep(release.id, release.image, release.spec)

    def start(self, release: Release) -> None:
        """Its Deployment, whose pods no Service selects yet. ReleaseFailure `manifest-refused`, `admission-refused`, `not-ours`."""
        self.manifests.keep(release.id, release.image, release.spec)
        spec = self.manifests.of(release.id)
        for thing in spec.get("shared", []):  # somebody else's Service is found now, and not at the switch
            if not ours(self.cluster.get(thing["kind"], thing["metadata"]["name"]), self.name):
                raise not_ours(thing["kind"], thing["metadata"]["name"], self.cluster.namespace)
        for thing in spec.get("own", []):
            self._apply(thing)
        there = self.cluster.get("Deployment", self._of(release.id))
        if there is not None and "deletionTimestamp" in there["metadata"]:
            self._until(lambda: self.cluster.get("Deployment", self._of(release.id)) is None, f"{release.id} is still ending")
            there = None
        if there is None or int(there["spec"].get("replicas", 1)) == 0 or not cluster_things.as_kept(there, spec):
            self._scale(int(spec.get("replicas", 1)), spec)
            return
        pods = [pod for pod in self._pods().get(release.id, []) if not cluster_things.ready(pod)]
        cause = self._cause(release.id, there, pods) if pods else None
        for pod in pods if cause is not None and cause.for_ever else ():  # made anew at once, instead of later and later
            self.cluster.delete("Pod", pod["metadata"]["name"], uid=pod["metadata"]["uid"])

    def golden(self, release: Release) -> None:
        """The startup probe of every pod asks its golden examples, and a pod that does not answer them right never becomes ready."""
        pods = [pod for pod in self._pods().get(release.id, []) if "deletionTimestamp" not in pod["metadata"]]
        probes = [one.get("startupProbe") for one in self.manifests.of(release.id)["deployment"]["spec"]["template"]["spec"]["containers"]]
        if not any(probes):
            raise ReleaseFailure("no-probe", "its manifests have no startup probe, so nothing asked its golden examples")
        started = [all(one.get("started") for one in pod.get("status", {}).get("containerStatuses") or [{}]) for pod in pods]
        if pods and all(started):
            return
        cause = self._cause(release.id, self._deployments().get(release.id, {}), pods)
        if cause is not None and cause.for_ever:
            raise ReleaseFailure(cause.name, cause.text)
        raise EnvironmentFailure("still-starting", f"{sum(started)} of {len(pods)} pods of {release.id} answered their golden examples")

    def words(self, release: Release) -> Sequence[str]:
        pods = self._pods().get(release.id, [])
        chosen = next((pod for pod in pods if not cluster_things.ready(pod)), None) or next(iter(pods), None)
        if chosen is None:
            return []
        pod, container = chosen["metadata"]["name"], self.manifests.of(release.id).get("container", "model")
        return (self.cluster.log(pod, container) or self.cluster.log(pod, container, previous=True)).splitlines()

    def stop(self, release: Release) -> None:
        """Delete its Deployment: each pod answers what it has (the server's own grace), then ends. Its manifests stay."""
        if self._shares_now().get(release.id):
            raise EnvironmentFailure("has-traffic", f"{release.id} has traffic: it is not stopped")
        for kind in ("HorizontalPodAutoscaler", "Deployment"):
            there = self.cluster.get(kind, self._of(release.id))
            if there is not None and ours(there, self.name):
                self.cluster.delete(kind, self._of(release.id), uid=there["metadata"]["uid"], foreground=kind == "Deployment")

    def forget(self, keep: Sequence[Release]) -> None:
        """Delete the manifests and what is left of this name's releases but these. What has traffic stays whatever is said."""
        kept = {one.id for one in keep} | {release for release, share in self._shares_now().items() if share}
        for release in sorted({*self.manifests.known(), *self._deployments()} - kept - {""}):
            for kind in ("Deployment", "Service"):
                there = self.cluster.get(kind, self._of(release))
                if there is not None and ours(there, self.name):
                    self.cluster.delete(kind, self._of(release), uid=there["metadata"]["uid"])
            self.manifests.forget(release)

    # -- traffic ------------------------------------------------------------------------------------------------------------------------
    def route(self, shares: Mapping[str, float]) -> None:
        """See `driver.Driver`. Pods join before others leave; EnvironmentFailure `pods-not-ready` where they take longer than a while."""
        wanted = {release: share for release, share in shares.items() if share > 0}
        if not wanted:
            self._to_nobody()
            return
        first = self.manifests.of(next(iter(wanted)))
        if len(wanted) == 1:
            self._all_to(next(iter(wanted)))
        elif first.get("by") == "gateway":
            self._weigh(wanted)
        else:
            self._between(wanted)

    def _all_to(self, release: str) -> None:
        """Every pod it should have is ready, then the Service selects it alone; what is around it (autoscaling, budget, network) is its own."""
        spec = self.manifests.of(release)
        there = self._deployments().get(release)
        if there is None:
            raise EnvironmentFailure("not-there", f"{release} has no Deployment {self._of(release)}: it cannot get the traffic")
        enough = cluster_things.enough(spec, self._most_beside(release))
        if int(there["spec"].get("replicas", 1)) < enough:
            self._scale(enough, spec)
        self._ready_pods(release, enough)
        for thing in spec.get("shared", []):
            if thing["kind"] != "HTTPRoute":
                self._apply(cluster_things.selecting(thing, {NAME: self.name, RELEASE: release}, release))
        if spec.get("by") == "gateway":
            self._weigh({release: 1.0})
        if not any(thing["kind"] == "HorizontalPodAutoscaler" for thing in spec.get("shared", [])):
            self._no_autoscaling()
            if int(there["spec"].get("replicas", 1)) > int(spec.get("replicas", 1)):  # what a canary's step added
                self._scale(int(spec["replicas"]), spec)

    def _most_beside(self, release: str) -> int:
        """How many pods there should be of whoever has traffic beside it."""
        deployments, shares = self._deployments(), self._shares_now()
        return max(
            (int(one["spec"].get("replicas", 1)) for other, one in deployments.items() if other != release and shares.get(other)), default=0
        )

    def _to_nobody(self) -> None:
        """The Service stays, with its address, and selects no pod."""
        for kind in ("Service", "HTTPRoute"):
            there = self.cluster.get(kind, self.name)
            if there is None or not ours(there, self.name):
                continue
            if kind == "HTTPRoute":
                self.cluster.delete(kind, self.name, uid=there["metadata"]["uid"])
                continue
            spec = {"selector": {NAME: self.name, RELEASE: NOBODY}, "ports": there["spec"]["ports"]}
            about = {"name": self.name, "labels": labels(self.name, "service")}
            self._apply({"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": spec})

    def _between(self, shares: Mapping[str, float]) -> None:
        old, new = self._old_and_new(shares)
        spec, before = self.manifests.of(new), self.manifests.of(old)
        deployments = self._deployments()
        for release in (old, new):
            if release not in deployments:
                raise EnvironmentFailure("not-there", f"{release} has no Deployment: it cannot get traffic")
        self._no_autoscaling()
        now = {release: int(one["spec"].get("replicas", 1)) for release, one in deployments.items()}
        service = self.cluster.get("Service", self.name) or {}
        wide = RELEASE not in (service.get("spec", {}).get("selector") or {RELEASE: ""})
        # pods that an earlier step added do not count: each step is reckoned from what the old release has at rest
        rest = max(int(before.get("replicas", 1)), 1 if wide else now[old])
        olds, news = cluster_shares.divided(shares[new], rest, int(spec.get("replicas", 1)), int(spec.get("most", 4)))
        if news == 0:
            return  # not even one pod of it is so little: it waits for a larger step, without traffic
        if not wide:
            self._scale(news, spec)  # it has no traffic yet: fewer of it are nobody's loss
            self._alone(old, new)
        if olds > now[old]:
            self._scale(olds, before)
        self._ready_pods(old, olds)
        if wide and news != now[new]:
            self._scale(news, spec)
        self._ready_pods(new, news, exactly=not wide)
        if not wide:
            for thing in before.get("shared", []):
                if thing["kind"] == "Service":
                    self._apply(cluster_things.selecting(thing, {NAME: self.name, PART: "model"}, old))
        elif olds < now[old]:
            self._scale(olds, before)

    def _weigh(self, shares: Mapping[str, float]) -> None:
        """The Gateway's own weights, of 1000: exact but for a tenth of a percent, and never more for the newest."""
        old, new = self._old_and_new(shares) if len(shares) > 1 else (next(iter(shares)),) * 2
        parts = {new: 1000} if old == new else {new: int(shares[new] * 1000), old: 1000 - int(shares[new] * 1000)}
        for release, weight in parts.items():
            if weight:
                self._ready_pods(release, 1)
        route = next(thing for thing in self.manifests.of(new)["shared"] if thing["kind"] == "HTTPRoute")
        made = copy.deepcopy(route)
        made["metadata"].setdefault("annotations", {})[cluster_things.LIVE] = old
        for rule in made["spec"]["rules"]:
            port = rule["backendRefs"][0]["port"]
            rule["backendRefs"] = [
                {"name": self._of(one), "port": port, "weight": weight} for one, weight in sorted(parts.items()) if weight
            ]
        self._apply(made)

    def _old_and_new(self, shares: Mapping[str, float]) -> tuple[str, str]:
        """Which of two is the one that had everything before."""
        if len(shares) != 2:
            raise ValueError(f"traffic is shared by two releases at a time, not by {len(shares)}")
        for kind in ("HTTPRoute", "Service"):
            thing = self.cluster.get(kind, self.name)
            said = (thing or {}).get("metadata", {}).get("annotations", {}).get(cluster_things.LIVE)
            if said in shares:
                return said, next(one for one in shares if one != said)
        least, largest = sorted(shares, key=lambda one: shares[one])
        return largest, least

    def _alone(self, *releases: str) -> None:
        """Before the Service selects all pods of the name: those of other releases are gone."""
        for release in [one for one in self._deployments() if one not in releases]:
            self.cluster.delete("Deployment", self._of(release), foreground=True)
        self._until(lambda: not set(self._pods()) - {*releases}, "pods of an earlier release are still ending")

    def shadow(self, live: Release, beside: Release, share: float) -> None:
        """There is nothing here yet that copies traffic."""
        if share <= 0:
            return
        raise ReleaseFailure("no-shadow", "shadow traffic is not to be had on this target", "use the strategy canary or blue-green")

    def sample(self, release: Release) -> Sample:
        """Its pods' own counters, read through the API server."""
        return counted.sample(self._clock(), self._metrics(self._pods().get(release.id, []), release.id))

    # -- below --------------------------------------------------------------------------------------------------------------------------
    def _of(self, release: str) -> str:
        return f"{self.name}-{release}"

    def _deployments(self) -> dict[str, Object]:
        found = self.cluster.list("Deployment", f"{self._mine},{PART}=model")
        return {str(one["metadata"]["labels"].get(RELEASE)): one for one in found}

    def _pods(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for pod in self.cluster.list("Pod", f"{self._mine},{PART}=model"):
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                found.setdefault(str(pod["metadata"]["labels"].get(RELEASE)), []).append(pod)
        return found

    def _shares_now(self) -> Mapping[str, float]:
        return self._shares(self.cluster.get("Service", self.name), self._deployments(), self._pods())

    def _metrics(self, pods: Sequence[Object], release: str) -> dict[str, str]:
        """Of those that are ready and answer."""
        there = list(filter(cluster_things.ready, pods))
        port = int(self.manifests.of(release).get("port", 8080)) if there else 0
        told = {
            f"{pod['metadata']['uid']}/{cluster_things.restarts(pod)}": self._metrics_of(pod["metadata"]["name"], port) for pod in there
        }
        return {one: text for one, text in told.items() if text is not None}

    def _metrics_of(self, pod: str, port: int) -> str | None:
        try:
            return self.cluster.of_pod(pod, port, "metrics")
        except ClusterRefused as error:
            if error.no_right:
                raise
            return None  # it is ending, or too busy to say

    def _in_flight(self, pods: Sequence[Object], release: str) -> int | None:
        try:
            return counted.in_flight(self._metrics(pods, release).values()) if pods else None
        except EnvironmentFailure:
            return None

    def _scale(self, replicas: int, spec: Mapping[str, Any]) -> None:
        """The Deployment of a release's manifests, with so many pods."""
        thing = copy.deepcopy(spec["deployment"])
        thing["spec"]["replicas"] = replicas
        thing["metadata"].setdefault("annotations", {})[cluster_things.SPEC] = cluster_things.digest(spec)
        self._apply(thing)

    def _no_autoscaling(self) -> None:
        there = self.cluster.get("HorizontalPodAutoscaler", self.name)
        if there is not None and ours(there, self.name):
            self.cluster.delete("HorizontalPodAutoscaler", self.name)

    def _apply(self, thing: Object) -> None:
        kind, name = thing["kind"], thing["metadata"]["name"]
        if not ours(self.cluster.get(kind, name), self.name):
            raise not_ours(kind, name, self.cluster.namespace)
        try:
            self.cluster.apply(thing)
        except ClusterRefused as error:
            if error.status in (400, 422):
                raise ReleaseFailure(
                    "manifest-refused", f"the cluster refuses its {kind} {name}: {cluster_explain.clean(error.said)}"
                ) from error
            if error.status == 403 and not error.no_right:
                raise ReleaseFailure(
                    "admission-refused", f"the cluster refuses its {kind} {name}: {cluster_explain.clean(error.said)}"
                ) from error
            raise

    def _ready_pods(self, release: str, count: int, *, exactly: bool = False) -> None:
        """Wait until so many of its pods are ready (exactly: and no others are)."""

        def enough() -> bool:
            ready = sum(map(cluster_things.ready, self._pods().get(release, [])))
            return ready == count if exactly else ready >= count

        if not enough():
            self._until(enough, f"not all of {count} pods of {release} are ready", release)

    def _until(self, done: Callable[[], bool], words: str, release: str = "") -> None:
        end = self._clock() + PATIENCE
        while not done():
            if self._clock() > end:
                one = self.observe().instances.get(release)
                if one is not None and one.health == "failed" and one.blamed:
                    raise ReleaseFailure(one.cause or "does-not-start", one.why)
                raise EnvironmentFailure("pods-not-ready", f"{words}{f' ({one.why})' if one and one.why else ''}")
            self._sleep(LOOK)


def opened(name: str, settings: Mapping[str, Any]) -> Place:
    """The row of `place.DRIVERS`: as this process's surroundings say where the cluster is. UsageError `unknown-setting`."""
    if settings:
        raise UsageError("unknown-setting", f"a cluster's driver has no settings: {', '.join(sorted(settings))}", where="--settings")
    cluster = Cluster.here()
    return Place(KubernetesDriver(cluster, name), ClusterJournal(cluster, name), LeaseLock(cluster, name))
