"""`deploy:` of mlops.yaml: what it may say, and what is refused with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.config import read
from mlops_toolkit.config.deploying import StepOptions
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import ConfigErrors

HEAD = "name: spam-filter\ndeploy:\n"


def parsed(text: str, tmp_path: Path) -> Loaded:
    (tmp_path / "mlops.yaml").write_text(HEAD + text)
    return read.load(tmp_path / "mlops.yaml", root=tmp_path)


def test_a_step_is_a_share_alone_or_with_its_time(tmp_path: Path) -> None:
    text = "  production: {target: docker, rollout: {steps: [5%, {share: 25%, hold: 5m}, 50%]}}\n"
    steps = parsed(text, tmp_path).config.deploy["production"].rollout.steps
    assert steps[0] == StepOptions("5%")
    assert [(one.share, one.hold.seconds) for one in steps] == [("5%", 120.0), ("25%", 300.0), ("50%", 120.0)]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("  production: {target: dokcer}", "wrong-value", 'did you mean "docker"'),
        ("  production: {target: docker, namespace: models}", "not-of-target", "means nothing to the target docker"),
        ("  production: {target: kubernetes, host: 'ssh://a@b'}", "not-of-target", "it is a key of docker"),
        ("  production: {host: 'ssh://a@b'}", "missing-key", 'no "target"'),
        ("  production: {target: docker, hots: 'ssh://a@b'}", "unknown-key", 'did you mean "host"'),
        ("  production: {target: docker, host: 'ssh://-oProxyCommand=x'}", "wrong-value", "not ssh://USER@HOST"),
        ("  'up & away': {target: docker}", "wrong-value", "cannot name an environment"),
        ("  production: {target: docker, require: [signature]}", "no-key", "add key: cosign.pub"),
        ("  production: {target: docker, rollout: {strategy: blue-green, steps: [10%]}}", "no-parts", "remove them"),
        ("  production: {target: docker, rollout: {steps: [50%, 25%]}}", "wrong-value", "not more than the step before it"),
        ("  production: {target: docker, rollout: {steps: [0%]}}", "wrong-value", "more than 0 %"),
        ("  production: {target: docker, rollout: {steps: [100%]}}", "wrong-value", "less than all"),
        ("  production: {target: docker, rollout: {steps: [5]}}", "wrong-value", "not a share like 25%"),
        ("  production: {target: docker, rollout: {steps: [{share: 5%, hold: 1h}]}}", "wrong-value", "at least and 10m at most"),
        ("  production: {target: docker, rollout: {steps: []}}", "wrong-value", "has no step"),
        ("  production: {target: docker, rollout: {limits: {errors: 2%}}}", "wrong-value", "2pp"),
        ("  production: {target: docker, rollout: {limits: {latency: 0.2}}}", "wrong-value", "max-latency-ms"),
        ("  production: {target: docker}\n  staging: {target: docker}", "same-place", "the same place"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_at_its_line(text: str, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parsed(text + "\n", tmp_path)
    assert name in {problem.name for problem in caught.value.problems}
    assert said in str(caught.value)
    assert "mlops.yaml:" in str(caught.value)


def test_two_environments_of_one_host_differ_by_name(tmp_path: Path) -> None:
    text = "  production: {target: docker}\n  staging: {target: docker, name: spam-staging, port: 8081}\n"
    assert list(parsed(text, tmp_path).config.deploy) == ["production", "staging"]
