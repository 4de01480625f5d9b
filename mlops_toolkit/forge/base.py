"""What we ask of the place where pull requests live. A forge is one file beside this one and a row in `FORGES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TextIO

from mlops_toolkit import plug
from mlops_toolkit.ci.context import Context
from mlops_toolkit.system.clock import Clock

State = Literal["pending", "success", "failure", "error"]
Reached = Literal["in_progress", "success", "failure"]

# name -> its `open_forge(*, context, env, token, clock, err) -> Forge`, with the arguments of `connect` below
FORGES: dict[str, str] = {
    "github": "mlops_toolkit.forge.github:open_forge",
    "console": "mlops_toolkit.forge.console:open_forge",
    "memory": "mlops_toolkit.forge.memory:open_forge",
}


@dataclass(frozen=True)
class Section:
    """One model's part of the sticky comment.

    key       (mlops.yaml path, model, matrix) as one text
    commit    head sha it speaks of
    run, attempt  CI run number (comparable) and attempt: an older one never overwrites a newer
    verdict_line  the first line, plain Markdown
    body      the rest, Markdown, already escaped; its blocks are in order of importance: the cap drops from the end
    """

    key: str
    verdict_line: str
    body: tuple[str, ...]
    commit: str | None = None
    run: int = 0
    attempt: int = 1


@dataclass(frozen=True)
class Posted:
    """What became of something posted: `url` where it can be seen; or `reason`, a sentence with its way out, and nothing posted."""

    url: str | None = None
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Release:
    """Our part of the release of a tag.

    key   whose part it is: of several models that one tag releases each has its own
    body  Markdown, already escaped
    """

    tag: str
    key: str
    body: str
    prerelease: bool = False


@dataclass(frozen=True)
class Deployment:
    """A release on its way to an environment.

    order   whose record it is: told again under the same id it is the same one
    name    what is deployed: of one environment with several models each has its own line of records
    commit  what was made into the release; url: where the environment is found; log: the page of the job
    """

    order: str
    environment: str
    name: str
    commit: str
    version: str | None = None
    url: str | None = None
    log: str | None = None


@dataclass(frozen=True)
class Alarmed:
    """What became of an alarm's section, and of the workflow that it starts; None where none was to be started, or it was before."""

    posted: Posted
    started: Posted | None = None


@dataclass(frozen=True)
class Proposal:
    """A change of one file, for people to say yes to.

    repository  OWNER/NAME, None: this one; into: the branch that it shall be merged into, None: its main one; branch: that it is made on
    """

    file: str
    branch: str
    title: str
    text: str
    repository: str | None = None
    into: str | None = None


@dataclass(frozen=True)
class Annotation:
    """A line in the CI's log and diff view."""

    level: Literal["error", "warning", "notice"]
    message: str
    title: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class PullRequest:
    """What compare may ask about a pull request."""

    number: int
    head: str
    base_branch: str
    head_branch: str
    pushed_at: str | None = field(default=None, metadata={"doc": "the last push to the head's repository, ISO 8601 in UTC"})
    open: bool = True
    fork: bool = False
    title: str = ""
    labels: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Check:
    """A commit status as it stands. state as GitHub has it; url: the page of the run that set it."""

    name: str
    state: State
    description: str = ""
    url: str | None = None


@dataclass(frozen=True)
class BranchRules:
    """What the forge asks of pushes and merges to a branch. None: it could not be asked (`reason`).

    required   names of the checks that a merge waits for
    refuses    rules that would refuse our own push to it, in words ("only pull requests may change it", "commits must be signed")
    queue      whether merges go through a queue
    """

    required: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    queue: bool = False
    reason: str | None = None


def check_name(model: str, matrix: str | None) -> str:
    """What a model's commit status is called behind `mlops/`: its name, with the leg of a matrix in brackets."""
    return f"{model} ({matrix})" if matrix else model


class Forge(Protocol):
    """Reports: nothing here changes a verdict, and nothing here raises for a refusal; it returns Posted with a reason."""

    def comment(self, pull_request: int, *sections: Section, renew: bool = False) -> Posted:
        """Create or edit our one comment: all pages read, own author and marker only, capped on section boundaries.

        sections: one or more, each of a key of its own. renew: where a section's verdict is worse than the one that stands, write a new comment (which sends mail) and remove the old one.
        """
        ...

    def issue(self, section: Section, *, failing: bool) -> Posted:
        """The one issue about models that fail on the main branch or in a schedule: opened or updated where `failing`, else this
        section is taken out of it, and the last one out closes it. Nothing is written where nothing changes."""
        ...

    def alarm(self, section: Section, *, firing: bool, start: str | None = None) -> Alarmed:
        """The one issue about models whose alarms ring in production, kept as `issue` is. start: a workflow's file, to be started on the
        default branch where `firing`, once for as long as this section stands."""
        ...

    def status(self, commit: str, name: str, state: State, description: str, url: str | None) -> Posted:
        """A commit status `mlops/NAME`."""
        ...

    def release(self, release: Release) -> Posted:
        """Our part of a release, created where there is none of this tag; what people wrote there stays. Nothing is written where it stands."""
        ...

    def deployment(self, deployment: Deployment, state: Reached, text: str) -> Posted:
        """The record of a deployment, made with its first state. What it replaces becomes inactive with its `success`; nothing goes back to
        `in_progress`, and nothing is written where it stands."""
        ...

    def deployments(self, environment: str, name: str) -> tuple[tuple[str, str], ...] | None:
        """(order, latest state) of the records of this name, the newest first, to the first that says that it is live; () where there are
        none or the forge keeps none, None where they cannot be read (`deployments: write` lets a job do both). A state may be one that is not ours; "" of a record that has none yet."""
        ...

    def propose(self, proposal: Proposal, change: Callable[[str], str]) -> Posted:
        """A pull request with a file changed, made or brought up to date. change: from its text to what it shall be; what it raises is raised.
        Neither url nor reason where the file says so already."""
        ...

    def annotate(self, annotations: tuple[Annotation, ...]) -> None:
        """At most 10 of each level are shown; each capped at 4,096 characters."""
        ...

    def summary(self, markdown: str) -> Posted:
        """The job's summary page, capped at 1 MiB."""
        ...

    def output(self, values: dict[str, str]) -> None:
        """Outputs of the action."""
        ...

    def pull_request(self, number: int) -> PullRequest | None:
        """None where it cannot be read."""
        ...

    def find_pull_request(self, head: str, *, branch: str | None, owner: str | None) -> PullRequest | None:
        """The open pull request whose head is this commit, of OWNER:BRANCH where that is known; None where there is none (or not one)."""
        ...

    def merged_by(self, commit: str) -> tuple[int, ...] | None:
        """The merged pull requests that a commit of the main line came with; None where that cannot be asked."""
        ...

    def may_write(self, login: str) -> bool | None:
        """Whether a person may push to this repository; None where it cannot be asked."""
        ...

    def checks(self, commit: str) -> tuple[Check, ...] | None:
        """The latest of each of our own statuses `mlops/…` (without that prefix) at a commit; None where they cannot be read."""
        ...

    def rules(self, branch: str) -> BranchRules:
        """What is asked of a branch, by rules and by its protection."""
        ...

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        """Which of these (`pull-requests: write`, …) the token was refused when asked for something that changes nothing; None: cannot be told."""
        ...


def connect(*, context: Context, env: Mapping[str, str], token: str | None, clock: Clock, err: TextIO, name: str | None = None) -> Forge:
    """The forge of this process: GitHub in its Actions, else the console. Opens no connection; those come with the first request.

    env    where the runner's files are named (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY)
    token  kept in memory only, in no representation, file or child's environment
    err    where annotations are written; CI reads its commands there as well as on standard output, which stays clean for --json
    """
    chosen = name or ("github" if context.provider == "github" else "console")
    made: Forge = plug.load("forge", FORGES, chosen)(context=context, env=env, token=token, clock=clock, err=err)
    return made
