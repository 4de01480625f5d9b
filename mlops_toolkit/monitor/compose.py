"""The whole set as containers: what `docker compose up` starts. Reached from this machine alone; nothing has more rights than it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_toolkit.monitor.wanted import Wanted


def compose(wanted: Wanted) -> dict[str, Any]:
    """compose.yml, of the Compose Specification. The profile `logs` adds those who gather log lines."""
    # Prometheus joins the models' own networks, and finds their instances by Docker's name service: no socket, which would be root's.
    joined = [model for model in wanted.models if not model.scrape] if wanted.target == "docker" else []
    networks: dict[str, Any] = {"watch": {}, **{model.network: {"external": True} for model in joined}}
    services = {**_metrics(wanted, [model.network for model in joined]), **_logs(wanted)}
    secrets = {"grafana-password": {"file": "./secrets/grafana-password"}}
    volumes: dict[str, Any] = {name: {} for name in ("prometheus", "alertmanager", "grafana", "filebeat", "elasticsearch")}
    return {"services": services, "networks": networks, "volumes": volumes, "secrets": secrets}


def _service(image: str, **more: Any) -> dict[str, Any]:
    """A container that may write to its volumes alone."""
    fixed = {"restart": "unless-stopped", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "networks": ["watch"]}
    return {"image": image, **fixed, **more}


def _metrics(wanted: Wanted, joined: list[str]) -> Mapping[str, Any]:
    told = wanted.email is not None or (wanted.webhook or "").startswith("file:")
    folder = ["./alertmanager:/etc/alertmanager:ro", *(["./secrets:/etc/alertmanager/secrets:ro"] if told else [])]
    return {
        "prometheus": _service(
            wanted.images.prometheus,
            command=[
                "--config.file=/etc/prometheus/prometheus.yml",
                "--storage.tsdb.path=/prometheus",
                "--storage.tsdb.retention.time=30d",
            ],
            read_only=True,
            ports=["127.0.0.1:9090:9090"],
            volumes=["./prometheus:/etc/prometheus:ro", "prometheus:/prometheus"],
            networks=["watch", *joined],
        ),
        "alertmanager": _service(
            wanted.images.alertmanager,
            command=["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager", "--cluster.listen-address="],
            read_only=True,
            ports=["127.0.0.1:9093:9093"],
            volumes=[*folder, "alertmanager:/alertmanager"],
        ),
        "grafana": _service(
            wanted.images.grafana,
            environment={
                "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana-password",
                "GF_USERS_ALLOW_SIGN_UP": "false",
                "GF_ANALYTICS_REPORTING_ENABLED": "false",
            },
            secrets=["grafana-password"],
            ports=["127.0.0.1:3000:3000"],
            volumes=[
                "./grafana/provisioning:/etc/grafana/provisioning:ro",
                "./grafana/dashboards:/etc/grafana/mlops:ro",
                "grafana:/var/lib/grafana",
            ],
            depends_on=["prometheus"],
        ),
    }


def _logs(wanted: Wanted) -> Mapping[str, Any]:
    logs = ["logs"]
    ready = {"elasticsearch": {"condition": "service_healthy"}}
    address = "http://elasticsearch:9200"
    put = ["curl", "--fail", "--silent", "--show-error", "--request", "PUT", "--header", "content-type: application/json"]
    return {
        "elasticsearch": _service(
            wanted.images.elasticsearch,
            profiles=logs,
            environment={"discovery.type": "single-node", "xpack.security.enabled": "false", "ES_JAVA_OPTS": "-Xms512m -Xmx512m"},
            volumes=["elasticsearch:/usr/share/elasticsearch/data"],
            healthcheck={"test": ["CMD", "curl", "--fail", "--silent", address.replace("elasticsearch", "127.0.0.1")], "interval": "5s", "retries": 60},
        ),
        "index-template": _service(
            wanted.images.elasticsearch,
            profiles=logs,
            restart="on-failure",
            entrypoint=put,
            command=["--data-binary", "@/logs/index-template.json", f"{address}/_index_template/mlops"],
            volumes=["./logs:/logs:ro"],
            depends_on=ready,
        ),
        "logstash": _service(
            wanted.images.logstash,
            profiles=logs,
            environment={"xpack.monitoring.enabled": "false", "LS_JAVA_OPTS": "-Xms256m -Xmx256m"},
            volumes=["./logs/logstash:/usr/share/logstash/pipeline:ro"],
            depends_on={"index-template": {"condition": "service_completed_successfully"}},
        ),
        "filebeat": _service(
            wanted.images.filebeat,
            profiles=logs,
            user="root",  # Docker's log files are root's
            cap_add=["DAC_READ_SEARCH"],
            command=["filebeat", "-e", "--strict.perms=false", "-c", "/etc/filebeat/filebeat.yml"],
            volumes=["./logs:/etc/filebeat:ro", "/var/lib/docker/containers:/var/lib/docker/containers:ro", "filebeat:/usr/share/filebeat/data"],
            depends_on=["logstash"],
        ),
    }  # fmt: skip
