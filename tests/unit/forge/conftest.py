"""A GitHub on this machine for each test that asks for one, and a forge that talks to it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.forge.base import Section
from mlops_toolkit.forge.github import GitHub, open_forge
from mlops_toolkit.system.clock import FixedClock
from tests.world.github import FakeGitHub, serving

JOB_TOKEN = "ghs_job"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    """Fails the test if a request or an answer contradicted GitHub's own description."""
    with serving() as server:
        yield server
    assert server.violations == []


def context(fake: FakeGitHub, **changes: object) -> Context:
    """A pull request's job as the runner describes it."""
    made = Context(
        provider="github",
        event="pull_request",
        repository=fake.repository,
        head="a" * 40,
        pull_request=7,
        run="812",
        url="https://github.com/acme/models/actions/runs/812",
        api_url=fake.url,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def forge(fake: FakeGitHub, *, token: str | None = JOB_TOKEN, env: dict[str, str] | None = None, **changes: object) -> GitHub:
    """A forge with a clock that does not really wait."""
    return open_forge(context=context(fake, **changes), env=env or {}, token=token, clock=FixedClock(NOW), err=io.StringIO())


def section(
    key: str = "mlops.yaml|spam|", verdict: str = "✅ spam: accuracy +0.1 pp", *body: str, run: int = 812, attempt: int = 1
) -> Section:
    """A section of a comment."""
    return Section(key=key, verdict_line=verdict, body=body or ("| metric | main |\n|---|---|",), commit="a" * 40, run=run, attempt=attempt)
