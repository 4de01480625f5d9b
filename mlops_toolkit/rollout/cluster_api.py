"""The Kubernetes API over http.client: from a pod by its service account, or through the socket of `kubectl proxy`.

Python's own client is all that may be had where a rollout runs; of the API it needs five verbs on a dozen paths. Everything is written by
server-side apply under one field manager, so the cluster itself knows which fields are ours.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.unix_http import UnixConnection

MANAGER = "mlops"  # the field manager
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MOST = 64 * 2**20  # bytes of an answer
TIMEOUT = 15.0  # seconds without a byte
# kind -> the path of its group and version, and its plural
KINDS = {
    "ConfigMap": ("api/v1", "configmaps"),
    "Event": ("api/v1", "events"),
    "Pod": ("api/v1", "pods"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Job": ("apis/batch/v1", "jobs"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
}
_RIGHT = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<what>[^"]*)"')

Object = dict[str, Any]


class ClusterRefused(EnvironmentFailure):
    """The API answered no. status: HTTP's; reason: the API's word (`NotFound`, `Conflict`, `Forbidden`, `Invalid`, …)."""

    def __init__(self, status: int, reason: str, message: str, where: str) -> None:
        right = _RIGHT.search(message)
        hint = f"give {right['user']} the right to {right['verb']} {right['what']}" if right else None
        super().__init__("cluster-refused", f"the cluster refuses ({status} {reason}): {message}", where=where, hint=hint)
        self.status, self.reason, self.said = status, reason, message

    @property
    def no_right(self) -> bool:
        """Whether who asked may not do it at all (RBAC), which is not the object's fault."""
        return self.status == 401 or bool(_RIGHT.search(self.said))


class Way(Protocol):
    """How the API is reached: a connection, and what each request carries."""

    def connect(self) -> http.client.HTTPConnection: ...

    def headers(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class Inside:
    """From a pod. The token is read anew for every request: the kubelet renews it."""

    host: str
    port: int
    account: Path = ACCOUNT

    def connect(self) -> http.client.HTTPConnection:
        try:
            context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        except OSError as error:
            raise EnvironmentFailure("no-cluster", f"the cluster's certificate cannot be read: {error}", where=str(self.account)) from error
        return http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=context)

    def headers(self) -> dict[str, str]:
        try:
            return {"Authorization": f"Bearer {(self.account / 'token').read_text('ascii').strip()}"}
        except OSError as error:
            raise EnvironmentFailure("no-cluster", f"the account's token cannot be read: {error}", where=str(self.account)) from error


@dataclass(frozen=True)
class Through:
    """By the unix socket of `kubectl proxy`, which knows who we are."""

    place: Path

    def connect(self) -> http.client.HTTPConnection:
        return UnixConnection(str(self.place), TIMEOUT)

    def headers(self) -> dict[str, str]:
        return {}


class Cluster:
    """One namespace of a cluster. Threads wait for each other."""

    def __init__(self, way: Way, namespace: str) -> None:
        self.way, self.namespace = way, namespace
        self._turn = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._clock: tuple[float, float] | None = None  # the API server's time, and ours (monotonic) when it said it

    @classmethod
    def here(cls, env: Mapping[str, str] | None = None) -> Cluster:
        """As this process's surroundings say: MLOPS_CLUSTER_SOCKET (of `kubectl proxy`) with MLOPS_CLUSTER_NAMESPACE, else the pod's account.

        EnvironmentFailure `no-cluster`.
        """
        env = os.environ if env is None else env
        place = env.get("MLOPS_CLUSTER_SOCKET")
        if place:
            return cls(Through(Path(place)), env.get("MLOPS_CLUSTER_NAMESPACE") or "default")
        host = env.get("KUBERNETES_SERVICE_HOST")
        if not host:
            hint = "it runs in a pod with a service account, or with MLOPS_CLUSTER_SOCKET, the socket of `kubectl proxy --unix-socket`"
            raise EnvironmentFailure("no-cluster", "there is no Kubernetes around this process", hint=hint)
        try:
            namespace = (ACCOUNT / "namespace").read_text("utf-8").strip()
        except OSError as error:
            raise EnvironmentFailure("no-cluster", f"the pod's namespace cannot be read: {error}", where=str(ACCOUNT)) from error
        return cls(Inside(host.strip("[]"), int(env.get("KUBERNETES_SERVICE_PORT") or 443)), namespace)

    # -- objects ------------------------------------------------------------------------------------------------------------------------
    def get(self, kind: str, name: str) -> Object | None:
        """None where there is none."""
        try:
            return self._json("GET", self.path(kind, name))
        except ClusterRefused as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, labels: str = "", fields: str = "") -> list[Object]:
        """All in the namespace that the selectors choose; of a kind that this cluster does not know, none."""
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        try:
            found = self._json("GET", self.path(kind), query)
        except ClusterRefused as error:
            if error.status == 404:
                return []
            raise
        return list(found.get("items") or [])

    def apply(self, thing: Object, *, dry: bool = False) -> Object:
        """Have the object so: the fields that are in it are ours from now on, those of ours that are not in it go."""
        query = {"fieldManager": MANAGER, "force": "true", **({"dryRun": "All"} if dry else {})}
        return self._json("PATCH", self.path(thing["kind"], thing["metadata"]["name"]), query, thing, "application/apply-patch+yaml")

    def create(self, thing: Object) -> Object:
        """ClusterRefused with status 409 where there is one of that name."""
        return self._json("POST", self.path(thing["kind"]), {"fieldManager": MANAGER}, thing)

    def replace(self, thing: Object) -> Object:
        """With its `resourceVersion`: ClusterRefused with status 409 where somebody else changed it since."""
        return self._json("PUT", self.path(thing["kind"], thing["metadata"]["name"]), {"fieldManager": MANAGER}, thing)

    def delete(self, kind: str, name: str, *, uid: str | None = None, foreground: bool = False) -> None:
        """What is not there is deleted."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground" if foreground else "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", self.path(kind, name), None, options)
        except ClusterRefused as error:
            if error.status != 404:
                raise

    # -- pods ---------------------------------------------------------------------------------------------------------------------------
    def of_pod(self, pod: str, port: int, path: str) -> str:
        """What a pod answers at http://POD:PORT/path, through the API server."""
        return self._call("GET", f"{self.path('Pod', pod)}:{port}/proxy/{path}")[1].decode("utf-8", "replace")

    def log(self, pod: str, container: str, *, previous: bool = False, lines: int = 20) -> str:
        """The last lines of its log; empty where there is none."""
        query = {"container": container, "tailLines": str(lines), "limitBytes": "16384", **({"previous": "true"} if previous else {})}
        try:
            return self._call("GET", f"{self.path('Pod', pod)}/log", query)[1].decode("utf-8", "replace")
        except ClusterRefused as error:
            if error.status in (400, 404):  # not begun, or gone
                return ""
            raise

    # -- below --------------------------------------------------------------------------------------------------------------------------
    def path(self, kind: str, name: str = "") -> str:
        """Of all objects of a kind in this namespace, or of one."""
        group, plural = KINDS[kind]
        return f"/{group}/namespaces/{quote(self.namespace, safe='')}/{plural}" + (f"/{quote(name, safe='')}" if name else "")

    def now(self) -> float:
        """Seconds since 1970 by the API server's clock, which all who speak with it share; whole seconds at worst."""
        if self._clock is None:
            self._call("GET", "/version")
        said, when = self._clock or (time.time(), time.monotonic())
        return said + time.monotonic() - when

    def _json(self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, kind: str = "") -> Object:
        _, raw = self._call(method, path, query, body, kind)
        try:
            found = json.loads(raw)
        except ValueError as error:
            raise EnvironmentFailure("cluster-unreadable", f"the cluster's answer is no JSON: {raw[:80]!r}", where=path) from error
        if not isinstance(found, dict):
            raise EnvironmentFailure("cluster-unreadable", f"the cluster's answer is no object: {raw[:80]!r}", where=path)
        return found

    def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, kind: str = ""
    ) -> tuple[int, bytes]:
        """Every call may be repeated (an apply says the whole, a create or replace that was done already conflicts): once where it breaks off."""
        target = path + (f"?{urlencode(query)}" if query else "")
        raw = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        for last in (False, True):
            with self._turn:
                try:
                    status, answer = self._once(method, target, raw, kind or "application/json")
                    break
                except (OSError, http.client.HTTPException) as error:
                    self.close()  # in our turn: the next one's connection is not ours to close
                    if last:
                        words = str(error) or type(error).__name__
                        message = f"the cluster's API does not answer: {words}"
                        raise EnvironmentFailure("cluster-unreachable", message, where=path) from error
        if status >= 400:
            raise _refusal(status, answer, path)
        return status, answer

    def _once(self, method: str, target: str, raw: bytes | None, kind: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self.way.connect()
        headers = {"Accept": "application/json, */*", **self.way.headers(), **({} if raw is None else {"Content-Type": kind})}
        self._connection.request(method, target, raw, headers)
        answer = self._connection.getresponse()
        content = answer.read(MOST + 1)
        if len(content) > MOST:
            raise http.client.HTTPException("an answer without end")
        self._look_at_clock(answer.getheader("Date"))
        if answer.will_close:
            self.close()
        return answer.status, content

    def _look_at_clock(self, said: str | None) -> None:
        try:
            moment = parsedate_to_datetime(said or "")
        except (TypeError, ValueError):
            return
        self._clock = (moment.timestamp(), time.monotonic())

    def close(self) -> None:
        """The connection; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _refusal(status: int, answer: bytes, path: str) -> ClusterRefused:
    """The API's own words (a Status object), or the first of whatever stands between us and it."""
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if isinstance(told, dict) and isinstance(told.get("message"), str):
        return ClusterRefused(status, str(told.get("reason") or http.client.responses.get(status, "")), told["message"][:2000], path)
    text = answer[:300].decode("utf-8", "replace").strip()
    return ClusterRefused(status, http.client.responses.get(status, ""), text or "no words", path)


def moment(seconds: float) -> str:
    """As a Lease has it (MicroTime)."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(moment: object) -> float | None:
    """Of a MicroTime or Time; None where it is none."""
    try:
        return datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
