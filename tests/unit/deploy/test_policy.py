"""From mlops.yaml, an image and a run to an order, and what is said of it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.config.deploying import LONGEST_NAME, Deploy, LimitOptions, RolloutOptions, fit
from mlops_toolkit.deploy import policy, recorded, rollback
from mlops_toolkit.deploy.policy import Asker
from mlops_toolkit.deploy.targets import TARGETS, Outcome, Standing
from mlops_toolkit.errors import UsageError
from mlops_toolkit.history import upkeep
from mlops_toolkit.records import run as run_record
from mlops_toolkit.records.publication import Deployed
from mlops_toolkit.records.run import Run
from mlops_toolkit.rollout.accept import impossible
from mlops_toolkit.rollout.order import Order, Release, Step

OLD = Release("0a73b7b951c3", f"ghcr.io/acme/spam@sha256:{'0' * 64}", "v1.2.2")
NEW = Release("3f9a1c2b4d5e", f"ghcr.io/acme/spam@sha256:{'3' * 64}", "v1.2.3")
JOB = Asker("octocat", "2026-11-24T09:20:57Z", "812", 1)
LAPTOP = Asker("ada", "2026-11-24T09:20:57Z")


def order(options: Deploy, asker: Asker = JOB) -> Order:
    return policy.deployment(NEW, "spam", "production", options, asker, older=False)


@pytest.mark.parametrize("strategy", ["canary", "blue-green", "all-at-once", "shadow"])
def test_what_is_shipped_is_an_order_that_a_target_takes(strategy: str) -> None:
    made = order(Deploy("docker", rollout=RolloutOptions(strategy=strategy)))  # type: ignore[arg-type]
    assert impossible(made) == ""
    assert bool(made.steps) == (strategy in ("canary", "shadow"))
    assert policy.plan(made, OLD)[-1] == "stop v1.2.2 (0a73b7b951c3), and keep how to run it"
    assert "nothing can be gone back to" in policy.plan(made, None)[0]
    assert impossible(policy.rollback(None, "spam", "production", Deploy("docker"), JOB, "worse")) == ""


def test_what_is_usual_is_the_same_in_an_order_as_in_a_configuration() -> None:
    """The benchmark of how often a rollout is wrong is of an order's own; people have what the configuration's come to."""
    made = order(Deploy("docker"))
    usual = Order(made.id, made.name, made.environment, steps=(Step(0.05), Step(0.25), Step(0.5)))
    assert replace(made, release=None, by="", url=None, at="") == usual


def test_limits_are_those_of_the_configuration_and_what_is_ignored_is_not_looked_at() -> None:
    made = policy.limits(LimitOptions(max_latency_ms=250.0, memory="1.5Gi", ignore=("predictions", "errors")))
    assert (made.errors, made.latency, made.most_latency, made.predictions) == (None, 0.2, 0.25, None)
    assert made.memory == 1.5 * 2**30


def test_a_repeated_step_is_the_same_order_and_another_attempt_follows_the_one_under_way() -> None:
    first, again = order(Deploy("docker")), order(Deploy("docker"), replace(JOB, attempt=2))
    assert first.id == order(Deploy("docker")).id == "deploy-812-1-3f9a1c2b4d5e"
    assert again.id != first.id
    assert policy.same_order(again, first.id).id == first.id
    assert policy.same_order(again, "deploy-811-1-0a73b7b951c3").id == again.id
    assert order(Deploy("docker"), LAPTOP).id == "deploy-20261124092057-3f9a1c2b4d5e"


@pytest.mark.parametrize(
    ("kind", "outcome", "blamed", "wanted"),
    [
        ("deploy", Outcome("deployed", NEW, OLD), False, [(NEW, True, None), (OLD, False, None)]),
        ("deploy", Outcome("deployed", NEW, None), False, [(NEW, True, None)]),
        ("deploy", Outcome("rolled-back", OLD, OLD, "worse", "2 % failed"), True, [(NEW, False, "2 % failed")]),
        ("deploy", Outcome("rolled-back", OLD, OLD, "engine-away", "no answer"), False, []),
        ("deploy", Outcome("refused", OLD, OLD, "busy", "another one"), False, []),
        ("deploy", Outcome("same", NEW, NEW), False, []),
        ("rollback", Outcome("deployed", OLD, NEW), False, [(OLD, True, None), (NEW, False, "wrong")]),
        ("rollback", Outcome("rolled-back", NEW, NEW, "x", "y"), False, []),
    ],
)
def test_what_an_outcome_means_for_the_runs(
    kind: str, outcome: Outcome, blamed: bool, wanted: list[tuple[Release, bool, str | None]]
) -> None:
    made = recorded.changes(kind, outcome, NEW, blamed=blamed, reason="wrong" if kind == "rollback" else "")
    assert [(one.release, one.live, one.withdrawn) for one in made] == wanted


@pytest.mark.parametrize("text", ["v1.2.2", "0a73b7b951c3", "sha256:0000000", OLD.image])
def test_what_is_gone_back_to_is_named_by_version_id_or_digest(text: str) -> None:
    assert rollback.wanted(text, Standing(NEW, good=(NEW, OLD)), "production") == OLD
    assert rollback.wanted("last", Standing(NEW, good=(NEW, OLD)), "production") is None
    with pytest.raises(UsageError, match="knows no release"):
        rollback.wanted("v0.1", Standing(NEW, good=(NEW, OLD)), "production")


@given(st.text(max_size=120), st.text(max_size=120))
def test_a_model_s_name_is_made_fit_and_two_never_become_one(one: str, other: str) -> None:
    for name in (one, other):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", fit(name))
        assert len(fit(name)) <= LONGEST_NAME
    assert (fit(one) == fit(other)) == (one == other)


def test_a_run_s_record_says_where_its_model_was_live_and_until_when() -> None:
    first = Deployed("production", "spam", "sha256:1", "2026-11-24T10:00:00Z")
    run = upkeep.with_deployment(Run("20261124-092057-3f9a1c", "spam", withdrawn="worse"), first)
    assert (run.deployed, run.withdrawn) == ((first,), None)
    assert upkeep.with_deployment(run, replace(first, at="2026-11-24T11:00:00Z")).deployed == (first,)
    staged = upkeep.with_deployment(run, replace(first, environment="staging"))
    gone = upkeep.without_deployment(staged, "production", "spam", "2026-11-25T10:00:00Z", "wrong")
    assert [one.until for one in gone.deployed] == ["2026-11-25T10:00:00Z", None]
    assert gone.withdrawn == "wrong"
    assert upkeep.without_deployment(gone, "production", "spam", "2026-11-26T10:00:00Z") == gone
    assert run_record.loads(run_record.dumps(gone), where="here") == gone


def test_every_key_of_an_environment_and_every_target_has_a_use() -> None:
    sources = "".join(path.read_text() for path in Path(policy.__file__).parent.rglob("*.py"))
    unused = [field.name for field in dataclasses.fields(Deploy) if not re.search(rf"(options|deploy)\.{field.name}\b", sources)]
    assert unused == []
    assert set(TARGETS) == {"docker", "kubernetes", "helm", "gitops"}
