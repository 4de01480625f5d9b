"""`mlops report --close`: what a lost job left pending is ended, and nobody else's checks are touched."""

from __future__ import annotations

import argparse
import io
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context, Source
from mlops_toolkit.compare import again
from mlops_toolkit.errors import UsageError
from mlops_toolkit.forge.base import Check
from mlops_toolkit.forge.memory import Memory
from mlops_toolkit.system.clock import FixedClock
from mlops_toolkit.world import World

HEAD = "a" * 40
PAGE = "https://github.com/octo/pets/actions/runs"
CONTEXT = Context(
    provider="github", event="pull_request", head=HEAD, run="7", repository="octo/pets", server_url="https://github.com", url=f"{PAGE}/7"
)
ARGS = argparse.Namespace(close=True, config="mlops.yaml", verb="report")


def world(context: Context) -> tuple[World, Memory]:
    clock = FixedClock(datetime(2026, 11, 24, tzinfo=timezone.utc))
    forge = Memory(clock=clock)
    refuse = lambda *_: (_ for _ in ()).throw(AssertionError)
    here = Path(__file__).parent
    return World(here, here, {}, clock, None, context, forge, refuse, refuse, io.StringIO(), io.StringIO()), forge


def test_a_check_that_this_run_left_pending_says_that_it_has_no_verdict() -> None:
    made, forge = world(replace(CONTEXT, attempt=2, url=f"{PAGE}/7/attempts/2"))
    forge.status(HEAD, "cats", "pending", "training", f"{PAGE}/7")
    forge.status(HEAD, "dogs", "pending", "training", f"{PAGE}/7")
    forge.status(HEAD, "dogs", "failure", "worse", f"{PAGE}/7")
    assert again.run(ARGS, made) == 0
    assert [(name, state) for name, state, *_ in forge.statuses[HEAD]][3:] == [("mlops/cats", "error")]
    assert again.run(ARGS, made) == 0
    assert len(forge.statuses[HEAD]) == 4


@pytest.mark.parametrize("url", [f"{PAGE}/71", f"{PAGE}/8", None, "https://elsewhere.example/octo/pets/actions/runs/7", ""])
def test_a_check_of_another_run_is_left_to_it(url: str | None) -> None:
    assert again.stuck((Check("cats", "pending", "training", url),), CONTEXT) == ()


def test_a_run_that_judges_another_s_closes_that_one_s_checks_too() -> None:
    judging = replace(CONTEXT, event="workflow_run", run="9", source=Source(run="7"))
    assert [
        c.name for c in again.stuck((Check("cats", "pending", "", f"{PAGE}/7"), Check("dogs", "pending", "", f"{PAGE}/9")), judging)
    ] == [
        "cats",
        "dogs",
    ]


@pytest.mark.parametrize(
    ("models", "leg", "ended"),
    [
        (None, None, ["cats", "cats (small)", "cats (large)", "dogs"]),
        (("cats",), None, ["cats", "cats (small)", "cats (large)"]),
        (("cats",), "small", ["cats (small)"]),
        (("cats", "dogs"), "large", ["cats (large)"]),
        ((), None, []),
    ],
)
def test_a_job_ends_its_own_models_checks_and_leaves_those_of_jobs_still_at_work(
    models: tuple[str, ...] | None, leg: str | None, ended: list[str]
) -> None:
    pending = tuple(Check(name, "pending", "", f"{PAGE}/7") for name in ("cats", "cats (small)", "cats (large)", "dogs"))
    assert [c.name for c in again.stuck(pending, replace(CONTEXT, matrix=leg), models)] == ended


def test_on_a_laptop_there_is_nothing_to_close() -> None:
    made, _ = world(Context())
    with pytest.raises(UsageError, match="only a CI run"):
        again.run(ARGS, made)
