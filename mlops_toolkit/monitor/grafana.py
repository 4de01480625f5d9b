"""One dashboard for all models: Grafana's JSON, written by hand so that the same panels are the same bytes whatever version is about.

Tests read it with Grafana's own foundation SDK, which refuses nothing but drops what it does not know: everything must come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${source}"}
JOB = 'job=~"mlops-.*", environment="$environment"'
OWN = f'{JOB}, model="$model"'
ASKED = f'{JOB}, model="$model", route=~"infer|predict|grpc"'
WIDE = 24


@dataclass(frozen=True)
class Panel:
    """A panel. queries: legend -> expression; unit in Grafana's words; width of 24."""

    title: str
    kind: str
    queries: dict[str, str]
    unit: str = "short"
    width: int = 8
    height: int = 8
    about: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    most: float | None = None
    stacked: bool = False


_RATE = "sum by ({by}) (rate({name}{{{which}}}[$__rate_interval]))"


def _rate(name: str, by: str, which: str = OWN) -> str:
    return _RATE.format(name=name, by=by, which=which)


def _quantile(q: float, name: str, which: str = OWN) -> str:
    return f"histogram_quantile({q}, {_rate(name + '_bucket', 'le', which)})"


def _mean(name: str) -> str:
    return f"{_rate(name + '_sum', 'version')} / {_rate(name + '_count', 'version')}"


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Now",
        (
            Panel("Instances that answer", "stat", {"": f"sum(mlops_model_ready{{{OWN}}})"}, width=4, height=4),
            Panel("Requests a second", "stat", {"": f"sum(rate(mlops_requests_total{{{ASKED}}}[$__rate_interval]))"}, "reqps", 4, 4),
            Panel("Failed", "stat", {"": 'mlops:failed_requests:share5m{job="mlops-$model", environment="$environment"}'}, "percentunit", 4, 4),
            Panel("95th percentile", "stat", {"": "max(mlops:request_seconds:p95{job=\"mlops-$model\", environment=\"$environment\"})"}, "s", 4, 4),
            Panel("Features that drifted", "stat", {"": f"count(max by (input, feature) (mlops_input_drifted{{{OWN}}}) == 1) or vector(0)"}, width=4, height=4),
            Panel("Alarms", "stat", {"": 'count(ALERTS{alertstate="firing", model="$model", environment="$environment"}) or vector(0)'}, width=4, height=4),
            Panel("What runs", "table", {"": f"sum by (version, run, commit, verdict, format, framework) (mlops_model_info{{{OWN}}})"}, width=24, height=5, about="Each loaded version, with the run and commit that it was published from, and on how many instances."),
        ),
    ),
    (
        "Requests",
        (
            Panel("Requests by version", "timeseries", {"{{version}}": _rate("mlops_requests_total", "version", ASKED)}, "reqps", stacked=True),
            Panel("Requests by status", "timeseries", {"{{status}}": _rate("mlops_requests_total", "status", ASKED)}, "reqps", stacked=True),
            Panel("Failed, by window", "timeseries", {window: f'mlops:failed_requests:share{window}{{job="mlops-$model", environment="$environment"}}' for window in ("5m", "1h", "6h")}, "percentunit", about="The share of failed requests over a short and two long windows: what the alarms look at."),
            Panel("Refused, by reason", "timeseries", {"{{reason}}": _rate("mlops_rejected_total", "reason", JOB)}, "reqps"),
            Panel("Rows a second", "timeseries", {"{{version}}": _rate("mlops_rows_total", "version"), "watched {{version}}": _rate("mlops_watched_rows_total", "version")}, "short", about="Examples that were answered, and those of them that drift and predictions are counted of."),
            Panel("In flight", "timeseries", {"{{instance}}": f"sum by (instance) (mlops_requests_in_flight{{{JOB}}})"}, "short"),
        ),
    ),
    (
        "Latency",
        (
            Panel("How long requests take", "heatmap", {"{{le}}": f"sum by (le) (increase(mlops_request_seconds_bucket{{{ASKED}}}[$__rate_interval]))"}, "s", 12),
            Panel("Percentiles", "timeseries", {"50": _quantile(0.5, "mlops_request_seconds", ASKED), "95": _quantile(0.95, "mlops_request_seconds", ASKED), "99": _quantile(0.99, "mlops_request_seconds", ASKED)}, "s", 12),
            Panel("95th percentile by version", "timeseries", {"{{version}}": 'mlops:request_seconds:p95{job="mlops-$model", environment="$environment"}'}, "s"),
            Panel("Waiting and computing", "timeseries", {"waiting {{version}}": _mean("mlops_request_wait_seconds"), "computing {{version}}": _mean("mlops_request_compute_seconds")}, "s", about="Of a request: the mean time that it waited for its batch, and that its batch was computed."),
            Panel("Rows a batch", "timeseries", {"{{version}}": _mean("mlops_batch_rows")}, "short"),
            Panel("Rows that wait", "timeseries", {"{{instance}}": f'sum by (instance) (mlops_queue_rows{{{OWN}}})'}, "short"),
            Panel("Memory", "timeseries", {"{{instance}}": f"process_resident_memory_bytes{{{JOB}}}"}, "bytes"),
            Panel("Processor", "timeseries", {"{{instance}}": f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])"}, "percentunit"),
        ),
    ),
    (
        "Drift",
        (
            Panel("How far inputs drifted, by feature", "timeseries", {"{{input}} {{feature}}": f"max by (input, feature) (mlops_input_drift_effect{{{OWN}}})"}, "short", 12, about="How much the last rows differ from the example, whatever their number: 0.02 and less is nothing to speak of, 0.25 half a standard deviation."),
            Panel("How far answers drifted", "timeseries", {"{{output}} {{feature}}": f"max by (output, feature) (mlops_prediction_drift_effect{{{OWN}}})"}, "short", 12),
            Panel("Since when", "state-timeline", {"{{input}} {{feature}}": f"max by (input, feature) (mlops_input_drifted{{{OWN}}})"}, "short", 24, about="1 where it is more than chance and more than nothing to speak of."),
            Panel("χ² and what it must exceed", "timeseries", {"{{input}} {{feature}}": f"max by (input, feature) (mlops_input_drift{{{OWN}}} / mlops_input_drift_threshold{{{OWN}}})"}, "short", 12, about="The statistic over its threshold: drifted above 1."),
            Panel("Rows in the window", "timeseries", {"{{instance}}": f"sum by (instance) (mlops_drift_window_rows{{{OWN}}})"}, "short", 12),
        ),
    ),
    (
        "Answers",
        (
            Panel("Share of each label", "timeseries", {"{{output}} {{label}}": f"{_rate('mlops_predictions_total', 'output, label')} / on (output) group_left () {_rate('mlops_predictions_total', 'output')}"}, "percentunit", 12, most=1.0, stacked=True),
            Panel("Numbers that were answered", "heatmap", {"{{le}}": f"sum by (le) (increase(mlops_prediction_value_bucket{{{OWN}}}[$__rate_interval]))"}, "short", 12),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard, for Grafana 11. Models and environments are chosen on it, so it is the same for every repository."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, members in ROWS:
        panels.append(
            {
                "type": "row",
                "id": len(panels) + 1,
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": WIDE, "h": 1},
                "panels": [],
            }
        )
        top += 1
        left = tallest = 0
        for member in members:
            if left + member.width > WIDE:
                top, left, tallest = top + tallest, 0, 0
            panels.append(_panel(member, len(panels) + 1, left, top))
            left, tallest = left + member.width, max(tallest, member.height)
        top += tallest
    return {
        "uid": "mlops-models",
        "title": "Models in production",
        "description": "Made by `mlops monitor`.",
        "tags": ["mlops"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 41,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": _annotations()},
        "panels": panels,
    }  # fmt: skip


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": SOURCE,
            "expr": expr,
            "legendFormat": legend,
            "format": {"heatmap": "heatmap", "table": "table"}.get(panel.kind, "time_series"),
            "instant": panel.kind in ("stat", "table"),
            "range": panel.kind not in ("stat", "table"),
        }
        for place, (legend, expr) in enumerate(panel.queries.items())
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.stacked:
        defaults["custom"] = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 30}
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        **({"description": panel.about} if panel.about else {}),
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": targets,
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "heatmap":
        return {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": False},
            "yAxis": {"unit": panel.unit},
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
        }
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value", "graphMode": "none"}
    return {}


def _variables() -> list[dict[str, Any]]:
    def asked(name: str, label: str, query: str) -> dict[str, Any]:
        return {"type": "query", "name": name, "label": label, "datasource": SOURCE, "query": query, "refresh": 2, "sort": 1, "multi": False, "includeAll": False}  # fmt: skip

    return [
        {"type": "datasource", "name": "source", "label": "source", "query": "prometheus", "hide": 0},
        asked("environment", "environment", "label_values(mlops_model_ready, environment)"),
        asked("model", "model", 'label_values(mlops_model_ready{environment="$environment"}, model)'),
    ]


def _annotations() -> list[dict[str, Any]]:
    """A mark where a version begins to answer, and where an alarm stands."""
    began = f"sum by (version, commit) (mlops_model_info{{{OWN}}}) unless sum by (version, commit) (mlops_model_info{{{OWN}}} offset 2m)"
    rings = 'ALERTS{alertstate="firing", model="$model", environment="$environment"}'
    return [
        {"name": "releases", "enable": True, "iconColor": "blue", "datasource": SOURCE, "expr": began, "titleFormat": "{{version}}", "textFormat": "{{commit}}", "step": "60s"},
        {"name": "alarms", "enable": True, "iconColor": "red", "datasource": SOURCE, "expr": rings, "titleFormat": "{{alertname}}", "textFormat": "{{input}}{{output}} {{feature}}", "step": "60s"},
    ]  # fmt: skip


def sources() -> dict[str, Any]:
    """Grafana's provisioning of Prometheus."""
    one = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": "http://prometheus:9090",
        "isDefault": True,
    }
    return {"apiVersion": 1, "datasources": [one]}


def providers() -> dict[str, Any]:
    """Grafana's provisioning of the dashboard's folder."""
    one = {"name": "mlops", "type": "file", "allowUiUpdates": False, "options": {"path": "/etc/grafana/mlops"}}
    return {"apiVersion": 1, "providers": [one]}
