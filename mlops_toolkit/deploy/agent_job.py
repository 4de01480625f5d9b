"""What carries an order out in a cluster: a Job of one pod that runs the agent's file, and the rights of its account. Pure.

The account may touch the kinds that a release is made of, in this namespace, and read no Secret. (Whoever may make pods in a namespace can
have them mount its Secrets; no right that is given here can take that away. Where that is too much, `runs: here`.)
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlops_toolkit.deploy.manifests import restricted_container, restricted_pod
from mlops_toolkit.rollout.cluster_keep import labels

Object = dict[str, Any]
FILE, ORDER, FOLDER = "agent.pyz", "order.json", "/mlops"
KEPT = 86_400  # seconds for which an ended Job stays, to be looked at
RESTARTS = 100  # of an agent that is ended from outside, again and again
_WRITE = ["get", "list", "create", "patch", "delete"]
RULES: list[Object] = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _WRITE},
    {"apiGroups": [""], "resources": ["services"], "verbs": _WRITE},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": [*_WRITE, "update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log", "pods/proxy"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": _WRITE},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": _WRITE},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _WRITE},
    {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": _WRITE},
]
# An order that ended is done, whatever became of it; only an agent that could not go on is to be started again.
RUN = (
    "import runpy,sys\n"
    "sys.argv=sys.argv[1:]\n"
    "try: runpy.run_path(sys.argv[0],run_name='__main__')\n"
    "except SystemExit as end: sys.exit(0 if end.code in (None,0,5) else end.code)\n"
)


def account(name: str, namespace: str) -> list[Object]:
    """The service account, what it may do, and that it may."""
    about = {"name": f"{name}-agent", "namespace": namespace, "labels": labels(name, "agent")}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": about, "rules": RULES},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": f"{name}-agent"},
            "subjects": [{"kind": "ServiceAccount", "name": f"{name}-agent", "namespace": namespace}],
        },
    ]


def job_name(name: str, order: str) -> str:
    """The same for the same order."""
    return f"{name}-order-{hashlib.sha256(order.encode()).hexdigest()[:10]}"


def agent_file(name: str, namespace: str, agent: bytes) -> Object:
    """The agent's one file, named by its digest, never changed."""
    about = {"name": f"{name}-agent-{hashlib.sha256(agent).hexdigest()[:12]}", "namespace": namespace, "labels": labels(name, "agent")}
    content = {FILE: base64.b64encode(agent).decode()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "immutable": True, "binaryData": content}


def job(
    name: str, namespace: str, order: Mapping[str, Any], agent: bytes, *, image: str, python: str, pull_secrets: tuple[str, ...]
) -> list[Object]:
    """The order, and the Job that carries it out.

    image: any with a Python 3.10 or newer; python: its path. It is started apart from whatever packages are in it (`-I -S`).
    """
    file = agent_file(name, namespace, agent)
    called = job_name(name, str(order["id"]))
    about = {"name": called, "namespace": namespace, "labels": labels(name, "order"), "annotations": {"org.mlops/order": str(order["id"])}}
    said = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {ORDER: json.dumps(order, sort_keys=True)}}
    command = [
        python,
        "-I",
        "-S",
        "-c",
        RUN,
        f"{FOLDER}/agent/{FILE}",
        "run",
        f"{FOLDER}/order/{ORDER}",
        "--driver",
        "kubernetes",
    ]
    container = {
        "name": "agent",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": restricted_container(),
        "volumeMounts": [{"name": one, "mountPath": f"{FOLDER}/{one}", "readOnly": True} for one in ("agent", "order")],
    }
    pod: Object = {
        "serviceAccountName": f"{name}-agent",
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 5,
        "securityContext": restricted_pod(),
        "containers": [container],
        "volumes": [
            {"name": "agent", "configMap": {"name": file["metadata"]["name"]}},
            {"name": "order", "configMap": {"name": called}},
        ],
    }
    if pull_secrets:
        pod["imagePullSecrets"] = [{"name": one} for one in pull_secrets]
    template = {"metadata": {"labels": labels(name, "order")}, "spec": pod}
    spec = {"backoffLimit": RESTARTS, "ttlSecondsAfterFinished": KEPT, "template": template}
    return [file, said, {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}]
