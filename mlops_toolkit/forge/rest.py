"""GitHub's REST API through PyGithub: every answer is data of the expected kind, or a Refused that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_toolkit.forge.board import LONGEST_WAIT_SECONDS, Refused
from mlops_toolkit.system.clock import Clock

if TYPE_CHECKING:
    from github import Github

TIMEOUT_SECONDS = 20
PAGE = 100
PAGES = 100
# What a permission is for, as the lines to paste say it.
PURPOSES = {
    "contents: write": "the history of runs, and releases",
    "pull-requests: write": "the comment",
    "statuses: write": "the required check",
    "issues: write": "the issue about what fails on main",
    "deployments: write": "what runs where, on the repository's page",
    "actions: write": "starting the workflow that trains again",
}
READ_ONLY = """\
the token of a pull request from a fork or from Dependabot can only read, whatever `permissions:` says;
the report is in the job's summary"""


@dataclass
class Rest:
    """One API address and one token. Requests go to that address only: redirects to another host are refused."""

    api_url: str
    token: str = field(repr=False)
    clock: Clock
    read_only: bool = False
    _github: Github | None = field(default=None, repr=False)

    def get(self, path: str, kind: type = dict, *, needs: str | None = None, **parameters: Any) -> Any:
        """The answer to a GET: a JSON object, or with `kind=list` an array. needs: the permission it takes (`issues: write`). Raises Refused."""
        return self._ask("GET", path, kind, needs, parameters=parameters)

    def pages(self, path: str, *, needs: str | None = None, **parameters: Any) -> list[dict[str, Any]]:
        """All things of a list, over its pages by number: an address in an answer is never followed. Raises Refused."""
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES + 1):
            data = self.get(path, list, needs=needs, per_page=PAGE, page=page, **parameters)
            found += [each for each in data if isinstance(each, dict)]
            if len(data) < PAGE:
                break
        return found

    def send(self, verb: str, path: str, *, needs: str | None = None, **body: Any) -> dict[str, Any]:
        """POST, PUT, PATCH or DELETE of one thing; keyword arguments that are None are left out of the body. Raises Refused."""
        wanted = type(None) if verb == "DELETE" else dict
        given = {key: value for key, value in body.items() if value is not None}
        answer: dict[str, Any] = self._ask(verb, path, wanted, needs, input=given or None)
        if wanted is dict and not {"id", "ref", "content"} & answer.keys():  # of a thing, a branch, a file
            raise Refused(f"{self.api_url} does not say that it was done", again=True)
        return answer

    def order(self, path: str, *, needs: str, **body: Any) -> None:
        """A POST that has something done; whatever it is answered with (nothing, or of newer servers what was begun). Raises Refused."""
        self._ask("POST", path, object, needs, input=body)

    def viewer(self) -> str | None:
        """The login that the token acts as, asked of GraphQL, which also answers an app's token; None where it does not say."""
        answer = self._ask("POST", self._connection().requester.graphql_url, dict, None, input={"query": "{viewer{login}}"})
        if answer.get("errors"):
            raise Refused(f"GitHub does not say who the token acts as ({_said(answer)})")
        login = ((answer.get("data") or {}).get("viewer") or {}).get("login")
        return login if isinstance(login, str) else None

    def _connection(self) -> Github:
        if self._github is None:
            from github import Auth, Github

            self._github = Github(
                auth=Auth.Token(self.token),
                base_url=self.api_url,
                timeout=TIMEOUT_SECONDS,
                retry=None,  # ours can tell which requests may be repeated, and waits by our clock
                seconds_between_requests=None,
                seconds_between_writes=None,
                lazy=True,
            )
        return self._github

    def _ask(self, verb: str, path: str, kind: type, needs: str | None, **arguments: Any) -> Any:
        from github import GithubException
        from requests import RequestException

        try:
            _, data = self._connection().requester.requestJsonAndCheck(verb, path, **arguments)
        except GithubException as error:
            raise self._refusal(error.status, dict(error.headers or {}), error.data, needs) from error
        except RequestException as error:
            raise Refused(f"GitHub cannot be reached at {self.api_url} ({type(error).__name__})", again=True) from error
        except (RuntimeError, AssertionError, ValueError, AttributeError, TypeError, LookupError, OSError) as error:
            # PyGithub's ways to say that an answer led elsewhere or could not be read.
            raise Refused(f"GitHub's answer could not be read ({_line(str(error)) or type(error).__name__})", again=True) from error
        if isinstance(data, dict) and isinstance(data.get("data"), str):  # how PyGithub wraps what is not JSON
            raise Refused(f"{self.api_url} answered with {_title(data['data'])} instead of data", again=True)
        if not isinstance(data, kind):
            raise Refused(f"{self.api_url} answered with something else than data of its API", again=True)
        return data

    def _refusal(self, status: int, headers: Mapping[str, str], data: Any, needs: str | None) -> Refused:
        said = _said(data)
        if status == 429 or (status == 403 and ("retry-after" in headers or "rate limit" in said.lower())):
            wait = self._wait(headers)
            return Refused(
                f"GitHub's rate limit is reached ({status}: {said})",
                again=True,
                wait=wait,
                hint=f"it ends in {wait:.0f} s; run the job again then" if wait > LONGEST_WAIT_SECONDS else None,
                status=status,
            )
        if status >= 500 or status < 400:
            return Refused(f"GitHub has trouble ({status}: {said})", again=True, status=status)
        if status == 401:
            hint = "leave the input `token` out, or give one that is valid"
            return Refused(f"GitHub does not know the token ({said})", hint=hint, status=status)
        if "lock" in said.lower() and status in (403, 422):
            hint = "unlock it, or read the report in the job's summary"
            return Refused(f"the conversation is locked ({status}: {said})", hint=hint)
        if status in (403, 404):
            way = READ_ONLY if self.read_only else permission(needs, of_person="personal access token" in said) if needs else None
            return Refused(f"the token may not do this ({status}: {said})", hint=way, gone=status == 404, status=status)
        too_long = status == 422 and "too long" in said.lower()
        return Refused(f"GitHub refused it ({status}: {said})", too_long=too_long, gone=status == 410, status=status)

    def _wait(self, headers: Mapping[str, str]) -> float:
        """Seconds until the rate limit lets us on: what the server says, else a minute as GitHub asks for."""
        if headers.get("retry-after", "").isdigit():
            return float(headers["retry-after"])
        reset = headers.get("x-ratelimit-reset", "")
        if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
            return max(float(reset) - self.clock.now().timestamp(), 0) + 1
        return LONGEST_WAIT_SECONDS


def permission(needs: str, *, of_person: bool = False) -> str:
    """What to do where a permission is missing, with the lines to paste. of_person: the token is a person's, which has its own list."""
    if of_person:
        return f"give the token that you made the permission `{needs}`, or leave the input `token` out"
    return f"give the job this permission too (a `permissions:` block takes away all that it does not name):\npermissions:\n  {needs}" + (
        f"   # {PURPOSES[needs]}" if needs in PURPOSES else ""
    )


def _said(data: Any) -> str:
    """What an error answer says, in one line; of a page its title, never its text."""
    if not isinstance(data, Mapping):
        return "no reason given"
    if isinstance(data.get("data"), str):
        return _title(data["data"])
    errors = data.get("errors")
    details = [
        str(error.get("message") or error.get("code") or "") if isinstance(error, Mapping) else str(error)
        for error in (errors if isinstance(errors, list) else [])
    ]
    return _line("; ".join(filter(None, [str(data.get("message") or "no reason given"), *details])))


def _title(page: str) -> str:
    found = re.search(r"<title[^>]*>(.{1,200}?)</title>", page, re.IGNORECASE | re.DOTALL)
    return f"a page titled “{_line(found[1])}”" if found else "a page without a title"


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
