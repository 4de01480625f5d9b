"""What a statement says of a run, and what it leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.records.result import Check
from mlops_toolkit.supply import provenance
from tests.world import proven

TOLD = provenance.Published("ghcr.io/owner/spam", f"sha256:{'a' * 64}", "v1.2.3", base=proven.BASE)
GITHUB = Context("github", repository="owner/spam", server_url="https://github.com", url="https://github.com/owner/spam/actions/runs/7")


def predicate(raw: bytes) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(raw)["predicate"]
    return made


@pytest.mark.parametrize(
    ("context", "env", "builder", "source"),
    [
        (
            GITHUB,
            {"GITHUB_WORKFLOW_REF": "owner/spam/.github/workflows/release.yml@refs/tags/v1"},
            "https://github.com/owner/spam/.github/workflows/release.yml@refs/tags/v1",
            "https://github.com/owner/spam",
        ),
        (GITHUB, {}, "https://github.com/owner/spam", "https://github.com/owner/spam"),
        (Context(), {"GITHUB_WORKFLOW_REF": "not/here"}, provenance.LAPTOP, None),
    ],
)
def test_who_publishes(context: Context, env: dict[str, str], builder: str, source: str | None) -> None:
    """The workflow's file is what a reader trusts; a laptop is called one, whatever its variables say."""
    found = provenance.builder(context, env, started="2026-11-24T10:00:00Z")
    assert (found.id, found.source, found.invocation) == (builder, source, context.url)


def test_a_reused_run_names_its_source() -> None:
    made = predicate(provenance.statement(proven.run(status="reused", source="20261101-000000-aaaaaa"), TOLD, proven.BUILDER))
    assert made["buildDefinition"]["internalParameters"]["source-run"] == "20261101-000000-aaaaaa"


def test_checks_are_bounded_and_the_ones_that_decide_come_first() -> None:
    slices = [Check("accuracy", f"language={number}", n=5, verdict="inconclusive") for number in range(300)]
    checks = [
        Check("wer", severity="info", verdict="ungated"),
        *slices,
        Check("f1", head=0.9, low=-0.01, high=0.02, verdict="pass", n=2000),
    ]
    run = proven.run()
    undecided = ["u" * 1000] * 500
    decision = provenance.Decision("undecided", undecided=undecided, notes=["n"])
    made = predicate(provenance.verdict(run, run.gate, proven.result(checks), decision, TOLD))
    assert (len(made["checks"]), made["checks-left-out"]) == (200, 102)
    assert made["checks"][0] == {
        "name": "f1", "verdict": "pass", "severity": "gate", "direction": "higher", "head": 0.9, "low": -0.01, "high": 0.02,
        "confidence": 0.95, "n": 2000,
    }  # fmt: skip
    assert len(made["undecided"]) == 200
    assert {len(text) for text in made["undecided"]} == {300}


def test_an_override_is_named() -> None:
    run = proven.run()
    made = predicate(provenance.verdict(run, run.gate, None, provenance.Decision("overridden", by="ada", reason="a demo"), TOLD))
    assert made["override"] == {"by": "ada", "reason": "a demo"}
    assert "override" not in predicate(provenance.verdict(run, run.gate, None, proven.PASSED, TOLD))
