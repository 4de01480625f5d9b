"""What stands around a release on a real cluster: weights of a Gateway's route, autoscaling, budget, network, and what KServe would take."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.config.deploying import Resources
from mlops_toolkit.deploy.targets import open_target
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.tell import Event
from tests.cluster.giving import order, place
from tests.cluster.site import NAME, Site
from tests.world.crds import definition
from tests.world.waiting import wait_for

pytestmark = pytest.mark.cluster
LITTLE = Resources(cpu=0.1)


def knows(site: Site, name: str) -> None:
    """The cluster takes objects of this definition from now on."""
    text = definition(name)
    site.kubernetes.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    words = ("wait", "--for=condition=Established", "--timeout=5s", f"crd/{json.loads(text)['metadata']['name']}")
    wait_for(lambda: "condition met" in site.kubernetes.kubectl(*words, check=False), 90)


def dry(site: Site, thing: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What the API server says of an object that it is only asked about."""
    command = ["kubectl", f"--kubeconfig={site.kubernetes.kubeconfig}", "apply", "--server-side", "--dry-run=server", *words, "-f", "-"]
    return subprocess.run(command, input=thing, capture_output=True, text=True, timeout=60, check=False)


def test_everything_that_is_written_is_taken(site: Site, tmp_path: Path) -> None:
    """By the API server, against Kubernetes' own schemas and those of the Gateway API and of KServe; a field that they do not know is not."""
    knows(site, "httproute")
    knows(site, "inferenceservice")
    options: dict[str, Any] = {
        "gateway": "infra/public",
        "replicas": 2,
        "max_replicas": 4,
        "gpus": 1,
        "pull_secrets": ("registry",),
        "env": ("SECRET",),
    }
    target = open_target(place(site.kubernetes, site.namespace, tmp_path, "kubernetes", **options))
    written = target.render(order(target, "v1.0.0", site.image("1")), tmp_path / "out")
    kinds = {path.name.partition("-")[0] for path in written}
    assert {
        "httproute",
        "inferenceservice",
        "horizontalpodautoscaler",
        "poddisruptionbudget",
        "networkpolicy",
        "deployment",
        "job",
    } <= kinds
    for path in written:
        done = dry(site, path.read_text())
        assert done.returncode == 0, (path.name, done.stderr)
    for kind, good, bad in (("httproute", "weight:", "wait:"), ("inferenceservice", "minReplicas:", "leastReplicas:")):
        text = next(path for path in written if path.name.startswith(kind)).read_text()
        assert "field not declared in schema" in dry(site, text.replace(good, bad)).stderr


@pytest.mark.long
def test_the_weights_of_a_route_are_the_shares(site: Site) -> None:
    """Exactly those that were asked for, each release behind a Service of its own; going back gives all to the old one."""
    knows(site, "httproute")
    one, two, bad = (
        site.release(version, kind, gateway="infra/public") for version, kind in (("1", "good"), ("2", "good"), ("3", "crash"))
    )
    seen: list[dict[str, int]] = []

    def weights() -> dict[str, int]:
        route = site.kubernetes.json("-n", site.namespace, "get", "httproute", NAME)
        assert route["spec"]["parentRefs"][0]["name"] == "public"
        return {ref["name"]: ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]}

    def say(event: Event) -> None:
        if event.step in ("share", "switch") and event.state == "done":
            seen.append(weights())

    def of(**shares: int) -> dict[str, int]:
        return {f"{NAME}-{release.id}": shares[key] for key, release in (("one", one), ("two", two)) if key in shares}

    assert site.run(site.order(one), say).result == "deployed"
    assert site.run(site.order(two, 0.05, 0.25), say).result == "deployed"
    assert seen == [of(one=1000), of(one=950, two=50), of(one=750, two=250), of(two=1000)]
    assert site.run(site.order(bad, 0.25)).result == "rolled-back"
    assert weights() == of(two=1000)
    assert site.run(site.order(None, reason="a test"), say).result == "deployed"
    assert weights() == of(one=1000)
    services = site.kubernetes.json("-n", site.namespace, "get", "services")["items"]
    assert f"{NAME}-{one.id}" in {thing["metadata"]["name"] for thing in services}


@pytest.mark.long
def test_autoscaling_budget_and_network_are_of_the_live_release(site: Site) -> None:
    """The autoscaler finds its Deployment, and how many pods it wants is left alone, also by the next release, which takes over with as many. A node
    that is emptied takes one pod at a time. The network policy is of these pods and no others.
    """
    one, two = (site.release(version, resources=LITTLE, replicas=2, max_replicas=3) for version in "12")
    assert site.run(site.order(one)).result == "deployed"
    deployment = f"deployment/{NAME}-{one.id}"
    kubectl, mine = site.kubernetes.kubectl, ("-n", site.namespace)

    def found() -> bool:
        conditions = site.kubernetes.json(*mine, "get", "hpa", NAME).get("status", {}).get("conditions") or []
        return any((each["type"], each["status"]) == ("AbleToScale", "True") for each in conditions)

    wait_for(found, 90)
    kubectl(*mine, "scale", deployment, "--replicas=3")  # what the autoscaler does, by the same subresource
    ready = lambda: site.kubernetes.json(*mine, "get", deployment)["status"].get("readyReplicas") == 3
    wait_for(ready, 120)
    site.driver.start(one)
    site.driver.route({one.id: 1.0})  # as an agent that begins anew does
    assert site.kubernetes.json(*mine, "get", deployment)["spec"]["replicas"] == 3
    assert _evicted(site, one) == ["Success", "TooManyRequests"]
    chosen = site.kubernetes.json(*mine, "get", "networkpolicy", NAME)["spec"]["podSelector"]["matchLabels"]
    words = ",".join(f"{key}={value}" for key, value in chosen.items())
    assert len(site.kubernetes.json(*mine, "get", "pods", "-l", words)["items"]) >= 3
    with site.load() as load:
        assert site.run(site.order(two)).result == "deployed"
    assert not load.failed, load.failed
    assert site.kubernetes.json(*mine, "get", f"deployment/{NAME}-{two.id}")["spec"]["replicas"] == 3
    assert site.kubernetes.json(*mine, "get", "hpa", NAME)["spec"]["scaleTargetRef"]["name"] == f"{NAME}-{two.id}"


def _evicted(site: Site, release: Release) -> list[str]:
    """What the API answers whoever empties a node of the first two pods at once."""
    said = []
    pods = site.kubernetes.json("-n", site.namespace, "get", "pods", "-l", f"org.mlops/release={release.id}")["items"]
    for pod in pods[:2]:
        name = pod["metadata"]["name"]
        asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": site.namespace}}
        path = f"/api/v1/namespaces/{site.namespace}/pods/{name}/eviction"
        text = site.kubernetes.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(asked), check=False)
        said.append("TooManyRequests" if "TooManyRequests" in text else json.loads(text).get("status", text))
    return said
