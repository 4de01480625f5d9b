"""What a rollout reads from the cluster's objects, and the small changes that it makes to manifests. Pure."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlops_toolkit.rollout.cluster_api import Object

SPEC = "org.mlops/spec"  # on a Deployment: the digest of the manifest that it was made from
LIVE = "org.mlops/live"  # on the Service: which release had all traffic last


def digest(spec: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec["deployment"], sort_keys=True).encode()).hexdigest()[:16]


def as_kept(there: Object, spec: Mapping[str, Any]) -> bool:
    """Whether a Deployment was made from these manifests."""
    return (there["metadata"].get("annotations") or {}).get(SPEC) == digest(spec)


def enough(spec: Mapping[str, Any], beside: int) -> int:
    """How many pods take all traffic over from `beside` pods: what it has at rest, and where its number follows the load, as many as now answer."""
    rest = int(spec.get("replicas", 1))
    most = [int(one["spec"]["maxReplicas"]) for one in spec.get("shared", []) if one["kind"] == "HorizontalPodAutoscaler"]
    return max(rest, min(beside, *most)) if most else rest


def ready(pod: Object) -> bool:
    """Whether a Service hands it traffic."""
    conditions = pod.get("status", {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def restarts(pod: Object) -> str:
    """Changes when its container began anew."""
    return ".".join(str(one.get("restartCount", 0)) for one in pod.get("status", {}).get("containerStatuses") or [])


def selecting(thing: Object, labels: Mapping[str, str], live: str) -> Object:
    """The Service with this selector; other kinds as they are."""
    if thing["kind"] != "Service":
        return thing
    made = copy.deepcopy(thing)
    made["spec"]["selector"] = dict(labels)
    made["metadata"].setdefault("annotations", {})[LIVE] = live
    return made


def weights(route: Object, name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for rule in route.get("spec", {}).get("rules") or []:
        for one in rule.get("backendRefs") or []:
            if str(one.get("name", "")).startswith(f"{name}-"):
                found[str(one["name"])[len(name) + 1 :]] = float(one.get("weight", 1))
        break
    total = sum(found.values())
    return {release: weight / total for release, weight in found.items() if weight} if total else {}
