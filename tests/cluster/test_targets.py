"""The targets `kubernetes` and `helm` as `mlops deploy` opens them: a Job that outlives whoever follows it, files that the API takes, Helm mended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from mlops_toolkit.config.deploying import Resources, RolloutOptions
from mlops_toolkit.config.quantities import Duration
from mlops_toolkit.deploy.targets import open_target
from tests.cluster.giving import order, outcome, place
from tests.cluster.site import NAME, Site
from tests.needs import require
from tests.world.waiting import wait_for

pytestmark = pytest.mark.cluster


def test_a_job_carries_it_out(site: Site, tmp_path: Path) -> None:
    """The order goes on when whoever follows it is gone, and when its pod is killed; the same order again is followed to its end. Its account may
    read no Secret; the model's variable stands in a Secret alone; all that `--render` writes is taken by the API.
    """
    opened = place(site.kubernetes, site.namespace, tmp_path, "kubernetes", env=("SECRET",))
    target = open_target(opened)
    given = order(target, "v1.0.0", site.image("1"))
    written = target.render(given, tmp_path / "out")
    for path in written:
        if "kserve" not in str(path):
            site.kubernetes.kubectl("apply", "--server-side", "--dry-run=server", "-f", str(path))
    assert "top secret" not in "".join(path.read_text() for path in written)
    first = target.give(given)
    assert next(first).step
    first.close()  # type: ignore[attr-defined]
    pods = ("-n", site.namespace, "get", "pods", "-l", "org.mlops/part=order", "-o", "name")
    site.kubernetes.kubectl("-n", site.namespace, "delete", "--grace-period=0", "--force", site.kubernetes.kubectl(*pods).split()[0])
    told = list(target.give(given))
    assert outcome(told).result == "deployed", told
    site.is_one(given.release)  # type: ignore[arg-type]
    assert outcome(list(target.give(given))).result == "deployed"
    standing = target.status()
    assert standing.live is not None
    assert (standing.live.id, standing.under_way, dict(standing.shares)) == (given.release.id, None, {given.release.id: 1.0})  # type: ignore[union-attr]
    who = f"--as=system:serviceaccount:{site.namespace}:{NAME}-agent"
    for words, allowed in ((("get", "secrets"), "no"), (("create", "pods/exec"), "no"), (("patch", "deployments"), "yes")):
        assert site.kubernetes.kubectl("-n", site.namespace, "auth", "can-i", *words, who, check=False).split()[0] == allowed, words
    assert "top secret" not in site.kubernetes.kubectl("-n", site.namespace, "get", "configmaps,jobs,deployments,pods", "-o", "yaml")


def test_this_job_carries_it_out(site: Site, tmp_path: Path) -> None:
    """`runs: here`: nothing but the release is made in the cluster; a Service of somebody else's is left alone, and said."""
    target = open_target(place(site.kubernetes, site.namespace, tmp_path, "kubernetes", runs="here"))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "x"}},
    }
    site.kubernetes.kubectl("-n", site.namespace, "apply", "-f", "-", stdin=json.dumps(service))
    found = outcome(list(target.give(order(target, "v1.0.0", site.image("1")))))
    assert (found.result, found.live) == ("rolled-back", None), found
    assert "that no rollout of this name made" in found.reason
    left = site.kubernetes.json("-n", site.namespace, "get", "service", NAME)
    assert left["spec"]["selector"] == {"app": "x"}
    assert site.kubernetes.json("-n", site.namespace, "get", "jobs")["items"] == []


def test_helm_left_half_done_is_put_right(site: Site, tmp_path: Path) -> None:
    """Helm is killed in the middle of an upgrade: the next deployment says so, goes back to what ran, and deploys; a bad one goes back by itself.
    The second release answers only with the model's variable, which stands in a Secret and in nothing that Helm keeps or writes.
    """
    helm = require("cluster", "helm")["helm"]
    start = RolloutOptions(start=Duration("60s", 60.0))
    target = open_target(
        place(site.kubernetes, site.namespace, tmp_path, "helm", rollout=start, resources=Resources(cpu=0.6), env=("SECRET",))
    )
    linted = subprocess.run(
        [helm, "lint", "--strict", "charts/mlops-model", "--set", "image=a/b@sha256:" + "0" * 64],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
    assert outcome(list(target.give(order(target, "v1.0.0", site.image("1"))))).result == "deployed"
    given = order(target, "v2.0.0", site.image("2", "env"))
    rendered = target.render(given, tmp_path / "out")
    kinds = {one["kind"] for one in yaml.safe_load_all(rendered[1].read_text())}
    assert kinds == {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    env = {**os.environ, "KUBECONFIG": str(site.kubernetes.kubeconfig)}
    words = [helm, "upgrade", NAME, "charts/mlops-model", "--namespace", site.namespace, "--wait", "--values", str(rendered[0])]
    upgrade = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listed = [helm, "status", NAME, "--namespace", site.namespace]
    wait_for(lambda: b"pending-upgrade" in subprocess.run(listed, env=env, capture_output=True, check=False).stdout, 60)
    upgrade.send_signal(signal.SIGKILL)
    upgrade.wait()
    told = list(target.give(given))
    assert re.search(r"revision 2 of m was left pending-upgrade .* back to revision 1", told[0].text), told
    assert outcome(told).result == "deployed"
    kept = subprocess.run(
        [helm, "get", "all", NAME, "--namespace", site.namespace], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert f"{NAME}-env" in kept
    assert "top secret" not in kept + "".join(path.read_text() for path in rendered)
    told = list(target.give(order(target, "v3.0.0", site.image("4", "crash"), start=25.0)))
    assert outcome(told).result == "rolled-back"
    assert "no kernel image is available" in outcome(told).reason, told
    back = outcome(list(target.give(order(target, "", None))))
    assert (back.result, back.live and back.live.version) == ("deployed", "v1.0.0"), back
    standing = target.status()
    assert standing.live is not None
    assert (standing.live.version, standing.under_way) == ("v1.0.0", None)
