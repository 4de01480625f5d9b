"""What is attached to a published image is read by in-toto's own library, field by field."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mlops_toolkit.supply import provenance
from tests.programs.conftest import HERE, environment
from tests.world import proven

pytestmark = pytest.mark.programs


def test_statements_are_what_in_toto_and_slsa_say(tmp_path: Path) -> None:
    told = provenance.Published(
        "ghcr.io/owner/spam", f"sha256:{'a' * 64}", "v1.2.3", base=proven.BASE, locks={"serve.txt": "9" * 64}, sbom="8" * 64
    )
    recorded = proven.run()
    documents = [
        provenance.statement(recorded, told, proven.BUILDER),
        provenance.statement(proven.run(commit=None, trained=None, evaluations={}), told, provenance.Builder(provenance.LAPTOP)),
        provenance.verdict(recorded, recorded.gate, proven.result(), provenance.Decision("overridden", by="ada", reason="a demo"), told),
        provenance.verdict(recorded, None, None, provenance.Decision("ungated"), told),
    ]
    done = subprocess.run(
        [str(environment("attestations") / "python"), str(HERE / "attestations" / "read.py")],
        input=json.dumps([json.loads(one) for one in documents]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, local, overridden, ungated = map(json.loads, done.stdout.splitlines())
    assert first["subject"] == [{"sha256": "a" * 64}]
    assert first["build"] == "urn:mlops:publish:1"
    assert dict(first["from"]) == {
        "source": {"gitCommit": proven.COMMIT},
        "model": {"sha256": proven.model_digest().removeprefix("sha256:")},
        "evaluation data": {"sha256": "d" * 64},
        "base image": {"sha256": "b" * 64},
        "lock serve.txt": {"sha256": "9" * 64},
    }
    assert first["parameters"]["run"] == proven.RUN
    assert first["by"] == [proven.BUILDER.id, proven.BUILDER.invocation, "2026-11-24T10:00:00Z"]
    assert local["by"][0] == "urn:mlops:builder:laptop"
    assert overridden["type"] == ungated["type"] == "urn:mlops:gate:1"
