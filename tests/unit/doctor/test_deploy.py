"""What doctor says of what is deployed to: where a step and mlops.yaml name different environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.doctor.checks.deploy import check
from tests.engine.act import TEMPLATES
from tests.unit.doctor.places import environment, patient, repository

CONFIG = "name: spam\nevaluate: {run: 'true', task: classification, metrics: [accuracy]}\ngate: {accuracy: {min: 0.5}}\n"
PRODUCTION = "deploy: {production: {target: docker}}\n"
DEPLOY = (TEMPLATES / "deploy.yml").read_text()


@pytest.mark.parametrize(
    ("config", "flow", "said"),
    [
        (PRODUCTION, DEPLOY, "✓ deploys to production"),
        ("", DEPLOY, "✗ a step deploys, and mlops.yaml names no environment"),
        ("deploy: {prodction: {target: docker}}\n", DEPLOY, '✗ did you mean "prodction"?'),
        (
            "deploy: {production: {target: docker}, staging: {target: docker, name: staged}}\n",
            DEPLOY.replace("          environment: production\n", "          model: spam\n"),
            "✗ a step deploys, and does not say to which environment",
        ),
        (PRODUCTION, (TEMPLATES / "release.yml").read_text(), "· no workflow deploys to production"),
    ],
    ids=["well", "none named", "misspelt", "which", "no workflow"],
)
def test_what_is_deployed_to_is_what_is_named(config: str, flow: str, said: str, tmp_path: Path) -> None:
    root = repository(tmp_path, {"mlops.yaml": CONFIG + config, ".github/workflows/deploy.yml": flow})
    (finding,) = check(patient(root, environment(tmp_path)))
    mark, _, text = said.partition(" ")
    assert finding.level == {"✓": "fine", "✗": "problem", "·": "note"}[mark]
    assert text in f"{finding.said} {finding.hint}"
