"""What a rollout keeps in the cluster itself: its journal and its releases' manifests in ConfigMaps, its lock in a Lease.

All of it is in the cluster's own store, which writes an object whole or not at all, and refuses a write that knows an older version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.cluster_api import Cluster, ClusterRefused, Object, moment, seconds
from mlops_toolkit.rollout.codec import dumps
from mlops_toolkit.rollout.driver import ReleaseFailure

BY = "app.kubernetes.io/managed-by"
NAME, RELEASE, PART = "org.mlops/name", "org.mlops/release", "org.mlops/part"  # labels
HOLE = "@release@"  # in manifests: the release's id
ROOM = 600_000  # bytes of one ConfigMap: the API refuses more than 1 MiB, escaped
TRIES = 8
SKEW = 2.0  # seconds: the API's clock is told in whole ones


def labels(name: str, part: str, release: str = "") -> dict[str, str]:
    """What all objects of a rollout carry: by them they are found, and told from others'."""
    return {BY: "mlops", NAME: name, PART: part, **({RELEASE: release} if release else {})}


def ours(thing: Object | None, name: str) -> bool:
    """Whether it is not there, or one of this name's rollouts made it."""
    held = {} if thing is None else thing.get("metadata", {}).get("labels") or {}
    return thing is None or (held.get(BY) == "mlops" and held.get(NAME) == name)


def not_ours(kind: str, name: str, namespace: str) -> ReleaseFailure:
    """An object of the name that we would use, made by somebody else."""
    hint = f"deploy under another name, or delete it; one that shall be ours gets the labels {BY}=mlops and {NAME}=NAME"
    return ReleaseFailure("not-ours", f"there is a {kind} {name} in the namespace {namespace} that no rollout of this name made", hint)


class ClusterJournal:
    """Lines in ConfigMaps `NAME-journal-0001`, …: a full one is followed by the next."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def read(self) -> Sequence[Mapping[str, object]]:
        """Every line."""
        found = []
        for part in self._parts():
            for line in part.get("data", {}).get("lines", "").splitlines():
                try:
                    one = json.loads(line)
                except ValueError:
                    continue  # a person's hand: what is observed says what is true
                if isinstance(one, dict):
                    found.append(one)
        return found

    def add(self, line: Mapping[str, object]) -> None:
        """In the cluster's store when it returns; once, also where the answer to writing it was lost."""
        text = dumps(line)
        for attempt in range(TRIES):
            parts = self._parts()
            last = parts[-1] if parts else None
            lines = last["data"].get("lines", "") if last else ""
            if attempt and lines.splitlines()[-1:] == [text]:
                return
            try:
                if last is None or len(lines) + len(text) > ROOM:
                    number = int(last["metadata"]["name"].rsplit("-", 1)[1]) + 1 if last else 1
                    self.cluster.create(self._part(f"{self.name}-journal-{number:04}", text))
                else:
                    last["data"] = {"lines": f"{lines}{text}\n"}
                    self.cluster.replace(last)
                return
            except ClusterRefused as error:
                if error.status != 409:
                    raise
        raise EnvironmentFailure("journal-contended", f"the journal of {self.name} changed {TRIES} times while a line was added")

    def _parts(self) -> list[Object]:
        found = self.cluster.list("ConfigMap", f"{BY}=mlops,{NAME}={self.name},{PART}=journal")
        return sorted(({**one, "apiVersion": "v1", "kind": "ConfigMap", "data": one.get("data") or {}} for one in found), key=_name)

    def _part(self, name: str, line: str) -> Object:
        about = {"name": name, "labels": labels(self.name, "journal")}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"lines": line + "\n"}}


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])


class LeaseLock:
    """The Lease NAME. Its times are the API server's, which all who want it share: whose own clock is wrong does no harm."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def take(self, owner: str, seconds_: float) -> str | None:
        """As `driver.Lock`. Of two who find one that is over, the store lets one write."""
        for _ in range(TRIES):
            held, now = self._held(), self.cluster.now()
            spec = held.get("spec", {}) if held else {}
            other = spec.get("holderIdentity")
            if other and other != owner:
                until = (seconds(spec.get("renewTime")) or 0) + float(spec.get("leaseDurationSeconds") or 0)
                if now < until + SKEW:
                    return f"{other} since {str(spec.get('acquireTime'))[:19]}Z"
            since = spec.get("acquireTime") if other == owner else moment(now)
            if self._written(held, owner, seconds_, since, now):
                return None
        return "somebody who took it at the same time"

    def renew(self, owner: str, seconds_: float) -> bool:
        """As `driver.Lock`."""
        for _ in range(TRIES):
            held = self._held()
            if held is None or held["spec"].get("holderIdentity") != owner:
                return False
            if self._written(held, owner, seconds_, held["spec"].get("acquireTime"), self.cluster.now()):
                return True
        return False

    def release(self, owner: str) -> None:
        """As `driver.Lock`."""
        held = self._held()
        if held is not None and held["spec"].get("holderIdentity") == owner:
            self._written(held, "", 1, None, self.cluster.now())  # changed meanwhile: not ours any more

    def _held(self) -> Object | None:
        found = self.cluster.get("Lease", self.name)
        if not ours(found, self.name):
            raise not_ours("Lease", self.name, self.cluster.namespace)
        return None if found is None else {**found, "spec": found.get("spec") or {}}

    def _written(self, held: Object | None, owner: str, length: float, since: Any, now: float) -> bool:
        spec = {"holderIdentity": owner, "leaseDurationSeconds": max(1, round(length)), "renewTime": moment(now), "acquireTime": since}
        spec = {key: value for key, value in spec.items() if value is not None}
        about = held["metadata"] if held else {"name": self.name, "labels": labels(self.name, "lock")}
        thing = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": about, "spec": spec}
        try:
            if held is None:
                self.cluster.create(thing)
            else:
                self.cluster.replace(thing)
        except ClusterRefused as error:
            if error.status in (404, 409):
                return False
            raise
        return True


class Manifests:
    """What each release takes to run again, in a ConfigMap of its own: no registry, no CI and no other object is asked for it.

    They are kept as they were given; read, they have the release's id in the place of `@release@`.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def keep(self, release: str, image: str, spec: Mapping[str, Any]) -> None:
        """The same again changes nothing. ReleaseFailure `manifests-too-large`."""
        text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
        if len(text) > ROOM:
            raise ReleaseFailure("manifests-too-large", f"the manifests of {release} have {len(text):,} bytes; the cluster keeps {ROOM:,}")
        place = self._place(release)
        if not ours(self.cluster.get("ConfigMap", place), self.name):
            raise not_ours("ConfigMap", place, self.cluster.namespace)
        about = {"name": place, "labels": labels(self.name, "manifests", release), "annotations": {"org.mlops/image": image}}
        self.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"spec.json": text}})

    def of(self, release: str) -> dict[str, Any]:
        """EnvironmentFailure `no-manifests` where they are not there (any more), or somebody spoilt them."""
        found = self.cluster.get("ConfigMap", self._place(release))
        try:
            spec = json.loads((found or {})["data"]["spec.json"].replace(HOLE, release))
        except (KeyError, TypeError, ValueError) as error:
            where = f"ConfigMap {self._place(release)}"
            raise EnvironmentFailure("no-manifests", f"the manifests of {release} are not in the cluster", where=where) from error
        return dict(spec)

    def known(self) -> list[str]:
        """The releases that have some."""
        found = self.cluster.list("ConfigMap", f"{BY}=mlops,{NAME}={self.name},{PART}=manifests")
        return sorted(str(one["metadata"]["labels"].get(RELEASE, "")) for one in found)

    def forget(self, release: str) -> None:
        """Delete them."""
        self.cluster.delete("ConfigMap", self._place(release))

    def _place(self, release: str) -> str:
        return f"{self.name}-{release}-manifests"
