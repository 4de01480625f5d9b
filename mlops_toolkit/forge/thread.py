"""The comments of one pull request on GitHub, as a board to write our one comment on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_toolkit.forge.board import Note, Refused
from mlops_toolkit.forge.rest import Rest

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

NEEDS = "pull-requests: write"


@dataclass
class Thread:
    """The comments of one pull request as a Board."""

    forge: GitHub
    rest: Rest
    number: int

    def notes(self) -> Sequence[Note]:
        author = self.forge.login(self.rest)
        found = self.rest.pages(self.forge.path("issues", self.number, "comments"), needs=NEEDS)
        return sorted((as_note(each) for each in found if author_of(each) == author), key=lambda made: made.id)

    def ended(self) -> Sequence[str]:
        """Comments do not end."""
        return ()

    def create(self, body: str) -> Note:
        return as_note(self.rest.send("POST", self.forge.path("issues", self.number, "comments"), needs=NEEDS, body=body))

    def edit(self, note: Note, body: str) -> Note:
        try:
            return as_note(self.rest.send("PATCH", self.forge.path("issues", "comments", note.id), needs=NEEDS, body=body))
        except Refused as refused:
            if refused.gone:
                raise Refused("the comment was deleted meanwhile", again=True) from refused
            raise

    def delete(self, note: Note, kept: Note) -> None:
        try:
            self.rest.send("DELETE", self.forge.path("issues", "comments", note.id), needs=NEEDS)
        except Refused as refused:
            if not refused.gone:
                raise


def as_note(data: dict[str, Any]) -> Note:
    """A comment as GitHub describes it."""
    if not isinstance(data.get("id"), int):
        raise Refused("GitHub's answer could not be read (a comment without an id)", again=True)
    return Note(data["id"], text(data.get("body")) or "", text(data.get("html_url")))


def author_of(data: dict[str, Any]) -> str | None:
    """Who wrote a comment or an issue; None of a user that was deleted."""
    user = data.get("user")
    return text(user.get("login")) if isinstance(user, dict) else None


def text(value: Any) -> str | None:
    """A text, None for anything else."""
    return value if isinstance(value, str) else None
