"""What a branch asks of merges and of our own push, read from both kinds of rules that GitHub has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_toolkit.forge import rules
from mlops_toolkit.forge.base import BranchRules
from tests.unit.forge.conftest import forge
from tests.world.github import FakeGitHub, Fault, Token

BRANCH = "mlops-history"


def rule(kind: str, **parameters: Any) -> dict[str, Any]:
    made = {"type": kind, "ruleset_source_type": "Repository", "ruleset_source": "acme/models", "ruleset_id": 42}
    return made | ({"parameters": parameters} if parameters else {})


CHECKS = {
    "required_status_checks": [{"context": "mlops/spam"}, {"context": "build", "integration_id": 15368}],
    "strict_required_status_checks_policy": False,
}
PULLS = {
    "required_approving_review_count": 1,
    "dismiss_stale_reviews_on_push": False,
    "require_code_owner_review": False,
    "require_last_push_approval": False,
    "required_review_thread_resolution": False,
}
QUEUE = {
    "check_response_timeout_minutes": 60,
    "grouping_strategy": "ALLGREEN",
    "max_entries_to_build": 5,
    "max_entries_to_merge": 5,
    "merge_method": "SQUASH",
    "min_entries_to_merge": 1,
    "min_entries_to_merge_wait_minutes": 5,
}


@pytest.fixture(autouse=True)
def _there(fake: FakeGitHub) -> None:
    fake.branches[BRANCH] = None


def asked(fake: FakeGitHub, *given: dict[str, Any], branch: str = BRANCH) -> BranchRules:
    fake.branch_rules[branch] = list(given)
    return forge(fake).rules(branch)


def test_a_branch_without_rules_asks_for_nothing_and_refuses_nothing(fake: FakeGitHub) -> None:
    assert asked(fake) == BranchRules()
    assert asked(fake, branch="not-there-yet") == BranchRules()


def test_what_a_merge_waits_for_and_that_it_goes_through_a_queue(fake: FakeGitHub) -> None:
    found = asked(fake, rule("required_status_checks", **CHECKS), rule("merge_queue", **QUEUE), branch="main")
    assert (found.required, found.queue, found.reason) == (("mlops/spam", "build"), True, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rule("update"), "only those who may bypass its rule may push to it"),
        (rule("pull_request", **PULLS), "only a pull request may change it"),
        (rule("merge_queue", **QUEUE), "only its merge queue may change it"),
        (rule("required_signatures"), "its commits must be signed"),
        (rule("required_status_checks", **CHECKS), "a commit may be pushed to it only after its checks passed (mlops/spam, build)"),
        (
            rule("required_deployments", required_deployment_environments=["staging"]),
            "a commit may be pushed to it only after it was deployed to staging",
        ),
        (rule("commit_message_pattern", operator="starts_with", pattern="JIRA-"), "a commit's message must start with “JIRA-”"),
        (
            rule("commit_message_pattern", operator="contains", pattern="Record", negate=True),
            "a commit's message must not contain “Record”",
        ),
        (
            rule("committer_email_pattern", operator="ends_with", pattern="@acme.example"),
            "the address of a commit's committer must end with “@acme.example”",
        ),
        (
            rule("commit_author_email_pattern", operator="regex", pattern=r"(?<!x"),
            "the address of a commit's author must match “(?<!x”",
        ),
        (rule("file_path_restriction", restricted_file_paths=["runs/**"]), "these paths may not be pushed: runs/**"),
        (
            rule("file_extension_restriction", restricted_file_extensions=["*.PNG", ".parquet", "exe"]),
            "files of these kinds may not be pushed: .parquet, .png",
        ),
        (rule("max_file_path_length", max_file_path_length=20), "paths may have no more than 20 characters"),
        (rule("max_file_size", max_file_size=1), "files may have no more than 1 MB"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_rule_that_would_refuse_our_push_is_told_in_words(fake: FakeGitHub, given: dict[str, Any], said: str) -> None:
    assert asked(fake, given).refuses == (said,)


@pytest.mark.parametrize(
    "given",
    [
        rule("deletion"),
        rule("non_fast_forward"),
        rule("required_linear_history"),
        rule("creation"),
        rule("branch_name_pattern", operator="starts_with", pattern="feature/"),
        rule("tag_name_pattern", operator="starts_with", pattern="v"),
        rule("commit_message_pattern", operator="regex", pattern="^[A-Z]"),
        rule("commit_message_pattern", operator="contains", pattern="WIP", negate=True),
        rule("file_extension_restriction", restricted_file_extensions=["exe"]),
        rule("max_file_path_length", max_file_path_length=255),
        rule("max_file_size", max_file_size=100),
    ],
    ids=lambda value: value["type"],
)
def test_a_rule_that_lets_our_push_through_is_not_told(fake: FakeGitHub, given: dict[str, Any]) -> None:
    assert asked(fake, given) == BranchRules()


def test_a_branch_that_is_not_there_yet_must_be_made_first(fake: FakeGitHub) -> None:
    late = rule("required_status_checks", do_not_enforce_on_create=True, **CHECKS)
    name = rule("branch_name_pattern", operator="starts_with", pattern="feature/")
    found = asked(fake, rule("creation"), name, late, branch="history-of-ours")
    assert found.refuses == ("only those who may bypass its rule may create it", "a branch's name must start with “feature/”")
    assert found.required == ("mlops/spam", "build")


def test_a_rule_of_a_kind_not_known_here_is_said_to_be_unknown() -> None:
    found = rules.read(BRANCH, [rule("moon_phase"), rule("update")], there={})
    assert found.refuses == ("only those who may bypass its rule may push to it",)
    assert found.reason == "rules of a kind that is not known here: moon_phase"


def test_all_pages_of_rules_are_read(fake: FakeGitHub) -> None:
    found = asked(fake, *[rule("deletion") for _ in range(130)], rule("required_signatures"))
    assert found.refuses == ("its commits must be signed",)


PROTECTION: dict[str, Any] = {
    "required_status_checks": {"contexts": ["mlops/spam"], "checks": [{"context": "mlops/spam", "app_id": None}]},
    "required_signatures": {"url": "https://api.github.com/x", "enabled": True},
    "lock_branch": {"enabled": True},
}


def test_the_older_kind_of_rule_is_read_where_the_token_may(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may_read=frozenset({"contents", "administration"}))
    fake.branches[BRANCH] = PROTECTION
    found = asked(fake)
    assert found == BranchRules(
        required=("mlops/spam",),
        refuses=(
            "its commits must be signed",
            "it is locked: nobody may push to it",
            "a commit may be pushed to it only after its checks passed (mlops/spam)",
        ),
    )


def test_where_it_may_not_the_checks_are_known_and_the_rest_is_said_to_be_unknown(fake: FakeGitHub) -> None:
    fake.branches[BRANCH] = PROTECTION
    found = asked(fake)
    assert found.required == ("mlops/spam",)
    assert found.refuses == ("a commit may be pushed to it only after its checks passed (mlops/spam)",)
    assert found.reason == "its protection could not be read: the token may not do this (403: Resource not accessible by integration)"


def test_who_may_push_is_named() -> None:
    given = {
        "restrictions": {"users": [{"login": "ann"}], "teams": [{"slug": "ops"}], "apps": []},
        "required_pull_request_reviews": {"x": 1},
    }
    found = rules.read(BRANCH, [], there={"protection": {"enabled": True}}, protection=given)
    assert found.refuses == ("only a pull request may change it", "only ann, ops may push to it")
    nobody = rules.read(BRANCH, [], there={}, protection={"restrictions": {"users": [], "teams": [], "apps": []}})
    assert nobody.refuses == ("nobody may push to it",)


def test_rules_that_cannot_be_asked_for_are_a_reason(fake: FakeGitHub) -> None:
    fake.fail("GET .*/rules/", Fault(502), times=99)
    found = forge(fake).rules(BRANCH)
    assert (found.required, found.refuses) == ((), ())
    assert "GitHub has trouble (502" in (found.reason or "")


def test_an_older_server_without_rules_is_asked_for_its_protection(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may_read=frozenset({"contents", "administration"}))
    fake.branches[BRANCH] = PROTECTION
    fake.fail("GET .*/rules/", Fault.message(404, "Not Found"))
    found = asked(fake)
    assert "its commits must be signed" in found.refuses
    assert found.reason == "its rules could not be read: the token may not do this (404: Not Found)"


def test_a_branch_that_cannot_be_looked_at_is_a_reason_too(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may_read=frozenset())
    assert "whether it is there could not be read" in (asked(fake, rule("update")).reason or "")


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=6), lambda x: st.lists(x, max_size=2), max_leaves=4)
KINDS = st.sampled_from([*rules.REFUSALS, *rules.PASSES, "moon_phase"])
KEYS = st.sampled_from(
    ["required_status_checks", "operator", "pattern", "max_file_size", "restricted_file_paths", "restricted_file_extensions"]
)
hostile = st.fixed_dictionaries({"type": KINDS | anything}, optional={"parameters": st.dictionaries(KEYS, anything) | anything})
protections = st.dictionaries(st.sampled_from(["restrictions", "required_status_checks", "lock_branch", "required_signatures"]), anything)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(hostile, max_size=4), st.none() | st.dictionaries(st.just("protection"), anything | protections), st.none() | protections)
def test_no_rule_whatever_it_holds_makes_it_raise(given_rules: list[Any], there: Any, protection: Any) -> None:
    found = rules.read("main", given_rules, there=there, protection=protection)
    assert all(isinstance(each, str) and each for each in found.refuses)
