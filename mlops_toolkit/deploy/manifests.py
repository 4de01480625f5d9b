"""A release as Kubernetes objects: what `mlops deploy` sends, what `--render` writes, and what our Helm chart must amount to. Pure.

The id of a release is made from its manifests too, so they have a hole for it (`@release@`), filled where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.rollout.cluster_keep import HOLE, NAME, RELEASE, labels

Object = dict[str, Any]
CONTAINER = "model"
USER = 10001  # of images that `mlops publish` makes
GRACE, DRAIN = 5, 25  # seconds: the server's own defaults (serve.settings)
PORT = 8080  # of the server in the image
TMP = "64Mi"
LEAST = {"cpu": "100m", "memory": "128Mi"}  # that a pod asks for, where nothing is said
# seconds between two looks of each probe, how long one may take, how many may fail
READINESS, LIVENESS = (2, 5, 3), (10, 10, 6)
# The startup probe waits in one process for a server that is not there yet: for WAIT seconds, and has all of its own time after that.
WAIT, STARTUP = 10, 40


def spec(name: str, image: str, options: Deploy, *, env: str | None = None, python: str = "python3") -> dict[str, Any]:
    """`Release.spec` of this target: the manifests of the release itself and of what is around the live one. See rollout.kubernetes_driver.

    env: the Secret that the model's variables are in, None without any. python: the image's own.
    """
    made: dict[str, Any] = {
        "target": "kubernetes",
        "namespace": options.namespace,
        "container": CONTAINER,
        "port": PORT,
        "replicas": options.replicas,
        "most": most(options.replicas),
        "by": "gateway" if options.gateway else "replicas",
        "deployment": deployment(name, image, options, env=env, python=python),
        "shared": [service(name, options), budget(name, options), network(name, options)],
        "own": [],
    }
    if options.max_replicas:
        made["shared"].append(autoscaler(name, options, options.max_replicas))
    if options.gateway:
        made["shared"].append(route(name, options, options.gateway))
        made["own"].append(own_service(name, options))
    return made


def most(replicas: int) -> int:
    """Pods of both releases together while a canary runs: so many that a quarter of the traffic can be had of one pod, at least."""
    return max(4, 2 * replicas)


def _about(name: str, options: Deploy, part: str, *, suffix: str = "", release: bool = False) -> Object:
    return {"name": f"{name}{suffix}", "namespace": options.namespace, "labels": labels(name, part, HOLE if release else "")}


def deployment(name: str, image: str, options: Deploy, *, env: str | None = None, python: str = "python3") -> Object:
    """One release: restricted pod security, nothing writable but /tmp, traffic only once its golden examples were answered right."""
    chosen = {NAME: name, RELEASE: HOLE}
    template: Object = {
        "metadata": {
            "labels": labels(name, "model", HOLE),
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT)},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE + DRAIN + 10,
            "securityContext": restricted_pod(),
            "topologySpreadConstraints": [_spread(chosen, key) for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")],
            "containers": [container(image, options, env=env, python=python)],
            "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": TMP}}],
        },
    }
    if options.pull_secrets:
        template["spec"]["imagePullSecrets"] = [{"name": one} for one in options.pull_secrets]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _about(name, options, "model", suffix=f"-{HOLE}", release=True),
        "spec": {
            "replicas": options.replicas,
            "revisionHistoryLimit": 0,  # a release has one template; what was before it is another Deployment
            "progressDeadlineSeconds": max(60, math.ceil(options.rollout.start.seconds)),
            "selector": {"matchLabels": chosen},
            "template": template,
        },
    }


def restricted_pod() -> Object:
    """No root, and no system call that a container need not make: with `restricted_container` what the strictest namespaces ask for."""
    return {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}}


def restricted_container() -> Object:
    """No right that a program could gain, and nothing of its image that it could change."""
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def _spread(chosen: Mapping[str, str], key: str) -> Object:
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": dict(chosen)}}


def container(image: str, options: Deploy, *, env: str | None, python: str) -> Object:
    """The server, with its three probes: startup asks the golden examples, readiness and liveness only whether it can answer."""
    made: Object = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",  # it is named by its digest: what the node has is what is meant, and no registry is asked
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": resources(options),
        "securityContext": restricted_container(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- the one writable folder of the pod, in its memory
        "startupProbe": {
            "exec": {"command": [python, "-m", "mlops_toolkit.serve.probe", "--port", str(PORT), "--wait", str(WAIT)]},
            "periodSeconds": 1,
            "timeoutSeconds": STARTUP,
            "failureThreshold": max(3, math.ceil(options.rollout.start.seconds / WAIT)),
        },
        "readinessProbe": _asked("/v2/health/ready", READINESS),
        "livenessProbe": _asked("/v2/health/live", LIVENESS),
    }
    if env:
        made["envFrom"] = [{"secretRef": {"name": env}}]
    return made


def _asked(path: str, times: tuple[int, int, int]) -> Object:
    period, timeout, failures = times
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures}


def resources(options: Deploy) -> Object:
    """What one pod asks for, and may use. Memory cannot be given back, so both are one; processors may be borrowed.

    A pod that asks for nothing gets what others leave, which on a busy node is nothing: there is always a little.
    """
    requests: dict[str, str] = {**LEAST}
    limits: dict[str, str] = {}
    if options.resources.cpu:
        requests["cpu"] = f"{options.resources.cpu:g}"
    if options.resources.memory:
        requests["memory"] = limits["memory"] = options.resources.memory
    if options.gpus:
        requests["nvidia.com/gpu"] = limits["nvidia.com/gpu"] = str(options.gpus)
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def service(name: str, options: Deploy) -> Object:
    """What clients ask. Its selector is the driver's: which release has the traffic."""
    ports = [{"name": "http", "port": options.port, "targetPort": "http", "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _about(name, options, "service"),
        "spec": {"type": "ClusterIP", "selector": {NAME: name, RELEASE: HOLE}, "ports": ports},
    }


def own_service(name: str, options: Deploy) -> Object:
    """Of one release alone, for a Gateway's weights."""
    made = service(name, options)
    made["metadata"] = _about(name, options, "service", suffix=f"-{HOLE}", release=True)
    return made


def budget(name: str, options: Deploy) -> Object:
    """A node that is emptied takes one pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _about(name, options, "budget"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels(name, "model")}},
    }


def network(name: str, options: Deploy) -> Object:
    """It is asked at its port and asks nobody: a model that tried to send away what it is asked could not."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _about(name, options, "network"),
        "spec": {
            "podSelector": {"matchLabels": labels(name, "model")},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": [],
        },
    }


def autoscaler(name: str, options: Deploy, largest: int) -> Object:
    """More pods of the live release under load; while a canary runs there is none."""
    used = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _about(name, options, "autoscaler"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-{HOLE}"},
            "minReplicas": options.replicas,
            "maxReplicas": largest,
            "metrics": [used],
        },
    }


def route(name: str, options: Deploy, gateway: str) -> Object:
    """Behind a Gateway: the weights of its backends are the shares."""
    namespace, _, parent = gateway.rpartition("/")
    reference = {"name": parent, **({"namespace": namespace} if namespace else {})}
    backend = {"name": f"{name}-{HOLE}", "port": options.port, "weight": 1000}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _about(name, options, "route"),
        "spec": {"parentRefs": [reference], "rules": [{"backendRefs": [backend]}]},
    }


def filled(thing: Any, release: str) -> Any:
    """With the release's id in the hole."""
    if isinstance(thing, str):
        return thing.replace(HOLE, release)
    if isinstance(thing, Mapping):
        return {filled(key, release): filled(value, release) for key, value in thing.items()}
    return [filled(one, release) for one in thing] if isinstance(thing, Sequence) else thing


def objects(made: Mapping[str, Any], release: str) -> list[Object]:
    """All of a release that is live, in the order in which they are applied."""
    found: list[Object] = filled([*made["own"], made["deployment"], *made["shared"]], release)
    return found


def inference_service(name: str, options: Deploy, made: Mapping[str, Any]) -> Object:
    """The same release as KServe's InferenceService, for clusters that are run with it: our server is its predictor's container.

    made: its `deployment`. KServe makes Service, autoscaling and traffic itself (`canaryTrafficPercent`); it is written by `--render`, and
    never sent by us.
    """
    pod = made["spec"]["template"]["spec"]
    one = {**pod["containers"][0], "name": "kserve-container"}  # the name that KServe looks for
    one["ports"] = [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}]
    for probe in ("readinessProbe", "livenessProbe"):
        one[probe] = {**one[probe], "httpGet": {**one[probe]["httpGet"], "port": PORT}}
    kept = ("automountServiceAccountToken", "terminationGracePeriodSeconds", "securityContext", "volumes", "imagePullSecrets")
    predictor = {
        "minReplicas": options.replicas,
        **({"maxReplicas": options.max_replicas} if options.max_replicas else {}),
        **{key: pod[key] for key in kept if key in pod},
        "containers": [one],
    }
    about = {"name": name, "namespace": options.namespace, "labels": labels(name, "model")}
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": about, "spec": {"predictor": predictor}}
