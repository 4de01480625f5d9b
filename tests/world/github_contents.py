"""Branches and files of a GitHub in memory, and the pull requests that are made of them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.world.github_releases import REPOSITORY, Answer, Token, may
from tests.world.openapi import example


def sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Contents:
    """files: branch -> path -> text."""

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    def file(self, verb: str, path: str, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        branch = query.get("ref") or body.get("branch") or "main"
        there = self.files.get(branch, {})
        if verb == "get":
            if path not in there:
                raise Answer(404, "Not Found")
            made: dict[str, Any] = {
                "type": "file",
                "encoding": "base64",
                "size": len(there[path]),
                "name": path.rsplit("/", 1)[-1],
                "path": path,
            }
            made["content"] = base64.encodebytes(there[path].encode()).decode()
            address = "https://api.github.com/x"
            made |= {"sha": sha(there[path]), "url": address, "git_url": address, "html_url": address, "download_url": address}
            return 200, made | {"_links": {"git": address, "self": address, "html": address}}
        may(token, "contents")
        if branch not in self.files:
            raise Answer(404, f"Branch {branch} not found")
        if path in there and body.get("sha") != sha(there[path]):
            raise Answer(409, f"{path} does not match {sha(there[path])}")
        there[path] = base64.b64decode(body["content"]).decode()
        self.commits.append(body["message"])
        return 200, example("put", f"{REPOSITORY}/contents/{{path}}", 200)

    def refs(self, prefix: str) -> tuple[int, Any]:
        return 200, [self._ref(one) for one in sorted(self.files) if f"heads/{one}".startswith(prefix)]

    def ref(self, name: str) -> tuple[int, Any]:
        branch = name.removeprefix("heads/")
        if branch not in self.files:
            raise Answer(404, "Not Found")
        return 200, self._ref(branch)

    def branch(self, body: dict[str, Any], token: Token) -> tuple[int, Any]:
        may(token, "contents")
        branch = body["ref"].removeprefix("refs/heads/")
        if branch in self.files:
            raise Answer(422, "Reference already exists")
        origin = next(name for name in self.files if self._ref(name)["object"]["sha"] == body["sha"])
        self.files[branch] = dict(self.files[origin])
        return 201, self._ref(branch)

    def _ref(self, branch: str) -> dict[str, Any]:
        made: dict[str, Any] = example("post", f"{REPOSITORY}/git/refs", 201)
        made["object"] |= {"sha": sha(str(sorted(self.files[branch].items())))}
        return made | {"ref": f"refs/heads/{branch}"}
