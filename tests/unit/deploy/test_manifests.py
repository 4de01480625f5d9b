"""A release as Kubernetes objects: what is the same in the forms in which it is written."""

from __future__ import annotations

from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.deploy import manifests

IMAGE = f"ghcr.io/acme/spam@sha256:{'3' * 64}"


def test_kserve_gets_the_pod_that_our_own_deployment_has() -> None:
    options = Deploy("kubernetes", namespace="models", pull_secrets=("registry",), max_replicas=3)
    made = manifests.spec("spam", IMAGE, options, env="spam-env", python="/opt/conda/bin/python")
    pod = made["deployment"]["spec"]["template"]["spec"]
    predictor = manifests.inference_service("spam", options, made["deployment"])["spec"]["predictor"]
    (ours,), (theirs,) = pod["containers"], predictor.pop("containers")
    assert (predictor.pop("minReplicas"), predictor.pop("maxReplicas")) == (1, 3)
    assert predictor == {key: pod[key] for key in predictor}
    assert {"securityContext", "volumes", "imagePullSecrets"} <= predictor.keys()
    assert theirs["startupProbe"] == ours["startupProbe"]
    assert theirs["startupProbe"]["exec"]["command"][0] == "/opt/conda/bin/python"
    assert (theirs["readinessProbe"]["httpGet"]["port"], ours["readinessProbe"]["httpGet"]["port"]) == (8080, "http")
    assert {key for key in ours if theirs[key] != ours[key]} == {"name", "ports", "readinessProbe", "livenessProbe"}
