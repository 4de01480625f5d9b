"""GitHub's own examples of payloads, read as where we are; and what is made of them when they are not as they should be."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.ci import Context, Source, detect
from tests.world.slice_webhooks import names, payload

DEFAULT = "d" * 40
MERGE = "b" * 40
PULL_HEAD, PULL_BASE = "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
RUN_HEAD = "3484a3fb816e0859fd6e1cea078d76385ff50625"
DEPENDABOT = "dependabot[bot]"


def at(event: str, told: dict[str, Any], **env: str) -> Context:
    """The context of a job on GitHub's own runner, in the repository that the payload names."""
    given = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_REPOSITORY": told["repository"]["full_name"],
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_SHA": DEFAULT,
        "GITHUB_REF_NAME": told["repository"]["default_branch"],
        "GITHUB_RUN_ID": "9001",
        "GITHUB_ACTOR": "Codertocat",
        "RUNNER_ENVIRONMENT": "github-hosted",
    }
    return detect(given | env, told)


def pulled(event: str, told: dict[str, Any], **env: str) -> Context:
    """The same for a pull request, whose test merge is checked out."""
    sides = {"GITHUB_SHA": MERGE, "GITHUB_REF_NAME": "2/merge", "GITHUB_HEAD_REF": "changes", "GITHUB_BASE_REF": "master"}
    return at(event, told, **(sides | env))


# ── pull requests ──
@pytest.mark.parametrize("action", ["opened", "synchronize", "closed", "labeled"])
def test_of_a_pull_request_its_head_is_judged_whatever_happened_to_it(action: str) -> None:
    found = pulled("pull_request", payload(f"pull_request {action}"))
    assert (found.event, found.pull_request, found.head, found.checkout) == ("pull_request", 2, PULL_HEAD, MERGE)
    assert (found.branch, found.base_branch, found.default_branch, found.base) == ("changes", "master", "master", None)
    assert (found.fork, found.dependabot, found.read_only_token, found.private) == (False, False, False, False)
    assert (found.asked_by, found.request) == (None, None)  # a label is only asked of where the base's workflow runs
    assert found.age == (9001, 1)


def test_of_a_pull_request_whose_head_is_checked_out_both_are_one() -> None:
    found = pulled("pull_request", payload("pull_request opened"), GITHUB_SHA=PULL_HEAD)
    assert found.head == found.checkout == PULL_HEAD


@pytest.mark.parametrize("event", ["pull_request_review", "pull_request_review_comment"])
def test_a_review_runs_the_pull_request_s_code_so_it_counts_as_one(event: str) -> None:
    name = {"pull_request_review": "submitted", "pull_request_review_comment": "created"}[event]
    told = payload(f"{event} {name}")
    assert (pulled(event, told).event, pulled(event, told).head, pulled(event, told).fork) == ("pull_request", PULL_HEAD, False)
    told["pull_request"]["head"]["repo"] = None
    assert pulled(event, told).stranger


def test_an_event_not_known_here_that_brings_a_pull_request_is_one() -> None:
    told = payload("pull_request opened")
    told["pull_request"]["head"]["repo"]["full_name"] = "mallory/Hello-World"
    assert pulled("pull_request_shredded", told).fork


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target"])
@pytest.mark.parametrize("theirs", ["mallory/Hello-World", "codertocat/hello-world", None], ids=["a fork", "other letters", "deleted"])
def test_a_head_of_another_repository_or_of_none_is_a_fork_s(event: str, theirs: str | None) -> None:
    told = payload("pull_request synchronize")
    if theirs is None:
        told["pull_request"]["head"]["repo"] = None
    else:
        told["pull_request"]["head"]["repo"]["full_name"] = theirs
    found = pulled(event, told)
    assert (found.fork, found.stranger) == (True, True)
    assert found.read_only_token is (event == "pull_request")


def test_a_repository_that_is_a_fork_itself_has_pull_requests_of_its_own() -> None:
    told = payload("pull_request opened")
    told["pull_request"]["head"]["repo"]["fork"] = told["pull_request"]["base"]["repo"]["fork"] = True
    assert not pulled("pull_request", told).fork


def test_a_label_on_a_pull_request_asks_for_a_run_by_who_set_it() -> None:
    told = payload("pull_request labeled")
    told["sender"]["login"] = "maintainer"
    found = pulled("pull_request_target", told, GITHUB_SHA=DEFAULT, GITHUB_REF_NAME="master")
    assert (found.head, found.checkout) == (PULL_HEAD, DEFAULT)
    assert (found.asked_by, found.request, found.asked_at) == ("maintainer", "bug", "2019-05-15T15:20:35Z")


def test_a_push_to_a_labelled_pull_request_asks_for_nothing() -> None:
    told = payload("pull_request synchronize")
    told["label"] = payload("pull_request labeled")["label"]
    assert pulled("pull_request_target", told).asked_by is None


@pytest.mark.parametrize("who", ["author", "actor"])
def test_dependabot_s_pull_request_is_a_stranger_s_though_no_fork(who: str) -> None:
    told = payload("pull_request opened")
    if who == "author":
        told["pull_request"]["user"]["login"] = DEPENDABOT
    found = pulled("pull_request", told, **({"GITHUB_ACTOR": DEPENDABOT} if who == "actor" else {}))
    assert (found.fork, found.dependabot, found.stranger, found.read_only_token) == (False, True, True, True)


# ── pushes, the queue, the clock, a person ──
def test_a_push_to_the_main_branch() -> None:
    told = payload("push of a branch")
    found = at("push", told, GITHUB_SHA=told["head_commit"]["id"])
    assert (found.event, found.branch, found.head, found.pull_request, found.stranger) == (
        "push",
        "master",
        told["head_commit"]["id"],
        None,
        False,
    )


@pytest.mark.parametrize("branch", ["dependabot/pip/numpy-2.1", "dependabot-pip-numpy-2.1"])
def test_a_push_by_dependabot_to_its_own_branch_is_a_stranger_s_and_its_merge_into_main_is_not(branch: str) -> None:
    told = payload("push of a branch")
    assert at("push", told, GITHUB_ACTOR=DEPENDABOT, GITHUB_REF_NAME=branch).stranger
    assert not at("push", told, GITHUB_ACTOR=DEPENDABOT).stranger
    assert not at("push", told, GITHUB_REF_NAME=branch).stranger


@pytest.mark.parametrize("name", ["push of a tag", "ghes push of a tag"])
def test_a_tag_is_no_branch_and_of_one_that_is_an_object_the_commit_counts(name: str) -> None:
    told = payload(name)
    found = at("push", told, GITHUB_REF_NAME="simple-tag", GITHUB_REF_TYPE="tag", GITHUB_SHA="e" * 40)
    assert (found.event, found.tag, found.branch, found.head) == ("tag", "simple-tag", None, told["head_commit"]["id"])


def test_a_release_is_its_tag() -> None:
    told = payload("release published")
    found = at("release", told, GITHUB_REF_NAME=told["release"]["tag_name"], GITHUB_REF_TYPE="tag")
    assert (found.event, found.tag, found.head) == ("tag", told["release"]["tag_name"], DEFAULT)


@pytest.mark.parametrize("with_ref", [True, False], ids=["the group's branch", "only its base"])
def test_a_merge_queue_s_group_has_its_own_base(with_ref: bool) -> None:
    told = payload("merge_group")
    if not with_ref:
        told["merge_group"]["head_ref"] = "refs/heads/of-another-shape"
    found = at("merge_group", told, GITHUB_SHA=told["merge_group"]["head_sha"])
    assert (found.event, found.head, found.base) == (
        "merge_group",
        "2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d",
        "380387fbc80638b734a49e1be1c4dfec1c01b33c",
    )
    assert (found.base_branch, found.pull_request) == ("main", 104 if with_ref else None)


@pytest.mark.parametrize("name", ["workflow_dispatch", "repository_dispatch"])
def test_a_person_or_a_program_may_start_it(name: str) -> None:
    told = payload(name)
    found = at(name, told)
    assert (found.event, found.branch, found.head) == ("dispatch", told["repository"]["default_branch"], DEFAULT)


def test_a_schedule_runs_the_default_branch() -> None:
    told = {"schedule": "17 3 * * *", "repository": payload("push of a branch")["repository"]}
    found = at("schedule", told)
    assert (found.event, found.branch, found.default_branch, found.stranger) == ("schedule", "master", "master", False)


# ── what another run did ──
def test_of_a_run_that_ended_the_head_is_judged_by_the_default_branch_s_code() -> None:
    found = at("workflow_run", payload("workflow_run completed"))
    assert (found.event, found.head, found.checkout, found.branch) == ("workflow_run", RUN_HEAD, DEFAULT, "master")
    assert found.source == Source("289782451", 1, "repository_dispatch", "success", "octo-org")
    assert (found.age, found.judged_run) == ((289782451, 1), "289782451")
    assert (found.run, found.fork, found.dependabot, found.read_only_token) == ("9001", False, False, False)


def from_pull_request(number: int = 2) -> dict[str, Any]:
    """The example, of a run that a pull request of our own branch started."""
    told = payload("workflow_run completed with a pull request")
    run, (pull,) = told["workflow_run"], told["workflow_run"]["pull_requests"]
    run["event"] = "pull_request"
    pull["number"] = number
    pull["head"]["sha"] = run["head_sha"]
    pull["base"]["repo"]["id"] = told["repository"]["id"]
    return told


def test_the_pull_request_that_started_a_run_is_named_where_there_is_just_one() -> None:
    assert at("workflow_run", from_pull_request(31)).pull_request == 31
    two = from_pull_request()
    two["workflow_run"]["pull_requests"] *= 2
    assert at("workflow_run", two).pull_request is None


def test_a_run_of_a_push_or_a_schedule_is_no_pull_request_s_though_its_branch_has_one() -> None:
    for event in ("push", "schedule", "workflow_dispatch"):
        told = from_pull_request()
        told["workflow_run"]["event"] = event
        found = at("workflow_run", told)
        assert (found.pull_request, found.branch, found.source and found.source.event) == (None, "master", event)


def test_a_pull_request_of_a_parent_repository_or_of_another_head_is_not_ours() -> None:
    assert at("workflow_run", payload("workflow_run completed with a pull request")).pull_request is None
    elsewhere, moved = from_pull_request(), from_pull_request()
    elsewhere["workflow_run"]["pull_requests"][0]["base"]["repo"]["id"] += 1
    moved["workflow_run"]["pull_requests"][0]["head"]["sha"] = "a" * 40
    assert at("workflow_run", elsewhere).pull_request is None
    assert at("workflow_run", moved).pull_request is None


@pytest.mark.parametrize("kind", ["another's", "deleted", "unnamed", "nobody's"])
def test_a_run_whose_head_is_not_known_to_be_ours_is_a_fork_s(kind: str) -> None:
    told = from_pull_request()
    run = told["workflow_run"]
    if kind == "another's":
        run["head_repository"] |= {"full_name": "mallory/octo-repo", "owner": {"login": "mallory"}}
    elif kind == "deleted":
        run["head_repository"] = None
    elif kind == "unnamed":
        del run["head_repository"]["full_name"]
    else:
        del run["head_repository"], run["repository"]
    found = at("workflow_run", told)
    assert found.fork
    assert found.source
    assert found.source.owner == {"another's": "mallory", "unnamed": "octo-org"}.get(kind)


def test_a_run_without_its_repository_is_held_against_the_one_that_runs_us() -> None:
    told = from_pull_request()
    del told["workflow_run"]["repository"]
    assert not at("workflow_run", told).fork
    assert at("workflow_run", told, GITHUB_REPOSITORY="octo-org/another").fork


@pytest.mark.parametrize("who", ["actor", "triggering_actor"])
def test_a_run_that_dependabot_started_or_that_is_run_again_for_it_is_a_stranger_s(who: str) -> None:
    told = from_pull_request()
    told["workflow_run"][who]["login"] = DEPENDABOT
    found = at("workflow_run", told)
    assert (found.fork, found.dependabot) == (False, True)


@pytest.mark.parametrize(
    "run", [{"event": "release"}, {"event": "push", "path": ".github/workflows/model.yml@refs/tags/v1.2.0"}], ids=["a release", "a push"]
)
def test_a_run_of_a_tag_that_says_so_names_it_and_no_branch(run: dict[str, str]) -> None:
    told = payload("workflow_run completed")
    told["workflow_run"] |= {"head_branch": "v1.2.0", **run}
    found = at("workflow_run", told)
    assert (found.tag, found.branch) == ("v1.2.0", None)


def test_a_second_attempt_of_a_run_is_newer() -> None:
    told = payload("workflow_run completed")
    told["workflow_run"]["run_attempt"] = 3
    assert at("workflow_run", told).age == (289782451, 3)


def test_a_run_that_has_not_ended_concluded_nothing() -> None:
    found = at("workflow_run", payload("workflow_run requested"))
    assert found.source
    assert found.source.concluded is None


# ── comments ──
def commented(action: str = "created", text: str = "/evaluate please\nthanks") -> dict[str, Any]:
    """The example, on a pull request as GitHub marks it."""
    told = payload(f"issue_comment {action}")
    link = told["issue"]["url"].replace("/issues/", "/pulls/")
    told["issue"]["pull_request"] = {"url": link, "html_url": link, "diff_url": link, "patch_url": link}
    told["comment"]["body"] = text
    told["comment"]["user"]["login"] = "writer"
    return told


def test_a_comment_on_a_pull_request_asks_in_its_first_line_and_the_head_is_not_known_yet() -> None:
    found = at("issue_comment", commented())
    assert (found.event, found.pull_request, found.head, found.branch) == ("comment", 1, None, None)
    assert (found.asked_by, found.request, found.asked_at) == ("writer", "/evaluate please", "2019-05-15T15:20:21Z")
    assert found.stranger


@pytest.mark.parametrize("action", ["edited", "deleted"])
def test_a_comment_that_is_changed_afterwards_asks_for_nothing_since_another_may_have_changed_it(action: str) -> None:
    found = at("issue_comment", commented(action))
    assert (found.pull_request, found.asked_by, found.request, found.stranger) == (1, None, None, True)


def test_a_comment_on_an_issue_is_nobody_s_request() -> None:
    found = at("issue_comment", payload("issue_comment created"))
    assert (found.event, found.pull_request, found.asked_by, found.request) == ("comment", None, None, None)


# ── GitHub Enterprise Server ──
def test_an_enterprise_server_tells_the_same_under_its_own_addresses() -> None:
    server = {"GITHUB_SERVER_URL": "https://git.acme.example", "GITHUB_API_URL": "https://git.acme.example/api/v3"}
    found = pulled("pull_request", payload("ghes pull_request opened"), **server)
    assert (found.pull_request, found.branch, found.base_branch, found.fork) == (2, "changes", "master", False)
    assert found.head == "14977a7b5485400124827221a04bfb474bcd72d1"
    assert (found.url, found.api_url) == ("https://git.acme.example/Codertocat/Hello-World/actions/runs/9001", server["GITHUB_API_URL"])
    assert at("issue_comment", payload("ghes issue_comment created"), **server).event == "comment"
    ended = at("workflow_run", payload("ghes workflow_run completed"), **server)
    assert (ended.head, ended.source and ended.source.event) == ("5779607b49aab1200488439f02372c57b4f75444", "workflow_dispatch")


# ── what nobody should send ──
WRONG: tuple[Any, ...] = (None, "", 0, -1, True, 3.5, [], {}, "x" * 9_999, "--upload-pack=x", "\ud800\x00", [None], {"login": 7}, 10**30)
KINDS: dict[str, tuple[type, ...]] = {
    "pull_request": (int, type(None)),
    "attempt": (int,),
    "private": (bool, type(None)),
    "source": (Source, type(None)),
    **dict.fromkeys(("fork", "dependabot", "read_only_token", "self_hosted"), (bool,)),
}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a payload."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


PLACES = {name: [place for place in places(payload(name)) if place] for name in names()}


def spoilt(told: dict[str, Any], path: tuple[Any, ...], wrong: Any, *, gone: bool) -> None:
    """Put something wrong at a place of the payload, or take it away; a place that is gone already stays so."""
    node: Any = told
    with contextlib.suppress(LookupError, TypeError):
        for key in path[:-1]:
            node = node[key]
        if gone:
            del node[path[-1]]
        else:
            node[path[-1]] = copy.deepcopy(wrong)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_no_payload_makes_it_raise_or_name_a_head_that_is_no_commit_or_trust_one_of_unknown_origin(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names()))
    told, repository = payload(name), payload(name)["repository"]["full_name"]
    for _ in range(data.draw(st.integers(1, 4))):
        near = [p for p in PLACES[name] if len(p) <= 3] if data.draw(st.booleans()) else PLACES[name]
        spoilt(told, data.draw(st.sampled_from(near)), data.draw(st.sampled_from(WRONG)), gone=data.draw(st.booleans()))
    event = data.draw(
        st.sampled_from([name.removeprefix("ghes ").split()[0], "pull_request", "workflow_run", "issue_comment", "merge_group"])
    )
    env = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event, "GITHUB_REPOSITORY": repository, "GITHUB_SHA": DEFAULT}
    found = detect(env, told)
    for each in fields(Context):
        assert isinstance(getattr(found, each.name), KINDS.get(each.name, (str, type(None)))), each.name
    assert found.head is None or (set(found.head) <= set("0123456789abcdef") and len(found.head) in (40, 64))
    assert found.age >= (0, 1)
    if found.event in ("pull_request", "workflow_run") and not found.fork:
        key, base = ("pull_request", ("base", "repo")) if found.event == "pull_request" else ("workflow_run", ("repository",))
        theirs = told[key]["head"]["repo"] if key == "pull_request" else told[key]["head_repository"]
        ours: Any = told[key]
        for step in base:
            ours = ours.get(step) if isinstance(ours, dict) else None
        known = ours.get("full_name") if isinstance(ours, dict) else None
        assert theirs["full_name"] == (known if isinstance(known, str) and known else repository)
    if found.event == "comment" and found.pull_request is not None:
        assert found.fork


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["number", "sha", "ref", "repo", "full_name", "login", "id", "body"]), inner, max_size=4)
    ),
    max_leaves=8,
)
TOP = "number action pull_request merge_group repository workflow_run issue comment sender"
INSIDE = """head base number user head_ref head_sha base_sha base_ref private default_branch pull_requests head_repository actor
run_attempt event body pull_request"""
VARIABLES = """REPOSITORY SERVER_URL API_URL SHA RUN_ID RUN_ATTEMPT ACTOR REF REF_NAME HEAD_REF BASE_REF REF_TYPE"""
payloads = st.dictionaries(st.sampled_from(TOP.split()), anything | st.dictionaries(st.sampled_from(INSIDE.split()), anything))
variables = st.dictionaries(st.sampled_from(["RUNNER_ENVIRONMENT", *(f"GITHUB_{name}" for name in VARIABLES.split())]), st.text(max_size=9))
EVENTS = ["pull_request", "pull_request_target", "merge_group", "push", "workflow_run", "issue_comment", "schedule", "tag", ""]


@settings(deadline=None, max_examples=300)
@given(variables, st.sampled_from(EVENTS), payloads)
def test_no_environment_makes_it_raise_or_give_a_value_of_another_kind(env: dict[str, str], name: str, event: dict[str, Any]) -> None:
    found = detect({**env, "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name}, event)
    for each in fields(Context):
        assert isinstance(getattr(found, each.name), KINDS.get(each.name, (str, type(None)))), each.name
    assert found.age >= (0, 1)
