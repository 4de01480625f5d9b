"""From the server's log lines to a search: Filebeat reads them, Logstash hands them on, Elasticsearch keeps them by our fields' types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_toolkit.monitor.texts import FROM
from mlops_toolkit.monitor.wanted import Wanted

# Every field that the server writes, with its type in the Elastic Common Schema; `mlops.*` are ours, in nanoseconds where they are times.
FIELDS: Mapping[str, str] = {
    "@timestamp": "date",
    "ecs.version": "keyword",
    "error.message": "match_only_text",
    "error.stack_trace": "wildcard",
    "error.type": "keyword",
    "event.category": "keyword",
    "event.dataset": "keyword",
    "event.duration": "long",
    "event.kind": "keyword",
    "event.outcome": "keyword",
    "event.type": "keyword",
    "http.request.body.bytes": "long",
    "http.request.body.content": "wildcard",
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.response.body.bytes": "long",
    "http.response.body.content": "wildcard",
    "http.response.status_code": "long",
    "labels.model": "keyword",
    "labels.version": "keyword",
    "log.level": "keyword",
    "log.logger": "keyword",
    "log.origin.file.line": "long",
    "log.origin.file.name": "keyword",
    "message": "match_only_text",
    "mlops.compute": "long",
    "mlops.route": "keyword",
    "mlops.rows": "long",
    "mlops.wait": "long",
    "process.thread.name": "keyword",
    "service.environment": "keyword",
    "service.name": "keyword",
    "service.version": "keyword",
    "span.id": "keyword",
    "trace.id": "keyword",
    "url.path": "wildcard",
}
DATASET = "mlops"


def template() -> dict[str, Any]:
    """The index template of the data streams `logs-mlops-ENVIRONMENT`. Text that a client sent is kept, and never makes a field."""
    properties: dict[str, Any] = {}
    for name, kind in FIELDS.items():
        *above, last = name.split(".")
        place = properties
        for part in above:
            place = place.setdefault(part, {"properties": {}})["properties"]
        # An id or a name that is longer than a keyword may be is kept in the document, and not searched by.
        place[last] = {"type": kind, **({"ignore_above": 1024} if kind == "keyword" else {})}
    properties["data_stream"] = {"properties": {part: {"type": "constant_keyword"} for part in ("type", "dataset", "namespace")}}
    return {
        "index_patterns": [f"logs-{DATASET}-*"],
        "data_stream": {},
        "priority": 500,
        "template": {
            "settings": {"index": {"mapping": {"total_fields": {"limit": 500}}, "number_of_replicas": 0}},
            "mappings": {"dynamic": False, "properties": properties},
            "lifecycle": {"data_retention": "30d"},
        },
        "_meta": {"description": FROM},
    }


def namespace(environment: str) -> str:
    """An environment as the last part of a data stream's name, where letters are small and `-` divides."""
    return environment.lower().replace("-", "_")


def filebeat(wanted: Wanted) -> dict[str, Any]:
    """filebeat.yml: the lines of our servers among all containers', each one event with its own fields and moment."""
    kubernetes = wanted.target == "kubernetes"
    parsers = [
        {"container": {"stream": "stdout", "format": "auto"}},
        {"ndjson": {"target": "", "overwrite_keys": True, "expand_keys": True, "add_error_key": False, "message_key": "message"}},
    ]
    source = {
        "type": "filestream",
        "id": "mlops",
        "paths": ["/var/log/containers/*.log" if kubernetes else "/var/lib/docker/containers/*/*.log"],
        **({"prospector.scanner.symlinks": True} if kubernetes else {}),
        "parsers": parsers,
        "processors": [{"drop_event": {"when": {"not": {"has_fields": ["ecs.version", "service.name", "log.level"]}}}}],
    }
    return {
        "filebeat.inputs": [source],
        "processors": [{"drop_fields": {"fields": ["agent", "input", "log.offset", "log.file", "stream"], "ignore_missing": True}}],
        "output.logstash": {"hosts": ["logstash:5044"]},
        "logging.level": "warning",
    }


def logstash(wanted: Wanted) -> str:
    """logstash.conf: from Filebeat into the data stream of this environment."""
    return f"""\
# {FROM}
input {{
  beats {{
    port => 5044
    ecs_compatibility => "v8"
  }}
}}

filter {{
  mutate {{
    remove_field => ["[@metadata][beat]", "[event][original]", "[host]", "[tags]"]
    add_field => {{ "[service][environment]" => "{wanted.environment}" }}
  }}
}}

output {{
  elasticsearch {{
    hosts => ["http://elasticsearch:9200"]
    data_stream => true
    data_stream_type => "logs"
    data_stream_dataset => "{DATASET}"
    data_stream_namespace => "{namespace(wanted.environment)}"
    ecs_compatibility => "v8"
  }}
}}
"""
