"""Where the line starts and what is on it, in real git: full clones, shallow clones, test merges, and every event."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import lineage
from mlops_toolkit.history.baseline import Question
from mlops_toolkit.system.git import Commit, Git
from tests.unit.history.repositories import CI, bare_remote, bundle, clone, draw, git, history

# main: A ── B ── C ── D        P1 ── P2 left main at B; T is the test merge of P2 into D, S its squash merge (the same tree)
GRAPH = """
A:
B: A
P1: B
P2: P1
C: B
D: C
T: D P2
main: D = D
S: D = T
old: A
"""


def nothing(_commit: str, _depth: int) -> Sequence[Commit]:
    """A remote that has nothing."""
    return ()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The remote with the graph above, `main` pointing at D."""
    remote = bare_remote(tmp_path_factory.mktemp("lineage") / "origin.git")
    made = draw(remote, GRAPH)
    git(remote, "update-ref", "refs/heads/main", made["D"])
    return remote, made


def names(line: lineage.Lineage, made: dict[str, str]) -> str:
    """The line in letters."""
    known = {sha: name for name, sha in made.items() if name != "main"}
    return " ".join(known[step.commit] for step in line.steps)


def at(world: tuple[Path, dict[str, str]], folder: Path, name: str, *args: str) -> Git:
    """A clone with the commit `name` checked out, as actions/checkout does it."""
    remote, made = world
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", remote.as_uri())
    git(
        folder,
        "fetch",
        "--quiet",
        "--no-tags",
        *args,
        "origin",
        f"+{made[name]}:refs/remotes/pull/merge" if "--depth=1" in args else "+refs/heads/*:refs/remotes/origin/*",
    )
    git(folder, "checkout", "--quiet", "--detach", made[name])
    return Git(folder, {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})


def event(kind: str, made: dict[str, str], **fields: object) -> Context:
    """A CI's context of an event."""
    return dataclasses.replace(CI, event=kind, base_branch="main" if kind == "pull_request" else None, **fields)  # type: ignore[arg-type]


def test_a_test_merge_starts_at_its_first_parent_not_where_the_branch_began(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    line = lineage.find(at(world, tmp_path, "T"), event("pull_request", made, head=made["P2"], checkout=made["T"]), nothing)
    assert names(line, made) == "D C B A"
    assert line.reason == "the first parent of the pull request's test merge"
    assert line.label == "main"


def test_a_checked_out_head_starts_at_the_merge_base_with_the_current_tip(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path, "P2")
    line = lineage.find(here, event("pull_request", made, head=made["P2"], checkout=made["P2"]), history(here).ancestry)
    assert names(line, made) == "B A"
    assert line.reason == "the merge base with main"


def test_a_merge_of_the_authors_own_is_no_test_merge(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path, "T")
    line = lineage.find(here, event("pull_request", made, head=made["T"], checkout=made["T"]), history(here).ancestry)
    assert names(line, made) == "D C B A"
    assert line.reason == "the merge base with main"


def test_a_retargeted_pull_request_is_compared_with_its_new_base(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path, "P2")
    context = dataclasses.replace(event("pull_request", made, head=made["P2"]), base_branch="old")
    line = lineage.find(here, context, history(here).ancestry)
    assert names(line, made) == "A"
    assert line.label == "old"


@pytest.mark.parametrize(
    ("kind", "checked_out", "fields", "expected", "reason"),
    [
        ("merge_group", "T", {"base": "C"}, "C B A", "the base of the merge queue's group"),
        ("push", "D", {}, "C B A", "the commit before this one"),
        ("push", "A", {}, "", "this is the first commit"),
        ("schedule", "D", {}, "D C B A", "the last good run of main"),
        ("dispatch", "D", {}, "D C B A", "the last good run of main"),
        ("dispatch", "P2", {"branch": "P2"}, "B A", "the merge base with main"),
        ("tag", "D", {"tag": "v2", "branch": None}, "C B A", "the releases before v2"),
    ],
)
def test_each_event_has_its_start(
    world: tuple[Path, dict[str, str]], tmp_path: Path, kind: str, checked_out: str, fields: dict[str, str], expected: str, reason: str
) -> None:
    made = world[1]
    here = at(world, tmp_path, checked_out)
    context = event(kind, made, head=made[checked_out], **{k: made.get(v, v) if k == "base" else v for k, v in fields.items()})
    line = lineage.find(here, context, history(here).ancestry)
    assert names(line, made) == expected
    assert line.reason == reason
    assert line.released == (kind == "tag")


def test_a_shallow_checkout_of_a_test_merge_gets_the_line_from_the_remote_and_stays_as_it_was(
    world: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    made = world[1]
    here = at(world, tmp_path / "work", "T", "--depth=1")
    assert here.commit(made["D"]) is None
    before = contents(tmp_path / "work" / ".git")
    line = lineage.find(here, event("pull_request", made, head=made["P2"], checkout=made["T"]), history(here).ancestry)
    assert names(line, made) == "D C B A"
    assert line.cut is None
    assert [step.subject for step in line.steps][:2] == ["change D", "change C"]
    assert contents(tmp_path / "work" / ".git") == before


def test_a_shallow_checkout_of_a_head_finds_its_merge_base_on_the_remote(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path, "P2", "--depth=1")
    line = lineage.find(here, event("pull_request", made, head=made["P2"], checkout=made["P2"]), history(here).ancestry)
    assert names(line, made) == "B A"


def test_a_server_without_filters_gives_the_same_line(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "plain.git", filters=False)
    made = draw(remote, GRAPH)
    here = at((remote, made), tmp_path / "work", "T", "--depth=1")
    line = lineage.find(here, event("pull_request", made, head=made["P2"], checkout=made["T"]), history(here).ancestry)
    assert names(line, made) == "D C B A"


def test_the_remote_is_asked_deeper_until_a_usable_run_is_met_and_no_deeper(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path, "T", "--depth=1")
    asked: list[int] = []

    def ancestry(_commit: str, depth: int) -> Sequence[Commit]:
        asked.append(depth)
        return [Commit(f"{n:040x}", f"{n + 10_000:040x}", ("p",), f"commit {n}") for n in range(depth)]

    context = event("pull_request", made, head=made["P2"], checkout=made["T"])
    for known, depths in (([], [50]), ([f"{10:040x}"], [50]), ([f"{10_300:040x}"], [50, 500]), (["nowhere"], [50, 500, 5000])):
        asked.clear()
        line = lineage.find(here, context, ancestry, known=known)
        assert asked == depths
        assert len(line.steps) == depths[-1]


def test_commits_that_cannot_be_had_leave_the_reason(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    line = lineage.find(at(world, tmp_path, "T", "--depth=1"), event("pull_request", made, head=made["P2"], checkout=made["T"]), nothing)
    assert line.steps == ()
    assert line.cut == f"commit {made['D'][:7]} is not in this clone and could not be fetched (fetch-depth: 0 would bring it)"


def test_a_ci_that_cannot_reach_the_remote_fails_closed(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path / "work", "T", "--depth=1")
    git(tmp_path / "work", "remote", "set-url", "origin", (tmp_path / "gone.git").as_uri())
    with pytest.raises(EnvironmentFailure) as error:
        lineage.find(here, event("pull_request", made, head=made["P2"], checkout=made["T"]), history(here).ancestry)
    assert (error.value.name, error.value.code) == ("history-unreadable", 4)


@pytest.mark.parametrize(
    ("branch", "dirty", "expected", "reason"),
    [
        ("main", False, "C B A", "the commit before this one"),
        ("main", True, "D C B A", "HEAD, as there are uncommitted changes"),
        ("P2", False, "B A", "the merge base with origin/HEAD"),
        ("P2", True, "B A", "the merge base with origin/HEAD"),
    ],
)
def test_a_laptop_compares_with_where_its_branch_left_main(
    world: tuple[Path, dict[str, str]], tmp_path: Path, branch: str, dirty: bool, expected: str, reason: str
) -> None:
    remote, made = world
    here = clone(remote, tmp_path / "work")
    git(tmp_path / "work", "checkout", "--quiet", branch)
    if dirty:
        (tmp_path / "work" / "model.txt").write_text("changed")
    line = lineage.find(here, Context(), nothing)
    assert names(line, made) == expected
    assert line.reason == reason


def test_there_is_no_commit_before_the_first_one_when_it_is_checked_out_by_itself_either(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "own.git")
    draw(remote, "main:")
    here = clone(remote, tmp_path / "work")
    git(tmp_path / "work", "checkout", "--quiet", "--detach")
    line = lineage.find(here, Context(), nothing)
    assert (line.steps, line.reason) == ((), "this is the first commit")


def test_a_repository_without_any_remote_goes_by_its_own_main(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "own.git")
    made = draw(remote, "main:\nfeature: main")
    here = clone(remote, tmp_path / "work")
    git(tmp_path / "work", "checkout", "--quiet", "feature")
    git(tmp_path / "work", "remote", "remove", "origin")
    line = lineage.find(here, Context(), nothing)
    assert [step.commit for step in line.steps] == [made["main"]]
    assert line.label == "main"


@pytest.mark.parametrize("base", ["B", "origin/B", "refs/remotes/origin/B"])
def test_a_base_may_be_a_branch_wherever_it_is(world: tuple[Path, dict[str, str]], tmp_path: Path, base: str) -> None:
    remote, made = world
    assert names(lineage.find(clone(remote, tmp_path / "work"), Context(), nothing, base=base), made) == "B A"


def test_a_base_may_be_a_commit_or_branch_that_only_the_remote_has(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    made = world[1]
    here = at(world, tmp_path, "T", "--depth=1")
    for base in ("B", made["B"]):
        assert names(lineage.find(here, CI, history(here).ancestry, base=base), made) == "B A"


@pytest.mark.parametrize(
    "base", ["nope", " ", "--upload-pack=touch x", "a b", "HEAD\nHEAD", "$(touch x)", "x" * 300, "main^{tree}", "\x1b[2J"]
)
def test_a_base_that_is_nothing_is_one_clear_error(world: tuple[Path, dict[str, str]], tmp_path: Path, base: str) -> None:
    here = clone(world[0], tmp_path / "work")
    with pytest.raises(UsageError) as error:
        lineage.find(here, Context(), history(here, context=Context()).ancestry, base=base)
    assert error.value.name == "unknown-base"


def test_outside_of_git_there_is_no_line() -> None:
    assert lineage.find(None, Context(), nothing).steps == ()


def test_an_empty_repository_has_no_line(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    empty = Git(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert lineage.find(empty, Context(), nothing).reason == "there is no commit here"
    for where in (empty, None):
        with pytest.raises(EnvironmentFailure) as error:  # in a CI every model would pass as the first one
            lineage.find(where, CI, nothing)
        assert error.value.name == "no-repository"


def test_after_a_squash_merge_the_pull_requests_own_run_is_the_baseline_of_the_next_one(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    made = draw(remote, GRAPH + "N: S\nM: S N")
    git(remote, "update-ref", "refs/heads/main", made["S"])
    first = clone(remote, tmp_path / "first")
    tree = git(remote, "rev-parse", f"{made['T']}^{{tree}}")
    of_pull_request = bundle(5, commit=made["P2"], tree=tree, event="pull_request", pull_request=12)
    assert history(first).record(of_pull_request, remote=True).pushed
    here = at((remote, made), tmp_path / "next", "M", "--depth=1")
    choice = lineage.choose(
        here,
        event("pull_request", made, head=made["N"], checkout=made["M"]),
        history(here),
        Question("mlops.yaml|spam|", head=made["N"]),
    )
    assert choice.entry is not None
    assert (choice.entry.id, choice.state) == (of_pull_request.run.id, "ok")
    assert "same tree by pull request #12" in choice.note


def test_a_run_can_be_asked_for_by_its_id(world: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    here = clone(world[0], tmp_path / "work")
    past = history(here, context=Context())
    past.record(bundle(3, gate=None), remote=False)
    choice = lineage.choose(here, Context(), past, Question("mlops.yaml|spam|"), base=bundle(3).run.id[:-2])
    assert choice.entry is not None
    assert choice.entry.id == bundle(3).run.id


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the user's repository."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
