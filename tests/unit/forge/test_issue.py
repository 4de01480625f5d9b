"""What fails on the main branch is told in one issue, opened with the first failure and closed when nothing fails any more."""

from __future__ import annotations

import threading

import pytest

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Posted, Section
from mlops_toolkit.forge.board import post
from mlops_toolkit.forge.issue import LABEL, Issues, name
from mlops_toolkit.forge.rest import READ_ONLY, permission
from tests.unit.forge.conftest import forge, section
from tests.unit.forge.test_peers_row1 import Hurried
from tests.unit.forge.test_peers_row3 import TRANSIENT
from tests.world.github import BOT, FakeGitHub, Fault, Token

MAY = Token(may=frozenset({"issues"}))


@pytest.fixture(autouse=True)
def _may_write_issues(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = MAY


def bad(model: str, *, run: int = 812, said: str = "accuracy −3.1 pp") -> Section:
    return section(f"mlops.yaml|{model}|", f"❌ {model}: {said}", run=run)


def good(model: str, *, run: int = 813) -> Section:
    return section(f"mlops.yaml|{model}|", f"✅ {model}: accuracy +0.1 pp", run=run)


def tell(fake: FakeGitHub, told: Section, *, failing: bool) -> Posted:
    return forge(fake, default_branch="main").issue(told, failing=failing)


def models(issue: dict[str, object]) -> list[str]:
    return sorted(name(part.verdict) for part in sticky.parse(str(issue["body"])))


def test_the_first_failure_opens_an_issue_that_says_which_model_fails(fake: FakeGitHub) -> None:
    posted = tell(fake, bad("spam-filter"), failing=True)
    (issue,) = fake.open_issues()
    assert (issue["title"], posted) == ("spam-filter fails on main", Posted(url=issue["html_url"]))
    assert [label["name"] for label in issue["labels"]] == [LABEL]
    assert issue["body"].startswith("❌ spam-filter: accuracy −3.1 pp <!--")


def test_what_fails_too_joins_it_and_what_passes_leaves_it_until_it_is_closed(fake: FakeGitHub) -> None:
    for model in ("a", "b", "c"):
        tell(fake, bad(model), failing=True)
    (issue,) = fake.open_issues()
    titles = [issue["title"]]
    for model in ("b", "a", "c"):
        tell(fake, good(model), failing=False)
        titles.append(issue["title"])
    assert [title.count("fail") for title in titles] == [1] * 4
    assert titles[0].endswith(" and 2 more fail on main")
    assert set(titles[1].removesuffix(" fail on main").split(" and ")) == {"a", "c"}
    assert titles[2] == "c fails on main"
    assert (issue["state"], issue["state_reason"], fake.open_issues()) == ("closed", "completed", [])
    assert issue["body"].startswith("✅ c: accuracy +0.1 pp\n\nNothing that was told here fails any more.")
    assert len(fake.issues) == 1


def test_a_new_failure_opens_a_new_issue_and_leaves_the_closed_one(fake: FakeGitHub) -> None:
    tell(fake, bad("a"), failing=True)
    tell(fake, good("a"), failing=False)
    tell(fake, bad("a", run=814), failing=True)
    assert [issue["state"] for issue in fake.issues.values()] == ["closed", "open"]


def test_a_good_model_with_no_open_issue_costs_one_look(fake: FakeGitHub) -> None:
    for i in range(40):
        fake.add_issue(f"A question {i}")
    assert tell(fake, good("a"), failing=False) == Posted()
    assert [(verb, path) for verb, path, _ in fake.requests] == [("POST", "/graphql"), ("GET", "/repos/acme/models/issues")]
    assert sum(call.received for call in fake.calls) < 1_000, "other people's issues are not read"


def test_a_good_model_that_an_open_issue_does_not_name_leaves_it_as_it_is(fake: FakeGitHub) -> None:
    tell(fake, bad("a"), failing=True)
    before = dict(fake.open_issues()[0])
    fake.requests.clear()
    assert tell(fake, good("b"), failing=False).reason is None
    assert fake.open_issues() == [before]
    assert not [verb for verb, _, _ in fake.requests if verb == "PATCH"]


def test_the_same_failure_told_again_writes_nothing(fake: FakeGitHub) -> None:
    tell(fake, bad("a"), failing=True)
    fake.requests.clear()
    tell(fake, bad("a"), failing=True)
    assert {verb for verb, _, _ in fake.requests} == {"POST", "GET"}  # the POST asks GraphQL who we are
    assert [path for verb, path, _ in fake.requests if verb == "POST"] == ["/graphql"]


@pytest.mark.parametrize("kind", ["another's", "another tool's", "a pull request", "on the third page", "without our label"])
def test_our_own_issue_is_found_by_author_and_marker_alone(fake: FakeGitHub, kind: str) -> None:
    text = sticky.merge([], bad("a"))
    if kind == "another's":
        fake.add_issue("a fails on main", text, "mallory", [LABEL])
    elif kind == "another tool's":
        fake.add_issue("a fails on main", "nightly is red", BOT, [LABEL])
    elif kind == "a pull request":
        fake.add_pull(7, head="a" * 40)
        fake.pulls[7]["user"]["login"] = BOT
    else:
        mine = fake.add_issue("a fails on main", text, BOT, [] if kind == "without our label" else [LABEL])
        for i in range(250 if kind == "on the third page" else 0):
            fake.add_issue(f"issue {i} of another tool", "nightly is red", BOT)
        tell(fake, good("a"), failing=False)
        assert mine["state"] == "closed"
        return
    before = {number: dict(issue) for number, issue in fake.issues.items()}
    tell(fake, good("a"), failing=False)
    tell(fake, bad("b"), failing=True)
    assert {number: fake.issues[number] for number in before} == before
    assert [models(issue) for issue in fake.open_issues() if issue["number"] not in before] == [["b"]]


def test_an_older_run_neither_closes_nor_reopens_what_a_newer_one_told(fake: FakeGitHub) -> None:
    tell(fake, bad("a", run=900), failing=True)
    assert tell(fake, good("a", run=812), failing=False).reason == "a newer run has already reported here"
    assert [models(issue) for issue in fake.open_issues()] == [["a"]]
    tell(fake, bad("b", run=900), failing=True)
    tell(fake, good("a", run=901), failing=False)
    assert tell(fake, bad("a", run=899), failing=True).reason == "a newer run has already reported here"
    tell(fake, good("b", run=901), failing=False)
    assert tell(fake, bad("b", run=900), failing=True).reason == "the issue is not written: a newer run has already reported here"
    assert fake.open_issues() == []


def test_where_the_token_may_not_label_the_issue_is_opened_without(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset({"issues"}), labels=False)
    assert tell(fake, bad("a"), failing=True).reason is None
    assert [issue["labels"] for issue in fake.open_issues()] == [[]]


def test_a_server_that_does_not_take_the_label_gets_the_issue_without(fake: FakeGitHub) -> None:
    fake.fail("POST .*/issues$", Fault.message(422, "Validation Failed: labels"))
    assert tell(fake, bad("a"), failing=True).reason is None
    assert len(fake.open_issues()) == 1


def test_without_permission_the_lines_to_paste_name_that_permission_alone(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token()
    refusal = "the issue is not written: the token may not do this (403: Resource not accessible by integration)"
    assert tell(fake, bad("a"), failing=True) == Posted(reason=refusal, hint=permission("issues: write"))
    assert "contents" not in permission("issues: write")
    fake.tokens["ghs_job"] = Token(may_read=frozenset())
    assert tell(fake, good("a"), failing=False) == Posted(reason=refusal, hint=permission("issues: write"))
    assert forge(fake, read_only_token=True).issue(bad("a"), failing=True).hint == READ_ONLY


def test_a_repository_without_issues_is_named(fake: FakeGitHub) -> None:
    fake.has_issues = False
    posted = tell(fake, bad("a"), failing=True)
    assert posted.reason == "the issue is not written: GitHub refused it (410: Issues has been disabled in this repository.)"
    assert "switch them on" in (posted.hint or "")


def test_without_a_token_that_is_the_reason(fake: FakeGitHub) -> None:
    assert forge(fake, token=None).issue(bad("a"), failing=True).reason == "the issue is not written: there is no token"


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("request_line", ["GET .*/issues", "POST .*/issues$", "PATCH .*/issues/"])
def test_trouble_that_passes_is_waited_for(fake: FakeGitHub, fault: Fault, request_line: str) -> None:
    if request_line.startswith("PATCH"):
        tell(fake, bad("z"), failing=True)
    fake.fail(request_line, fault)
    assert tell(fake, bad("a"), failing=True).reason is None
    (issue,) = fake.open_issues()
    assert "a" in models(issue)
    assert fault in fake.given


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
@pytest.mark.parametrize("failing", [True, False])
def test_trouble_that_stays_is_a_reason_after_a_bounded_number_of_requests(fake: FakeGitHub, fault: Fault, failing: bool) -> None:
    fake.fail(".*", fault, times=10_000)
    posted = tell(fake, bad("a"), failing=failing)
    assert posted.reason
    assert posted.reason.startswith("the issue is not written: ")
    assert len(fake.requests) <= 6


def test_an_issue_opened_though_the_answer_was_lost_is_not_opened_twice(fake: FakeGitHub) -> None:
    fake.fail("POST .*/issues$", Fault(drop=True, performed=True))
    assert tell(fake, bad("a"), failing=True).reason is None
    assert len(fake.issues) == 1


def test_a_list_that_lags_behind_does_not_make_a_second_issue(fake: FakeGitHub) -> None:
    lagging = Fault(200, "[]", "application/json")
    fake.meanwhile("POST .*/issues$", lambda: fake.fail("GET .*/issues\\?.*state=open", lagging, times=2))
    assert tell(fake, bad("a"), failing=True).reason is None
    assert lagging in fake.given
    assert len(fake.issues) == 1


def test_an_issue_that_somebody_closes_while_it_is_written_is_opened_anew(fake: FakeGitHub) -> None:
    mine = fake.add_issue("z fails on main", sticky.merge([], bad("z")), BOT)

    def close() -> None:
        mine["state"] = "closed"

    fake.meanwhile("PATCH .*/issues/", close)
    assert tell(fake, bad("a"), failing=True).reason is None
    assert [models(issue) for issue in fake.open_issues()] == [["a"]]


def test_two_open_issues_become_the_oldest_one(fake: FakeGitHub) -> None:
    first = fake.add_issue("a fails on main", sticky.merge([], bad("a")), BOT)
    second = fake.add_issue("b fails on main", sticky.merge([], bad("b")), BOT)
    tell(fake, bad("c"), failing=True)
    assert [models(issue) for issue in fake.open_issues()] == [["a", "b", "c"]]
    assert (first["state"], second["state"], second["state_reason"]) == ("open", "closed", "not_planned")
    assert second["body"] == f"This is told in #{first['number']}."


def test_many_models_that_fail_fit_into_one_issue(fake: FakeGitHub) -> None:
    for i in range(9):
        told = section(f"m{i}", f"❌ m{i}: worse", *(f"{j} " + "x" * 9_000 for j in range(4)))
        assert tell(fake, told, failing=True).reason is None
    (issue,) = fake.open_issues()
    assert len(sticky.parse(issue["body"])) == 9
    assert sticky.length(issue["body"]) <= sticky.LIMIT


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("❌ spam-filter: accuracy −3.1 pp", "spam-filter"),
        ("⚠️ spam-filter (python 3.12): undecided", "spam-filter (python 3.12)"),
        ("❌ spam\\_filter: the training failed: exit 3", "spam_filter"),
        ("❌ cat\u200b: worse", "cat"),
        ("❌ a", "a"),
        ("(no verdict)", "(no verdict)"),
        ("❌ " + "n" * 400 + ": x", "n" * 100 + "…"),
    ],
)
def test_a_title_takes_the_model_s_name_from_its_verdict(line: str, wanted: str) -> None:
    assert name(line) == wanted


def test_no_name_makes_a_title_that_github_does_not_take(fake: FakeGitHub) -> None:
    for i, text in enumerate(("n" * 900, "@team <b>x</b> `y`\n# z", "-->", "🦄" * 300)):
        assert tell(fake, section(f"k{i}", f"❌ {text}: worse"), failing=True).reason is None
        assert len(fake.open_issues()[0]["title"]) <= 256


def told_at_once(fake: FakeGitHub, told: dict[str, tuple[Section, bool]]) -> dict[str, str | None]:
    """What so many jobs are answered that tell of their models at the same time: (section, whether it passed)."""
    start, reasons = threading.Barrier(len(told)), dict[str, str | None]()
    forges = {model: forge(fake) for model in told}

    def act(model: str) -> None:
        own, (mine, passed) = forges[model], told[model]
        assert own.rest
        own.login(own.rest)
        start.wait()
        reasons[model] = post(Issues(own, own.rest, "main"), mine, where=None, clock=Hurried(), passed=passed).reason

    threads = [threading.Thread(target=act, args=(model,)) for model in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reasons


def test_eight_jobs_that_fail_or_pass_at_once_leave_one_issue_with_what_fails(fake: FakeGitHub) -> None:
    fake.latency_seconds, fake.jitter_seconds, fake.checked = 0.001, 0.004, False
    for round_ in range(6):
        passes = {f"m{n}": n % 4 == round_ % 4 for n in range(8)}
        told = {
            model: (good(model, run=900 + round_) if passed else bad(model, run=900 + round_, said=f"round {round_}"), passed)
            for model, passed in passes.items()
        }
        said = told_at_once(fake, told)
        # On a machine that stalls, five tries may not do for one of eight; it says so then, and whoever tells it again is heard.
        assert all(reason is None or "this report may be missing" in reason for reason in said.values())
        lost = {model: told[model] for model, reason in said.items() if reason}
        assert len(lost) <= 2
        assert not lost or not any(told_at_once(fake, lost).values())
        (issue,) = fake.open_issues()
        assert models(issue) == [model for model, passed in passes.items() if not passed]
        assert issue["body"].count(f"round {round_}") == 6
