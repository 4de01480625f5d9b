"""The releases of a GitHub in memory, and what all of its parts say: tokens, refusals, pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from tests.world.openapi import example

T = TypeVar("T")
BOT = "github-actions[bot]"
REPOSITORY = "/repos/{owner}/{repo}"


@dataclass
class Token:
    """login None: an app's token, which may not ask /user and acts as `bot`.

    may         what it may write
    may_read    what it may read besides metadata; a workflow's `permissions:` take reading away too
    labels      whether it may label an issue (only who may push can; others' labels are dropped without a word)
    """

    login: str | None = None
    bot: str = BOT
    may: frozenset[str] = frozenset({"pull-requests", "statuses"})
    may_read: frozenset[str] = frozenset({"contents", "issues", "pull-requests", "statuses"})
    labels: bool = True

    @property
    def author(self) -> str:
        return self.login or self.bot


class Answer(Exception):
    """An early answer with a status and a message."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, {"message": message, "documentation_url": "https://docs.github.com/rest", **more}


def page(things: Sequence[T], query: dict[str, str]) -> list[T]:
    """The page that was asked for: thirty things unless told, a hundred at most."""
    size, number = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
    return list(things[(number - 1) * size : number * size])


def may(token: Token, permission: str) -> None:
    if permission not in token.may:
        raise Answer(403, "Resource not accessible by integration")


@dataclass
class Releases:
    """All of a repository, oldest first."""

    made: list[dict[str, Any]] = field(default_factory=list)

    def add(self, tag: str, body: str | None, *, draft: bool = False, prerelease: bool = False, of: str = "acme/models") -> dict[str, Any]:
        made: dict[str, Any] = example("post", f"{REPOSITORY}/releases", 201)
        made |= {"id": 9000 + len(self.made), "tag_name": tag, "name": tag, "body": body, "draft": draft, "prerelease": prerelease}
        made["html_url"] = f"https://github.com/{of}/releases/tag/{quote(tag)}"
        self.made.append(made)
        return made

    def all(self, verb: str, query: dict[str, str], body: dict[str, Any], token: Token, of: str) -> tuple[int, Any]:
        """Drafts are shown to those alone who may push."""
        if verb == "get":
            return 200, page([each for each in reversed(self.made) if not each["draft"] or "contents" in token.may], query)
        may(token, "contents")
        if any(each["tag_name"] == body["tag_name"] and not each["draft"] for each in self.made):
            raise Answer(422, "Validation Failed", errors=[{"resource": "Release", "code": "already_exists", "field": "tag_name"}])
        self._fits(body)
        return 201, self.add(body["tag_name"], body.get("body"), prerelease=body.get("prerelease", False), of=of)

    def of(self, tag: str) -> tuple[int, Any]:
        for each in self.made:
            if each["tag_name"] == tag and not each["draft"]:
                return 200, each
        raise Answer(404, "Not Found")

    def one(self, verb: str, number: int, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        found = next((each for each in self.made if each["id"] == number), None)
        if found is None:
            raise Answer(404, "Not Found")
        if verb == "patch":
            may(token, "contents")
            self._fits(body)
            found |= {key: body[key] for key in ("name", "body", "draft", "prerelease") if key in body}
        return 200, found

    @staticmethod
    def _fits(body: dict[str, Any]) -> None:
        if len(body.get("body") or "") > 125_000:
            error = {"resource": "Release", "code": "custom", "message": "body is too long (maximum is 125000 characters)"}
            raise Answer(422, "Validation Failed", errors=[error])
