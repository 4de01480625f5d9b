"""The files of a set, held against the programs that read them, or where those are not here against their published schemas."""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from mlops_toolkit.config import monitoring
from mlops_toolkit.config.deploying import fit
from mlops_toolkit.config.read import parse
from mlops_toolkit.errors import ConfigErrors, UsageError
from mlops_toolkit.monitor import grafana, logs, render, written
from mlops_toolkit.monitor.wanted import Wanted, wanted
from mlops_toolkit.serve.logs import ECS, of_request
from tests.check import ROOT
from tests.needs import require
from tests.unit.serve.test_logs import request

HERE = Path(__file__).parent
WHOLE = """\
name: spam-filter
monitor:
  availability: 0.999
  latency: 0.25s
  webhook: https://alerts.example.org/models
  email: {to: oncall@example.org, from: models@example.org, server: "smtp.example.org:587", user: models}
  without: [NoTraffic]
  images: {grafana: "docker.io/grafana/grafana@sha256:%s"}
""" % ("a" * 64)
SMALL = "name: spam.v2\n"
STATIC = "name: spam\nmonitor: {scrape: ['127.0.0.1:8080', '[::1]:9'], webhook: file:/run/secrets/hook}\n"


def asked(*texts: str, target: Any = "docker", environment: str = "production") -> Wanted:
    loaded = [parse(text, where=f"{place}/mlops.yaml", path=Path(f"/r/{place}/mlops.yaml")) for place, text in enumerate(texts)]
    return wanted(loaded, environment=environment, target=target)


SETS = {
    "whole": asked(WHOLE),
    "small": asked(SMALL),
    "static": asked(STATIC),
    "several": asked(SMALL, STATIC.replace("webhook: file:/run/secrets/hook", "without: [ModelDown]"), environment="staging"),
    "kubernetes": asked(WHOLE, target="kubernetes"),
}


@pytest.fixture(params=sorted(SETS))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    written.put(tmp_path, render.files(SETS[request.param]))
    return tmp_path


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_rules(folder: Path) -> None:
    path = folder / "prometheus/prometheus.yml"
    made = yaml.safe_load(path.read_text())
    for job in made["scrape_configs"]:
        if (found := job.pop("kubernetes_sd_configs", None)) is not None:  # Debian's Prometheus is built without it
            assert found == [{"role": "pod", "namespaces": {"names": ["default"]}}]
    path.write_text(yaml.safe_dump(made))
    run(require("programs", "promtool")["promtool"], "check", "config", str(path))


def test_alertmanager_takes_its_routing(folder: Path) -> None:
    text = (folder / "alertmanager/alertmanager.yml").read_text()
    if "url_file" in text:  # Alertmanager 0.26; Debian's is older
        (folder / "alertmanager/alertmanager.yml").write_text(text.replace("url_file: /run/", "url: http://x/"))
    run(require("programs", "amtool")["amtool"], "check-config", str(folder / "alertmanager/alertmanager.yml"))


def test_the_compose_file_is_of_the_specification_and_names_files_that_are_there(folder: Path) -> None:
    """compose-spec.json.gz: the Compose Specification's own schema (Apache-2.0)."""
    if not (folder / "compose.yml").exists():
        assert (folder / "kubernetes/monitor.yml").exists()
        return
    made = yaml.safe_load((folder / "compose.yml").read_text())
    Draft7Validator(json.loads(gzip.decompress((HERE / "compose-spec.json.gz").read_bytes()))).validate(made)
    mounts = [one.partition(":")[0] for service in made["services"].values() for one in service.get("volumes", []) if one.startswith("./")]
    assert {path for path in mounts if not (folder / path).exists()} <= {"./secrets"}
    named = {one.partition(":")[0] for service in made["services"].values() for one in service.get("volumes", []) if one[0] not in "./"}
    assert named == set(made["volumes"])
    assert all(port.startswith("127.0.0.1:") for service in made["services"].values() for port in service.get("ports", []))
    assert {name for service in made["services"].values() for name in service["networks"]} == set(made["networks"])


def test_the_same_file_gives_the_same_bytes(folder: Path) -> None:
    again = [render.files(asked(WHOLE)) for _ in range(2)]
    assert again[0] == again[1]
    assert render.files(asked(SMALL, STATIC.replace("webhook: file:/run/secrets/hook", ""))) == render.files(
        asked(STATIC.replace("webhook: file:/run/secrets/hook", ""), SMALL)
    )


def test_no_secret_is_in_them_and_what_reads_one_reads_a_file() -> None:
    files = render.files(SETS["whole"])
    routing = yaml.safe_load(files["alertmanager/alertmanager.yml"])
    assert "smtp_auth_password" not in routing["global"]
    assert routing["global"]["smtp_auth_password_file"] == "/etc/alertmanager/secrets/mail-password"
    grafana_ = yaml.safe_load(files["compose.yml"])["services"]["grafana"]
    assert grafana_["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana-password"
    assert grafana_["image"].endswith("@sha256:" + "a" * 64)


@pytest.mark.parametrize(
    "text",
    ["webhook: https://user:word@example.org", "webhook: file:etc", "scrape: [localhost]", "images: {grafana: -x}", "availability: 1"],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigErrors, match="monitor"):
        asked(f"name: a\nmonitor: {{{text}}}\n")


def test_models_that_disagree_on_what_a_set_has_once_are_told_where() -> None:
    with pytest.raises(ConfigErrors, match=r"monitor.webhook is not that of 0/mlops.yaml:2") as raised:
        asked("name: a\nmonitor: {webhook: http://a}\n", "name: b\nmonitor: {webhook: http://b}\n")
    assert raised.value.name == "monitor-differs"


@pytest.mark.parametrize("environment", ["a b", 'a"', "x" * 64, "a\nb", "-a", "{}"])
def test_an_environment_that_is_no_name_is_refused(environment: str) -> None:
    with pytest.raises(UsageError, match="environment"):
        asked(SMALL, environment=environment)


def test_a_cluster_finds_pods_and_gives_them_the_labels_of_the_rules() -> None:
    pods, rules, board = yaml.safe_load_all(render.files(SETS["kubernetes"])["kubernetes/monitor.yml"])
    labels = {one["targetLabel"]: one["replacement"] for one in pods["spec"]["podMetricsEndpoints"][0]["relabelings"]}
    assert labels == {"job": "mlops-spam-filter", "environment": "production"}
    assert rules["spec"] == yaml.safe_load(render.files(SETS["kubernetes"])["prometheus/rules/mlops.yml"])
    assert json.loads(board["data"]["mlops.json"]) == grafana.dashboard()
    for one in (pods, rules, board):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", one["metadata"]["name"])


def test_the_index_template_has_every_field_of_the_log_with_the_schemas_type() -> None:
    known = {row["field"]: row["type"] for row in csv.DictReader((ROOT / f"tests/unit/serve/ecs-{ECS}.csv").read_text().splitlines())}
    for name, kind in logs.FIELDS.items():
        if not name.startswith(("mlops.", "labels.")):
            assert known[name] == kind, name
    full = request(asked=b"a", told=b"b", trace="a" * 32, span="b" * 16, reason="x", said="y", status=500)
    said = {"@timestamp", "log.level", "message", "ecs.version", "service.name", "service.version", *of_request(full)[3]}
    assert said <= set(logs.FIELDS)
    source = (ROOT / "mlops_toolkit/serve/logs.py").read_text()
    told = set(re.findall(r'"((?:event|http|url|mlops|labels|trace|span|error|log|process)\.[a-z_.]+)"', source))
    assert told - {"mlops.access", "mlops.crash"} <= set(logs.FIELDS)  # names of data sets


def test_the_index_template_nests_what_the_schema_nests() -> None:
    mapped = logs.template()["template"]["mappings"]["properties"]
    assert mapped["http"]["properties"]["request"]["properties"]["body"]["properties"]["bytes"] == {"type": "long"}
    assert mapped["message"] == {"type": "match_only_text"}
    assert mapped["data_stream"]["properties"]["namespace"] == {"type": "constant_keyword"}


@pytest.mark.parametrize(("environment", "name"), [("production", "production"), ("EU-west", "eu_west")])
def test_an_environment_is_a_part_of_a_data_streams_name(environment: str, name: str) -> None:
    assert f'data_stream_namespace => "{name}"' in logs.logstash(asked(SMALL, environment=environment))


def test_the_panels_queries_are_valid_and_of_metrics_that_are_told(tmp_path: Path) -> None:
    promtool = require("programs", "promtool")["promtool"]
    page = (ROOT / "docs/watch.md").read_text(encoding="utf-8")
    known = set(re.findall(r"(?:mlops|process)_[a-z_]+[a-z]", page)) | {
        f"mlops_{side}_{word}" for side in ("input", "prediction") for word in ("drift_effect", "drift_threshold", "drifted", "drift")
    }
    queries = [target["expr"] for panel in grafana.dashboard()["panels"] for target in panel.get("targets", [])]
    queries += [one["expr"] for one in grafana.dashboard()["annotations"]["list"]]
    assert len(queries) > 30
    plain = [query.replace("$__rate_interval", "1m").replace("$model", "m").replace("$environment", "e") for query in queries]
    rules = [{"record": f"query:{place}", "expr": query} for place, query in enumerate(plain)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    run(promtool, "check", "rules", str(tmp_path / "queries.yml"))
    named = {
        re.sub(r"_(bucket|sum|count)$", "", name) for query in plain for name in re.findall(r"\b(?:mlops|process)_[a-z_]+[a-z]", query)
    }
    assert named - known - {"process_resident_memory_bytes", "process_cpu_seconds_total", "mlops_input_drift_effect"} == set()


def test_panels_lie_side_by_side_and_have_names_of_their_own() -> None:
    panels = grafana.dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["title"] for panel in panels}) == len(panels)
    docs = (ROOT / "docs/monitor.md").read_text(encoding="utf-8")
    assert all(f"*{panel['title']}*" in docs for panel in panels if panel["type"] == "row")


def test_the_images_of_the_reference_are_those_that_are_written() -> None:
    images = monitoring.Watchers()
    services = yaml.safe_load(render.files(SETS["small"])["compose.yml"])["services"]
    assert {service["image"] for service in services.values()} == set(vars(images).values())


DEPLOYED = "name: spam.v2\ndeploy: {production: {target: docker}, staging: {target: kubernetes, name: spam-next, namespace: models}}\n"


def test_what_deploy_says_is_where_instances_are_found() -> None:
    files = render.files(asked(DEPLOYED, target=None))
    (job,) = yaml.safe_load(files["prometheus/prometheus.yml"])["scrape_configs"]
    (name,) = job["dns_sd_configs"][0]["names"]
    assert name == fit("spam.v2")
    assert yaml.safe_load(files["compose.yml"])["networks"][f"mlops-{name}"] == {"external": True}
    files = render.files(asked(DEPLOYED, environment="staging", target=None))
    assert "compose.yml" not in files
    pods = next(yaml.safe_load_all(files["kubernetes/monitor.yml"]))
    assert pods["metadata"]["namespace"] == "models"
    assert pods["spec"]["selector"]["matchLabels"] == {"org.mlops/name": "spam-next", "org.mlops/part": "model"}
    (job,) = yaml.safe_load(files["prometheus/prometheus.yml"])["scrape_configs"]
    kept = {one["source_labels"][0]: one["regex"] for one in job["relabel_configs"] if one.get("action") == "keep"}
    assert {name.removeprefix("__meta_kubernetes_pod_"): regex for name, regex in kept.items()} == {
        "label_org_mlops_name": "spam-next",
        "label_org_mlops_part": "model",
        "container_port_number": "8080",
    }


def test_an_environment_that_deploy_does_not_name_is_refused_and_one_of_several_is_asked_for() -> None:
    with pytest.raises(UsageError, match="does not name prodution") as raised:
        asked(DEPLOYED, environment="prodution")
    assert 'did you mean "production"?' in str(raised.value)
    with pytest.raises(UsageError, match="deploys to production, staging") as raised:
        asked(DEPLOYED, environment="")
    assert raised.value.name == "which-environment"
    assert asked(DEPLOYED.replace("production", "live").replace(", staging: {", "}\n#"), environment="").environment == "live"
    assert asked(SMALL, environment="").environment == "production"


def test_models_at_different_targets_are_no_one_set() -> None:
    with pytest.raises(ConfigErrors, match="is at a kubernetes target here"):
        asked("name: a\ndeploy: {x: {target: docker}}\n", "name: b\ndeploy: {x: {target: helm}}\n", environment="x")
    assert [
        model.name
        for model in asked("name: a\ndeploy: {x: {target: docker}}\n", "name: b\ndeploy: {y: {target: helm}}\n", environment="x").models
    ] == ["a"]
