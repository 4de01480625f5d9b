"""GitHub: the comment and status through its API, the rest through the runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TextIO, TypeVar
from urllib.parse import quote

from mlops_toolkit.ci.context import Context
from mlops_toolkit.forge import asking, board, deployments, proposals, releases, rules, runner, sticky
from mlops_toolkit.forge.alarms import Alarms
from mlops_toolkit.forge.base import (
    Alarmed,
    Annotation,
    BranchRules,
    Check,
    Deployment,
    Posted,
    Proposal,
    PullRequest,
    Reached,
    Release,
    Section,
    State,
)
from mlops_toolkit.forge.issue import Issues
from mlops_toolkit.forge.rest import Rest
from mlops_toolkit.forge.thread import Thread, text
from mlops_toolkit.system.clock import Clock

T = TypeVar("T")
DESCRIPTION_LIMIT = 140
APP = "ghs_"
ACTIONS_BOT = "github-actions[bot]"
UNABLE = board.Refused("there is no token", hint="leave the input `token` out: its default is the job's own")


@dataclass
class GitHub:
    """A repository on GitHub or GitHub Enterprise. Without a token (or repository) it only speaks to the runner."""

    context: Context
    env: Mapping[str, str] = field(repr=False)
    clock: Clock
    err: TextIO = field(repr=False)
    rest: Rest | None = None
    author: str | None = None

    def comment(self, pull_request: int, *sections: Section, renew: bool = False) -> Posted:
        if self.rest is None:
            return Posted(reason=f"the comment is not posted: {UNABLE.reason}", hint=UNABLE.hint)
        posted = board.post(Thread(self, self.rest, pull_request), *sections, where=self.context.url, clock=self.clock, renew=renew)
        return posted if posted.url else replace(posted, reason=f"the comment is not posted: {posted.reason}")

    def status(self, commit: str, name: str, state: State, description: str, url: str | None) -> Posted:
        rest = self.rest
        if rest is None:
            return Posted(reason=f"the status mlops/{name} is not set: {UNABLE.reason}", hint=UNABLE.hint)
        line = " ".join(description.split())
        body = {
            "state": state,
            "context": f"mlops/{name}",
            "description": line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 1] + "…",
            "target_url": url,
        }
        try:
            board.persist(self.clock, lambda: rest.send("POST", self.path("statuses", commit), needs="statuses: write", **body))
        except board.Refused as refused:
            return Posted(reason=f"the status mlops/{name} is not set: {refused.reason}", hint=refused.hint)
        return Posted(url=url)

    def release(self, release: Release) -> Posted:
        if self.rest is None:
            return Posted(reason=f"the release is not written: {UNABLE.reason}", hint=UNABLE.hint)
        try:
            return releases.put(self, self.rest, release)
        except board.Refused as refused:
            return Posted(reason=f"the release is not written: {refused.reason}", hint=refused.hint)

    def deployment(self, deployment: Deployment, state: Reached, text: str) -> Posted:
        if self.rest is None:
            return Posted(reason=f"the deployment is not recorded: {UNABLE.reason}", hint=UNABLE.hint)
        try:
            return deployments.put(self, self.rest, deployment, state, text)
        except board.Refused as refused:
            return Posted(reason=f"the deployment is not recorded: {refused.reason}", hint=refused.hint)

    def deployments(self, environment: str, name: str) -> tuple[tuple[str, str], ...] | None:
        try:
            return None if self.rest is None else deployments.known(self, self.rest, environment, name)
        except board.Refused:
            return None

    def propose(self, proposal: Proposal, change: Callable[[str], str]) -> Posted:
        if self.rest is None:
            return Posted(reason=f"the change is not proposed: {UNABLE.reason}", hint=UNABLE.hint)
        try:
            return proposals.put(self, self.rest, proposal, change)
        except board.Refused as refused:
            return Posted(reason=f"the change is not proposed: {refused.reason}", hint=refused.hint)

    def annotate(self, annotations: tuple[Annotation, ...]) -> None:
        runner.annotate(annotations, self.err)

    def summary(self, markdown: str) -> Posted:
        return runner.summary(markdown, self.env)

    def output(self, values: dict[str, str]) -> None:
        try:
            left_out = runner.outputs(values, self.env)
        except OSError as error:
            runner.annotate([Annotation("warning", f"the outputs could not be written: {error}", title="mlops")], self.err)
            return
        if left_out:
            names = ", ".join(left_out)
            runner.annotate([Annotation("warning", f"too long for an output, so left empty: {names}", title="mlops")], self.err)

    def issue(self, section: Section, *, failing: bool) -> Posted:
        if self.rest is None:
            return Posted(reason=f"the issue is not written: {UNABLE.reason}", hint=UNABLE.hint)
        issues = Issues(self, self.rest, self.context.default_branch or self.context.branch or "the default branch")
        posted = board.post(issues, section, where=self.context.url, clock=self.clock, passed=not failing)
        return replace(posted, reason=f"the issue is not written: {posted.reason}") if posted.reason and not posted.url else posted

    def alarm(self, section: Section, *, firing: bool, start: str | None = None) -> Alarmed:
        if self.rest is None:
            return Alarmed(Posted(reason=f"the issue is not written: {UNABLE.reason}", hint=UNABLE.hint))
        branch = self.context.default_branch or self.context.branch or "main"
        alarms = Alarms(self, self.rest, branch)
        posted = board.post(alarms, section, where=self.context.url, clock=self.clock, passed=not firing)
        if posted.reason:
            return Alarmed(posted if posted.url else replace(posted, reason=f"the issue is not written: {posted.reason}"))
        try:
            return Alarmed(posted, alarms.start(sticky.digest(section.key), start, branch) if firing and start else None)
        except board.Refused as refused:
            return Alarmed(posted, Posted(reason=f"{start} is not started: {refused.reason}", hint=refused.hint))

    def pull_request(self, number: int) -> PullRequest | None:
        return self._asked(lambda rest: asking.pull_request(self, rest, number))

    def find_pull_request(self, head: str, *, branch: str | None, owner: str | None) -> PullRequest | None:
        return self._asked(lambda rest: asking.find_pull_request(self, rest, head, branch, owner))

    def merged_by(self, commit: str) -> tuple[int, ...] | None:
        return self._asked(lambda rest: asking.merged_by(self, rest, commit))

    def may_write(self, login: str) -> bool | None:
        return self._asked(lambda rest: asking.may_write(self, rest, login))

    def checks(self, commit: str) -> tuple[Check, ...] | None:
        return self._asked(lambda rest: asking.checks(self, rest, commit))

    def rules(self, branch: str) -> BranchRules:
        rest = self.rest
        if rest is None:
            return BranchRules(reason=UNABLE.reason)
        try:
            return rules.ask(self, rest, branch)
        except board.Refused as refused:
            return BranchRules(reason=refused.reason)

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        return self._asked(lambda rest: asking.lacks(self, rest, permissions))

    def _asked(self, ask: Callable[[Rest], T]) -> T | None:
        """The answer; None where it could not be asked, or was not answered as the API says."""
        if self.rest is None:
            return None
        try:
            return ask(self.rest)
        except (board.Refused, asking.Unknown):
            return None

    def path(self, *parts: str | int) -> str:
        """`/repos/OWNER/NAME/PARTS…`, each part quoted."""
        owner, _, name = (self.context.repository or "").partition("/")
        return "/" + "/".join(quote(str(part), safe="") for part in ("repos", owner, name, *parts))

    def login(self, rest: Rest) -> str:
        """Who our comments are by. An app's token, the job's own among them (`ghs_…`), may not ask `/user`; then GraphQL's viewer tells."""
        if self.author is None:
            said = self._viewer(rest) if rest.token.startswith(APP) else self._user(rest)
            if not isinstance(said, str):
                raise board.Refused("GitHub does not say who the token acts as", again=True)
            self.author = said
        return self.author

    def _user(self, rest: Rest) -> str | None:
        try:
            return text(rest.get("/user").get("login"))
        except board.Refused as refused:
            if refused.again:
                raise
            return self._viewer(rest)

    @staticmethod
    def _viewer(rest: Rest) -> str | None:
        try:
            return rest.viewer()
        except board.Refused as refused:
            if refused.again:
                raise
            return ACTIONS_BOT


def open_forge(*, context: Context, env: Mapping[str, str], token: str | None, clock: Clock, err: TextIO) -> GitHub:
    """GitHub as the context and token reach it. A token that the runner may not know of is masked in the log first.

    It knows the job's own and those of apps (`ghs_…`), and naming one in a command where no runner reads would print it.
    """
    token = (token or "").strip() or None
    if token and not token.startswith(APP) and token != env.get("GITHUB_TOKEN"):
        runner.mask(token, err)
    rest = None
    if token and context.repository and context.api_url:
        rest = Rest(context.api_url, token, clock, read_only=context.read_only_token)
    return GitHub(context, env, clock, err, rest)
