"""A release is a pull request in the repository that is watched: one, however often it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.config.deploying import Deploy
from mlops_toolkit.deploy.targets import Outcome, Place, open_target
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.forge.base import Forge
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.system.clock import SystemClock
from tests.unit.forge.conftest import forge
from tests.world.github import FakeGitHub, Token

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
RELEASE = Release(NEW[7:19], f"reg/spam@{NEW}", "v2.0.0", run="20260101-aaaa", verdict="pass")


def given(posting: Forge, **options: Any) -> Outcome:
    made = Deploy(target="gitops", path="apps/spam.yaml", **options)
    place = Place("production", "spam", made, lambda key: key, Path(), Path(), {}, {}, SystemClock(), lambda _: None, posting, print)
    last = list(open_target(place).give(Order("o", "spam", "production", release=RELEASE)))[-1]
    assert last.outcome is not None
    return last.outcome


@pytest.fixture
def watched(fake: FakeGitHub) -> FakeGitHub:
    fake.tokens["ghs_job"] = Token(may=frozenset({"contents", "pull-requests"}))
    fake.contents.files["main"] = {"apps/spam.yaml": f"image: reg/spam@{OLD}\n", "other": "x"}
    return fake


def test_one_pull_request_with_one_line_changed(watched: FakeGitHub) -> None:
    first, again = given(forge(watched)), given(forge(watched))
    assert (first.result, again.result, first.url) == ("proposed", "proposed", again.url)
    assert watched.contents.files["mlops-spam-production-111111111111"] == {"apps/spam.yaml": f"image: reg/spam@{NEW}\n", "other": "x"}
    assert watched.contents.commits == ["Deploy spam v2.0.0 to production"]
    (pull,) = watched.pulls.values()
    assert "20260101-aaaa" in pull["body"]
    watched.contents.files["main"]["apps/spam.yaml"] = f"image: reg/spam@{NEW}\n"
    assert given(forge(watched)).result == "same"


def test_a_token_that_may_not_is_told_what_it_lacks(watched: FakeGitHub) -> None:
    watched.tokens["ghs_job"] = Token(may=frozenset())
    with pytest.raises(EnvironmentFailure, match="not proposed") as caught:
        given(forge(watched))
    assert "contents: write" in str(caught.value.hint)
