"""The dashboard is read by Grafana's own foundation SDK, and written again: what it does not know would be gone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mlops_toolkit.monitor import grafana
from tests.programs.conftest import environment

READ = """\
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard
plugins.register_default_plugins()
print(JSONEncoder(sort_keys=True).encode(dashboard.Dashboard.from_json(json.load(sys.stdin))))
"""
# Fields of an annotation that Grafana's Prometheus plugin reads, and the SDK's schema of annotations leaves to each plugin.
PLUGINS = {"titleFormat", "textFormat", "step"}


pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="Grafana's SDK needs Python 3.11")


def lost(ours: object, theirs: object, path: str = "") -> list[str]:
    """Where something of ours is not in what came back."""
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            return [path]
        return [
            found
            for key, value in ours.items()
            if key not in PLUGINS
            for found in (lost(value, theirs[key], f"{path}.{key}") if key in theirs else [f"{path}.{key}"])
        ]
    if isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            return [path]
        return [found for place, pair in enumerate(zip(ours, theirs, strict=True)) for found in lost(*pair, f"{path}[{place}]")]
    return [] if ours == theirs else [f"{path}: {theirs!r}"]


def test_all_of_it_comes_back() -> None:
    python = environment("grafana") / "python"
    made = grafana.dashboard()
    done = subprocess.run([python, "-c", READ], input=json.dumps(made), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    back = json.loads(done.stdout)
    assert lost(made, back) == []
    kinds = {panel["type"] for panel in back["panels"]}
    assert kinds == {"row", "stat", "table", "timeseries", "heatmap", "state-timeline"}


def test_what_it_does_not_know_would_be_seen() -> None:
    made = grafana.dashboard()
    python = environment("grafana") / "python"
    made["panels"][1]["targts"] = []
    made["panels"][2]["targets"][0]["exprr"] = "x"
    done = subprocess.run([python, "-c", READ], input=json.dumps(made), capture_output=True, text=True, timeout=60, check=False)
    assert lost(made, json.loads(done.stdout)) == [".panels[1].targts", ".panels[2].targets[0].exprr"]
