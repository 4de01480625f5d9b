"""What Prometheus and Alertmanager are given: where metrics are asked for, the rules, and who is told."""

from __future__ import annotations

import re
from typing import Any

from mlops_toolkit.monitor.alerts import groups
from mlops_toolkit.monitor.wanted import Model, Wanted
from mlops_toolkit.rollout.cluster_keep import NAME, PART
from mlops_toolkit.rollout.proxy import PORT

NOBODY = "nobody"


def scraping(wanted: Wanted) -> dict[str, Any]:
    """prometheus.yml."""
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
        "scrape_configs": [job(model, wanted) for model in wanted.models],
    }


def job(model: Model, wanted: Wanted) -> dict[str, Any]:
    """Where one model's instances are asked for /metrics. What they say of themselves never overwrites our labels (`honor_labels` is off)."""
    named = {"job_name": model.job, "metrics_path": "/metrics"}
    labels = {"environment": wanted.environment}
    if model.scrape:
        return {**named, "static_configs": [{"targets": list(model.scrape), "labels": labels}]}
    set_environment = {"target_label": "environment", "replacement": wanted.environment}
    if wanted.target == "docker":
        # Docker answers the name with the address of every instance in the network.
        found = [{"names": [model.deployed], "type": "A", "port": PORT, "refresh_interval": "10s"}]
        return {**named, "dns_sd_configs": found, "relabel_configs": [set_environment]}
    kept = [
        {"source_labels": [_label(NAME)], "regex": model.deployed.replace(".", r"\."), "action": "keep"},
        {"source_labels": [_label(PART)], "regex": "model", "action": "keep"},
        {"source_labels": ["__meta_kubernetes_pod_container_port_number"], "regex": str(PORT), "action": "keep"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
    ]
    found_pods = [{"role": "pod", "namespaces": {"names": [model.namespace]}}]
    return {**named, "kubernetes_sd_configs": found_pods, "relabel_configs": [*kept, set_environment]}


def _label(name: str) -> str:
    """A label of a pod as Prometheus calls it."""
    return f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}"


def rules(wanted: Wanted) -> dict[str, Any]:
    """rules/mlops.yml."""
    return {"groups": groups(wanted)}


def routing(wanted: Wanted) -> dict[str, Any]:
    """alertmanager.yml: a message a model, what is critical again every hour; an instance that is down explains the rest."""
    receiver: dict[str, Any] = {"name": "told" if wanted.webhook or wanted.email else NOBODY}
    made: dict[str, Any] = {}
    if wanted.webhook:
        place = {"url_file": wanted.webhook[len("file:") :]} if wanted.webhook.startswith("file:") else {"url": wanted.webhook}
        receiver["webhook_configs"] = [{**place, "send_resolved": True}]
    if mail := wanted.email:
        secret = (
            {"smtp_auth_username": mail.user, "smtp_auth_password_file": "/etc/alertmanager/secrets/mail-password"} if mail.user else {}
        )
        made["global"] = {"smtp_smarthost": mail.server, "smtp_from": mail.from_, **secret}
        receiver["email_configs"] = [{"to": mail.to, "send_resolved": True}]
    made["route"] = {
        "receiver": receiver["name"],
        "group_by": ["environment", "model"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [{"matchers": ['severity="critical"'], "repeat_interval": "1h"}],
    }
    same = ["environment", "model"]
    made["inhibit_rules"] = [
        {"source_matchers": ['alertname="ModelDown"'], "target_matchers": ['alertname!="ModelDown"'], "equal": same},
        {"source_matchers": ['alertname="ErrorBudgetBurns"'], "target_matchers": ['alertname="ErrorBudgetFades"'], "equal": same},
    ]
    made["receivers"] = [receiver]
    return made
