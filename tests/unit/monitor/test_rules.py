"""The rules, held against Prometheus' own program: each alarm rings where it should, and nothing else rings beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from mlops_toolkit.config.monitoring import Alarm
from mlops_toolkit.monitor import alerts, prometheus, tell
from mlops_toolkit.monitor.texts import yaml_of
from mlops_toolkit.monitor.wanted import Model, Wanted
from tests.check import ROOT
from tests.needs import require

MODEL = Model("spam.v2", availability=0.99, latency=0.25)
PRODUCTION = Wanted("production", "docker", (MODEL,))
JOB = {"job": "mlops-spam.v2", "environment": "production", "instance": "10.0.0.1:8080"}
OWN = {**JOB, "model": "spam.v2", "version": "1f2e"}
ASKED = {**OWN, "route": "predict"}
WELL = "1xN"
Series = Mapping[str, str]


def series(name: str, labels: Mapping[str, str], **more: str) -> str:
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in {**labels, **more}.items()) + "}"


def answered(values: str, status: str = "200", **more: str) -> Series:
    return {series("mlops_requests_total", ASKED, status=status, **more): values}


def latency(fast: str, slow: str) -> Series:
    """Requests below 100 ms, and below 500 ms."""
    both = {"0.1": fast, "0.5": slow, "+Inf": slow}
    return {
        **{series("mlops_request_seconds_bucket", ASKED, le=le): values for le, values in both.items()},
        series("mlops_request_seconds_count", ASKED): slow,
    }


HEALTHY: Series = {
    series("up", JOB): WELL,
    series("mlops_model_ready", OWN): WELL,
    series("mlops_model_info", OWN, run="812", commit="a1b2c3d"): WELL,
    series("process_start_time_seconds", JOB): "1700000000xN",
    series("mlops_watch_errors_total", JOB): "0xN",
    series("mlops_log_lines_dropped_total", JOB): "0xN",
    series("mlops_input_drifted", OWN, input="x", feature="age"): "0xN",
    **answered("0+60xN"),
}
OTHER = {**JOB, "instance": "10.0.0.2:8080"}
OTHER_OWN = {**OWN, "instance": "10.0.0.2:8080"}


@dataclass(frozen=True)
class Case:
    """What Prometheus scrapes every minute beside (or in place of) a healthy model, and which alarms ring at a minute."""

    name: str
    series: Series
    minute: int
    ringing: Sequence[str]
    without: Sequence[str] = ()
    step: int = 1


CASES = (
    Case("all is well", {}, 100, []),
    Case("one failure of few requests at night", {**answered("0+1x300"), **answered("0x100 1x200", "500")}, 104, []),
    Case("no instance answers", {series("up", JOB): "0x20"}, 3, ["ModelDown"]),
    Case("… for less than two minutes", {series("up", JOB): "0x20"}, 1, []),
    Case("one of two answers", {series("up", OTHER): "0x20", series("mlops_model_ready", OTHER_OWN): "1x20"}, 10, []),
    Case("none is found", {}, 5, ["ModelDown"], without=list(HEALTHY)),
    Case("no model is loaded", {}, 8, ["ModelNotReady"], without=[series("mlops_model_ready", OWN), series("mlops_model_info", OWN, run="812", commit="a1b2c3d")]),
    Case("the model cannot be loaded", {series("mlops_model_ready", OWN): "0x20"}, 8, ["ModelNotReady"]),
    Case("… one of two instances", {series("up", OTHER): "1x20", series("mlops_model_ready", OTHER_OWN): "0x20"}, 8, ["ModelNotReady"]),
    Case("it starts again and again", {series("process_start_time_seconds", JOB): "1700000000x5 1700000400x5 1700000800x50"}, 20, ["ModelRestarts"]),
    Case("it was started again once", {series("process_start_time_seconds", JOB): "1700000000x5 1700000400x50"}, 20, []),
    Case("a new version is refused", {series("mlops_model_ready", OWN | {"version": "2"}): "_x5 0x50", series("mlops_model_loads_total", OWN | {"version": "2"}, outcome="refused"): "_x5 1x50"}, 12, ["ModelRefused"]),
    Case("the same version is refused, and the one before answers", {series("mlops_model_loads_total", OWN, outcome="refused"): "_x5 1x50"}, 12, ["ModelRefused"]),
    Case("… an hour later that is over", {series("mlops_model_loads_total", OWN, outcome="refused"): "_x5 1x100"}, 80, []),
    Case("half of the requests fail", {**answered("0+30x100"), **answered("0x60 0+30x40", "500")}, 66, ["ModelFails"]),
    Case("… until the hour's budget burns too", {**answered("0+30x100"), **answered("0x60 0+30x40", "500")}, 90, ["ErrorBudgetBurns", "ErrorBudgetFades", "ModelFails"]),
    Case("a fifth fails for an hour", {**answered("0+48x600"), **answered("0+12x600", "503")}, 120, ["ErrorBudgetBurns", "ErrorBudgetFades"]),
    Case("a twelfth fails for hours", {**answered("0+55x600"), **answered("0+5x600", "500")}, 90, ["ErrorBudgetFades"]),
    Case("one of 200 fails, which is allowed", {**answered("0+199x600"), **answered("0+1x600", "500")}, 90, []),
    Case("it failed, and is well again", {**answered("0+30xN"), **answered("0+30x60 1800xN", "500")}, 110, []),
    Case("what clients send wrong is no failure of the model", {**answered("0+30x300"), **answered("0+30x300", "404")}, 90, []),
    Case("no model, so every request fails without a name", {series("mlops_requests_total", ASKED | {"model": "", "version": ""}, status="503"): "0+60x60"}, 20, ["ErrorBudgetBurns", "ErrorBudgetFades", "ModelFails"], without=[series("mlops_requests_total", ASKED, status="200")]),
    Case("too many ask", {series("mlops_rejected_total", OWN, reason="too-busy"): "0+6x60"}, 30, ["ModelSaturated"]),
    Case("one of a thousand is refused", {series("mlops_rejected_total", OWN, reason="too-busy"): "0+0.05x60"}, 30, []),
    Case("clients send the wrong shape", {series("mlops_rejected_total", OWN, reason="wrong-shape"): "0+20x60"}, 40, ["RequestsRefused"]),
    Case("a stranger tries passwords", {series("mlops_rejected_total", JOB | {"model": "", "version": ""}, reason="unauthorized"): "0+600x60"}, 40, []),
    Case("nobody asks any more", {**answered("0+60x120 7200x60")}, 137, ["NoTraffic"]),
    Case("it never was asked much", {**answered("0+1x30 30x60")}, 60, []),
    Case("as yesterday at this time nobody asks at night", {**answered("0+300x200 60000x88 60000+300x200 120000x88")}, 2700, [], step=5),
    Case("slower than it may be", {**latency("0+10x60", "0+60x60")}, 30, ["ModelSlow"]),
    Case("nine of ten are fast, and the 95th is not", {**latency("0+54x60", "0+60x60")}, 30, ["ModelSlow"]),
    Case("99 of 100 are fast", {**latency("0+594x60", "0+600x60")}, 30, []),
    Case("three slow requests say nothing", {**latency("0x60", "0+0.1x60")}, 30, []),
    Case("slower than its own past", {**latency("0+60x300 18000x60", "0+60x360")}, 330, ["ModelSlow", "ModelSlower"]),
    Case("as slow as ever", {**latency("0+57x900", "0+60x900")}, 150, []),
    Case("an input drifts for long", {series("mlops_input_drifted", OWN, input="x", feature="age"): "0x10 1x100"}, 80, ["InputsDrifted"]),
    Case("… for half an hour", {series("mlops_input_drifted", OWN, input="x", feature="age"): "0x10 1x30 0x100"}, 80, []),
    Case("… on one of three instances", {series("mlops_input_drifted", OWN | {"instance": str(place)}, input="x", feature="age"): f"{int(place == 0)}x100" for place in range(3)}, 80, []),
    Case("it drifts where the image says nothing of its run", {series("mlops_input_drifted", OWN, input="x", feature="age"): "1x100", series("mlops_model_info", OWN): WELL}, 80, ["InputsDrifted"], without=[series("mlops_model_info", OWN, run="812", commit="a1b2c3d")]),
    Case("two images of the same model", {series("mlops_input_drifted", OWN, input="x", feature="age"): "1x100", series("mlops_model_info", OTHER_OWN, run="813", commit="b"): WELL}, 80, ["InputsDrifted"]),
    Case("answers drift", {series("mlops_prediction_drifted", OWN, output="y", feature="y"): "1x100"}, 80, ["PredictionsDrifted"]),
    Case("hardly a row is watched", {series("mlops_rows_total", OWN): "0+60000x200", series("mlops_watched_rows_total", OWN): "0+6x200"}, 120, ["FewRowsWatched"]),
    Case("a share is watched, and that is plenty", {series("mlops_rows_total", OWN): "0+60000x200", series("mlops_watched_rows_total", OWN): "0+300x200"}, 120, []),
    Case("log lines are lost", {series("mlops_log_lines_dropped_total", JOB): "0x5 0+10x100"}, 40, ["WatchingFails"]),
    Case("watching fails", {series("mlops_watch_errors_total", JOB): "0x5 0+10x100"}, 40, ["WatchingFails"]),
    Case("another model's, another environment's and another program's", {series("mlops_input_drifted", OWN | {"model": "spamxv2"}, input="x", feature="age"): "1x100", series("mlops_model_ready", OWN | {"environment": "staging"}): "0x100", series("up", {"job": "node"}): "0x100"}, 80, []),
)  # fmt: skip


def promtool(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = require("programs", "promtool")["promtool"]
    return subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)


def rules(tmp_path: Path, wanted: Wanted = PRODUCTION) -> None:
    (tmp_path / "rules").mkdir(exist_ok=True)
    (tmp_path / "rules/mlops.yml").write_text(yaml_of(prometheus.rules(wanted)))


def test_each_alarm_rings_where_it_should_and_nothing_else(tmp_path: Path) -> None:
    rules(tmp_path)
    for step in sorted({case.step for case in CASES}):
        tests = []
        for case in (case for case in CASES if case.step == step):
            scraped = {name: values for name, values in HEALTHY.items() if name not in case.without} | case.series
            told = [{"series": name, "values": values.replace("N", str(case.minute // step + 1))} for name, values in scraped.items()]
            expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.ringing]
            asked = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{case.minute}m", "exp_samples": expected}
            tests.append({"name": case.name, "interval": f"{step}m", "input_series": told, "promql_expr_test": [asked]})
        file = {"rule_files": ["rules/mlops.yml"], "evaluation_interval": f"{step}m", "tests": tests}
        (tmp_path / "tests.yml").write_text(json.dumps(file))
        done = promtool(tmp_path, "test", "rules", "tests.yml")
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_is_shown_to_ring_and_has_a_page_and_something_to_do() -> None:
    table = {alert.name for alert in alerts.ALERTS}
    assert {name for case in CASES for name in case.ringing} == table == set(get_args(Alarm)) == set(tell.TO_DO)
    page = (ROOT / "docs/monitor.md").read_text(encoding="utf-8")
    assert {name for name in table if f"\n### {name}\n" not in page} == set()


def test_a_rule_says_of_what_it_is_and_where_to_read_on(tmp_path: Path) -> None:
    made = [rule for group in alerts.groups(PRODUCTION) for rule in group["rules"] if "alert" in rule]
    assert len(made) == len(alerts.ALERTS)
    for rule in made:
        assert rule["labels"].items() >= {"model": "spam.v2", "environment": "production", "job": "mlops-spam.v2"}.items()
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/monitor.md#{rule['alert'].lower()}")
        assert "$MODEL" not in str(rule["annotations"])
        assert "spam.v2" in rule["annotations"]["summary"]


def test_what_is_not_wanted_and_what_is_not_asked_for_is_not_written() -> None:
    quiet = Wanted("staging", "docker", (Model("a", without=("NoTraffic", "ModelDown")), Model("b", without=get_args(Alarm))))
    groups = alerts.groups(quiet)
    assert [group["name"] for group in groups] == ["mlops-a staging records", "mlops-a staging alarms", "mlops-b staging records"]
    assert {rule["alert"] for rule in groups[1]["rules"]} == {alert.name for alert in alerts.ALERTS} - {
        "NoTraffic",
        "ModelDown",
        "ModelSlow",
    }


@pytest.mark.parametrize("availability", [0.5, 0.9, 0.999, 0.99999])
def test_whatever_is_promised_a_share_of_failures_can_be_reached(availability: float) -> None:
    wanted = Wanted("x", "docker", (Model("a", availability),))
    (expr,) = [rule["expr"] for group in alerts.groups(wanted) for rule in group["rules"] if rule.get("alert") == "ErrorBudgetBurns"]
    assert 0 < float(expr.split("> ")[1].split("\n")[0]) <= 0.5
