"""The rules: what is computed once of a model's metrics, and what of it is an alarm. A row a rule; Prometheus' own language is in the rows.

A rule finds its model by the labels `job` and `environment` that our scrape configuration gives. A request that came while no model was
loaded has an empty `model`, and counts as asked of it too.

Failing is judged by how fast the errors that are allowed in 30 days are used up, over a long window (so that it is worth being told) and
a short one (so that it ends when it is over): Google, The Site Reliability Workbook, chapter 5. Drift is judged by the server itself, which
knows how many rows it saw; here it only has to last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlops_toolkit.config import project
from mlops_toolkit.monitor.wanted import Model, Wanted

FEW = 10  # failures that a window must hold, at least: of five requests at night one may fail
MOST = 0.5  # a share of failures that is always too large, however little is promised
ENOUGH = 50  # requests that a percentile is judged of
SLOWER = 1.5  # times its own past
SECONDS = 0.005  # that it must be slower by, too
DOCS = "docs/monitor.md"
UNFIT = "bad-.*|wrong-.*|unknown-(input|output|model|version)|missing-input|not-a-number|unsupported-.*|too-large"
FULL = "too-busy|too-many|too-slow"


@dataclass(frozen=True)
class Names:
    """A model's series in Prometheus' language. job: all of its instances; own: of the loaded model; asked: requests that it should answer."""

    job: str
    own: str
    asked: str


def names(model: Model, environment: str) -> Names:
    """The selectors of a model; names are letters, digits, `.`, `_` and `-`, of which only the dot means something."""
    job = f'job="{model.job}", environment="{environment}"'
    known = model.name.replace(".", r"\\.")
    return Names(job, f'{job}, model="{model.name}"', f'{job}, model=~"|{known}", route=~"infer|predict|grpc"')


@dataclass(frozen=True)
class Alert:
    """An alarm.

    expr  of the series {JOB…}, {OWN…} and {ASKED…} (see Names); where it is of what is promised from the model, None where nothing is
    wait  how long it must hold
    """

    name: str
    severity: Literal["critical", "warning"]
    wait: str
    expr: str | Callable[[Model], str | None]
    summary: str
    description: str


def _known(series: str) -> str:
    """A series by version with the run and commit that this version was published from, where its image says them."""
    return f"{series}\n* on (version) group_left (run, commit) topk by (version) (1, mlops_model_info{{OWN}})"


def _share(window: str) -> str:
    return f"mlops:failed_requests:share{window}{{JOB}}"


def _burns(rate: float, long: str, short: str) -> Callable[[Model], str]:
    def expr(model: Model) -> str:
        most = f"{min(rate * (1 - model.availability), MOST):.6g}"
        failed = f'sum(increase(mlops_requests_total{{ASKED, status=~"5.."}}[{long}])) >= {FEW}'
        return f"{_share(long)} > {most}\nand {_share(short)} > {most}\nand on () {failed}"

    return expr


def _slow(model: Model) -> str | None:
    if model.latency is None:
        return None
    return f"mlops:request_seconds:p95{{JOB}} > {model.latency:.6g}\nand on (version) {_ENOUGH}"


_ENOUGH = f"sum by (version) (increase(mlops_request_seconds_count{{ASKED}}[10m])) >= {ENOUGH}"
_PAST = "quantile_over_time(0.9, mlops:request_seconds:p95{JOB}[1d] offset 1h)"
_REFUSED = 'sum by (version) (mlops_model_loads_total{OWN, outcome="refused"}'
_ASKED = "sum(rate(mlops_requests_total{ASKED}[15m]))"

ALERTS: tuple[Alert, ...] = (
    Alert(
        "ModelDown", "critical", "2m",
        "sum(up{JOB}) == 0 or absent(up{JOB})",
        "no instance of $MODEL answers",
        "None of its instances has answered Prometheus for 2 minutes, or none is found.",
    ),
    Alert(
        "ModelNotReady", "critical", "5m",
        "max by (instance) (mlops_model_ready{OWN}) == 0\nor\n(max by (instance) (up{JOB}) == 1 unless on (instance) mlops_model_ready{OWN})",
        "an instance of $MODEL runs and has no model to answer with",
        "{{ $labels.instance }} has had no ready model for 5 minutes.",
    ),
    Alert(
        "ModelRestarts", "warning", "0s",
        "changes(process_start_time_seconds{JOB}[30m]) >= 2",
        "an instance of $MODEL restarts again and again",
        "{{ $labels.instance }} was started {{ $value }} times in 30 minutes.",
    ),
    Alert(
        "ModelRefused", "warning", "0s",
        f"{_REFUSED}) - ({_REFUSED} offset 15m) or {_REFUSED}) * 0) > 0\nor\nmax by (version) (mlops_model_ready{{OWN}} == 0 and on (instance) mlops_model_ready{{OWN}} == 1) + 1",
        "a new version of $MODEL was refused; the one before goes on answering",
        "Version {{ $labels.version }} could not be loaded, or did not answer its golden examples as when it was saved.",
    ),
    Alert(
        "ModelFails", "critical", "2m",
        f'{_share("5m")} > 0.25\nand on () sum(increase(mlops_requests_total{{ASKED, status=~"5.."}}[5m])) >= {FEW}',
        "more than a quarter of the requests to $MODEL fail",
        "{{ $value | humanizePercentage }} of the requests of the last 5 minutes failed.",
    ),
    Alert(
        "ErrorBudgetBurns", "critical", "2m", _burns(14.4, "1h", "5m"),
        "$MODEL fails so often that what is allowed in 30 days is gone in 2",
        "{{ $value | humanizePercentage }} of the requests of the last hour failed.",
    ),
    Alert(
        "ErrorBudgetFades", "warning", "15m", _burns(6.0, "6h", "30m"),
        "$MODEL fails so often that what is allowed in 30 days is gone in 5",
        "{{ $value | humanizePercentage }} of the requests of the last 6 hours failed.",
    ),
    Alert(
        "ModelSaturated", "warning", "5m",
        f'sum(rate(mlops_rejected_total{{JOB, reason=~"{FULL}"}}[5m])) / sum(rate(mlops_requests_total{{ASKED}}[5m])) > 0.01',
        "$MODEL is asked more than it can answer",
        "{{ $value | humanizePercentage }} of the requests of the last 5 minutes were refused, because too many waited already.",
    ),
    Alert(
        "RequestsRefused", "warning", "15m",
        f'sum by (reason) (rate(mlops_rejected_total{{JOB, reason=~"{UNFIT}"}}[15m])) / on () group_left () {_ASKED} > 0.1\nand on () sum(increase(mlops_requests_total{{ASKED}}[15m])) >= {ENOUGH}',
        "clients of $MODEL send what it does not take",
        "{{ $value | humanizePercentage }} of the requests of the last 15 minutes were refused as {{ $labels.reason }}.",
    ),
    Alert(
        "NoTraffic", "warning", "0s",
        f"sum(increase(mlops_requests_total{{ASKED}}[15m])) == 0\nand (sum(increase(mlops_requests_total{{ASKED}}[15m] offset 1d)) >= {ENOUGH} or sum(increase(mlops_requests_total{{ASKED}}[1h] offset 15m)) >= {4 * ENOUGH})",
        "nobody asks $MODEL any more",
        "It had no request for 15 minutes, though it had many in the hour before, or at this time yesterday.",
    ),
    Alert(
        "ModelSlow", "warning", "10m", _slow,
        "$MODEL is slower than it may be",
        "5 of 100 requests to version {{ $labels.version }} take longer than {{ $value | humanizeDuration }}.",
    ),
    Alert(
        "ModelSlower", "warning", "10m",
        f"mlops:request_seconds:p95{{JOB}} > {SLOWER} * {_PAST}\nand mlops:request_seconds:p95{{JOB}} - {_PAST} > {SECONDS}\nand on (version) {_ENOUGH}",
        "$MODEL is slower than the same release was before",
        "5 of 100 requests to version {{ $labels.version }} take longer than {{ $value | humanizeDuration }}: half as long again as in nine of ten of its minutes of the last day.",
    ),
    Alert(
        "InputsDrifted", "warning", "1h",
        _known("(avg by (version, input, feature) (mlops_input_drifted{OWN}) >= 0.5)"),
        "what $MODEL is asked no longer looks like its example",
        "{{ $labels.input }} {{ $labels.feature }} of version {{ $labels.version }} has drifted for an hour, on {{ $value | humanizePercentage }} of the instances.",
    ),
    Alert(
        "PredictionsDrifted", "warning", "1h",
        _known("(avg by (version, output, feature) (mlops_prediction_drifted{OWN}) >= 0.5)"),
        "what $MODEL answers no longer looks like its example",
        "{{ $labels.output }} {{ $labels.feature }} of version {{ $labels.version }} has drifted for an hour, on {{ $value | humanizePercentage }} of the instances.",
    ),
    Alert(
        "FewRowsWatched", "warning", "1h",
        "sum by (version) (rate(mlops_watched_rows_total{OWN}[30m])) / sum by (version) (rate(mlops_rows_total{OWN}[30m])) < 0.01\nand on (version) sum by (version) (increase(mlops_watched_rows_total{OWN}[30m])) < 1000",
        "of what $MODEL is asked hardly anything is watched",
        "Drift of version {{ $labels.version }} is judged by {{ $value | humanizePercentage }} of its rows.",
    ),
    Alert(
        "WatchingFails", "warning", "15m",
        "sum(increase(mlops_watch_errors_total{JOB}[30m])) > 0 or sum(increase(mlops_log_lines_dropped_total{JOB}[30m])) > 0",
        "some of what $MODEL does is not told",
        "In 30 minutes {{ $value | humanize }} times something could not be counted, or a log line could not be written.",
    ),
)  # fmt: skip

WINDOWS = ("5m", "30m", "1h", "6h")


def groups(wanted: Wanted) -> list[dict[str, Any]]:
    """The groups of a Prometheus rules file: of each model what is recorded, then its alarms."""
    made: list[dict[str, Any]] = []
    for model in wanted.models:
        known = names(model, wanted.environment)
        said = {"model": model.name, "environment": wanted.environment}
        kept = [{"record": name, "expr": _put(expr, known), "labels": {**said, "job": model.job}} for name, expr in _recorded()]
        asked = [rule for alert in ALERTS if alert.name not in model.without and (rule := _rule(alert, model, known, said))]
        made += [{"name": f"{model.job} {wanted.environment} records", "rules": kept}]
        made += [{"name": f"{model.job} {wanted.environment} alarms", "rules": asked}] if asked else []
    return made


def _recorded() -> Sequence[tuple[str, str]]:
    all_, failed = "mlops_requests_total{ASKED}", 'mlops_requests_total{ASKED, status=~"5.."}'
    shares = [
        (f"mlops:failed_requests:share{window}", f"(sum(rate({failed}[{window}])) or sum(rate({all_}[{window}])) * 0)\n/ sum(rate({all_}[{window}]))")
        for window in WINDOWS
    ]  # fmt: skip
    p95 = 'histogram_quantile(0.95, sum by (version, le) (rate(mlops_request_seconds_bucket{OWN, route=~"infer|predict|grpc"}[5m]))) >= 0'  # NaN without requests
    return [*shares, ("mlops:request_seconds:p95", p95)]


def _put(expr: str, known: Names) -> str:
    return expr.replace("{ASKED", "{" + known.asked).replace("{OWN", "{" + known.own).replace("{JOB", "{" + known.job)


def _rule(alert: Alert, model: Model, known: Names, said: dict[str, str]) -> dict[str, Any] | None:
    expr = alert.expr if isinstance(alert.expr, str) else alert.expr(model)
    if expr is None:
        return None
    wait = {} if alert.wait == "0s" else {"for": alert.wait}
    notes = {
        "summary": alert.summary.replace("$MODEL", model.name),
        "description": alert.description,
        "runbook_url": f"{project.page(DOCS)}#{alert.name.lower()}",
    }
    return {
        "alert": alert.name,
        "expr": _put(expr, known),
        **wait,
        "labels": {"severity": alert.severity, **said, "job": model.job},
        "annotations": notes,
    }
