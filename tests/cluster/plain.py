"""What people do without us, for comparison: a plain Deployment and Service, changed by kubectl or by Helm, with the server's own health as its probe."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_toolkit.deploy.manifests import READINESS, restricted_container, restricted_pod
from tests.cluster.site import CPU, NAME, Site
from tests.needs import require

TIMEOUT, LONG = 25, 180  # seconds that both are told to wait for a bad release, and for a good one
KINDS = {"good": "a good release", "crash": "an image that cannot start", "failing": "a model that fails every third request"}


def things(image: str) -> list[dict[str, Any]]:
    """The manifests, in `image`'s place whatever stands there."""
    period, timeout, failures = READINESS
    asked = {"httpGet": {"path": "/v2/health/ready", "port": 8080}}
    container = {
        "name": "model",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": f"{CPU.cpu}", "memory": "128Mi"}},
        "securityContext": restricted_container(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- the one writable folder of the pod
        "readinessProbe": {**asked, "periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures},
    }
    pod = {
        "securityContext": restricted_pod(),
        "terminationGracePeriodSeconds": 40,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
    }
    labels = {"app": NAME}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 8080}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": service},
    ]


@dataclass(frozen=True)
class Tool:
    """install, change (for so many seconds at most; whether the new one is live), back. by_itself: whether one that does not come up is taken back."""

    name: str
    by_itself: bool
    install: Callable[[Site, str, Path], None]
    change: Callable[[Site, str, Path, int], bool]
    back: Callable[[Site, Path], None]


def _kubectl(site: Site, *words: str, stdin: str | None = None) -> bool:
    command = ["kubectl", f"--kubeconfig={site.kubernetes.kubeconfig}", "--namespace", site.namespace, *words]
    return subprocess.run(command, input=stdin, text=True, capture_output=True, timeout=240, check=False).returncode == 0


def _status(site: Site, seconds: int) -> bool:
    return _kubectl(site, "rollout", "status", f"deployment/{NAME}", f"--timeout={seconds}s")


def _applied(site: Site, image: str, _: Path) -> None:
    assert _kubectl(site, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": things(image)}))
    assert _status(site, 120)


def _set(site: Site, image: str, _: Path, seconds: int) -> bool:
    assert _kubectl(site, "set", "image", f"deployment/{NAME}", f"model={image}")
    went = _status(site, seconds)
    if not went:
        _undone(site, Path())
    return went


def _undone(site: Site, _: Path) -> None:
    assert _kubectl(site, "rollout", "undo", f"deployment/{NAME}")
    assert _status(site, 120)


def _chart(folder: Path) -> Path:
    made = folder / "plain-chart"
    (made / "templates").mkdir(parents=True, exist_ok=True)
    (made / "Chart.yaml").write_text("apiVersion: v2\nname: plain\nversion: 1.0.0\n")
    (made / "templates/all.yaml").write_text("\n---\n".join(json.dumps(one) for one in things("{{ .Values.image }}")))
    return made


def _helm(site: Site, *words: str) -> bool:
    command = [require("cluster", "helm")["helm"], *words, "--namespace", site.namespace]
    env = {**os.environ, "KUBECONFIG": str(site.kubernetes.kubeconfig)}
    return subprocess.run(command, env=env, capture_output=True, timeout=300, check=False).returncode == 0


def _upgraded(site: Site, image: str, folder: Path, seconds: int) -> bool:
    return _helm(
        site, "upgrade", "--install", NAME, str(_chart(folder)), "--atomic", "--timeout", f"{seconds}s", "--set-string", f"image={image}"
    )


def _installed(site: Site, image: str, folder: Path) -> None:
    assert _upgraded(site, image, folder, 120)


def _rolled_back(site: Site, _: Path) -> None:
    assert _helm(site, "rollback", NAME, "--wait")


TOOLS = (
    Tool("kubectl", False, _applied, _set, _undone),
    Tool("helm", True, _installed, _upgraded, _rolled_back),
)
