"""The one open issue of a repository about the models that fail on its main branch, as a board; its title names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.board import Note, Refused
from mlops_toolkit.forge.rest import Rest
from mlops_toolkit.forge.thread import author_of, text

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

NEEDS = "issues: write"
LABEL = "mlops"
TITLE_LIMIT = 200  # GitHub allows 256
ENDED = 10  # issues that ended lately, to look into before a new one is opened
ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
MARK = re.compile(r"^[^\w\s(]+\s+")
INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufe0f]")


@dataclass
class Issues:
    """The open issues of our own author as a Board. branch: what its title says that models fail on."""

    forge: GitHub
    rest: Rest
    branch: str
    _written: Note | None = field(default=None, repr=False)

    def notes(self) -> Sequence[Note]:
        """The open ones, pull requests left out. A list may lag behind what was just written: that one is asked for by number."""
        found = {each.id: each for each in self._listed("open")}
        if self._written and self._written.id not in found:
            data = self.rest.get(self.forge.path("issues", self._written.id), needs=NEEDS)
            if data.get("state") == "open":
                found[self._written.id] = as_note(data)
        return [found[number] for number in sorted(found)]

    def ended(self) -> Sequence[str]:
        return [each.body for each in self._listed("closed", per_page=ENDED)]

    def create(self, body: str) -> Note:
        path, title = self.forge.path("issues"), self._title(body)
        try:
            made = self.rest.send("POST", path, needs=NEEDS, title=title, body=body, labels=[LABEL])
        except Refused as refused:
            if refused.status != 422 or refused.too_long:
                raise _off(refused) from refused
            made = self.rest.send("POST", path, needs=NEEDS, title=title, body=body)  # the label may be what it does not take
        self._written = as_note(made)
        return self._written

    def edit(self, note: Note, body: str) -> Note:
        if not sticky.parse(body):
            self._written = None
            return self._patch(note, body=body, state="closed", state_reason="completed")
        self._written = self._patch(note, title=self._title(body), body=body)
        return self._written

    def delete(self, note: Note, kept: Note) -> None:
        try:
            self._patch(note, body=f"This is told in #{kept.id}.", state="closed", state_reason="not_planned")  # `duplicate` is new
        except Refused as refused:
            if not refused.gone:
                raise

    def _listed(self, state: str, **parameters: Any) -> list[Note]:
        author, path = self.forge.login(self.rest), self.forge.path("issues")
        asked = {"state": state, "creator": author, **parameters}
        found = self.rest.get(path, list, needs=NEEDS, **asked) if parameters else self.rest.pages(path, needs=NEEDS, **asked)
        return [as_note(each) for each in found if isinstance(each, dict) and author_of(each) == author and "pull_request" not in each]

    def _patch(self, note: Note, **changes: str) -> Note:
        try:
            return as_note(self.rest.send("PATCH", self.forge.path("issues", note.id), needs=NEEDS, **changes))
        except Refused as refused:
            if refused.gone:
                raise Refused("the issue was deleted meanwhile", again=True, gone=True) from refused
            raise

    def _title(self, body: str) -> str:
        names = [name(part.verdict) for part in sticky.parse(body)]
        return f"{listed(names)} {'fails' if len(names) == 1 else 'fail'} on {self.branch}"


def as_note(data: dict[str, Any]) -> Note:
    """An issue as GitHub describes it."""
    if not isinstance(data.get("number"), int):
        raise Refused("GitHub's answer could not be read (an issue without a number)", again=True)
    return Note(data["number"], text(data.get("body")) or "", text(data.get("html_url")))


def name(verdict: str) -> str:
    """The model that a verdict line speaks of, `❌ spam-filter: accuracy …`, in plain text."""
    said = MARK.sub("", INVISIBLE.sub("", verdict))
    plain = ESCAPED.sub(r"\1", said.partition(": ")[0]).removesuffix(":")
    return plain if len(plain) <= TITLE_LIMIT // 2 else plain[: TITLE_LIMIT // 2] + "…"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a and 2 more`."""
    if len(names) < 2:
        return names[0] if names else "a model"
    both = f"{names[0]} and {names[1]}"
    return both if len(names) == 2 and len(both) <= TITLE_LIMIT else f"{names[0]} and {len(names) - 1} more"


def _off(refused: Refused) -> Refused:
    """Issues that are switched off, said so."""
    if refused.status != 410:
        return refused
    hint = "switch them on in the repository's settings, under Features; until then a failing main is only seen in its checks"
    return Refused(refused.reason, hint=hint, status=410)
