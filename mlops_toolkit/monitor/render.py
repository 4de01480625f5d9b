"""All files of one set: path -> text. Pure: the same configuration gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_toolkit.config import project
from mlops_toolkit.monitor import compose, grafana, logs, operator, prometheus
from mlops_toolkit.monitor.alerts import ALERTS, DOCS
from mlops_toolkit.monitor.texts import json_of, yaml_of
from mlops_toolkit.monitor.wanted import Wanted


def files(wanted: Wanted) -> Mapping[str, str]:
    """What `mlops monitor` writes below its folder."""
    board = json_of(grafana.dashboard())
    made = {
        "README.md": _readme(wanted),
        "prometheus/prometheus.yml": yaml_of(prometheus.scraping(wanted)),
        "prometheus/rules/mlops.yml": yaml_of(prometheus.rules(wanted)),
        "alertmanager/alertmanager.yml": yaml_of(prometheus.routing(wanted)),
        "grafana/dashboards/mlops.json": board,
        "grafana/provisioning/datasources/mlops.yml": yaml_of(grafana.sources()),
        "grafana/provisioning/dashboards/mlops.yml": yaml_of(grafana.providers()),
        "logs/filebeat.yml": yaml_of(logs.filebeat(wanted)),
        "logs/logstash/mlops.conf": logs.logstash(wanted),
        "logs/index-template.json": json_of(logs.template()),
    }
    if wanted.target == "kubernetes":
        made["kubernetes/monitor.yml"] = yaml_of(*operator.manifests(wanted, board))
    else:
        made["compose.yml"] = yaml_of(compose.compose(wanted))
    return made


def _readme(wanted: Wanted) -> str:
    names = ", ".join(f"`{model.name}`" for model in wanted.models)
    told = [*(["a webhook"] if wanted.webhook else []), *(["mail"] if wanted.email else [])]
    alarms = "\n".join(
        f"| [{alert.name}]({project.page(DOCS)}#{alert.name.lower()}) | {alert.severity} | {alert.summary.replace('$MODEL', 'a model')} |"
        for alert in ALERTS
    )
    return f"""\
# Watching {names} in {wanted.environment}

Written by `mlops monitor` from mlops.yaml. Run it again after a change there; a file that you changed here is never written over unasked.

{_start(wanted)}

Alarms go to {" and ".join(told) if told else "nobody yet: say `monitor: {webhook: …}` or `{email: …}` in mlops.yaml, and run it again"}.

| alarm | | says |
|---|---|---|
{alarms}
"""


def _start(wanted: Wanted) -> str:
    if wanted.target == "kubernetes":
        return """\
Where Prometheus is run by its operator: `kubectl apply -f kubernetes/monitor.yml`. Where it is not, take `prometheus/` and `alertmanager/`
into your own, `grafana/dashboards/mlops.json` into Grafana, and `logs/` for Filebeat and Logstash."""
    secret = "\n    # the mail server's password, for Alertmanager\n    printf '%s' \"$PASSWORD\" > secrets/mail-password" if wanted.email and wanted.email.user else ""  # fmt: skip
    return f"""\
    mkdir -p secrets
    head -c 24 /dev/urandom | base64 > secrets/grafana-password{secret}
    docker compose up --detach                    # Prometheus :9090, Alertmanager :9093, Grafana :3000, all of this machine alone
    docker compose --profile logs up --detach     # and Filebeat, Logstash, Elasticsearch

Keep `secrets/` out of git."""
