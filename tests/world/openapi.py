"""GitHub's official OpenAPI description (a slice of it, see `slice_openapi.py`), and what contradicts it in a request or an answer."""

from __future__ import annotations

import copy
import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SLICE = Path(__file__).parent / "github-openapi.json.gz"
# Examples of the description that contradict their own schema, with what is wrong in them; our answers mend it.
CONTRADICTING = {
    ("get", "/repos/{owner}/{repo}/pulls/{pull_number}"): "requested_teams[0] has no `type`",
    ("patch", "/repos/{owner}/{repo}/pulls/{pull_number}"): "requested_teams[0] has no `type`",
    ("post", "/repos/{owner}/{repo}/pulls"): "requested_teams[0] has no `type`",
    ("get", "/repos/{owner}/{repo}"): "no `language`, neither its own nor its template's",
    ("get", "/repos/{owner}/{repo}/contents/{path}"): "the entries of a folder are not what a folder's schema says",
    ("get", "/repos/{owner}/{repo}/pulls"): "requested_teams[0] has no `type`",
    ("get", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls"): "requested_teams[0] has no `type`",
    ("get", "/repos/{owner}/{repo}/collaborators/{username}/permission"): "`user` has no `role_name`",
    ("get", "/repos/{owner}/{repo}/branches/{branch}/protection"): "no `checks`, teams without a `type`, an app's owner of neither kind",
    ("get", "/repos/{owner}/{repo}/issues/{issue_number}"): "its first one has nothing but a pinned comment",
    ("get", "/user"): "no `user_view_type`, so it is a private and a public user at once",
}
# Values that GitHub gives and its description does not allow: where they stand among the schemas, and when they come. Ours allows them.
FORGOTTEN_NULLS = {
    ("issue", "properties", "state_reason"): "of an open issue; its `enum` has no null though it is nullable",
    ("pull-request", "properties", "head", "properties", "repo"): "of a fork that was deleted",
    ("pull-request-simple", "properties", "head", "properties", "repo"): "of a fork that was deleted",
}


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    """The slice of GitHub's OpenAPI description."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(SLICE.read_bytes()))
    return loaded


def example(verb: str, path: str, status: int) -> Any:
    """A fresh copy of the description's first example of an answer."""
    content = description()["paths"][path][verb]["responses"][str(status)]["content"]["application/json"]
    node = next(iter(content["examples"].values()))
    if "$ref" in node:
        node = description()["components"]["examples"][node["$ref"].rsplit("/", 1)[1]]
    return copy.deepcopy(node["value"])


@lru_cache(maxsize=1)
def checker() -> Any:
    """openapi-core over the slice, with the nulls that it forgot."""
    from openapi_core import OpenAPI

    mended = copy.deepcopy(description())
    for *path, last in FORGOTTEN_NULLS:
        node = mended["components"]["schemas"]
        for key in path:
            node = node[key]
        node[last] = {"oneOf": [node[last], {"type": "object", "nullable": True, "enum": [None]}]}
    return OpenAPI.from_dict(mended)


def contradiction(
    server: str, verb: str, target: str, content_type: str, raw: bytes, status: int | None = None, answer: bytes = b""
) -> str | None:
    """What contradicts the description in a request (or, with `status`, in an answer to it), None where all is well."""
    from openapi_core.testing import MockRequest, MockResponse

    parts = urlsplit(target)
    if parts.path == "/graphql":
        return None  # not part of the REST description
    request = MockRequest(server, verb, parts.path, args=dict(parse_qsl(parts.query)), data=raw or None, content_type=content_type)
    try:
        if status is None:
            checker().validate_request(request)
        else:
            checker().validate_response(request, MockResponse(answer, status))
    except Exception as error:  # noqa: BLE001 (whatever openapi-core raises is the finding)
        cause = error.__cause__ or error
        found = "; ".join(e.message[:200] for e in getattr(cause, "schema_errors", [])) or str(cause) or type(cause).__name__
        return f"{verb.upper()} {target} {status or ''}: {found}"
    return None
