"""The same for a cluster whose Prometheus is run by its operator: a PodMonitor a model, the rules, and the dashboard where Grafana finds it."""

from __future__ import annotations

from typing import Any

from mlops_toolkit.monitor.alerts import groups
from mlops_toolkit.monitor.wanted import Model, Wanted
from mlops_toolkit.rollout.cluster_keep import NAME, PART

LABELS = {"app.kubernetes.io/managed-by": "mlops", "app.kubernetes.io/part-of": "mlops-monitor"}


def manifests(wanted: Wanted, dashboard: str) -> list[dict[str, Any]]:
    """What `kubectl apply -f` takes."""
    namespaces = sorted({model.namespace for model in wanted.models})
    home = namespaces[0]
    rules = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"mlops-{wanted.environment}".lower(), "namespace": home, "labels": LABELS},
        "spec": {"groups": groups(wanted)},
    }
    board = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mlops-dashboard", "namespace": home, "labels": {**LABELS, "grafana_dashboard": "1"}},
        "data": {"mlops.json": dashboard},
    }
    return [*(pods(model, wanted) for model in wanted.models), rules, board]


def pods(model: Model, wanted: Wanted) -> dict[str, Any]:
    """Which pods are asked. Job and environment are those that the rules look for."""
    fixed = [{"targetLabel": name, "replacement": value} for name, value in (("job", model.job), ("environment", wanted.environment))]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": f"{model.job}-{wanted.environment}".lower().replace("_", "-"), "namespace": model.namespace, "labels": LABELS},
        "spec": {
            "selector": {"matchLabels": {NAME: model.deployed, PART: "model"}},
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "15s", "relabelings": fixed}],
        },
    }
