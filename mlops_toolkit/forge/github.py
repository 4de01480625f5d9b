"""GitHub: the comment and status through its API, the rest through the runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TextIO
from urllib.parse import quote

from mlops_toolkit.ci.context import Context
from mlops_toolkit.forge import board, runner
from mlops_toolkit.forge.base import Annotation, BranchRules, Check, Posted, PullRequest, Section, State
from mlops_toolkit.forge.rest import Rest
from mlops_toolkit.system.clock import Clock

PAGE = 100
PAGES = 100
DESCRIPTION_LIMIT = 140
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

    def comment(self, pull_request: int, section: Section, *, renew: bool = False) -> Posted:
        if self.rest is None:
            return Posted(reason=f"the comment is not posted: {UNABLE.reason}", hint=UNABLE.hint)
        posted = board.post(Thread(self, self.rest, pull_request), section, where=self.context.url, clock=self.clock)
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
            board.persist(self.clock, lambda: rest.send("POST", self.path("statuses", commit), **body))
        except board.Refused as refused:
            return Posted(reason=f"the status mlops/{name} is not set: {refused.reason}", hint=refused.hint)
        return Posted(url=url)

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

    def pull_request(self, number: int) -> PullRequest | None:
        rest = self.rest
        if rest is None:
            return None
        try:
            data = board.persist(self.clock, lambda: rest.get(self.path("pulls", number)))
            return _pull_request(data)
        except (board.Refused, KeyError, TypeError, ValueError, AttributeError):
            return None

    def issue(self, section: Section, *, failing: bool) -> Posted:
        return Posted()

    def find_pull_request(self, head: str, *, branch: str | None, owner: str | None) -> PullRequest | None:
        return None

    def may_write(self, login: str) -> bool | None:
        return None

    def checks(self, commit: str) -> tuple[Check, ...] | None:
        return None

    def rules(self, branch: str) -> BranchRules:
        return BranchRules(reason="not asked")

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        return None

    def path(self, *parts: str | int) -> str:
        """`/repos/OWNER/NAME/PARTS…`, each part quoted."""
        owner, _, name = (self.context.repository or "").partition("/")
        return "/" + "/".join(quote(str(part), safe="") for part in ("repos", owner, name, *parts))

    def login(self, rest: Rest) -> str:
        """Who our comments are by. An app's token, the job's own among them, may not ask `/user`; then GraphQL's viewer tells."""
        if self.author is None:
            try:
                said = rest.get("/user").get("login")
            except board.Refused as refused:
                if refused.again:
                    raise
                said = self._viewer(rest)
            if not isinstance(said, str):
                raise board.Refused("GitHub does not say who the token acts as", again=True)
            self.author = said
        return self.author

    @staticmethod
    def _viewer(rest: Rest) -> str | None:
        try:
            return rest.viewer()
        except board.Refused as refused:
            if refused.again:
                raise
            return ACTIONS_BOT


@dataclass
class Thread:
    """The comments of one pull request as a Board."""

    forge: GitHub
    rest: Rest
    number: int

    def notes(self) -> Sequence[board.Note]:
        """All pages, by number: an address in an answer is never followed."""
        author = self.forge.login(self.rest)
        path = self.forge.path("issues", self.number, "comments")
        found: list[Any] = []
        for page in range(1, PAGES + 1):
            data = self.rest.get(path, list, per_page=PAGE, page=page)
            found += data
            if len(data) < PAGE:
                break
        mine = [c for c in found if isinstance(c, dict) and _text((c.get("user") or {}).get("login")) == author]
        return sorted(map(_note, mine), key=lambda note: note.id)

    def create(self, body: str) -> board.Note:
        return _note(self.rest.send("POST", self.forge.path("issues", self.number, "comments"), body=body))

    def edit(self, note: board.Note, body: str) -> board.Note:
        try:
            return _note(self.rest.send("PATCH", self.forge.path("issues", "comments", note.id), body=body))
        except board.Refused as refused:
            if refused.gone:
                raise board.Refused("the comment was deleted meanwhile", again=True) from refused
            raise

    def delete(self, note: board.Note) -> None:
        try:
            self.rest.send("DELETE", self.forge.path("issues", "comments", note.id))
        except board.Refused as refused:
            if not refused.gone:
                raise


def _note(data: dict[str, Any]) -> board.Note:
    if not isinstance(data.get("id"), int):
        raise board.Refused("GitHub's answer could not be read (a comment without an id)", again=True)
    return board.Note(data["id"], _text(data.get("body")) or "", _text(data.get("html_url")))


def _pull_request(data: dict[str, Any]) -> PullRequest:
    head, base = data["head"], data["base"]
    return PullRequest(
        number=int(data["number"]),
        head=str(head["sha"]),
        base_branch=str(base["ref"]),
        head_branch=str(head["ref"]),
        open=data["state"] == "open",
        fork=(head.get("repo") or {}).get("full_name") != (base.get("repo") or {}).get("full_name"),
        title=str(data.get("title") or ""),
        labels=tuple(str(label["name"]) for label in data.get("labels") or ()),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def open_forge(*, context: Context, env: Mapping[str, str], token: str | None, clock: Clock, err: TextIO) -> GitHub:
    """GitHub as the context and token reach it. A token that the runner may not know of is masked in the log first.

    It knows the job's own and those of apps (`ghs_…`), and naming one in a command where no runner reads would print it.
    """
    token = (token or "").strip() or None
    if token and not token.startswith("ghs_") and token != env.get("GITHUB_TOKEN"):
        runner.mask(token, err)
    rest = None
    if token and context.repository and context.api_url:
        rest = Rest(context.api_url, token, clock, read_only=context.read_only_token)
    return GitHub(context, env, clock, err, rest)
