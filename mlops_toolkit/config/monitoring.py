"""What `monitor:` of mlops.yaml says: what is too little of a model in production, who is told, and what watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.config.quantities import Duration, doc

# The alarms, as `mlops monitor` writes them; docs/monitor.md has a section for each.
Alarm = Literal[
    "ModelDown",
    "ModelNotReady",
    "ModelRestarts",
    "ModelRefused",
    "ModelFails",
    "ErrorBudgetBurns",
    "ErrorBudgetFades",
    "ModelSaturated",
    "RequestsRefused",
    "NoTraffic",
    "ModelSlow",
    "ModelSlower",
    "InputsDrifted",
    "PredictionsDrifted",
    "FewRowsWatched",
    "WatchingFails",
]
ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):[0-9]{1,5}$"
IMAGE = r"^[a-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$"


@dataclass(frozen=True)
class Mail:
    """Whom alarms are mailed to, and by which server."""

    to: str = field(metadata=doc("Who gets them.", example="oncall@example.org", pattern=r"^[^\s@<>]+@[^\s@<>]+$", like="an address"))
    server: str = field(metadata=doc("The server that sends them.", example="smtp.example.org:587", pattern=ADDRESS, like="HOST:PORT"))
    from_: str = field(
        metadata=doc("Who they come from.", example="models@example.org", pattern=r"^[^\s@<>]+@[^\s@<>]+$", like="an address")
    )
    user: str | None = field(
        default=None, metadata=doc("Who logs in there; the password is the file secrets/mail-password.", example="models@example.org")
    )


@dataclass(frozen=True)
class Watchers:
    """The programs that watch, as images: best by digest."""

    prometheus: str = field(
        default="docker.io/prom/prometheus:v2.53.4", metadata=doc("Prometheus 2.42 or newer.", pattern=IMAGE, like="an image")
    )
    alertmanager: str = field(
        default="docker.io/prom/alertmanager:v0.28.1", metadata=doc("Alertmanager 0.25 or newer.", pattern=IMAGE, like="an image")
    )
    grafana: str = field(default="docker.io/grafana/grafana:11.6.0", metadata=doc("Grafana 11 or newer.", pattern=IMAGE, like="an image"))
    filebeat: str = field(
        default="docker.elastic.co/beats/filebeat:8.18.0", metadata=doc("Filebeat 8.15 or newer.", pattern=IMAGE, like="an image")
    )
    logstash: str = field(
        default="docker.elastic.co/logstash/logstash:8.18.0", metadata=doc("Logstash 8 or newer.", pattern=IMAGE, like="an image")
    )
    elasticsearch: str = field(
        default="docker.elastic.co/elasticsearch/elasticsearch:8.18.0",
        metadata=doc("Elasticsearch 8 or newer.", pattern=IMAGE, like="an image"),
    )


@dataclass(frozen=True)
class Monitor:
    """How a model in production is watched: what `mlops monitor` writes for Prometheus and those around it."""

    availability: float = field(
        default=0.995,
        metadata=doc("The share of requests that must be answered, over 30 days.", example="0.999", least=0.5, most=0.99999),
    )
    latency: Duration | None = field(default=None, metadata=doc("What 95 of 100 requests must stay below.", example="0.25s"))
    scrape: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Where /metrics is asked for, where it is not found by the target: HOST:PORT of each instance.",
            example="[model-1.internal:8080, model-2.internal:8080]",
            pattern=ADDRESS,
            like="HOST:PORT",
        ),
    )
    without: tuple[Alarm, ...] = field(default=(), metadata=doc("Alarms that are not wanted.", example="[NoTraffic]"))
    webhook: str | None = field(
        default=None,
        metadata=doc(
            "Who is told of alarms: an address, or the file that holds it where it is a secret (Alertmanager 0.26).",
            example="file:/etc/alertmanager/secrets/webhook",
            pattern=r"^(https?://[^\s@]+|file:/[^\s]+)$",
            like="https://… without a password, or file:/PATH",
        ),
    )
    email: Mail | None = field(default=None, metadata=doc("Who is told by mail."))
    images: Watchers = field(default_factory=Watchers, metadata=doc("What the set is started from."))
