"""A change of one file, proposed as a pull request: found again by its branch, made or brought up to date, however often it is told."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlops_toolkit.forge.base import Posted, Proposal
from mlops_toolkit.forge.board import Refused
from mlops_toolkit.forge.rest import Rest

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

CONTENTS, PULLS = "contents: write", "pull-requests: write"


def put(forge: GitHub, rest: Rest, proposal: Proposal, change: Callable[[str], str]) -> Posted:
    """change: from the file's text to what it shall be; what it raises is raised. Raises Refused. A file that is so already proposes nothing."""
    at = ("repos", *proposal.repository.split("/")) if proposal.repository else None
    path: Callable[..., str] = lambda *parts: (
        "/" + "/".join(quote(str(one), safe="") for one in (*at, *parts)) if at else forge.path(*parts)
    )
    into = proposal.into or str(rest.get(path(), needs=CONTENTS).get("default_branch") or "main")
    file = path("contents", proposal.file)
    there, _ = _file(rest, file, into)
    wanted = change(there)
    if wanted == there:
        return Posted()
    _branch(rest, path, proposal.branch, into)
    now, sha = _file(rest, file, proposal.branch)
    if now != wanted:
        content = base64.b64encode(wanted.encode()).decode()
        rest.send("PUT", file, needs=CONTENTS, message=proposal.title, content=content, sha=sha, branch=proposal.branch)
    return Posted(url=_pull(rest, path, proposal, into))


def _file(rest: Rest, file: str, branch: str) -> tuple[str, str]:
    """Its text and its blob's id."""
    found = rest.get(file, needs=CONTENTS, ref=branch)
    try:
        return base64.b64decode(str(found["content"])).decode("utf-8"), str(found["sha"])
    except (KeyError, ValueError, binascii.Error) as error:
        raise Refused("what lies there is no text file (of at most 1 MB)") from error


def _branch(rest: Rest, path: Callable[..., str], branch: str, into: str) -> None:
    known = rest.get(path("git", "matching-refs", f"heads/{branch}"), list, needs=CONTENTS)
    if any(isinstance(one, dict) and one.get("ref") == f"refs/heads/{branch}" for one in known):
        return
    base: Any = rest.get(path("git", "ref", f"heads/{into}"), needs=CONTENTS)
    rest.send("POST", path("git", "refs"), needs=CONTENTS, ref=f"refs/heads/{branch}", sha=base["object"]["sha"])


def _pull(rest: Rest, path: Callable[..., str], proposal: Proposal, into: str) -> str | None:
    owner = path().split("/")[2]
    listed = rest.get(path("pulls"), list, needs=PULLS, head=f"{owner}:{proposal.branch}", base=into, state="open")
    mine = next((one for one in listed if isinstance(one, dict) and one.get("head", {}).get("ref") == proposal.branch), None)
    if mine is None:
        made = rest.send("POST", path("pulls"), needs=PULLS, title=proposal.title, head=proposal.branch, base=into, body=proposal.text)
        return str(made.get("html_url") or "") or None
    if mine.get("body") != proposal.text or mine.get("title") != proposal.title:
        rest.send("PATCH", path("pulls", mine["number"]), needs=PULLS, title=proposal.title, body=proposal.text)
    return str(mine.get("html_url") or "") or None
