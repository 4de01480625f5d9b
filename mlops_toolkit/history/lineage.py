"""Where the search for a baseline starts, and the commits behind it: read from the user's clone, completed from the remote in our own repository.

the event's test merge is checked out   its first parent
a pull request's head                   the merge base with the current tip of the base branch
a merge queue                           the group's base
a push                                  the first parent
a schedule, a dispatch on main          the commit itself (its earlier run, or the last good one)
a tag                                   the previous release
a laptop                                the merge base with the base branch; on that branch itself HEAD's first parent, or HEAD if there are changes
a base that was asked for               that commit
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import History
from mlops_toolkit.history.baseline import Choice, Lineage, Question, Step
from mlops_toolkit.system.git import Commit, Git

LIMIT = 5000  # commits of the line that are looked at
DEPTHS = (50, 500, LIMIT)  # how deep the remote is asked, as long as no run is found
BASE_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")

Ancestry = Callable[[str, int], Sequence[Commit]]


@dataclass(frozen=True)
class Start:
    """Where the line begins: a commit (None: nowhere), why there, and what to call it."""

    commit: str | None
    reason: str
    label: str | None = None
    released: bool = False


def choose(git: Git | None, context: Context, history: History, question: Question, base: str | None = None) -> Choice:
    """The baseline of a head: `base` (a run id or its beginning, a commit, a branch) if asked for, else by the rules above.

    UsageError `unknown-base` where `base` is none of these; EnvironmentFailure `history-unreadable` in a CI that cannot read the history.
    """
    entries = history.entries()
    run = baseline.named(base, entries, question.key) if base else None
    if run is not None:
        return baseline.as_asked(run)
    line = find(git, context, history.ancestry, base=base, known=baseline.usable(question, entries))
    return baseline.pick(question, entries, line)


def content(git: Git, history: History, commit: str, path: str) -> bytes | None:
    """A file of the code at a commit: from the clone, or from its remote where that lacks the commit (checkout's default is one commit)
    or was told to lack files (checkout's `filter`): a base branch's gate that is not here is not one that is not there."""
    found = git.show(commit, path) if git.commit(commit) is not None else None
    if found is None and (git.partial() or git.commit(commit) is None):
        return history.content(commit, path)
    return found


def find(
    git: Git | None, context: Context, ancestry: Ancestry, *, base: str | None = None, known: Iterable[str] = (), limit: int = LIMIT
) -> Lineage:
    """The line of first parents that a baseline is looked for on.

    known: commits and trees that have a usable run; the remote is asked for older commits only until one of them is met, and if
    there is none at all not beyond its first answer. EnvironmentFailure `no-repository` in a CI without a commit: there every model would
    pass as the first one.
    """
    if git is None or git.commit("HEAD") is None:
        if context.ci and context.event != "workflow_run" and not base:
            raise no_repository(git)
        return Lineage(reason="there is no commit here")
    start = _start(git, context, ancestry, base)
    if start.commit is None:
        return Lineage(reason=start.reason, label=start.label, released=start.released)
    steps, cut = walk(git, start.commit, ancestry, frozenset(known), limit)
    return Lineage(steps, start.reason, start.label, start.released, cut)


def no_repository(git: Git | None) -> EnvironmentFailure:
    """The error of a CI that checked nothing out, or not where we were told to look."""
    return EnvironmentFailure(
        "no-repository",
        "there is no git commit here that says what to compare with",
        where=str(git.root) if git else None,
        hint="""\
check the code out with git on the machine (without it actions/checkout takes an archive);
of a checkout into a folder (`path: code`) name the configuration in it: `config: code/mlops.yaml`""",
    )


@dataclass(frozen=True)
class Named:
    """What a name stands for. tag: git's own, None where it is a commit or a branch."""

    commit: Commit
    tag: str | None = None


def named(git: Git | None, ancestry: Ancestry, name: str) -> Named | None:
    """A tag, commit or branch of the clone, else of its remote; None where it is none of them."""
    if not name or not name.isprintable():
        return None
    if git is not None:
        # By name: what git reads after one (`v1.2.3^`) is a commit, and no tag.
        full = f"refs/tags/{name}"
        if full in git.lines("for-each-ref", "--format=%(refname)", full) and (commit := git.commit(full)) is not None:
            return Named(commit, name)
        for here in (name, f"origin/{name}"):
            if (commit := git.commit(here)) is not None:
                return Named(commit)
    if _is_id(name):
        places: dict[str, str | None] = {name: None}
    else:  # a tag that is an object of its own is asked for by what it names; checkout's default brings no tags
        places = {f"refs/heads/{name}": None, f"refs/tags/{name}^{{}}": name, f"refs/tags/{name}": name}
    return next((Named(line[0], tag) for place, tag in places.items() if (line := ancestry(place, 1))), None)


def _is_id(name: str) -> bool:
    return len(name) in (40, 64) and all(c in "0123456789abcdef" for c in name)


def asked(git: Git, ancestry: Ancestry, name: str) -> Start | None:
    """The start that a person asked for: what `named` finds."""
    name = name.strip()
    found = named(git, ancestry, name)
    return None if found is None else Start(found.commit.sha, f"{name}, as asked for", name[:7] if _is_id(name) else name)


def _start(git: Git, context: Context, ancestry: Ancestry, base: str | None) -> Start:
    if not base:
        return (_start_in_ci if context.ci else _start_on_laptop)(git, context, ancestry)
    start = asked(git, ancestry, base)
    if start is None:
        raise UsageError(
            "unknown-base",
            f'"{base[:80]}" is no run, commit, branch or tag',
            where="the base to compare with",
            hint="write a run id (`mlops history list` shows them), a commit, a branch, or a file",
        )
    return start


def _start_in_ci(git: Git, context: Context, ancestry: Ancestry) -> Start:
    here = git.commit("HEAD")
    assert here is not None  # noqa: S101 — find() has looked
    main = context.base_branch or context.default_branch or context.branch
    if context.event in ("pull_request", "comment"):  # of a comment the head is checked out: what is before it may be the fork's, too
        if len(here.parents) == 2 and here.sha != context.head and context.head in (None, here.parents[1]):
            return Start(here.parents[0], "the first parent of the pull request's test merge", main)
        return _meeting_point(git, ancestry, context.head or here.sha, main)
    if context.event == "merge_group" and context.base:
        return Start(context.base, "the base of the merge queue's group", main)
    if context.event == "tag":
        return Start(_first(here), f"the releases before {context.tag or 'this tag'}", "the previous release", released=True)
    if context.event in ("schedule", "dispatch", "other") and context.branch in (None, context.default_branch):
        return Start(here.sha, f"the last good run of {main or 'this branch'}", main)
    if context.event in ("dispatch", "other") and main and context.branch != main:
        return _meeting_point(git, ancestry, here.sha, main)
    return _before(here, context.branch)


def _before(here: Commit, label: str | None, on: str = "") -> Start:
    return Start(_first(here), f"the commit before this one{on}" if here.parents else "this is the first commit", label)


def _first(commit: Commit) -> str | None:
    return commit.parents[0] if commit.parents else None


def _meeting_point(git: Git, ancestry: Ancestry, head: str, branch: str | None) -> Start:
    """The merge base of `head` and the current tip of `branch`, by the remote's state where it can be asked."""
    if not branch:
        return Start(None, "the base branch is not known", None)
    reason = f"the merge base with {branch}"
    for depth in DEPTHS:
        line = ancestry(f"refs/heads/{branch}", depth)
        tip = line[0].sha if line else None
        if tip is not None and git.commit(tip) is not None and (base := git.merge_base(head, tip)):
            return Start(base, reason, branch)
        on_line = {c.sha for c in line}
        mine = [c.sha for c in _local_line(git, head, LIMIT)] if git.commit(head) else []
        mine += [c.sha for c in ancestry(head, depth)] if not set(mine) & on_line else []
        met = next((sha for sha in mine if sha in on_line), None)
        if met:
            return Start(met, reason, branch)
        if len(line) < depth:
            break
    for name in (f"origin/{branch}", branch):
        if git.commit(name) and (base := git.merge_base(head, name)):
            return Start(base, f"{reason} as this clone has it", branch)
    return Start(None, f"no common commit with {branch} could be found", branch)


def _start_on_laptop(git: Git, context: Context, ancestry: Ancestry) -> Start:
    here = git.commit("HEAD")
    assert here is not None  # noqa: S101 — find() has looked
    name = git.first(BASE_BRANCHES)
    branch = git.branch()
    if name is None or branch == _short(git, name):
        if git.dirty():
            return Start(here.sha, "HEAD, as there are uncommitted changes", branch or "HEAD")
        return _before(here, branch)
    meeting = git.merge_base("HEAD", name)
    if meeting is None:
        return Start(None, f"no common commit with {name} could be found", _short(git, name))
    if meeting == here.sha and branch is None and not git.dirty():
        return _before(here, _short(git, name), f" on {name}")
    return Start(meeting, f"the merge base with {name}", _short(git, name))


def _short(git: Git, name: str) -> str:
    """`main` for `origin/main` and for `origin/HEAD`."""
    if name == "origin/HEAD":
        name = (git.lines("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD") or ["origin/HEAD"])[0]
    return name.removeprefix("origin/")


def walk(git: Git, start: str, ancestry: Ancestry, known: frozenset[str], limit: int = LIMIT) -> tuple[tuple[Step, ...], str | None]:
    """First parents from `start`, newest first, and why the line ends before the first commit (None where it does not).

    What the clone lacks (it is shallow, or the start is the remote's) is asked of the remote, deeper as long as nothing known is met.
    """
    steps = [Step(c.sha, c.tree, c.subject) for c in _local_line(git, start, limit)]
    missing = _first_missing(git, steps[-1].commit) if steps else start
    if missing is None or _meets(steps, known):
        return tuple(steps), None
    rest: list[Step] = []
    for depth in DEPTHS:
        rest = [Step(c.sha, c.tree, c.subject) for c in ancestry(missing, depth)]
        if len(rest) < depth or not known or _meets(rest, known):
            break
    cut = None if rest else f"commit {missing[:7]} is not in this clone and could not be fetched (fetch-depth: 0 would bring it)"
    return tuple((steps + rest)[:limit]), cut


def _meets(steps: Sequence[Step], known: frozenset[str]) -> bool:
    return any(step.commit in known or step.tree in known for step in steps)


def _local_line(git: Git, start: str, limit: int) -> list[Commit]:
    """The line as far as the clone has it; [] where it lacks the start."""
    lines = git.lines("--no-replace-objects", "log", "--first-parent", f"--max-count={limit}", "--format=%H%x00%T%x00%P%x00%s", start, "--")
    return [Commit(*parse) for line in lines if (parse := _parts(line))]


def _parts(line: str) -> tuple[str, str, tuple[str, ...], str] | None:
    parts = line.split("\0", 3)
    return (parts[0], parts[1], tuple(parts[2].split()), parts[3]) if len(parts) == 4 else None


def _first_missing(git: Git, last: str) -> str | None:
    """The first parent that a shallow clone cut off (its raw object names it), None at the first commit."""
    commit = git.commit(last)
    parent = _first(commit) if commit else None
    return parent if parent and git.commit(parent) is None else None
