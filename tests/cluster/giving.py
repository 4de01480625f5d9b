"""Targets as `mlops deploy` opens them, and the orders that they are given."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.deploy.targets import Place
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.rollout.order import Limits, Order, Release
from mlops_toolkit.rollout.tell import Event, Outcome
from mlops_toolkit.system.clock import SystemClock
from tests.cluster.site import CPU, NAME
from tests.world.cluster import Kubernetes


def place(kubernetes: Kubernetes, namespace: str, folder: Path, target: str, **options: Any) -> Place:
    """As `deploy:` of mlops.yaml would say it; the kubeconfig comes in a variable, as a secret of CI does."""
    known = {"resources": CPU, "kubeconfig": "env://KUBECONFIG_CONTENT", "namespace": namespace, **options}
    env = {**os.environ, "KUBECONFIG_CONTENT": kubernetes.kubeconfig.read_text(), "SECRET": "top secret"}
    env["PATH"] = f"{os.environ.get('MLOPS_TEST_TOOLS', '')}/bin:{env['PATH']}"
    secrets = {one: env[one] for one in known.get("env", ())}
    at: Callable[[str], str] = lambda key: f"mlops.yaml, {key}"
    made = Deploy(target=target, **known)  # type: ignore[arg-type]
    return Place("test", NAME, made, at, folder, folder, env, secrets, SystemClock(), lambda _: None, Memory(), print)


def order(target: Any, version: str, image: str | None, **more: Any) -> Order:
    release = None if image is None else Release(image.rsplit(":", 1)[1][:12], image, version, spec=dict(target.spec(image)))
    known: dict[str, Any] = {
        "strategy": "blue-green",
        "watch": 2.0,
        "drain": 5.0,
        "start": 180.0,
        "limits": Limits(latency=None, predictions=None),
    }
    return Order(f"order-{time.time_ns()}", NAME, "test", "deploy" if image else "rollback", release, **{**known, **more})


def outcome(events: list[Event]) -> Outcome:
    last = events[-1]
    assert last.state == "over", events
    assert last.outcome is not None
    return last.outcome
