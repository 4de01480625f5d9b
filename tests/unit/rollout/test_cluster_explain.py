"""A failing rollout in words, from what real clusters say (kubelet and containerd 1.6, Kubernetes 1.34)."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_toolkit.rollout import cluster_explain as explain

PULL = (
    'Back-off pulling image "reg.example:5000/m@sha256:00": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image '
    '"reg.example:5000/m@sha256:00": failed to resolve reference "reg.example:5000/m@sha256:00": reg.example:5000/m@sha256:00: not found'
)
DOWN = (
    'failed to pull and unpack image "reg.example:5000/m@sha256:00": failed to resolve reference "reg.example:5000/m@sha256:00": '
    'failed to do request: Head "http://reg.example:5000/v2/m": dial tcp 10.0.0.9:5000: connect: connection refused'
)
GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1 nodes are available."
QUOTA = 'pods "m-1-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'
SECURITY = 'pods "m-1-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod must not set it to false)'
LOADED = (
    '{"ok": false, "models": [], "error": {"name": "not-ready", "message": "it is not ready: m: version 1: the model does not answer its golden '
    'examples as it did when it was saved (503)"}}'
)
HOOK = 'admission webhook "images.example.com" denied the request: only signed images'


def waiting(why: str, message: str = "", restarts: int = 0, **last: Any) -> dict[str, Any]:
    one = {"image": "reg.example:5000/m@sha256:00", "restartCount": restarts, "ready": False}
    one["state"] = {"waiting": {"reason": why, "message": message}}
    one["lastState"] = {"terminated": last} if last else {}
    return {"metadata": {"name": "m-1-x"}, "status": {"phase": "Pending", "containerStatuses": [one]}}


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"metadata": {"name": "m-1-x"}, "status": {"phase": "Pending", "conditions": [condition]}}


def refused(message: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]}}


def probed(said: str) -> dict[str, Any]:
    return {"reason": "Unhealthy", "message": f"Startup probe failed: {said}", "lastTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("deployment", "pods", "events", "name", "for_ever", "words"),
    [
        ({}, [waiting("ImagePullBackOff", PULL)], [], "image-gone", True, "cannot pull reg.example:5000/m@sha256:00: "),
        ({}, [waiting("ErrImagePull", DOWN)], [], "image-gone", False, "connection refused"),
        ({}, [unschedulable(GPU)], [], "unschedulable", False, "no node has enough GPUs free"),
        ({}, [unschedulable("0/3 nodes are available: 3 Insufficient memory.")], [], "unschedulable", False, "enough memory free"),
        ({}, [unschedulable("0/3 nodes: 3 had untolerated taint")], [], "unschedulable", False, "no node may take it: 0/3"),
        (refused(QUOTA), [], [], "quota", True, "the quota small has no room: pods=1 are asked for, pods=1 are used, of pods=1"),
        (refused(SECURITY), [], [], "admission-refused", True, "pod security refuses it"),
        (refused(HOOK), [], [], "admission-refused", True, "only signed images"),
        ({}, [waiting("CrashLoopBackOff", "", 2, exitCode=3, reason="Error")], [], "does-not-start", True, "with 3, 2 times"),
        (
            {},
            [waiting("", "", 1, exitCode=3, reason="Error")],
            [probed("refused")],
            "does-not-start",
            False,
            "ends by itself, with 3, once",
        ),
        (
            {},
            [waiting("CrashLoopBackOff", "", 1, exitCode=137, reason="OOMKilled")],
            [],
            "out-of-memory",
            True,
            "more memory than its limit",
        ),
        ({}, [waiting("CreateContainerConfigError", 'secret "m-env" not found')], [], "does-not-start", True, 'secret "m-env" not found'),
        (
            {},
            [],
            [probed('{"ok": false, "models": [], "error": {"name": "wrong-answers", "message": "m 1 differs"}}\n')],
            "wrong-answers",
            True,
            "m 1 differs",
        ),
        ({}, [], [probed(LOADED)], "wrong-answers", True, "m: version 1: the model does not answer"),
        ({}, [], [probed('{"ok": false, "error": {"name": "no-answer", "message": "refused"}}')], "does-not-start", False, "refused"),
        ({}, [], [probed("command timed out")], "does-not-start", False, "timed out"),
        ({}, [], [probed('{"error": [1]}')], "does-not-start", False, "Startup probe failed"),
    ],
)
def test_a_cause_is_told_in_words(deployment: Any, pods: Any, events: Any, name: str, for_ever: bool, words: str) -> None:
    found = explain.of(deployment, pods, events)
    assert found is not None
    assert (found.name, found.for_ever) == (name, for_ever)
    assert words in found.text


@pytest.mark.parametrize(
    ("deployment", "pods", "blamed"),
    [
        ({}, [waiting("ImagePullBackOff", PULL)], True),
        ({}, [waiting("ErrImagePull", DOWN)], False),
        ({}, [waiting("ErrImagePull", "pull access denied, 401 Unauthorized")], False),
        ({}, [waiting("ErrImagePull", "failed to extract layer: write /x: no space left on device")], False),
        ({}, [unschedulable(GPU)], False),
        (refused(QUOTA), [], False),
        (refused(SECURITY), [], True),
        ({}, [waiting("CrashLoopBackOff", "", 2, exitCode=3, reason="Error")], True),
    ],
)
def test_a_release_is_blamed_for_what_it_does_itself_alone(deployment: Any, pods: Any, blamed: bool) -> None:
    """It is not withdrawn where a registry, a quota or a machine without room keeps it from running."""
    found = explain.of(deployment, pods, [])
    assert found is not None
    assert found.blamed is blamed


def test_the_registrys_answer_is_told_without_the_addresses_around_it() -> None:
    found = explain.of({}, [waiting("ErrImagePull", DOWN)], [])
    assert found is not None
    assert found.text == "the node cannot pull reg.example:5000/m@sha256:00: dial tcp 10.0.0.9:5000: connect: connection refused"


def test_why_a_container_began_anew_is_told_when_it_runs_again() -> None:
    again = waiting("", "", 1, exitCode=137, reason="OOMKilled")
    assert explain.ended([waiting(""), again]) == "it needs more memory than its limit: the system ended it"
    assert explain.ended([waiting("", "", 1, exitCode=9, reason="Error")]) == "it ended by itself, with 9"
    assert explain.ended([waiting("")]) == ""


def test_what_cannot_change_is_told_first() -> None:
    found = explain.of({}, [unschedulable(GPU), waiting("ImagePullBackOff", PULL)], [])
    assert found is not None
    assert found.name == "image-gone"


def test_nothing_wrong_is_nothing_said() -> None:
    running = {"metadata": {"name": "x"}, "status": {"containerStatuses": [{"ready": False, "restartCount": 0, "state": {"running": {}}}]}}
    assert explain.of({}, [running], []) is None


def test_last_words_are_one_short_line_without_control_characters() -> None:
    log = '{"message": "loading"}\n\x1b[31mTraceback\x1b[0m\nValueError: ' + "x" * 1000 + "\n"
    said = explain.last_words(log)
    assert said.startswith("loading · ")
    assert "\x1b" not in said
    assert len(said) <= 300
